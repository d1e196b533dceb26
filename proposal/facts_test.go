package proposal

import (
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// manual is a knowledge base of facts by setting.
type manual func(penumbra.FactQuery) []penumbra.Fact

func (m manual) Facts(q penumbra.FactQuery) []penumbra.Fact { return m(q) }

// says tells one fact of a path, with a source.
func says(path string, f penumbra.Fact) manual {
	return func(q penumbra.FactQuery) []penumbra.Fact {
		if q.Path != path || q.Type != "conffile_service" || q.Address != queue {
			return nil
		}
		f.Entry, f.Title, f.Path = "acme.x", "The manual says so", q.Path
		f.Sources = []penumbra.Source{{Title: "Manual", URL: "https://manual.example/x"}}
		if f.Best != nil {
			b := *f.Best
			b.Met, b.Target = b.Value == q.Value, b.Value
			f.Best = &b
		}
		return []penumbra.Fact{f}
	}
}

func propose(t *testing.T, ev Evidence, ws *workspace) map[penumbra.ProposalKind]penumbra.Proposal {
	t.Helper()
	list, omitted, err := For(t.Context(), ev, ws)
	if err != nil {
		t.Fatal(err)
	}
	out := map[penumbra.ProposalKind]penumbra.Proposal{}
	for _, p := range list {
		out[p.Kind] = p
	}
	for _, o := range omitted {
		t.Log(o.Kind, o.Reason)
	}
	return out
}

func TestFactsAreTold(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "log_level")
	ev.Knowledge = says("log_level", penumbra.Fact{
		Effect: penumbra.RestartEffect, Until: "the next start", OneWay: "old logs are lost", Owner: "the log rotator", Dependants: []string{"whoever reads the logs"},
		Hazard: "it tells too much", Risk: &penumbra.Beta{A: 1, B: 1, Why: "half of them fail"},
	})
	made := propose(t, ev, &workspace{code: update("log_level")})
	p := made[penumbra.Revert]
	for text, in := range map[string]string{
		"Usually log_level is in the hands of the log rotator (Manual, https://manual.example/x).":                                              p.Explanation,
		"DANGEROUS: it leaves log_level as it should not be: it tells too much (Manual":                                                         p.Explanation,
		"ONE-WAY DOOR: log_level: old logs are lost (Manual":                                                                                    p.Impact,
		"A change of log_level needs a RESTART: The manual says so; not before the next start (Manual":                                          p.Impact,
		"It is felt by whoever reads the logs (Manual":                                                                                          p.Impact,
		"CANNOT BE UNDONE: old logs are lost. The run's rollback":                                                                               p.WayBack,
		"a setting among them that usually needs a restart; acme.x: 50 % that a change disrupts, for half of them fail; log_level cannot be ta": p.ScoreReasons[1],
		"log_level is then at a dangerous value, by acme.x":                                                                                     p.ScoreReasons[1],
	} {
		if !strings.Contains(in, text) {
			t.Errorf("%q is not in %q", text, in)
		}
	}
	if !strings.HasPrefix(p.Impact, "ONE-WAY DOOR") || len(p.Facts) != 1 {
		t.Errorf("impact %q, facts %+v", p.Impact, p.Facts)
	}
	// What stays as it is needs no restart, and can be dangerous all the same.
	adopt := made[penumbra.Adopt]
	if strings.Contains(adopt.Impact, "RESTART") || strings.Contains(adopt.WayBack, "CANNOT") || !strings.Contains(adopt.Explanation, "DANGEROUS") {
		t.Errorf("adoption: %s\n%s\n%s", adopt.Impact, adopt.WayBack, adopt.Explanation)
	}
}

