package rnn

import "math"

// adam is the optimiser of Kingma and Ba (2015, algorithm 1) with decoupled
// weight decay (Loshchilov and Hutter 2019). Rows of the embedding table that
// no token touched stay as they are, moments and all.
type adam struct {
	first, second []float32
	steps         int
	decay         []bool // by parameter before the embedding table
}

const (
	beta1   = 0.9
	beta2   = 0.999
	epsilon = 1e-8
)

func newAdam(n *Network) *adam {
	a := &adam{
		first:  make([]float32, len(n.params)),
		second: make([]float32, len(n.params)),
		decay:  make([]bool, n.at.embedding.first),
	}
	for _, s := range n.at.matrices() {
		for i := s.first; i < s.end(); i++ {
			a.decay[i] = true
		}
	}
	return a
}

// step moves the parameters against the gradient, times by.
func (a *adam) step(n *Network, g *gradient, by, rate, decay float32) {
	a.steps++
	s := stride{
		by:     by,
		rate:   rate * float32(1/(1-math.Pow(beta1, float64(a.steps)))),
		second: float32(1 / (1 - math.Pow(beta2, float64(a.steps)))),
	}
	at := n.at.embedding
	keep := 1 - rate*decay
	for i, d := range a.decay {
		if d {
			n.params[i] *= keep
		}
	}
	a.run(n, g, &s, 0, at.first)
	for _, r := range g.touched {
		a.run(n, g, &s, at.first+r*at.cols, at.cols)
	}
}

// stride is what all parameters have in common in one step.
type stride struct{ by, rate, second float32 }

func (a *adam) run(n *Network, g *gradient, s *stride, first, count int) {
	grad := g.values[first:][:count]
	p, m, v := n.params[first:][:count], a.first[first:][:count], a.second[first:][:count]
	for i, x := range grad {
		x *= s.by
		m[i] += (1 - beta1) * (x - m[i])
		v[i] += (1 - beta2) * (x*x - v[i])
		p[i] -= s.rate * m[i] / (float32(math.Sqrt(float64(v[i]*s.second))) + epsilon)
	}
}
