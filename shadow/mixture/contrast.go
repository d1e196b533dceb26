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

// center is the running means of a class over the looks of surveys: of its
// features, and of the odds ratios that the contrasts give its members. By the
// latter they are divided, so that contrasts move the odds within the class and
// leave how many of them change to the pool.
type center struct {
	looks float32 // at most mostLooks
	mean  contrast
	odds  [horizons]float32 // 0 before the first look
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
// estate-c's time; see docs/model-mixture.md.
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
		m.contrasts[k].Learn(float64(x.base[k]), x.contrast[:], int(x.interval) <= k, float64(x.weight)*contrastBelief)
	}
}

// center takes a look into the means of its class.
func (m *Model) center(l *shadow.Look, a *answer) {
	c := m.centers[l.Tokens[0]]
	if c == nil {
		c = &center{}
		m.centers[l.Tokens[0]] = c
	}
	c.take(&l.Features)
	for k := range c.odds {
		ratio := float32(math.Exp(a.ratio[k]))
		if c.looks <= 1 {
			c.odds[k] = ratio
		}
		c.odds[k] += (ratio - c.odds[k]) / c.looks
	}
}

// mostRatio bounds, on the scale of logarithms, how far a contrast moves odds.
const mostRatio = 4

// ratio returns the logarithm of the odds ratio that a contrast gives.
func (m *Model) ratio(k int, x *contrast) float64 {
	return max(-mostRatio, min(mostRatio, m.contrasts[k].LogOdds(0, x[:])))
}

// shift returns what the contrasts move the class by as a whole, on the scale of
// log odds.
func (c *center) shift(k int) float64 {
	if c == nil || !(c.odds[k] > 0) {
		return 0
	}
	return math.Log(float64(c.odds[k]))
}
