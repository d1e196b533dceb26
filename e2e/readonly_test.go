//go:build unix

package e2e

// This file covers that Penumbra only reads until somebody approves: looking,
// planning and proposing leave the stack's folder as it is, and of a state
// behind an HTTP backend nothing but GET is asked; and what an approval does
// where somebody else holds the state's lock.

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// reads waits until the daemon has looked at the stack n times more.
func (s *site) reads(n int) {
	s.t.Helper()
	seen := map[time.Time]bool{}
	s.until(fmt.Sprintf("%d more reads", n), func() bool {
		var status penumbra.Status
		s.penumbra("status", "-o", "json").ends(0).into(&status)
		for _, x := range status.Stacks {
			seen[x.LastRead] = true
		}
		return len(seen) > n
	})
}

func TestReadingWritesNothing(t *testing.T) {
	s := newSite(t)
	s.edit("penumbra.yaml", "every: 1h", "every: 100ms")
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	s.edit("shop/etc/cache.conf", "listen_port", "log_level = debug\nlisten_port")
	before := s.files(s.dir)
	d := s.watching()
	found := s.drift(queue, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	s.penumbra("customize", p.ID, "--set", "memory_mb=832").ends(0)
	s.penumbra("check", "shop").ends(2)
	s.reads(5)
	s.penumbra("reject", p.ID).ends(0)
	d.stop(15)
	s.same(s.dir, before)
}

// backend is a state behind HTTP, as the tools know it.
type backend struct {
	*httptest.Server
	mu      sync.Mutex
	state   []byte
	holder  string // the lock's information, "" if it is free
	methods []string
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.methods = append(b.methods, r.Method)
	switch r.Method {
	case http.MethodGet:
		if b.state == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = w.Write(b.state)
	case http.MethodPost:
		b.state = body
	case "LOCK":
		if b.holder != "" {
			w.WriteHeader(http.StatusLocked)
			_, _ = io.WriteString(w, b.holder)
			return
		}
		b.holder = string(body)
	case "UNLOCK":
		b.holder = ""
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// asked returns the methods asked for since the last time, each once.
func (b *backend) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Compact(slices.Sorted(slices.Values(b.methods)))
	b.methods = nil
	return list
}

// hold makes somebody else the holder of the lock, or nobody for "".
func (b *backend) hold(info string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holder = info
}

// remote moves the stack's state behind HTTP.
func (s *site) remote() *backend {
	s.t.Helper()
	b := newBackend(s.t)
	s.write("shop/backend.tf", fmt.Sprintf("terraform {\n  backend \"http\" {\n    address        = %[1]q\n    lock_address   = %[1]q\n    unlock_address = %[1]q\n  }\n}\n", b.URL))
	s.tofu("init", "-input=false", "-migrate-state", "-force-copy")
	if !slices.Contains(b.asked(), http.MethodPost) {
		s.t.Fatal("the state was not moved")
	}
	return b
}

func TestRemoteStateIsOnlyAsked(t *testing.T) {
	s := newSite(t)
	b := s.remote()
	s.edit("penumbra.yaml", "every: 1h", "every: 100ms")
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	before := s.files(s.dir)
	s.penumbra("check", "shop").ends(2)
	s.watching()
	p := s.proposal(s.drift(queue, "memory_mb").ID, penumbra.Revert)
	s.reads(3)
	s.same(s.dir, before)
	if got := b.asked(); !slices.Equal(got, []string{http.MethodGet}) {
		t.Fatalf("before any approval: %v", got)
	}
	s.approve(p)
	// The state itself is written only if it is not what it was before the drift.
	if got := b.asked(); !slices.Contains(got, "LOCK") || !slices.Contains(got, "UNLOCK") {
		t.Fatalf("of the approval: %v", got)
	}
	s.holds("shop/etc/queue.conf", "memory_mb = 768")
}

func TestRemoteStateLocked(t *testing.T) {
	s := newSite(t)
	b := s.remote()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	b.hold(`{"ID":"7c1c1a4e-0000-4000-8000-000000000001","Operation":"OperationTypeApply","Info":"","Who":"carol@build","Version":"1.11.4","Created":"2026-03-01T09:00:00Z","Path":""}`)
	s.penumbra("check", "shop").ends(2).tells("memory_mb 768 → 896")
	s.watching()
	found := s.drift(queue, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	r := s.penumbra("approve", p.ID, "--yes").ends(1).tells("locked", "What to do:")
	runs := s.runs()
	if len(runs) != 1 || runs[0].State != penumbra.Failed || !strings.HasPrefix(runs[0].Outcome, "nothing was changed") {
		t.Fatalf("the run: %+v\n%s", runs, r.err)
	}
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
	if slices.Contains(b.asked(), http.MethodPost) {
		t.Fatal("the state was written under somebody else's lock")
	}

	// Once it is free, the same proposal can be approved again.
	b.hold("")
	again := s.proposal(found.ID, penumbra.Revert)
	if again.ID != p.ID {
		t.Errorf("the proposal is %s, and was %s", again.ID, p.ID)
	}
	s.approve(again)
	s.holds("shop/etc/queue.conf", "memory_mb = 768")
}
