package creep

import (
	"slices"
	"time"
)

const (
	// remembered bounds the steps of a run that are kept.
	remembered = 24
	// fade is what a gap, a size or a change of direction counts for less with each
	// one after it.
	fade = 0.9
)

// step is one move towards a bound.
type step struct {
	// time is when it was made, if an event tells, otherwise when it was seen;
	// after is the look before, seen the first look that showed it.
	time, after, seen time.Time
	from, to          float64
	actor             string
}

// run is the way of a setting towards one of its bounds.
type run struct {
	sign  float64 // +1 towards a maximum, -1 towards a minimum
	steps []step  // since it last fell back, oldest first
	total int     // of them, those no longer kept included
	first time.Time
	base  float64 // where it started
	peak  float64 // how near it has come
	// kept and broken count, the older the less, how often a run was gone on with
	// and how often the setting went back.
	kept, broken float64
	// turned are the places from which it last fell back, oldest first: ground below
	// two of them is known, and steps there lead nowhere new.
	turned []float64
}

// turnings bounds the places that are remembered.
const turnings = 8

// newGround reports whether a value lies beyond where the setting has turned twice.
func (r *run) newGround(x float64) bool {
	beyond := 0
	for _, t := range r.turned {
		if r.sign*(t-x) >= 0 {
			beyond++
		}
	}
	return beyond < 2
}

// fall ends the run: it is back where it was.
func (r *run) fall() {
	if len(r.steps) == 0 {
		return
	}
	if len(r.turned) == turnings {
		r.turned = slices.Delete(r.turned, 0, 1)
	}
	r.turned = append(r.turned, r.peak)
	r.steps, r.total = nil, 0
}

// move takes a step in, in whichever direction it goes.
func (r *run) move(s step) {
	ahead := r.sign * (s.to - s.from)
	if ahead == 0 || ahead > 0 && !r.newGround(s.to) {
		return
	}
	r.kept *= fade
	r.broken *= fade
	if ahead < 0 {
		r.broken++
		if r.sign*(s.to-r.base) < r.sign*(r.peak-r.base)/2 {
			r.fall()
		}
		return
	}
	if len(r.steps) == 0 {
		r.base, r.peak, r.first = s.from, s.to, s.time
	} else {
		r.kept++
	}
	if r.sign*(s.to-r.peak) > 0 {
		r.peak = s.to
	}
	r.total++
	r.steps = append(r.steps, s)
	if n := len(r.steps) - remembered; n > 0 {
		r.steps = slices.Delete(r.steps, 0, n)
	}
}

// gaps returns the times between steps in days, the oldest first, and that since
// the last one.
func (r *run) gaps(at time.Time) (gaps []float64, open float64) {
	for i := 1; i < len(r.steps); i++ {
		gaps = append(gaps, days(r.steps[i].time.Sub(r.steps[i-1].time)))
	}
	return gaps, max(0, days(at.Sub(r.steps[len(r.steps)-1].time)))
}

// shortest bounds a gap from below: two steps at one time are two looks that came
// too late to tell them apart.
const shortest = 1.0 / (24 * 60)

func days(d time.Duration) float64 { return d.Hours() / 24 }
