package diagnosis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/diagnosis"
	"pgregory.net/rapid"
)

var compareValues = cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })

// known is a Knowledge of tables.
type known struct {
	effect    map[string][2]float64 // of a path: strength, cases
	relevance map[string]float64
	related   map[penumbra.Address]float64
}

func (k known) Effect(_, path, _ string) (strength, cases float64, ok bool) {
	e, ok := k.effect[path]
	return e[0], e[1], ok
}

func (k known) Relevance(_, path string) float64 {
	if r, ok := k.relevance[path]; ok {
		return r
	}
	return 0.5
}

func (k known) Related(a, b penumbra.Address) float64 {
	if a == b {
		return 1
	}
	return k.related[a]
}

func ratesOf(interval time.Duration) diagnosis.Rates {
	var r diagnosis.Rates
	r.Watch(db, latency, interval, day0)
	return r
}

func slowed(onset time.Time) *penumbra.Anomaly {
	return &penumbra.Anomaly{ID: "a-1", Resource: db, Metric: latency, Kind: penumbra.LevelShift, Worse: true, Onset: onset, Time: onset, Value: 5, Expected: 1}
}

func changed(path string, at time.Time) diagnosis.Change {
	return diagnosis.Change{Resource: db, Type: kind, Path: path, Before: penumbra.String("a"), After: penumbra.String("b"), Time: at}
}

func probability(suspects []penumbra.Suspect, path string) float64 {
	for _, s := range suspects {
		if s.Path == path {
			return s.Probability
		}
	}
	return 0
}

func TestRankSaysWhy(t *testing.T) {
	t.Parallel()
	onset := day0.Add(time.Hour)
	c := changed("work_mem", onset.Add(-800*time.Millisecond))
	c.Before, c.After = penumbra.String("4MB"), penumbra.String("64kB")
	c.Actor, c.ActorKind, c.Action, c.Source, c.Unexpected = "alice", penumbra.User, "ALTER SYSTEM", "postgresql", true
	k := known{effect: map[string][2]float64{"work_mem": {0.9, 3}}, relevance: map[string]float64{"work_mem": 0.9}}
	got := diagnosis.Rank(slowed(onset), []diagnosis.Change{changed("log_statement", onset.Add(-time.Second)), c}, ratesOf(time.Second), k)
	if len(got) != 2 {
		t.Fatalf("%d suspects, want 2", len(got))
	}
	want := penumbra.Suspect{
		Resource: db, Path: "work_mem", Before: c.Before, After: c.After, Time: c.Time,
		Actor: "alice", ActorKind: penumbra.User, Action: "ALTER SYSTEM", Source: "postgresql",
		Reason: "0.8 s before the onset, work_mem 64 times smaller, not expected, moves latency in 90 % of 3 cases",
	}
	if diff := cmp.Diff(want, got[0], compareValues, cmpopts.IgnoreFields(penumbra.Suspect{}, "Probability")); diff != "" {
		t.Error(diff)
	}
	if p := got[0].Probability; p < 0.9 || p >= 1 {
		t.Errorf("probability %g", p)
	}
}

