package engine

import (
	"context"
	"maps"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// replayedAtOnce is how long a timeline may be that is replayed before an ingest
	// which brought something late is answered. Of a longer one that takes seconds, and
	// where several send at once something comes late again and again.
	replayedAtOnce = 20_000
	// replayRest is how long it is waited at the least between two replays that were put
	// off, and replayShare the part of the time that they take at the most.
	replayRest  = time.Second
	replayShare = 0.2
)

// rebuild puts late observations into their place by replaying the timeline. That of a
// long one is put off where Run is there to do it. It reports whether it was done.
func (e *Engine) rebuild(ctx context.Context) (replayed bool, err error) {
	e.mu.RLock()
	late := e.late
	e.mu.RUnlock()
	if !late {
		return false, nil
	}
	sequence, err := e.cfg.Store.Sequence(ctx)
	if err != nil {
		return false, err
	}
	if sequence <= e.replayedAtOnce || !e.running.Load() {
		return e.replay(ctx)
	}
	e.putOffReplay()
	return false, e.dropCheckpoint(ctx)
}

// putOffReplay has what is late replayed by Run, if it is there.
func (e *Engine) putOffReplay() {
	select {
	case e.toReplay <- struct{}{}:
	default:
	}
}

// dropCheckpoint makes the shadow's checkpoint none, once until the next one is saved:
// what comes late is not in its place in it, and a process that starts from it would
// not know.
func (e *Engine) dropCheckpoint(ctx context.Context) error {
	e.mu.Lock()
	name, dropped := e.model.checkpoint(), e.dropped
	_, saved := e.shadow.(Checkpointer)
	e.dropped = true
	e.mu.Unlock()
	if !saved || dropped {
		return nil
	}
	return e.cfg.Store.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: name, Time: e.clock.now()})
}

// replayLate replays what was put off, until ctx ends.
func (e *Engine) replayLate(ctx context.Context) error {
	return atMost(ctx, e.toReplay, replayRest, replayShare, func() {
		if _, err := e.replay(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("observations that came late could not be put into their place; it is tried again with the next", "error", err)
		}
	})
}

// atMost does something when it is woken, until ctx ends. Between two times it rests, so
// that no more than a share of the time goes into it.
func atMost(ctx context.Context, woken <-chan struct{}, rest time.Duration, share float64, do func()) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-woken:
		}
		began := time.Now()
		do()
		wait.Reset(max(rest, time.Duration(float64(time.Since(began))*(1/share-1))))
	}
}

// replay builds the shadow, and what is known of the resources that something came late
// of, from the timeline, while observations go on being taken in; these wait only for
// what was taken in meanwhile to be folded in too. It then judges those resources and
// saves the shadow. It reports whether there was anything late.
func (e *Engine) replay(ctx context.Context) (replayed bool, err error) {
	e.replaying.Lock()
	defer e.replaying.Unlock()
	r, sequence, err := e.beginReplay(ctx)
	if err != nil || r == nil {
		return false, err
	}
	e.log.Info("observations came late: the shadow is rebuilt from the timeline")
	if err = r.take(e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{UpTo: sequence})); err == nil {
		err = e.endReplay(ctx, r, sequence)
	}
	if err != nil {
		e.mu.Lock()
		maps.Copy(e.behind, r.behind)
		e.mu.Unlock()
		return false, err
	}
	return true, e.publish(ctx, e.judgeBehind(r.behind))
}

// beginReplay notes down where a replay begins; it returns nil if nothing is late.
func (e *Engine) beginReplay(ctx context.Context) (*replayed, int64, error) {
	defer e.settled()()
	sequence, err := e.cfg.Store.Sequence(ctx)
	if err != nil {
		return nil, 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.late {
		return nil, 0, nil
	}
	shadow, err := e.newShadow()
	if err != nil {
		return nil, 0, err
	}
	e.withhold(shadow)
	r := &replayed{
		engine: e, restored: e.restored, shadow: shadow, limits: e.cfg.newLimits(), behind: e.behind,
		resources: map[penumbra.Address]*tracked{}, last: map[penumbra.Address]time.Time{},
	}
	e.behind = map[penumbra.Address]bool{}
	return r, sequence, nil
}

// endReplay folds in what was taken in meanwhile, and puts what was built in the place
// of what was known.
func (e *Engine) endReplay(ctx context.Context, r *replayed, sequence int64) error {
	defer e.settled()()
	if err := r.take(e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{After: sequence})); err != nil {
		return err
	}
	if !e.swap(r) {
		return nil // the model was built anew meanwhile, with everything in its place
	}
	return e.save(ctx)
}

// swap is the last step of endReplay; it reports whether there was something to replace.
func (e *Engine) swap(r *replayed) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.restored != r.restored {
		return false
	}
	e.shadow, e.limits, e.late = r.shadow, r.limits, len(e.behind) > 0
	for address, now := range r.resources {
		if before := e.resources[address]; before != nil {
			now.active, now.accepted, now.verdict, now.metered, now.held = before.active, before.accepted, before.verdict, before.metered, before.held
		}
		e.resources[address] = now
		e.catalogue.Note(now.line())
		if e.cfg.Mapper != nil {
			e.cfg.Mapper.Know(&now.Resource)
		}
	}
	return true
}

// judgeBehind judges the resources that something came late of.
func (e *Engine) judgeBehind(behind map[penumbra.Address]bool) []penumbra.Drift {
	stacks := map[string]bool{}
	again := make([]penumbra.Address, 0, len(behind))
	for address := range behind {
		stacks[address.Stack()] = true
		again = append(again, address)
	}
	now, live := e.clock.now(), e.anyLive(stacks)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.judgeAll(again, func(r *tracked) time.Time {
		if live {
			return later(now, r.last)
		}
		return r.last
	})
}

// replayed is what a replay has built so far.
type replayed struct {
	engine    *Engine
	restored  int // what the engine's was when it began
	shadow    Shadow
	limits    Limits
	behind    map[penumbra.Address]bool // the resources that something came late of
	resources map[penumbra.Address]*tracked
	last      map[penumbra.Address]time.Time // of what must be in order, of each resource
}

// take folds observations in, those apart that are late once more.
func (r *replayed) take(observations func(func(penumbra.Observation, error) bool)) error {
	for o, err := range observations {
		if err != nil {
			return err
		}
		if ordered(&o) {
			if o.Time.Before(r.last[o.Resource]) {
				continue // the next replay has it
			}
			r.last[o.Resource] = o.Time
		}
		r.shadow.Observe(&o)
		r.limits.Observe(&o)
		if !r.behind[o.Resource] {
			continue
		}
		x := r.resources[o.Resource]
		if x == nil {
			x = &tracked{Resource: penumbra.Resource{Address: o.Resource, Type: o.Type}}
			r.resources[o.Resource] = x
		}
		x.note(&o)
		r.engine.cfg.Fold(&x.Resource, &o)
	}
	return nil
}
