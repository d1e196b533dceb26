package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/policy"
)

var noon = time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)

// foreseen is the drift that is guarded against, once it has come.
func foreseen() *penumbra.Drift {
	return &penumbra.Drift{ID: "d-7", Resource: address, Type: "vm", Verdict: penumbra.Drifted, Findings: []penumbra.Finding{
		{Path: "size", Declared: true, Template: penumbra.Number(4), Actual: penumbra.Number(4711)},
		{Path: "zone", Declared: true, Template: penumbra.String("a"), Actual: penumbra.String("hidden-zone")},
	}}
}

func guarded(t testing.TB, g *policy.Guard, d *penumbra.Drift, paths ...string) (text string, with *policy.Guard) {
	t.Helper()
	text, err := g.Guarding(d, paths, noon)
	if err != nil {
		t.Fatal(err)
	}
	if with, err = g.With(policy.GuardFile(d.ID), text); err != nil {
		t.Fatal(err)
	}
	return text, with
}

// Who takes a guarded setting over needs another. Penumbra may not, though a policy
// lets it approve what is harmless; and what brings it back is as before.
func TestGuardAsksForTwo(t *testing.T) {
	t.Parallel()
	const anything = `@id("any") permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"approve", resource);`
	g := guard(t, anything, policy.Person{Name: "olga", Groups: []string{"ops"}})
	text, with := guarded(t, g, foreseen(), "size")
	if strings.Contains(text, "4711") || strings.Contains(text, "hidden-zone") {
		t.Errorf("a value is in the policies:\n%s", text)
	}
	ask := func(g *policy.Guard, by string, verb penumbra.Verb, p *penumbra.Proposal, d *penumbra.Drift) penumbra.PolicyAnswer {
		return g.Ask(&penumbra.PolicyQuestion{By: by, Verb: verb, Proposal: p, Drift: d, Time: noon, InWindow: true})
	}
	of := func(kind penumbra.ProposalKind, values ...penumbra.Setting) *penumbra.Proposal {
		return &penumbra.Proposal{ID: "p-1", Drift: "d-9", Kind: kind, Values: penumbra.NewSettings(values...)}
	}
	now := foreseen() // a later drift of the resource, with its own identifier
	now.ID = "d-9"
	elsewhere := foreseen()
	elsewhere.Resource = "shop/vm.b"
	size := func(n float64) penumbra.Setting { return penumbra.Setting{Path: "size", Value: penumbra.Number(n)} }
	for name, c := range map[string]struct {
		p     *penumbra.Proposal
		d     *penumbra.Drift
		needs int
	}{
		"adopted":                  {of(penumbra.Adopt), now, 2},
		"set otherwise":            {of(penumbra.Custom, size(5)), now, 2},
		"ignored by the code":      {of(penumbra.IgnoreChanges), now, 2},
		"set again, by a way back": {of(penumbra.Restore, size(4711)), now, 2},
		"brought back":             {of(penumbra.Revert), now, 1},
		"set to what the code has": {of(penumbra.Custom, size(4)), now, 1},
		"another setting":          {of(penumbra.Custom, penumbra.Setting{Path: "zone", Value: penumbra.String("b")}), now, 1},
		"another resource":         {of(penumbra.Adopt), elsewhere, 1},
	} {
		for _, by := range []string{"alice", "Olga"} {
			if a := ask(with, by, penumbra.Approve, c.p, c.d); !a.Allowed || a.Needs != c.needs || a.Needs == 2 && !strings.Contains(a.Reason, "size of vm.a is guarded") {
				t.Errorf("%s by %s with the guard: %+v", name, by, a)
			}
			if a := ask(g, by, penumbra.Approve, c.p, c.d); !a.Allowed || a.Needs != 1 {
				t.Errorf("%s by %s without it: %+v", name, by, a)
			}
		}
		without, a := ask(g, "", penumbra.Approve, c.p, c.d), ask(with, "", penumbra.Approve, c.p, c.d)
		if !without.Allowed || a.Allowed != (c.needs == 1) {
			t.Errorf("%s by Penumbra: %+v, without the guard %+v", name, a, without)
		}
	}
	if a := ask(with, "alice", penumbra.Accept, nil, now); a.Allowed || !strings.Contains(a.Reason, "nobody accepts it alone") {
		t.Errorf("accepted: %+v", a)
	}
	if a := ask(with, "alice", penumbra.Snooze, nil, now); !a.Allowed {
		t.Errorf("snoozed: %+v", a)
	}
	all, some := with.Set.Has(text)
	none, any := g.Set.Has(text)
	if !all || !some || none || any {
		t.Errorf("in use: %v, %v; without it %v, %v", all, some, none, any)
	}
	if _, err := with.Guarding(foreseen(), []string{"size"}, noon); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "guard-d-7") {
		t.Errorf("a second guard: %v", err)
	}
	if _, err := with.With("again.cedar", text); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("the same identifiers twice: %v", err)
	}
}

