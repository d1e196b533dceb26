package policy_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/policy"
)

var environments = map[string]string{"shop": "prod", "shop-eu": "prod", "pay": "test"}

func access(t testing.TB, own string) *policy.Access {
	t.Helper()
	var paths []string
	if own != "" {
		paths = append(paths, written(t, own))
	}
	a, mistakes, err := policy.LoadAccess(paths, environments)
	if err != nil || len(mistakes) > 0 {
		t.Fatalf("error %v, mistakes %v", err, mistakes)
	}
	return a
}

func person(grants ...penumbra.Grant) *penumbra.Principal {
	return &penumbra.Principal{ID: "user:ann", Name: "ann", Kind: penumbra.PersonPrincipal, Groups: []string{"dba"}, Grants: grants}
}

func TestRolesWithinTheirScopes(t *testing.T) {
	t.Parallel()
	a := access(t, "")
	shop, pay := penumbra.Target{Stack: "shop", Type: "aws_db_instance"}, penumbra.Target{Stack: "pay", Type: "vm"}
	for _, test := range []struct {
		name  string
		grant penumbra.Grant
		act   penumbra.Act
		on    penumbra.Target
		ok    bool
	}{
		{"a viewer views", penumbra.Grant{Role: penumbra.Viewer}, "drift.read", shop, true},
		{"and does nothing", penumbra.Grant{Role: penumbra.Viewer}, "drift.snooze", shop, false},
		{"and sees no values", penumbra.Grant{Role: penumbra.Viewer}, "values.read", shop, false},
		{"but with the right to", penumbra.Grant{Role: penumbra.Viewer, Values: true}, "values.read", shop, true},
		{"values are no logs", penumbra.Grant{Role: penumbra.Viewer, Values: true}, "logs.read", shop, false},
		{"a timeline has both", penumbra.Grant{Role: penumbra.Admin, Values: true}, "timeline.export", shop, false},
		{"an admin has the roles below", penumbra.Grant{Role: penumbra.Admin}, "proposal.approve", shop, true},
		{"an approver is no admin", penumbra.Grant{Role: penumbra.Approver}, "account.change", penumbra.Target{}, false},
		{"a sender sees nothing", penumbra.Grant{Role: penumbra.Sender}, "status.read", penumbra.Target{}, false},
		{"a sender sends", penumbra.Grant{Role: penumbra.Sender, Inputs: []string{"db-*"}}, "input.send", penumbra.Target{ID: "db-logs"}, true},
		{"to its inputs", penumbra.Grant{Role: penumbra.Sender, Inputs: []string{"db-*"}}, "input.send", penumbra.Target{ID: "web-logs"}, false},
		{"and no whole timelines then", penumbra.Grant{Role: penumbra.Sender, Inputs: []string{"db-*"}}, "timeline.ingest", penumbra.Target{}, false},
		{"an operator does not send", penumbra.Grant{Role: penumbra.Operator}, "input.send", penumbra.Target{ID: "db-logs"}, false},
		{"a stack", penumbra.Grant{Role: penumbra.Approver, Stacks: []string{"shop*"}}, "proposal.approve", penumbra.Target{Stack: "shop-eu"}, true},
		{"another stack", penumbra.Grant{Role: penumbra.Approver, Stacks: []string{"shop*"}}, "proposal.approve", pay, false},
		{"all stacks", penumbra.Grant{Role: penumbra.Approver, Stacks: []string{"shop*"}}, "stack.freeze", penumbra.Target{}, false},
		{"an environment", penumbra.Grant{Role: penumbra.Approver, Environments: []string{"prod"}}, "proposal.approve", shop, true},
		{"another environment", penumbra.Grant{Role: penumbra.Approver, Environments: []string{"prod"}}, "proposal.approve", pay, false},
		{"a stack without one", penumbra.Grant{Role: penumbra.Approver, Environments: []string{"*"}}, "proposal.approve", penumbra.Target{Stack: "other"}, false},
		{"a type", penumbra.Grant{Role: penumbra.Operator, Types: []string{"aws_db_*"}}, "drift.snooze", shop, true},
		{"another type", penumbra.Grant{Role: penumbra.Operator, Types: []string{"aws_db_*"}}, "drift.snooze", pay, false},
		{"a whole stack", penumbra.Grant{Role: penumbra.Operator, Types: []string{"aws_db_*"}}, "stack.refresh", penumbra.Target{Stack: "shop"}, false},
		{"an unknown role", penumbra.Grant{Role: "root"}, "drift.read", shop, false},
		{"an unknown act", penumbra.Grant{Role: penumbra.Admin}, "drift.erase", shop, false},
	} {
		err := a.Authorize(t.Context(), person(test.grant), test.act, test.on)
		if (err == nil) != test.ok || err != nil && penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if err := a.Authorize(t.Context(), nil, "self.read", penumbra.Target{}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("nobody: %v", err)
	}
	if err := a.Authorize(t.Context(), person(), "self.read", penumbra.Target{}); err != nil {
		t.Errorf("somebody without a grant asks who they are: %v", err)
	}
	source := person(penumbra.Grant{Role: penumbra.Admin, Values: true, Logs: true})
	source.Kind = penumbra.SourcePrincipal
	if err := a.Authorize(t.Context(), source, "drift.read", shop); err == nil || !strings.Contains(err.Error(), "a source sends, and does nothing else") {
		t.Errorf("a source with the role admin: %v", err)
	}
}

// Grants hold where each of them says: what one leaves out the other does not lend.
func TestGrantsDoNotLendEachOther(t *testing.T) {
	t.Parallel()
	a := access(t, "")
	p := person(penumbra.Grant{Role: penumbra.Viewer, Stacks: []string{"shop"}, Values: true}, penumbra.Grant{Role: penumbra.Approver, Stacks: []string{"pay"}})
	for act, on := range map[penumbra.Act]string{"values.read": "pay", "proposal.approve": "shop"} {
		if err := a.Authorize(t.Context(), p, act, penumbra.Target{Stack: on}); err == nil {
			t.Errorf("%s on %s is allowed", act, on)
		}
	}
}

func TestRefusalsSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	a := access(t, `@id("not-ann") @reason("until she is back") forbid (principal == Penumbra::User::"ann", action == Penumbra::Action::"model.read", resource);`)
	for _, test := range []struct {
		p    *penumbra.Principal
		act  penumbra.Act
		on   penumbra.Target
		want string
	}{
		{person(penumbra.Grant{Role: penumbra.Viewer}), "proposal.approve", penumbra.Target{Stack: "shop"}, "ann may not proposal.approve on stack shop, environment prod: it takes the role approver, and ann has viewer there"},
		{person(penumbra.Grant{Role: penumbra.Admin, Stacks: []string{"pay"}}), "proposal.approve", penumbra.Target{Stack: "shop"}, "it takes the role approver, and ann has no role there"},
		{person(penumbra.Grant{Role: penumbra.Admin}), "timeline.export", penumbra.Target{}, "it takes the role viewer with the right to values and logs, and ann has admin there"},
		{person(penumbra.Grant{Role: penumbra.Approver}), "account.change", penumbra.Target{}, "it takes the role admin, and ann has approver there"},
		{person(penumbra.Grant{Role: penumbra.Approver}), "input.send", penumbra.Target{ID: "db"}, "on input db: it takes the role admin"},
		{person(penumbra.Grant{Role: penumbra.Viewer}), "model.read", penumbra.Target{}, "refused by policy not-ann (until she is back)"},
	} {
		err := a.Authorize(t.Context(), test.p, test.act, test.on)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v\nwant %s", test.act, err, test.want)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	a := access(t, `permit (principal in Penumbra::Group::"dba", action == Penumbra::Action::"metric.record", resource in Penumbra::Stack::"shop");`)
	scoped := person(penumbra.Grant{Role: penumbra.Operator, Stacks: []string{"shop*"}, Types: []string{"aws_*"}})
	for act, want := range map[penumbra.Act]bool{"drift.read": true, "drift.snooze": true, "proposal.approve": false, "account.read": false, "values.read": false, "metric.record": true} {
		if err := a.Reach(t.Context(), scoped, act); (err == nil) != want {
			t.Errorf("%s: %v", act, err)
		}
	}
	for stack, want := range map[string]bool{"shop": true, "shop-eu": true, "pay": false} {
		if err := a.ReachStack(t.Context(), scoped, "drift.read", stack); (err == nil) != want {
			t.Errorf("stack %s: %v", stack, err)
		}
	}
	if a.Reach(t.Context(), nil, "self.read") == nil || a.ReachStack(t.Context(), nil, "drift.read", "shop") == nil {
		t.Error("nobody reaches something")
	}
}

func TestOwnPoliciesOverTheRoles(t *testing.T) {
	t.Parallel()
	a := access(t, `
@id("dba-values") permit (principal in Penumbra::Group::"dba", action == Penumbra::Action::"values.read", resource) when { resource.type like "aws_db_*" };
@id("no-prod") forbid (principal, action in Penumbra::Action::"approve", resource in Penumbra::Environment::"prod") unless { principal in Penumbra::Role::"admin" };
@id("all") permit (principal in Penumbra::Group::"dba", action, resource);
`)
	p := person(penumbra.Grant{Role: penumbra.Approver})
	for _, test := range []struct {
		act penumbra.Act
		on  penumbra.Target
		ok  bool
	}{
		{"values.read", penumbra.Target{Stack: "shop", Type: "aws_db_instance"}, true},
		{"proposal.approve", penumbra.Target{Stack: "shop"}, false},
		{"proposal.approve", penumbra.Target{Stack: "pay"}, true},
		{"account.change", penumbra.Target{}, false}, // a permit of everything does not make an admin
		{"audit.read", penumbra.Target{}, false},
		{"input.send", penumbra.Target{ID: "db"}, false},
	} {
		if err := a.Authorize(t.Context(), p, test.act, test.on); (err == nil) != test.ok {
			t.Errorf("%s on %+v: %v", test.act, test.on, err)
		}
	}
	for name, text := range map[string]string{
		"an attribute that is none": `permit (principal, action, resource) when { resource.id == "x" };`,
		"an act that is none":       `permit (principal, action == Penumbra::Action::"drift.erase", resource);`,
		"an id that is taken":       `@id("admin") forbid (principal, action, resource);`,
		"an annotation of others":   `@approvals("2") permit (principal, action, resource);`,
	} {
		if _, mistakes, err := policy.LoadAccess([]string{written(t, text)}, nil); err != nil || len(mistakes) == 0 {
			t.Errorf("%s: no mistake is found (%v)", name, err)
		}
	}
	if _, _, err := policy.LoadAccess([]string{"nowhere"}, nil); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("a name that is not there: %v", err)
	}
	broken := access(t, `@id("sum") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };`)
	if err := broken.Authorize(t.Context(), person(penumbra.Grant{Role: penumbra.Admin}), "drift.read", penumbra.Target{}); err == nil {
		t.Error("a forbid that cannot be evaluated allows")
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"shop", "shop", true}, {"shop", "shop2", false}, {"*", "", true}, {"*", "x", true}, {"shop-*", "shop-", true}, {"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c-b", false}, {"a*a", "a", false}, {"*eu*", "shop-eu-1", true}, {"**", "x", true}, {"a*b", "ab", true}, {"a*bc*c", "abc", false},
	} {
		if got := policy.Match(test.pattern, test.name); got != test.want {
			t.Errorf("%q, %q: %v", test.pattern, test.name, got)
		}
	}
}

