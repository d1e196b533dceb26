//go:build linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penumbra-iac/penumbra/api"
)

// The fleet whose observations come in: resources of eight settings.
const (
	fleet   = 3000
	perSend = 500
)

// outstanding is how many batches a sender has under way at once: a window, as in TCP,
// from the oldest that is not acknowledged on. It is shorter than the fleet, so that no
// two of them are of one resource, whichever is taken first.
const outstanding = 4

// answerWithin is how long a sender waits before it asks another node: longer than it
// takes for another one to lead.
const answerWithin = 7 * time.Second

// Senders are as behind a load balancer that asks each node now and then whether it is
// alive: what was sent to one that has not answered for goneAfter goes to another.
const (
	askAlive  = 500 * time.Millisecond
	goneAfter = 2 * time.Second
)

// balance keeps what is said of whether the node answers until ctx ends.
func (m *member) balance(ctx context.Context) {
	client := &http.Client{Timeout: time.Second}
	tick := time.NewTicker(askAlive)
	defer tick.Stop()
	for last := time.Now(); ; {
		response, err := client.Get(m.url() + "/healthz")
		if err == nil {
			response.Body.Close()
			last = time.Now()
		}
		m.answers(time.Since(last) < goneAfter)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *member) answers(alive bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !alive && m.gone != nil:
		m.gone()
	case alive && (m.alive == nil || m.alive.Err() != nil):
		m.alive, m.gone = context.WithCancel(context.Background())
	}
}

// whileAlive ends when the node does not answer any more.
func (m *member) whileAlive(ctx context.Context) (context.Context, context.CancelFunc) {
	m.mu.Lock()
	alive := m.alive
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	if alive != nil {
		context.AfterFunc(alive, cancel)
	}
	return ctx, cancel
}

// isAlive reports whether the node answers, as far as is known.
func (m *member) isAlive() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alive == nil || m.alive.Err() == nil
}

// after returns the first node from one on that answers, that one if none does.
func (c *cluster) after(i int) int {
	for k := range c.nodes {
		if at := (i + k) % len(c.nodes); c.nodes[at].isAlive() {
			return at
		}
	}
	return i % len(c.nodes)
}

// sender sends observations to a node by a schedule, whatever becomes of them. What was
// not acknowledged it sends again, to the next node. What is due and cannot be sent is its
// backlog.
type sender struct {
	c       *cluster
	m       *member
	began   time.Time // of what is sent: the time of the first observation
	rate    float64   // observations a second
	start   time.Time // of the schedule
	retried atomic.Int64

	mu           sync.Mutex
	acknowledged map[int64]bool // batches, above low
	low          int64          // all batches below are acknowledged
	slowest      time.Duration
	highest      int64 // the highest backlog, in observations
	wake         chan struct{}
}

func newSender(c *cluster, m *member, rate float64, began time.Time) *sender {
	return &sender{c: c, m: m, rate: rate, began: began, start: time.Now(), acknowledged: map[int64]bool{}, wake: make(chan struct{}, 1)}
}

// taken returns how many observations were acknowledged.
func (s *sender) taken() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (s.low + int64(len(s.acknowledged))) * perSend
}

// has reports whether an observation, by its number, was acknowledged.
func (s *sender) has(number int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return number/perSend < s.low || s.acknowledged[number/perSend]
}

// backlog returns how many observations are due and not acknowledged.
func (s *sender) backlog() int64 {
	due := int64(time.Since(s.start).Seconds()*s.rate/perSend) * perSend
	behind := max(0, due-s.taken())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.highest = max(s.highest, behind)
	return behind
}

