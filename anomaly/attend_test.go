package anomaly

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestAttendIsQuick is of latencies that get longer just after a change: the share of
// seeds in which that is noticed within six values, attended to or not. And of the cost:
// changes after which nothing happens.
func TestAttendIsQuick(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const seeds = 400
	for _, history := range []int{50, 120, 600} {
		for _, times := range []float64{1, 3, 10, 40} {
			var within [2]int
			var sum [2]float64
			for i, attend := range []bool{false, true} {
				for seed := range uint64(seeds) {
					s := newSmoothed(rand.New(rand.NewPCG(seed+firstSeed, 22)), 3)
					f := newFeed(t, time.Second)
					for range history {
						f.add(s.next(1))
					}
					if f.series().Open != nil {
						continue
					}
					if attend {
						f.m.Attend(database, f.now)
					}
					values := 6
					if times == 1 {
						values = 60
					}
					for k := 1; k <= values; k++ {
						if f.add(s.next(times)); f.series().Open != nil {
							within[i]++
							sum[i] += float64(k)
							break
						}
					}
				}
			}
			t.Logf("history %3d, %2.0f times: noticed in %.3f after %.1f values, attended to in %.3f after %.1f", history, times,
				float64(within[0])/seeds, sum[0]/float64(max(within[0], 1)), float64(within[1])/seeds, sum[1]/float64(max(within[1], 1)))
			if times == 1 && within[1] > seeds*3/200 {
				t.Errorf("history %d: after %d of %d changes that did nothing there was an anomaly", history, within[1], seeds)
			}
			if times == 40 && within[1] < seeds*98/100 {
				t.Errorf("history %d: noticed in %d of %d", history, within[1], seeds)
			}
			if times > 1 && within[1] < within[0] {
				t.Errorf("history %d, %g times: attended to in %d, otherwise in %d", history, times, within[1], within[0])
			}
		}
	}
}

// Only the resource's values from the change on are attended to, and not for long.
func TestAttendEnds(t *testing.T) {
	t.Parallel()
	f := newFeed(t, time.Second)
	r := rand.New(rand.NewPCG(1, 23))
	for range 300 {
		f.add(100 + r.NormFloat64())
	}
	usual := f.m.threshold(database, f.series(), f.now.UnixNano())
	f.m.Attend(database, f.now)
	for _, x := range []struct {
		resource penumbra.Address
		after    time.Duration
		attended bool
	}{
		{database, -time.Second, false}, {database, 0, true}, {database, 8 * time.Second, true},
		{database, 10 * time.Second, false}, {"app/other", 0, false},
	} {
		got := f.m.threshold(x.resource, f.series(), f.now.Add(x.after).UnixNano())
		if x.attended && got != attentive || !x.attended && got != usual {
			t.Errorf("%s %v after the change: %g", x.resource, x.after, got)
		}
	}
	// A later change goes on from there; after an hour all is forgotten.
	f.m.Attend(database, f.now.Add(5*time.Second))
	if got := f.m.threshold(database, f.series(), f.now.Add(12*time.Second).UnixNano()); got != attentive {
		t.Errorf("after a second change: %g", got)
	}
	f.m.Tick(f.now.Add(2 * time.Hour))
	if len(f.m.attended) != 0 {
		t.Errorf("%v is attended to two hours later", f.m.attended)
	}
}

// TestOnsetOfAShift is of shifts that come at once, one value of them as usual: the onset
// is when they came, not after the value in between, and not when the noise was high
// before them.
func TestOnsetOfAShift(t *testing.T) {
	t.Parallel()
	const seeds = 200
	late, early, missed := 0, 0, 0
	for seed := range uint64(seeds) {
		s := newSmoothed(rand.New(rand.NewPCG(seed+firstSeed, 24)), 3)
		f := newFeed(t, time.Second)
		for range 120 {
			f.add(s.next(1))
		}
		if len(f.told) > 0 {
			continue
		}
		came := f.now
		for i := range 12 {
			x := s.next(20)
			if i == 2 {
				x = 0.0025
			}
			f.add(x)
		}
		if len(f.told) == 0 {
			missed++
			continue
		}
		switch off := f.told[0].Onset.Sub(came); {
		case off > time.Second:
			late++
		case off < -time.Second:
			early++
		}
	}
	t.Logf("of %d onsets %d are later than a second, %d earlier; %d not noticed", seeds, late, early, missed)
	if late+early+missed > seeds/20 {
		t.Errorf("%d late, %d early, %d not noticed of %d", late, early, missed, seeds)
	}
}

// A fault that fluctuates goes on: values ten times as long as usual are not near to it
// because others are a hundred times as long.
func TestFaultThatFluctuatesGoesOn(t *testing.T) {
	t.Parallel()
	const seeds = 100
	ended, open := 0, 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed+firstSeed, 25))
		s := newSmoothed(r, 3)
		f := newFeed(t, time.Second)
		for range 60 {
			f.add(s.next(1))
		}
		for i := range 60 {
			x := 0.0025 * 40 * math.Exp(0.7*r.NormFloat64())
			if i%15 == 14 {
				x = 0.0025 // no slow query in these seconds
			}
			f.add(x)
		}
		for _, a := range f.told {
			if !a.Active() {
				ended++
			}
		}
		for range 20 {
			f.add(s.next(1))
		}
		if f.series().Open != nil {
			open++
		}
	}
	t.Logf("of %d faults %d were said to be over before they were, %d to go on 20 values later", seeds, ended, open)
	if ended > seeds/50 || open > seeds/20 {
		t.Errorf("%d ended early, %d not at all of %d", ended, open, seeds)
	}
}

// A rate of errors is 0 until there are some: its onset is when they began, however
// long it was 0 before.
func TestOnsetOfASeriesWithoutNoise(t *testing.T) {
	t.Parallel()
	rate := []float64{2, 4, 6, 8, 7.996, 7.998, 8, 8, 8, 8, 8, 8} // over a window of 4 s
	for n := 2 * warm; n < 600; n += 7 {
		m := NewMonitor(Options{})
		change := time.Date(2026, 3, 1, 0, 0, n, 0, time.UTC)
		var found []penumbra.Anomaly
		for i := -n; i < len(rate); i++ {
			value := 0.0
			if i >= 0 {
				value = rate[i]
			}
			told, err := m.Observe("r", "errors", penumbra.Up, penumbra.Point{Time: change.Add(time.Duration(i) * time.Second), Value: value})
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, told...)
		}
		if len(found) == 0 || !found[0].Onset.Equal(change) {
			t.Errorf("after %d values of 0: %+v, want an onset at %v", n, found, change)
		}
	}
}
