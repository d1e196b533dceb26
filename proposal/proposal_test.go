package proposal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

const queue = penumbra.Address(`shop/conffile_service.web["a"]`)

var now = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// workspace records what it is asked for, and plans what it is told to.
type workspace struct {
	code     penumbra.PlannedChange // with the code as it is
	patched  penumbra.PlannedChange // with any patch
	planErr  error
	patchErr map[string]error // by path
	planned  []*penumbra.Patch
}

func (w *workspace) Plan(_ context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	w.planned = append(w.planned, patch)
	if w.planErr != nil {
		return penumbra.Plan{}, w.planErr
	}
	c := w.code
	plan := penumbra.Plan{Stack: "shop", Targets: targets, Created: now, File: "shop/1.tfplan"}
	if patch != nil {
		c, plan.PatchHash = w.patched, patch.Digest()
	}
	if c.Action != "" {
		c.Resource = queue
		plan.Changes = []penumbra.PlannedChange{c}
	}
	plan.Hash = fmt.Sprintf("hash-%d", len(w.planned))
	plan.Evidence = fmt.Sprint(plan.Changes)
	return plan, nil
}

func (w *workspace) PatchValues(_ context.Context, _ []penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	after := ""
	for _, x := range settings {
		if err := w.patchErr[x.Path]; err != nil {
			return penumbra.Patch{}, err
		}
		after += x.Path + " = " + x.Value.String() + "\n"
	}
	return patchTo(after), nil
}

func (w *workspace) PatchInstance(ctx context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	return w.PatchValues(ctx, []penumbra.Address{address}, settings)
}

func (w *workspace) PatchIgnore(_ context.Context, _ penumbra.Address, paths []string, why string) (penumbra.Patch, error) {
	return patchTo("# " + why + "\nignore_changes = [" + strings.Join(paths, ", ") + "]\n"), nil
}

func (w *workspace) PatchImport(_ context.Context, _ penumbra.Address, id string) (penumbra.Patch, error) {
	return patchTo("import { id = " + id + " }\n"), nil
}

func patchTo(after string) penumbra.Patch {
	return penumbra.Patch{Stack: "shop", Files: []penumbra.FilePatch{{
		Path: "main.tf", Base: "b", Before: "old\n", After: after,
		Diff: "--- a/main.tf\n+++ b/main.tf\n@@ -1,1 +1,1 @@\n-old\n+" + after,
	}}}
}

func update(paths ...string) penumbra.PlannedChange {
	c := penumbra.PlannedChange{Action: penumbra.Update}
	for _, p := range paths {
		c.Changes = append(c.Changes, penumbra.PathChange{Path: p, Before: penumbra.String("debug"), After: penumbra.String("info")})
	}
	return c
}

func evidence(verdict penumbra.Verdict, paths ...string) Evidence {
	ev := Evidence{
		Drift: penumbra.Drift{
			ID: "d-1", Resource: queue, Type: "conffile_service", Verdict: verdict,
			Cause: penumbra.Cause{Actor: "alice", ActorKind: penumbra.User, Action: "edit", Source: "audit", Time: now.Add(-time.Hour)},
		},
		Resource: penumbra.Resource{Address: queue, Type: "conffile_service"},
		Now:      now, Dir: "infra/shop", Engine: "tofu",
	}
	for _, p := range paths {
		f := penumbra.Finding{
			Path: p, Verdict: verdict, Declared: true, Template: penumbra.String("info"), Actual: penumbra.String("debug"),
			Expectation: penumbra.Expectation{Path: p, Confidence: 0.95, Values: []penumbra.Candidate{{Value: penumbra.String("info"), Probability: 0.97}}},
		}
		ev.Drift.Findings = append(ev.Drift.Findings, f)
		ev.Resource.Template = append(ev.Resource.Template, penumbra.Setting{Path: p, Value: f.Template})
		ev.Resource.Actual = append(ev.Resource.Actual, penumbra.Setting{Path: p, Value: f.Actual})
	}
	return ev
}

func kinds(list []penumbra.Proposal) []penumbra.ProposalKind {
	var out []penumbra.ProposalKind
	for _, p := range list {
		out = append(out, p.Kind)
	}
	return out
}

