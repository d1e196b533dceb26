package backtest_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/timeline"
)

// scripted gives the verdicts that a test wants: what is off its template is
// drifted, but for what is named; "warned" is impending from the third day on.
type scripted struct{ begin time.Time }

func (s scripted) Assess(r *penumbra.Resource, _ []penumbra.Expectation, _ []penumbra.Forecast, at time.Time) penumbra.Assessment {
	a := penumbra.Assessment{Resource: r.Address, Time: at}
	for _, x := range r.Template {
		f := penumbra.Finding{Path: x.Path, Declared: true}
		switch off := !x.Value.Agrees(r.Actual.Get(x.Path)); {
		case off && (x.Path == "habit" || x.Path == "missed"):
			f.Verdict = penumbra.Tolerated
		case off:
			f.Verdict = penumbra.Drifted
		case (x.Path == "warned" || x.Path == "scare") && at.Sub(s.begin) >= 3*24*time.Hour:
			f.Verdict = penumbra.Impending
		default:
			continue
		}
		a.Findings = append(a.Findings, f)
	}
	return a
}

func TestVerdictsByHand(t *testing.T) {
	t.Parallel()
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	paths := []string{"accepted", "habit", "missed", "scare", "surprise", "warned"}
	settings := func(off ...string) penumbra.Settings {
		var out []penumbra.Setting
		for _, p := range paths {
			out = append(out, penumbra.Setting{Path: p, Value: penumbra.String("home")})
		}
		for _, p := range off {
			out = append(out, penumbra.Setting{Path: p, Value: penumbra.String("away")})
		}
		return penumbra.NewSettings(out...)
	}
	at := func(days float64) time.Time { return begin.Add(time.Duration(days * 24 * float64(time.Hour))) }
	observe := func(days float64, kind penumbra.ObservationKind, s penumbra.Settings) *penumbra.Observation {
		return &penumbra.Observation{Kind: kind, Time: at(days), Source: "tofu", Resource: "s/vm.a", Type: "vm", Settings: s, Full: kind == penumbra.SnapshotKind}
	}
	robot := func(days float64, path string) *penumbra.Observation {
		return &penumbra.Observation{Kind: penumbra.EventKind, Time: at(days), Source: "log", ID: fmt.Sprint(days), Resource: "s/vm.a", Type: "vm",
			Action: "Scale", ActorKind: penumbra.Automation, Settings: penumbra.Settings{{Path: path}}}
	}
	accept := robot(7.2, "accepted")
	accept.Action, accept.ActorKind = penumbra.ActionAccept, penumbra.User
	accept.Settings[0].Value = penumbra.String("away")
	history := []*penumbra.Observation{
		observe(0, penumbra.TemplateKind, settings()), observe(0.1, penumbra.SnapshotKind, settings()),
		observe(3, penumbra.SnapshotKind, settings()), // "warned" and "scare" are impending
		robot(4.9, "habit"),
		observe(5, penumbra.SnapshotKind, settings("habit", "missed", "surprise", "warned")),
		robot(5.9, "habit"),
		observe(6, penumbra.SnapshotKind, settings("missed", "surprise")),
		observe(7, penumbra.SnapshotKind, settings("accepted", "missed", "surprise")),
		accept,
		observe(20, penumbra.SnapshotKind, settings("accepted", "missed", "surprise")),
	}
	r := judge(t, history, func(o *backtest.Options) {
		o.From, o.To, o.Every, o.Horizons = at(1), at(20), 24*time.Hour, []int{3}
		o.Verdicts = &backtest.Verdicts{Judge: scripted{begin}, Fold: timeline.Fold, Confidence: 0.95}
	})
	if len(r.Drift) != 1 {
		t.Fatalf("%d reports", len(r.Drift))
	}
	d := r.Drift[0]
	// Five left: "habit" by automation and "accepted" were harmless; drifts were
	// "missed", held to be tolerated, "surprise" and "warned".
	if d.Mismatches != 5 || d.Drifts != 3 {
		t.Errorf("%d mismatches, %d drifts", d.Mismatches, d.Drifts)
	}
	for name, x := range map[string][2]float64{
		"precision": {d.Precision, 2.0 / 3}, "recall": {d.Recall, 2.0 / 3}, "of the template": {d.TemplatePrecision, 3.0 / 5},
		"tolerated": {d.Tolerated, 1.0 / 2}, "foreseen": {d.Foreseen, 1.0 / 3}, "lead": {d.LeadMedian, 2},
		// "warned" and "scare" on day 3, "warned" again on day 6; none came true but
		// the first, and by day 20 a week had gone by, so that two are false and two
		// begin anew.
		"alerts": {float64(d.Alerts), 5}, "false": {float64(d.FalseAlerts), 2}, "false a day": {d.FalsePerDay, 2.0 / 17},
	} {
		if math.Abs(x[0]-x[1]) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, x[0], x[1])
		}
	}
}

