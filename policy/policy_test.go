package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/policy"
)

// guard reads policies, which must be without mistakes.
func guard(t testing.TB, text string, people ...policy.Person) *policy.Guard {
	t.Helper()
	set, mistakes, err := policy.Load([]string{written(t, text)})
	if err != nil || len(mistakes) > 0 {
		t.Fatal(mistakes, err)
	}
	return &policy.Guard{Set: set, People: people}
}

func written(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rules.cedar")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const address = penumbra.Address("shop/vm.a")

// question is of alice, on a revert that updates one setting at low risk.
func question(change func(*penumbra.PolicyQuestion)) *penumbra.PolicyQuestion {
	q := &penumbra.PolicyQuestion{
		By: "alice", Verb: penumbra.Approve, InWindow: true, Time: time.Date(2026, 3, 6, 23, 30, 0, 0, time.UTC), // a Friday
		Drift: &penumbra.Drift{ID: "d-1", Resource: address, Type: "vm", Verdict: penumbra.Drifted, Findings: []penumbra.Finding{{Path: "size"}},
			Cause: penumbra.Cause{Actor: "bob", ActorKind: penumbra.User}},
		Proposal: &penumbra.Proposal{ID: "p-1", Drift: "d-1", Kind: penumbra.Revert, Scores: penumbra.Scores{Likelihood: .9, Risk: .07, Complexity: .29},
			Plan: &penumbra.Plan{Changes: []penumbra.PlannedChange{{Resource: address, Type: "vm", Action: penumbra.Update, Changes: []penumbra.PathChange{{Path: "size"}}}}}},
	}
	if change != nil {
		change(q)
	}
	return q
}

func automatic(q *penumbra.PolicyQuestion) { q.By = "" }

func rollingBack(q *penumbra.PolicyQuestion) {
	q.By, q.Verb, q.Proposal.Kind = "", penumbra.RollBack, penumbra.Restore
}

const undoing = `@id("undo") permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"roll_back", resource);
`

func destroying(action penumbra.PlanAction) func(*penumbra.PolicyQuestion) {
	return func(q *penumbra.PolicyQuestion) {
		q.By, q.Proposal.Plan.Changes[0].Action = "", action
	}
}

const lowRisk = `@id("low-risk") @reason("harmless")
permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"approve", resource)
when { resource.kind == "revert" && resource.risk < 10 && !resource.critical };
`

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, policies string
		change         func(*penumbra.PolicyQuestion)
		want           penumbra.PolicyAnswer // the reason is a part of it
	}{
		{"Penumbra may not roll back", lowRisk, rollingBack, penumbra.PolicyAnswer{Needs: 1, Reason: "no policy allows it"}},
		{"unless a policy says so", undoing, rollingBack, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"undo"}, Needs: 1}},
		{"a permit of every act was not written for it", `@id("any") permit (principal == Penumbra::System::"penumbra", action, resource);`, rollingBack,
			penumbra.PolicyAnswer{Policies: []string{"any"}, Needs: 1, Reason: "no policy that names Penumbra itself"}},
		{"nor one of everybody", `@id("all") permit (principal, action == Penumbra::Action::"roll_back", resource);`, rollingBack,
			penumbra.PolicyAnswer{Policies: []string{"all"}, Needs: 1, Reason: "no policy that names Penumbra itself"}},
		{"what replaces is not rolled back", undoing, func(q *penumbra.PolicyQuestion) {
			rollingBack(q)
			q.Proposal.Plan.Changes[0].Action = penumbra.Replace
		}, penumbra.PolicyAnswer{Policies: []string{"undo"}, Needs: 1, Reason: `@allows("replace")`}},
		{"unless that is named too", `@allows("replace") ` + undoing, func(q *penumbra.PolicyQuestion) {
			rollingBack(q)
			q.Proposal.Plan.Changes[0].Action = penumbra.Replace
		}, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"undo"}, Needs: 1}},
		{"two people who have to approve it have to", undoing + twoPeople("true"), rollingBack, penumbra.PolicyAnswer{Policies: []string{"undo"}, Needs: 2, Reason: "2 people have to approve"}},
		{"what forbids approving forbids rolling back", undoing + `@id("never") forbid (principal, action == Penumbra::Action::"approve", resource);`, rollingBack,
			penumbra.PolicyAnswer{Policies: []string{"undo"}, Needs: 1, Reason: "refused by policy never"}},
		{"people may without a policy", "", nil, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"people"}, Needs: 1}},
		{"Penumbra may not", "", automatic, penumbra.PolicyAnswer{Needs: 1, Reason: "no policy allows it"}},
		{"Penumbra may carry out", "", func(q *penumbra.PolicyQuestion) { q.By, q.Verb = "", penumbra.CarryOut }, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"penumbra"}, Needs: 1}},
		{"a permit for everybody does not mean Penumbra", `@id("all") permit (principal, action, resource);`, automatic,
			penumbra.PolicyAnswer{Policies: []string{"all"}, Needs: 1, Reason: "no policy that names Penumbra itself"}},
		{"a low risk is approved", lowRisk, automatic, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"low-risk"}, Needs: 1, Reason: "policy low-risk (harmless)"}},
		{"a score is not rounded away", strings.ReplaceAll(lowRisk, "resource.risk < 10", "resource.complexity == 29"), automatic, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"low-risk"}, Needs: 1}},
		{"a higher risk is not", lowRisk, func(q *penumbra.PolicyQuestion) { q.By, q.Proposal.Scores.Risk = "", .091 }, penumbra.PolicyAnswer{Needs: 1, Reason: "no policy allows it"}},
		{"nor what replaces", lowRisk, destroying(penumbra.Replace), penumbra.PolicyAnswer{Policies: []string{"low-risk"}, Needs: 1, Reason: `@allows("replace")`}},
		{"nor what destroys, though replacing is named", `@allows("replace") ` + lowRisk, destroying(penumbra.Destroy), penumbra.PolicyAnswer{Policies: []string{"low-risk"}, Needs: 1, Reason: `@allows("destroy")`}},
		{"unless the policy names it", `@allows("replace, destroy") ` + lowRisk, destroying(penumbra.Destroy), penumbra.PolicyAnswer{Allowed: true, Policies: []string{"low-risk"}, Needs: 1}},
		{"two people are not replaced by a policy", lowRisk + twoPeople("true"), automatic, penumbra.PolicyAnswer{Policies: []string{"low-risk", "two"}, Needs: 2, Reason: "2 people have to approve"}},
		{"two people", twoPeople(`resource.settings.contains("size") && resource in Penumbra::Stack::"shop"`), nil,
			penumbra.PolicyAnswer{Allowed: true, Policies: []string{"people", "two"}, Needs: 2, Reason: "needs 2 people, says policy two"}},
		{"the author alone is not enough", twoPeople("resource has author && resource.author == principal"), func(q *penumbra.PolicyQuestion) { q.Proposal.Author = " Alice" },
			penumbra.PolicyAnswer{Allowed: true, Policies: []string{"people", "two"}, Needs: 2}},
		{"another is", twoPeople("resource has author && resource.author == principal"), func(q *penumbra.PolicyQuestion) { q.Proposal.Author = "bob" },
			penumbra.PolicyAnswer{Allowed: true, Policies: []string{"people"}, Needs: 1}},
		{"forbidden", opsOnly, nil, penumbra.PolicyAnswer{Policies: []string{"ops-only"}, Needs: 1, Reason: "refused by policy ops-only (ask ops)"}},
		{"not for the group", opsOnly, func(q *penumbra.PolicyQuestion) { q.By = "OLGA " }, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"people"}, Needs: 1}},
		{"a role may wait for nothing", emergency, func(q *penumbra.PolicyQuestion) { q.By, q.Verb = "olga", penumbra.CarryOut },
			penumbra.PolicyAnswer{Allowed: true, Policies: []string{"emergency", "people"}, Needs: 1, Overrides: []string{"freeze", "window"}}},
		{"others wait", emergency, func(q *penumbra.PolicyQuestion) { q.Verb = penumbra.CarryOut }, penumbra.PolicyAnswer{Allowed: true, Policies: []string{"people"}, Needs: 1}},
		{"the hour is the zone's", `@id("late") forbid (principal, action, resource) when { context.hour == 0 && context.weekday == "saturday" };`, nil,
			penumbra.PolicyAnswer{Policies: []string{"late"}, Needs: 1}},
		{"a drift is snoozed", `@id("awake") forbid (principal, action == Penumbra::Action::"snooze", resource) when { resource.critical };`,
			func(q *penumbra.PolicyQuestion) { q.Verb, q.Proposal, q.Drift.Critical = penumbra.Snooze, nil, true }, penumbra.PolicyAnswer{Policies: []string{"awake"}, Needs: 1}},
		{"a freeze is lifted by ops alone", `@id("lift") forbid (principal, action == Penumbra::Action::"unfreeze", resource) unless { principal in Penumbra::Group::"ops" || resource == Penumbra::Stack::"pay" };`,
			func(q *penumbra.PolicyQuestion) {
				q.Verb, q.Proposal, q.Drift, q.Stack = penumbra.Unfreeze, nil, nil, "*"
			}, penumbra.PolicyAnswer{Policies: []string{"lift"}, Needs: 1}},
		{"what cannot be evaluated refuses", `@id("sum") forbid (principal, action, resource) when { context.hour + 9223372036854775807 + 1 == 3 };`, nil,
			penumbra.PolicyAnswer{Policies: []string{"sum"}, Needs: 1, Reason: "policy sum cannot be evaluated"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := guard(t, test.policies, policy.Person{Name: "olga", Groups: []string{"ops"}, Roles: []string{"oncall"}})
			g.Zone = time.FixedZone("here", 3600)
			got := g.Ask(question(test.change))
			if got.Allowed != test.want.Allowed || got.Needs != test.want.Needs || !slices.Equal(got.Policies, test.want.Policies) ||
				!slices.Equal(got.Overrides, test.want.Overrides) || !strings.Contains(got.Reason, test.want.Reason) || got.Reason == "" {
				t.Errorf("answer %+v, want %+v", got, test.want)
			}
		})
	}
}

