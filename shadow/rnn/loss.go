package rnn

import (
	"math"

	"github.com/penumbra-iac/penumbra"
)

// Loss is a sum over questions of weight times loss, in nats but for Ratio,
// and the sum of the weights, for each thing that is learnt.
type Loss struct {
	Hazard Mean        // negative log likelihood of the outcome, censoring allowed for
	Choice [heads]Mean // negative log probability of what was chosen
	Ratio  Mean        // pinball loss, mean over the levels
}

// Mean is a weighted sum and the sum of the weights.
type Mean struct{ Sum, Weight float64 }

// Mean returns the weighted mean, 0 of nothing.
func (m Mean) Mean() float64 {
	if m.Weight == 0 {
		return 0
	}
	return m.Sum / m.Weight
}

func (m *Mean) add(weight float32, loss float64) {
	m.Sum += float64(weight) * loss
	m.Weight += float64(weight)
}

func (l *Loss) add(o *Loss) {
	for i, m := range l.means() {
		m.Sum += o.means()[i].Sum
		m.Weight += o.means()[i].Weight
	}
}

func (l *Loss) means() [2 + heads]*Mean {
	return [2 + heads]*Mean{&l.Hazard, &l.Choice[Value], &l.Choice[Next], &l.Ratio}
}

// Total returns the sum over everything by the sum of the weights of the
// questions about time, or of the rest if there are none: what is minimised.
func (l *Loss) Total() float64 {
	sum, weight := 0.0, l.Hazard.Weight
	rest := 0.0
	for _, m := range l.means() {
		sum += m.Sum
		rest += m.Weight
	}
	if weight == 0 {
		weight = rest
	}
	if weight == 0 {
		return 0
	}
	return sum / weight
}

// hazard returns the negative log likelihood of what came of a question, of
// discrete-time survival (Cox 1972, section 6; Gensheimer and Narasimhan 2019),
// and sets d to weight times its derivatives by the logits.
func (a *asked) hazard(logits *[Horizons]float32, d []float32) float64 {
	loss := 0.0
	for k := range Horizons {
		d[k] = 0
		x := float64(logits[k])
		switch {
		case k < int(a.survived):
			loss += softplus(x)
			d[k] = a.weight * float32(logistic(x))
		case k == int(a.survived) && a.happened:
			loss += softplus(-x)
			d[k] = -a.weight * float32(logistic(-x))
		}
	}
	return loss
}

// pinball returns the mean over the levels of the pinball loss (Koenker and
// Bassett 1978) of the quantiles of raw outputs, and sets d to weight times its
// derivatives by them.
func (a *asked) pinball(raw, d []float32) float64 {
	var q, by [quantiles]float32
	rising(&q, raw)
	loss := 0.0
	for i, level := range Levels {
		over := float64(a.ratio - q[i])
		if over >= 0 {
			loss += level * over
			by[i] = -float32(level) * a.weight / float32(quantiles)
		} else {
			loss += (level - 1) * over
			by[i] = (1 - float32(level)) * a.weight / float32(quantiles)
		}
	}
	// A step moves its quantile and all those beyond it.
	var beyond float32
	for i := quantiles - 1; i > median; i-- {
		beyond += by[i]
		d[i] = beyond * sigmoid(raw[i])
	}
	all := beyond
	beyond = 0
	for i := range median {
		beyond += by[i]
		d[i] = -beyond * sigmoid(raw[i])
	}
	d[median] = all + beyond + by[median]
	return loss / float64(quantiles)
}

// notFinite returns the error that ends a training if x is not finite.
func notFinite(what string, x float64) error {
	if !math.IsNaN(x) && !math.IsInf(x, 0) {
		return nil
	}
	return &penumbra.Error{
		Kind:   penumbra.Invalid,
		What:   "train the network: " + what + " is not finite",
		Remedy: "lower the rate, or look for numbers far from unit scale on the tape",
	}
}
