package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// How acts are counted that come in floods. The first of its kind is written with
// the next flush, those that follow within the window together when it is over.
const (
	FlushEvery   = 2 * time.Second
	readWindow   = time.Minute
	refuseWindow = 10 * time.Minute
	// mostTallies bounds how many kinds are told apart at a time; what is beyond is
	// counted by act and outcome alone.
	mostTallies = 1000
	mostTargets = 100 // that one entry names
)

// tallyKey is what acts have in common that are counted together.
type tallyKey struct {
	principal, from, via string
	act                  penumbra.Act
	stack                string
	outcome              penumbra.AuditOutcome
}

// tally counts acts of one kind.
type tally struct {
	entry   penumbra.AuditEntry // of the first that is not written yet
	count   int
	targets []string // in the order in which they came
	named   map[string]bool
	more    int       // times that it was on a target which is not named
	written time.Time // when it was last, zero if never
}

// FromDetail is the detail that says which address a caller had. Of a caller that
// nobody made sure of it is what tells it from others.
const FromDetail = "from"

// Count records an act that may come in floods: a refusal, or a read of something
// sensitive. Like ones are written as one entry that says how many they were and on
// what. It is written within seconds, by [Log.Run] or [Log.Flush]; the error says
// that the ones before could not be, so that what must not be done unrecorded is
// refused.
func (l *Log) Count(ctx context.Context, e penumbra.AuditEntry) error {
	attribute(ctx, &e)
	key := tallyKey{principal: e.Principal, via: e.Via, act: e.Act, stack: e.Target.Stack, outcome: e.Outcome}
	if e.Principal == "" {
		key.from = e.Details[FromDetail]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tallies[key]
	if t == nil && len(l.tallies) >= mostTallies {
		e = penumbra.AuditEntry{Act: e.Act, Outcome: e.Outcome, Details: map[string]string{"callers": "more than are told apart"}}
		key = tallyKey{act: e.Act, outcome: e.Outcome}
		t = l.tallies[key]
	}
	if t == nil {
		t = &tally{}
		l.tallies[key] = t
	}
	if t.count == 0 {
		t.entry = e
		t.entry.Time = l.now()
	}
	t.count++
	t.target(e.Target.ID)
	return l.failed
}

// target takes down what an act was on.
func (t *tally) target(id string) {
	switch {
	case id == "" || t.named[id]:
	case len(t.targets) < mostTargets:
		if t.named == nil {
			t.named = map[string]bool{}
		}
		t.named[id] = true
		t.targets = append(t.targets, id)
	default:
		t.more++
	}
}

// sum returns the entry that stands for what was counted.
func (t *tally) sum() penumbra.AuditEntry {
	e := t.entry
	e.Count = t.count
	if len(t.targets) < 2 && t.more == 0 {
		return e
	}
	e.Target.ID = ""
	e.Details = maps.Clone(e.Details)
	if e.Details == nil {
		e.Details = map[string]string{}
	}
	on := strings.Join(t.targets, ", ")
	if t.more > 0 {
		on += fmt.Sprintf(" and more, %d times", t.more)
	}
	e.Details["on"] = on
	return e
}

// Flush writes what was counted and is due; all of it if everything is set.
func (l *Log) Flush(ctx context.Context, everything bool) error {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	now := l.now()
	due, entries := l.due(now, everything)
	if len(entries) == 0 {
		return nil
	}
	err := l.append(ctx, entries)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
	for key, sum := range due {
		t := l.tallies[key]
		if err != nil {
			for _, id := range t.targets {
				sum.target(id)
			}
			sum.count += t.count
			sum.more += t.more
			*t = sum // it is tried again
			continue
		}
		t.written = now
	}
	return err
}

// due takes out what is to be written now, in an order that is always the same,
// and drops the kinds that are over.
func (l *Log) due(now time.Time, everything bool) (map[tallyKey]tally, []penumbra.AuditEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := map[tallyKey]tally{}
	var entries []penumbra.AuditEntry
	for key, t := range l.tallies {
		window := readWindow
		if key.outcome == penumbra.AuditRefused {
			window = refuseWindow
		}
		open := !t.written.IsZero() && now.Sub(t.written) < window && !now.Before(t.written)
		switch {
		case t.count == 0 && !open:
			delete(l.tallies, key)
		case t.count == 0 || open && !everything:
		default:
			due[key] = *t
			entries = append(entries, t.sum())
			*t = tally{written: t.written}
		}
	}
	slices.SortFunc(entries, func(a, b penumbra.AuditEntry) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(string(a.Act)+a.Principal+a.Target.Stack, string(b.Act)+b.Principal+b.Target.Stack)
	})
	return due, entries
}

// Run writes what is counted until ctx ends, and then what is left.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.Flush(context.WithoutCancel(ctx), true)
		case <-tick.C:
			if err := l.Flush(ctx, false); err != nil && ctx.Err() == nil {
				l.log.Error("the audit log cannot be written; sensitive data is not shown until it can", "error", err)
			}
		}
	}
}