// grants draws grants of any role and scope.
func grants(t *rapid.T) []penumbra.Grant {
	names := func(label string, all ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 2, rapid.ID).Draw(t, label)
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) penumbra.Grant {
		return penumbra.Grant{
			Role:   rapid.SampledFrom([]penumbra.Role{penumbra.Sender, penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin, "root", ""}).Draw(t, "role"),
			Stacks: names("stacks", "shop", "pay", "s*", "*"), Environments: names("environments", "prod", "test", "*"),
			Types: names("types", "vm", "aws_*", "*"), Inputs: names("inputs", "db", "d*"),
			Values: rapid.Bool().Draw(t, "values"), Logs: rapid.Bool().Draw(t, "logs"),
		}
	}), 0, 5).Draw(t, "grants")
}

func targets(t *rapid.T) penumbra.Target {
	return penumbra.Target{
		Stack: rapid.SampledFrom([]string{"", "shop", "pay", "other"}).Draw(t, "stack"),
		Type:  rapid.SampledFrom([]string{"", "vm", "aws_db"}).Draw(t, "type"), ID: rapid.SampledFrom([]string{"", "db", "web"}).Draw(t, "id"),
	}
}

// least is the table of docs/authorisation.md, written down once more without Cedar:
// the least role of each act's group, and what its grant has to say besides.
var least = map[string]struct {
	roles        []penumbra.Role
	values, logs bool
}{
	"view":       {roles: []penumbra.Role{penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin}},
	"operate":    {roles: []penumbra.Role{penumbra.Operator, penumbra.Approver, penumbra.Admin}},
	"approve":    {roles: []penumbra.Role{penumbra.Approver, penumbra.Admin}},
	"administer": {roles: []penumbra.Role{penumbra.Admin}},
	"send":       {roles: []penumbra.Role{penumbra.Sender, penumbra.Admin}},
	"values":     {roles: []penumbra.Role{penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin}, values: true},
	"logs":       {roles: []penumbra.Role{penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin}, logs: true},
	"timelines":  {roles: []penumbra.Role{penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin}, values: true, logs: true},
}

