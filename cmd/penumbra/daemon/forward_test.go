package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/store/postgres"
)

func led(by *httptest.Server, number int64) postgres.Term {
	t := postgres.Term{Number: number, Node: postgres.Node{Name: fmt.Sprint("n", number)}}
	if by != nil {
		t.Node.Address = by.URL
	}
	return t
}

func forwarding(t *testing.T) *forwarder {
	t.Helper()
	return newForwarder("self", func(http.ResponseWriter, *http.Request) bool { return false },
		func() (string, error) { return "the key", nil }, http.DefaultTransport, slog.New(slog.DiscardHandler))
}

func ask(h http.Handler, method, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://penumbra.example/v1/status", strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:1234"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPassesOn asks a node that stands by: the leader sees the request as it came, and
// from where, and nobody but a node can say so.
func TestPassesOn(t *testing.T) {
	t.Parallel()
	leader := httptest.NewServer(passedOn("the key", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s from %s by %q %q: %s", r.Method, r.Host, r.URL, r.RemoteAddr, r.Header.Get(forwardedKey), r.Header.Get("Authorization"), body)
	})))
	defer leader.Close()
	f := forwarding(t)
	f.leads(led(leader, 1))
	w := ask(f, "POST", "lines", "Authorization", "Bearer x")
	if want := `POST penumbra.example /v1/status from 192.0.2.7:1234 by "" "Bearer x": lines`; w.Body.String() != want {
		t.Errorf("got %s, want %s", w.Body, want)
	}
	for _, key := range []string{"", "another key"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", leader.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(forwardedKey, key)
		r.Header.Set(forwardedFrom, "127.0.0.1:1")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if strings.Contains(string(body), "from 127.0.0.1:1 ") {
			t.Errorf("whoever shows %q is believed: %s", key, body)
		}
	}
	// What comes from another node is not passed on again: two that take each other for
	// the leader would not end.
	if w := ask(f, "GET", "", forwardedKey, "the key"); w.Code != http.StatusServiceUnavailable || w.Header().Get(notLeading) == "" {
		t.Errorf("passed on again: %d %s", w.Code, w.Body)
	}
}

// TestWaitsForALeader asks while nobody leads, and while the one that is said to is gone:
// the next one answers, and has the whole body.
func TestWaitsForALeader(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	standing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(notLeading, "n2")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(standing.Close)
	leader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(leader.Close)
	for name, before := range map[string]postgres.Term{"nobody": {}, "one that is gone": led(gone, 1), "one that stands by": led(standing, 2)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := forwarding(t)
			f.leads(before)
			method, body := "POST", "whole"
			if name == "one that stands by" {
				method, body = "GET", "" // of one that it has read the body may be lost
			}
			answer := make(chan *httptest.ResponseRecorder, 1)
			go func() { answer <- ask(f, method, body) }()
			select {
			case w := <-answer:
				t.Fatalf("answered %d %s", w.Code, w.Body)
			case <-time.After(200 * time.Millisecond):
			}
			f.leads(led(leader, 3))
			if w := <-answer; w.Code != http.StatusOK || w.Body.String() != body {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestOwnTurn asks a node that begins to lead while it is asked.
func TestOwnTurn(t *testing.T) {
	t.Parallel()
	f := &shared{}
	forward := newForwarder("self", f.lead, func() (string, error) { return "", errors.New("not asked") }, http.DefaultTransport, slog.New(slog.DiscardHandler))
	f.standby = forward
	forward.leads(postgres.Term{Number: 1, Node: postgres.Node{Name: "self"}})
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() { answer <- ask(f, "GET", "") }()
	ctx, end := context.WithCancel(t.Context())
	var cut atomic.Bool
	entered := make(chan struct{}, 8)
	served := make(chan error, 1)
	go func() {
		served <- f.serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			if r.Method == "GET" {
				_, _ = io.WriteString(w, "own")
				return
			}
			<-r.Context().Done() // a stream
			cut.Store(true)
		}))
	}()
	if w := <-answer; w.Body.String() != "own" {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	<-entered
	// A stream ends with the turn.
	go ask(f, "POST", "")
	<-entered
	end()
	if err := <-served; err != nil || !cut.Load() {
		t.Errorf("served: %v, cut %v", err, cut.Load())
	}
	if f.lead(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) {
		t.Error("leads after its turn")
	}
}

// TestGivesUpAHangingLeader has the leader hang until another leads.
func TestGivesUpAHangingLeader(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	asked := make(chan struct{}, 1)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-over
	}))
	defer hanging.Close()
	defer close(over)
	leader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "next") }))
	defer leader.Close()
	for method, want := range map[string]int{"GET": http.StatusOK, "POST": http.StatusServiceUnavailable} {
		body := map[string]string{"POST": "x"}[method]
		f := forwarding(t)
		f.leads(led(hanging, 1))
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() { answer <- ask(f, method, body) }()
		<-asked
		f.leads(led(leader, 2))
		if w := <-answer; w.Code != want || w.Code != http.StatusOK && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: answered %d %s, want %d", method, w.Code, w.Body, want)
		}
	}
}
