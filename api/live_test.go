package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// bulletin is an informer that tells what a test gives it.
type bulletin struct {
	mu      sync.Mutex
	news    []penumbra.News
	forgets int // so many of the first are forgotten
	more    chan struct{}
}

func (b *bulletin) tell(topics ...penumbra.Topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, topic := range topics {
		seq := uint64(len(b.news) + 1)
		b.news = append(b.news, penumbra.News{Seq: seq, Topic: topic, ID: fmt.Sprint(topic, "-", seq), Stack: []string{"shop", "pay"}[seq%2], Verb: "changed"})
	}
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

func (b *bulletin) number() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.news))
}

func (b *bulletin) after(ctx context.Context, after uint64) ([]penumbra.News, error) {
	for {
		b.mu.Lock()
		if behind := b.news[max(int(after), b.forgets):]; len(behind) > 0 {
			b.mu.Unlock()
			return slices.Clone(behind), nil
		}
		if b.more == nil {
			b.more = make(chan struct{})
		}
		more := b.more
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-more:
		}
	}
}

// stream opens a stream of news and gives its lines.
func stream(t *testing.T, h http.Handler, target, last string) (next func() string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := direct{h}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != eventStream {
		t.Fatalf("status %d, %s", resp.StatusCode, got)
	}
	var text string
	next = func() string {
		for !strings.Contains(text, "\n\n") {
			b := make([]byte, 4096)
			n, err := resp.Body.Read(b)
			if text += string(b[:n]); err != nil {
				return "error: " + err.Error()
			}
		}
		var block string
		block, text, _ = strings.Cut(text, "\n\n")
		return block
	}
	return next, func() { cancel(); resp.Body.Close() }
}

func TestStreamOfNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		h := Handler(r, opens(testToken), "0")
		r.told.tell(penumbra.DriftNews)
		next, end := stream(t, h, "/v1/news?topics=drift,run&stack=shop", "")
		opening := next()
		if !strings.HasPrefix(opening, "retry: 2000\nid: ") || !strings.HasSuffix(opening, "-1") {
			t.Fatalf("begins with %q", opening)
		}
		life, _, _ := strings.Cut(strings.TrimPrefix(opening, "retry: 2000\nid: "), "-")
		r.told.tell(penumbra.DriftNews, penumbra.DriftNews, penumbra.ModelNews, penumbra.RunNews, penumbra.RunNews)
		for _, want := range []string{"2 drift", "6 run"} { // of its stack and topics alone
			number, topic, _ := strings.Cut(want, " ")
			if got := next(); !strings.HasPrefix(got, "id: "+life+"-"+number+"\nevent: "+topic+"\ndata: {\"seq\":"+number) {
				t.Errorf("event %q, want %s", got, want)
			}
		}
		before := time.Now()
		if got := next(); got != ":\nid: "+life+"-6" || time.Since(before) != heartbeat {
			t.Errorf("%q after %v in which nothing happened", got, time.Since(before))
		}
		end()

		// Who comes back is told what came since.
		next, end = stream(t, h, "/v1/news", life+"-4")
		next()
		if got := next(); !strings.HasPrefix(got, "id: "+life+"-5\n") {
			t.Errorf("goes on with %q", got)
		}
		end()
		// What is not known any more is not passed over in silence.
		r.told.forgets = 3
		for last, lines := range map[string]int{life + "-1": 2, "other-2": 1, life + "-99": 1, "nonsense": 1, life + "-": 1} {
			next, end = stream(t, h, "/v1/news", last)
			var got string
			for range lines {
				got = next()
			}
			if !strings.Contains(got, "event: reset\ndata: {}") {
				t.Errorf("after %s: %q", last, got)
			}
			end()
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := Handler(&recorder{}, opens(testToken), "0")
		for range streamsOfOne {
			_, end := stream(t, h, "/v1/news", "")
			defer end()
		}
		w := request(h, "GET", "/v1/news", "", nil)
		if p := readProblem(t, w); w.Code != http.StatusTooManyRequests || p.Kind != "unavailable" {
			t.Errorf("one too many: %d, %+v", w.Code, p)
		}
	})
}

// TestStreamsEndWithTheServer: a server waits for its requests when it stops.
func TestStreamsEndWithTheServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(Handler(&recorder{}, opens(testToken), "0"))
	defer server.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/news", nil)
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := server.Config.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}

// cutting is a handler whose streams break off when told to.
type cutting struct {
	http.Handler
	mu   sync.Mutex
	cuts []context.CancelFunc
	down atomic.Bool
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.down.Load() {
		panic(http.ErrAbortHandler)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c.mu.Lock()
	c.cuts = append(c.cuts, cancel)
	c.mu.Unlock()
	c.Handler.ServeHTTP(w, r.WithContext(ctx))
	panic(http.ErrAbortHandler)
}

func (c *cutting) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cut := range c.cuts {
		cut()
	}
	c.cuts = nil
}

