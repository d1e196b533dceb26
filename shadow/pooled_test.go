package shadow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/penumbra-iac/penumbra"
)

// TestDriftIsNeverLearnt replays sixty days of snapshots with a drift that
// nobody resolves.
func TestDriftIsNeverLearnt(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{5 * time.Minute, day} {
		t.Run(every.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.template(start, "a", "size", "small", "count", 2)
			w.snapshot(start, "a", "size", "small", "count", 2, "zone", "x")
			opened := start.Add(every)
			w.snapshot(opened, "a", "size", "large", "count", 2, "zone", "y")
			first := w.model.Expect(w.resource("a"), opened, 0.95)
			var at time.Time
			for at = opened; at.Before(start.Add(60 * day)); at = at.Add(every) {
				w.snapshot(at, "a", "size", "large", "count", 2, "zone", "y")
			}
			w.holds(at, "a", "size", "large", false)
			w.holds(at, "a", "size", "small", true)
			w.holds(at, "a", "zone", "y", false)
			w.holds(at, "a", "zone", "x", true)
			for _, confidence := range []float64{0.5, 0.99, 0.9999} {
				for path, drifted := range map[string]string{"size": "large", "zone": "y"} {
					if e := w.expect(at, "a", path, confidence); e.Contains(value(drifted)) {
						t.Errorf("at %v the set of %s holds the drift: %+v", confidence, path, e)
					}
				}
			}
			last := w.model.Expect(w.resource("a"), at, 0.95)
			if d := cmp.Diff(first, last, cmpopts.IgnoreFields(penumbra.Expectation{}, "Support", "NovelProbability"),
				cmpopts.IgnoreFields(penumbra.Candidate{}, "Probability"), cmp.AllowUnexported(penumbra.Value{})); d != "" {
				t.Errorf("the expectation moved in 60 days:\n%s", d)
			}
		})
	}
}

func TestExcursionEnds(t *testing.T) {
	t.Parallel()
	at := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
	away := func(t *testing.T) *world {
		w := newWorld(t)
		w.template(at(0), "a", "size", 1)
		w.snapshot(at(0), "a", "size", 1, "zone", "x")
		w.snapshot(at(1), "a", "size", 2, "zone", "y")
		w.holds(at(1), "a", "size", 2, false)
		w.holds(at(1), "a", "zone", "y", false)
		return w
	}
	t.Run("by return", func(t *testing.T) {
		t.Parallel()
		w := away(t)
		w.snapshot(at(2), "a", "size", 1, "zone", "x")
		w.holds(at(2), "a", "size", 1, true)
		w.holds(at(2), "a", "size", 2, false)
	})
	t.Run("by template", func(t *testing.T) {
		t.Parallel()
		w := away(t)
		w.template(at(2), "a", "size", 2)
		w.holds(at(2), "a", "size", 2, true)
		w.holds(at(2), "a", "size", 1, false)
		w.snapshot(at(3), "a", "size", 1, "zone", "y")
		w.holds(at(3), "a", "size", 1, false)
	})
	t.Run("by acceptance", func(t *testing.T) {
		t.Parallel()
		w := away(t)
		w.event(at(2), "a", penumbra.ActionAccept, penumbra.User, "size", 2, "zone", "y")
		for _, v := range []int{1, 2} {
			w.holds(at(2), "a", "size", v, true)
		}
		w.holds(at(2), "a", "zone", "y", true)
		w.snapshot(at(3), "a", "size", 3, "zone", "y")
		w.holds(at(3), "a", "size", 3, false)
	})
	t.Run("not by acceptance of another value", func(t *testing.T) {
		t.Parallel()
		w := away(t)
		w.event(at(2), "a", penumbra.ActionAccept, penumbra.User, "size", 7)
		w.holds(at(2), "a", "size", 2, false)
	})
}

// TestApplyExplains has undeclared settings move with declared ones, and after
// an apply: a consequence, not a drift.
func TestApplyExplains(t *testing.T) {
	t.Parallel()
	at := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
	w := newWorld(t)
	w.template(at(0), "a", "size", 1)
	w.snapshot(at(0), "a", "size", 1, "ip", "10.0.0.1")
	w.snapshot(at(1), "a", "size", 1, "ip", "10.0.0.1")

	w.template(at(2), "a", "size", 2) // merged, applied three hours later
	w.snapshot(at(2), "a", "size", 1, "ip", "10.0.0.1")
	w.snapshot(at(3), "a", "size", 1, "ip", "10.0.0.1")
	w.holds(at(5), "a", "ip", "10.0.0.2", true)
	w.snapshot(at(5), "a", "size", 2, "ip", "10.0.0.2")
	w.holds(at(5), "a", "ip", "10.0.0.2", true)
	w.holds(at(6), "a", "ip", "10.0.0.1", false) // once it has settled
	if f := w.forecast(at(5), "a", "size"); f.Leave[3] > 0.02 {
		t.Errorf("an apply counted as a departure: %+v", f)
	}

	w.event(at(6), "a", penumbra.ActionApply, penumbra.User)
	w.snapshot(at(7), "a", "size", 2, "ip", "10.0.0.3", "arn", "new")
	w.holds(at(7), "a", "ip", "10.0.0.3", true)
	w.holds(at(7), "a", "arn", "new", true)
	w.snapshot(at(8), "a", "size", 2, "ip", "10.0.0.4", "arn", "new")
	w.holds(at(8), "a", "ip", "10.0.0.4", false)
}