func groupOf(act penumbra.Act) string {
	for group, list := range map[string][]penumbra.Act{
		"values": {"values.read"}, "logs": {"logs.read"}, "timelines": {"timeline.export"}, "send": {"input.send", "timeline.ingest"},
		"operate": {"stack.refresh", "input.retry", "metric.record", "drift.acknowledge", "drift.snooze", "proposal.customize", "proposal.adopt", "run.review"},
		"approve": {"proposal.approve", "proposal.reject", "drift.accept", "run.rollback", "stack.freeze", "stack.unfreeze"},
		"administer": {"account.read", "account.change", "session.read", "session.change", "audit.read", "audit.verify",
			"policy.change", "model.change", "notice.read", "notice.change"},
	} {
		if slices.Contains(list, act) {
			return group
		}
	}
	return "view"
}

// allowedByTable says what the table says of grants.
func allowedByTable(list []penumbra.Grant, act penumbra.Act, t penumbra.Target) bool {
	want := least[groupOf(act)]
	role, values, logs := false, false, false
	for _, g := range list {
		in := func(patterns []string, name string) bool {
			return len(patterns) == 0 || name != "" && slices.ContainsFunc(patterns, func(p string) bool { return policy.Match(p, name) })
		}
		if !in(g.Stacks, t.Stack) || !in(g.Environments, environments[t.Stack]) || !in(g.Types, t.Type) {
			continue
		}
		input := ""
		if act == "input.send" {
			input = t.ID
		}
		if g.Role == penumbra.Sender && !in(g.Inputs, input) {
			continue
		}
		role = role || slices.Contains(want.roles, g.Role)
		above := g.Role != penumbra.Sender && slices.Contains(least["view"].roles, g.Role)
		values, logs = values || above && g.Values, logs || above && g.Logs
	}
	return role && (values || !want.values) && (logs || !want.logs)
}

