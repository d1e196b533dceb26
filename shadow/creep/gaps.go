package creep

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// The prior of the time between steps: how many stages a gap has, and the scales
// of its mean, each with its share. Before the first gap next to nothing is known;
// that a setting moved once says little of when it will again, so the long scales
// have the most. Chosen on the generated settings of the training seeds.
var (
	stages = [...]int{1, 2, 4}
	scales = [...]struct{ days, share float64 }{
		{0.08, 0.05}, {0.3, 0.10}, {1, 0.15}, {4, 0.15}, {16, 0.15}, {64, 0.40},
	}
)

// priorShape is the gamma prior's shape within one scale: a factor of about 2 up
// and down.
const priorShape = 1.5

// waiting is the distribution of the waiting times for the next steps.
type waiting struct{ parts []stage }

// stage is one part of the mixture: with its weight, the rate of stages is
// Gamma(shape, rate), and done of the present gap's stages are over.
type stage struct {
	weight      float64
	stages      int
	done        int
	shape, rate float64
}

// negligible is the share from which a part of the mixture counts.
const negligible = 1e-3

// wait learns from gaps in days, the oldest first, and from the time since the
// last step, in which none has come.
func wait(gaps []float64, open float64) waiting {
	var w waiting
	var logs []float64
	for _, k := range stages {
		for _, scale := range scales {
			a, b := priorShape, priorShape*scale.days/float64(k)
			l := math.Log(scale.share) - lgamma(a) + a*math.Log(b)
			weight := 1.0
			for i := len(gaps) - 1; i >= 0; i-- {
				g := max(gaps[i], shortest)
				l += weight * (float64(k-1)*math.Log(g) - lgamma(float64(k)))
				a += weight * float64(k)
				b += weight * g
				weight *= fade
			}
			for j := range k {
				// Nothing has come in the open time: j stages of the gap are over.
				lj := l + lgamma(a+float64(j)) - (a+float64(j))*math.Log(b+open) - lgamma(float64(j+1))
				if j > 0 {
					lj += float64(j) * math.Log(max(open, 1e-9))
				}
				logs = append(logs, lj)
				w.parts = append(w.parts, stage{stages: k, done: j, shape: a + float64(j), rate: b + open})
			}
		}
	}
	normalise(logs)
	kept := w.parts[:0]
	for i, p := range w.parts {
		if p.weight = logs[i]; p.weight >= negligible {
			kept = append(kept, p)
		}
	}
	w.parts = kept
	return w
}

// within returns the probability that at least m more steps come within a span in
// days. Given the rate the remaining stages take a gamma time, so that over the
// rate's posterior it is beta prime.
func (w *waiting) within(m int, span float64) float64 {
	sum, total := 0.0, 0.0
	for _, p := range w.parts {
		total += p.weight
		sum += p.weight * mathext.RegIncBeta(float64(m*p.stages-p.done), p.shape, span/(span+p.rate))
	}
	return min(1, sum/total)
}

func lgamma(x float64) float64 {
	l, _ := math.Lgamma(x)
	return l
}

// normalise turns logarithms of weights into weights that sum to 1.
func normalise(logs []float64) {
	top := math.Inf(-1)
	for _, l := range logs {
		top = max(top, l)
	}
	sum := 0.0
	for i, l := range logs {
		logs[i] = math.Exp(l - top)
		sum += logs[i]
	}
	for i := range logs {
		logs[i] /= sum
	}
}