// nights plays so many nights on which automation sets size to 9 from two to
// four, looked at every five minutes, and returns midnight after the last.
func nights(w *world, n int, actor penumbra.ActorKind) time.Time {
	w.template(start, "a", "size", 3)
	at := start
	for ; at.Before(start.Add(time.Duration(n) * day)); at = at.Add(5 * time.Minute) {
		size := 3
		if h := at.Hour(); h == 2 || h == 3 {
			size = 9
			if at.Minute() == 0 && h == 2 && actor != 0 {
				w.event(at, "a", "resize", actor, "size", 9)
			}
		}
		w.snapshot(at, "a", "size", size, "disk", 10)
	}
	return at
}

func TestHabit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		nights         int
		actor          penumbra.ActorKind
		habit, missing bool // the value is tolerated by night; the template is not
	}{
		{2, penumbra.Automation, false, false},
		{3, penumbra.Automation, true, false},
		{5, penumbra.Automation, true, false},
		{14, penumbra.Automation, true, true},
		{20, penumbra.Automation, true, true},
		{20, penumbra.User, false, false},
		{20, penumbra.UnknownActor, false, false},
	} {
		t.Run(fmt.Sprint(c.nights, c.actor), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			midnight := nights(w, c.nights, c.actor)
			night, noon := midnight.Add(2*time.Hour+30*time.Minute), midnight.Add(14*time.Hour)
			w.holds(night, "a", "size", 9, c.habit)
			w.holds(night, "a", "size", 3, !c.missing)
			w.holds(noon, "a", "size", 9, false)
			w.holds(noon, "a", "size", 3, true)
			w.holds(midnight.Add(2*time.Hour), "a", "size", 9, c.habit)
			w.holds(midnight.Add(2*time.Hour), "a", "size", 3, true) // the switch is not punctual
			if e := w.expect(night, "a", "size", 0.95); e.Habit != c.habit {
				t.Errorf("habit is %t: %+v", e.Habit, e)
			}
			w.holds(night, "a", "size", 8, false)
		})
	}
}

func TestHabitForecast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	midnight := nights(w, 20, penumbra.Automation)
	before := w.forecast(midnight.Add(90*time.Minute), "a", "size")
	after := w.forecast(midnight.Add(-day).Add(4*time.Hour+5*time.Minute), "a", "size")
	if before.Leave[0] < 0.8 || after.Leave[0] > 0.05 || after.Leave[2] < 0.8 {
		t.Errorf("leave before %v, after %v", before.Leave, after.Leave)
	}
	if before.Next != penumbra.Number(9) || !strings.HasSuffix(before.Reason, "always about 02:00 UTC") {
		t.Errorf("next %v because %q", before.Next, before.Reason)
	}
	if before.TimeToDrift > 45*time.Minute || before.TimeToDrift < 25*time.Minute {
		t.Errorf("time to drift %v", before.TimeToDrift)
	}
	if f := w.forecast(midnight, "a", "disk"); f.Leave[4] > 0.1 {
		t.Errorf("the disk's forecast: %+v", f)
	}
}

// TestAutoscaler has a desired capacity wander and come back: a range.
func TestAutoscaler(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.template(start, "a", "desired", 40)
	at := start
	for i, n := range []int{40, 42, 45, 40, 38, 36, 40, 44, 48, 50, 46, 40, 41, 37, 40, 40} {
		at = start.Add(time.Duration(i) * time.Hour)
		w.event(at.Add(-time.Minute), "a", "SetDesiredCapacity", penumbra.Automation)
		w.snapshot(at, "a", "desired", n)
	}
	for _, n := range []int{36, 39, 43, 47, 50} {
		w.holds(at, "a", "desired", n, true)
	}
	for _, n := range []int{0, 12, 70, 400} {
		w.holds(at, "a", "desired", n, false)
	}
	if e := w.expect(at, "a", "desired", 0.95); !e.Habit || e.Interval == nil {
		t.Errorf("no range was learnt: %+v", e)
	}
}

