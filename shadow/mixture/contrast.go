package mixture

import (
	"math"

	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

// contrast is how far a setting differs from the others of its class, in each
// of [shadow.OwnFeatures].
//
// The pool's regressions mostly learn which classes change: the same feature
// may speak for a change between classes and against it within one. So what
// tells the members of a class apart has coefficients of its own, on deviations
// from the class's mean (the within-between decomposition of Mundlak, "On the
// Pooling of Time Series and Cross Section Data", Econometrica 46 (1978),
// 69-85), on top of what the pool says.
type contrast [numContrasts]float32

const numContrasts = shadow.NumOwnFeatures

// center is the running mean of a class's features, over the looks of surveys.
type center struct {
	looks float32 // at most mostLooks
	mean  contrast
}

// mostLooks is over how many looks a mean runs, and fewLooks how many it takes
// until it is believed by half. Judgements.
const (
	mostLooks = 64
	fewLooks  = 4
)

func (c *center) take(x *[shadow.NumFeatures]float32) {
	c.looks = min(c.looks+1, mostLooks)
	for i, feature := range shadow.OwnFeatures {
		c.mean[i] += (x[feature] - c.mean[i]) / c.looks
	}
}

// from returns the deviations from the mean, drawn to none while it is not well
// known.
func (c *center) from(x *[shadow.NumFeatures]float32) contrast {
	var out contrast
	if c == nil {
		return out
	}
	believed := c.looks / (c.looks + fewLooks)
	for i, feature := range shadow.OwnFeatures {
		out[i] = (x[feature] - c.mean[i]) * believed
	}
	return out
}

// The deviation of the contrasts' weights before anything is learnt, what an
// example counts, and the half-life in days: tried on the first half of
// estate-c's time; see docs/model.md.
const (
	contrastDeviation = 0.3
	contrastBelief    = 0.3
	contrastLife      = 2000
)

func newContrasts() (out [horizons]*logistic.Regression) {
	for k := range out {
		out[k] = logistic.New(numContrasts, contrastDeviation)
	}
	return out
}

// learnContrast teaches which members of a class changed within horizon k.
func (m *Model) learnContrast(c *cohort, k int) {
	for _, x := range c.examples {
		m.contrasts[k].Learn(float64(x.pool[k]), x.contrast[:], int(x.interval) <= k, float64(x.weight)*contrastBelief)
	}
}

// trustContrast compares the pool with and without contrasts, before they are
// learnt.
func (m *Model) trustContrast(c *cohort) {
	var without, with float64
	for _, x := range c.examples {
		happened, w, z := int(x.interval) < horizons, float64(x.weight)*mistrust, float64(x.pool[last])
		without += w * logLoss(z, happened)
		with += w * logLoss(m.contrasts[last].LogOdds(z, x.contrast[:]), happened)
	}
	m.contrastTrust = trusted(m.contrastTrust, without, with)
}

// center takes a look into the mean of its class.
func (m *Model) center(l *shadow.Look) {
	c := m.centers[l.Tokens[0]]
	if c == nil {
		c = &center{}
		m.centers[l.Tokens[0]] = c
	}
	c.take(&l.Features)
}

// contrasted returns the pool's log odds moved by what tells the setting from
// its class, as far as that was shown to be better.
func (m *Model) contrasted(k int, z float64, x *contrast) float64 {
	return z + m.contrastTrust*(m.contrasts[k].LogOdds(z, x[:])-z)
}

// trusted returns the trust in the second of two predictors after their losses,
// by fixed share.
func trusted(trust, first, second float64) float64 {
	a, b := (1-trust)*math.Exp(-first), trust*math.Exp(-second)
	if a+b > 0 {
		trust = (1-2*giveBack)*b/(a+b) + giveBack
	}
	return trust
}
