package rnn

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Network is the parameters shared by all resources. Reading it (Step, Ask,
// Choose, Predict) is safe from several goroutines, each with its own
// [Scratch], while nobody trains it or reads a checkpoint into it.
type Network struct {
	config Config
	at     layout
	params []float32
}

// New returns an untrained network: its hazards are exactly the offsets of the
// questions, its choices the softmax of the offsets of the alternatives. It
// returns an error of kind Invalid for a shape that cannot be.
func New(c Config) (*Network, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "make a network", Err: err}
	}
	n := &Network{config: c, at: newLayout(c)}
	n.params = make([]float32, n.at.size)
	n.initialise()
	return n, nil
}

// Config returns the network's shape, defaults filled in.
func (n *Network) Config() Config { return n.config }

// Size returns the number of parameters.
func (n *Network) Size() int { return len(n.params) }

// Clone returns a copy that shares nothing.
func (n *Network) Clone() *Network {
	c := *n
	c.params = slices.Clone(n.params)
	return &c
}

// initialise draws the first weights: Glorot and Bengio (2010) for what feeds a
// hidden layer, zero for what leads to an output.
func (n *Network) initialise() {
	rng := rand.New(rand.NewPCG(n.config.Seed, 0x726e6e))
	glorot := func(s span, cols int) {
		limit := math.Sqrt(6 / float64(s.rows+cols))
		p := s.of(n.params)
		for r := range s.rows {
			for c := range cols {
				p[r*s.cols+c] = float32((2*rng.Float64() - 1) * limit)
			}
		}
	}
	h := n.config.Hidden
	glorot(n.at.input, 3*h)
	glorot(n.at.recurrent, 3*h)
	glorot(n.at.query, n.config.Width)
	for i := range n.at.choice {
		c := &n.at.choice[i]
		glorot(c.question, c.question.cols)
		glorot(c.alternative, c.score.cols)
	}
	e := n.at.embedding.of(n.params)
	for i := range e {
		e[i] = float32(0.05 * rng.NormFloat64())
	}
	// An update gate that is mostly closed keeps what it has seen (Jozefowicz et
	// al. 2015 for the LSTM's forget gate).
	update := n.at.inputBias.of(n.params)[h : 2*h]
	for i := range update {
		update[i] = 1
	}
	copy(n.at.queryBias.of(n.params)[n.config.Width+Horizons:], firstQuantiles())
}

// firstQuantiles are the raw outputs of a normal distribution with mean 0 and
// standard deviation 1/2.
func firstQuantiles() []float32 {
	out := make([]float32, quantiles)
	z := func(i int) float64 { return math.Erfinv(2*Levels[i]-1) * math.Sqrt2 / 2 }
	for i := range out {
		switch {
		case i < median:
			out[i] = float32(math.Log(math.Expm1(z(i+1) - z(i))))
		case i > median:
			out[i] = float32(math.Log(math.Expm1(z(i) - z(i-1))))
		}
	}
	return out
}
