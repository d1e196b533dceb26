package mixture

import (
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

var _ shadow.Explainer = (*Model)(nil)

// Causes implements [shadow.Explainer]: they are those of the pooled model.
func (m *Model) Causes(r *penumbra.Resource, path string, at time.Time) []shadow.Cause {
	return m.counts.Causes(r, path, at)
}

// Evidence implements [shadow.Explainer].
func (m *Model) Evidence(r *penumbra.Resource, path string, at time.Time, value penumbra.Value) shadow.Evidence {
	return m.counts.Evidence(r, path, at, value)
}

// ForecastWithout implements [shadow.Explainer]. Every expert is shown the look
// that the setting would have had; the network's state is run again without the
// steps in which the causes happened, as far back as its last steps are kept, by
// the network as it is now.
// What the experts have learnt stays learnt. What is said of a declared setting
// that may depart moves by the factor by which the counts' hazard does.
func (m *Model) ForecastWithout(r *penumbra.Resource, path string, at time.Time, causes ...shadow.Cause) [horizons]float64 {
	l, found := m.counts.LookWithout(r, path, at, causes...)
	if !found || !l.Changes {
		if out, ok := m.departWithout(r, path, at, causes); ok {
			return out
		}
		return m.counts.ForecastWithout(r, path, at, causes...)
	}
	v := view{looks: []shadow.Look{l}}
	v.askFrom(m, m.stateWithout(l.Number, r.Address, causes))
	var out [horizons]float64
	m.leave(&out, &v.looks[0], &v.answers[0].pool)
	return out
}

// stateWithout returns the network's state of a resource as if its steps at the
// times of the causes had not been.
func (m *Model) stateWithout(number uint32, address penumbra.Address, causes []shadow.Cause) []float32 {
	b := m.memories[number]
	if b == nil || m.options.NoNetwork {
		return m.stateOf(number)
	}
	var gone []int64
	for i := range causes {
		for _, x := range causes[i].Moves {
			if x.Resource == address {
				gone = append(gone, x.Time.Unix())
			}
		}
	}
	steps, left := b.without(gone)
	if !left {
		return b.state()
	}
	state := slices.Clone(b.before())
	for i := range steps {
		m.net.Step(state, &steps[i], &m.scratch)
	}
	return state
}

// clockSlack is how far, in seconds, the time of a step may be from what its
// neighbours' gaps say: they are kept in single precision.
const clockSlack = 60

// without returns the kept steps but those that brought a change at one of the
// times, and whether there are any such. A step's time follows from the last
// one's and the gaps between; the step after one that is left out gets both gaps.
func (b *memory) without(times []int64) (kept []rnn.Step, left bool) {
	at := float64(b.last)
	carried := 0.0 // hours, to the step after
	drop := make([]bool, b.n)
	for i := b.n - 1; i >= 0; i-- {
		d := b.kept[i].Dense
		drop[i] = d[stepChanges] > 0 && slices.ContainsFunc(times, func(t int64) bool { return math.Abs(at-float64(t)) <= clockSlack })
		left = left || drop[i]
		at -= 3600 * hoursOf(d[stepGap])
	}
	for i, s := range b.steps() {
		if drop[i] {
			carried += hoursOf(s.Dense[stepGap])
			continue
		}
		if carried > 0 {
			s.Dense = slices.Clone(s.Dense)
			s.Dense[stepGap] = float32(math.Log1p(carried+hoursOf(s.Dense[stepGap])) / 6)
			carried = 0
		}
		kept = append(kept, s)
	}
	return kept, left
}

// hoursOf returns the gap that a step was given.
func hoursOf(gap float32) float64 { return math.Expm1(6 * float64(gap)) }