func twoPeople(when string) string {
	return `@id("two") @approvals("2") permit (principal, action == Penumbra::Action::"approve", resource) when { ` + when + ` };`
}

const opsOnly = `@id("ops-only") @reason("ask ops") forbid (principal is Penumbra::User, action, resource) unless { principal in Penumbra::Group::"ops" };`

const emergency = `@id("emergency") @overrides("window, freeze")
permit (principal in Penumbra::Role::"oncall", action == Penumbra::Action::"run", resource);`

func TestAutomaticIsOffUnlessNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, lowRisk: true, emergency: false, twoPeople("true"): false,
		`permit (principal, action, resource);`:                                                                false,
		`forbid (principal is Penumbra::System, action == Penumbra::Action::"approve", resource);`:             false,
		`permit (principal is Penumbra::System, action == Penumbra::Action::"run", resource);`:                 false,
		`permit (principal is Penumbra::System, action in [Penumbra::Action::"approve"], resource);`:           true,
		`permit (principal == Penumbra::System::"penumbra", action, resource is Penumbra::Proposal);`:          true,
		`permit (principal == Penumbra::User::"penumbra", action == Penumbra::Action::"approve", resource);`:   false,
		`permit (principal in Penumbra::Group::"penumbra", action == Penumbra::Action::"approve", resource);`:  false,
		`permit (principal is Penumbra::User in Penumbra::Role::"x", action, resource is Penumbra::Proposal);`: false,
	} {
		if got := guard(t, text).Automatic(); got != want {
			t.Errorf("automatic is %v, want %v, of %s", got, want, text)
		}
	}
}

