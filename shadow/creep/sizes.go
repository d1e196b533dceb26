package creep

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

const (
	// ahead is how many steps are looked ahead.
	ahead = 40
	// cells is how finely the way to the limit is divided. 60 divides by 2 to 6, so
	// that a few equal steps end exactly on the limit, which is within it.
	cells = 60
	// newSize is the Dirichlet process's concentration: how many steps the prior
	// that a size is a new one counts for.
	newSize = 1.0
	// spread is the prior standard deviation of a size's logarithm, priorSteps how
	// many steps it counts for, and leastSpread what no run of equal steps goes below.
	spread      = 0.6
	priorSteps  = 2.0
	leastSpread = 0.05
)

// sizes is what is known of the sizes of steps on one scale.
type sizes struct {
	of, weights     []float64 // the earlier ones, and what each counts for
	total           float64
	mu, sigma, free float64 // of the logarithm of a new one
}

// learn takes sizes in, the oldest first; all are positive.
func learn(of []float64) sizes {
	s := sizes{of: of, weights: make([]float64, len(of))}
	weight := 1.0
	for i := len(of) - 1; i >= 0; i-- {
		s.weights[i] = weight
		s.total += weight
		s.mu += weight * math.Log(of[i])
		weight *= fade
	}
	s.mu /= s.total
	squares := priorSteps * spread * spread
	for i, x := range of {
		d := math.Log(x) - s.mu
		squares += s.weights[i] * d * d
	}
	s.free = priorSteps + s.total - 1
	s.sigma = max(leastSpread, math.Sqrt(squares/s.free*(1+1/s.total)))
	return s
}

// t is the distribution of a new size's logarithm.
func (s *sizes) t() distuv.StudentsT {
	return distuv.StudentsT{Mu: s.mu, Sigma: s.sigma, Nu: s.free}
}

// passing returns for m = 1 to [ahead] the probability that the m-th step is the
// first to go more than far.
func (s *sizes) passing(far float64) (first [ahead + 1]float64) {
	if far <= 0 {
		first[1] = 1
		return first
	}
	var step [cells + 1]float64 // of going so many cells; what is left goes beyond
	fresh := newSize / (s.total + newSize)
	t, below := s.t(), 0.0
	for j := range step {
		upTo := t.CDF(math.Log((float64(j) + 0.5) * far / cells))
		step[j] = fresh * (upTo - below)
		below = upTo
	}
	for i, x := range s.of {
		if j := x / far * cells; j < cells+1e-6 {
			step[int(math.Round(j))] += (1 - fresh) * s.weights[i] / s.total
		}
	}
	var at, next [cells + 1]float64
	at[0] = 1
	inside := 1.0
	for m := 1; m <= ahead && inside > 1e-6; m++ {
		next = [cells + 1]float64{}
		left := 0.0
		for i, p := range at {
			if p == 0 {
				continue
			}
			for j := 0; i+j <= cells; j++ {
				next[i+j] += p * step[j]
			}
		}
		for _, p := range next {
			left += p
		}
		first[m], inside, at = max(0, inside-left), left, next
	}
	return first
}

// scale is how sizes are measured: by their difference or their ratio.
type scale struct {
	relative bool
	share    float64
	sizes    sizes
	first    [ahead + 1]float64
}

// measure returns the scales of a run's steps with their shares, for a setting at
// now and its bound. A ratio needs what is above nothing.
func measure(r *run, now, bound float64) []scale {
	absolute := scale{}
	relative := scale{relative: true}
	positive := now > 0 && bound > 0
	var diffs, ratios []float64
	for _, s := range r.steps {
		positive = positive && s.from > 0 && s.to > 0
	}
	logs := []float64{0, 0}
	for i, s := range r.steps {
		diff := r.sign * (s.to - s.from)
		ratio := 0.0
		if positive {
			ratio = r.sign * math.Log(s.to/s.from)
		}
		if i > 0 && positive {
			weight := math.Pow(fade, float64(len(r.steps)-1-i))
			before, relatively := learn(diffs), learn(ratios)
			logs[0] += weight * (before.t().LogProb(math.Log(diff)) - math.Log(diff))
			logs[1] += weight * (relatively.t().LogProb(math.Log(ratio)) - math.Log(ratio) - math.Log(s.to))
		}
		diffs, ratios = append(diffs, diff), append(ratios, ratio)
	}
	absolute.sizes = learn(diffs)
	absolute.first = absolute.sizes.passing(r.sign * (bound - now))
	if !positive {
		absolute.share = 1
		return []scale{absolute}
	}
	normalise(logs)
	relative.sizes = learn(ratios)
	relative.first = relative.sizes.passing(r.sign * math.Log(bound/now))
	absolute.share, relative.share = logs[0], logs[1]
	return []scale{absolute, relative}
}

// typical returns the weighted median of the sizes.
func (s *sizes) typical() float64 {
	best, balance := s.of[len(s.of)-1], math.Inf(1)
	for _, x := range s.of {
		sum := 0.0
		for i, y := range s.of {
			sum += s.weights[i] * math.Abs(x-y)
		}
		if sum < balance {
			best, balance = x, sum
		}
	}
	return best
}
