package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"github.com/penumbra-iac/penumbra"
)

// Schedule says how often a source is read.
type Schedule struct {
	// Every is the period of the snapshots, 5 minutes if zero. A reader may have
	// another, and its resources other ones still: see [Cadence].
	Every time.Duration
	// Jitter spreads the period by this share either way, 0.1 if zero, so that
	// stacks do not fall into step.
	Jitter float64
	// Gap and Burst are the budget of a source: a read each Gap in the long
	// run, Burst of them at once at the most. 15 seconds and 4 if zero. Events
	// that ask for more are coalesced into the next read.
	Gap   time.Duration
	Burst int
	// ReadTimeout bounds one read, [DefaultReadTimeout] if zero.
	ReadTimeout time.Duration
}

// DefaultReadTimeout bounds a read where nothing else is said.
const DefaultReadTimeout = 15 * time.Minute

func (s Schedule) withDefaults() Schedule {
	if s.Every == 0 {
		s.Every = 5 * time.Minute
	}
	if s.Jitter == 0 {
		s.Jitter = 0.1
	}
	if s.Gap == 0 {
		s.Gap = 15 * time.Second
	}
	if s.Burst == 0 {
		s.Burst = 4
	}
	if s.ReadTimeout == 0 {
		s.ReadTimeout = DefaultReadTimeout
	}
	return s
}

// stack is a stack at work.
type stack struct {
	Stack
	sources []*source
	// work is held by whoever plans or applies: one tool at a time works on a
	// stack. Reads share it.
	work sync.RWMutex
}

// source is a reader at work.
type source struct {
	Reader
	budget  *rate.Limiter
	woken   chan struct{} // holds at most one wish: further ones are coalesced
	reading sync.Mutex    // one read at a time

	mu     sync.Mutex
	status penumbra.SourceStatus
	agenda agenda
}

func newStack(s Stack, schedule Schedule) *stack {
	out := &stack{Stack: s}
	for _, r := range s.Readers {
		if r.Every == 0 {
			r.Every = schedule.Every
		}
		if r.Gap == 0 {
			r.Gap = schedule.Gap
		}
		if r.Burst == 0 {
			r.Burst = schedule.Burst
		}
		_, targeted := r.Source.(Targeted)
		out.sources = append(out.sources, &source{
			Reader: r,
			budget: rate.NewLimiter(rate.Every(r.Gap), r.Burst),
			woken:  make(chan struct{}, 1),
			status: penumbra.SourceStatus{Name: r.Name, Every: r.Every, Targeted: targeted},
			agenda: agenda{every: r.Every, gap: r.Gap, jitter: schedule.Jitter, rules: r.Cadence, targeted: targeted},
		})
	}
	return out
}

// live reports whether anything reads the stack.
func (s *stack) live() bool { return s != nil && len(s.sources) > 0 }

// reads reports whether a source reads a resource, as far as is known: one that
// no source of the stack has read yet may be anybody's.
func (s *stack) reads(src *source, r *tracked) bool {
	return slices.Contains(r.claims, src.Name) || !s.claims(r, nil)
}

// claims reports whether a source of the stack other than one has read r.
func (s *stack) claims(r *tracked, other *source) bool {
	return slices.ContainsFunc(s.sources, func(x *source) bool { return x != other && slices.Contains(r.claims, x.Name) })
}

// wake asks for a read soon. It never blocks.
func (s *source) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// failing reports whether the last read failed.
func (s *source) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Error != ""
}

// watch reads one source: at once, then what of it is due by the clock, and all of
// it whenever it is woken, within its budget: an event tells of one resource, and
// what was done with it may be seen on others. A read that failed for a passing
// reason is tried again with back-off; the resources are not checked in the
// meantime.
func (e *Engine) watch(ctx context.Context, s *stack, src *source) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = src.Gap
	retry.MaxInterval = max(src.Every, src.Gap)
	src.planned(func(a *agenda) { a.kept = true })
	for ask := (request{all: true}); ; {
		if err := src.budget.Wait(ctx); err != nil {
			return nil // ctx ended
		}
		select {
		case <-src.woken: // while the budget was waited for
			ask = request{all: true}
		default:
			src.planned(func(a *agenda) { ask = ask.with(a.due(time.Now())) })
		}
		err := e.read(ctx, s, src, ask)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			retry.Reset()
		case penumbra.KindOf(err).Retry():
			src.planned(func(a *agenda) { a.again, a.retry = ask, time.Now().Add(retry.NextBackOff()) })
		}
		if ask = src.await(ctx); ask.isNothing() {
			return nil
		}
	}
}