func TestMistakesNameTheirLine(t *testing.T) {
	t.Parallel()
	const permit = "permit (principal, action == Penumbra::Action::\"approve\", resource);"
	tests := []struct{ name, text, want string }{
		{"syntax", "permit (principal, action, resource)\nwhen { resource.risk < };", "rules.cedar:2:"},
		{"effect", permit + "\n\npermitt (principal, action, resource);", "rules.cedar:3:9: \"(\": unexpected effect: permitt"},
		{"attribute", "\n" + strings.TrimSuffix(permit, ";") + "\nwhen { resource.risc < 10 };", "rules.cedar:2: "},
		{"type", strings.TrimSuffix(permit, ";") + "when { resource.risk < \"10\" };", "rules.cedar:1: "},
		{"action", `permit (principal, action == Penumbra::Action::"aprove", resource);`, "rules.cedar:1: "},
		{"annotation", `@aprovals("2")` + "\n" + permit, "rules.cedar:1: @aprovals means nothing: the annotations are @id, @reason, @approvals"},
		{"number", `@approvals("two")` + permit, `rules.cedar:1: @approvals("two"): write how many people`},
		{"none", `@approvals("0")` + permit, `@approvals("0"): write how many people`},
		{"forbidding", `@approvals("2") forbid (principal, action == Penumbra::Action::"approve", resource);`, "@approvals is of a permit, and this forbids"},
		{"twice", `@id("a")` + permit + "\n" + `@id("a")` + permit, `rules.cedar:2: another policy has the id "a"`},
		{"reserved", `@id("people")` + permit, "use a word of its own"},
		{"approvals of a run", `@approvals("2") permit (principal, action == Penumbra::Action::"run", resource);`, "@approvals is of a permit to approve"},
		{"overrides of an approval", `@overrides("window")` + permit, "@overrides is of a permit to run"},
		{"override", `@overrides("windows") permit (principal, action == Penumbra::Action::"run", resource);`, `"windows" is none of window, freeze`},
		{"allows of people", `@allows("destroy")` + permit, "@allows is of a permit for Penumbra itself"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, mistakes, err := policy.Load([]string{written(t, test.text)})
			if err != nil || len(mistakes) == 0 {
				t.Fatalf("no mistake found (error %v)", err)
			}
			if !strings.Contains(mistakes[0].String(), test.want) {
				t.Errorf("mistakes %v, want %q", mistakes, test.want)
			}
		})
	}
}

func TestLoadFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, name := range []string{"a.cedar", "below/b.cedar", "README.md"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, fmt.Appendf(nil, "@id(\"p%d\") permit (principal, action, resource);", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, mistakes, err := policy.Load([]string{dir, filepath.Join(dir, "a.cedar")})
	if err != nil || len(mistakes) > 0 || set.Len() != 2 || set.Files() != 2 {
		t.Errorf("%+v, mistakes %v, error %v", set, mistakes, err)
	}
	if _, _, err := policy.Load([]string{filepath.Join(dir, "none")}); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("a name that is not there: %v", err)
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here:", err)
	}
	c, err := policy.NewCalendar([]policy.Maintenance{
		{Stacks: []string{"shop"}, Start: "0 2 * * SAT", Duration: 2 * time.Hour, Zone: berlin},
		{Stacks: []string{"shop", "pay"}, Start: "30 12 * * *", Duration: 30 * time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	saturday := time.Date(2026, 3, 7, 1, 0, 0, 0, time.UTC) // 02:00 in Berlin
	noon := time.Date(2026, 3, 7, 12, 30, 0, 0, time.UTC)
	tests := []struct {
		stack string
		at    time.Time
		open  bool
		next  time.Time
	}{
		{"shop", saturday.Add(-time.Nanosecond), false, saturday},
		{"shop", saturday, true, time.Time{}},
		{"shop", saturday.Add(2*time.Hour - time.Nanosecond), true, time.Time{}},
		{"shop", saturday.Add(2 * time.Hour), false, noon},
		{"pay", saturday, false, noon},
		{"pay", noon.Add(30 * time.Minute), false, noon.Add(24 * time.Hour)},
		{"elsewhere", saturday, true, time.Time{}},
		// Summer time has begun: 02:00 in Berlin on 4 April is midnight.
		{"shop", time.Date(2026, 4, 3, 13, 0, 0, 0, time.UTC), false, time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC)},
	}
	for _, test := range tests {
		w := c.At(test.stack, test.at)
		if w.Open != test.open || !w.Next.Equal(test.next) {
			t.Errorf("%s at %s: %+v, want open %v, next %s", test.stack, test.at, w, test.open, test.next)
		}
	}
}

func TestWindowMistakes(t *testing.T) {
	t.Parallel()
	for _, w := range []policy.Maintenance{
		{Start: "0 2 * *", Duration: time.Hour}, {Start: "0 25 * * *", Duration: time.Hour}, {Start: "0 2 30 2 *", Duration: time.Hour},
		{Start: "0 2 * * *"}, {Start: "CRON_TZ=UTC 0 2 * * *", Duration: time.Hour}, {Start: "@every 1h", Duration: time.Minute},
	} {
		_, err := policy.NewCalendar([]policy.Maintenance{{Start: "@daily", Duration: time.Hour}, w})
		if penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), "windows[1]") {
			t.Errorf("%+v: error %v", w, err)
		}
	}
}

