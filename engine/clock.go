package engine

import (
	"log/slog"
	"sync"
	"time"
)

// jump is how far the clock may step between two readings before it is worth a
// word. Reads are minutes apart, so only steps backwards are told from waiting;
// those are never a matter of waiting.
const jump = time.Minute

// clock gives times that never go back. Order in a timeline is by time, and a
// machine's clock can be set back: the readings then stand still, one
// nanosecond apart, until the clock has caught up.
type clock struct {
	read func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	last   time.Time
	warned bool
}

func newClock(read func() time.Time, log *slog.Logger) *clock {
	return &clock{read: read, log: log}
}

// now returns the time in UTC, later than any it returned before.
func (c *clock) now() time.Time {
	t := c.read().UTC().Round(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.After(c.last) {
		if behind := c.last.Sub(t); behind > jump && !c.warned {
			c.warned = true
			c.log.Warn("the clock is behind what is already recorded; times stand still until it has caught up", "behind", behind, "remedy", "check the machine's time synchronisation")
		}
		t = c.last.Add(time.Nanosecond)
	} else {
		c.warned = false
	}
	c.last = t
	return t
}

// notBefore makes all later readings come after t, which a stored observation
// has: a restart must not go back behind what is recorded.
func (c *clock) notBefore(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.last) {
		c.last = t
	}
}

// ahead reports whether t is after everything the clock has given so far.
func (c *clock) ahead(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.After(c.last)
}
