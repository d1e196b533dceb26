package mixture

import (
	"math"

	"github.com/penumbra-iac/penumbra/shadow"
)

// The candidates for the last word, after the experts, in this order.
const (
	joined     = experts + iota // the pool, recalibrated
	contrasted                  // the same with contrasts
	estateRate                  // how often settings of the estate change at all
	candidates
)

// lastWord is how much each candidate is believed. What the model says is their
// mean in probability, weighted by Bayes' rule with fixed share (Herbster and
// Warmuth 1998), but for the bound on what one day may say ([wordADay]), with
// which the rule's own bound on the loss does not hold.
type lastWord [candidates]float64

// firstWord is where beliefs begin, and what they go back to: the pools are
// expected to be the best.
func firstWord() lastWord {
	var w lastWord
	for i := range w {
		w[i] = 0.2 / (candidates - 2)
	}
	w[joined], w[contrasted] = 0.4, 0.4
	return w
}

// join returns the log odds of the candidates' mean probability, without the one
// left out; nobody is none.
func (w *lastWord) join(z *[candidates]float64, without int) float64 {
	var sum, all float64
	for i, x := range z {
		if i == without {
			continue
		}
		sum += w[i] * probability(x)
		all += w[i]
	}
	return logOdds(sum / all)
}

const nobody = -1

// wordADay is [mostADay] for the last word, and wordBack the share of the beliefs
// that goes home each day. Calm years say little about the next sweep: no
// candidate may lose all its weight in them. Judgements, made on govuk-aws.
const (
	wordADay = 0.02
	wordBack = 0.02
)

// learn takes in the losses of a day.
func (w *lastWord) learn(losses *[candidates]float64) {
	least := math.Inf(1)
	for _, x := range losses {
		least = min(least, x)
	}
	var sum float64
	for i := range w {
		w[i] *= math.Exp(-min(wordADay, losses[i]-least))
		sum += w[i]
	}
	home := firstWord()
	for i := range w {
		w[i] = (1-wordBack)*w[i]/sum + wordBack*home[i]
	}
}

// learnWord moves the beliefs by what a day's examples came to within the last
// horizon.
func (m *Model) learnWord(c *cohort) {
	var losses [candidates]float64
	for _, x := range c.examples {
		happened, w := int(x.interval) < horizons, float64(x.weight)*mistrust
		for i, z := range x.word {
			losses[i] += w * logLoss(float64(z), happened)
		}
	}
	m.word.learn(&losses)
}

// speak fills in what each candidate says within a horizon, and what the model
// does.
func (v *view) speak(m *Model, l *shadow.Look, a *answer) {
	c := m.centers[l.Tokens[0]]
	for k := range horizons {
		z := &a.word[k]
		for e := range experts {
			z[e] = a.each[e][k]
		}
		z[joined] = a.level[k]
		shift := c.shift(k)
		a.ratio[k] = m.ratio(k, &a.contrast)
		a.base[k] = a.level[k] - shift
		z[contrasted] = a.base[k] + a.ratio[k]
		z[estateRate] = l.Estate[k]
		a.pool[k] = m.word.join(z, nobody)
		// The same without the network, in the pool and beside it.
		y := *z
		y[joined] = a.without[k]
		y[contrasted] = a.without[k] - shift + a.ratio[k]
		a.without[k] = m.word.join(&y, network)
	}
}
