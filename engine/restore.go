package engine

import (
	"bytes"
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/catalogue"
)

// begin rebuilds what is known: from the past that is at hand if it is of the model
// that serves, otherwise from the store.
func (e *Engine) begin(ctx context.Context) error {
	if p := e.cfg.Past; p != nil && !p.broken {
		e.cfg.Past = nil
		if err := p.catchUp(ctx, e.cfg.Store); err != nil {
			return err
		}
		if !p.broken && p.engine.model.same(&e.model) {
			e.inherit(p)
			return e.know(ctx, p.past)
		}
	}
	return e.restore(ctx)
}

// restore rebuilds what is known from the store: resources by folding the whole
// timeline, the shadow from its last checkpoint and what came in after it, or
// from the whole timeline if there is none that can be read.
func (e *Engine) restore(ctx context.Context) error {
	p, err := e.fold(ctx, 0)
	if err != nil {
		return err
	}
	return e.know(ctx, p)
}

// past is what the timelines say.
type past struct {
	shadow    Shadow
	resources map[penumbra.Address]*tracked
	limits    Limits
	behind    map[penumbra.Address]bool // the resources that something came late of
}

// fold reads the timelines, up to a number if it is not 0.
func (e *Engine) fold(ctx context.Context, upTo int64) (past, error) {
	shadow, err := e.newShadow()
	if err != nil {
		return past{}, err
	}
	from := e.loadCheckpoint(ctx, shadow)
	e.withhold(shadow)
	p := past{shadow, map[penumbra.Address]*tracked{}, e.cfg.newLimits(), map[penumbra.Address]bool{}}
	first := len(e.resources) == 0 // a rebuild has its changes and its network
	recent := e.cfg.Now().Add(-changesFor)
	for o, err := range e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{UpTo: upTo}) {
		if err != nil {
			return p, err
		}
		e.foldIn(&p, &o, first, recent)
		if from == 0 {
			p.shadow.Observe(&o)
		}
	}
	if from > 0 {
		for o, err := range e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{After: from, UpTo: upTo}) {
			if err != nil {
				return p, err
			}
			p.shadow.Observe(&o)
		}
	}
	return p, nil
}

// foldIn folds an observation into its resource and the limits. If it is the first time,
// what happened since recent is remembered too, and the network learns.
func (e *Engine) foldIn(p *past, o *penumbra.Observation, first bool, recent time.Time) {
	r := p.resources[o.Resource]
	if r == nil {
		r = &tracked{Resource: penumbra.Resource{Address: o.Resource, Type: o.Type}}
		p.resources[o.Resource] = r
	}
	r.note(o)
	p.limits.Observe(o)
	before := r.Resource
	e.cfg.Fold(&r.Resource, o)
	if first {
		if o.Time.After(recent) {
			e.remark(&before, o, nil)
			e.happened(o)
		}
		e.learnt(r, o)
	}
	e.clock.notBefore(o.Time)
}

// know joins what the timelines say with what else the store has, and puts it in the
// place of what was known.
func (e *Engine) know(ctx context.Context, p past) error {
	resources := p.resources
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
	e.shadow, e.resources, e.limits, e.late = p.shadow, resources, p.limits, len(p.behind) > 0
	e.behind = p.behind
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
