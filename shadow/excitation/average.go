package excitation

// Average returns the model between several: the logarithms of coefficients are
// their means, each counted by its share, and so are the sums of squared
// gradients; the shares sum to 1.
func Average(of []*Model, share []float64) *Model {
	out := New()
	out.state = state{}
	for i, m := range of {
		for k := range m.Log {
			for s := range m.Log[k] {
				out.Log[k][s] += share[i] * m.Log[k][s]
				out.Squares[k][s] += share[i] * m.Squares[k][s]
			}
		}
	}
	return out
}
