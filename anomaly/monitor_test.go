package anomaly

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

const (
	database = penumbra.Address("app/aws_db_instance.main")
	latency  = "latency"
)

var start = time.Date(2026, 3, 3, 5, 0, 0, 0, time.UTC)

// feed plays values at an interval to one series.
type feed struct {
	t        testing.TB
	m        *Monitor
	now      time.Time
	interval time.Duration
	worse    penumbra.Direction
	told     []penumbra.Anomaly
}

func newFeed(t testing.TB, interval time.Duration) *feed {
	return &feed{t: t, m: NewMonitor(Options{}), now: start, interval: interval, worse: penumbra.Up}
}

// add observes one value and returns what was told with it.
func (f *feed) add(x float64) []penumbra.Anomaly {
	f.t.Helper()
	got, err := f.m.Observe(database, latency, f.worse, penumbra.Point{Time: f.now, Value: x})
	if err != nil {
		f.t.Fatal(err)
	}
	f.now = f.now.Add(f.interval)
	f.told = append(f.told, got...)
	return got
}

func (f *feed) series() *series { return f.m.series[key{database, latency}] }

// TestLatencyCollapses is the laboratory's scenario: a latency of a benchmark at a
// value a second that becomes 97 times as long after a minute or two.
func TestLatencyCollapses(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := newFeed(t, time.Second)
		latency := func() float64 { return 0.004 * math.Exp(0.2*r.NormFloat64()) }
		for range 60 + int(seed) {
			f.add(latency())
		}
		if len(f.told) > 0 {
			t.Errorf("seed %d: an anomaly before anything happened: %+v", seed, f.told[0])
		}
		changed, after := f.now, 0
		for len(f.told) == 0 && after < 10 {
			f.add(97 * latency())
			after++
		}
		if after > 2 {
			t.Errorf("seed %d: noticed after %d values", seed, after)
			continue
		}
		a := f.told[0]
		if !a.Active() || !a.Worse || a.Onset.Sub(changed).Abs() > time.Second || a.Value < 0.1 || a.Expected > 0.01 || a.Band.High > 0.05 || a.PValue > 1e-6 {
			t.Errorf("seed %d: told %+v", seed, a)
		}
	}
}

// A latency that doubles is mostly noticed within seconds, after ten minutes.
func TestLatencyDoubles(t *testing.T) {
	t.Parallel()
	slow := 0
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		f := newFeed(t, time.Second)
		latency := func() float64 { return 0.004 * math.Exp(0.15*r.NormFloat64()) }
		for range 600 {
			f.add(latency())
		}
		f.told = nil
		after := 0
		for len(f.told) == 0 && after < 60 {
			f.add(2 * latency())
			after++
		}
		if after > 30 {
			slow++
		}
	}
	t.Logf("%d of 50 were not noticed within 30 s", slow)
	if slow > 15 {
		t.Errorf("%d of 50 were not noticed within 30 s", slow)
	}
}

// A shift of four deviations is noticed in minutes, and its onset found.
func TestSlightShift(t *testing.T) {
	t.Parallel()
	const seeds = 20
	var sum, longest time.Duration
	late := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 3))
		f := newFeed(t, time.Minute)
		for range 4 * 1440 {
			f.add(100 + r.NormFloat64())
		}
		f.told = nil
		changed := f.now
		for len(f.told) == 0 && f.now.Sub(changed) < time.Hour {
			f.add(104 + r.NormFloat64())
		}
		if len(f.told) == 0 {
			t.Fatalf("seed %d: nothing was told", seed)
		}
		after := f.now.Sub(changed)
		sum, longest = sum+after, max(longest, after)
		if f.told[0].Onset.Sub(changed).Abs() > 3*time.Minute {
			late++
		}
	}
	t.Logf("noticed after %v on average, %v at most; onset off by more than 3 min in %d of %d", sum/seeds, longest, late, seeds)
	if longest > 15*time.Minute || late > 4 {
		t.Errorf("noticed after %v at most; onset off in %d of %d", longest, late, seeds)
	}
}

