package backtest

import (
	"math"
	"sync"
)

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

// worth is the probability of each step, and what it costs to say it of a setting that
// left and of one that stayed, in nats.
type worth struct{ said, left, stayed [levels]float64 }

// worths is reckoned when it is asked for: most programs that have this package judge no
// model.
var worths = sync.OnceValue(func() *worth {
	w := &worth{}
	for i := range levels {
		odds := float64(i)/perOdd - span
		w.said[i] = 1 / (1 + math.Exp(-odds))
		w.left[i] = math.Log1p(math.Exp(-odds))
		w.stayed[i] = math.Log1p(math.Exp(odds))
	}
	return w
})