// Each piece of evidence against the same change without it.
func TestWhatMakesASuspectLikelier(t *testing.T) {
	t.Parallel()
	onset := day0.Add(time.Hour)
	at := onset.Add(-2 * time.Second)
	k := known{
		effect:    map[string][2]float64{"effect": {0.9, 5}, "no_effect": {0, 5}},
		relevance: map[string]float64{"relevant": 1, "irrelevant": 0.05},
		related:   map[penumbra.Address]float64{"shop/host.main": 0.3},
	}
	rates := ratesOf(time.Second)
	guilty := penumbra.Suspect{Resource: db, Path: "guilty", Probability: 0.3}
	for range 3 {
		for _, path := range []string{"guilty", "innocent"} {
			c := changed(path, at)
			rates.Changed(&c)
		}
		rates.Outcome(kind, slowed(onset), guilty, true)
		rates.Outcome(kind, slowed(onset), penumbra.Suspect{Resource: db, Path: "innocent", Probability: 0.3}, false)
	}
	with := func(c diagnosis.Change, set func(c *diagnosis.Change)) diagnosis.Change {
		set(&c)
		return c
	}
	plain := changed("plain", at)
	for name, x := range map[string][2]diagnosis.Change{
		"the network's effect": {changed("effect", at), changed("plain2", at)},
		"no effect":            {changed("plain2", at), changed("no_effect", at)},
		"relevance":            {changed("relevant", at), changed("irrelevant", at)},
		"outcomes":             {changed("guilty", at), changed("plain2", at)},
		"innocence":            {changed("plain2", at), changed("innocent", at)},
		"surprise":             {with(plain, func(c *diagnosis.Change) { c.Surprise = 6 }), changed("plain2", at)},
		"no surprise":          {changed("plain2", at), with(plain, func(c *diagnosis.Change) { c.Surprise = 0.1 })},
		"unexpected":           {with(plain, func(c *diagnosis.Change) { c.Unexpected = true }), changed("plain2", at)},
		"size":                 {with(plain, func(c *diagnosis.Change) { c.Before, c.After = penumbra.Number(1), penumbra.Number(64) }), changed("plain2", at)},
		"small size":           {changed("plain2", at), with(plain, func(c *diagnosis.Change) { c.Before, c.After = penumbra.Number(100), penumbra.Number(101) })},
		"same resource":        {changed("plain2", at), with(plain, func(c *diagnosis.Change) { c.Resource = "shop/host.main" })},
		"before, not after":    {changed("plain2", at), with(plain, func(c *diagnosis.Change) { c.Time = onset.Add(5 * time.Second) })},
		"sharp, not spanned":   {changed("plain2", at), with(plain, func(c *diagnosis.Change) { c.Since = at.Add(-5 * time.Minute) })},
	} {
		got := diagnosis.Rank(slowed(onset), []diagnosis.Change{x[1], x[0]}, rates, k)
		if a, b := probability(got, x[0].Path), probability(got, x[1].Path); a <= b {
			t.Errorf("%s: %g, without %g", name, a, b)
		}
	}
}

// A setting that waited for a restart: the restart brings it near to the onset.
func TestRestartBringsSettingsIn(t *testing.T) {
	t.Parallel()
	onset := day0.Add(72 * time.Hour)
	old := changed("shared_buffers", onset.Add(-48*time.Hour))
	restart := diagnosis.Change{Resource: db, Type: kind, Action: "Restarted", Time: onset.Add(-2 * time.Second)}
	without := diagnosis.Rank(slowed(onset), []diagnosis.Change{old}, ratesOf(time.Second), nil)
	with := diagnosis.Rank(slowed(onset), []diagnosis.Change{old, restart}, ratesOf(time.Second), nil)
	if p, q := probability(without, "shared_buffers"), probability(with, "shared_buffers"); p > 0.05 || q < 0.1 {
		t.Errorf("%g without a restart, %g with one", p, q)
	}
	before := diagnosis.Rank(slowed(onset), []diagnosis.Change{restart, changed("shared_buffers", onset.Add(time.Hour))}, ratesOf(time.Second), nil)
	if p := probability(before, "shared_buffers"); p != 0 {
		t.Errorf("%g for a change an hour after it", p)
	}
}

