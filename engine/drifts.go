package engine

import (
	"context"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// wakeDue ends the snoozes whose time has come.
func (e *Engine) wakeDue(ctx context.Context) error {
	now := e.cfg.Now()
	var woken []penumbra.Drift
	e.mu.Lock()
	for _, r := range e.resources {
		for i := range r.active {
			if d := &r.active[i]; !d.SnoozedUntil.IsZero() && !d.Snoozed(now) {
				d.Wake()
				woken = append(woken, *d)
			}
		}
	}
	e.mu.Unlock()
	e.announce(woken)
	return e.saveDrifts(ctx, woken)
}

// revive opens the drifts again whose acceptance has ended, unless their values
// are no longer there, and returns those that it changed. e.mu is held.
func (r *tracked) revive(at time.Time) []penumbra.Drift {
	var changed []penumbra.Drift
	r.accepted = slices.DeleteFunc(r.accepted, func(d penumbra.Drift) bool {
		if at.Before(d.AcceptedUntil) {
			return false
		}
		d.AcceptedUntil = time.Time{}
		if r.holds(&d) {
			d.Status, d.Resolution, d.ResolvedAt, d.Changed = penumbra.Open, "", time.Time{}, at
			d.AcknowledgedAt, d.AcknowledgedBy = time.Time{}, ""
			d.Wake()
			r.active = append(r.active, d)
		}
		changed = append(changed, d)
		return true
	})
	return changed
}

// holds reports whether all that was accepted is as it was, and no other drift
// has it.
func (r *tracked) holds(d *penumbra.Drift) bool {
	if r.Deleted {
		return false
	}
	for _, f := range d.Findings {
		if f.Path != "" && r.Actual.Get(f.Path) != f.Actual || f.Path == "" && len(r.Actual) > 0 {
			return false
		}
		for i := range r.active {
			if _, other := r.active[i].Finding(f.Path); other {
				return false
			}
		}
	}
	return true
}

// reviveDue judges the resources again that have an acceptance which has ended.
func (e *Engine) reviveDue(ctx context.Context) error {
	now := e.cfg.Now()
	due := func(r *tracked) bool {
		return slices.ContainsFunc(r.accepted, func(d penumbra.Drift) bool { return !now.Before(d.AcceptedUntil) })
	}
	e.mu.RLock()
	any := false
	for _, r := range e.resources {
		any = any || due(r)
	}
	e.mu.RUnlock()
	if !any {
		return nil
	}
	return e.rejudge(ctx, due)
}

// merged returns the drifts of two lists, those of the second in the place of
// those of the first with their identifiers.
func merged(first, second []penumbra.Drift) []penumbra.Drift {
	out := slices.DeleteFunc(first, func(d penumbra.Drift) bool {
		return slices.ContainsFunc(second, func(x penumbra.Drift) bool { return x.ID == d.ID })
	})
	return append(out, second...)
}
