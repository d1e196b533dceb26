package departure

import (
	"math"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

// Horizons are the times within which a departure is asked for.
var Horizons = [...]time.Duration{7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour}

const horizons = len(Horizons)

// Options are the choices of a model. The zero value is a good one.
type Options struct {
	Seed uint64 // of the draws
	// Questions is about how many settings the model asks itself about each day,
	// 300 if 0.
	Questions int
	// Members is how many resources of a type are looked at each day for each
	// class that departs, 20,000 if 0.
	Members int
}

// Model is a model of departures.
type Model struct {
	options Options
	counts  *shadow.Pooled
	who     [horizons]*logistic.Regression // contrasts within a day and class
	classes []*class                       // in the order in which they first departed
	byKey   map[classKey]*class
	ways    ways

	day     int64 // the next day to ask, in days since 1970
	cohorts []cohort
	asked   map[settingKey][]*example
}

type classKey struct{ kind, path string }

// The deviation of the regressions' weights before anything is learnt, and how
// much of an example they believe: what departs on one day is often one
// occasion. A case is one that departs, on its day; a question is one that was
// asked before. Chosen on the first half of one history.
const (
	deviation      = 0.3
	caseBelief     = 1
	questionBelief = 0.1
)

// New returns a model of the departures that the counts see. It has learnt
// nothing.
func New(counts *shadow.Pooled, o Options) *Model {
	if o.Questions <= 0 {
		o.Questions = 300
	}
	if o.Members <= 0 {
		o.Members = 20_000
	}
	m := &Model{options: o, counts: counts, byKey: map[classKey]*class{}, asked: map[settingKey][]*example{}, ways: newWays()}
	for k := range horizons {
		m.who[k] = logistic.New(numFeatures, deviation)
	}
	return m
}

// Leave returns the probability that the setting departs within each of
// [Horizons], on its own account: habits of the hour are the pooled model's and
// are in it as far as the pooled model has them.
func (m *Model) Leave(x *shadow.AtRisk, at time.Time) [horizons]float64 {
	out := m.stays(x, at)
	for k := range out {
		out[k] = 1 - out[k]
	}
	return out
}

// stays returns the probability of no departure by the end of each horizon.
func (m *Model) stays(x *shadow.AtRisk, at time.Time) [horizons]float64 {
	var out [horizons]float64
	c := m.byKey[classKey{x.Type, x.Class}]
	if c == nil || x.Away {
		for k, span := range Horizons {
			out[k] = x.Stays(span)
		}
		return out
	}
	e := c.example(x, at.Unix())
	stays := 1.0
	for k := range out {
		z := m.who[k].LogOdds(float64(e.offset[k])+c.shift[k], e.features[:])
		stays *= 1 - logistic.Probability(z)
		out[k] = stays
	}
	return out
}

// Stays returns, of each setting of the resource that may depart, the
// probability that it does not within each of [penumbra.Horizons]: what
// [shadow.Look].Stays says by the pooled model alone. Within a week of its own
// the hazard is taken to be constant.
func (m *Model) Stays(address penumbra.Address, at time.Time, visit func(path string, stays [len(penumbra.Horizons)]float64)) {
	m.counts.Departing(address, at, func(x *shadow.AtRisk) {
		if x.Away || m.byKey[classKey{x.Type, x.Class}] == nil {
			return
		}
		long := m.stays(x, at)
		var out [len(penumbra.Horizons)]float64
		for i, span := range penumbra.Horizons {
			out[i] = within(&long, span)
		}
		visit(x.Path, out)
	})
}

// within returns the probability of staying for a time, with a hazard that is
// constant between horizons.
func within(stays *[horizons]float64, span time.Duration) float64 {
	var begin time.Duration
	before := 1.0
	for k, end := range Horizons {
		if span <= end {
			share := float64(span-begin) / float64(end-begin)
			return before * math.Pow(max(stays[k], 1e-12)/max(before, 1e-12), share)
		}
		begin, before = end, stays[k]
	}
	return before
}

// byInterval returns log odds of a departure in each interval if there was none
// before it.
func byInterval(stays func(time.Duration) float64) [horizons]float64 {
	var out [horizons]float64
	before := 1.0
	for k, span := range Horizons {
		s := stays(span)
		out[k] = logistic.LogOddsOf(1 - s/max(before, 1e-12))
		before = s
	}
	return out
}

// Weights returns what was learnt of each feature for each horizon, in the
// order of [FeatureNames].
func (m *Model) Weights() [horizons][numFeatures]float64 {
	var out [horizons][numFeatures]float64
	for k := range out {
		for i := range numFeatures {
			var x [numFeatures]float32
			x[i] = 1
			out[k][i] = m.who[k].LogOdds(0, x[:]) - m.who[k].LogOdds(0, make([]float32, numFeatures))
		}
	}
	return out
}
