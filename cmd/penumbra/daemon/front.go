package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// front is where a daemon answers.
type front interface {
	// serve answers with h until ctx ends. When it returns no request that h was asked is
	// at work any more.
	serve(ctx context.Context, h http.Handler) error
	addr() net.Addr
}

// lastRequests is how long requests at work are waited for in the end.
const lastRequests = 5 * time.Second

// alone is the front of a daemon that shares its store with no other.
type alone struct {
	listener net.Listener
	log      *slog.Logger
}

func (f alone) addr() net.Addr { return f.listener.Addr() }

func (f alone) serve(ctx context.Context, h http.Handler) error {
	server := newServer(h, f.log)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(f.listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRequests)
	defer cancel()
	err := server.Shutdown(closing)
	if err != nil {
		err = server.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// shared is the front of a node: what it is asked goes to whoever leads.
type shared struct {
	listener net.Listener
	standby  http.Handler // while another leads
	leading  atomic.Pointer[leading]
}

// leading is a handler for the time in which this node leads.
type leading struct {
	handler http.Handler
	over    context.Context
	work    sync.WaitGroup
	mu      sync.Mutex
	closed  bool
}

// enter counts a request in; it reports false once the time is over.
func (l *leading) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.work.Add(1)
	}
	return !l.closed
}

func (f *shared) addr() net.Addr { return f.listener.Addr() }

// ServeHTTP implements [http.Handler].
func (f *shared) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.lead(w, r) {
		f.standby.ServeHTTP(w, r)
	}
}

// lead answers if this node leads, and reports whether it did.
func (f *shared) lead(w http.ResponseWriter, r *http.Request) bool {
	l := f.leading.Load()
	if l == nil || !l.enter() {
		return false
	}
	defer l.work.Done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(l.over, cancel)()
	l.handler.ServeHTTP(w, r.WithContext(ctx))
	return true
}

// lastOfTurn is how long requests at work are waited for when a turn ends: another node
// waits for it, and streams do not end by themselves.
const lastOfTurn = time.Second

// serve answers with h in the place of passing on. When ctx ends, requests at work are
// waited for a little, and then given up: another node may lead by now.
func (f *shared) serve(ctx context.Context, h http.Handler) error {
	over, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	l := &leading{handler: h, over: over}
	f.leading.Store(l)
	<-ctx.Done()
	f.leading.Store(nil)
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		l.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(lastOfTurn):
	}
	end()
	<-done
	return nil
}
