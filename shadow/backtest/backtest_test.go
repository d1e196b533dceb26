package backtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// estate makes a year of an estate of 60 services whose image changes weekly
// on average in a third of them and whose port nearly never does.
func estate(seed uint64) []*penumbra.Observation {
	random := rand.New(rand.NewPCG(seed, 1))
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var out []*penumbra.Observation
	add := func(at time.Time, i int, action string, s ...penumbra.Setting) {
		out = append(out, &penumbra.Observation{
			Kind: penumbra.EventKind, Time: at, Source: "git:0", Action: action, Type: "service",
			Resource: penumbra.Address(fmt.Sprintf("e/service.%d", i)), Settings: penumbra.NewSettings(s...),
		})
	}
	image := func(n int) penumbra.Setting {
		return penumbra.Setting{Path: "image", Value: penumbra.String(fmt.Sprint("v", n))}
	}
	for i := range 60 {
		add(begin, i, "create", image(0), penumbra.Setting{Path: "port", Value: penumbra.Number(80)},
			penumbra.Setting{Path: "team", Value: penumbra.String(fmt.Sprint("t", i%5))})
	}
	for d := range 365 {
		for i := range 60 {
			at := begin.Add(time.Duration(d)*24*time.Hour + time.Duration(i)*time.Minute)
			if i%3 == 0 && random.Float64() < 1.0/7 {
				add(at, i, "update", image(d))
			}
			if random.Float64() < 1.0/5000 {
				add(at, i, "update", penumbra.Setting{Path: "port", Value: penumbra.Number(float64(8000 + d))})
			}
		}
	}
	return out
}

// judge runs pooled over observations with the given changes to the options.
func judge(t *testing.T, observations []*penumbra.Observation, change func(*backtest.Options), entrants ...backtest.Entrant) *backtest.Report {
	t.Helper()
	options := backtest.Options{Warmup: 0.3, Every: 30 * 24 * time.Hour, Seed: 1, Bootstrap: 200}
	if change != nil {
		change(&options)
	}
	if len(entrants) == 0 {
		entrants = []backtest.Entrant{pooled()}
	}
	r, err := backtest.Run(t.Context(), slices.Values(observations), entrants, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pooled() backtest.Entrant {
	return backtest.Entrant{Name: "pooled", Model: shadow.NewPooled(shadow.Options{})}
}

func TestKnownEstate(t *testing.T) {
	t.Parallel()
	r := judge(t, estate(7), func(o *backtest.Options) { o.Alerts = 4.5 })
	c := r.Of("30d")
	model, since := c.Score("pooled"), c.Score("days since the last change")
	if model.PR < 0.95 || model.PR < since.PR || *model.Within < *since.Within {
		t.Errorf("the model ranks %+v, days since the last change %+v", model, since)
	}
	if *model.LogLoss > 0.6*c.BaseLogLoss {
		t.Errorf("log loss %.3f, base rate %.3f", *model.LogLoss, c.BaseLogLoss)
	}
	for _, x := range r.Sets[0].All {
		if x.Covered < x.Confidence-0.01 || x.Smoothed > x.Covered {
			t.Errorf("the sets at %v cover %v, smoothed %v", x.Confidence, x.Covered, x.Smoothed)
		}
	}
	if !r.Choice.Known || r.Choice.Model != "pooled" {
		t.Errorf("chosen: %+v", r.Choice)
	}
	for _, a := range r.Alerts {
		if a.Name == "pooled" && a.Precision < 0.9 {
			t.Errorf("of %d alerts %.2f came true", a.Alerts, a.Precision)
		}
	}
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	var texts [2][]byte
	for i := range texts {
		text, err := json.Marshal(judge(t, estate(7), nil))
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = text
	}
	if string(texts[0]) != string(texts[1]) {
		t.Error("two runs differ")
	}
}

// TestNothingLeaks changes what comes after the last cut's horizon: the
// answers stay.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	all := estate(7)
	to := at(all, 0.6)
	part := slices.DeleteFunc(slices.Clone(all), func(o *penumbra.Observation) bool { return o.Time.After(to) })
	bounds := func(o *backtest.Options) { o.From, o.To = at(all, 0.2), to }
	a, b := judge(t, all, bounds), judge(t, part, bounds)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the future changes the past: (-with it +without)\n%s", diff)
	}
}

