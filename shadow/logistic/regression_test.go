package logistic_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

func TestUntaughtIsTheOffset(t *testing.T) {
	t.Parallel()
	if z := logistic.New(2, 0.3).LogOdds(-4.5, []float32{1, 2}); z != -4.5 {
		t.Errorf("an untaught regression says %v", z)
	}
}

// TestRecovers draws from known weights and finds them again, and new ones
// after the world has changed.
func TestRecovers(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	r := logistic.New(2, 1)
	for _, truth := range [][3]float64{{1, -2, -1}, {-1, 1, 0}} {
		for range 20000 {
			x := []float32{float32(random.NormFloat64()), float32(random.NormFloat64())}
			p := logistic.Probability(truth[0]*float64(x[0]) + truth[1]*float64(x[1]) + truth[2])
			r.Learn(0, x, random.Float64() < p, 1)
			r.Forget(0.9995)
		}
		for _, x := range [][]float32{{0, 0}, {1, 0}, {0, 1}} {
			want := truth[0]*float64(x[0]) + truth[1]*float64(x[1]) + truth[2]
			if got := r.LogOdds(0, x); math.Abs(got-want) > 0.4 {
				t.Errorf("at %v the log odds are %.2f, want %.2f", x, got, want)
			}
		}
	}
}