// What was taken back before the onset did not do it, however surprising it was; what
// took it back is likelier, and what was not taken back yet is as likely as ever.
func TestWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	onset := day0.Add(time.Hour)
	at := func(seconds float64) time.Time { return onset.Add(time.Duration(seconds * float64(time.Second))) }
	few, many := penumbra.String("64kB"), penumbra.String("4MB")
	edit := func(when float64) diagnosis.Change {
		c := changed("work_mem", at(when))
		c.Before, c.After, c.Actor, c.Unexpected, c.Surprise = few, many, "alice", true, 7
		return c
	}
	back := func(since, when float64) diagnosis.Change {
		c := changed("work_mem", at(when))
		c.Before, c.After, c.Actor, c.Surprise = many, few, "bob", 0.1
		if since != when {
			c.Since = at(since)
		}
		return c
	}
	by := func(suspects []penumbra.Suspect, actor string) float64 {
		p := 0.0
		for _, s := range suspects {
			if s.Actor == actor {
				p += s.Probability
			}
		}
		return p
	}
	for name, c := range map[string]struct {
		changes []diagnosis.Change
		culprit string
	}{
		"taken back a second before":          {[]diagnosis.Change{edit(-6), back(-1, -1)}, "bob"},
		"taken back within the last seconds":  {[]diagnosis.Change{edit(-8), back(-5, 1)}, "bob"},
		"taken back minutes ago":              {[]diagnosis.Change{edit(-200), back(-180, -180)}, "bob"},
		"taken back only after the onset":     {[]diagnosis.Change{edit(-2), back(8, 8)}, "alice"},
		"set once more to the same":           {[]diagnosis.Change{edit(-2), edit(8)}, "alice"},
		"taken back to what nobody can tell":  {[]diagnosis.Change{edit(-2), {Resource: db, Type: kind, Path: "work_mem", Time: at(-60), Actor: "bob"}}, "alice"},
		"another setting, not taken back yet": {[]diagnosis.Change{edit(-2), changed("log_statement", at(-1))}, "alice"},
	} {
		got := diagnosis.Rank(slowed(onset), c.changes, ratesOf(time.Second), nil)
		if p := by(got, c.culprit); p < 0.6 {
			t.Errorf("%s: %s with %g: %+v", name, c.culprit, p, got)
		}
		slices.Reverse(c.changes)
		if again := diagnosis.Rank(slowed(onset), c.changes, ratesOf(time.Second), nil); !cmp.Equal(got, again, compareValues) {
			t.Errorf("%s: in another order %+v", name, again)
		}
	}
}

func TestWhatIsNoSuspect(t *testing.T) {
	t.Parallel()
	onset := day0.Add(time.Hour)
	remark := changed("", onset.Add(-time.Second))
	remark.Action = penumbra.ActionAnomaly
	stranger := changed("x", onset.Add(-time.Second))
	stranger.Resource = "other/thing.x"
	later := changed("later", onset.Add(time.Minute))
	timeless := changed("timeless", time.Time{})
	got := diagnosis.Rank(slowed(onset), []diagnosis.Change{remark, stranger, later, timeless}, ratesOf(time.Second), nil)
	if len(got) != 0 || diagnosis.Unseen(got) != 1 {
		t.Errorf("suspects %+v", got)
	}
	run := changed("", onset.Add(-time.Second))
	run.Action = penumbra.ActionApply
	if got := diagnosis.Rank(slowed(onset), []diagnosis.Change{run}, ratesOf(time.Second), nil); len(got) != 1 || got[0].Probability < 0.9 {
		t.Errorf("a run of ours just before: %+v", got)
	}
	if got := diagnosis.Rank(&penumbra.Anomaly{}, []diagnosis.Change{stranger}, diagnosis.Rates{}, nil); len(got) != 0 {
		t.Errorf("an empty anomaly has suspects %+v", got)
	}
}

func drawChange(t *rapid.T, i int, onset time.Time, events bool) diagnosis.Change {
	c := changed(fmt.Sprint("s", i), onset.Add(time.Duration(rapid.Int64Range(-int64(48*time.Hour), int64(time.Minute)).Draw(t, "lag"))))
	if rapid.Bool().Draw(t, "near") {
		c.Time = onset.Add(time.Duration(rapid.Int64Range(-int64(5*time.Second), int64(3*time.Second)).Draw(t, "near lag")))
	}
	c.Before = penumbra.Number(rapid.Float64().Draw(t, "before"))
	c.After = penumbra.Number(rapid.Float64().Draw(t, "after"))
	c.Surprise = rapid.Float64().Draw(t, "surprise")
	if rapid.Bool().Draw(t, "spanned") && events {
		c.Since = c.Time.Add(-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "span")))
	}
	if events && rapid.IntRange(0, 3).Draw(t, "event") == 0 {
		c.Path, c.Action = "", rapid.SampledFrom([]string{"restart", "vacuum", penumbra.ActionAnomaly}).Draw(t, "action")
	}
	return c
}

// wild knows things that cannot be.
type wild struct{}

