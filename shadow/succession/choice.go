package succession

import "math"

// choice is a conditional logit (McFadden, "Conditional logit analysis of
// qualitative choice behavior", 1974) over the settings that a resource has. Its
// features are mostly logarithms of what counts of different reach say, so that
// it is their geometric mixture (Mattern, "Linear and geometric mixtures:
// analysis", DCC 2013) with weights that are learnt: some that all questions
// share, and some of each context.
type choice struct {
	Weights [contexts + 1][numFeatures]float64 `cbor:"1,keyasint"` // the last ones are shared
	Squares [contexts + 1][numFeatures]float64 `cbor:"2,keyasint"` // of the gradients seen
	Learnt  uint64                             `cbor:"3,keyasint"` // questions
}

// The step, looked at on the first half of home-ops-a and estate-c.
const rate = 0.05

const shared = contexts

// newChoice returns weights that back off from a resource's own counts to those
// of its type.
func newChoice() choice {
	var c choice
	w := &c.Weights[shared]
	w[ownLong], w[ownShort], w[fleetYears] = 0.5, 0.3, 0.3
	return c
}

// score sets the probability of each candidate.
func (c *choice) score(q *question) {
	var w [numFeatures]float64
	for k := range w {
		w[k] = c.Weights[shared][k] + c.Weights[q.context][k]
	}
	most := math.Inf(-1)
	for i := range q.candidates {
		x := &q.candidates[i]
		x.p = 0
		for k, v := range x.features {
			x.p += w[k] * float64(v)
		}
		most = max(most, x.p)
	}
	sum := 0.0
	for i := range q.candidates {
		x := &q.candidates[i]
		x.p = math.Exp(x.p - most)
		sum += x.p
	}
	for i := range q.candidates {
		q.candidates[i].p /= sum
	}
}

// learn takes a step down the gradient of the mean log loss of those that
// changed, by AdaGrad (Duchi, Hazan and Singer, JMLR 12 (2011), 2121-2159).
func (c *choice) learn(q *question) {
	if q.hits == 0 || len(q.candidates) < 2 {
		return
	}
	c.score(q)
	var gradient [numFeatures]float64
	for i := range q.candidates {
		x := &q.candidates[i]
		d := x.p
		if x.hit {
			d -= 1 / float64(q.hits)
		}
		for k, v := range x.features {
			gradient[k] += d * float64(v)
		}
	}
	c.Learnt++
	for _, j := range [...]int{shared, q.context} {
		w, squares := &c.Weights[j], &c.Squares[j]
		for k, g := range gradient {
			if g != 0 {
				squares[k] += g * g
				w[k] -= rate * g / math.Sqrt(squares[k]+1e-2)
			}
		}
	}
}