func TestLevelShift(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]float64{"far": 40, "slight": 4, "down": -8} {
		r := rand.New(rand.NewPCG(2, 3))
		f := newFeed(t, time.Minute)
		for range 4 * 1440 {
			f.add(100 + r.NormFloat64())
		}
		changed := f.now
		f.told = nil
		for range 30 {
			f.add(100 + size + r.NormFloat64())
		}
		if len(f.told) == 0 {
			t.Errorf("%s: nothing was told", name)
			continue
		}
		last := f.told[len(f.told)-1]
		if last.Kind != penumbra.LevelShift || last.Worse != (size > 0) || last.Onset.Sub(changed).Abs() > 3*time.Minute || last.Onset.After(last.Time) {
			t.Errorf("%s: changed at %v, told %+v", name, changed, last)
		}
		if e := last.Expected; math.Abs(e-100) > 1 {
			t.Errorf("%s: %g was expected, not about 100: the change was learnt", name, e)
		}
		back := f.now
		f.told = nil
		for range 20 {
			f.add(100 + r.NormFloat64())
		}
		if len(f.told) != 1 || f.told[0].ID != last.ID || f.told[0].Active() || f.told[0].Ended.Sub(back).Abs() > 2*time.Minute {
			t.Errorf("%s: back at %v, told %+v", name, back, f.told)
		}
	}
}

// A change that lasts is not learnt while it is an anomaly, and is the new usual a
// day later.
func TestAdopt(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 5))
	f := newFeed(t, time.Minute)
	for range 3 * 1440 {
		f.add(100 + r.NormFloat64())
	}
	f.told = nil
	for range 1439 {
		f.add(150 + r.NormFloat64())
	}
	if n := len(f.told); n == 0 || !f.told[n-1].Active() {
		t.Fatalf("after a day less a minute: %+v", f.told)
	}
	if e, _, ok := f.m.Band(database, latency); !ok || math.Abs(e-100) > 1 {
		t.Errorf("after a day less a minute %g is expected", e)
	}
	id := f.told[0].ID
	for range 5 {
		f.add(150 + r.NormFloat64())
	}
	last := f.told[len(f.told)-1]
	if last.ID != id || last.Active() {
		t.Errorf("after a day: %+v", last)
	}
	f.told = nil
	for range 2 * 1440 {
		f.add(150 + r.NormFloat64())
	}
	e, band, _ := f.m.Band(database, latency)
	if len(f.told) > 0 || math.Abs(e-150) > 2 || band.Low > 149 || band.High < 151 || band.High-band.Low > 30 {
		t.Errorf("later: %g in %v is expected, told %+v", e, band, f.told)
	}
}

// What grows is told as far out as it is, give or take a tenth, and what stays is not
// told again and again.
func TestHowFarOutIsToldWhileItGrows(t *testing.T) {
	t.Parallel()
	for _, up := range []bool{true, false} {
		r := rand.New(rand.NewPCG(8, 9))
		f := newFeed(t, time.Second)
		value := func(size float64) float64 {
			if !up {
				size = -size
			}
			return 100 + size + r.NormFloat64()
		}
		for range 600 {
			f.add(value(0))
		}
		f.told = nil
		furthest := 0.0
		for size := 50.0; size < 100; size *= 1.02 {
			x := value(size)
			furthest = max(furthest, math.Abs(x-100))
			f.add(x)
			if len(f.told) == 0 {
				t.Fatalf("up %v: %g is not told", up, x)
			}
			if last := f.told[len(f.told)-1]; math.Abs(last.Value-last.Expected) < 0.9*furthest {
				t.Fatalf("up %v: it was %g out and is told as %g where %g was expected", up, furthest, last.Value, last.Expected)
			}
		}
		if n := len(f.told); n > 12 { // one for each tenth, the first, and that it is a level shift
			t.Errorf("up %v: told %d times while it doubled", up, n)
		}
		last := f.told[len(f.told)-1]
		f.told = nil
		for range 600 {
			f.add(value(95))
		}
		if up {
			f.add(value(-120)) // the other way it is not further out; from better to worse is another one
		}
		for _, a := range f.told {
			if a.PValue > last.PValue/10 {
				t.Errorf("up %v: told again though it stays: %+v", up, a)
			}
			last = a
		}
	}
}

func TestSpike(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 7))
	f := newFeed(t, time.Minute)
	for range 2 * 1440 {
		f.add(100 + r.NormFloat64())
	}
	f.told = nil
	at := f.now
	f.add(200)
	for range 10 {
		f.add(100 + r.NormFloat64())
	}
	if len(f.told) != 2 {
		t.Fatalf("told %+v", f.told)
	}
	opened, ended := f.told[0], f.told[1]
	if opened.Kind != penumbra.Spike || !opened.Onset.Equal(at) || !opened.Time.Equal(at) || opened.Value != 200 || !opened.Active() {
		t.Errorf("opened %+v", opened)
	}
	if ended.ID != opened.ID || ended.Kind != penumbra.Spike || !ended.Ended.Equal(at.Add(time.Minute)) {
		t.Errorf("ended %+v", ended)
	}
}

