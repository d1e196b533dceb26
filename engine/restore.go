package engine

import (
	"bytes"
	"context"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/catalogue"
)

// restore rebuilds what is known from the store: resources by folding the whole
// timeline, the shadow from its last checkpoint and what came in after it, or
// from the whole timeline if there is none that can be read.
func (e *Engine) restore(ctx context.Context) error {
	shadow, err := e.newShadow()
	if err != nil {
		return err
	}
	from := e.loadCheckpoint(ctx, shadow)
	e.withhold(shadow)
	resources, limits := map[penumbra.Address]*tracked{}, e.cfg.newLimits()
	first := len(e.resources) == 0 // a rebuild has its changes and its network
	recent := e.cfg.Now().Add(-changesFor)
	for o, err := range e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{}) {
		if err != nil {
			return err
		}
		r := resources[o.Resource]
		if r == nil {
			r = &tracked{Resource: penumbra.Resource{Address: o.Resource, Type: o.Type}}
			resources[o.Resource] = r
		}
		r.note(&o)
		limits.Observe(&o)
		before := r.Resource
		e.cfg.Fold(&r.Resource, &o)
		if first {
			if o.Time.After(recent) {
				e.remark(&before, &o, nil)
				e.happened(&o)
			}
			e.learnt(r, &o)
		}
		if from == 0 {
			shadow.Observe(&o)
		}
		e.clock.notBefore(o.Time)
	}
	if from > 0 {
		for o, err := range e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{After: from}) {
			if err != nil {
				return err
			}
			shadow.Observe(&o)
		}
	}
	drifts, err := e.cfg.Store.Drifts(ctx, penumbra.DriftQuery{Active: true})
	if err != nil {
		return err
	}
	e.catalogue.Found(drifts)
	for _, d := range drifts {
		e.news.goesOn(d.ID, d.Resource.Stack())
		if r := resources[d.Resource]; r != nil {
			r.active = append(r.active, d)
		}
	}
	anomalies, err := e.cfg.Store.Anomalies(ctx, penumbra.AnomalyQuery{Active: true})
	if err != nil {
		return err
	}
	e.catalogue.Noticed(anomalies)
	for i := range anomalies {
		e.news.goesOn(anomalies[i].ID, anomalies[i].Resource.Stack())
	}
	accepted, err := e.cfg.Store.Drifts(ctx, penumbra.DriftQuery{Accepted: true})
	if err != nil {
		return err
	}
	for _, d := range accepted {
		if r := resources[d.Resource]; r != nil {
			r.accepted = append(r.accepted, d)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for address, r := range e.resources {
		if now := resources[address]; now != nil {
			now.metered = r.metered
		}
	}
	e.shadow, e.resources, e.limits, e.late = shadow, resources, limits, false
	clear(e.behind)
	e.restored++
	e.remember()
	e.catalogue.Reset(func(yield func(catalogue.Line) bool) {
		for _, r := range e.resources {
			if !yield(r.line()) {
				return
			}
		}
	})
	if e.cfg.Mapper != nil {
		for _, r := range resources {
			e.cfg.Mapper.Know(&r.Resource)
		}
	}
	return nil
}

// remember gives each resource the verdict it had when it was last looked at,
// without touching its drifts: until the next look nothing better is known.
// e.mu is held.
func (e *Engine) remember() {
	for _, r := range e.resources {
		if r.Deleted || r.SnapshotTime.IsZero() && r.NotChecked == "" {
			continue
		}
		a, _ := e.assess(r, nil, r.last)
		r.verdict = a.Verdict()
	}
}

// loadCheckpoint reads the shadow's checkpoint and returns the sequence that is
// in it, 0 if there is none to use.
func (e *Engine) loadCheckpoint(ctx context.Context, shadow Shadow) int64 {
	saver, ok := shadow.(Checkpointer)
	if !ok || e.late {
		return 0
	}
	c, err := e.cfg.Store.Checkpoint(ctx, e.model.checkpoint())
	if err == nil && len(c.Data) == 0 {
		return 0 // it was dropped
	}
	if err == nil {
		_, err = saver.ReadFrom(bytes.NewReader(c.Data))
	}
	switch {
	case err == nil:
		return c.Sequence
	case penumbra.KindOf(err) != penumbra.NotFound:
		e.log.Warn("the shadow's checkpoint cannot be used; it is rebuilt from the timeline", "error", err)
	}
	return 0
}
