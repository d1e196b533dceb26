package beam_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/families"
	"github.com/penumbra-iac/penumbra/timeline"
)

// moving is an estate of n services in two environments over so many days. Every
// third moves its image weekly on average, dev before prod; every fifth has its
// replicas turned up and down monthly; nothing else moves but once in years.
func moving(seed uint64, n, days int) []penumbra.Observation {
	random := rand.New(rand.NewPCG(seed, 1))
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var all []penumbra.Observation
	say := func(day, i int, env, action string, settings ...penumbra.Setting) {
		all = append(all, penumbra.Observation{
			Kind: penumbra.EventKind, Time: begin.AddDate(0, 0, day).Add(time.Duration(i) * time.Minute), Type: "service", Action: action,
			Source: fmt.Sprintf("git:%d", day), Resource: penumbra.Address(fmt.Sprintf("%s/service.s%02d", env, i)), Settings: penumbra.NewSettings(settings...),
		})
	}
	image := func(n int) penumbra.Setting {
		return penumbra.Setting{Path: "image", Value: penumbra.String(fmt.Sprint("v", n))}
	}
	number := func(path string, n int) penumbra.Setting {
		return penumbra.Setting{Path: path, Value: penumbra.Number(float64(n))}
	}
	for i := range n {
		for _, env := range []string{"dev", "prod"} {
			say(0, i, env, "create", image(0), number("replicas", 2), number("port", 80), penumbra.Setting{Path: "team", Value: penumbra.String(fmt.Sprint("t", i%5))})
		}
		for d := 1; d < days; d++ {
			if i%3 == 0 && random.Float64() < 1.0/7 {
				say(d, i, "dev", "update", image(d))
				if d+2 < days {
					say(d+2, i, "prod", "update", image(d))
				}
			}
			if i%5 == 0 && random.Float64() < 1.0/30 {
				say(d, i, "prod", "update", number("replicas", 1+random.IntN(9)))
			}
			if random.Float64() < 1.0/2000 {
				say(d, i, "prod", "update", number("port", 8000+d))
			}
		}
	}
	return timeline.Order(all)
}

// report reads that of a backtest.
func report(t *testing.T, b beam.Backtest, r beam.Runner) *backtest.Report {
	t.Helper()
	b.Out = filepath.Join(t.TempDir(), "report")
	if _, err := beam.RunBacktest(context.Background(), b, r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(b.Out)
	if err != nil {
		t.Fatal(err)
	}
	out := &backtest.Report{}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// judgedHere is what `penumbra backtest` does: one process, one model of each
// family for the whole estate.
func judgedHere(t *testing.T, j beam.Judging, all []penumbra.Observation) *backtest.Report {
	t.Helper()
	var pointers []*penumbra.Observation
	for _, o := range timeline.Order(all) {
		pointers = append(pointers, &o)
	}
	var entrants []backtest.Entrant
	for _, name := range j.Models {
		m := families.Starts[name](j.Options.Seed)
		if j.Untrained {
			m = families.Untrained(name, j.Options.Seed)
		}
		entrants = append(entrants, backtest.Entrant{Name: name, Model: m})
	}
	entrants = append(entrants, backtest.Entrant{Name: "logistic", Model: backtest.NewPeer(), Baseline: true})
	o := j.Options
	if slices.ContainsFunc(all, func(o penumbra.Observation) bool { return o.Kind == penumbra.SnapshotKind }) {
		judge, err := drift.NewJudge(j.Thresholds)
		if err != nil {
			t.Fatal(err)
		}
		o.Verdicts = &backtest.Verdicts{Judge: judge, Fold: timeline.Fold, Confidence: j.Confidence}
	}
	r, err := backtest.Run(context.Background(), slices.Values(pointers), entrants, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBacktestOfOneShard holds the pipeline's report to that of one process, to
// the last bit, and that of several shards to be of the same questions.
func TestBacktestOfOneShard(t *testing.T) {
	all := append(moving(1, 12, 120), fleet(3, 18)...)
	files := write(t, all)
	b := beam.Backtest{Files: files, Shards: 1, Judging: beam.Judging{
		Models: []string{"pooled", "mixture"}, Thresholds: drift.DefaultThresholds(), Confidence: 0.95,
		Options: backtest.Options{Every: 7 * 24 * time.Hour, Seed: 1, Bootstrap: 50},
	}}
	here := judgedHere(t, b.Judging, all)
	if len(here.Drift) == 0 || here.Of("30d").Left == 0 {
		t.Fatal("nothing was asked")
	}
	if diff := cmp.Diff(here, report(t, b, prism)); diff != "" {
		t.Errorf("-one process +one shard\n%s", diff)
	}
	b.Shards = 3
	var told []string
	r := prism
	r.Progress = func(what string, done int64) { told = append(told, fmt.Sprint(what, " ", done)) }
	parts := report(t, b, r)
	x, y := here.Of("7d"), parts.Of("7d")
	if x.Questions != y.Questions || x.Left != y.Left || here.Protocol.Observations != parts.Protocol.Observations || here.Drift[0].Mismatches != parts.Drift[0].Mismatches {
		t.Errorf("in shards was asked\n%+v\nin one process\n%+v", parts.Protocol, here.Protocol)
	}
	if pr, want := y.Score("pooled").PR, x.Score("pooled").PR; pr < 0.8*want {
		t.Errorf("the pooled model ranks %.3f in shards, %.3f in one process", pr, want)
	}
	cuts := len(told) > 0 && strings.HasPrefix(told[len(told)-1], "cuts asked, of ")
	if !cuts {
		t.Errorf("told %q", told)
	}
}

func TestBacktestRefuses(t *testing.T) {
	ctx := context.Background()
	nothing := filepath.Join(t.TempDir(), "nothing.jsonl")
	if err := os.WriteFile(nothing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	models := beam.Judging{Models: []string{"pooled"}}
	for name, err := range map[string]error{
		"no timeline": second(beam.RunBacktest(ctx, beam.Backtest{Out: "x", Judging: models}, prism)),
		"no out":      second(beam.RunBacktest(ctx, beam.Backtest{Files: []string{"x"}, Judging: models}, prism)),
		"no model":    second(beam.RunBacktest(ctx, beam.Backtest{Files: []string{"x"}, Out: "x"}, prism)),
		"no family":   second(beam.RunBacktest(ctx, beam.Backtest{Files: []string{"x"}, Out: "x", Judging: beam.Judging{Models: []string{"oracle"}}}, prism)),
		"empty":       second(beam.RunBacktest(ctx, beam.Backtest{Files: []string{nothing}, Out: filepath.Join(t.TempDir(), "report"), Judging: models}, prism)),
	} {
		if penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
