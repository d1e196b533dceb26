package engine

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Past is what a store's timelines say, folded, and kept up to date while another
// process works on the store: an engine that begins with it begins at once, however
// long the timelines are. It is for one goroutine at a time.
type Past struct {
	fresh    func() Config
	engine   *Engine // that never runs: its model, network, diagnosis and changes
	past     past
	sequence int64 // all up to it is in
	broken   bool  // an unknown part of what is stored is in
	// rebuilt is when it was last built from the start, and took how long that took.
	rebuilt time.Time
	took    time.Duration
}

// NewPast reads the timelines of a store. Of the configuration, which is asked for each
// time that it begins anew, it needs the store, what makes shadows and limits, a network
// and a diagnosis that have seen nothing, and Fold. It writes nothing.
func NewPast(ctx context.Context, fresh func() Config) (*Past, error) {
	p := &Past{fresh: fresh}
	return p, p.rebuild(ctx)
}

func (p *Past) rebuild(ctx context.Context) (err error) {
	began := time.Now()
	e := blank(p.fresh())
	if err := e.loadModel(ctx); err != nil {
		return err
	}
	if p.sequence, err = e.cfg.Store.Sequence(ctx); err != nil {
		return err
	}
	store := e.cfg.Store
	e.cfg.Store = upTo{store, p.sequence}
	p.past, err = e.fold(ctx)
	e.cfg.Store = store
	p.engine, p.broken, p.rebuilt, p.took = e, err != nil, time.Now(), time.Since(began)
	return err
}

// upTo is a store as it was when an observation was the last.
type upTo struct {
	Store
	sequence int64
}

func (s upTo) Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error] {
	q.UpTo = s.sequence
	return s.Store.Observations(ctx, q)
}

// Follow takes in what was stored since. It begins anew where the model that serves is
// another one by now, and, no more than a fifth of the time, where something came late.
func (p *Past) Follow(ctx context.Context) error {
	if p.broken {
		return p.rebuild(ctx)
	}
	now := blank(p.engine.cfg)
	if err := now.loadModel(ctx); err != nil {
		return err
	}
	rested := time.Since(p.rebuilt) > max(replayRest, time.Duration(float64(p.took)*(1/replayShare-1)))
	if !now.model.same(&p.engine.model) || len(p.past.behind) > 0 && rested {
		return p.rebuild(ctx)
	}
	return p.catchUp(ctx, p.engine.cfg.Store)
}

// catchUp takes in what a store has more.
func (p *Past) catchUp(ctx context.Context, store Store) error {
	last, err := store.Sequence(ctx)
	if err != nil || last == p.sequence {
		return err
	}
	e, recent := p.engine, p.engine.cfg.Now().Add(-changesFor)
	for o, err := range store.Observations(ctx, penumbra.ObservationQuery{After: p.sequence, UpTo: last}) {
		if err != nil {
			p.broken = true
			return err
		}
		if r := p.past.resources[o.Resource]; r != nil && ordered(&o) && o.Time.Before(r.last) {
			p.past.behind[o.Resource] = true // see Engine.take
			continue
		}
		e.foldIn(&p.past, &o, true, recent)
		p.past.shadow.Observe(&o)
	}
	p.sequence = last
	return nil
}

// inherit takes over what a past remembers beside what its timelines say.
func (e *Engine) inherit(p *Past) {
	e.changes, e.cfg.Network, e.cfg.Diagnosis = p.engine.changes, p.engine.cfg.Network, p.engine.cfg.Diagnosis
	e.clock.notBefore(p.engine.clock.now())
	if len(p.past.behind) > 0 {
		e.toReplay <- struct{}{} // an engine that begins has none waiting
	}
}

// same reports whether two models start from the same.
func (s *serving) same(o *serving) bool {
	return s.family == o.family && s.active.Number == o.active.Number && slices.EqualFunc(s.withheld, o.withheld, time.Time.Equal)
}