// ensemble gives pooled's answer as an expert's, and one of its own that knows
// nothing.
type ensemble struct{ *shadow.Pooled }

func (ensemble) Experts() []string { return []string{"counts", "dunno"} }

func (e ensemble) Each(r *penumbra.Resource, at time.Time, visit func(string, [][len(penumbra.Horizons)]float64)) {
	for _, f := range e.Forecast(r, at) {
		visit(f.Path, [][len(penumbra.Horizons)]float64{f.Leave, {0.5, 0.5, 0.5, 0.5, 0.5}})
	}
}

func TestExperts(t *testing.T) {
	t.Parallel()
	r := judge(t, estate(7), nil, pooled(), backtest.Entrant{Name: "both", Model: ensemble{shadow.NewPooled(shadow.Options{})}})
	c := r.Of("7d")
	whole, counts, dunno := c.Score("both"), c.Score("both: counts"), c.Score("both: dunno")
	if whole.Kind != "model" || counts.Kind != "expert" || *whole.LogLoss != *counts.LogLoss || whole.PR != c.Score("pooled").PR {
		t.Errorf("the ensemble scores %+v, its expert %+v", whole, counts)
	}
	if got := *dunno.LogLoss; math.Abs(got-math.Ln2) > 1e-3 {
		t.Errorf("one half of all costs %v", got)
	}
	if math.Abs(dunno.ROC-0.5) > 1e-9 || math.Abs(dunno.PR-c.Base) > 1e-9 || math.Abs(dunno.Lift-1) > 1e-9 || math.Abs(*dunno.Within-0.5) > 1e-9 {
		t.Errorf("who says the same of all ranks %+v", dunno)
	}
	x := c.Comparison("both", "both: counts")
	if x.PR.Value != 0 || x.Log.Value != 0 || x.PR.ByCut.High != 0 || x.Log.ByCommit.Low != 0 {
		t.Errorf("equal predictors differ by %+v", x)
	}
	if x := c.Comparison("both", "both: dunno"); x.Log.ByCut.High >= 0 || x.PR.ByCommit.Low <= 0 || x.PR.ByCut.Low > x.PR.Value || x.PR.ByCut.High < x.PR.Value {
		t.Errorf("the comparison with knowing nothing: %+v", x)
	}
	if r.Choice.Model != "pooled" || !strings.Contains(r.Choice.Sentence, "pooled is the simpler") {
		t.Errorf("of two equal models is chosen: %+v", r.Choice)
	}
}

// TestHorizons counts by hand which settings leave, and which cuts are left out.
func TestHorizons(t *testing.T) {
	t.Parallel()
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	event := func(days float64, action string, settings ...penumbra.Setting) *penumbra.Observation {
		return &penumbra.Observation{
			Kind: penumbra.EventKind, Source: fmt.Sprint("git:", days), Action: action, Type: "vm", Resource: "s/vm.a",
			Time: begin.Add(time.Duration(days * 24 * float64(time.Hour))), Settings: penumbra.NewSettings(settings...),
		}
	}
	set := func(path, v string) penumbra.Setting {
		return penumbra.Setting{Path: path, Value: penumbra.String(v)}
	}
	observations := []*penumbra.Observation{
		event(0, "create", set("a", "1"), set("b", "1"), set("c", "1")),
		event(10, "update", set("a", "2")), // the cut of this day comes before it
		event(13, "update", penumbra.Setting{Path: "c"}),
		event(14.5, "update", set("a", "3"), set("b", "2")),
		event(16, "update", set("c", "1")), // there again: no change
		event(20, "update", set("a", "3")), // says nothing new
	}
	r := judge(t, observations, func(o *backtest.Options) {
		o.From, o.To, o.Every, o.Horizons = begin.Add(5*24*time.Hour), begin.Add(20*24*time.Hour), 5*24*time.Hour, []int{2, 3}
	})
	// Cuts on days 5, 10 and 15 for a day and, on 5 and 10, for a week.
	want := [][4]int{{3, 8, 1, 1}, {2, 6, 3, 2}}
	for i, c := range r.Change {
		if got := [4]int{c.Cuts, c.Questions, c.Left, c.Commits}; got != want[i] {
			t.Errorf("%s: cuts, questions, left, commits %v, want %v", c.Horizon, got, want[i])
		}
	}
}