// TestClientTakesAStreamUpAgain: connections break, and nothing is lost or told twice.
func TestClientTakesAStreamUpAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		h := &cutting{Handler: Handler(r, opens(testToken), "0")}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []uint64
		var broken, missed int
		go func() {
			for n, err := range InProcess(h, testToken).Watch(ctx, NewsQuery{}) {
				switch {
				case errors.Is(err, ErrMissed):
					missed++
				case err != nil && penumbra.KindOf(err) == penumbra.Unavailable:
					broken++
				case err != nil:
					t.Errorf("told %v", err)
				default:
					got = append(got, n.Seq)
				}
			}
		}()
		for i := range 5 {
			synctest.Wait()
			r.told.tell(penumbra.DriftNews)
			synctest.Wait()
			h.down.Store(true)
			h.cut()
			r.told.tell(penumbra.RunNews)
			time.Sleep(time.Minute) // several tries
			h.down.Store(false)
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(got) != 2*(i+1) || missed != 0 {
				t.Fatalf("after %d breaks: told %v, %d missed", i+1, got, missed)
			}
		}
		if broken < 10 {
			t.Errorf("told of %d failed tries", broken)
		}
		// Another process answers.
		h.Handler = Handler(r, opens(testToken), "0")
		h.cut()
		time.Sleep(time.Minute)
		synctest.Wait()
		if missed != 1 {
			t.Errorf("told of %d times that something was missed", missed)
		}
	})
}

func TestWatchEndsOnWhatStays(t *testing.T) {
	t.Parallel()
	h := Handler(&recorder{}, opens(testToken), "0")
	for name, c := range map[string]*Client{"a wrong token": InProcess(h, "wrong"), "no address": NewClient("", ""), "nobody there": NewClient("http://127.0.0.1:1", "")} {
		var errs []error
		for _, err := range c.Watch(t.Context(), NewsQuery{}) {
			errs = append(errs, err)
		}
		if len(errs) != 1 || errs[0] == nil {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

// turnstile is an authenticator whose answer a test changes.
type turnstile struct {
	mu  sync.Mutex
	who *penumbra.Principal // nil: refused
}

func (x *turnstile) Authenticate(*http.Request) (*penumbra.Principal, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.who == nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "the token is revoked", Remedy: "make another"}
	}
	p := *x.who
	return &p, nil
}

func (x *turnstile) is(p *penumbra.Principal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.who = p
}

// discreet tells news to admins alone.
type discreet struct{ *recorder }

func (d discreet) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	news, err := d.recorder.News(ctx, after)
	for i := range news {
		if !penumbra.PrincipalOf(ctx).IsAdmin() {
			news[i] = penumbra.News{Seq: news[i].Seq}
		}
	}
	return news, err
}

// TestStreamsMakeSureAnew: a stream outlives the grants that it was opened with, and
// tells nothing by them any more; with its token it ends.
func TestStreamsMakeSureAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		admin := alice()
		viewer := admin
		viewer.Grants = []penumbra.Grant{{Role: penumbra.Viewer}}
		x := &turnstile{who: &admin}
		r := &recorder{}
		h := Handler(discreet{r}, x, "0")
		next, end := stream(t, h, "/v1/news", "")
		defer end()
		next()
		r.told.tell(penumbra.DriftNews)
		if got := next(); !strings.Contains(got, "event: drift") {
			t.Fatalf("an admin is told %q", got)
		}
		synctest.Wait() // the stream waits for the next
		x.is(&viewer)
		r.told.tell(penumbra.RunNews)
		if got := next(); !strings.HasPrefix(got, ":\nid: ") {
			t.Errorf("who is an admin no more is told %q", got)
		}
		synctest.Wait()
		x.is(&admin)
		r.told.tell(penumbra.RunNews)
		if got := next(); !strings.Contains(got, "event: run") || !strings.Contains(got, `"seq":3`) {
			t.Errorf("an admin again is told %q", got)
		}
		synctest.Wait()
		x.is(nil)
		r.told.tell(penumbra.RunNews)
		if got := next(); got != "error: EOF" {
			t.Errorf("with a token that was revoked: %q", got)
		}
	})
}

// TestStreamsEndWhileNothingHappens: a token that was revoked holds no stream open for
// longer than until the next heartbeat.
func TestStreamsEndWhileNothingHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		admin := alice()
		x := &turnstile{who: &admin}
		next, end := stream(t, Handler(&recorder{}, x, "0"), "/v1/news", "")
		defer end()
		next()
		synctest.Wait()
		x.is(nil)
		began := time.Now()
		if got := next(); got != "error: EOF" || time.Since(began) > heartbeat {
			t.Errorf("%q after %v", got, time.Since(began))
		}
	})
}
