package notify

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/penumbra-iac/penumbra"
)

// sendTimeout bounds one attempt, downPause is for how long a channel rests that
// failed twice in a row.
const (
	sendTimeout = 30 * time.Second
	downPause   = 30 * time.Second
)

// carry sends a channel's notices until ctx ends.
func (t *Teller) carry(ctx context.Context, c *channel) {
	for {
		next, err := t.Deliver(ctx, c.Name)
		if err != nil && ctx.Err() == nil {
			t.log.Error("notices could not be read or kept; they are tried again", "channel", c.Name, "error", err)
		}
		if !pause(ctx, min(max(next.Sub(t.now()), 50*time.Millisecond), idle), c.wake) {
			return
		}
	}
}

// Deliver sends what of a channel is due, the gravest first, and returns when
// something is due next.
func (t *Teller) Deliver(ctx context.Context, name string) (next time.Time, err error) {
	c := t.channel(name)
	if c == nil {
		return next, noChannel(name)
	}
	next = t.now().Add(idle)
	sooner := func(at time.Time) {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	at, err := t.release(ctx, c)
	if err != nil {
		return next, err
	}
	sooner(at)
	for failures := 0; ctx.Err() == nil; {
		n, at, err := t.take(ctx, c)
		if err != nil {
			return next, err
		}
		if n == nil {
			sooner(at)
			return next, nil
		}
		failed, err := t.attempt(ctx, c, n)
		if err != nil {
			return next, err
		}
		if !failed {
			failures = 0
		} else if failures++; failures == 2 {
			return t.now().Add(downPause), nil
		}
	}
	return next, ctx.Err()
}

// release lets go what was held, in one digest, once the channel is neither quiet nor
// above its rate. It returns when that will be.
func (t *Teller) release(ctx context.Context, c *channel) (next time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held, err := t.cfg.Outbox.Notices(ctx, penumbra.NoticeQuery{Channel: c.Name, States: []penumbra.NoticeState{penumbra.NoticeHeld}})
	if err != nil || len(held) == 0 {
		return next, err
	}
	now := t.now()
	if until := c.quiet(now); !until.IsZero() {
		return until, nil
	}
	if wait := c.wait(now); wait > 0 {
		return now.Add(wait), nil
	}
	if len(held) == 1 && held[0].Verb != penumbra.NoticeResolved {
		held[0].State, held[0].Next = penumbra.NoticeWaiting, now
		return next, t.cfg.Outbox.Tell(ctx, nil, held)
	}
	n := digestOf(c, held, now)
	for i := range held {
		held[i].State, held[i].Folds = penumbra.NoticeFolded, []string{n.ID} // by which it is told
	}
	return next, t.cfg.Outbox.Tell(ctx, nil, append(held, n))
}

// wait returns how long until the rate lets a notice go.
func (c *channel) wait(now time.Time) time.Duration {
	if c.Rate <= 0 {
		return 0
	}
	missing := 1 - c.limit.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(c.limit.Limit()) * float64(time.Second))
}

// take picks the notice to be sent next, nil if none is due, and when one will be.
// What is above the rate is held for a digest, unless it is critical.
func (t *Teller) take(ctx context.Context, c *channel) (n *penumbra.Notice, next time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, err := t.cfg.Outbox.Notices(ctx, penumbra.NoticeQuery{Channel: c.Name, States: []penumbra.NoticeState{penumbra.NoticeWaiting}})
	if err != nil {
		return nil, next, err
	}
	slices.SortFunc(waiting, func(a, b penumbra.Notice) int { return penumbra.CompareNotices(&a, &b) })
	now := t.now()
	var held []penumbra.Notice
	for i := range waiting {
		x := &waiting[i]
		if x.Next.After(now) {
			if next.IsZero() || x.Next.Before(next) {
				next = x.Next
			}
			continue
		}
		if n != nil {
			continue
		}
		if c.Rate > 0 && x.Attempts == 0 && !c.keeps() && !c.limit.AllowN(now, 1) {
			if x.Severity == penumbra.CriticalSeverity || x.About == penumbra.AboutDigest || x.About == penumbra.AboutTest {
				next = now.Add(c.wait(now))
				break
			}
			x.State = penumbra.NoticeHeld
			held = append(held, *x)
			continue
		}
		n = x
		c.sending = x.ID
	}
	if len(held) > 0 {
		if next.IsZero() || now.Add(c.wait(now)).Before(next) {
			next = now.Add(c.wait(now))
		}
		err = t.cfg.Outbox.Tell(ctx, nil, held)
	}
	return n, next, err
}

// attempt sends a notice once and stores what became of it. A stop or a kill before
// that is stored has it sent again, with the same identifier.
func (t *Teller) attempt(ctx context.Context, c *channel, n *penumbra.Notice) (failed bool, err error) {
	began := time.Now()
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	thread, failure := c.Sender.Send(sending, n)
	cancel()
	if failure != nil && ctx.Err() != nil {
		c.mu.Lock()
		c.sending = ""
		c.mu.Unlock()
		return true, ctx.Err() // it is stopped, and nobody knows whether it arrived
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.sending = "" }()
	now := t.now()
	n.Attempts++
	outcome := "sent"
	switch {
	case failure == nil:
		n.State, n.Sent, n.Error, n.Next = penumbra.NoticeSent, now, "", time.Time{}
		if thread != "" {
			n.Thread = thread
		}
		t.log.Info("told", "channel", c.Name, "notice", n.ID, "about", string(n.About), "verb", string(n.Verb), "severity", n.Severity.String())
	case !penumbra.KindOf(failure).Retry() || n.Attempts >= t.cfg.Retries:
		outcome = "dead"
		n.State, n.Error, n.Next = penumbra.NoticeDead, penumbra.Redact(failure.Error()), time.Time{}
		t.log.Error("a notice was not delivered and is given up", "channel", c.Name, "notice", n.ID, "attempts", n.Attempts, "error", n.Error,
			"remedy", "correct the channel, then `penumbra notify resend "+n.ID+"`")
	default:
		outcome = "failed"
		n.Error, n.Next = penumbra.Redact(failure.Error()), now.Add(max(pauseAfter(n.Attempts), asked(failure)))
		t.log.Warn("a notice was not delivered; it is sent again", "channel", c.Name, "notice", n.ID, "attempts", n.Attempts, "error", n.Error, "next", n.Next)
	}
	t.cfg.Observe(c.Name, outcome, time.Since(began))
	// What was sent is noted also while everything stops, or it would be sent again.
	return failure != nil, t.cfg.Outbox.Tell(context.WithoutCancel(ctx), nil, []penumbra.Notice{*n})
}

// pauseAfter returns how long to wait after so many attempts: 5 seconds, then three
// times as long each time, up to 4 hours.
func pauseAfter(attempts int) time.Duration {
	b := &backoff.ExponentialBackOff{InitialInterval: 5 * time.Second, RandomizationFactor: 0.3, Multiplier: 3, MaxInterval: 4 * time.Hour}
	b.Reset()
	var d time.Duration
	for range attempts {
		d = b.NextBackOff()
	}
	return d
}

// asked returns how long the receiver asked to wait, at most 4 hours.
func asked(err error) time.Duration {
	var x interface{ RetryAfter() time.Duration }
	if errors.As(err, &x) {
		return min(x.RetryAfter(), 4*time.Hour)
	}
	return 0
}
