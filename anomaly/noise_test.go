package anomaly

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// noise is a quiet series: value by value, nothing ever goes wrong.
type noise struct {
	name string
	next func(r *rand.Rand) func(at time.Time) float64
}

func ar(phi float64) func(r *rand.Rand) func(time.Time) float64 {
	return func(r *rand.Rand) func(time.Time) float64 {
		x := r.NormFloat64() / math.Sqrt(1-phi*phi)
		return func(time.Time) float64 {
			x = phi*x + r.NormFloat64()
			return 100 + x
		}
	}
}

func student(r *rand.Rand, degrees int) float64 {
	var chi float64
	for range degrees {
		z := r.NormFloat64()
		chi += z * z
	}
	return r.NormFloat64() / math.Sqrt(chi/float64(degrees))
}

func dayWave(at time.Time) float64 {
	h := float64(at.Hour()) + float64(at.Minute())/60
	w := math.Sin(2*math.Pi*(h-9)/24) + 0.3*math.Sin(4*math.Pi*h/24)
	if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
		w *= 0.6
	}
	return w
}

var quiet = []noise{
	{"Gaussian", ar(0)},
	{"AR(1), 0.7", ar(0.7)},
	{"AR(1), 0.95", ar(0.95)},
	{"AR(1), 0.99", ar(0.99)},
	{"Student t, 3 degrees", func(r *rand.Rand) func(time.Time) float64 {
		return func(time.Time) float64 { return 100 + student(r, 3) }
	}},
	{"log-normal latency, AR(1) 0.7", func(r *rand.Rand) func(time.Time) float64 {
		x := 0.0
		return func(time.Time) float64 {
			x = 0.7*x + r.NormFloat64()*0.3
			return 0.02 * math.Exp(x)
		}
	}},
	{"daily and weekly, AR(1) 0.8", func(r *rand.Rand) func(time.Time) float64 {
		x := 0.0
		return func(at time.Time) float64 {
			x = 0.8*x + r.NormFloat64()
			return 100 + 20*dayWave(at) + x
		}
	}},
	{"daily, noise grows with it, t 4", func(r *rand.Rand) func(time.Time) float64 {
		return func(at time.Time) float64 {
			l := 100 + 60*dayWave(at)
			return l + 0.05*l*student(r, 4)
		}
	}},
	{"requests, Poisson", func(r *rand.Rand) func(time.Time) float64 {
		return func(at time.Time) float64 {
			n, sum := 0.0, r.ExpFloat64()
			for sum < 3 {
				n++
				sum += r.ExpFloat64()
			}
			return n
		}
	}},
	{"errors, 1 in 200", func(r *rand.Rand) func(time.Time) float64 {
		return func(time.Time) float64 {
			if r.IntN(200) == 0 {
				return 1 + float64(r.IntN(3))
			}
			return 0
		}
	}},
}

// long makes TestQuiet play as much as the figures of docs/anomaly.md are of.
var long = flag.Bool("long", false, "play quiet series for months")

// levels are the p-values at which calibration is measured.
var levels = [...]float64{0.1, 0.01, 0.001}

// measured is what a Monitor said of quiet series.
type measured struct {
	alarms [2]int               // in the first week of a series, later
	weeks  [2]float64           // how many weeks that was
	values float64              // after what is taken to be the start
	below  [len(levels)]float64 // of these with a p-value so low
}

// play plays seeds series of a kind for a span. The p-values of the second half are
// measured.
func (m *measured) play(t *testing.T, n noise, interval, span time.Duration, seeds int) {
	for seed := range seeds {
		next := n.next(rand.New(rand.NewPCG(uint64(seed), 7)))
		f := newFeed(t, interval)
		seen := map[string]bool{}
		for f.now.Sub(start) < span {
			age := f.now.Sub(start)
			phase := 0
			if age >= week {
				phase = 1
			}
			m.weeks[phase] += interval.Hours() / week.Hours()
			for _, a := range f.add(next(f.now)) {
				if !seen[a.ID] {
					seen[a.ID] = true
					m.alarms[phase]++
				}
			}
			if age < span/2 {
				continue
			}
			m.values++
			p := f.series().PValue
			for i, x := range levels {
				if p <= x {
					m.below[i]++
				}
			}
		}
	}
}

// TestQuiet plays series in which nothing ever happens: how often does a Monitor say
// that something did, and is the chance of a p-value of x or less about x?
func TestQuiet(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, c := range []struct {
		interval, span time.Duration
		seeds, times   int // times as long and as many with -long
	}{
		{time.Minute, 3 * week, 1, 3},
		{5 * time.Minute, 6 * week, 2, 3},
		{time.Second, 2 * day, 1, 5},
	} {
		if *long {
			c.span *= time.Duration(c.times)
			c.seeds *= c.times
		}
		var all measured
		for _, n := range quiet {
			var m measured
			m.play(t, n, c.interval, c.span, c.seeds)
			t.Logf("%-4v %-32s alarms a week: %5.2f in the first of %.0f, later %.3f of %.0f; P(p ≤ x)/x: %.2f %.2f %.2f", c.interval, n.name,
				float64(m.alarms[0])/m.weeks[0], m.weeks[0], float64(m.alarms[1])/max(m.weeks[1], 1), m.weeks[1],
				m.below[0]/m.values/levels[0], m.below[1]/m.values/levels[1], m.below[2]/m.values/levels[2])
			for i, bounds := range [][2]float64{{0.3, 1.5}, {0.1, 2.5}, {0, 10}} {
				if share := m.below[i] / m.values / levels[i]; share < bounds[0] || share > bounds[1] {
					t.Errorf("%v, %s: P(p ≤ %g) is %.2f times that", c.interval, n.name, levels[i], share)
				}
			}
			for i := range all.alarms {
				all.alarms[i] += m.alarms[i]
				all.weeks[i] += m.weeks[i]
			}
		}
		t.Logf("%-4v all: alarms a week: first %.3f, later %.3f", c.interval, float64(all.alarms[0])/all.weeks[0], float64(all.alarms[1])/max(all.weeks[1], 1))
		if c.interval >= time.Minute && float64(all.alarms[1])/all.weeks[1] > 0.3 {
			t.Errorf("%v: %d alarms in %.0f weeks", c.interval, all.alarms[1], all.weeks[1])
		}
	}
}
