package daemon

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// The estate of the benchmark: resources of eight settings in 20 stacks and ten types,
// one in fifty of them drifted.
const (
	benchStacks = 20
	benchTypes  = 10
	driftedOf   = 50
)

func benchAddress(i int) string {
	return fmt.Sprintf("stack%02d/type%d.host[%d]", i%benchStacks, i%benchTypes, i)
}

// benchLine is one observation of resource i at a time.
func benchLine(b *bytes.Buffer, kind string, i int, at time.Time, size string) {
	fmt.Fprintf(b, `{"kind":%q,"time":%q,"resource":%q,"type":"type%d","settings":{"size":%q,"region":"eu-%d","tags.team":"team%d","port":%d,"public":false,"backup.days":7,"image":"img-%d","monitoring":true}`,
		kind, at.UTC().Format(time.RFC3339Nano), benchAddress(i), i%benchTypes, size, i%3, i%7, 5000+i%10, i%5)
	if kind == "snapshot" {
		b.WriteString(`,"full":true`)
	}
	b.WriteString("}\n")
}

// BenchmarkLatency measures how long pages and routes take while observations come in,
// and prints one table. What changes what is measured:
//
//   - RESOURCES, how many are known.
//   - RATE, how many observations a second are offered.
//   - CLIENTS, how many ask one request after the other, each kind as often as any other.
//   - PAUSE, how many milliseconds each of them waits between two requests. Without one
//     they take whatever processor time there is, and what is measured is a queue.
//   - SECONDS, for how long.
//
// The daemon, its clients and its senders are one process: they share its processor time.
func BenchmarkLatency(b *testing.B) {
	resources, rate := number("RESOURCES", 100_000), number("RATE", 5_000)
	clients, seconds := number("CLIENTS", 8), number("SECONDS", 60)
	if testing.Short() {
		b.Skip("takes minutes")
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "penumbra.yaml")
	if err := os.WriteFile(config, []byte("listen: 127.0.0.1:0\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	c, err := wire.LoadConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	a := &app{&console.Console{Out: io.Discard, Err: io.Discard, Version: "bench"}}
	ready := make(chan [2]string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- a.serve(ctx, c, wire.Options{Log: slog.New(slog.DiscardHandler)}, func(_ *wire.Loop, url, token string) { ready <- [2]string{url, token} })
	}()
	var at [2]string
	select {
	case at = <-ready:
	case err := <-ended:
		b.Fatal(err)
	}
	client := api.NewClient(at[0], at[1])
	d := &load{b: b, base: at[0], token: at[1], client: client, resources: resources, rate: rate, clients: clients,
		pause: time.Duration(number("PAUSE", 0)) * time.Millisecond, span: time.Duration(seconds) * time.Second}
	d.fill(ctx)
	d.bound(ctx)
	for b.Loop() {
		d.run(ctx)
	}
	d.report(c.DataDir())
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// load is what asks a daemon, and what it found.
type load struct {
	b                        *testing.B
	base, token              string
	bounded                  string // the token of who may see two of the stacks
	client                   *api.Client
	resources, rate, clients int
	pause, span              time.Duration
	filled                   time.Duration // how long it took to make the estate known
	processor                time.Duration // of the whole process, of the system too, while it was measured
	before                   string        // the load averages then
	mu                       sync.Mutex
	took                     map[string][]time.Duration
	answered                 []time.Duration // how long each batch of observations waited for its answer
	failed, offered, got     atomic.Int64
}

// fill makes the estate known.
func (d *load) fill(ctx context.Context) {
	start, began := time.Now(), time.Now().Add(-2*time.Hour)
	defer func() { d.filled = time.Since(start) }()
	for _, kind := range []string{"template", "snapshot"} {
		var lines bytes.Buffer
		for i := range d.resources {
			size := "small"
			if kind == "snapshot" && i%driftedOf == 0 {
				size = "large"
			}
			benchLine(&lines, kind, i, began.Add(time.Duration(i)*time.Microsecond), size)
		}
		began = began.Add(time.Hour)
		if r, err := d.client.Ingest(ctx, &lines, "fill"); err != nil || r.Added != d.resources {
			d.b.Fatalf("%+v, error %v", r, err)
		}
	}
}

// bound makes a token of somebody who may see two of the stacks.
func (d *load) bound(ctx context.Context) {
	made, err := d.client.AddToken(ctx, penumbra.NewToken{Name: "viewer", Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{"stack00", "stack07"}, Values: true}}})
	if err != nil {
		d.b.Fatal(err)
	}
	d.bounded = made.Secret
}

// A kind is something that is asked for, by a random resource and drift.
type kind struct {
	name, path string
	bounded    bool // asked for by who may see some
}

func (d *load) kinds(r *rand.Rand, drifts []string) []kind {
	i := r.IntN(d.resources)
	address := url.QueryEscape(benchAddress(i))
	drift := drifts[r.IntN(len(drifts))]
	kinds := []kind{
		{name: "api status", path: "/v1/status"},
		{name: "api status, of 2 stacks", path: "/v1/status", bounded: true},
		{name: "api resources", path: "/v1/resources?limit=100"},
		{name: "api resources by text", path: "/v1/resources?limit=100&q=" + url.QueryEscape(fmt.Sprintf("host[%d", i))},
		{name: "api resources of a stack", path: fmt.Sprintf("/v1/resources?limit=100&stack=stack%02d", i%benchStacks)},
		{name: "api resources, of 2 stacks", path: "/v1/resources?limit=100", bounded: true},
		{name: "api drifts", path: "/v1/drifts?active=true&limit=100"},
		{name: "api drift", path: "/v1/drifts/" + drift},
		{name: "api shadow", path: "/v1/shadow?address=" + address},
		{name: "api runs", path: "/v1/runs?limit=100"},
		{name: "page overview", path: "/"},
		{name: "page drifts", path: "/drifts"},
		{name: "page drift", path: "/drift?id=" + drift},
		{name: "page resources", path: "/resources"},
		{name: "page resource", path: "/resource?address=" + address},
	}
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	return kinds
}

// run has clients ask while observations are sent.
func (d *load) run(ctx context.Context) {
	page, err := d.client.Drifts(ctx, penumbra.DriftQuery{Active: true})
	if err != nil || len(page) == 0 {
		d.b.Fatalf("%d drifts, error %v", len(page), err)
	}
	drifts := make([]string, len(page))
	for i := range page {
		drifts[i] = page[i].ID
	}
	d.took, d.answered, d.before = map[string][]time.Duration{}, nil, loadAverage()
	used := processorTime()
	defer func() { d.processor = processorTime() - used }()
	ctx, cancel := context.WithTimeout(ctx, d.span)
	defer cancel()
	var working sync.WaitGroup
	for sender := range senders {
		working.Go(func() { d.send(ctx, sender) })
	}
	for n := range d.clients {
		working.Go(func() { d.ask(ctx, rand.New(rand.NewPCG(uint64(n), 1)), drifts) })
	}
	working.Wait()
}

// senders is how many send observations, each those of resources of its own, in their
// order: what comes late would have the shadow rebuilt.
const senders = 4

// send offers observations at a rate, a batch every tick: of random resources, four in
// five as they are and one in five a value of a metric. A batch whose turn comes while
// the one before it waits for its answer is sent after it; those that are not sent when
// the time is up were offered and not taken.
func (d *load) send(ctx context.Context, sender int) {
	const tick = senders * 100 * time.Millisecond
	r := rand.New(rand.NewPCG(99, uint64(sender)))
	began, turns := time.Now(), int(d.span/tick)
	d.offered.Add(int64(turns * (d.rate / 10)))
	wait := time.NewTimer(0)
	defer wait.Stop()
	for turn := range turns {
		wait.Reset(time.Until(began.Add(time.Duration(turn) * tick)))
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		lines := d.batch(r, sender)
		sent := time.Now()
		report, err := d.client.Ingest(ctx, lines, "bench")
		if ctx.Err() != nil {
			return // it may have been taken in, and does not count
		}
		if err != nil {
			d.failed.Add(1)
			d.b.Log(err)
		}
		d.got.Add(int64(report.Lines))
		d.mu.Lock()
		d.answered = append(d.answered, time.Since(sent))
		d.mu.Unlock()
	}
}

// batch is what a sender sends at once.
func (d *load) batch(r *rand.Rand, sender int) *bytes.Buffer {
	var lines bytes.Buffer
	now := time.Now()
	for n := range d.rate / 10 {
		i := r.IntN(d.resources/senders)*senders + sender
		switch {
		case n%5 == 0:
			fmt.Fprintf(&lines, `{"kind":"metric","time":%q,"resource":%q,"type":"type%d","metrics":{"cpu":%.3f}}`+"\n", now.UTC().Format(time.RFC3339Nano), benchAddress(i), i%benchTypes, r.Float64())
		case n%500 == 1: // one in 500 changes
			benchLine(&lines, "snapshot", i, now, []string{"small", "large"}[r.IntN(2)])
		default:
			size := "small"
			if i%driftedOf == 0 {
				size = "large"
			}
			benchLine(&lines, "snapshot", i, now, size)
		}
	}
	return &lines
}

// signIn returns the cookie of a browser that has signed in.
func (d *load) signIn() (cookie string) {
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(d.base + "/?token=" + url.QueryEscape(d.token))
	if err != nil {
		d.b.Error(err)
		return ""
	}
	resp.Body.Close()
	for _, x := range resp.Cookies() {
		cookie += x.Name + "=" + x.Value + "; "
	}
	return cookie
}

// ask asks one thing after the other.
func (d *load) ask(ctx context.Context, r *rand.Rand, drifts []string) {
	web, cookie := &http.Client{Transport: &http.Transport{}}, d.signIn()
	defer web.CloseIdleConnections()
	for ctx.Err() == nil {
		for _, x := range d.kinds(r, drifts) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+x.path, nil)
			if err != nil {
				d.b.Error(err)
				return
			}
			switch {
			case x.bounded:
				req.Header.Set("Authorization", "Bearer "+d.bounded)
			case strings.HasPrefix(x.name, "api"):
				req.Header.Set("Authorization", "Bearer "+d.token)
			default:
				req.Header.Set("Cookie", cookie)
			}
			began := time.Now()
			resp, err := web.Do(req)
			if err != nil {
				break // the time is up
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if ctx.Err() != nil {
				return
			}
			if err != nil || resp.StatusCode != http.StatusOK {
				d.failed.Add(1)
				d.b.Logf("%s: %d %v", x.path, resp.StatusCode, err)
			}
			took := time.Since(began)
			d.mu.Lock()
			d.took[x.name] = append(d.took[x.name], took)
			d.mu.Unlock()
			if d.pause > 0 {
				select {
				case <-ctx.Done():
				case <-time.After(d.pause):
				}
			}
		}
	}
}