func TestFactsMoveTheScores(t *testing.T) {
	t.Parallel()
	plain := propose(t, evidence(penumbra.Drifted, "log_level"), &workspace{code: update("log_level")})
	with := func(f penumbra.Fact, kind penumbra.ActorKind) map[penumbra.ProposalKind]penumbra.Proposal {
		ev := evidence(penumbra.Drifted, "log_level")
		ev.Drift.Cause.ActorKind = kind
		ev.Knowledge = says("log_level", f)
		return propose(t, ev, &workspace{code: update("log_level")})
	}
	risk := func(f penumbra.Fact) float64 { return with(f, penumbra.User)[penumbra.Revert].Scores.Risk }
	order := []float64{
		risk(penumbra.Fact{Effect: penumbra.NoEffect}), risk(penumbra.Fact{Effect: penumbra.ReloadEffect}), plain[penumbra.Revert].Scores.Risk,
		risk(penumbra.Fact{Effect: penumbra.RestartEffect}), risk(penumbra.Fact{Effect: penumbra.RestartEffect, OneWay: "x"}),
	}
	if !slices.IsSorted(order) || order[0] == order[4] {
		t.Errorf("risks %v are not in order", order)
	}
	owned := penumbra.Fact{Owner: "the autoscaler", Likelihood: map[penumbra.ProposalKind]penumbra.Beta{
		penumbra.Revert: {A: 1, B: 9, Why: "it moves it again"}, penumbra.IgnoreChanges: {A: 9, B: 1, Why: "it is its own"},
	}}
	byAutomation, byPerson := with(owned, penumbra.Automation), with(owned, penumbra.User)
	if p := byAutomation[penumbra.Revert]; p.Scores.Likelihood != 0.1 || !strings.Contains(p.ScoreReasons[0], "beside what is known: it moves it again (acme.x)") {
		t.Errorf("revert of what an autoscaler did: %v, %s", p.Scores.Likelihood, p.ScoreReasons[0])
	}
	if p := byAutomation[penumbra.IgnoreChanges]; p.Scores.Likelihood != 0.9 || p.Rank > byAutomation[penumbra.Revert].Rank {
		t.Errorf("ignoring what an autoscaler did: %v, rank %d", p.Scores.Likelihood, p.Rank)
	}
	if p := byPerson[penumbra.Revert]; p.Scores.Likelihood != plain[penumbra.Revert].Scores.Likelihood {
		t.Errorf("a person's change is taken for the autoscaler's: %v", p.Scores.Likelihood)
	}
	if p := with(penumbra.Fact{Hazard: "x"}, penumbra.User)[penumbra.Adopt]; p.Scores.Risk <= plain[penumbra.Adopt].Scores.Risk || p.Scores.Risk >= disruptive {
		t.Errorf("adopting a dangerous value has the risk %v", p.Scores.Risk)
	}
}

func TestGoodPracticeUnderReview(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "log_level")
	ev.Way = penumbra.PullRequestWay
	ev.Knowledge = says("log_level", penumbra.Fact{Effect: penumbra.RestartEffect, OneWay: "x", Best: &penumbra.Best{Value: penumbra.String("warning"), Why: "y"}})
	w := update("log_level")
	w.Changes[0].After = penumbra.String("warning")
	p := propose(t, ev, &workspace{code: update("log_level"), patched: w})[penumbra.BestPractice]
	if !p.Publishes() || p.Applies() || !strings.Contains(p.Explanation, "opens a pull request") || !strings.Contains(p.Explanation, "is then as good practice has it") ||
		!strings.Contains(p.Impact, "Once merged, an apply would update") || !strings.Contains(p.Impact, "needs a RESTART") || strings.Contains(p.WayBack, "CANNOT BE UNDONE") {
		t.Errorf("%s\n%s\n%s", p.Explanation, p.Impact, p.WayBack)
	}
}

func TestBestPractice(t *testing.T) {
	t.Parallel()
	best := func(v penumbra.Value) penumbra.Fact {
		return penumbra.Fact{Best: &penumbra.Best{Value: v, Why: "the manual asks for it"}}
	}
	tests := []struct {
		name    string
		value   penumbra.Value
		arrange func(*Evidence, *workspace)
		want    bool
	}{
		{"neither has it", penumbra.String("warning"), nil, true},
		{"the code has it", penumbra.String("info"), nil, false},
		{"it is there", penumbra.String("debug"), nil, false},
		{"a secret", penumbra.String("warning"), func(ev *Evidence, _ *workspace) { ev.Drift.Findings[0].Sensitive = true }, false},
		{"nothing would change", penumbra.String("warning"), func(_ *Evidence, ws *workspace) { ws.patched = penumbra.PlannedChange{} }, false},
		{"the code cannot be edited", penumbra.String("warning"), func(_ *Evidence, ws *workspace) {
			ws.patchErr = map[string]error{"log_level": &penumbra.Error{Kind: penumbra.Refused}}
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ev, ws := evidence(penumbra.Drifted, "log_level"), &workspace{code: update("log_level"), patched: update("log_level")}
			ev.Knowledge = says("log_level", best(test.value))
			if test.arrange != nil {
				test.arrange(&ev, ws)
			}
			p, proposed := propose(t, ev, ws)[penumbra.BestPractice]
			if proposed != test.want {
				t.Fatalf("proposed: %v", proposed)
			}
			if !proposed {
				return
			}
			if p.Title != `Set log_level to "warning", as good practice has it` || p.Values.Get("log_level") != test.value || p.Patch == nil || p.Plan.PatchHash != p.Patch.Digest() || p.Hash != p.Digest() {
				t.Errorf("%+v", p)
			}
			if !strings.Contains(p.WayBack, "rollback puts the code back") || !p.Applies() {
				t.Errorf("way back %q", p.WayBack)
			}
		})
	}
	if got := likeKind(penumbra.Number(7), penumbra.String("1")); got != penumbra.String("7") {
		t.Errorf("a text becomes %s", got)
	}
}