// A night that is not like nights is an anomaly although its values are usual by
// day; the day's steps are none once a day or two were seen.
func TestSeason(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{10 * time.Second, time.Minute, 30 * time.Minute} {
		r := rand.New(rand.NewPCG(8, 9))
		f := newFeed(t, interval)
		value := func() float64 {
			if h := f.now.Hour(); h >= 8 && h < 18 {
				return 500 + 5*r.NormFloat64()
			}
			return 50 + 5*r.NormFloat64()
		}
		for range int(5 * day / interval) {
			f.add(value())
		}
		var late []penumbra.Anomaly
		for _, a := range f.told {
			if a.Time.Sub(start) > 3*day {
				late = append(late, a)
			}
		}
		if len(late) > 0 {
			t.Errorf("%v: a usual day is an anomaly: %+v", interval, late)
		}
		f.told = nil
		for f.now.Hour() != 8 {
			f.add(value())
		}
		began := f.now
		for len(f.told) == 0 && f.now.Sub(began) < 4*time.Hour {
			f.add(50 + 5*r.NormFloat64())
		}
		if len(f.told) == 0 || f.told[0].Time.Sub(began) > max(interval, 2*time.Minute) || f.told[0].Worse {
			t.Errorf("%v: the day did not begin at %v: told %+v", interval, began, f.told)
		}
	}
}

// A series that never moved has nothing to learn a spread from: it takes a few values in
// a row, the more the less history there is.
func TestNeverMoved(t *testing.T) {
	t.Parallel()
	for usual, moved := range map[float64]float64{0: 3, 45: 60} {
		f := newFeed(t, time.Minute)
		for range 3000 {
			f.add(usual)
		}
		f.add(moved)
		f.add(usual)
		if len(f.told) > 0 {
			t.Errorf("%g: one value was told: %+v", usual, f.told)
		}
		for range 1000 {
			f.add(usual)
		}
		changed, n := f.now, 0
		for len(f.told) == 0 && n < 20 {
			f.add(moved)
			n++
		}
		if n > 6 || len(f.told) == 0 || !f.told[0].Onset.Equal(changed) {
			t.Errorf("%g: after %d values told %+v", usual, n, f.told)
		}
	}
}

// The noise doubles while the level stays: no value need be far out.
func TestUnrest(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 11))
	f := newFeed(t, time.Minute)
	for range 4 * 1440 {
		f.add(100 + 4*(r.Float64()-0.5))
	}
	f.told = nil
	for i := range 60 {
		f.add(100 + 4*float64(i%2*2-1))
	}
	if len(f.told) == 0 {
		t.Error("nothing was told")
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	f := newFeed(t, 15*time.Second)
	for i := range 200 {
		f.add(float64(i % 7))
	}
	last := f.now.Add(-f.interval)
	if got := f.m.Tick(last.Add(2 * time.Minute)); len(got) != 0 {
		t.Errorf("too early: %+v", got)
	}
	noticed := last.Add(3 * time.Minute)
	got := f.m.Tick(noticed)
	if len(got) != 1 || got[0].Kind != penumbra.Silence || !got[0].Onset.Equal(last.Add(15*time.Second)) || !got[0].Time.Equal(noticed) || !got[0].Active() || got[0].PValue > 0.01 || got[0].Value != float64(199%7) {
		t.Fatalf("told %+v", got)
	}
	if again := f.m.Tick(noticed.Add(time.Minute)); len(again) != 0 {
		t.Errorf("told again: %+v", again)
	}
	f.now = noticed.Add(time.Hour)
	ended := f.add(3)
	if len(ended) != 1 || ended[0].ID != got[0].ID || !ended[0].Ended.Equal(noticed.Add(time.Hour)) {
		t.Errorf("ended %+v", ended)
	}
	// A gap as long as one before is none.
	for range 20 {
		f.add(3)
	}
	if got := f.m.Tick(f.now.Add(2 * time.Hour)); len(got) != 0 {
		t.Errorf("after a gap of an hour two hours are told: %+v", got)
	}
	gone := f.m.Tick(f.now.Add(31 * day))
	if len(gone) != 2 || gone[0].Active() == gone[1].Active() || f.m.Series() != 0 {
		t.Errorf("%d series, told %+v", f.m.Series(), gone)
	}
}