// quantile of durations, which it sorts.
func quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(q*float64(len(took))))]
}

// report prints one table, the slowest first.
func (d *load) report(dataDir string) {
	all, worst := 0, time.Duration(0)
	for _, took := range d.took {
		all += len(took)
	}
	seconds := d.span.Seconds()
	taken := float64(d.got.Load()) / seconds
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Printf(`
%d resources of 8 settings in %d stacks, known after %.1f s; %d clients with a pause of %v, %d senders, %v
load average before %s, after %s; %d processors; %.1f processor seconds, %.2f a second
memory: heap %d MB, resident at most %d MB; on disk %d MB
observations a second: %.0f offered, %.0f taken, a batch's answer p50 %.1f ms, p99 %.1f ms; %d requests, %.0f a second; %d failed

| route | p50 ms | p99 ms | requests |
|---|---|---|---|
`, d.resources, benchStacks, d.filled.Seconds(), d.clients, d.pause, senders, d.span,
		d.before, loadAverage(), runtime.NumCPU(), d.processor.Seconds(), d.processor.Seconds()/seconds,
		memory.HeapAlloc>>20, residentPeak(), folderSize(dataDir)>>20,
		float64(d.offered.Load())/seconds, taken, ms(quantile(d.answered, 0.5)), ms(quantile(d.answered, 0.99)), all, float64(all)/seconds, d.failed.Load())
	names := slices.SortedFunc(maps.Keys(d.took), func(a, b string) int {
		return cmp.Compare(quantile(d.took[b], 0.99), quantile(d.took[a], 0.99))
	})
	for _, name := range names {
		p99 := quantile(d.took[name], 0.99)
		worst = max(worst, p99)
		fmt.Printf("| %s | %.1f | %.1f | %d |\n", name, ms(quantile(d.took[name], 0.5)), ms(p99), len(d.took[name]))
	}
	d.b.ReportMetric(ms(worst), "worst-p99-ms")
	d.b.ReportMetric(taken, "observations/s")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// processorTime is what this process has used, in the system too.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentPeak is the most memory that this process has had, in MB.
func residentPeak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss >> 10
}

// loadAverage is the machine's of the last minute, five and fifteen, where it tells.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func folderSize(dir string) (bytes int64) {
	// What goes away meanwhile has no size.
	_ = filepath.WalkDir(dir, func(_ string, x fs.DirEntry, err error) error {
		if err == nil && !x.IsDir() {
			if info, err := x.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}