func TestForOffersAndRanks(t *testing.T) {
	t.Parallel()
	forecast := func(week float64, next penumbra.Value) func(*Evidence) {
		return func(ev *Evidence) {
			f := penumbra.Forecast{Next: next}
			f.Leave[3] = week
			ev.Drift.Findings[0].Forecast = &f
		}
	}
	impending := func(ev *Evidence) {
		ev.Drift.Findings[0].Actual = penumbra.String("info")
		forecast(0.8, penumbra.String("debug"))(ev)
	}
	tests := []struct {
		name    string
		ev      Evidence
		arrange func(*Evidence)
		ws      workspace
		want    []penumbra.ProposalKind
		omitted map[penumbra.ProposalKind]string
	}{
		{name: "a manual edit", ev: evidence(penumbra.Drifted, "log_level"), ws: workspace{code: update("log_level")},
			want: []penumbra.ProposalKind{penumbra.Revert, penumbra.Adopt, penumbra.IgnoreRule, penumbra.IgnoreChanges}},
		{name: "one that comes back", ev: evidence(penumbra.Drifted, "log_level"), arrange: forecast(0.9, penumbra.Null()), ws: workspace{code: update("log_level")},
			want: []penumbra.ProposalKind{penumbra.Adopt, penumbra.IgnoreRule, penumbra.IgnoreChanges, penumbra.Revert}},
		{name: "a revert that replaces comes last", ev: evidence(penumbra.Drifted, "listen_port"), ws: workspace{code: penumbra.PlannedChange{Action: penumbra.Replace}},
			want: []penumbra.ProposalKind{penumbra.Adopt, penumbra.IgnoreRule, penumbra.IgnoreChanges, penumbra.Revert}},
		{name: "a habit", ev: evidence(penumbra.Tolerated, "capacity"), arrange: forecast(0.9, penumbra.Null()), ws: workspace{code: update("capacity")},
			want: []penumbra.ProposalKind{penumbra.IgnoreRule, penumbra.IgnoreChanges, penumbra.Adopt, penumbra.Revert}},
		{name: "the code still wants a change", ev: evidence(penumbra.Drifted, "log_level"), ws: workspace{code: update("log_level"), patched: update("tls")},
			want:    []penumbra.ProposalKind{penumbra.Revert, penumbra.IgnoreRule},
			omitted: map[penumbra.ProposalKind]string{penumbra.Adopt: "with the patch the code would still update", penumbra.IgnoreChanges: "(tls)"}},
		{name: "the planner is down", ev: evidence(penumbra.Drifted, "log_level"), ws: workspace{planErr: errors.New("no network, password=hunter2")},
			want:    []penumbra.ProposalKind{penumbra.IgnoreRule},
			omitted: map[penumbra.ProposalKind]string{penumbra.Revert: "no network, password=[redacted]", penumbra.Adopt: "planning with the patch failed"}},
		{name: "undeclared", ev: evidence(penumbra.Unexpected, "log_level"), arrange: func(ev *Evidence) {
			ev.Drift.Findings[0].Declared, ev.Drift.Findings[0].Template = false, penumbra.Null()
		}, want: []penumbra.ProposalKind{penumbra.Adopt, penumbra.IgnoreRule},
			omitted: map[penumbra.ProposalKind]string{penumbra.Revert: "leaves them open", penumbra.IgnoreChanges: "declares none of these settings"}},
		{name: "undeclared and set by the provider, beside a declared one", ev: evidence(penumbra.Drifted, "log_level", "path"), arrange: func(ev *Evidence) { ev.Drift.Findings[1].Declared = false },
			ws:   workspace{code: update("log_level"), patchErr: map[string]error{"path": errors.New("computed")}},
			want: []penumbra.ProposalKind{penumbra.Adopt, penumbra.Revert, penumbra.IgnoreRule, penumbra.IgnoreRule, penumbra.IgnoreChanges}},
		{name: "a secret", ev: evidence(penumbra.Drifted, "admin_password"), arrange: func(ev *Evidence) {
			ev.Drift.Findings[0].Actual, ev.Drift.Findings[0].Sensitive = penumbra.Key("k").Seal(penumbra.String("hunter2")), true
		}, ws: workspace{code: update("admin_password")},
			want:    []penumbra.ProposalKind{penumbra.Revert, penumbra.IgnoreRule, penumbra.IgnoreChanges},
			omitted: map[penumbra.ProposalKind]string{penumbra.Adopt: "admin_password is a secret"}},
		{name: "impending", ev: evidence(penumbra.Impending, "log_level"), arrange: impending, ws: workspace{code: update("log_level")},
			want:    []penumbra.ProposalKind{penumbra.Custom, penumbra.IgnoreRule, penumbra.IgnoreChanges},
			omitted: map[penumbra.ProposalKind]string{penumbra.Revert: "nothing has drifted yet"}},
		{name: "deleted outside", ev: evidence(penumbra.Drifted, "log_level"), arrange: func(ev *Evidence) { ev.Resource.Actual = nil }, ws: workspace{code: penumbra.PlannedChange{Action: penumbra.Create}},
			want:    []penumbra.ProposalKind{penumbra.Revert, penumbra.IgnoreRule},
			omitted: map[penumbra.ProposalKind]string{penumbra.Adopt: `state rm 'conffile_service.web["a"]'`}},
		{name: "not checked", ev: evidence(penumbra.NotChecked, "log_level"), omitted: map[penumbra.ProposalKind]string{penumbra.Revert: "could not be read"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.arrange != nil {
				test.arrange(&test.ev)
			}
			got, omitted, err := For(t.Context(), test.ev, &test.ws)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(kinds(got), test.want) {
				t.Errorf("proposed %v, want %v", kinds(got), test.want)
				for _, p := range got {
					t.Log(p.Kind, p.Scores, p.ScoreReasons)
				}
			}
			for kind, reason := range test.omitted {
				if !slices.ContainsFunc(omitted, func(o penumbra.Omitted) bool { return o.Kind == kind && strings.Contains(o.Reason, reason) }) {
					t.Errorf("%s is not omitted for %q: %v", kind, reason, omitted)
				}
			}
			for i, p := range got {
				if p.Rank != i+1 || p.Hash != p.Digest() || p.State != penumbra.Proposed || p.Title == "" || p.Script == "" || p.Explanation == "" || p.Impact == "" || p.WayBack == "" || len(p.ScoreReasons) != 3 {
					t.Errorf("incomplete: %+v", p)
				}
			}
		})
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "log_level")
	ev.Dependants = []penumbra.Address{"shop/conffile_service.mailer"}
	ws := &workspace{code: update("log_level")}
	got, _, err := For(t.Context(), ev, ws)
	if err != nil {
		t.Fatal(err)
	}
	p := got[0]
	const explanation = `alice (user) changed log_level from "info" to "debug" on 2026-03-01 08:30 UTC with edit, says audit. The shadow expected "info" (97 % likely) for log_level at 95 % confidence. This applies the code as it is.`
	if p.Explanation != explanation {
		t.Errorf("explanation:\n%s\nwant:\n%s", p.Explanation, explanation)
	}
	const impact = "Updates shop/conffile_service.web[\"a\"]\n  log_level: \"debug\" → \"info\"\nRefers to conffile_service.web[\"a\"] and may notice: conffile_service.mailer"
	if p.Impact != impact {
		t.Errorf("impact:\n%s\nwant:\n%s", p.Impact, impact)
	}
	const script = "tofu -chdir=infra/shop plan -out=penumbra.tfplan -target='conffile_service.web[\"a\"]'\ntofu -chdir=infra/shop apply penumbra.tfplan\n# Penumbra applies the plan that it saved as shop/1.tfplan, SHA-256 hash-1, and no other.\n"
	if p.Script != script {
		t.Errorf("script:\n%s\nwant:\n%s", p.Script, script)
	}
	if adopt := got[1]; !strings.HasPrefix(adopt.Script, "git -C infra/shop apply <<'PATCH'\n--- a/main.tf\n") || !strings.Contains(adopt.Impact, "Changes no resource.\nChanges the code: main.tf (+1 −1 lines)") {
		t.Errorf("adoption:\n%s\n%s", adopt.Script, adopt.Impact)
	}
	rule := got[2].Rule
	if rule.Pattern != string(queue)+".log_level" || rule.Expires != time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC) || *rule.Value != penumbra.String("debug") {
		t.Errorf("rule %+v", rule)
	}
}

