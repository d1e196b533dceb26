package choice

import (
	_ "embed"

	"github.com/fxamacker/cbor/v2"
)

// prior is what a model knows before it has learnt anything of its estate.
type prior struct {
	Weights []float32
	Estate  rates
	Forms   [forms]rates
}

// shipped was learnt on the first half of the time of two estates, by TestRefit;
// see docs/model-values.md.
//
//go:embed prior.cbor
var shipped []byte

// How many of the shipped prior's lessons its rates, and its weights' squared
// gradients, count as at most: an estate has its own say soon.
const (
	priorLessons  = 40
	priorGradient = 10
)

// start puts what is shipped into a fresh state. What was shipped for another
// set of origins or features is left aside.
func (s *state) start() {
	var p prior
	if len(shipped) == 0 || cbor.Unmarshal(shipped, &p) != nil || len(p.Weights) != len(s.weights.W) {
		return
	}
	copy(s.weights.W, p.Weights)
	for i := range s.weights.G {
		s.weights.G[i] = priorGradient
	}
	s.estate = p.Estate.atMost(priorLessons)
	for f := range p.Forms {
		s.forms[f] = p.Forms[f].atMost(priorLessons)
	}
}

// atMost returns the rates with no origin counted more than so often.
func (r *rates) atMost(n float32) rates {
	out := *r
	for s := range out.Asked {
		if out.Asked[s] > n {
			out.Hits[s] *= n / out.Asked[s]
			out.Asked[s] = n
		}
	}
	return out
}
