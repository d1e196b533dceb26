package rnn

import "math"

// adam is the optimiser of Kingma and Ba (2015, algorithm 1) with decoupled
// weight decay (Loshchilov and Hutter 2019). Rows of the embedding table that
// no token touched stay as they are, moments and all.
type adam struct {
	steps  int
	first  []float32
	second []float32 // before the embedding table
	table  float32   // second moment of the embedding table
	decay  []bool    // before the embedding table
}

const (
	beta1   = 0.9
	beta2   = 0.999
	epsilon = 1e-8
)

func newAdam(n *Network) *adam {
	a := &adam{
		first:  make([]float32, len(n.params)),
		second: make([]float32, n.at.embedding.first),
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
	keep := 1 - rate*decay
	for i, d := range a.decay {
		if d {
			n.params[i] *= keep
		}
	}
	a.dense(n, g, &s)
	a.rows(n, g, &s)
}

// rows moves the touched rows of the embedding table, all by one second moment.
// With one for each row, a token seen once would move by as much as one seen in
// every step, and what is learnt would be the noise of rare tokens.
func (a *adam) rows(n *Network, g *gradient, s *stride) {
	if len(g.touched) == 0 {
		return
	}
	at := &n.at.embedding
	sum := 0.0
	for _, r := range g.touched {
		sum += squares(g.values[at.first+r*at.cols:][:at.cols])
	}
	mean := float32(sum/float64(len(g.touched)*at.cols)) * s.by * s.by
	a.table += (1 - beta2) * (mean - a.table)
	rate := s.rate / (float32(math.Sqrt(float64(a.table*s.second))) + epsilon)
	for _, r := range g.touched {
		first := at.first + r*at.cols
		p, m := n.params[first:][:at.cols], a.first[first:][:at.cols]
		for i, x := range g.values[first:][:at.cols] {
			m[i] += (1 - beta1) * (x*s.by - m[i])
			p[i] -= rate * m[i]
		}
	}
}

// stride is what all parameters have in common in one step.
type stride struct{ by, rate, second float32 }

// dense moves everything before the embedding table.
func (a *adam) dense(n *Network, g *gradient, s *stride) {
	count := n.at.embedding.first
	p, m, v := n.params[:count], a.first[:count], a.second[:count]
	for i, x := range g.values[:count] {
		x *= s.by
		m[i] += (1 - beta1) * (x - m[i])
		v[i] += (1 - beta2) * (x*x - v[i])
		p[i] -= s.rate * m[i] / (float32(math.Sqrt(float64(v[i]*s.second))) + epsilon)
	}
}