func BenchmarkAsk(b *testing.B) {
	g := guard(b, lowRisk+twoPeople("resource.critical")+opsOnly+emergency)
	q := question(automatic)
	for b.Loop() {
		g.Ask(q)
	}
}

// TestGroupsOfAccounts: an identity provider says somebody's groups, and policies ask
// for them as for those of the configuration. While they are not known nobody is let
// through: a policy may forbid what one of them stands for.
func TestGroupsOfAccounts(t *testing.T) {
	t.Parallel()
	g := guard(t, opsOnly+`@id("no-leavers") forbid (principal in Penumbra::Group::"leavers", action, resource);
@id("authors") forbid (principal, action, resource) when { resource has author && resource.author in Penumbra::Group::"leavers" };`,
		policy.Person{Name: "olga", Groups: []string{"ops"}}, policy.Person{Name: "dan"})
	said := map[string][]string{"dan": {"dba", "ops"}, "olga": {"leavers"}}
	g.Groups = func(name string) ([]string, error) {
		if name == "bo" {
			return nil, fmt.Errorf("the store is locked")
		}
		return said[strings.ToLower(name)], nil
	}
	for by, want := range map[string]string{"Dan ": "allowed by policy people", "alice": "refused by policy ops-only", "olga": "refused by policy no-leavers", "bo": "the groups of bo are not known: the store is locked"} {
		a := g.Ask(question(func(q *penumbra.PolicyQuestion) { q.By = by }))
		if a.Allowed != (by == "Dan ") || !strings.HasPrefix(a.Reason, want) {
			t.Errorf("%s: %+v, want %q", by, a, want)
		}
	}
	if a := g.Ask(question(func(q *penumbra.PolicyQuestion) { q.By, q.Proposal.Author = "dan", "olga" })); a.Allowed || !strings.HasPrefix(a.Reason, "refused by policy authors") {
		t.Errorf("of what olga wrote: %+v", a)
	}
	if a := g.Ask(question(func(q *penumbra.PolicyQuestion) { q.By, q.Proposal.Author = "dan", "bo" })); a.Allowed || !strings.Contains(a.Reason, "the groups of bo are not known") {
		t.Errorf("of what bo wrote: %+v", a)
	}
}