// Gaps in the data are no anomaly, neither are values after one.
func TestGaps(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 13))
	f := newFeed(t, time.Minute)
	x := 0.0
	for i := range 20 * 1440 {
		x = 0.9*x + r.NormFloat64()
		if i%1440 < 100 || r.IntN(10) == 0 {
			f.now = f.now.Add(f.interval)
			continue
		}
		f.add(100 + x)
	}
	opened := map[string]bool{}
	for _, a := range f.told {
		opened[a.ID] = true
	}
	if len(opened) > 1 {
		t.Errorf("%d anomalies in 20 days", len(opened))
	}
}

func TestDropped(t *testing.T) {
	t.Parallel()
	m := NewMonitor(Options{MaxSeries: 2})
	observe := func(metric string, at time.Duration, x float64) error {
		_, err := m.Observe(database, metric, penumbra.Up, penumbra.Point{Time: start.Add(at), Value: x})
		return err
	}
	for _, metric := range []string{"a", "b", "a"} {
		if err := observe(metric, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
		if err := observe("a", time.Minute, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := observe("c", 0, 1); penumbra.KindOf(err) != penumbra.Full {
		t.Errorf("a series too many: %v", err)
	}
	if err := observe("", 0, 1); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("no metric: %v", err)
	}
	if err := observe("a", -time.Hour, 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Dropped{Late: 2, NotFinite: 4, Refused: 1}, m.Dropped()); diff != "" {
		t.Error(diff)
	}
	if _, _, ok := m.Band(database, "a"); ok {
		t.Error("there is a band after one value")
	}
}

// TestCheckpoint stops at any time, goes on with what was written, and tells and
// writes the same.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	rapid.Check(t, func(t *rapid.T) {
		interval := rapid.SampledFrom([]time.Duration{time.Minute, 30 * time.Minute, time.Hour}).Draw(t, "interval")
		seed, stop := rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 999).Draw(t, "stop")
		r := rand.New(rand.NewPCG(seed, 0))
		noise := make([]float64, 1000)
		for i := range noise {
			noise[i] = r.NormFloat64()
		}
		play := func(m *Monitor, from, to int) (told []penumbra.Anomaly) {
			for i := from; i < to; i++ {
				x := 10 + noise[i]
				if i/100%3 == 2 {
					x += float64(i % 70)
				}
				got, err := m.Observe(database, latency, penumbra.Down, penumbra.Point{Time: start.Add(time.Duration(i) * interval), Value: x})
				if err != nil {
					t.Fatal(err)
				}
				told = append(append(told, got...), m.Tick(start.Add(time.Duration(i+i%40)*interval))...)
			}
			return told
		}
		state := func(m *Monitor) []byte {
			var b bytes.Buffer
			if n, err := m.WriteTo(&b); err != nil || n != int64(b.Len()) {
				t.Fatal(n, err)
			}
			return b.Bytes()
		}
		whole := NewMonitor(Options{})
		play(whole, 0, stop)
		data := state(whole)
		again := NewMonitor(Options{})
		if n, err := again.ReadFrom(bytes.NewReader(data)); err != nil || n != int64(len(data)) {
			t.Fatal(n, err)
		}
		if !bytes.Equal(data, state(again)) {
			t.Fatal("what was read is written differently")
		}
		if diff := cmp.Diff(play(whole, stop, 1000), play(again, stop, 1000)); diff != "" {
			t.Fatal(diff)
		}
		if !bytes.Equal(state(whole), state(again)) {
			t.Fatal("it went on differently")
		}
	})
}

