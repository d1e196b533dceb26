package drift_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"pgregory.net/rapid"
)

// world is one resource with its drifts, turned by hand. What the shadow says
// of each setting is set by the test.
type world struct {
	penumbra.Resource
	now      time.Time
	expect   map[string]*penumbra.Expectation
	forecast map[string]*penumbra.Forecast
	rules    []penumbra.Rule
	active   []penumbra.Drift
	resolved []penumbra.Drift
	last     penumbra.Assessment
}

func newWorld(settings ...penumbra.Setting) *world {
	w := &world{now: day0, expect: map[string]*penumbra.Expectation{}, forecast: map[string]*penumbra.Forecast{}}
	w.Address, w.Type = web, "svc"
	w.Template, w.TemplateTime = penumbra.NewSettings(settings...), day0
	w.Actual, w.SnapshotTime, w.Settled = w.Template, day0, day0
	return w
}

func (w *world) declare(s ...penumbra.Setting) {
	w.Template = w.Template.Merge(penumbra.NewSettings(s...))
}

// event is something that a log tells, a minute before the next look.
func (w *world) event(actor, action string, paths ...string) {
	w.Recent = append(w.Recent, penumbra.Touch{Time: w.now.Add(4 * time.Minute), Actor: actor, ActorKind: penumbra.User, Action: action, Paths: paths})
}

// see takes a snapshot five minutes on, with the settings given changed.
func (w *world) see(s ...penumbra.Setting) []penumbra.Drift {
	w.PriorSnapshot = w.SnapshotTime
	w.now = w.now.Add(5 * time.Minute)
	w.SnapshotTime = w.now
	w.Actual = w.Actual.Merge(penumbra.NewSettings(s...))
	return w.judge()
}

// judge assesses the state as it is, and keeps what follows.
func (w *world) judge() []penumbra.Drift {
	var expect []penumbra.Expectation
	var forecast []penumbra.Forecast
	for _, path := range sortedPaths(w.expect) {
		w.expect[path].Path = path
		expect = append(expect, *w.expect[path])
	}
	for _, path := range sortedPaths(w.forecast) {
		w.forecast[path].Path = path
		forecast = append(forecast, *w.forecast[path])
	}
	judge, err := drift.NewJudge(known)
	if err == nil {
		err = judge.SetRules(w.rules)
	}
	if err != nil {
		panic(err)
	}
	w.last = judge.Assess(&w.Resource, expect, forecast, w.now)
	saved := judge.Live(w.active, &w.Resource, w.last)
	w.keep(saved)
	return saved
}

func (w *world) keep(saved []penumbra.Drift) {
	for _, d := range saved {
		w.active = slices.DeleteFunc(w.active, func(x penumbra.Drift) bool { return x.ID == d.ID })
		if d.Active() {
			w.active = append(w.active, d)
		} else {
			w.resolved = append(w.resolved, d)
		}
	}
}

func sortedPaths[V any](m map[string]V) []string {
	var paths []string
	for path := range m {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// one returns the only active drift.
func (w *world) one(t testing.TB) *penumbra.Drift {
	t.Helper()
	if len(w.active) != 1 {
		t.Fatalf("%d active drifts, want one: %+v", len(w.active), w.active)
	}
	return &w.active[0]
}

func (w *world) wantClosed(t testing.TB, why penumbra.Resolution) {
	t.Helper()
	if len(w.active) != 0 || len(w.resolved) != 1 {
		t.Fatalf("%d active and %d resolved drifts, want one, resolved", len(w.active), len(w.resolved))
	}
	if d := w.resolved[0]; d.Resolution != why || !d.ResolvedAt.Equal(w.now) || len(d.Findings) == 0 {
		t.Errorf("resolved as %q at %s with %d findings, want %q at %s", d.Resolution, d.ResolvedAt, len(d.Findings), why, w.now)
	}
}

func TestUnresolvedDriftStaysOneAndOpen(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]time.Duration{"every day": 24 * time.Hour, "every 5 minutes": 5 * time.Minute} {
		for _, declared := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, declared %v", name, declared), func(t *testing.T) {
				t.Parallel()
				w := newWorld(set("a", num(1)), set("b", num(1)))
				if !declared {
					w.declare(set("a", null))
				}
				w.expect["a"] = expecting(num(1))
				w.see(set("a", num(2)))
				first := *w.one(t)
				for day := w.now; day.Before(day0.AddDate(0, 0, 60)); day = day.Add(every) {
					w.now = day.Add(every - 5*time.Minute)
					if !declared {
						w.expect["a"] = expecting(num(2)) // a shadow that has seen it
					}
					if saved := w.see(); len(saved) != 0 {
						t.Fatalf("on %s: %+v", w.now, saved)
					}
				}
				if diff := cmp.Diff(first, *w.one(t), valueComparer); diff != "" {
					t.Errorf("after 60 days:\n%s", diff)
				}
				w.expect["a"] = expecting(num(1))
				w.see(set("a", num(1)))
				w.wantClosed(t, penumbra.Returned)
			})
		}
	}
}

