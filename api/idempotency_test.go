package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// counter is a service that counts what it was asked to do.
type counter struct {
	recorder
	done  atomic.Int32
	err   error
	begun chan struct{} // told when work begins, if not nil
	going chan struct{} // work goes on once it is closed, if not nil
}

func (c *counter) Freeze(_ context.Context, f penumbra.Freeze) (penumbra.Freeze, error) {
	if c.begun != nil {
		c.begun <- struct{}{}
		<-c.going
	}
	c.done.Add(1)
	f.ID = "f-1"
	return f, c.err
}

func (c *counter) AddToken(context.Context, penumbra.NewToken) (penumbra.MadeToken, error) {
	c.done.Add(1)
	return penumbra.MadeToken{Token: exampleToken(), Secret: "only once"}, nil
}

const frozen = `{"reason":"the sale"}`

func keyed1(key string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set(idempotencyKey, key)
		r.Header.Set("Content-Type", "application/json")
	}
}

func TestARequestWithAKeyIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	c := &counter{}
	kept := &memory{kept: map[string]penumbra.KeptAnswer{}}
	h := Handler(c, opens(testToken), "0", WithAnswers(kept))
	first := request(h, "POST", "/v1/freezes", frozen, keyed1("k-1"))
	again := request(h, "POST", "/v1/freezes", frozen, keyed1("k-1"))
	if first.Code != 200 || again.Code != 200 || again.Body.String() != first.Body.String() || first.Body.Len() == 0 || c.done.Load() != 1 {
		t.Errorf("%d %s, again %d %s, done %d times", first.Code, first.Body, again.Code, again.Body, c.done.Load())
	}
	if first.Header().Get(replayed) != "" || again.Header().Get(replayed) != "true" || again.Header().Get("Content-Type") != first.Header().Get("Content-Type") {
		t.Errorf("headers %v, again %v", first.Header(), again.Header())
	}
	// It survives another handler on what is kept.
	if w := request(Handler(c, opens(testToken), "0", WithAnswers(kept)), "POST", "/v1/freezes", frozen, keyed1("k-1")); w.Header().Get(replayed) != "true" {
		t.Errorf("after a restart: %d %s", w.Code, w.Body)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"another body":  request(h, "POST", "/v1/freezes", `{"reason":"another"}`, keyed1("k-1")),
		"another route": request(h, "POST", "/v1/freezes/f-1/lift", `{}`, keyed1("k-1")),
		"a bad key":     request(h, "POST", "/v1/freezes", frozen, keyed1("two words")),
		"a long key":    request(h, "POST", "/v1/freezes", frozen, keyed1(strings.Repeat("k", 256))),
	} {
		if p := readProblem(t, w); w.Code != 422 || p.Kind != "invalid" {
			t.Errorf("%s: %d %+v", name, w.Code, p)
		}
	}
	// The key is each principal's own.
	other := opens(testToken)
	other.principal.ID = "user:bob"
	if w := request(Handler(c, other, "0", WithAnswers(kept)), "POST", "/v1/freezes", frozen, keyed1("k-1")); w.Code != 200 || w.Header().Get(replayed) != "" || c.done.Load() != 2 {
		t.Errorf("somebody else's key: %d %s", w.Code, w.Body)
	}
	if w := request(h, "POST", "/v1/freezes", frozen, keyed1("k-2")); w.Code != 200 || c.done.Load() != 3 {
		t.Errorf("another key: %d", w.Code)
	}
	if strings.Contains(kept.text(), "k-1") {
		t.Error("a key is kept as it was given")
	}
}

func (m *memory) text() string {
	var b strings.Builder
	for id, x := range m.kept {
		b.WriteString(id)
		b.Write(x.Digest)
		b.Write(x.Body)
	}
	return b.String()
}

func TestWhatFailedMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	c := &counter{err: &penumbra.Error{Kind: penumbra.Refused, What: "not now"}}
	h := Handler(c, opens(testToken), "0")
	if w := request(h, "POST", "/v1/freezes", frozen, keyed1("k")); w.Code != 403 {
		t.Errorf("refused with %d", w.Code)
	}
	c.err = nil
	if w := request(h, "POST", "/v1/freezes", frozen, keyed1("k")); w.Code != 200 || c.done.Load() != 2 {
		t.Errorf("again: %d, done %d times", w.Code, c.done.Load())
	}
}

func TestSecretsInAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	c := &counter{}
	kept := &memory{kept: map[string]penumbra.KeptAnswer{}}
	h := Handler(c, opens(testToken), "0", WithAnswers(kept))
	body := `{"name":"ci","kind":"service"}`
	if w := request(h, "POST", "/v1/tokens", body, keyed1("k")); w.Code != 200 || !strings.Contains(w.Body.String(), "only once") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := request(h, "POST", "/v1/tokens", body, keyed1("k")); w.Code != 409 || c.done.Load() != 1 || strings.Contains(w.Body.String(), "only once") {
		t.Errorf("again: %d %s, done %d times", w.Code, w.Body, c.done.Load())
	}
	if strings.Contains(kept.text(), "only once") {
		t.Error("the secret is kept")
	}
}

func TestARequestUnderWayIsNotBegunTwice(t *testing.T) {
	t.Parallel()
	c := &counter{begun: make(chan struct{}), going: make(chan struct{})}
	h := Handler(c, opens(testToken), "0")
	var working sync.WaitGroup
	working.Go(func() { request(h, "POST", "/v1/freezes", frozen, keyed1("k")) })
	<-c.begun
	w := request(h, "POST", "/v1/freezes", frozen, keyed1("k"))
	if p := readProblem(t, w); w.Code != 409 || p.Kind != "locked" || w.Header().Get("Retry-After") == "" {
		t.Errorf("while it is at work: %d %+v", w.Code, p)
	}
	close(c.going)
	working.Wait()
	if w := request(h, "POST", "/v1/freezes", frozen, keyed1("k")); w.Header().Get(replayed) != "true" || c.done.Load() != 1 {
		t.Errorf("then: %d", w.Code)
	}
}

func TestAnswersAreForgottenAfterADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		h := Handler(c, opens(testToken), "0")
		for want, wait := range []time.Duration{0, answersKept - time.Second, 2 * time.Second} {
			time.Sleep(wait)
			request(h, "POST", "/v1/freezes", frozen, keyed1("k"))
			if done := int(c.done.Load()); done != max(1, want) {
				t.Errorf("after %v: done %d times", wait, done)
			}
		}
	})
}

// TestAClientThatLosesAnAnswerAsksAgain holds that the decision is taken once.
func TestAClientThatLosesAnAnswerAsksAgain(t *testing.T) {
	t.Parallel()
	c := &counter{}
	h := Handler(c, opens(testToken), "0")
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 { // it is done, and the answer never arrives
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	client := NewClient(server.URL, testToken, WithHTTPClient(server.Client()))
	f, err := client.Freeze(t.Context(), penumbra.Freeze{Reason: "the sale"})
	if err != nil || f.ID != "f-1" || c.done.Load() != 1 || requests.Load() != 2 {
		t.Errorf("%+v, error %v, done %d times in %d requests", f, err, c.done.Load(), requests.Load())
	}
}