func TestCheckpointParts(t *testing.T) {
	t.Parallel()
	m := NewMonitor(Options{})
	for i := range 2*partSeries + 1 {
		if _, err := m.Observe(database, string(rune('a'+i%26))+time.Duration(i).String(), penumbra.Up, penumbra.Point{Time: start, Value: 1}); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	again, few := NewMonitor(Options{}), NewMonitor(Options{MaxSeries: 10})
	for _, x := range []*Monitor{again, few} {
		if _, err := x.ReadFrom(bytes.NewReader(b.Bytes())); err != nil {
			t.Fatal(err)
		}
	}
	if again.Series() != m.Series() || few.Series() != 10 || few.Dropped().Refused != int64(m.Series()-10) {
		t.Errorf("%d of %d series, %d of 10, %d refused", again.Series(), m.Series(), few.Series(), few.Dropped().Refused)
	}
	cut := NewMonitor(Options{})
	for _, n := range []int{0, 10, 100, b.Len() / 2, b.Len() - 1} {
		_, err := cut.ReadFrom(bytes.NewReader(b.Bytes()[:n]))
		if penumbra.KindOf(err) != penumbra.Damaged || cut.Series() != 0 {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := m.WriteTo(failing{}); !errors.Is(err, errFailing) {
		t.Errorf("a writer that fails: %v", err)
	}
}

var errFailing = errors.New("no")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFailing }

// Anything goes in and nothing breaks: no panic, no number that is none.
func TestAnyValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := NewMonitor(Options{Adopt: time.Hour})
		now := start
		values := rapid.SampledFrom([]*rapid.Generator[float64]{
			rapid.Float64(), rapid.Float64Range(-1, 1), rapid.SampledFrom([]float64{0, 0, 0, 1e100, -1e100, 1e-300, 5}),
		}).Draw(t, "kind")
		gaps := rapid.SampledFrom([]time.Duration{time.Nanosecond, time.Second, time.Minute, time.Hour, 3 * day})
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			now = now.Add(gaps.Draw(t, "gap"))
			got, err := m.Observe(database, latency, penumbra.Either, penumbra.Point{Time: now, Value: values.Draw(t, "x")})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range append(got, m.Tick(now.Add(time.Hour))...) {
				for _, x := range []float64{a.Value, a.Expected, a.Band.Low, a.Band.High, a.PValue} {
					if math.IsNaN(x) || math.IsInf(x, 0) {
						t.Fatalf("told %+v", a)
					}
				}
				if a.PValue <= 0 || a.PValue > 1 || a.Onset.After(a.Time) || a.ID == "" {
					t.Fatalf("told %+v", a)
				}
			}
			if p, ok := m.PValue(database, latency); ok && !(p > 0 && p <= 1) {
				t.Fatalf("p is %g", p)
			}
		}
		var b bytes.Buffer
		if _, err := m.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := NewMonitor(Options{}).ReadFrom(&b); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzReadFrom(f *testing.F) {
	m := NewMonitor(Options{})
	for i := range 3000 {
		if _, err := m.Observe(database, latency, penumbra.Up, penumbra.Point{Time: start.Add(time.Duration(i) * time.Minute), Value: float64(i % 60)}); err != nil {
			f.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:len(b.Bytes())/2])
	f.Add([]byte(checkpointMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMonitor(Options{})
		if _, err := m.ReadFrom(bytes.NewReader(data)); err != nil && penumbra.KindOf(err) != penumbra.Damaged {
			t.Fatal(err)
		}
	})
}

func TestRate(t *testing.T) {
	t.Parallel()
	type step struct {
		at   time.Duration
		x    float64
		rate float64 // -1: none
	}
	for name, steps := range map[string][]step{
		"grows":               {{0, 100, -1}, {10 * time.Second, 150, 5}, {20 * time.Second, 150, 0}, {25 * time.Second, 151, 0.2}},
		"reset":               {{0, 1000, -1}, {10 * time.Second, 20, 2}, {20 * time.Second, 50, 3}},
		"gap":                 {{0, 1000, -1}, {2 * time.Hour, 9000, -1}, {2*time.Hour + time.Second, 9001, 1}},
		"short gap":           {{0, 0, -1}, {10 * time.Minute, 600, 1}},
		"late and repeated":   {{10 * time.Second, 10, -1}, {10 * time.Second, 20, -1}, {5 * time.Second, 5, -1}, {20 * time.Second, 30, 2}},
		"no number, negative": {{0, 1, -1}, {time.Second, math.NaN(), -1}, {2 * time.Second, math.Inf(1), -1}, {3 * time.Second, -1, -1}, {4 * time.Second, 9, 2}},
	} {
		var r Rate
		for i, s := range steps {
			got, ok := r.Observe(penumbra.Point{Time: start.Add(s.at), Value: s.x})
			if ok != (s.rate >= 0) || ok && (got.Value != s.rate || !got.Time.Equal(start.Add(s.at))) {
				t.Errorf("%s, value %d: %v %v, want %g", name, i, got, ok, s.rate)
			}
		}
	}
}
