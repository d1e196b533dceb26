package proposal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// guarding is a workspace whose code refuses what its bounds do not allow.
type guarding struct {
	*workspace
	passes  bool  // the guard holds nothing
	refuses error // the code cannot have a guard
	has     bool  // it has it already
}

func (g *guarding) PatchGuard(_ context.Context, _ penumbra.Address, bounds []penumbra.Bound, trial []penumbra.Setting) (penumbra.Patch, error) {
	if g.refuses != nil {
		return penumbra.Patch{}, g.refuses
	}
	if g.has {
		return penumbra.Patch{Stack: "shop"}, nil
	}
	text := ""
	for _, b := range bounds {
		text += "condition " + b.String() + "\n"
		for _, x := range trial {
			if !b.Allows(x.Value) {
				text += "FAILS " + b.Message
			}
		}
	}
	return patchTo(text), nil
}

func (g *guarding) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	if patch != nil && !g.passes {
		if _, message, fails := strings.Cut(patch.Files[0].After, "FAILS "); fails {
			return penumbra.Plan{}, errors.New("a condition failed: " + message)
		}
	}
	return g.workspace.Plan(ctx, targets, patch)
}

// creeping is a setting that is raised step by step.
func creeping() Evidence {
	ev := evidence(penumbra.Impending, "memory_mb")
	f := &ev.Drift.Findings[0]
	f.Template, f.Actual, f.Horizon = penumbra.Number(1024), penumbra.Number(1024), 3
	f.Forecast = &penumbra.Forecast{Next: penumbra.Number(2048), Reason: "raised every Monday", Leave: [5]float64{0, 0.1, 0.2, 0.8, 0.9}}
	ev.Drift.Cause = penumbra.Cause{}
	ev.Every = 5 * time.Minute
	ev.Doers = []penumbra.Doer{
		{Actor: "deploy-bot", Kind: penumbra.Automation, Changes: 6, Share: 0.6, Last: now.Add(-48 * time.Hour), Source: "audit"},
		{Actor: "alice", Kind: penumbra.User, Changes: 4, Share: 0.4, First: now.Add(-900 * time.Hour), Last: now.Add(-24 * time.Hour), Action: "edit", Source: "git:3fa2c1d", Hours: [24]int{9: 3, 10: 1}},
	}
	return ev
}

func proposeIn(t *testing.T, ev Evidence, ws Workspace) (map[penumbra.ProposalKind]penumbra.Proposal, map[penumbra.ProposalKind]string) {
	t.Helper()
	list, omitted, err := For(t.Context(), ev, ws)
	if err != nil {
		t.Fatal(err)
	}
	made, left := map[penumbra.ProposalKind]penumbra.Proposal{}, map[penumbra.ProposalKind]string{}
	for _, p := range list {
		made[p.Kind] = p
	}
	for _, o := range omitted {
		left[o.Kind] += o.Reason
	}
	return made, left
}