// await returns what is to be read next, once it is due or the source is woken;
// nothing if ctx ends before.
func (s *source) await(ctx context.Context) (ask request) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var wait time.Duration
		s.planned(func(a *agenda) { wait = time.Until(a.next()) })
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return request{}
		case <-s.woken:
			return request{all: true}
		case <-timer.C:
		}
		// Nothing, if somebody else has read it in the meantime.
		if s.planned(func(a *agenda) { ask = a.due(time.Now()) }); !ask.isNothing() {
			return ask
		}
	}
}

// planned works on the agenda.
func (s *source) planned(work func(*agenda)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	work(&s.agenda)
}

// read takes one turn of the loop for what is asked of a source.
func (e *Engine) read(ctx context.Context, s *stack, src *source, ask request) error {
	s.work.RLock()
	defer s.work.RUnlock()
	return e.readHeld(ctx, s, src, ask)
}

// readAllHeld reads every source of a stack, for a caller that holds s.work. All
// are read though one fails.
func (e *Engine) readAllHeld(ctx context.Context, s *stack) error {
	var failed error
	for _, src := range s.sources {
		failed = errors.Join(failed, e.readHeld(ctx, s, src, request{all: true, here: true}))
	}
	return failed
}

// readHeld is read for a caller that holds s.work.
func (e *Engine) readHeld(ctx context.Context, s *stack, src *source, ask request) (err error) {
	src.reading.Lock()
	defer src.reading.Unlock()
	ctx, end := e.cfg.Begin(ctx, "loop", s.Name, "source", src.Name)
	defer func() { end(err) }()
	started := time.Now()
	src.mu.Lock()
	src.status.Reading = true
	src.mu.Unlock()
	defer func() {
		src.mu.Lock()
		defer src.mu.Unlock()
		src.status.Reading = false
		src.status.Took = time.Since(started)
		switch {
		case err == nil:
			src.status.LastRead, src.status.Error, src.status.Failures = e.cfg.Now().UTC(), "", 0
		case !errors.Is(err, context.Canceled):
			src.status.Error = penumbra.Redact(err.Error())
			src.status.Failures++
			src.agenda.failed(ask, time.Now())
		default:
			return
		}
		e.news.publish(sourceNews(s.Name, src.Name, err))
	}()
	began := e.clock.now()
	reading, cancel := context.WithTimeout(ctx, e.cfg.Schedule.ReadTimeout)
	defer cancel()
	asking, asked := e.cfg.Begin(reading, "read", s.Name, "source", src.Name)
	observations, err := src.ask(asking, ask)
	asked(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		e.log.Warn("a source could not be read", "stack", s.Name, "source", src.Name, "error", penumbra.Redact(err.Error()))
		return errors.Join(err, e.notChecked(ctx, s, src, ask, err))
	}
	for i := range observations {
		observations[i].Source = src.Name // two of one technology are two sources
	}
	src.planned(func(a *agenda) { a.done(ask, observations, time.Now()) })
	return e.turn(ctx, s, src, ask, observations, began)
}

// ask reads what is asked for.
func (s *source) ask(ctx context.Context, ask request) ([]penumbra.Observation, error) {
	if some, ok := s.Source.(Targeted); ok && !ask.all {
		return some.ReadSome(ctx, ask.some)
	}
	if distant, ok := s.Source.(Distant); ok && ask.here {
		return distant.ReadHere(ctx)
	}
	return s.Source.Read(ctx)
}

// wake asks the sources of resources for a look at them.
func (e *Engine) wake(resources map[penumbra.Address]bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for address := range resources {
		s, r := e.stacks[address.Stack()], e.resources[address]
		if s == nil || r == nil {
			continue
		}
		for _, src := range s.sources {
			if s.reads(src, r) {
				src.wake()
			}
		}
	}
}