// Several settings are guarded together, each by itself.
func TestGuardOfSeveralSettings(t *testing.T) {
	t.Parallel()
	g := guard(t, "")
	_, with := guarded(t, g, foreseen(), "size", "zone")
	for _, path := range []string{"size", "zone"} {
		d := foreseen()
		f, _ := d.Finding(path)
		d.Findings = []penumbra.Finding{f}
		if a := with.Ask(&penumbra.PolicyQuestion{By: "alice", Verb: penumbra.Approve, Proposal: &penumbra.Proposal{ID: "p", Kind: penumbra.Adopt}, Drift: d, Time: noon}); a.Needs != 2 {
			t.Errorf("%s alone: %+v", path, a)
		}
	}
}

// Policies that ask for as much already need no guard, and those that the guard would
// not be enough beside get none.
func TestGuardBesideOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ policies, want string }{
		"two for everything":     {twoPeople("true"), "already, by policy people, two"},
		"nobody adopts":          {`@id("never") forbid (principal, action == Penumbra::Action::"approve", resource) when { resource.kind == "adopt" || resource.kind == "custom" || resource.kind like "ignore*" };`, "already, by policy never"},
		"its identifier is used": {`@id("guard-d-7") permit (principal, action == Penumbra::Action::"reject", resource);`, "another policy has the id"},
	} {
		_, err := guard(t, c.policies).Guarding(foreseen(), []string{"size"}, noon)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What does not take a setting off the template is none to guard.
	still := foreseen()
	still.Findings[0].Actual = still.Findings[0].Template
	still.Findings = still.Findings[:1]
	if _, err := guard(t, "").Guarding(still, []string{"size"}, noon); err == nil || penumbra.KindOf(err) != penumbra.Internal {
		t.Errorf("of what is on the template: %v", err)
	}
}

// Names come from code and logs: none of them ends its string or its comment.
func TestGuardOfHostileNames(t *testing.T) {
	t.Parallel()
	names := rapid.StringOfN(rapid.SampledFrom([]rune("a\"\\\n\r\t\u2028\u0085*;{}/ü\x00@")), 1, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		d := foreseen()
		d.Resource = penumbra.Address("shop/" + names.Draw(t, "resource"))
		d.Findings[0].Path = names.Draw(t, "path")
		set, _, err := policy.Load(nil)
		if err != nil {
			t.Fatal(err)
		}
		g := &policy.Guard{Set: set}
		text, err := g.Guarding(d, []string{d.Findings[0].Path}, noon)
		if err != nil {
			t.Fatalf("%q of %q: %v", d.Findings[0].Path, d.Resource, err)
		}
		with, err := g.With("x.cedar", text)
		if err != nil || with.Set.Len() != 2 {
			t.Fatalf("%d policies, %v:\n%s", with.Set.Len(), err, text)
		}
	})
}

