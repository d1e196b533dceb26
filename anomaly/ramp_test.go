package anomaly

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// recorded reads the latency of the laboratory's scenario A: the mean over three
// seconds of a database's queries, a value a second, in seconds.
func recorded(t testing.TB) []penumbra.Point {
	t.Helper()
	r, err := os.Open("testdata/lab_latency.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []penumbra.Point
	for _, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			t.Fatal(err)
		}
		x, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, penumbra.Point{Time: at, Value: x})
	}
	return out
}

// TestRecorded plays what the laboratory recorded: the latency of a real database
// that lost its index, and then the calm part again.
func TestRecorded(t *testing.T) {
	t.Parallel()
	points := recorded(t)
	affected := time.Date(2026, 11, 25, 12, 59, 17, 0, time.UTC)
	end := points[len(points)-1].Time
	for i := range 140 {
		points = append(points, penumbra.Point{Time: end.Add(time.Duration(i+1) * time.Second), Value: points[i].Value})
	}
	f := newFeed(t, time.Second)
	for _, x := range points {
		f.now = x.Time
		for _, a := range f.add(x.Value) {
			t.Logf("%v since %v, told with %.3f at %v: expected %.4f in %.4f, p %.2g, ended %v", a.Kind, a.Onset.Format("05"), x.Value, x.Time.Format("05"),
				a.Expected, a.Band, a.PValue, a.Ended)
		}
	}
	if len(f.told) == 0 {
		t.Fatal("nothing was told")
	}
	first, last := f.told[0], f.told[len(f.told)-1]
	if first.Time.Before(affected) || first.Time.Sub(affected) > 3*time.Second || first.Kind != penumbra.LevelShift || !first.Active() || !first.Worse ||
		first.Onset.Sub(affected.Add(-time.Second)).Abs() > 2*time.Second || first.Expected < 0.002 || first.Expected > 0.004 || first.Band.High > 0.06 {
		t.Errorf("opened %+v", first)
	}
	if last.Active() || last.Ended.Before(end) || last.Ended.Sub(end) > time.Minute {
		t.Errorf("ended %+v", last)
	}
	for _, a := range f.told {
		if a.ID != first.ID {
			t.Errorf("another one: %+v", a)
		}
	}
}

// smoothed returns values of a log-normal latency with heavy tails (one in fifty times
// four), means over a window as a rate over a rate is.
type smoothed struct {
	r      *rand.Rand
	window []float64
	i      int
}

func newSmoothed(r *rand.Rand, width int) *smoothed {
	s := &smoothed{r: r, window: make([]float64, width)}
	for range width {
		s.next(1)
	}
	return s
}

// next returns the next value with the latency so many times as long as usual.
func (s *smoothed) next(times float64) float64 {
	x := 0.0025 * times * math.Exp(0.5*s.r.NormFloat64())
	if s.r.IntN(50) == 0 {
		x *= 4
	}
	s.window[s.i%len(s.window)] = x
	s.i++
	sum := 0.0
	for _, v := range s.window {
		sum += v
	}
	return sum / float64(len(s.window))
}

// TestDelay is of latencies that get longer, seen through windows, after little
// history: the share of seeds in which that is noticed within ten values, and after
// how many in the middle.
func TestDelay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const seeds = 200
	for _, times := range []float64{3, 10, 40} {
		for _, width := range []int{3, 5, 10} {
			for _, history := range []int{60, 120, 600} {
				within, within30, early := 0, 0, 0
				var sum float64
				for seed := range uint64(seeds) {
					s := newSmoothed(rand.New(rand.NewPCG(seed+firstSeed, 20)), width)
					f := newFeed(t, time.Second)
					for range history {
						f.add(s.next(1))
					}
					if f.series().Open != nil {
						early++
					}
					for i := 1; i <= 30; i++ {
						f.add(s.next(times))
						if f.series().Open != nil {
							if i <= 10 {
								within++
							}
							within30++
							sum += float64(i)
							break
						}
					}
				}
				t.Logf("times %2.0f, window %2d, history %3d: %.3f within 10, %.3f within 30, mean %.1f; %d open before", times, width, history,
					float64(within)/seeds, float64(within30)/seeds, sum/float64(max(1, within30)), early)
				if times >= 40 && history >= 120 && within < seeds*95/100 || times >= 10 && history >= 120 && within30 < seeds*85/100 {
					t.Errorf("times %g, window %d, history %d: %d within 10 values, %d within 30 of %d", times, width, history, within, within30, seeds)
				}
			}
		}
	}
}

// firstSeed is the first of those that the figures are of.
const firstSeed = 1000

// TestBounded is of metrics that are near a bound: shares near 1, rates that were
// always zero, throughput that stops.
func TestBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, c := range map[string]struct {
		usual, then func(r *rand.Rand) float64
		history     int
		worse       penumbra.Direction
		within      int // values, 0: never
		isWorse     bool
	}{
		"share near 1 goes on":       {near(0.97, 0.02), near(0.97, 0.02), 300, penumbra.Up, 0, false},
		"share near 1 falls":         {near(0.97, 0.02), near(0.5, 0.1), 300, penumbra.Up, 10, false},
		"share from 0.1 to near 1":   {near(0.1, 0.03), near(0.97, 0.02), 120, penumbra.Up, 4, true},
		"errors a second after none": {constant(0), constant(8), 60, penumbra.Up, 5, true},
		"errors from time to time":   {rare, rare, 3000, penumbra.Up, 0, true},
		"throughput stops":           {func(r *rand.Rand) float64 { return 100 + 10*r.NormFloat64() }, constant(0), 120, penumbra.Down, 4, true},
		"throughput stops, rough":    {func(r *rand.Rand) float64 { return 100 * math.Exp(0.4*r.NormFloat64()) }, constant(0), 120, penumbra.Down, 5, true},
	} {
		late, before := 0, 0
		longest := 0
		const seeds = 100
		for seed := range uint64(seeds) {
			r := rand.New(rand.NewPCG(seed+firstSeed, 21))
			f := newFeed(t, time.Second)
			f.worse = c.worse
			for range c.history {
				f.add(c.usual(r))
			}
			if len(f.told) > 0 {
				before++
			}
			f.told = nil
			after := 0
			for len(f.told) == 0 && after < 20 {
				f.add(c.then(r))
				after++
			}
			switch {
			case c.within == 0 && len(f.told) > 0, c.within > 0 && (after > c.within || f.told[0].Worse != c.isWorse):
				late++
			}
			longest = max(longest, after)
		}
		t.Logf("%s: %d of %d not as wanted, noticed after %d values at most; %d had one before", name, late, seeds, longest, before)
		if late > seeds/20 || before > seeds/20 {
			t.Errorf("%s: %d of %d not as wanted, %d had one before", name, late, seeds, before)
		}
	}
}

func constant(x float64) func(*rand.Rand) float64 { return func(*rand.Rand) float64 { return x } }

// rare is a count of what happens once in some minutes.
func rare(r *rand.Rand) float64 {
	if r.IntN(200) == 0 {
		return 1
	}
	return 0
}

// near returns shares about a mean, none above 1 or below 0.
func near(mean, deviation float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return min(max(mean+deviation*r.NormFloat64(), 0), 1) }
}