var valueComparer = cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })

func TestWaysToEnd(t *testing.T) {
	t.Parallel()
	drifted := func(w *world) { w.see(set("a", num(2))) }
	undeclared := func(w *world) {
		w.declare(set("a", null))
		w.expect["a"] = expecting(num(1))
		w.see(set("a", num(2)))
		w.expect["a"] = expecting(num(2))
	}
	impending := func(w *world) { w.forecast["a"] = leaving(0.6); w.see() }
	for _, x := range []struct {
		name  string
		open  func(*world)
		close func(*world)
		want  penumbra.Resolution
	}{
		{"back to the template", drifted, func(w *world) { w.see(set("a", num(1))) }, penumbra.Returned},
		{"back, and the shadow does not expect it", drifted, func(w *world) { w.expect["a"] = expecting(num(2)); w.see(set("a", num(1))) }, penumbra.Returned},
		{"written into the code", drifted, func(w *world) { w.declare(set("a", num(2))); w.see() }, penumbra.TemplateChanged},
		{"new code applied", drifted, func(w *world) { w.declare(set("a", num(3))); w.see(set("a", num(3))) }, penumbra.TemplateChanged},
		{"no longer declared", drifted, func(w *world) { w.declare(set("a", null)); w.see() }, penumbra.TemplateChanged},
		{"accepted by a rule", drifted, func(w *world) {
			w.rules = []penumbra.Rule{{Pattern: "shop/svc.web.a", Value: ptr(num(2))}}
			w.see()
		}, penumbra.Accepted},
		{"accepted, and the shadow knows", drifted, func(w *world) {
			w.event("alice", penumbra.ActionAccept, "a")
			w.expect["a"] = expecting(num(2), num(1))
			w.see()
		}, penumbra.Accepted},
		{"the resource ended", drifted, func(w *world) { w.Deleted = true; w.see() }, penumbra.Gone},
		{"undeclared, back to what was expected", undeclared, func(w *world) { w.see(set("a", num(1))) }, penumbra.Returned},
		{"undeclared, accepted", undeclared, func(w *world) { w.event("alice", penumbra.ActionAccept, "a"); w.see() }, penumbra.Accepted},
		{"undeclared, ignored", undeclared, func(w *world) { w.rules = []penumbra.Rule{{Pattern: "svc.*.a"}}; w.see() }, penumbra.Accepted},
		{"undeclared, written into the code", undeclared, func(w *world) { w.declare(set("a", num(2))); w.see() }, penumbra.TemplateChanged},
		{"no longer likely to leave", impending, func(w *world) { w.forecast["a"] = leaving(0.3); w.see() }, penumbra.Receded},
		{"the code moved before it left", impending, func(w *world) {
			w.declare(set("a", num(3)))
			w.Applied = penumbra.NewSettings(set("a", num(1)))
			w.see()
		}, penumbra.TemplateChanged},
		{"deleted outside, and back", func(w *world) { w.see(set("a", null), set("b", null)) }, func(w *world) { w.see(set("a", num(1)), set("b", num(1))) }, penumbra.Returned},
		{"deleted outside, and out of the code", func(w *world) { w.see(set("a", null), set("b", null)) }, func(w *world) { w.Template = nil; w.see() }, penumbra.TemplateChanged},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(set("a", num(1)), set("b", num(1)))
			x.open(w)
			opened := *w.one(t)
			if saved := w.see(); len(saved) != 0 {
				t.Fatalf("the same again: %+v", saved)
			}
			x.close(w)
			w.wantClosed(t, x.want)
			if w.resolved[0].ID != opened.ID || !w.resolved[0].Opened.Equal(opened.Opened) {
				t.Errorf("another drift was closed: %+v", w.resolved[0])
			}
			if x.want == penumbra.Returned {
				delete(w.expect, "a") // the shadow has seen it return
			}
			w.judge()
			if len(w.active) != 0 || len(w.resolved) != 1 {
				t.Errorf("after the end: %+v", w.active)
			}
		})
	}
}

func TestDriftBecomesHabitAndHabitDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(set("a", num(1)), set("b", num(1)))
	w.see(set("a", num(2)))
	loud := w.one(t).ID
	w.expect["a"] = with(expecting(num(1), num(2)), habit)
	w.see()
	quiet := w.one(t)
	if quiet.Verdict != penumbra.Tolerated || quiet.ID == loud || w.resolved[0].Resolution != penumbra.Habitual {
		t.Fatalf("active %+v, resolved %+v", quiet, w.resolved)
	}
	if len(drift.NewOrChanged(w.active, w.now)) != 0 {
		t.Error("a habit asks for attention")
	}
	id, opened := quiet.ID, quiet.Opened
	delete(w.expect, "a") // the excursion outlasted the habit
	w.see()
	if d := w.one(t); d.ID != id || d.Verdict != penumbra.Drifted || !d.Opened.Equal(opened) || !d.Changed.Equal(w.now) {
		t.Errorf("got %+v, want the same drift grown loud", d)
	}
}

// Of two tolerated settings one stops being a habit: it gets a drift of its own.
func TestQuietAndLoudAreKeptApart(t *testing.T) {
	t.Parallel()
	w := newWorld(set("a", num(1)), set("b", num(1)))
	w.expect["a"] = with(expecting(num(1), num(2)), habit)
	w.expect["b"] = with(expecting(num(1), num(2)), habit)
	w.see(set("a", num(2)), set("b", num(2)))
	if d := w.one(t); len(d.Findings) != 2 || d.Verdict != penumbra.Tolerated {
		t.Fatalf("got %+v", d)
	}
	delete(w.expect, "b")
	w.see()
	if len(w.active) != 2 || len(w.resolved) != 0 {
		t.Fatalf("%d active, %d resolved, want two active", len(w.active), len(w.resolved))
	}
	drift.Sort(w.active)
	if w.active[0].Verdict != penumbra.Drifted || w.active[0].Findings[0].Path != "b" || w.active[1].Findings[0].Path != "a" {
		t.Errorf("got %+v", w.active)
	}
}

func TestImpendingBecomesTheDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(set("a", num(1)), set("b", num(1)))
	w.forecast["a"] = leaving(0, 0, 0.6)
	w.see()
	foreseen, id := w.now, w.one(t).ID
	if _, ok := drift.LeadTime(w.one(t)); ok {
		t.Error("a lead before anything left")
	}
	w.forecast["a"] = leaving(0, 0, 0.4) // below the threshold, not far enough
	for range 3 {
		if saved := w.see(); len(saved) != 0 {
			t.Fatalf("hovering changed %+v", saved)
		}
	}
	w.forecast["a"] = leaving(0, 0.6, 0.9)
	w.see()
	if d := w.one(t); !d.Changed.Equal(w.now) || d.Findings[0].Horizon != 1 {
		t.Errorf("nearer, and yet %+v", d)
	}
	w.event("alice", "edit", "a")
	left := w.now.Add(4 * time.Minute)
	w.see(set("a", num(2)))
	d := w.one(t)
	if d.ID != id || d.Verdict != penumbra.Drifted || !d.Opened.Equal(foreseen) || !d.Foreseen.Equal(foreseen) || !d.Changed.Equal(w.now) || d.Cause.Actor != "alice" {
		t.Errorf("got %+v", d)
	}
	if d.Findings[0].Forecast == nil {
		t.Error("the forecast that foresaw it is lost")
	}
	if lead, ok := drift.LeadTime(d); !ok || lead != left.Sub(foreseen) {
		t.Errorf("lead %s, want %s", lead, left.Sub(foreseen))
	}
}