// TestDeclared holds that a declared setting leaves its template, not that it
// follows it, and is not asked about while it is away.
func TestDeclared(t *testing.T) {
	t.Parallel()
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	look := func(days float64, kind penumbra.ObservationKind, v string) *penumbra.Observation {
		return &penumbra.Observation{
			Kind: kind, Source: "tofu", Type: "vm", Resource: "s/vm.a", Full: kind == penumbra.SnapshotKind,
			Time:     begin.Add(time.Duration(days * 24 * float64(time.Hour))),
			Settings: penumbra.Settings{{Path: "size", Value: penumbra.String(v)}},
		}
	}
	observations := []*penumbra.Observation{
		look(0, penumbra.TemplateKind, "s"), look(0.1, penumbra.SnapshotKind, "s"),
		look(1.5, penumbra.TemplateKind, "m"), look(1.6, penumbra.SnapshotKind, "m"), // an apply
		look(3.5, penumbra.SnapshotKind, "l"), // a drift
		look(5.5, penumbra.SnapshotKind, "m"), // back
		look(8, penumbra.SnapshotKind, "m"),
	}
	r := judge(t, observations, func(o *backtest.Options) {
		o.From, o.To, o.Every, o.Horizons = begin.Add(24*time.Hour), begin.Add(8*24*time.Hour), 24*time.Hour, []int{2}
	})
	c := r.Change[0]
	if c.Cuts != 7 || c.Questions != 5 || c.Left != 1 { // away on days 4 and 5
		t.Errorf("%d cuts, %d questions, %d left", c.Cuts, c.Questions, c.Left)
	}
}

func TestFamilySplit(t *testing.T) {
	t.Parallel()
	r := judge(t, estate(7), func(o *backtest.Options) { o.Split = backtest.ByFamily })
	whole := judge(t, estate(7), nil)
	a, b := r.Of("30d"), whole.Of("30d")
	if share := float64(a.Questions) / float64(b.Questions); share < 0.3 || share > 0.7 {
		t.Errorf("%.2f of the questions are of families held back", share)
	}
	if a.Score("pooled").PR >= b.Score("pooled").PR {
		t.Errorf("PR-AUC %.3f without a past, %.3f with one", a.Score("pooled").PR, b.Score("pooled").PR)
	}
}

func TestTrain(t *testing.T) {
	t.Parallel()
	cold, warm := pooled(), pooled()
	observations := estate(7)
	backtest.Train(warm.Model, slices.Values(estate(8)), observations[0].Time)
	if n := warm.Model.(*shadow.Pooled).Resources(); n != 0 {
		t.Fatalf("%d resources of another estate are alive", n)
	}
	early := func(o *backtest.Options) { o.Warmup, o.Every, o.To = -1, 24*time.Hour, at(observations, 0.2) }
	a, b := judge(t, observations, early, cold).Of("7d"), judge(t, observations, early, warm).Of("7d")
	if *b.Score("pooled").LogLoss >= *a.Score("pooled").LogLoss {
		t.Errorf("log loss on the first days: cold %.4f, trained %.4f", *a.Score("pooled").LogLoss, *b.Score("pooled").LogLoss)
	}
}

func TestAutomaticSpacing(t *testing.T) {
	t.Parallel()
	r := judge(t, estate(7), func(o *backtest.Options) { o.Every, o.Bootstrap = 0, -1 })
	if r.Protocol.Every != 24*time.Hour {
		t.Errorf("a small estate is cut every %v", r.Protocol.Every)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options      backtest.Options
		observations []*penumbra.Observation
		want         string
	}{
		"nothing":    {backtest.Options{}, nil, "nothing to backtest on"},
		"too short":  {backtest.Options{}, estate(7)[:60], "too short"},
		"horizons":   {backtest.Options{Horizons: []int{3, 2}}, estate(7), "ascending"},
		"no horizon": {backtest.Options{Horizons: []int{9}}, estate(7), "horizons"},
		"warm-up":    {backtest.Options{Warmup: 1.5}, estate(7), "warm-up"},
		"every":      {backtest.Options{Every: -1}, estate(7), "cut every"},
	} {
		_, err := backtest.Run(t.Context(), slices.Values(c.observations), []backtest.Entrant{pooled()}, c.options)
		if penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := backtest.Run(ctx, slices.Values(estate(7)), []backtest.Entrant{pooled()}, backtest.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after an interrupt: %v", err)
	}
}
