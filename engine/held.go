package engine

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// heldPoints bounds what is remembered of one setting, and heldPaths of how many
	// settings of a resource: enough to draw, in memory, since the process started.
	heldPoints = 96
	heldPaths  = 64
	// heldMoved is by how much of its width an interval, and by how much a
	// probability, has to move to be another point. A judgement.
	heldMoved = 0.1
)

// aheadOf are the times to come that are asked about: by the hour for a day, then
// every six hours for a week.
func aheadOf(now time.Time) []time.Time {
	var out []time.Time
	for h := time.Duration(1); h <= 7*24; h++ {
		if h <= 24 || h%6 == 0 {
			out = append(out, now.Add(h*time.Hour))
		}
	}
	return out
}

// noteExpected keeps what was expected of settings that have something to show: a
// range, more than one value, or a finding. Of a setting that never moved there is
// nothing to draw. e.mu is held.
func (r *tracked) noteExpected(expected []penumbra.Expectation, findings []penumbra.Finding, at time.Time) {
	for i := range expected {
		x := &expected[i]
		points := r.held[x.Path]
		if points == nil {
			found := slices.ContainsFunc(findings, func(f penumbra.Finding) bool { return f.Path == x.Path })
			if x.Interval == nil && len(x.Values) < 2 && !found || len(r.held) >= heldPaths {
				continue
			}
		}
		p := pointOf(x, at)
		if n := len(points); n > 0 && (samePoint(&points[n-1], &p) || at.Before(points[n-1].Time)) {
			continue
		}
		if r.held == nil {
			r.held = map[string][]penumbra.ExpectedPoint{}
		}
		if len(points) >= heldPoints {
			points = slices.Delete(points, 0, 1)
		}
		r.held[x.Path] = append(points, p)
	}
}

func pointOf(x *penumbra.Expectation, at time.Time) penumbra.ExpectedPoint {
	p := penumbra.ExpectedPoint{Time: at, Values: slices.Clone(x.Values)}
	if x.Interval != nil {
		i := *x.Interval
		p.Interval = &i
	}
	return p
}

// samePoint reports whether two points would be drawn alike.
func samePoint(a, b *penumbra.ExpectedPoint) bool {
	if (a.Interval == nil) != (b.Interval == nil) || len(a.Values) != len(b.Values) {
		return false
	}
	if a.Interval != nil {
		most := heldMoved * (a.Interval.High - a.Interval.Low)
		if math.Abs(a.Interval.Low-b.Interval.Low) > most || math.Abs(a.Interval.High-b.Interval.High) > most {
			return false
		}
	}
	return !slices.ContainsFunc(a.Values, func(c penumbra.Candidate) bool {
		i := slices.IndexFunc(b.Values, func(d penumbra.Candidate) bool { return d.Value == c.Value })
		return i < 0 || math.Abs(b.Values[i].Probability-c.Probability) > heldMoved
	})
}

// Expected returns what the shadow held of a setting since the process started, as
// far as that is remembered, what it holds now, and what it holds of the next
// week: the oldest first, a point where it changed. It returns an error of kind
// NotFound if there is no such resource.
func (e *Engine) Expected(_ context.Context, address penumbra.Address, path string) ([]penumbra.ExpectedPoint, error) {
	e.mu.Lock() // the shadow is one goroutine's at a time
	defer e.mu.Unlock()
	r := e.resources[address]
	if r == nil {
		return nil, noResource(address)
	}
	now := later(e.clock.now(), r.last)
	out := slices.Clone(r.held[path])
	add := func(at time.Time, ahead bool) {
		expect := e.shadow.Expect(&r.Resource, at, e.cfg.Confidence)
		for i := range expect {
			if expect[i].Path != path {
				continue
			}
			p := pointOf(&expect[i], at)
			p.Ahead = ahead
			if n := len(out); n == 0 || out[n-1].Ahead != ahead && ahead || !samePoint(&out[n-1], &p) {
				out = append(out, p)
			}
		}
	}
	add(now, false)
	for _, at := range aheadOf(now) {
		add(at, true)
	}
	return out, nil
}