func TestCauses(t *testing.T) {
	t.Parallel()
	t.Run("one event, one drift", func(t *testing.T) {
		t.Parallel()
		w := newWorld(set("a", num(1)), set("b", num(1)), set("c", num(1)))
		w.event("carol", "edit", "z")
		w.event("alice", "edit", "a", "b")
		w.see(set("a", num(2)), set("b", num(2)), set("c", num(2)))
		drift.Sort(w.active)
		if len(w.active) != 2 {
			t.Fatalf("%d drifts, want alice's and one that no event explains", len(w.active))
		}
		for _, d := range w.active {
			if want := map[bool]int{true: 2, false: 1}[d.Cause.Actor == "alice"]; len(d.Findings) != want || !d.Cause.After.Equal(day0) {
				t.Errorf("%+v", d)
			}
		}
	})
	t.Run("an event without paths, and one on a parent", func(t *testing.T) {
		t.Parallel()
		w := newWorld(set("tags.a", num(1)), set("b", num(1)))
		w.event("alice", "edit")
		w.event("bob", "tag", "tags")
		w.see(set("tags.a", num(2)), set("b", num(2)))
		for _, d := range w.active {
			if want := map[string]string{"b": "alice", "tags.a": "bob"}[d.Findings[0].Path]; d.Cause.Actor != want {
				t.Errorf("%s is put down to %q, want %q", d.Findings[0].Path, d.Cause.Actor, want)
			}
		}
	})
	t.Run("an old event is not the cause", func(t *testing.T) {
		t.Parallel()
		w := newWorld(set("a", num(1)))
		w.event("alice", "edit", "a")
		w.see()
		w.see(set("a", num(2)))
		if d := w.one(t); d.Cause.Actor != "" || !d.Cause.Time.Equal(w.now) || !d.Cause.After.Equal(w.now.Add(-5*time.Minute)) {
			t.Errorf("cause %+v", d.Cause)
		}
	})
	t.Run("an event that arrives late", func(t *testing.T) {
		t.Parallel()
		w := newWorld(set("a", num(1)))
		w.see(set("a", num(2)))
		before := *w.one(t)
		w.Recent = append(w.Recent, penumbra.Touch{Time: day0.Add(time.Minute), Actor: "alice", Paths: []string{"a"}})
		w.see()
		if d := w.one(t); d.Cause.Actor != "alice" || d.ID != before.ID || !d.Changed.Equal(before.Changed) {
			t.Errorf("got %+v", d)
		}
		if saved := w.see(); len(saved) != 0 {
			t.Errorf("and again: %+v", saved)
		}
	})
}

func TestAcknowledgedUntilWorse(t *testing.T) {
	t.Parallel()
	w := newWorld(set("a", num(1)), set("b", num(1)))
	w.event("alice", "edit")
	w.see(set("a", num(2)), set("b", num(2)))
	acknowledge := func() {
		w.active[0].Status, w.active[0].AcknowledgedBy, w.active[0].AcknowledgedAt = penumbra.Acknowledged, "bob", w.now
	}
	acknowledge()
	w.see()
	w.see(set("b", num(1))) // better, and the rest stays known
	if d := w.one(t); d.Status != penumbra.Acknowledged || len(d.Findings) != 1 {
		t.Fatalf("got %+v", d)
	}
	id, opened := w.one(t).ID, w.one(t).Opened
	w.see(set("a", num(3)))
	d := w.one(t)
	if d.ID != id || !d.Opened.Equal(opened) || d.Status != penumbra.Open || d.AcknowledgedBy != "" || !d.Changed.Equal(w.now) || d.Findings[0].Actual != num(3) {
		t.Errorf("moved on to another value: %+v", d)
	}
	if len(drift.NewOrChanged(w.active, w.now)) != 1 {
		t.Error("nobody is told")
	}
}

func TestWhatCouldNotBeReadChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(set("a", num(1)), set("b", num(1)))
	w.see(set("a", num(2)))
	w.NotChecked = "access denied"
	if saved := w.judge(); len(saved) != 0 {
		t.Errorf("got %+v", saved)
	}
	w.NotChecked = ""
	w.see(set("a", null), set("b", null)) // the resource is gone: a is still off
	if len(w.active) != 2 || len(w.resolved) != 0 {
		t.Errorf("%d active and %d resolved, want the resource's drift beside the setting's", len(w.active), len(w.resolved))
	}
	w.Actual = penumbra.NewSettings(set("a", key.Seal(num(2))), set("b", num(1)))
	w.see()
	if d := w.one(t); d.Findings[0].Path != "a" || d.Findings[0].Actual != num(2) {
		t.Errorf("a value that cannot be compared changed %+v", d)
	}
}

func TestFlapping(t *testing.T) {
	t.Parallel()
	w := newWorld(set("a", num(1)))
	ids := map[string]bool{}
	for range 50 {
		w.see(set("a", num(2)))
		ids[w.one(t).ID] = true
		w.see(set("a", num(1)))
		if len(w.active) != 0 {
			t.Fatal("still open")
		}
	}
	if len(w.resolved) != 50 || len(ids) != 50 {
		t.Errorf("%d resolved drifts under %d names, want 50", len(w.resolved), len(ids))
	}
}