// oracle chooses what a test tells it, and says what comes next.
type oracle struct {
	*shadow.Pooled
	asked *[]string
}

func (o oracle) Choose(_ *penumbra.Resource, path string, at time.Time) []penumbra.Candidate {
	*o.asked = append(*o.asked, fmt.Sprint(path, " ", at.Day()))
	return []penumbra.Candidate{{Value: penumbra.String("2"), Probability: 0.5}, {Value: penumbra.String("3"), Probability: 0.25}}
}

func (o oracle) ChooseSet(_ *penumbra.Resource, path string, _ time.Time, confidence float64) penumbra.Expectation {
	return penumbra.Expectation{Path: path, Confidence: confidence, Values: []penumbra.Candidate{{Value: penumbra.String("2"), Probability: 0.5}}, Novel: confidence > 0.98}
}

func (o oracle) Next(*penumbra.Resource, time.Time, int) []shadow.Ranked {
	return []shadow.Ranked{{Class: "a", Probability: 0.5}, {Class: "l.*", Probability: 0.25}}
}

// TestValuesAndNextByHand holds that all changes of a commit are asked for
// before any is learnt, and counts what comes of it.
func TestValuesAndNextByHand(t *testing.T) {
	t.Parallel()
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	event := func(day int, resource, action string, settings ...string) *penumbra.Observation {
		o := &penumbra.Observation{Kind: penumbra.EventKind, Time: begin.AddDate(0, 0, day-1), Source: fmt.Sprint("git:", day), Action: action,
			Type: "vm", Resource: penumbra.Address("s/vm." + resource)}
		for i := 0; i < len(settings); i += 2 {
			o.Settings = append(o.Settings, penumbra.Setting{Path: settings[i], Value: penumbra.String(settings[i+1])})
		}
		return o
	}
	history := []*penumbra.Observation{
		event(1, "x", "create", "a", "1", "b", "1", "l.0", "1"), event(1, "y", "create", "a", "1"),
		event(5, "x", "update", "a", "2"), event(5, "y", "update", "a", "2"), // one commit
		event(8, "x", "update", "a", "9", "c", "1"), // a surprise; c appears, no change
		event(9, "x", "update", "b", "3", "l.0", "${var.x}"),
		event(20, "x", "update", "a", "9"),
	}
	var asked []string
	r := judge(t, history, func(o *backtest.Options) {
		o.From, o.Every, o.Horizons = begin.AddDate(0, 0, 2), 24*time.Hour, []int{2}
	}, backtest.Entrant{Name: "oracle", Model: oracle{shadow.NewPooled(shadow.Options{}), &asked}})
	if got, want := fmt.Sprint(asked), "[a 5 a 5 a 8 b 9 l.0 9]"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	find := func(list []backtest.Choices, name string) backtest.Choices {
		for _, x := range list {
			if x.Name == name {
				return x
			}
		}
		t.Fatalf("no %s in %+v", name, list)
		return backtest.Choices{}
	}
	x := find(r.Values, "oracle")
	loss := (2*math.Log(2) + 3*math.Log(4)) / 5 // 2 twice, 3 once, two that leave a quarter
	if x.Changes != 5 || x.First != 0.4 || x.Known != 0.6 || math.Abs(*x.LogLoss-loss) > 1e-9 {
		t.Errorf("%+v, log loss %v, want %v", x, *x.LogLoss, loss)
	}
	if x.Sets[0].Covered != 0.4 || x.Sets[2].Covered != 1 || x.Sets[2].Novel != 1 || x.Sets[0].Worst.Name != "2025-Q1" {
		t.Errorf("sets %+v", x.Sets)
	}
	if y := find(r.Resolved, "oracle"); y.Changes != 4 {
		t.Errorf("%d changes without the expression", y.Changes)
	}
	// Neither of the commit's two changes tells of the other.
	if y := find(r.Values, "the last value set in the fleet"); y.First != 0 {
		t.Errorf("the fleet's last: %+v", y)
	}
	for _, n := range r.Next {
		if n.Name == "oracle" && (n.Asked != 4 || n.Settings != 5 || n.Hit1 != 0.75 || n.Hit5 != 1 || n.Each1 != 0.6 || n.Each9 != 0.8) {
			t.Errorf("next: %+v", n)
		}
		if n.Name == "the last again" && n.Hit1 != 0.25 { // day 8 of x
			t.Errorf("the last again: %+v", n)
		}
	}
}
