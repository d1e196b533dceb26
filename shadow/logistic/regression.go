package logistic

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// Regression is one regression over n features and a constant.
type Regression struct {
	weights []float64 // n+1, the constant last
	spread  []float64 // their covariance, the upper triangle of (n+1)x(n+1), row by row
	prior   float64   // variance of a weight of which nothing is known
	x, move []float64 // room
}

// New returns a regression over n features whose weights are expected to be
// zero, give or take the deviation.
func New(n int, deviation float64) *Regression {
	m := n + 1
	r := &Regression{
		weights: make([]float64, m), spread: make([]float64, m*m), prior: deviation * deviation,
		x: make([]float64, m), move: make([]float64, m),
	}
	for i := range m {
		r.spread[i*m+i] = r.prior
	}
	return r
}

// LogOdds returns the log odds of the event.
func (r *Regression) LogOdds(offset float64, features []float32) float64 {
	z := offset + r.weights[len(features)]
	for i, x := range features {
		z += r.weights[i] * float64(x)
	}
	return z
}

// Learn takes one example in: whether the event happened. A weight above 1
// stands for so many examples of which this is a sample.
func (r *Regression) Learn(offset float64, features []float32, happened bool, weight float64) {
	m := len(r.weights)
	for i, x := range features {
		r.x[i] = float64(x)
	}
	r.x[m-1] = 1
	p := Probability(r.LogOdds(offset, features))
	miss := -p
	if happened {
		miss = 1 - p
	}
	spread := blas64.Symmetric{N: m, Stride: m, Data: r.spread, Uplo: blas.Upper}
	x, move := blas64.Vector{N: m, Data: r.x, Inc: 1}, blas64.Vector{N: m, Data: r.move, Inc: 1}
	blas64.Symv(1, spread, x, 0, move)
	information := weight * max(p*(1-p), 1e-6)
	gain := 1 / (1 + information*blas64.Dot(x, move))
	blas64.Axpy(weight*miss*gain, move, blas64.Vector{N: m, Data: r.weights, Inc: 1})
	blas64.Syr(-information*gain, move, spread)
}

// Forget lets what was learnt count for the share keep of itself; no weight
// becomes less certain than it was at first.
func (r *Regression) Forget(keep float64) {
	m := len(r.weights)
	for i := range m {
		// Scaling row and column alike keeps the covariance positive definite.
		scale := math.Sqrt(min(1/keep, r.prior/r.spread[i*m+i]))
		for j := range m {
			if j >= i {
				r.spread[i*m+j] *= scale
			}
			if j <= i {
				r.spread[j*m+i] *= scale
			}
		}
	}
}

// Transfer makes what was learnt elsewhere a first guess: the weights are drawn
// to zero, of which the share stays, and what is known of them counts for the
// share certain of itself.
func (r *Regression) Transfer(share, certain float64) {
	for i := range r.weights {
		r.weights[i] *= share
	}
	r.Forget(certain)
}

// Probability returns the probability of log odds.
func Probability(logOdds float64) float64 { return 1 / (1 + math.Exp(-logOdds)) }

// LogOddsOf returns the log odds of a probability, kept from infinity.
func LogOddsOf(p float64) float64 {
	p = min(1-1e-9, max(1e-9, p))
	return math.Log(p / (1 - p))
}