// No grants, however many and however put together, let a principal do what the table
// refuses, nor keep it from what the table allows.
func TestGrantsGiveWhatTheTableSays(t *testing.T) {
	t.Parallel()
	a := access(t, "")
	acts := slices.DeleteFunc(policy.Acts(), func(act penumbra.Act) bool { return strings.HasPrefix(string(act), "self.") })
	if len(acts) < 40 {
		t.Fatalf("%d acts", len(acts))
	}
	rapid.Check(t, func(t *rapid.T) {
		p := person(grants(t)...)
		p.Kind = rapid.SampledFrom([]penumbra.PrincipalKind{penumbra.PersonPrincipal, penumbra.ServicePrincipal, penumbra.SourcePrincipal, "", "other"}).Draw(t, "kind")
		act, on := rapid.SampledFrom(acts).Draw(t, "act"), targets(t)
		want := allowedByTable(p.Grants, act, on)
		if p.Kind != penumbra.PersonPrincipal && p.Kind != penumbra.ServicePrincipal {
			want = want && groupOf(act) == "send"
		}
		err := a.Authorize(t.Context(), p, act, on)
		if (err == nil) != want {
			t.Fatalf("%s on %+v by %+v: %v, the table says %v", act, on, p, err, want)
		}
		if err == nil && a.Reach(t.Context(), p, act) != nil {
			t.Fatalf("%s on %+v is allowed and out of reach: %+v", act, on, p)
		}
		if err == nil && a.ReachStack(t.Context(), p, act, on.Stack) != nil {
			t.Fatalf("%s on %+v is allowed and out of reach in its stack: %+v", act, on, p)
		}
	})
}

