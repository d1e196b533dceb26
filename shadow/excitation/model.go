package excitation

import (
	"math"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Horizons is the number of intervals: the spans between one of
// [penumbra.Horizons] and the one before it.
const Horizons = len(penumbra.Horizons)

// The sources of excitation: the background, which is the expected number of
// changes by the pooled model, and what is recent by package shadow.
const (
	Background = iota
	Sources    = 1 + shadow.NumRecent
)

// SourceNames say what each source is.
var SourceNames = [Sources]string{
	Background:                    "the background",
	1 + shadow.RecentOwn:          "its own recent changes",
	1 + shadow.RecentOwnMonth:     "its own changes of the last months",
	1 + shadow.RecentResource:     "its resource's recent changes",
	1 + shadow.RecentSibling:      "sibling environments' recent changes",
	1 + shadow.RecentSiblingMonth: "sibling environments' changes of the last months",
	1 + shadow.RecentAhead:        "a sibling environment ahead of it",
	1 + shadow.RecentPeers:        "its peers' recent changes",
	1 + shadow.RecentPeersDay:     "its peers' changes of today",
	1 + shadow.RecentLike:         "peers that left its value",
	1 + shadow.RecentFolder:       "its folder's recent changes",
	1 + shadow.RecentNewer:        "a newer value in the fleet",
}

// Input is how much there is of each source.
type Input [Sources]float64

// Of returns the input for a setting of which there is no change within the last
// horizon with the probability survival.
func Of(survival float64, recent *[shadow.NumRecent]float32) Input {
	var x Input
	x[Background] = -math.Log(max(1e-9, survival))
	for i, v := range recent {
		x[1+i] = float64(v)
	}
	return x
}

// Model holds a coefficient for each source and interval.
type Model struct {
	state
	share [Horizons]float64 // of the last horizon that an interval is
}

// state is what is learnt.
type state struct {
	Log     [Horizons][Sources]float64 // logarithms of the coefficients
	Squares [Horizons][Sources]float64 // of the gradients seen
}

// New returns a model that says half of what the pooled model says, and a
// little for each source.
func New() *Model {
	m := &Model{}
	whole := penumbra.Horizons[Horizons-1]
	for k, span := range penumbra.Horizons {
		if k > 0 {
			span -= penumbra.Horizons[k-1]
		}
		m.share[k] = span.Hours() / whole.Hours()
		for s := range Sources {
			m.Log[k][s] = math.Log(0.01)
		}
		m.Log[k][Background] = math.Log(0.5)
	}
	return m
}

// Expected returns the expected number of events in the interval.
func (m *Model) Expected(interval int, x *Input) float64 {
	sum := 1e-7
	for s, v := range x {
		if v > 0 {
			sum += math.Exp(m.Log[interval][s]) * v
		}
	}
	return sum * m.share[interval]
}

// LogOdds returns the log odds of an event in the interval if there was none
// before it.
func (m *Model) LogOdds(interval int, x *Input) float64 {
	// 1-exp(-n) to exp(-n)
	return math.Log(math.Expm1(min(700, m.Expected(interval, x))))
}

// The learning rate, and the largest gradient that an example may have: a
// surprise of one in two thousand. Both are judgement.
const (
	rate     = 0.05
	steepest = 2000
)

// Learn takes one example in, by the likelihood of a Poisson process of which
// only is seen whether there were events; AdaGrad (Duchi, Hazan and Singer,
// JMLR 12 (2011), 2121-2159) on the logarithms keeps coefficients positive.
func (m *Model) Learn(interval int, x *Input, happened bool, weight float64) {
	slope := 1.0
	if happened {
		slope = -1 / math.Expm1(min(700, m.Expected(interval, x)))
	}
	slope = max(-steepest, min(steepest, slope*weight)) * m.share[interval]
	for s, v := range x {
		if v <= 0 {
			continue
		}
		g := slope * math.Exp(m.Log[interval][s]) * v
		m.Squares[interval][s] += g * g
		m.Log[interval][s] -= rate * g / math.Sqrt(m.Squares[interval][s]+1e-3)
	}
}
