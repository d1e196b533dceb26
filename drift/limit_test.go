package drift_test

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// limit is what holds a setting of 8 at most, as the stage before says it of an
// actual value.
func limit(actual, most float64) *penumbra.Expectation {
	return &penumbra.Expectation{Support: 30, Values: []penumbra.Candidate{{Value: num(4), Probability: 1}},
		Limit: &penumbra.Limit{Max: num(most), Bound: num(most), Passed: actual > most}}
}

// at moves the limited setting and looks.
func (w *world) at(actual, most, leave float64) []penumbra.Drift {
	w.expect["mem"] = limit(actual, most)
	w.forecast["mem"] = leaving(0, 0, 0, leave)
	return w.see(set("mem", num(actual)))
}

func limitedWorld() *world {
	w := newWorld(set("port", num(5432)))
	w.Actual = penumbra.NewSettings(set("port", num(5432)), set("mem", num(4)))
	return w
}

func TestLimitedSettingMovesFreely(t *testing.T) {
	w := limitedWorld()
	for _, v := range []float64{4, 6, 8, 3} {
		w.at(v, 8, 0)
		if got := w.last.Verdict(); got != penumbra.InSync || w.last.InSync != 2 || len(w.active) != 0 {
			t.Errorf("at %v: %s, %+v", v, got, w.last)
		}
	}
}

func TestLimitIsForeseenPassedAndKept(t *testing.T) {
	w := limitedWorld()
	w.at(6, 8, 0.6)
	if len(w.active) != 1 || w.active[0].Verdict != penumbra.Impending || w.active[0].Findings[0].Template != num(8) {
		t.Fatalf("%+v", w.active)
	}
	foreseen := w.now
	w.event("alice", "ALTER SYSTEM", "mem")
	w.at(9, 8, 0)
	if len(w.active) != 1 || w.active[0].Verdict != penumbra.Drifted || !w.active[0].Foreseen.Equal(foreseen) || w.active[0].Cause.Actor != "alice" {
		t.Fatalf("%+v", w.active)
	}
	if f := w.active[0].Findings[0]; f.Template != num(8) || f.Declared || f.Forecast == nil {
		t.Errorf("%+v", f)
	}
	w.at(10, 8, 0)
	if len(w.active) != 1 || w.active[0].Findings[0].Actual != num(10) {
		t.Fatalf("%+v", w.active)
	}
	w.at(8, 8, 0)
	if len(w.active) != 0 || len(w.resolved) != 1 || w.resolved[0].Resolution != penumbra.Returned {
		t.Fatalf("active %+v, resolved %+v", w.active, w.resolved)
	}
}

func TestLimitEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  float64 // with the limit 8
		leave float64
		then  func(*world)
		want  penumbra.Resolution // "" if it goes on
	}{
		{"the limit is raised", 9, 0, func(w *world) { w.at(9, 10, 0) }, penumbra.TemplateChanged},
		{"the limit is raised, not enough", 12, 0, func(w *world) { w.at(12, 10, 0) }, ""},
		{"the limit is taken away", 9, 0, func(w *world) { delete(w.expect, "mem"); w.see() }, penumbra.TemplateChanged},
		{"the code declares it", 9, 0, func(w *world) { w.declare(set("mem", num(9))); w.at(9, 8, 0) }, penumbra.TemplateChanged},
		{"it comes back, and may pass again", 9, 0, func(w *world) { w.at(7, 8, 0.6) }, penumbra.Returned},
		{"the forecast falls a little", 7, 0.6, func(w *world) { w.at(7, 8, 0.4) }, ""},
		{"the forecast falls", 7, 0.6, func(w *world) { w.at(7, 8, 0.1) }, penumbra.Receded},
		{"a person accepts it", 9, 0, func(w *world) {
			w.rules = []penumbra.Rule{{Pattern: "svc.web.mem"}}
			w.at(9, 8, 0)
		}, penumbra.Accepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := limitedWorld()
			w.at(c.from, 8, c.leave)
			if len(w.active) != 1 {
				t.Fatalf("%+v", w.active)
			}
			id := w.active[0].ID
			c.then(w)
			switch {
			case c.want == "" && (len(w.active) != 1 || w.active[0].ID != id):
				t.Errorf("active %+v, resolved %+v", w.active, w.resolved)
			case c.want != "" && (len(w.resolved) != 1 || w.resolved[0].ID != id || w.resolved[0].Resolution != c.want):
				t.Errorf("active %+v, resolved %+v", w.active, w.resolved)
			}
		})
	}
}

// A drift that opened before the limit was given ends with it: the value is
// allowed now.
func TestLimitSettlesWhatWasUnexpected(t *testing.T) {
	w := limitedWorld()
	w.expect["mem"] = expecting(num(4))
	w.see(set("mem", num(6)))
	if len(w.active) != 1 || w.active[0].Verdict != penumbra.Unexpected {
		t.Fatalf("%+v", w.active)
	}
	w.at(6, 8, 0)
	if len(w.active) != 0 || w.resolved[0].Resolution != penumbra.TemplateChanged {
		t.Errorf("active %+v, resolved %+v", w.active, w.resolved)
	}
}

func TestLimitOfWhatIsNoAmount(t *testing.T) {
	w := limitedWorld()
	e := limit(0, 8)
	e.Limit.Unread = true
	w.expect["mem"] = e
	w.see(set("mem", str("plenty")))
	if got := w.last.Verdict(); got != penumbra.NotChecked || len(w.active) != 0 {
		t.Errorf("%s, %+v", got, w.active)
	}
}
