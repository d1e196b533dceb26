package logistic

// Average returns the regression between several over the same features: weights
// and covariance are their means, each counted by its share; the shares sum to
// 1. What each has learnt by itself counts once and not for all of them
// together, so that what is known of a weight is not overstated where they have
// learnt of the same.
func Average(of []*Regression, share []float64) *Regression {
	out := New(len(of[0].weights)-1, 1)
	clear(out.spread)
	out.prior = 0
	for i, r := range of {
		out.prior += share[i] * r.prior
		for j, x := range r.weights {
			out.weights[j] += share[i] * x
		}
		for j, x := range r.spread {
			out.spread[j] += share[i] * x
		}
	}
	return out
}
