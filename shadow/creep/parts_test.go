package creep

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"pgregory.net/rapid"
)

// The closed form is held against the process itself: rates drawn from the
// posterior, the open gap's stages given that it has not ended, and the rest.
func TestWaitingIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	const draws = 40_000
	for _, k := range []int{1, 2, 4} {
		const a, b, open = 3.0, 2.0, 0.7
		// All weight on one k: the parts over how many stages are done.
		var w waiting
		sum := 0.0
		for j := range k {
			p := stage{stages: k, done: j, shape: a + float64(j), rate: b + open}
			p.weight = math.Exp(lgamma(p.shape) - p.shape*math.Log(p.rate) + float64(j)*math.Log(open) - lgamma(float64(j+1)))
			sum += p.weight
			w.parts = append(w.parts, p)
		}
		for i := range w.parts {
			w.parts[i].weight /= sum
		}
		for _, m := range []int{1, 3} {
			hits, kept := 0, 0
			const span = 2.5
			for range draws {
				rate := gamma(r, a) / b
				first := 0.0
				for range k {
					first += r.ExpFloat64() / rate
				}
				if first <= open {
					continue
				}
				kept++
				total := first - open
				for range (m - 1) * k {
					total += r.ExpFloat64() / rate
				}
				if total <= span {
					hits++
				}
			}
			got, want := w.within(m, span), float64(hits)/float64(kept)
			if slack := 5 * math.Sqrt(want*(1-want)/float64(kept)); math.Abs(got-want) > slack {
				t.Errorf("%d stages, %d steps: %.4f, simulated %.4f", k, m, got, want)
			}
		}
	}
}

// gamma draws from Gamma(3, 1): the sum of three exponentials.
func gamma(r *rand.Rand, shape float64) float64 {
	sum := 0.0
	for range int(shape) {
		sum += r.ExpFloat64()
	}
	return sum
}

func TestWaitingFollowsTheGaps(t *testing.T) {
	daily, slow, regular := wait([]float64{1.2, 0.7, 1.1, 1}, 0), wait([]float64{9, 13, 8, 10}, 0), wait([]float64{1, 1, 1, 1, 1, 1, 1, 1}, 0.9)
	if a, b := daily.within(1, 2), slow.within(1, 2); a < 0.7 || b > 0.35 {
		t.Errorf("within 2 days: daily %.2f, every ten days %.2f", a, b)
	}
	if a, b := regular.within(1, 0.5), daily.within(1, 0.5); a <= b {
		t.Errorf("a regular step that is due: %.2f, one that has just come: %.2f", a, b)
	}
	if one := wait(nil, 0); one.within(1, 7) > 0.75 || one.within(1, 7) < 0.2 {
		t.Errorf("after one step the next comes within a week by %.2f: too sure", one.within(1, 7))
	}
}

func TestEqualStepsEndOnTheLimit(t *testing.T) {
	s := learn([]float64{1, 1, 1, 1, 1, 1})
	first := s.passing(2)
	if first[1] > 0.1 || first[2] > 0.25 || first[3] < 0.4 {
		t.Errorf("two steps off, passed by the third: %.2v", first[:5])
	}
	if on := s.passing(0); on[1] != 1 {
		t.Errorf("on the limit: %.2v", on[:3])
	}
}

func TestScaleThatPredictsBetter(t *testing.T) {
	chosen := func(values ...float64) bool {
		r := run{sign: 1}
		for i := 1; i < len(values); i++ {
			r.move(step{from: values[i-1], to: values[i]})
		}
		best := scale{}
		for _, s := range measure(&r, values[len(values)-1], 1000) {
			if s.share > best.share {
				best = s
			}
		}
		return best.relative
	}
	if chosen(10, 12, 14, 16, 18, 20, 22) {
		t.Error("equal steps are taken for relative ones")
	}
	if !chosen(10, 15, 22.5, 33.75, 50.6, 75.9) {
		t.Error("a growth by half each time is taken for equal steps")
	}
}

func TestKnownGround(t *testing.T) {
	r := run{sign: 1}
	for range 2 {
		r.move(step{from: 4, to: 5})
		r.move(step{from: 5, to: 6})
		r.move(step{from: 6, to: 4})
	}
	if r.move(step{from: 4, to: 6}); len(r.steps) != 0 {
		t.Errorf("where it has been and turned twice: %d steps", len(r.steps))
	}
	if r.move(step{from: 6, to: 7}); len(r.steps) != 1 {
		t.Errorf("beyond it: %d steps", len(r.steps))
	}
}

var day0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func gapOf(t *rapid.T) time.Duration {
	return time.Duration(rapid.Float64Range(0, 1e6).Draw(t, "seconds") * float64(time.Second))
}

// Whatever the steps, the answers are probabilities, and more time or a nearer
// limit makes none smaller.
func TestForecastsAreProbabilities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sign := rapid.SampledFrom([]float64{1, -1}).Draw(t, "sign")
		r := run{sign: sign}
		v := rapid.Float64Range(-50, 50).Draw(t, "start")
		at := day0
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			to := v + sign*rapid.Float64Range(-2, 5).Draw(t, "size")
			at = at.Add(rapid.Custom(gapOf).Draw(t, "gap"))
			r.move(step{time: at, after: at, seen: at, from: v, to: to})
			v = to
		}
		if len(r.steps) == 0 {
			return
		}
		far := rapid.Float64Range(0, 100).Draw(t, "far")
		last := -1.0
		for _, share := range []float64{1, 0.5, 0} {
			f := r.forecast("x", amount{x: v, scale: 1}, amount{x: v + sign*far*share, scale: 1}, penumbra.Number(v+sign*far*share), at)
			for i, p := range f.Leave {
				if !(p >= 0 && p <= 1) || i > 0 && p < f.Leave[i-1] {
					t.Fatalf("%v", f.Leave)
				}
			}
			// Scales change shares with nothing but the steps, cells round.
			if p := f.Leave[len(f.Leave)-1]; share == 0 && p < last-0.05 {
				t.Fatalf("nearer and less likely: %v after %v", p, last)
			} else {
				last = p
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"4MB", "8192kB", "500m", "1min", "-1", "1e308GB", "0x10", "1_000", "80%", " 8 MB ", "", "Infinity", "nan%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := parse(penumbra.String(s))
		if ok && (math.IsNaN(a.x) || a.scale <= 0) {
			t.Errorf("%q is %+v", s, a)
		}
		if ok {
			a.value(a.x)
		}
	})
}