// run sends until ctx ends.
func (s *sender) run(ctx context.Context) {
	var nodes []*api.Client
	for i := range s.c.nodes {
		nodes = append(nodes, s.c.nodes[i].client(answerWithin))
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	for n := int64(0); ; n++ {
		due := s.start.Add(time.Duration(float64((n+1)*perSend) / s.rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		for s.backlog(); s.full(n); {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
		}
		sending.Go(func() {
			body, asked := s.batch(n), time.Now()
			for to := s.c.after(s.m.i); ; to = s.c.after(to + 1) {
				asking, end := s.c.nodes[to].whileAlive(ctx)
				r, err := nodes[to].Ingest(asking, bytes.NewReader(body), "load"+strconv.Itoa(s.m.i))
				end()
				if err == nil {
					if r.Lines != perSend || r.Bad != 0 {
						s.c.t.Errorf("a batch was answered %+v", r)
					}
					s.acknowledge(n, time.Since(asked))
					return
				}
				s.retried.Add(1)
				select {
				case <-ctx.Done():
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		})
	}
}

// full reports whether the window has no place for a batch.
func (s *sender) full(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n >= s.low+outstanding
}

func (s *sender) acknowledge(n int64, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slowest = max(s.slowest, took)
	for s.acknowledged[n] = true; s.acknowledged[s.low]; s.low++ {
		delete(s.acknowledged, s.low)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// batch is the n-th that a sender sends: the same whenever it is made.
func (s *sender) batch(n int64) []byte {
	b := make([]byte, 0, perSend*320)
	for i := range int64(perSend) {
		number := n*perSend + i
		size := "small"
		if number/fleet%40 == 7 && number%fleet%100 == 3 { // some drift for a while
			size = "large"
		}
		b = append(b, `{"kind":"snapshot","time":"`...)
		b = s.began.Add(time.Duration(number)*time.Millisecond).UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, `","resource":"load`...)
		b = strconv.AppendInt(b, int64(s.m.i), 10)
		b = append(b, "/host.h["...)
		b = strconv.AppendInt(b, number%fleet, 10)
		b = append(b, `]","type":"host","settings":{"size":"`...)
		b = append(b, size...)
		b = append(b, `","region":"eu-`...)
		b = strconv.AppendInt(b, number%3, 10)
		b = append(b, `","tags.team":"team`...)
		b = strconv.AppendInt(b, number%7, 10)
		b = append(b, `","port":`...)
		b = strconv.AppendInt(b, 5000+number%10, 10)
		b = append(b, `,"public":false,"backup.days":7,"image":"img-`...)
		b = strconv.AppendInt(b, number%5, 10)
		b = append(b, `","monitoring":true},"full":true}`+"\n"...)
	}
	return b
}

// senders are all of a test's.
type senders []*sender

func (all senders) taken() (n int64) {
	for _, s := range all {
		n += s.taken()
	}
	return n
}

func (all senders) backlog() (n int64) {
	for _, s := range all {
		n += s.backlog()
	}
	return n
}

// window is how many observations may be under way without any being behind.
func (all senders) window() int64 { return int64(len(all)) * outstanding * perSend }

// watched is what was seen of senders while they sent.
type watched struct {
	mu      sync.Mutex
	led     time.Duration // for how long somebody led
	ledTook int64         // what was acknowledged meanwhile
	highest int64         // the highest backlog of all together
	behind  time.Time     // since when there is one, zero if there is none
	caught  []time.Duration
}

const watchEvery = 100 * time.Millisecond

// watch looks at senders until ctx ends. A backlog that is more than what may be under
// way begins a time of catching up, which lasts until it is that again.
func (w *watched) watch(ctx context.Context, all senders, leads func() bool) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	at, taken := time.Now(), all.taken()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, more, behind, led := time.Now(), all.taken(), all.backlog(), leads()
		w.mu.Lock()
		if led {
			w.led += now.Sub(at)
			w.ledTook += more - taken
		}
		w.highest = max(w.highest, behind)
		switch over := behind > all.window(); {
		case over && w.behind.IsZero():
			w.behind = now
		case !over && !w.behind.IsZero():
			w.caught = append(w.caught, now.Sub(w.behind))
			w.behind = time.Time{}
		}
		w.mu.Unlock()
		at, taken = now, more
	}
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := fmt.Sprintf("%.0f a second while somebody led (%.0f s); the highest backlog was %d", float64(w.ledTook)/w.led.Seconds(), w.led.Seconds(), w.highest)
	if slices.Sort(w.caught); len(w.caught) > 0 {
		text += fmt.Sprintf(", caught up %d times, after %.1f s at the median and %.1f s at most", len(w.caught), w.caught[len(w.caught)/2].Seconds(), w.caught[len(w.caught)-1].Seconds())
	}
	if !w.behind.IsZero() {
		text += fmt.Sprintf("; behind for %.1f s in the end", time.Since(w.behind).Seconds())
	}
	return text
}

// ticksASecond is what /proc counts processor time in.
const ticksASecond = 100

// processor is what a process has had of the processors, with its children that it
// waited for if they are asked for; 0 if it is gone.
func processor(pid int, children bool) time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// proc(5): behind the name come state, parent, and from the 14th field on the ticks
	// in user and system mode, and those of children that were waited for.
	_, rest, _ := strings.Cut(string(text), ") ")
	of, ticks := strings.Fields(rest), 0
	for field := 14; field < 18 && (children || field < 16); field++ {
		n, _ := strconv.Atoi(of[field-3])
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksASecond
}

// processors is what each part has had of the processors so far.
func (c *cluster) processors(leader *member) map[string]time.Duration {
	out := map[string]time.Duration{"senders, and the way to the database": processor(os.Getpid(), false)}
	for _, m := range c.nodes {
		if part := "another node, each"; m != leader {
			out[part] += processor(m.cmd.Process.Pid, false) / time.Duration(len(c.nodes)-1)
		} else {
			out["the leader"] = processor(m.cmd.Process.Pid, false)
		}
	}
	text, err := os.ReadFile(filepath.Join(c.folder, "data", "postmaster.pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, _ := strconv.Atoi(first)
	sum := processor(postmaster, true)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(text), ") ")
		if of := strings.Fields(rest); len(of) > 1 && of[1] == first {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			sum += processor(pid, false)
		}
	}
	out["PostgreSQL"] = sum
	return out
}

// shares says what observations took of each part's processor time, in microseconds.
func shares(before, after map[string]time.Duration, taken int64, nodes int) string {
	text, sum := "", 0.0
	for _, part := range []string{"senders, and the way to the database", "the leader", "another node, each", "PostgreSQL"} {
		each := float64((after[part] - before[part]).Microseconds()) / math.Max(1, float64(taken))
		text += fmt.Sprintf("%s %.1f µs, ", part, each)
		if part == "another node, each" {
			each *= float64(nodes - 1)
		}
		sum += each
	}
	return text + fmt.Sprintf("%.1f µs in all", sum)
}
