package backtest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
	"github.com/penumbra-iac/penumbra/timeline"
)

// observed is an estate of declared machines that are looked at daily and drift
// now and then, beside that of services.
func observed(seed uint64) []*penumbra.Observation {
	random := rand.New(rand.NewPCG(seed, 2))
	out := estate(seed)
	begin := out[0].Time
	for i := range 8 {
		size := "s"
		for d := range 365 {
			at := begin.Add(time.Duration(d)*24*time.Hour + 6*time.Hour)
			o := penumbra.Observation{Kind: penumbra.TemplateKind, Time: at, Type: "vm", Source: "tofu", Resource: penumbra.Address(fmt.Sprintf("e/vm.%d", i)),
				Settings: penumbra.Settings{{Path: "size", Value: penumbra.String("s")}}}
			if d == 0 {
				template := o
				out = append(out, &template)
			}
			if random.Float64() < 0.03 {
				size = map[string]string{"s": "m", "m": "s"}[size]
			}
			o.Kind, o.Full, o.Settings = penumbra.SnapshotKind, true, penumbra.Settings{{Path: "size", Value: penumbra.String(size)}}
			o.Time = at.Add(time.Minute)
			out = append(out, &o)
		}
	}
	slices.SortStableFunc(out, func(a, b *penumbra.Observation) int { return a.Time.Compare(b.Time) })
	return out
}

// inParts replays an estate in so many parts and joins them, their pieces
// backwards.
func inParts(t *testing.T, parts int, all []*penumbra.Observation, options backtest.Options, entrants func() []backtest.Entrant) *backtest.Report {
	t.Helper()
	split := make([][]*penumbra.Observation, parts)
	for _, o := range all {
		n := 0
		for _, c := range []byte(shadow.Family(o.Resource)) {
			n += int(c)
		}
		split[n%parts] = append(split[n%parts], o)
	}
	var surveys []*backtest.Survey
	for _, x := range split {
		surveys = append(surveys, backtest.SurveyOf(slices.Values(x), &options))
	}
	whole := backtest.JoinSurveys(surveys)
	if diff := cmp.Diff(backtest.SurveyOf(slices.Values(all), &options), whole); diff != "" {
		t.Errorf("the survey of all and that of the parts: %s", diff)
	}
	if err := options.Plan(whole); err != nil {
		t.Fatal(err)
	}
	var pieces [][]byte
	for i, x := range split {
		part, err := backtest.Replay(t.Context(), slices.Values(x), entrants(), options)
		if err != nil {
			t.Fatal(err)
		}
		for data, err := range part.Pieces(i) {
			if err != nil {
				t.Fatal(err)
			}
			pieces = append(pieces, data)
		}
	}
	slices.Reverse(pieces)
	r, err := backtest.Join(t.Context(), slices.Values(pieces), entrants(), options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backtest.Join(t.Context(), slices.Values(pieces[1:]), entrants(), options); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("without a piece: %v", err)
	}
	return r
}

func asked(t *testing.T, change func(*backtest.Options)) backtest.Options {
	judge, err := drift.NewJudge(drift.DefaultThresholds())
	if err != nil {
		t.Fatal(err)
	}
	o := backtest.Options{Warmup: 0.3, Seed: 1, Bootstrap: 50, Verdicts: &backtest.Verdicts{Judge: judge, Fold: timeline.Fold, Confidence: 0.95}}
	if change != nil {
		change(&o)
	}
	return o
}

// TestOnePart holds a report joined from one part to that of one process, to the
// last bit.
func TestOnePart(t *testing.T) {
	t.Parallel()
	all := observed(7)
	for name, change := range map[string]func(*backtest.Options){
		"by time":   func(o *backtest.Options) { o.Every = 30 * 24 * time.Hour },
		"by family": func(o *backtest.Options) { o.Split, o.Every = backtest.ByFamily, 30*24*time.Hour },
		"sampled":   func(o *backtest.Options) { o.Sample, o.NoValues = 3, true }, // and the time between cuts is found
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entrants := func() []backtest.Entrant {
				out := []backtest.Entrant{pooled(), {Name: "logistic", Model: backtest.NewPeer(), Baseline: true}}
				if name == "by time" {
					out = append(out, backtest.Entrant{Name: "mixture", Model: mixture.New(mixture.Options{Seed: 1, Looks: 5})})
				}
				return out
			}
			here, err := backtest.Run(t.Context(), slices.Values(all), entrants(), asked(t, change))
			if err != nil {
				t.Fatal(err)
			}
			if here.Change[0].Left == 0 || name == "by time" && here.Drift[0].Mismatches == 0 {
				t.Fatalf("nothing was asked: %+v", here)
			}
			if diff := cmp.Diff(here, inParts(t, 1, all, asked(t, change), entrants)); diff != "" {
				t.Errorf("-one process +one part\n%s", diff)
			}
		})
	}
}

// alone is a model that knows of each setting only how often it changed itself, so
// that its answers do not depend on which part of an estate it sees.
type alone struct{ *shadow.Pooled }

func (alone) Forecast(r *penumbra.Resource, _ time.Time) []penumbra.Forecast {
	var out []penumbra.Forecast
	for _, s := range r.Actual {
		f := penumbra.Forecast{Path: s.Path}
		for k := range f.Leave {
			f.Leave[k] = float64(1+len(s.Value.Text())+len(s.Path)) / 20 * float64(k+1) / 5
		}
		out = append(out, f)
	}
	return out
}

// TestParts holds what is joined from several parts to one process, where the
// answers do not depend on the part.
func TestParts(t *testing.T) {
	t.Parallel()
	all := observed(7)
	entrants := func() []backtest.Entrant {
		return []backtest.Entrant{{Name: "alone", Model: alone{shadow.NewPooled(shadow.Options{})}}}
	}
	change := func(o *backtest.Options) { o.Every, o.Bootstrap = 7*24*time.Hour, -1 }
	here, err := backtest.Run(t.Context(), slices.Values(all), entrants(), asked(t, change))
	if err != nil {
		t.Fatal(err)
	}
	there := inParts(t, 4, all, asked(t, change), entrants)
	if diff := cmp.Diff(here.Protocol, there.Protocol); diff != "" {
		t.Errorf("-one process +parts\n%s", diff)
	}
	near := cmpopts.EquateApprox(1e-9, 1e-9)
	for i := range here.Change {
		x, y := &here.Change[i], &there.Change[i]
		if x.Questions != y.Questions || x.Left != y.Left || x.Commits != y.Commits || x.Left == 0 {
			t.Errorf("%s: %d questions, %d left in %d commits; in parts %d, %d, %d", x.Horizon, x.Questions, x.Left, x.Commits, y.Questions, y.Left, y.Commits)
		}
		for _, name := range []string{"alone", "own frequency", "own count, decayed (90 d)", "days since the last change"} {
			if diff := cmp.Diff(x.Score(name), y.Score(name), near); diff != "" {
				t.Errorf("%s, %s: -one process +parts\n%s", x.Horizon, name, diff)
			}
		}
	}
	if x, y := here.Next[0], there.Next[0]; x != y { // the last again
		t.Errorf("of the next change one process says %+v, parts %+v", x, y)
	}
	if here.Sets[0].All[0].Sets != there.Sets[0].All[0].Sets || here.Drift[0].Mismatches != there.Drift[0].Mismatches || here.Alerts[0].Events != there.Alerts[0].Events {
		text, _ := json.Marshal([]any{here.Sets, there.Sets, here.Drift, there.Drift})
		t.Errorf("sets, mismatches or events are missing: %s", text)
	}
}
