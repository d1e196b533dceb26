package departure

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// The ways in which a departure chooses its value.
const (
	wayFollow = iota // where its peers went that left the same value
	wayCommon        // the commonest newer version of its line
	wayNewest        // the newest version of its line
	wayLast          // the value that its line last departed to
	numWays
)

// ways are the weights of the ways, and of a value that none of them names.
type ways struct {
	_      struct{} `cbor:",toarray"`
	Weight [numWays]float64
}

// share is what goes back to equal weights with each departure (fixed share,
// Herbster and Warmuth, Machine Learning 32 (1998), 151-178), other the
// probability that a way leaves to what it does not name. Judgement.
const (
	share = 0.02
	other = 0.1
)

func newWays() ways {
	var w ways
	for i := range w.Weight {
		w.Weight[i] = 1.0 / numWays
	}
	return w
}

// offers returns what each way says, nil where it says nothing.
func (c *class) offers(from penumbra.Value, at int64) [numWays][]penumbra.Candidate {
	var out [numWays][]penumbra.Candidate
	if last := c.last[versionOf(from).line]; last != from && !last.IsNull() {
		out[wayLast] = single(last)
	}
	x := c.byValue[from]
	if x == nil {
		return out
	}
	if !x.common.IsNull() {
		out[wayCommon], out[wayNewest] = single(x.common), single(x.newest)
	}
	var sum float64
	for i := range x.to {
		sum += follow(&x.to[i], at)
	}
	for i := range x.to {
		out[wayFollow] = append(out[wayFollow], penumbra.Candidate{Value: x.to[i].Value, Probability: (1 - other) * follow(&x.to[i], at) / sum})
	}
	return out
}

// follow is how strongly former departures to a value say that it is the next;
// never so little that it counts for nothing.
func follow(a *arrival, at int64) float64 { return a.Count.as(at, followLife) + 1e-9 }

func single(v penumbra.Value) []penumbra.Candidate {
	return []penumbra.Candidate{{Value: v, Probability: 1 - other}}
}

// candidates joins what the ways say, the likeliest first.
func (w *ways) candidates(offers *[numWays][]penumbra.Candidate) []penumbra.Candidate {
	var all float64
	for i, o := range offers {
		if len(o) > 0 {
			all += w.Weight[i]
		}
	}
	var out []penumbra.Candidate
	for i, o := range offers {
		for _, x := range o {
			p := x.Probability * w.Weight[i] / all
			if k := slices.IndexFunc(out, func(y penumbra.Candidate) bool { return y.Value == x.Value }); k >= 0 {
				out[k].Probability += p
			} else {
				out = append(out, penumbra.Candidate{Value: x.Value, Probability: p})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b penumbra.Candidate) int { return cmp.Compare(b.Probability, a.Probability) })
	return out
}

// learn moves the weights by what the ways had said of the value.
func (w *ways) learn(c *class, from, to penumbra.Value, at int64) {
	offers := c.offers(from, at)
	var sum float64
	next := *w
	for i, o := range offers {
		p := other / 2 // to say nothing is better than to be wrong
		if len(o) > 0 {
			p = other / 8
		}
		for _, x := range o {
			if x.Value == to {
				p = max(p, x.Probability)
			}
		}
		next.Weight[i] *= p
		sum += next.Weight[i]
	}
	if !(sum > math.SmallestNonzeroFloat64) {
		return
	}
	for i := range next.Weight {
		next.Weight[i] = (1-share)*next.Weight[i]/sum + share/numWays
	}
	*w = next
}

// Next returns the values that the setting may depart to, the likeliest first,
// given that it does; what their probabilities leave to 1 is that of any other.
// Where nothing of its class has departed yet it looks at all peers, which costs
// O(resources).
func (m *Model) Next(x *shadow.AtRisk, at time.Time) []penumbra.Candidate {
	c := m.byKey[classKey{x.Type, x.Class}]
	if c == nil {
		c = newClass(x.Type, x.Class)
		c.census(m, at, nil)
	}
	offers := c.offers(x.Value, at.Unix())
	return m.ways.candidates(&offers)
}
