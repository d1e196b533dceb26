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

// collapse is one time that the laboratory's scenario A was played: the latency of a real
// database, the mean over three seconds, a value a second, from 52 s before work_mem
// became too small until 14 s after it was put back.
type collapse struct {
	points []penumbra.Point // the change is at start
	back   time.Duration    // after which it was put back
}

// collapses reads those that are kept: twenty, played on two servers beside each other
// on two cores that were busy otherwise, ten of them among harmless changes. A row
// without a value is the time at which the setting was put back.
func collapses(t testing.TB) []collapse {
	t.Helper()
	r, err := os.Open("testdata/lab_episodes.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []collapse
	for _, row := range rows[1:] {
		n, err := strconv.Atoi(row[0])
		if err != nil {
			t.Fatal(err)
		}
		second, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if n == len(out) {
			out = append(out, collapse{})
		}
		after := time.Duration(second * float64(time.Second))
		if row[2] == "" {
			out[n].back = after
			continue
		}
		x, err := strconv.ParseFloat(row[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		out[n].points = append(out[n].points, penumbra.Point{Time: start.Add(after), Value: x})
	}
	return out
}

// TestLabEpisodes plays them, each to a monitor that knows nothing before: the collapse
// is noticed in the first seconds, once, since when it was, and goes on until it is over.
func TestLabEpisodes(t *testing.T) {
	t.Parallel()
	for _, attend := range []bool{false, true} {
		var noticed, onsets []float64
		for n, c := range collapses(t) {
			m := NewMonitor(Options{})
			if attend {
				m.Attend(database, start)
			}
			var first *penumbra.Anomaly
			var ended time.Duration
			for _, p := range c.points {
				got, err := m.Observe(database, latency, penumbra.Up, p)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range got {
					switch {
					case first == nil:
						first = &a
					case a.ID != first.ID:
						t.Errorf("episode %d, attended to %v: another one since %v", n, attend, a.Onset.Sub(start))
					}
					if !a.Active() {
						ended = p.Time.Sub(start)
					}
				}
			}
			if first == nil {
				t.Errorf("episode %d, attended to %v: not noticed", n, attend)
				continue
			}
			after, onset := first.Time.Sub(start), first.Onset.Sub(start)
			noticed, onsets = append(noticed, after.Seconds()), append(onsets, onset.Seconds())
			if limit := map[bool]time.Duration{false: 8 * time.Second, true: 5 * time.Second}[attend]; after < 0 || after > limit {
				t.Errorf("episode %d, attended to %v: noticed after %v", n, attend, after)
			}
			if onset < 0 || onset > 4500*time.Millisecond {
				t.Errorf("episode %d, attended to %v: onset after %v", n, attend, onset)
			}
			if ended < c.back || ended > c.back+12*time.Second {
				t.Errorf("episode %d, attended to %v: put back after %v, ended after %v", n, attend, c.back, ended)
			}
		}
		t.Logf("attended to %v: noticed after %.1f s, onsets after %.1f", attend, noticed, onsets)
	}
}

// TestWorseAfterBetter has a latency fall, which is told as getting better, and then collapse: that
// is told as another anomaly with its first values, though the first had not ended. It is seen
// where another change spares a busy machine work a few seconds before.
func TestWorseAfterBetter(t *testing.T) {
	t.Parallel()
	turned := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 8))
		f := newFeed(t, time.Second)
		for range 50 + r.IntN(150) {
			f.add(3e-3 * math.Exp(0.1*r.NormFloat64()))
		}
		var better string
		for range 1 + r.IntN(8) {
			for _, a := range f.add(5e-4 * math.Exp(0.1*r.NormFloat64())) {
				if a.Active() && !a.Worse {
					better = a.ID
				}
			}
		}
		if better == "" {
			continue
		}
		turned++
		collapsed := f.now
		var over, found bool
		for range 3 {
			for _, a := range f.add(0.04 * (1 + 9*r.Float64())) {
				over = over || a.ID == better && !a.Active()
				found = found || a.ID != better && a.Active() && a.Worse && !a.Onset.Before(collapsed)
			}
		}
		if !over || !found {
			t.Errorf("seed %d: the better one has ended %v, a worse one is told %v", seed, over, found)
		}
		if n := len(f.told); n > 12 {
			t.Errorf("seed %d: told %d times", seed, n)
		}
	}
	if turned < 100 {
		t.Errorf("only %d of 200 got better first", turned)
	}
}

// TestSideOfErraticShift holds which way an anomaly goes against where its value is: after a shift
// up the values may fall as steeply as they rose and still be far above the band. It is
// seen on two cores that are busy otherwise: the first value after the change is of one
// slow report alone, and the next of all.
func TestSideOfErraticShift(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 7))
		f := newFeed(t, time.Second)
		for range 50 + r.IntN(150) {
			f.add(2e-3 + 5e-4*r.NormFloat64() + 2e-3*float64(r.IntN(8)/7))
		}
		told := false
		for range 12 {
			for _, a := range f.add(0.04 * (1 + 20*r.Float64()*r.Float64()*r.Float64())) {
				told = true
				if a.Value <= a.Band.High {
					t.Fatalf("seed %d: %g is told, which is within the band %v", seed, a.Value, a.Band)
				}
				if !a.Worse {
					t.Fatalf("seed %d: %g, above the band %v, is told as getting better", seed, a.Value, a.Band)
				}
			}
		}
		if !told {
			t.Errorf("seed %d: nothing is told", seed)
		}
	}
}
