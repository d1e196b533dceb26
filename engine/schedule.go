package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"github.com/penumbra-iac/penumbra"
)

// Schedule says how often a source is read.
type Schedule struct {
	// Every is the period of the snapshots, 5 minutes if zero.
	Every time.Duration
	// Jitter spreads the period by this share either way, 0.1 if zero, so that
	// stacks do not fall into step.
	Jitter float64
	// Gap and Burst are the budget of a source: a read each Gap in the long
	// run, Burst of them at once at the most. 15 seconds and 4 if zero. Events
	// that ask for more are coalesced into the next read.
	Gap   time.Duration
	Burst int
	// ReadTimeout bounds one read, 15 minutes if zero.
	ReadTimeout time.Duration
}

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
		s.ReadTimeout = 15 * time.Minute
	}
	return s
}

// stack is a stack at work.
type stack struct {
	Stack
	remediator Remediator
	budget     *rate.Limiter
	woken      chan struct{} // holds at most one wish: further ones are coalesced
	work       sync.Mutex    // one tool at a time works on a stack: read, plan or apply

	mu     sync.Mutex
	status penumbra.StackStatus
}

func newStack(s Stack, schedule Schedule) *stack {
	if s.Every == 0 {
		s.Every = schedule.Every
	}
	return &stack{
		Stack:  s,
		budget: rate.NewLimiter(rate.Every(schedule.Gap), schedule.Burst),
		woken:  make(chan struct{}, 1),
		status: penumbra.StackStatus{Name: s.Name, Dir: s.Dir, Source: s.Technology},
	}
}

// wake asks for a read soon. It never blocks.
func (s *stack) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// watch reads one stack: at once, then by the clock and whenever it is woken,
// within its budget. A read that failed for a passing reason is tried again
// with back-off; the resources are not checked in the meantime.
func (e *Engine) watch(ctx context.Context, s *stack) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = e.cfg.Schedule.Gap
	retry.MaxInterval = max(s.Every, e.cfg.Schedule.Gap)
	for {
		if err := s.budget.Wait(ctx); err != nil {
			return nil // ctx ended
		}
		wait := e.spread(s.Every)
		err := e.read(ctx, s)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			retry.Reset()
		case penumbra.KindOf(err).Retry():
			wait = min(wait, retry.NextBackOff())
		}
		e.setNext(s, wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-s.woken:
			timer.Stop()
		}
	}
}

// spread returns d, jittered.
func (e *Engine) spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + e.cfg.Schedule.Jitter*(2*rand.Float64()-1)))
}

func (e *Engine) setNext(s *stack, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.NextRead = e.cfg.Now().Add(wait).UTC()
}

// read takes one turn of the loop for a whole stack.
func (e *Engine) read(ctx context.Context, s *stack) error {
	s.work.Lock()
	defer s.work.Unlock()
	return e.readHeld(ctx, s)
}

// readHeld is read for a caller that holds s.work.
func (e *Engine) readHeld(ctx context.Context, s *stack) (err error) {
	started := time.Now()
	s.mu.Lock()
	s.status.Reading = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.status.Reading = false
		s.status.Took = time.Since(started)
		s.status.Error = ""
		switch {
		case err == nil:
			s.status.LastRead = e.cfg.Now().UTC()
		case !errors.Is(err, context.Canceled):
			s.status.Error = penumbra.Redact(err.Error())
		}
	}()
	reading, cancel := context.WithTimeout(ctx, e.cfg.Schedule.ReadTimeout)
	defer cancel()
	observations, err := s.Source.Read(reading)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		e.log.Warn("a stack could not be read", "stack", s.Name, "error", penumbra.Redact(err.Error()))
		return errors.Join(err, e.notChecked(ctx, s, err))
	}
	return e.turn(ctx, s, observations)
}