func TestWordsOfACause(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		drift func(*penumbra.Drift)
		want  string
	}{
		{"no log", func(d *penumbra.Drift) { d.Cause = penumbra.Cause{Time: now, After: now.Add(-time.Hour)} },
			`Somebody or something that no log names changed tls from "info" to "debug" between 2026-03-01 08:30 UTC and 2026-03-01 09:30 UTC.`},
		{"nothing known", func(d *penumbra.Drift) { d.Cause = penumbra.Cause{} },
			`Somebody or something that no log names changed tls from "info" to "debug".`},
		{"undeclared", func(d *penumbra.Drift) { d.Findings[0].Template = penumbra.Null() },
			`alice (user) changed tls, which the code leaves open and which is now "debug" on 2026-03-01 08:30 UTC with edit, says audit.`},
		{"did not move", func(d *penumbra.Drift) { d.Findings[0].Actual = penumbra.String("info") },
			`tls is "info", as the code says, and yet not as it usually is by now.`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ev := evidence(penumbra.Drifted, "tls")
			test.drift(&ev.Drift)
			if got := happened(&ev.Drift); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

func TestReplacementIsToldFirst(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "listen_port")
	c := update("listen_port")
	c.Action, c.ReplacePaths = penumbra.Replace, []string{"listen_port"}
	got, _, err := For(t.Context(), ev, &workspace{code: c})
	if err != nil {
		t.Fatal(err)
	}
	p := got[len(got)-1]
	if !strings.HasPrefix(p.Impact, "REPLACES shop/") || !strings.HasPrefix(p.WayBack, "CANNOT BE UNDONE") {
		t.Errorf("impact %q, way back %q", p.Impact, p.WayBack)
	}
}

func TestRulesMatchExactlyWhatDrifted(t *testing.T) {
	t.Parallel()
	prefix := string(queue) + "."
	tests := []struct {
		name    string
		drifted []string
		other   []string
		want    []string
	}{
		{"one", []string{"log_level"}, nil, []string{prefix + "log_level"}},
		{"a whole map", []string{"tags.a", "tags.b"}, []string{"tls"}, []string{prefix + "tags"}},
		{"part of a map", []string{"tags.a", "tags.b"}, []string{"tags.c"}, []string{prefix + "tags.a", prefix + "tags.b"}},
		{"too many to list", []string{"a", "b", "c", "d"}, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ev := evidence(penumbra.Drifted, test.drifted...)
			for _, path := range test.other {
				ev.Resource.Actual = penumbra.NewSettings(append(ev.Resource.Actual, penumbra.Setting{Path: path, Value: penumbra.Bool(true)})...)
			}
			got, _, err := For(t.Context(), ev, &workspace{})
			if err != nil {
				t.Fatal(err)
			}
			var patterns []string
			for _, p := range got {
				if p.Rule != nil {
					patterns = append(patterns, p.Rule.Pattern)
				}
			}
			if !slices.Equal(patterns, test.want) {
				t.Errorf("rules %q, want %q", patterns, test.want)
			}
		})
	}
}

