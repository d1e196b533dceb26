package engine

import (
	"bytes"
	"context"

	"github.com/penumbra-iac/penumbra"
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
	resources := map[penumbra.Address]*tracked{}
	for o, err := range e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{}) {
		if err != nil {
			return err
		}
		r := resources[o.Resource]
		if r == nil {
			r = &tracked{Resource: penumbra.Resource{Address: o.Resource, Type: o.Type}}
			resources[o.Resource] = r
		}
		if ordered(&o) {
			r.last = o.Time
		}
		switch o.Kind {
		case penumbra.TemplateKind:
			r.code = codeDigest(&o)
		case penumbra.SnapshotKind:
			r.stored = o.Time
		}
		e.cfg.Fold(&r.Resource, &o)
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
	for _, d := range drifts {
		if r := resources[d.Resource]; r != nil {
			r.active = append(r.active, d)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shadow, e.resources, e.late = shadow, resources, false
	e.remember()
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
		a := e.assess(r, nil, r.last)
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

// rebuild puts late observations into their place by replaying the timeline,
// and saves the shadow at once: an older checkpoint has them out of order.
func (e *Engine) rebuild(ctx context.Context) error {
	replayed, err := e.replayLate(ctx)
	if err != nil || !replayed {
		return err
	}
	return e.checkpoint(ctx)
}

func (e *Engine) replayLate(ctx context.Context) (replayed bool, err error) {
	defer e.settled()()
	e.mu.RLock()
	late := e.late
	e.mu.RUnlock()
	if !late {
		return false, nil
	}
	e.log.Info("observations came late: the shadow is rebuilt from the timeline")
	return true, e.restore(ctx)
}