func (wild) Effect(_, path, _ string) (strength, cases float64, ok bool) {
	x := float64(len(path)) / 3
	return math.Sin(x), 10 * x, len(path)%2 == 0
}
func (wild) Relevance(_, path string) float64 {
	return []float64{0.5, math.NaN(), -1, 7}[len(path)%4]
}
func (wild) Related(penumbra.Address, penumbra.Address) float64 {
	return 0.7
}

func TestProbabilitiesSumToOneInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		onset := day0.Add(time.Hour)
		a := slowed(onset)
		a.Time = onset.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "noticed")))
		var changes []diagnosis.Change
		for i := range rapid.IntRange(0, 30).Draw(t, "changes") {
			changes = append(changes, drawChange(t, i, onset, true))
		}
		rates := ratesOf(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "interval")))
		got := diagnosis.Rank(a, changes, rates, wild{})
		sum := diagnosis.Unseen(got)
		for i, s := range got {
			if !(s.Probability > 0 && s.Probability <= 1) || i > 0 && s.Probability > got[i-1].Probability {
				t.Fatalf("suspect %d of %+v", i, got)
			}
			sum += s.Probability
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("sum %g", sum)
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		rng.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
		if diff := cmp.Diff(got, diagnosis.Rank(a, changes, rates, wild{}), compareValues); diff != "" {
			t.Fatalf("another order: %s", diff)
		}
	})
}

func TestAwayInTimeIsNeverLikelier(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		onset := day0.Add(100 * time.Hour)
		var changes []diagnosis.Change
		for i := range rapid.IntRange(1, 10).Draw(t, "changes") {
			changes = append(changes, drawChange(t, i, onset, false))
		}
		interval := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(time.Minute)).Draw(t, "interval"))
		rates := ratesOf(interval)
		c := &changes[0]
		further := time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "further"))
		// The likeliest lag is within half an interval and five of its errors.
		if rapid.Bool().Draw(t, "after") {
			c.Time = onset.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "late")))
		} else {
			further = -further
			start := interval/2 + 5*(interval+250*time.Millisecond)
			c.Time = onset.Add(-start - time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "early")))
		}
		place := func() (int, float64) {
			got := diagnosis.Rank(slowed(onset), changes, rates, nil)
			for i, s := range got {
				if s.Path == c.Path {
					return i, s.Probability
				}
			}
			return len(got), 0
		}
		i, p := place()
		c.Time = c.Time.Add(further)
		if j, q := place(); j < i && q > 0 || q > p+1e-12 {
			t.Fatalf("place %d probability %g, moved by %v place %d probability %g", i, p, further, j, q)
		}
	})
}

func TestReasonsOfTime(t *testing.T) {
	t.Parallel()
	onset := day0.Add(1000 * time.Hour)
	for lag, want := range map[time.Duration]string{
		500 * time.Millisecond: "0.5 s before", -500 * time.Millisecond: "0.5 s after", 90 * time.Second: "90 s before",
		30 * time.Minute: "30 min before", 5 * time.Hour: "5 h before", 72 * time.Hour: "3 d before",
	} {
		got := diagnosis.Rank(slowed(onset), []diagnosis.Change{changed("a", onset.Add(-lag))}, ratesOf(time.Second), nil)
		if len(got) != 1 || !strings.HasPrefix(got[0].Reason, want) {
			t.Errorf("%v: %+v, want %q", lag, got, want)
		}
	}
	c := changed("a", onset.Add(time.Minute))
	c.Since = onset.Add(-4 * time.Minute)
	got := diagnosis.Rank(slowed(onset), []diagnosis.Change{c}, ratesOf(time.Second), nil)
	if len(got) != 1 || !strings.HasPrefix(got[0].Reason, "seen between two looks") || got[0].Probability < 0.8 {
		t.Errorf("between two looks: %+v", got)
	}
}

func BenchmarkRank(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	e := newEstate(rng, true)
	onset := day0.Add(time.Hour)
	var changes []diagnosis.Change
	for range 100 {
		changes = append(changes, e.change(rng, rng.IntN(60), false, onset.Add(-seconds(3600*rng.Float64()))))
	}
	rates := ratesOf(time.Second)
	for b.Loop() {
		diagnosis.Rank(slowed(onset), changes, rates, e)
	}
}