// Only what tightens is taken in.
func TestWithRefusesWhatCouldAllow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		kind penumbra.ErrorKind
	}{
		"a permit for Penumbra":   {lowRisk, penumbra.Refused},
		"a permit of everything":  {`@id("x") permit (principal, action, resource);`, penumbra.Refused},
		"an emergency":            {emergency, penumbra.Refused},
		"one person":              {`@id("x") @approvals("1") permit (principal, action == Penumbra::Action::"approve", resource);`, penumbra.Refused},
		"two, of any act":         {`@id("x") @approvals("2") permit (principal, action, resource);`, penumbra.Refused},
		"two, and Penumbra alone": {`@id("x") @approvals("2") permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"approve", resource);`, penumbra.Refused},
		"beside what tightens":    {twoPeople("true") + undoing, penumbra.Refused},
		"a mistake":               {"permit (nonsense", penumbra.Invalid},
	} {
		if _, err := guard(t, "").With("x.cedar", c.text); err == nil || penumbra.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{twoPeople("true"), opsOnly} {
		if _, err := guard(t, "").With("x.cedar", text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Whatever is asked, beside whatever policies, a guard never allows more.
func TestGuardNeverAllowsMore(t *testing.T) {
	t.Parallel()
	menu := []string{
		lowRisk, opsOnly, emergency, undoing,
		`@id("all") permit (principal, action, resource);`,
		`@id("machine") permit (principal == Penumbra::System::"penumbra", action, resource is Penumbra::Proposal);`,
		`@id("adopts") permit (principal is Penumbra::System, action == Penumbra::Action::"approve", resource) when { resource.kind == "adopt" };`,
		`@id("three") @approvals("3") permit (principal, action == Penumbra::Action::"approve", resource) when { resource.off_template.contains("shop/vm.a.size") && context.frozen };`,
		`@id("quiet") forbid (principal, action == Penumbra::Action::"snooze", resource) unless { resource.off_template.isEmpty() };`,
	}
	kinds := []penumbra.ProposalKind{penumbra.Revert, penumbra.Adopt, penumbra.Custom, penumbra.IgnoreRule, penumbra.IgnoreChanges, penumbra.Restore, penumbra.GuardPolicy, penumbra.Guard}
	tightened := 0
	rapid.Check(t, func(rt *rapid.T) {
		var own string
		for i, text := range menu {
			if rapid.Bool().Draw(rt, fmt.Sprint("policy ", i)) {
				own += text + "\n"
			}
		}
		g := guard(t, own, policy.Person{Name: "olga", Groups: []string{"ops"}, Roles: []string{"oncall"}})
		text, err := g.Guarding(foreseen(), []string{"size"}, noon)
		if err != nil && penumbra.KindOf(err) != penumbra.Refused {
			rt.Fatalf("%v, beside\n%s", err, own)
		}
		if err != nil {
			return
		}
		with, err := g.With("x.cedar", text)
		if err != nil {
			rt.Fatal(err)
		}
		d := foreseen()
		d.Resource = rapid.SampledFrom([]penumbra.Address{address, "shop/vm.b"}).Draw(rt, "resource")
		q := penumbra.PolicyQuestion{
			By: rapid.SampledFrom([]string{"", "alice", "olga"}).Draw(rt, "by"), Drift: d, Time: noon, Stack: "shop",
			Verb:     rapid.SampledFrom(append(slices.Clone(penumbra.Verbs), penumbra.FreezeStack, penumbra.Unfreeze)).Draw(rt, "verb"),
			InWindow: rapid.Bool().Draw(rt, "window"), Frozen: rapid.Bool().Draw(rt, "frozen"),
			Proposal: &penumbra.Proposal{ID: "p-1", Drift: d.ID, Kind: rapid.SampledFrom(kinds).Draw(rt, "kind")},
		}
		if rapid.Bool().Draw(rt, "sets") {
			q.Proposal.Values = penumbra.Settings{{Path: rapid.SampledFrom([]string{"size", "zone", "x"}).Draw(rt, "path"), Value: penumbra.Number(5)}}
		}
		if q.Verb == penumbra.FreezeStack || q.Verb == penumbra.Unfreeze {
			q.Drift, q.Proposal = nil, nil
		}
		before, after := g.Ask(&q), with.Ask(&q)
		switch {
		case after.Allowed && !before.Allowed, after.Needs < before.Needs && after.Allowed, after.Allowed && !slices.Equal(after.Overrides, before.Overrides):
			rt.Fatalf("%s: %+v, without the guard %+v, beside\n%s", q.Verb, after, before, own)
		case after.Needs > before.Needs, before.Allowed && !after.Allowed:
			tightened++
		}
	})
	if tightened == 0 {
		t.Error("nothing asked was ever guarded")
	}
}

// Policies are for people: no policy that lets Penumbra approve has it write one, or
// take one away.
func TestPenumbraWritesNoPolicies(t *testing.T) {
	t.Parallel()
	g := guard(t, `@id("any") permit (principal == Penumbra::System::"penumbra", action, resource);`+undoing)
	for verb, kind := range map[penumbra.Verb]penumbra.ProposalKind{penumbra.Approve: penumbra.GuardPolicy, penumbra.RollBack: penumbra.Restore} {
		q := question(nil)
		q.By, q.Verb, q.Proposal = "", verb, &penumbra.Proposal{ID: "p-1", Kind: kind, Policy: &penumbra.PolicyFile{Name: "x"}}
		if a := g.Ask(q); a.Allowed || !strings.Contains(a.Reason, "for people to decide on") {
			t.Errorf("%s: %+v", verb, a)
		}
		if q.Verb = penumbra.CarryOut; !g.Ask(q).Allowed {
			t.Errorf("what people approved is not carried out: %+v", g.Ask(q))
		}
	}
	two := guard(t, twoPeople("resource.writes_policy"))
	q := question(func(q *penumbra.PolicyQuestion) { q.Proposal.Policy = &penumbra.PolicyFile{} })
	if a := two.Ask(q); a.Needs != 2 {
		t.Errorf("two people for policies: %+v", a)
	}
	if a := two.Ask(question(nil)); a.Needs != 1 {
		t.Errorf("and for all else: %+v", a)
	}
}

func TestFilesOfPolicies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "guard.cedar")
	for range 2 { // a second time changes nothing
		if err := policy.WriteFile(path, "// one\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := policy.WriteFile(path, "// two\n"); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("over another: %v", err)
	}
	if err := policy.RemoveFile(path, "// two\n"); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("what was edited is taken away: %v", err)
	}
	list, err := os.ReadDir(dir)
	if text, _ := os.ReadFile(path); err != nil || string(text) != "// one\n" || len(list) != 1 {
		t.Errorf("%q, %v, %v", text, list, err)
	}
	for range 2 {
		if err := policy.RemoveFile(path, "// one\n"); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
	if err := policy.WriteFile(filepath.Join(dir, "none", "x.cedar"), ""); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("into no folder: %v", err)
	}
}
