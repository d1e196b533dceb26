package anomaly

import (
	"math"
	"time"
)

// What is learnt is of a span of time, but of so many values at least and at most.
const (
	levelSpan = 3 * time.Hour // of levels; scales are of four times as much
	fewest    = 64.0
	most      = 2048.0

	fewestFar = 512.0 // of the level over a week
	mostFar   = float64(1 << 15)

	tailSpan   = 3 * day // of tails
	fewestTail = 16384.0
	mostTail   = float64(1 << 17)
)

const (
	clip   = 6.0  // departures count in levels and means with at most so many scales
	wild   = 32.0 // and in scales
	better = 0.9  // a predictor takes over if its error is so much smaller
)

func between(span time.Duration, interval, low, high float64) float64 {
	return min(max(float64(span)/interval, low), high)
}

// memory is how many values levels are of.
func (s *series) memory() float64 { return between(levelSpan, s.Interval, fewest, most) }

// weight is that of the newest value in a mean over about span values.
func (s *series) weight(span float64) float64 { return 1 / min(float64(s.Count), span) }

// count puts a value behind the guard, whether it is as usual or not, and lets the
// tails learn the one that leaves it.
func (s *series) count(j *judged) {
	if s.Count < warm/2 {
		return
	}
	for float64(s.Guard.N) >= between(guardSpan, s.Interval, 1, min(guarded, float64(s.Count)/8)) {
		s.learnMoment(s.Guard.pop())
	}
	s.Guard.push(j.moment(s.Count >= warm))
}

// learnMoment lets all that is guarded learn a moment.
func (s *series) learnMoment(x moment) {
	s.Stable.learn(x)
	s.learnTails(x)
}

// learnTails lets the tails and the joint p-value learn a moment.
func (s *series) learnTails(x moment) {
	limit := between(tailSpan, s.Interval, fewestTail, mostTail)
	if x.Grade != unjudged {
		s.Joint.learn(x.Grade, limit)
	}
	for i := range s.Tails {
		if x.Marks[i] != unjudged {
			s.Tails[i].count(x.Marks[i], limit, priors[i])
		}
	}
}

// limit is how far a departure counts in what is learnt.
func (s *series) limit(scales float64) float64 {
	if s.Count < warm {
		return math.MaxFloat64
	}
	return scales * max(s.Scale[deviation], s.floor())
}

// bounded returns x, or the limit on its side if it is beyond that.
func bounded(x, limit float64) float64 { return min(max(x, -limit), limit) }

// learnScales lets the scales learn a value.
func (s *series) learnScales(j *judged, before float64) {
	s.Typical += s.weight(s.memory()) * (math.Abs(j.value) - s.Typical)
	if u, ok := s.usual(s.Active, j.time); ok {
		w := s.weight(between(week, s.Interval, fewestFar, mostFar))
		left := j.value - u - s.Long
		if s.Count >= familiar {
			left = bounded(left, wild*max(s.Far, s.floor()))
		}
		s.Long += w * left
		s.Far += w * (math.Abs(left) - s.Far)
	}
	w := s.weight(4 * s.memory())
	limit := s.limit(wild)
	if j.p[deviation] < bandChance {
		limit = s.limit(clip)
	}
	s.Scale[deviation] += w * (min(math.Abs(j.departure), limit) - s.Scale[deviation])
	if j.valid[innovation] {
		s.Scale[innovation] += w * (min(math.Abs(j.innovated), limit) - s.Scale[innovation])
		limit = s.limit(clip)
		a, b := bounded(before, limit), bounded(j.departure, limit)
		s.Product += w * (a*b - s.Product)
		s.Square += w * (a*a - s.Square)
	}
}

// learnCycles lets the profiles learn a value and finds out which predictor is
// best; while an anomaly is open, too.
func (s *series) learnCycles(j *judged) {
	if s.Day == nil && s.Count >= warm && s.Interval > 0 {
		interval := time.Duration(s.Interval)
		s.Day = newProfile(day, interval, 5*time.Minute)
		s.Day.Sizes = make([]float32, len(s.Day.Means))
		s.Week = newProfile(week, interval, 30*time.Minute)
	}
	span := between(day, s.Interval, fewest, 2*most)
	memory := s.weight(s.memory())
	for c := range s.Predictors {
		u, ok := s.usual(c, j.time)
		if !ok {
			continue
		}
		x := &s.Predictors[c]
		e := j.value - u - x.Level
		x.Weight = min(x.Weight+1, span)
		x.Error += (min(math.Abs(e), s.limit(2*clip)) - x.Error) / x.Weight
		if s.Open == nil {
			limit := s.limit(clip)
			if c != s.Active {
				limit = math.MaxFloat64
			}
			x.Level += max(memory, 1/x.Weight) * bounded(e, limit)
		}
	}
	for c := range s.Predictors {
		x := &s.Predictors[c]
		if c != s.Active && x.Weight >= span/2 && x.Error < better*s.Predictors[s.Active].Error {
			s.change(c)
		}
	}
	if s.Day != nil {
		limit := s.limit(clip)
		s.Day.learn(j.time, j.value, min(math.Abs(j.departure), 2*limit)/max(s.Scale[deviation], s.floor()), dailyWeight, limit)
		s.Week.learn(j.time, j.value, 0, weeklyWeight, limit)
	}
}

// change makes another predictor the one that serves. How far departures from it are
// usually is known; when they are far is not.
func (s *series) change(c int) {
	s.Active = c
	s.Scale[deviation] = s.Predictors[c].Error
	s.Long, s.Far = s.Predictors[c].Level, s.Predictors[c].Error
	s.Product, s.Square = 0, s.Scale[deviation]*s.Scale[deviation]
	s.settle()
	s.Guard = guard{}
	for i := range s.Tails {
		s.Tails[i].fade(fewest, priors[i])
	}
	if s.Day != nil {
		for i := range s.Day.Sizes {
			s.Day.Sizes[i] = 1
		}
	}
}