func TestSort(t *testing.T) {
	t.Parallel()
	at := func(hours int) time.Time { return day0.Add(time.Duration(hours) * time.Hour) }
	drifts := []penumbra.Drift{
		{ID: "quiet", Verdict: penumbra.Tolerated, Opened: at(9)},
		{ID: "old", Verdict: penumbra.Drifted, Opened: at(1)},
		{ID: "new", Verdict: penumbra.Drifted, Opened: at(2)},
		{ID: "critical", Verdict: penumbra.Unexpected, Critical: true, Opened: at(0)},
		{ID: "coming", Verdict: penumbra.Impending, Opened: at(8)},
	}
	drift.Sort(drifts)
	var got []string
	for _, d := range drifts {
		got = append(got, d.ID)
	}
	if diff := cmp.Diff([]string{"critical", "new", "old", "coming", "quiet"}, got); diff != "" {
		t.Error(diff)
	}
}

// What Penumbra writes down about a resource is not what happened to it.
func TestRemarksAreNoCauses(t *testing.T) {
	t.Parallel()
	t.Run("an event that arrives later than one a little before", func(t *testing.T) {
		t.Parallel()
		w := newWorld(set("a", num(1)))
		w.see()
		w.Recent = append(w.Recent, penumbra.Touch{Time: w.now, Actor: "alice", Paths: []string{"a"}})
		w.see(set("a", num(2)))
		before := *w.one(t)
		if before.Cause.Actor != "alice" {
			t.Fatalf("cause %+v", before.Cause)
		}
		w.Recent = append(w.Recent, penumbra.Touch{Time: w.now.Add(-time.Minute), Actor: "carol"})
		if saved := w.see(); len(saved) != 0 {
			t.Errorf("one that names nothing: %+v", saved)
		}
		w.Recent = append(w.Recent[:1], penumbra.Touch{Time: before.Changed.Add(-time.Minute), Actor: "bob", Paths: []string{"a"}}, penumbra.Touch{Time: w.now, Actor: "dan", Paths: []string{"a"}})
		w.see()
		if d := w.one(t); d.Cause.Actor != "bob" || d.ID != before.ID || !d.Changed.Equal(before.Changed) {
			t.Errorf("got %+v", d)
		}
		if saved := w.see(); len(saved) != 0 {
			t.Errorf("and again: %+v", saved)
		}
	})
	for action, want := range map[string]string{
		penumbra.ActionAccept: "ALTER SYSTEM", penumbra.ActionReject: "ALTER SYSTEM",
		penumbra.ActionAnomaly: "ALTER SYSTEM", penumbra.ActionAnomalyEnd: "ALTER SYSTEM",
		penumbra.ActionApply: penumbra.ActionApply, penumbra.ActionRollback: penumbra.ActionRollback,
		"penumbra": "penumbra", "restart": "restart",
	} {
		w := newWorld(set("a", num(1)))
		w.see() // a look without it, so that the events are after one
		w.event("alice", "ALTER SYSTEM", "a")
		w.event("bob", action)
		w.see(set("a", num(2)))
		if got := w.one(t).Cause.Action; got != want {
			t.Errorf("after %q the cause is %q, want %q", action, got, want)
		}
	}
}

// A server takes a moment to do as it was told, and the event that tells of it has
// started a look by then.
func TestAnActMayShowALookLater(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		paths []string
		later time.Duration // of the look that does not show it yet
		want  string
	}{
		"named, at once":       {[]string{"a"}, time.Second, "alice"},
		"named, long ago":      {[]string{"a"}, time.Minute, ""},
		"about anything":       {nil, time.Second, ""},
		"in whole seconds":     {nil, 400 * time.Millisecond, "alice"},
		"about another":        {[]string{"b"}, time.Second, ""},
		"between looks anyway": {nil, -time.Second, "alice"},
	} {
		w := newWorld(set("a", num(1)), set("b", num(1)))
		w.see()
		w.event("alice", "ALTER SYSTEM", x.paths...)
		if x.later > 0 {
			w.now = w.now.Add(x.later - time.Minute) // so long after the event
			w.see()
		}
		w.now = w.now.Add(time.Millisecond)
		w.see(set("a", num(2)))
		if got := w.one(t).Cause.Actor; got != x.want {
			t.Errorf("%s: put down to %q, want %q", name, got, x.want)
		}
	}
}