func TestImpendingHasMoreWays(t *testing.T) {
	t.Parallel()
	ws := &guarding{workspace: &workspace{code: update("memory_mb")}}
	made, left := proposeIn(t, creeping(), ws)
	for _, kind := range []penumbra.ProposalKind{penumbra.Custom, penumbra.WatchCloser, penumbra.Guard, penumbra.TellOwner, penumbra.IgnoreRule} {
		p, ok := made[kind]
		if !ok {
			t.Fatalf("%s is not proposed: %v", kind, left)
		}
		if p.Explanation == "" || p.WayBack == "" || p.Impact == "" || p.Script == "" || len(p.ScoreReasons) != 3 || !strings.Contains(p.Otherwise, "80 %") || p.Hash != p.Digest() {
			t.Errorf("%s is not complete: %+v", kind, p)
		}
		if kind != penumbra.Custom && p.Applies() {
			t.Errorf("%s would apply something", kind)
		}
	}

	a := made[penumbra.WatchCloser].Attention
	if a.Every != time.Minute || a.Usually != 5*time.Minute || !a.Until.Equal(now.Add(7*24*time.Hour)) || a.Resource != queue {
		t.Errorf("watched so: %+v", a)
	}
	if g := made[penumbra.Guard]; len(g.Bounds) != 1 || g.Bounds[0].String() != "memory_mb is below 2048" || !strings.HasPrefix(g.Bounds[0].Message, "Guard d-1: ") || !strings.Contains(g.Explanation, "memory_mb of 2048 and more") {
		t.Errorf("the guard: %+v\n%s", g.Bounds, g.Explanation)
	}
	m := made[penumbra.TellOwner].Message
	if fmt.Sprint(m.To) != "[alice deploy-bot]" {
		t.Errorf("told: %v", m.To)
	}
	for _, word := range []string{
		"Hello alice and whoever runs deploy-bot", "memory_mb leaves 1024 within 7d with a chance of 80 %", "raised every Monday",
		"alice (user) made 4 changes of these settings, 40 %", "by edit, mostly between 09:00 and 11:00 UTC, in the code", "deploy-bot (automation) made 6 changes", "penumbra drift show d-1",
	} {
		if !strings.Contains(strings.Join(strings.Fields(m.Text), " "), word) {
			t.Errorf("the message does not say %q:\n%s", word, m.Text)
		}
	}
}

func TestGuardIsTriedBeforeItIsProposed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ws   guarding
		edit func(*Evidence)
		why  string
	}{
		"it holds nothing":         {guarding{passes: true}, nil, "a plan with 2048 went through"},
		"the code cannot have one": {guarding{refuses: errors.New("no such block")}, nil, "no such block"},
		"the code has it":          {guarding{has: true}, nil, "the code refuses it already"},
		"nobody knows for what": {guarding{}, func(ev *Evidence) { ev.Drift.Findings[0].Forecast.Next = penumbra.Null() },
			"the shadow does not know which value"},
		"a secret": {guarding{}, func(ev *Evidence) { ev.Drift.Findings[0].Sensitive = true }, "a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev := creeping()
			if c.edit != nil {
				c.edit(&ev)
			}
			c.ws.workspace = &workspace{code: update("memory_mb")}
			made, left := proposeIn(t, ev, &c.ws)
			if _, ok := made[penumbra.Guard]; ok || !strings.Contains(left[penumbra.Guard], c.why) {
				t.Errorf("proposed: %v; %q", ok, left[penumbra.Guard])
			}
		})
	}
}

// Whatever is foreseen, the value that is tried is refused, and the one that the
// code has is not.
func TestBoundRefusesWhatIsForeseen(t *testing.T) {
	t.Parallel()
	values := rapid.Custom(func(t *rapid.T) penumbra.Value {
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			return penumbra.Number(float64(rapid.IntRange(-50, 50).Draw(t, "number")))
		case 1:
			return penumbra.Bool(rapid.Bool().Draw(t, "bool"))
		default:
			return penumbra.String(rapid.SampledFrom([]string{"info", "debug", "5", "7"}).Draw(t, "text"))
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		f := penumbra.Finding{Path: "x", Template: values.Draw(t, "now")}
		f.Actual = f.Template
		f.Forecast = &penumbra.Forecast{Next: values.Draw(t, "next")}
		if rapid.Bool().Draw(t, "limited") {
			low := float64(rapid.IntRange(-50, 50).Draw(t, "limit"))
			f.Expectation.Limit = &penumbra.Limit{Max: penumbra.Number(low), Bound: penumbra.Number(low)}
			if rapid.Bool().Draw(t, "least") {
				f.Expectation.Limit = &penumbra.Limit{Min: penumbra.Number(low), Bound: penumbra.Number(low)}
			}
			f.Template, f.Actual = penumbra.Number(low), penumbra.Number(low)
		}
		b, trial, why := bound(&penumbra.Drift{ID: "d-1", Resource: queue}, f)
		if why != "" {
			return
		}
		if b.Allows(trial.Value) || !b.Allows(f.Actual) || b.Message == "" {
			t.Fatalf("%s: %s is tried, %s is there", &b, trial.Value, f.Actual)
		}
	})
}

func TestWatchCloserHasRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit  func(*Evidence)
		every time.Duration // 0 if it is not proposed
		why   string
	}{
		"no source":           {func(ev *Evidence) { ev.Every = 0 }, 0, "no source reads it"},
		"read often already":  {func(ev *Evidence) { ev.Every = 30 * time.Second }, 0, "every 30s already"},
		"the budget is small": {func(ev *Evidence) { ev.Every, ev.Gap = 15*time.Minute, 10*time.Minute }, 10 * time.Minute, ""},
		"no room at all":      {func(ev *Evidence) { ev.Every, ev.Gap = 15*time.Minute, 15*time.Minute }, 0, "hardly more"},
		"watched already": {func(ev *Evidence) {
			ev.Attention = &penumbra.Attention{Every: time.Minute, Until: now.Add(time.Hour)}
		}, 0, "every 1m already, until 2026-03-01 10:30 UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev := creeping()
			c.edit(&ev)
			made, left := proposeIn(t, ev, &guarding{workspace: &workspace{code: update("memory_mb")}})
			p, ok := made[penumbra.WatchCloser]
			if ok != (c.every > 0) || !strings.Contains(left[penumbra.WatchCloser], c.why) || ok && p.Attention.Every != c.every {
				t.Errorf("%+v, %q", p.Attention, left[penumbra.WatchCloser])
			}
		})
	}
}

func TestTellOwnerNeedsSomebody(t *testing.T) {
	t.Parallel()
	ws := &guarding{workspace: &workspace{code: update("memory_mb")}}
	ev := creeping()
	ev.Doers = nil
	if made, left := proposeIn(t, ev, ws); made[penumbra.TellOwner].ID != "" || !strings.Contains(left[penumbra.TellOwner], "nobody to talk to") {
		t.Errorf("to nobody: %q", left[penumbra.TellOwner])
	}
	ev = creeping()
	ev.Told = now.Add(-time.Hour)
	if made, left := proposeIn(t, ev, ws); made[penumbra.TellOwner].ID != "" || !strings.Contains(left[penumbra.TellOwner], "2026-03-01 08:30 UTC") {
		t.Errorf("twice: %q", left[penumbra.TellOwner])
	}
	ev = creeping()
	ev.Doers[1].Actor = "alice password=hunter2-hunter2\nBcc: all"
	made, _ := proposeIn(t, ev, ws)
	m := made[penumbra.TellOwner].Message
	if strings.Contains(m.Text, "hunter2") || strings.Contains(m.Text, "\nBcc") || strings.Contains(strings.Join(m.To, " "), "hunter2") {
		t.Errorf("%v\n%s", m.To, m.Text)
	}
}

// Who changes things beside the code is not stopped by a guard in it, and a
// program does not read messages: both count less.
func TestLikelihoodOfAdvice(t *testing.T) {
	t.Parallel()
	ws := &guarding{workspace: &workspace{code: update("memory_mb")}}
	ev := creeping()
	all, _ := proposeIn(t, ev, ws)
	ev.Doers = ev.Doers[:1]
	ev.Doers[0].Share = 1
	bot, _ := proposeIn(t, ev, ws)
	ev.Doers[0].Source = "git:1"
	inCode, _ := proposeIn(t, ev, ws)
	if a, b := all[penumbra.TellOwner].Scores.Likelihood, bot[penumbra.TellOwner].Scores.Likelihood; !(b < a) {
		t.Errorf("telling a person %.2f, a program %.2f", a, b)
	}
	if a, b, c := inCode[penumbra.Guard].Scores.Likelihood, all[penumbra.Guard].Scores.Likelihood, bot[penumbra.Guard].Scores.Likelihood; !(a > b && b > c) {
		t.Errorf("a guard of the code %.2f, of half of it %.2f, beside it %.2f", a, b, c)
	}
}
