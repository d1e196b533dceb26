package mixture

import "math"

// The experts, in the order of [Experts].
const (
	counts = iota
	plain
	tempered
	excited
	network
	experts
)

// Experts are the names of the experts, in their order.
var Experts = [experts]string{"counts", "logistic", "tempered logistic", "excitation", "network"}

// opinions are log odds, one of each expert.
type opinions [experts]float64

// weights are those of the experts in a pool; they sum to 1.
type weights [experts]float64

func equal() weights {
	var w weights
	for i := range w {
		w[i] = 1.0 / experts
	}
	return w
}

// join returns the pool's log odds.
func (w *weights) join(o *opinions) float64 {
	var z float64
	for i, x := range o {
		z += w[i] * x
	}
	return z
}

// without returns the log odds of the pool that lacks one expert.
func (w *weights) without(expert int, o *opinions) float64 {
	rest := 1 - w[expert]
	if rest < 1e-6 {
		return o[counts]
	}
	return (w.join(o) - w[expert]*o[expert]) / rest
}

// giveBack is the share of the weights that goes back towards home each day,
// so that no expert is ever out of reach; a judgement.
const giveBack = 0.002

// mostADay is how much more, in nats, one predictor may lose than another by one
// day's questions: a sweep that takes hundreds of settings with it is one
// occasion, and asked about on each of the thirty days before it. A judgement.
const mostADay = 0.1

// update moves weights against the gradient of a loss with respect to them,
// then a share of them towards home: mirror descent with fixed share (Cesa-
// Bianchi, Gaillard, Lugosi and Stoltz, NeurIPS 2012, section 3).
func (w *weights) update(gradient *[experts]float64, home *weights) {
	least := math.Inf(1)
	for _, g := range gradient {
		least = min(least, g)
	}
	var sum float64
	for i := range w {
		w[i] *= math.Exp(-min(mostADay*slowly, gradient[i]-least))
		sum += w[i]
	}
	for i := range w {
		w[i] = (1-giveBack)*w[i]/sum + giveBack*home[i]
	}
}

// logLoss returns the loss of log odds, in nats.
func logLoss(z float64, happened bool) float64 {
	if happened {
		z = -z
	}
	if z > 0 {
		return z + math.Log1p(math.Exp(-z))
	}
	return math.Log1p(math.Exp(z))
}

func probability(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

func logOdds(p float64) float64 {
	p = min(1-1e-9, max(1e-9, p))
	return math.Log(p / (1 - p))
}
