package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// seconds that a job is served for: always the same, or exponential.
func always(seconds float64) func(*rand.Rand) float64 {
	return func(*rand.Rand) float64 { return seconds }
}

func exponential(seconds float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return r.ExpFloat64() * seconds }
}

// erlangC is the chance that all of c servers are busy when a job arrives, at an offered
// load of a (Erlang's second formula).
func erlangC(c int, a float64) float64 {
	sum, term := 0.0, 1.0
	for k := range c {
		sum += term
		term *= a / float64(k+1)
	}
	full := term * float64(c) / (float64(c) - a)
	return full / (sum + full)
}

// TestClosedForms holds the simulation against what is known of queues. One job a second
// arrives, and means are of a million of them.
func TestClosedForms(t *testing.T) {
	t.Parallel()
	const rate, jobs = 1.0, 1_000_000
	m := func(servers int, mean float64) station {
		return station{servers: servers, service: exponential(mean)}
	}
	d := func(mean float64) station { return station{servers: 1, service: always(mean)} }
	for _, c := range []struct {
		name     string
		stations []station
		mean     float64 // of waiting and service together
		p99      float64 // 0 where there is no closed form
	}{
		// Kleinrock, Queueing Systems I: M/M/1, T = 1/(µ-λ), exponential.
		{"M/M/1 at 0.5", []station{m(1, 0.5)}, 1, math.Log(100)},
		{"M/M/1 at 0.8", []station{m(1, 0.8)}, 4, 4 * math.Log(100)},
		// Pollaczek and Khinchine: M/D/1, W = ρ/(2µ(1-ρ)).
		{"M/D/1 at 0.5", []station{d(0.5)}, 0.5 + 0.5*0.5/(2*0.5), 0},
		{"M/D/1 at 0.8", []station{d(0.8)}, 0.8 + 0.8*0.8/(2*0.2), 0},
		// Erlang: M/M/c, W = C(c,a)/(cµ-λ).
		{"M/M/4 at 0.75", []station{m(4, 3)}, 3 + erlangC(4, 3)/(4.0/3-1), 0},
		// Burke: what leaves M/M/1 is Poisson again, and its sojourns add up.
		{"M/M/1 behind M/M/2", []station{m(2, 1), m(1, 0.6)}, 1 + erlangC(2, 1)/(2-1) + 1/(1/0.6-1), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			took := simulate(c.stations, rate, jobs, 7)
			if got := stat.Mean(took, nil); math.Abs(got-c.mean) > 0.03*c.mean {
				t.Errorf("mean %.3f s, want %.3f", got, c.mean)
			}
			if got := quantile(0.99, took); c.p99 > 0 && math.Abs(got-c.p99) > 0.03*c.p99 {
				t.Errorf("99th percentile %.3f s, want %.3f", got, c.p99)
			}
		})
	}
}

// TestPauses has servers stop: who arrives at random while there is next to nothing to do
// waits for what is left of the pause, L²/(2E) in the mean.
func TestPauses(t *testing.T) {
	t.Parallel()
	s := station{servers: 1, service: always(1e-6), pauseEvery: 100, pause: 20}
	took := simulate([]station{s}, 0.5, 1_000_000, 3)
	if got, want := stat.Mean(took, nil), 20.0*20/(2*100); math.Abs(got-want) > 0.03*want {
		t.Errorf("mean %.3f s, want %.3f", got, want)
	}
	if got := s.end(95, 10); got != 125 { // 5 s, a pause of 20, and 5 s
		t.Errorf("work that meets a pause ends at %v, want 125", got)
	}
	if got := s.end(110, 200); got != 360 { // 80 s from 120 on, 80 from 220 on, and 40 from 320 on
		t.Errorf("work that meets several pauses ends at %v, want 360", got)
	}
	if got := s.load(0.5, 1); got != 0.5+0.2 {
		t.Errorf("load %v, want 0.7", got)
	}
}