func TestOutcomesMoveTheLikelihood(t *testing.T) {
	t.Parallel()
	p := penumbra.Proposal{Kind: penumbra.Revert}
	ev := evidence(penumbra.Drifted, "log_level")
	prior, _ := likelihood(&p, &ev, 1)
	ev.Outcomes = slices.Repeat([]Outcome{
		{Kind: penumbra.Revert, Type: "conffile_service", ActorKind: penumbra.User}, {Kind: penumbra.Adopt, Type: "conffile_service", ActorKind: penumbra.User, Succeeded: true},
	}, 10)
	if got, _ := likelihood(&p, &ev, 1); got != 9.0/20 || prior != 0.9 {
		t.Errorf("prior %v, after ten failures %v; want 0.9 and 0.45", prior, got)
	}
	ev.Outcomes = slices.Repeat([]Outcome{{Kind: penumbra.Revert, Type: "other", ActorKind: penumbra.User}}, 40)
	if got, _ := likelihood(&p, &ev, 1); got != 9.0/20 {
		t.Errorf("after forty failures of another type %v, want 0.45", got)
	}
	ev.Outcomes = slices.Repeat([]Outcome{{Kind: penumbra.Revert, Type: "conffile_service", ActorKind: penumbra.Automation}}, 20)
	if got, _ := likelihood(&p, &ev, 1); got != 9.0/20 {
		t.Errorf("after twenty failures against automation %v, want 0.45", got)
	}
}

