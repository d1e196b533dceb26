package diagnosis

import (
	"math"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"gonum.org/v1/gonum/integrate/quad"
	"pgregory.net/rapid"
)

// The closed forms against the convolution that they stand for.
func TestLagIsTheConvolution(t *testing.T) {
	t.Parallel()
	for _, sd := range []float64{0.25, 1, 15, 400} {
		for _, mean := range []float64{promptMean, soonMean, slowMean} {
			convolved := func(x float64) float64 {
				// The exponential's time u is (x - error).
				low, high := max(0, x-9*sd), x+9*sd
				if high <= low {
					return 0
				}
				return quad.Fixed(func(u float64) float64 {
					z := (x - u) / sd
					return math.Exp(-u/mean) / mean * math.Exp(-z*z/2) / (sd * math.Sqrt(2*math.Pi))
				}, low, high, 400, nil, 0)
			}
			for _, x := range []float64{-3 * sd, -sd, 0, sd, 5 * sd, sd + mean, 3*sd + 4*mean} {
				if got, want := lagDensity(x, sd, mean), convolved(x); math.Abs(got-want) > 1e-6*want+1e-15 {
					t.Errorf("density at %g, sd %g, mean %g: %g, want %g", x, sd, mean, got, want)
				}
				b := x + sd
				want := quad.Fixed(func(x float64) float64 { return lagDensity(x, sd, mean) }, x, b, 100, nil, 0)
				if got := lagBetween(x, b, sd, mean); math.Abs(got-want) > 1e-6*want+1e-14 {
					t.Errorf("between %g and %g, sd %g, mean %g: %g, want %g", x, b, sd, mean, got, want)
				}
			}
		}
	}
}

func TestLagIsFinite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-1e10, 1e10).Draw(t, "x")
		sd := rapid.Float64Range(clockError, maxError).Draw(t, "sd")
		for _, mean := range []float64{promptMean, soonMean, slowMean} {
			if d := lagDensity(x, sd, mean); !(d >= 0) || d > 10 {
				t.Fatalf("density %g at %g, sd %g, mean %g", d, x, sd, mean)
			}
			if p := lagBetween(x, x+300, sd, mean); math.IsNaN(p) || p > 1+1e-6 || p < -1e-6 {
				t.Fatalf("probability %g from %g, sd %g, mean %g", p, x, sd, mean)
			}
		}
	})
}

func TestMagnitude(t *testing.T) {
	t.Parallel()
	n, s := penumbra.Number, penumbra.String
	for _, x := range []struct {
		before, after penumbra.Value
		ratio, want   float64 // ratio 0: none
	}{
		{s("4MB"), s("64kB"), 1.0 / 64, 3},
		{s("64 kB"), s("4 MB"), 64, 3},
		{n(100), n(400), 4, 1},
		{n(100), n(101), 1.01, 0.25},
		{s("30s"), s("2min"), 4, 1},
		{s("512Mi"), s("2Gi"), 4, 1},
		{s("50%"), s("100%"), 2, 0.5},
		{n(0), n(30), 0, 2},
		{s("10s"), n(0), 0, 2},
		{n(-1), n(1000), 0, 2},
		{s("10s"), s("10MB"), 0, 1}, // two sorts
		{s("on"), s("off"), 0, 1},
		{penumbra.Bool(true), penumbra.Bool(false), 0, 1},
		{penumbra.Null(), n(5), 0, 1},
		{s("1.2.3"), s("1.2.4"), 0, 1},
		{s("5m"), s("10m"), 0, 1},
		{s("1e999"), s("1"), 0, 1},
		{s("NaN"), s("1"), 0, 1},
	} {
		r, ok := ratio(x.before, x.after)
		if ok != (x.ratio != 0) || ok && math.Abs(r-x.ratio) > 1e-9 {
			t.Errorf("%v to %v: ratio %g %v, want %g", x.before, x.after, r, ok, x.ratio)
		}
		if got := magnitude(x.before, x.after); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%v to %v: magnitude %g, want %g", x.before, x.after, got, x.want)
		}
	}
}

func TestOnsetIsAsUncertainAsItWasNoticed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		name      string
		a         penumbra.Anomaly
		interval  float64
		sd, delay float64
	}{
		{"at once", penumbra.Anomaly{Onset: at, Time: at}, 1, math.Hypot(1, clockError), 0.5},
		{"every minute", penumbra.Anomaly{Onset: at, Time: at}, 60, math.Hypot(60, clockError), 30},
		{"slow", penumbra.Anomaly{Onset: at, Time: at.Add(80 * time.Second)}, 1, math.Sqrt(1 + 100 + clockError*clockError), 0.5},
		{"silence", penumbra.Anomaly{Kind: penumbra.Silence, Onset: at, Time: at.Add(80 * time.Second)}, 1, math.Hypot(1, clockError), 0.5},
		{"no onset", penumbra.Anomaly{Time: at}, 1, math.Hypot(1, clockError), 0.5},
		{"a year", penumbra.Anomaly{Onset: at, Time: at.AddDate(1, 0, 0)}, 1, maxError, 0.5},
	} {
		if o := onsetOf(&x.a, x.interval); !o.at.Equal(at) || math.Abs(o.sd-x.sd) > 1e-9 || o.delay != x.delay {
			t.Errorf("%s: %+v, want sd %g, delay %g", x.name, o, x.sd, x.delay)
		}
	}
}