// A random walk of code, world, shadow and people, with what must hold after
// each step.
func TestLife(t *testing.T) {
	t.Parallel()
	paths := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(set("a", num(1)), set("b", num(1)), set("d", num(1)))
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			path := rapid.SampledFrom(paths).Draw(t, "path")
			value := num(float64(rapid.IntRange(1, 3).Draw(t, "value")))
			var seen []penumbra.Setting
			excused := false
			before := slices.Clone(w.active)
			switch rapid.SampledFrom([]string{"move", "move", "declare", "habit", "forget", "forecast", "calm", "event", "accept", "rule", "unread", "nothing"}).Draw(t, "what") {
			case "move":
				seen = append(seen, set(path, value))
			case "declare":
				w.declare(set(path, value))
				excused = true
			case "habit":
				w.expect[path] = with(expecting(num(1), value), habit)
				excused = true
			case "forget":
				delete(w.expect, path)
			case "forecast":
				w.forecast[path] = leaving(rapid.Float64Range(0, 1).Draw(t, "leave"))
			case "calm":
				w.forecast = map[string]*penumbra.Forecast{}
			case "event":
				w.event("alice", "edit", path)
			case "accept":
				w.event("alice", penumbra.ActionAccept, path)
				excused = true
			case "rule":
				w.rules = []penumbra.Rule{{Pattern: "*." + path}}
				excused = true
			case "unread":
				w.NotChecked = "access denied"
			}
			w.see(seen...)
			w.check(t, before, excused)
			w.NotChecked = ""
		}
	})
}

func (w *world) check(t *rapid.T, before []penumbra.Drift, excused bool) {
	t.Helper()
	if w.last.NotChecked == "" {
		for _, f := range w.last.Findings {
			holders := 0
			for i := range w.active {
				if held, ok := w.active[i].Finding(f.Path); ok {
					holders++
					if held.Verdict != f.Verdict && f.Verdict != penumbra.NotChecked || held.Actual != f.Actual {
						t.Fatalf("%+v is held as %+v", f, held)
					}
				}
			}
			want := 1
			if f.Verdict == penumbra.Pending || f.Verdict == penumbra.NotChecked || f.Rule != "" || f.Verdict == penumbra.Tolerated && !f.Expectation.Habit {
				want = 0
			}
			back := f.Verdict == penumbra.Unexpected && slices.ContainsFunc(w.resolved, func(d penumbra.Drift) bool { return d.ResolvedAt.Equal(w.now) })
			if holders != want && !(back && holders == 0) {
				t.Fatalf("%s %s is in %d drifts, want %d", f.Path, f.Verdict, holders, want)
			}
		}
	}
	for _, d := range before {
		for _, f := range d.Findings {
			if f.Verdict != penumbra.Drifted || excused {
				continue
			}
			kept := slices.ContainsFunc(w.active, func(x penumbra.Drift) bool { _, ok := x.Finding(f.Path); return ok })
			now := w.Actual.Get(f.Path)
			if template, _ := w.Template.Find(f.Path); !kept && !template.Value.Agrees(now) && len(w.rules) == 0 {
				t.Fatalf("%s was closed while it is %s and not %s", f.Path, now, template.Value)
			}
		}
	}
	if saved := w.judge(); w.last.NotChecked == "" && len(saved) != 0 && !slices.ContainsFunc(w.last.Findings, func(f penumbra.Finding) bool { return f.Verdict == penumbra.Unexpected }) {
		t.Fatalf("the same state again: %+v", saved)
	}
}

var sink int

// BenchmarkAssess assesses 100,000 resources of 15 settings, all in sync.
func BenchmarkAssess(b *testing.B) {
	const resources, settings = 100_000, 15
	fleet := make([]penumbra.Resource, resources)
	var expect []penumbra.Expectation
	var forecast []penumbra.Forecast
	var s penumbra.Settings
	for i := range settings {
		path := fmt.Sprintf("settings.group%02d.name", i)
		s = append(s, set(path, num(float64(i))))
		e, f := expecting(num(float64(i))), leaving(0.001, 0.01, 0.02, 0.1, 0.3)
		e.Path, f.Path = path, path
		expect, forecast = append(expect, *e), append(forecast, *f)
	}
	for i := range fleet {
		fleet[i] = penumbra.Resource{Address: web, Template: slices.Clone(s), Actual: slices.Clone(s), SnapshotTime: day0}
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range fleet {
			a := drift.Assess(&fleet[i], expect, forecast, nil, known, day0)
			sink += a.InSync
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/resources/settings, "ns/setting")
}
