package engine

import (
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Stages are the pure stages that one look at a stack needs.
type Stages struct {
	Shadow     Shadow
	Limits     Limits // nil if there are none
	Judge      Judge
	Fold       func(*penumbra.Resource, *penumbra.Observation)
	Order      func([]penumbra.Observation) []penumbra.Observation
	Confidence float64
}

// Look holds what a read found against what is known, and gives the assessment
// of each resource read, in the order of reading. What was read is dated as of
// at. Nothing is stored. The shadow
// learns only what precedes the last snapshot of a resource: known gives the
// resources as they were before, and the shadow must be theirs.
func (s Stages) Look(known func(penumbra.Address) (penumbra.Resource, bool), read []penumbra.Observation, at time.Time) []penumbra.Assessment {
	resources := map[penumbra.Address]*penumbra.Resource{}
	expected := map[penumbra.Address][]penumbra.Expectation{}
	var order []penumbra.Address
	for _, o := range read {
		if resources[o.Resource] == nil {
			order = append(order, o.Resource)
			r, ok := known(o.Resource)
			if !ok {
				r = penumbra.Resource{Address: o.Resource, Type: o.Type}
			}
			resources[o.Resource] = &r
		}
	}
	stamp(read, at)
	for _, o := range s.Order(read) {
		r := resources[o.Resource]
		last := !o.Time.Before(at)
		if o.Kind == penumbra.SnapshotKind && last && o.NotChecked == "" {
			expected[o.Resource] = s.Shadow.Expect(withPaths(r, o.Settings), at, s.Confidence)
		}
		if !last && !r.SnapshotTime.IsZero() {
			continue // an earlier state of a resource whose history is known
		}
		s.Fold(r, &o)
		if !last {
			s.Shadow.Observe(&o)
		}
	}
	out := make([]penumbra.Assessment, 0, len(order))
	for _, address := range order {
		r := resources[address]
		expect := expected[address]
		if expect == nil {
			expect = s.Shadow.Expect(r, at, s.Confidence)
		}
		forecast := s.Shadow.Forecast(r, at)
		if s.Limits != nil {
			expect, forecast = s.Limits.Apply(r, expect, forecast, at)
		}
		out = append(out, s.Judge.Assess(r, expect, forecast, at))
	}
	return out
}

// Look is [Stages.Look] on what the engine knows.
func (e *Engine) Look(read []penumbra.Observation) []penumbra.Assessment {
	at := e.clock.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Stages{Shadow: e.shadow, Limits: e.limits, Judge: e.cfg.Judge, Fold: e.cfg.Fold, Order: e.cfg.Order, Confidence: e.cfg.Confidence}
	return s.Look(func(address penumbra.Address) (penumbra.Resource, bool) {
		r := e.resources[address]
		if r == nil {
			return penumbra.Resource{}, false
		}
		return r.Resource, true
	}, read, at)
}