// Whatever a user's permits say, what three forbids keep stays as the table has it; and
// a forbid of theirs takes away from everybody.
func TestWhatOwnPoliciesCanWiden(t *testing.T) {
	t.Parallel()
	permits := access(t, "permit (principal, action, resource);\n"+`permit (principal in Penumbra::Group::"dba", action in Penumbra::Action::"administer", resource);`)
	forbids := access(t, "permit (principal, action, resource);\n"+`forbid (principal, action, resource in Penumbra::Stack::"shop");`)
	rapid.Check(t, func(t *rapid.T) {
		p := person(grants(t)...)
		act, on := rapid.SampledFrom(policy.Acts()).Draw(t, "act"), targets(t)
		ok := permits.Authorize(t.Context(), p, act, on) == nil
		switch group := groupOf(act); {
		case strings.HasPrefix(string(act), "self."):
		case group == "administer" || group == "send":
			if want := allowedByTable(p.Grants, act, on); ok != want {
				t.Fatalf("%s on %+v: allowed %v, the table says %v", act, on, ok, want)
			}
		case !ok:
			t.Fatalf("%s on %+v is refused though a policy permits it", act, on)
		}
		if on.Stack == "shop" && forbids.Authorize(t.Context(), p, act, on) == nil {
			t.Fatalf("%s on %+v is allowed though a policy forbids it", act, on)
		}
		source := *p
		source.Kind = penumbra.SourcePrincipal
		if groupOf(act) == "view" && !strings.HasPrefix(string(act), "self.") && permits.Authorize(t.Context(), &source, act, on) == nil {
			t.Fatalf("a source may %s", act)
		}
	})
}

func BenchmarkAuthorize(b *testing.B) {
	a := access(b, "")
	p := person(penumbra.Grant{Role: penumbra.Approver, Stacks: []string{"shop*"}, Values: true}, penumbra.Grant{Role: penumbra.Viewer})
	for b.Loop() {
		_ = a.Authorize(b.Context(), p, "proposal.approve", penumbra.Target{Stack: "shop", Type: "vm"})
	}
}
