package engine

import (
	"context"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Past is what a store's timelines say, folded, and kept up to date while another
// process works on the store: an engine that begins with it begins at once, however
// long the timelines are. It is for one goroutine at a time.
type Past struct {
	engine   *Engine // that never runs: its model, network, diagnosis and changes
	past     past
	sequence int64 // all up to it is in
	broken   bool  // an unknown part of what is stored is in, or some of it is not
	// built is when it was built, and took how long that took.
	built time.Time
	took  time.Duration
}

// NewPast reads the timelines of a store. Of the configuration it needs the store, what
// makes shadows and limits, a network and a diagnosis that have seen nothing, and Fold.
// It writes nothing.
func NewPast(ctx context.Context, cfg Config) (*Past, error) {
	began := time.Now()
	e := blank(cfg)
	if err := e.loadModel(ctx); err != nil {
		return nil, err
	}
	sequence, err := e.cfg.Store.Sequence(ctx)
	if err != nil {
		return nil, err
	}
	past, err := e.fold(ctx, sequence)
	if err != nil {
		return nil, err
	}
	// Without a number nothing bounds what was read.
	return &Past{engine: e, past: past, sequence: sequence, broken: sequence == 0 && len(past.resources) > 0, built: time.Now(), took: time.Since(began)}, nil
}

// Outdated reports whether another one should be built: reading failed in the middle,
// the model that serves is another one by now, or something came late, though for that
// no more often than takes a fifth of the time.
func (p *Past) Outdated(ctx context.Context) (bool, error) {
	now, _, err := p.engine.serves(ctx)
	if err != nil {
		return false, err
	}
	rested := time.Since(p.built) > max(replayRest, time.Duration(float64(p.took)*(1/replayShare-1)))
	return p.broken || !now.same(&p.engine.model) || len(p.past.behind) > 0 && rested, nil
}

// Follow takes in what was stored since.
func (p *Past) Follow(ctx context.Context) error {
	if p.broken {
		return nil
	}
	return p.catchUp(ctx, p.engine.cfg.Store)
}

// catchUp takes in what a store has more.
func (p *Past) catchUp(ctx context.Context, store Store) error {
	last, err := store.Sequence(ctx)
	if err != nil || last == p.sequence {
		return err
	}
	e, recent, read := p.engine, p.engine.cfg.Now().Add(-changesFor), int64(0)
	for o, err := range store.Observations(ctx, penumbra.ObservationQuery{After: p.sequence, UpTo: last}) {
		if err != nil {
			p.broken = true
			return err
		}
		read++
		if r := p.past.resources[o.Resource]; r != nil && ordered(&o) && o.Time.Before(r.last) {
			p.past.behind[o.Resource] = true // see Engine.take
			continue
		}
		e.foldIn(&p.past, &o, true, recent)
		p.past.shadow.Observe(&o)
	}
	// Numbers have no gaps: what lacks some was read while old timelines were dropped, or
	// was not all there is.
	p.broken = read != last-p.sequence
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
