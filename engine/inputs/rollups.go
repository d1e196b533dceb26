package inputs

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// What is kept of metrics, and for how long: at 1 minute 2,880 values a series,
// at 1 hour 9,600. One that is open is written when it has changed and was not
// for a while, and when it is closed: that is what a kill may cost of the
// minute and of the hour that are open. A stop costs nothing.
var rollupSpans = [...]struct{ span, kept, written time.Duration }{
	{time.Minute, 48 * time.Hour, 30 * time.Second},
	{time.Hour, 400 * 24 * time.Hour, 5 * time.Minute},
}

// rollups are those that are open or have yet to be stored.
type rollups struct {
	saving sync.Mutex // held while storing, so that what is newer comes later

	mu      sync.Mutex
	open    map[rollupKey]*openRollup
	full    []penumbra.Rollup // closed, to be stored
	pruned  time.Time
	metered map[penumbra.Address]bool // resources that have metrics
}

type rollupKey struct {
	metricKey
	span time.Duration
}

// openRollup is one that more values may come to.
type openRollup struct {
	penumbra.Rollup
	changed bool // since it was written
	due     time.Time
}

// add takes a value into the rollups of its metric.
func (m *rollups) add(key metricKey, p penumbra.Point, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, kept := range rollupSpans {
		k := rollupKey{key, kept.span}
		start := p.Time.UTC().Truncate(kept.span)
		r := m.open[k]
		if r != nil && start.Before(r.Start) {
			continue // its span is closed
		}
		if r == nil {
			// At a time of its own, so that not all series are written at once.
			r = &openRollup{due: now.Add(rand.N(kept.written))}
			m.open[k] = r
		}
		if start.After(r.Start) {
			if r.Count > 0 {
				m.full = append(m.full, r.Rollup)
			}
			m.metered[key.resource] = true
			r.Rollup = penumbra.Rollup{Resource: key.resource, Metric: key.metric, Start: start, Span: kept.span, Min: p.Value, Max: p.Value}
		}
		r.changed = true
		r.Count++
		r.Sum += p.Value
		r.Min, r.Max, r.Last = min(r.Min, p.Value), max(r.Max, p.Value), p.Value
	}
}

// drain returns the rollups that were closed and, beside them, those that are
// open, have changed and are due, or have changed.
func (m *rollups) drain(now time.Time, all bool) (closed, open []penumbra.Rollup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	closed, m.full = m.full, nil
	for _, kept := range rollupSpans {
		next := now.Add(kept.written)
		for k, r := range m.open {
			if k.span == kept.span && r.changed && (all || !now.Before(r.due)) {
				r.changed, r.due = false, next
				open = append(open, r.Rollup)
			}
		}
	}
	return closed, open
}

// restore takes back what was drained and could not be stored.
func (m *rollups) restore(closed, open []penumbra.Rollup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = append(closed, m.full...)
	for i := range open {
		if r := m.open[rollupKey{metricKey{open[i].Resource, open[i].Metric}, open[i].Span}]; r != nil {
			r.changed, r.due = true, time.Time{}
		}
	}
}

// prunes reports whether old rollups should be deleted now.
func (m *rollups) prunes(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.pruned) < time.Hour {
		return false
	}
	m.pruned = now
	return true
}

// saveRollups stores what is closed, and of what is open that which is due, or
// all that has changed.
func (k *Intake) saveRollups(ctx context.Context, all bool) error {
	m := &k.meters.rollups
	m.saving.Lock()
	now := k.cfg.Now().UTC()
	closed, open := m.drain(now, all)
	if len(closed)+len(open) == 0 {
		m.saving.Unlock()
		return nil
	}
	err := k.cfg.Store.SaveRollups(ctx, append(slices.Clone(closed), open...))
	if err != nil {
		m.restore(closed, open)
	}
	m.saving.Unlock()
	if err != nil {
		return err
	}
	k.watched(closed)
	if m.prunes(now) {
		for _, kept := range rollupSpans {
			if err := k.cfg.Store.PruneRollups(ctx, kept.span, now.Add(-kept.kept)); err != nil {
				return err
			}
		}
	}
	return k.tellHours(ctx, closed)
}

// watched tells which metrics were watched, by the minutes that are over.
func (k *Intake) watched(closed []penumbra.Rollup) {
	if k.cfg.Watched == nil {
		return
	}
	for _, r := range closed {
		if r.Span == time.Minute {
			k.cfg.Watched(r.Resource, r.Metric, r.Span/time.Duration(max(1, r.Count)), r.Start.Add(r.Span))
		}
	}
}

// Rollups returns what is kept of metrics, and of what is open that which is not
// stored yet.
func (k *Intake) Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	// Before the store is asked: what is stored meanwhile is in both.
	newer := k.meters.rollups.unstored(q)
	stored, err := k.cfg.Store.Rollups(ctx, q)
	if err != nil || len(newer) == 0 {
		return stored, err
	}
	type place struct {
		rollupKey
		start time.Time
	}
	placeOf := func(r *penumbra.Rollup) place {
		return place{rollupKey{metricKey{r.Resource, r.Metric}, r.Span}, r.Start}
	}
	last := make(map[place]*penumbra.Rollup, len(newer))
	for i := range newer {
		last[placeOf(&newer[i])] = &newer[i]
	}
	for i := range stored {
		if r := last[placeOf(&stored[i])]; r != nil {
			if r.Count > stored[i].Count {
				stored[i] = *r
			}
			delete(last, placeOf(&stored[i]))
		}
	}
	for _, r := range last {
		stored = append(stored, *r)
	}
	slices.SortFunc(stored, func(a, b penumbra.Rollup) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Span, b.Span))
	})
	return stored, nil
}

// unstored returns the rollups selected that the store does not have as they are.
func (m *rollups) unstored(q penumbra.RollupQuery) (out []penumbra.Rollup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add := func(r *penumbra.Rollup) {
		if (q.Resource == "" || r.Resource == q.Resource) && (q.Metric == "" || r.Metric == q.Metric) && (q.Span == 0 || r.Span == q.Span) &&
			!r.Start.Before(q.From) && (q.To.IsZero() || r.Start.Before(q.To)) {
			out = append(out, *r)
		}
	}
	for i := range m.full {
		add(&m.full[i])
	}
	for _, r := range m.open {
		if r.changed {
			add(&r.Rollup)
		}
	}
	return out
}

// LoadRollups reads back the rollups that were open.
func (k *Intake) LoadRollups(ctx context.Context) error {
	now := k.cfg.Now().UTC()
	for _, kept := range rollupSpans {
		stored, err := k.cfg.Store.Rollups(ctx, penumbra.RollupQuery{Span: kept.span, From: now.Truncate(kept.span)})
		if err != nil {
			return err
		}
		for _, r := range stored {
			k.meters.rollups.open[rollupKey{metricKey{r.Resource, r.Metric}, r.Span}] = &openRollup{Rollup: r, due: now.Add(rand.N(kept.written))}
		}
	}
	return nil
}