func TestCustomized(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "log_level")
	ws := &workspace{patched: update("log_level")}
	p, err := Customized(t.Context(), penumbra.Proposal{ID: "p-0", Title: "Bring it back"}, penumbra.Edit{Values: []penumbra.Setting{{Path: "log_level", Value: penumbra.String("warning")}}}, ev, ws)
	if err != nil {
		t.Fatal(err)
	}
	if p.Kind != penumbra.Custom || p.Title != `Set log_level to "warning"` || p.Patch == nil || p.Plan.PatchHash != p.Patch.Digest() || p.Values.Get("log_level") != penumbra.String("warning") {
		t.Errorf("%+v", p)
	}
	if p.Customizes != "p-0" || !strings.Contains(p.Difference, "-Bring it back\n") || !strings.Contains(p.Difference, "+Set log_level to \"warning\"\n") {
		t.Errorf("made from %q, and differs so:\n%s", p.Customizes, p.Difference)
	}
	edit := penumbra.Edit{Files: []penumbra.FileEdit{{Path: "main.tf", Content: "new"}}}
	if _, err := Customized(t.Context(), p, edit, ev, ws); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("files of a technology whose code cannot be edited: %v", err)
	}
	edited, err := Customized(t.Context(), p, edit, ev, editable{ws})
	if err != nil || edited.Title != "Edit main.tf" || edited.Patch == nil || edited.Plan.PatchHash != edited.Patch.Digest() {
		t.Errorf("%+v, error %v", edited, err)
	}
	if _, err := Customized(t.Context(), p, penumbra.Edit{Files: []penumbra.FileEdit{{Path: "same.tf"}}}, ev, editable{ws}); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("files as they are: %v", err)
	}
	for name, values := range map[string][]penumbra.Setting{
		"invalid": nil,
		"refused": {{Path: "admin_password", Value: penumbra.String("hunter2")}},
	} {
		if _, err := Customized(t.Context(), p, penumbra.Edit{Values: values}, ev, ws); penumbra.KindOf(err).String() != name {
			t.Errorf("error %v, want %s", err, name)
		}
	}
}

// editable is a workspace whose code can be edited.
type editable struct{ *workspace }

func (e editable) PatchFiles(_ context.Context, files []penumbra.FileEdit) (penumbra.Patch, error) {
	if files[0].Path == "same.tf" {
		return penumbra.Patch{}, nil
	}
	return penumbra.Patch{Files: []penumbra.FilePatch{{Path: files[0].Path, After: files[0].Content, Diff: "+new\n"}}}, nil
}

func TestRestoring(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "log_level")
	run := penumbra.Run{ID: "r-1", Before: map[penumbra.Address]penumbra.Settings{queue: {{Path: "log_level", Value: penumbra.String("debug")}}}}
	ev.Resource.Actual = penumbra.Settings{{Path: "log_level", Value: penumbra.String("info")}}
	patch, rule := patchTo("new\n"), penumbra.Rule{ID: "i-1", Pattern: "x"}
	tests := []struct {
		original             penumbra.Proposal
		code, scratch, plans bool
	}{
		{penumbra.Proposal{Kind: penumbra.Revert}, false, true, true},
		{penumbra.Proposal{Kind: penumbra.Adopt, Patch: &patch}, true, false, false},
		{penumbra.Proposal{Kind: penumbra.IgnoreChanges, Patch: &patch}, true, false, false},
		{penumbra.Proposal{Kind: penumbra.IgnoreRule, Rule: &rule}, false, false, false},
		{penumbra.Proposal{Kind: penumbra.Custom, Patch: &patch, Values: penumbra.Settings{{Path: "log_level"}}}, true, true, true},
	}
	for _, test := range tests {
		t.Run(string(test.original.Kind), func(t *testing.T) {
			t.Parallel()
			p, err := Restoring(t.Context(), run, test.original, ev, &workspace{patched: update("log_level")})
			if err != nil {
				t.Fatal(err)
			}
			if (p.Patch != nil) != test.code || (p.Scratch != nil) != test.scratch || (p.Plan != nil) != test.plans || p.Undoes != "r-1" || p.Rule != test.original.Rule {
				t.Errorf("%+v", p)
			}
			if test.code && (p.Patch.Files[0].After != "old\n" || p.Patch.Files[0].Diff != "--- b/main.tf\n+++ a/main.tf\n@@ -1,1 +1,1 @@\n-new\n+old\n") {
				t.Errorf("reversed to %+v", p.Patch.Files[0])
			}
			if test.plans && p.Values.Get("log_level") != penumbra.String("debug") {
				t.Errorf("restores %v", p.Values)
			}
		})
	}
	refused := map[string]penumbra.Run{"it created": {ID: "r"}}
	for word, run := range refused {
		if _, err := Restoring(t.Context(), run, tests[0].original, ev, &workspace{}); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v, want %q", err, word)
		}
	}
	if _, err := Restoring(t.Context(), run, penumbra.Proposal{Kind: penumbra.Restore}, ev, &workspace{}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("the way back from a way back: %v", err)
	}
}

