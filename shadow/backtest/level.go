package backtest

import "math"

// levels is how many steps answers are kept in, over log odds from -span to
// span.
const (
	levels = 1 << 16
	span   = 14.0
	perOdd = (levels - 1) / (2 * span)
)

// levelOf returns the step of log odds.
func levelOf(odds float64) uint16 {
	switch x := (odds+span)*perOdd + 0.5; {
	case !(x > 0): // NaN is the least of all
		return 0
	case x >= levels-1:
		return levels - 1
	default:
		return uint16(x)
	}
}

// levelOfProbability returns the step of a probability.
func levelOfProbability(p float64) uint16 {
	if p >= 1 {
		return levels - 1
	}
	return levelOf(math.Log(p) - math.Log1p(-p))
}

// said is the probability of each step, loss what it costs to say it of a
// setting that left and of one that stayed, in nats.
var said, lossLeft, lossStayed = func() (p, left, stayed [levels]float64) {
	for i := range levels {
		odds := float64(i)/perOdd - span
		p[i] = 1 / (1 + math.Exp(-odds))
		left[i] = math.Log1p(math.Exp(-odds))
		stayed[i] = math.Log1p(math.Exp(odds))
	}
	return p, left, stayed
}()