// TestWave has five of eight peers leave one after the other to one value.
func TestWave(t *testing.T) {
	t.Parallel()
	for _, gap := range []time.Duration{time.Hour, 6 * time.Hour, day} {
		t.Run(gap.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			at := start
			all := func(at time.Time, gone int) {
				for i := range 8 {
					v := 1024
					if i < gone {
						v = 2048
					}
					w.snapshot(at, fmt.Sprint("n", i), "memory", v, "disk", 10)
				}
			}
			for i := range 8 {
				w.template(at, fmt.Sprint("n", i), "memory", 1024, "disk", 10)
			}
			for ; at.Before(start.Add(30 * day)); at = at.Add(day) {
				all(at, 0)
			}
			if f := w.forecast(at, "n7", "memory"); f.Leave[3] > 0.02 {
				t.Errorf("before the wave: %+v", f)
			}
			for gone := 1; gone <= 5; gone++ {
				at = at.Add(gap)
				all(at, gone)
			}
			f := w.forecast(at, "n7", "memory")
			if f.Leave[3] < 0.5 || f.Next != penumbra.Number(2048) {
				t.Errorf("after the wave: %+v", f)
			}
			if want := "5 of 7 peers left their template in the last 7 days, last to 2048"; f.Reason != want {
				t.Errorf("reason %q, want %q", f.Reason, want)
			}
			if f := w.forecast(at, "n7", "disk"); f.Leave[3] > 0.02 {
				t.Errorf("an unrelated setting: %+v", f)
			}
			w.holds(at, "n7", "memory", 2048, false)
		})
	}
}

// TestPendingIsNoDeparture has code that is merged and not applied.
func TestPendingIsNoDeparture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 6 {
		name := fmt.Sprint(i)
		r := w.resource(name)
		r.Template = settings("size", 2)
		w.model.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: start, Resource: r.Address, Type: r.Type,
			Settings: r.Template, Applied: settings("size", 1)})
		w.snapshot(start, name, "size", 1)
		w.snapshot(start.Add(day), name, "size", 1)
		w.holds(start.Add(day), name, "size", 1, false)
		w.snapshot(start.Add(2*day), name, "size", 2)
		w.holds(start.Add(2*day), name, "size", 2, true)
	}
	if f := w.forecast(start.Add(2*day), "0", "size"); f.Leave[3] > 0.02 || f.Reason != "" {
		t.Errorf("applies counted as departures: %+v", f)
	}
}

// TestTemplateLeftOpen has a value that is known only after the apply.
func TestTemplateLeftOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.resource("a")
	r.Template = penumbra.Settings{{Path: "ip", Value: penumbra.Unknown()}}
	w.model.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: start, Resource: r.Address, Type: r.Type, Settings: r.Template})
	w.holds(start, "a", "ip", "10.0.0.1", true)
	w.snapshot(start, "a", "ip", "10.0.0.1")
	w.holds(start.Add(time.Hour), "a", "ip", "10.0.0.1", true)
}

// TestAutomationIsSeenAtTheReturn has a log that tells of the end only.
func TestAutomationIsSeenAtTheReturn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.template(start, "a", "size", 1)
	var at time.Time
	for i := range 24 * 5 {
		at = start.Add(time.Duration(i) * time.Hour)
		size := 1
		switch at.Hour() {
		case 3:
			size = 2
		case 4:
			w.event(at.Add(-time.Minute), "a", "restore", penumbra.Automation)
		}
		w.snapshot(at, "a", "size", size)
	}
	midnight := start.Add(5 * day)
	w.holds(midnight.Add(3*time.Hour+30*time.Minute), "a", "size", 2, true)
	w.holds(midnight.Add(12*time.Hour), "a", "size", 2, false)
}

// TestAskingChangesNothing asks far ahead and goes on.
func TestAskingChangesNothing(t *testing.T) {
	t.Parallel()
	var forecasts [2]penumbra.Forecast
	for i := range forecasts {
		w := newWorld(t)
		midnight := nights(w, 8, penumbra.Automation)
		if i == 1 {
			w.forecast(midnight.Add(300*day), "a", "size")
			w.expect(midnight.Add(300*day), "a", "size", 0.9)
		}
		w.snapshot(midnight, "a", "size", 3, "disk", 10)
		forecasts[i] = w.forecast(midnight, "a", "size")
	}
	if forecasts[0].Leave != forecasts[1].Leave {
		t.Errorf("%v, after asking %v", forecasts[0].Leave, forecasts[1].Leave)
	}
}