// TestRankIsFair draws proposals by drawing plans and evidence: none ranks
// above one that is better in all three scores, none that destroys comes first
// while there is one that does not, and all scores are within 0 and 1.
func TestRankIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ev := evidence(penumbra.Drifted, "log_level")
		ev.Drift.Verdict = rapid.SampledFrom([]penumbra.Verdict{penumbra.Drifted, penumbra.Tolerated, penumbra.Unexpected}).Draw(t, "verdict")
		f := penumbra.Forecast{}
		f.Leave[3] = rapid.Float64Range(0, 1).Draw(t, "again")
		ev.Drift.Findings[0].Forecast = &f
		ev.Dependants = make([]penumbra.Address, rapid.IntRange(0, 20).Draw(t, "dependants"))
		all := []penumbra.ProposalKind{penumbra.Revert, penumbra.Adopt, penumbra.IgnoreRule, penumbra.IgnoreChanges, penumbra.Custom}
		for range rapid.IntRange(0, 20).Draw(t, "outcomes") {
			ev.Outcomes = append(ev.Outcomes, Outcome{Kind: rapid.SampledFrom(all).Draw(t, "kind"), Type: "conffile_service", Succeeded: rapid.Bool().Draw(t, "succeeded")})
		}
		var list []penumbra.Proposal
		for range rapid.IntRange(1, 6).Draw(t, "proposals") {
			p := penumbra.Proposal{Kind: rapid.SampledFrom(all).Draw(t, "kind"), Plan: &penumbra.Plan{}}
			for range rapid.IntRange(0, 12).Draw(t, "changes") {
				c := update("tls")
				c.Action = rapid.SampledFrom([]penumbra.PlanAction{penumbra.NoChange, penumbra.Read, penumbra.Create, penumbra.Update, penumbra.Replace, penumbra.Destroy}).Draw(t, "action")
				p.Plan.Changes = append(p.Plan.Changes, c)
			}
			if rapid.Bool().Draw(t, "patched") {
				patch := patchTo("x\n")
				p.Patch = &patch
			}
			if p.Kind == penumbra.IgnoreRule {
				p.Rule, p.Plan, p.Patch = &penumbra.Rule{}, nil, nil
			}
			list = append(list, complete(p, &ev, rapid.Float64Range(0.1, 1).Draw(t, "share")))
		}
		Rank(list, Weights{})
		for i, p := range list {
			for _, s := range []float64{p.Scores.Likelihood, p.Scores.Risk, p.Scores.Complexity} {
				if !(s >= 0 && s <= 1) {
					t.Fatalf("scores %+v", p.Scores)
				}
			}
			for _, worse := range list[:i] {
				a, b := worse.Scores, p.Scores
				if a.Likelihood < b.Likelihood && a.Risk > b.Risk && a.Complexity > b.Complexity {
					t.Fatalf("rank %d has %+v, rank %d has %+v", worse.Rank, a, p.Rank, b)
				}
			}
		}
		if disrupts(&list[0]) && slices.ContainsFunc(list, func(p penumbra.Proposal) bool { return !disrupts(&p) }) {
			t.Fatalf("what destroys comes first: %v", kinds(list))
		}
	})
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "user")
	ev.Drift.Findings[0].Sensitive = true
	ev.Drift.Findings[0].Actual = penumbra.String("hunter2")
	ev.Drift.Findings[0].Expectation.Values[0].Value = penumbra.String("hunter2")
	got, omitted, err := For(t.Context(), ev, &workspace{code: update("user")})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range got {
		for _, text := range []string{p.Title, p.Script, p.Explanation, p.Impact, p.WayBack, p.Otherwise} {
			if strings.Contains(text, "hunter2") {
				t.Errorf("%s shows the secret: %s", p.Kind, text)
			}
		}
	}
	if strings.Contains(fmt.Sprint(omitted), "hunter2") {
		t.Errorf("%v", omitted)
	}
}

func TestCancelledContextIsTheOnlyError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := For(ctx, evidence(penumbra.Drifted, "log_level"), &workspace{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
