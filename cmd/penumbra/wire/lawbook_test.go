package wire

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// kept is a lawbook on a configuration with a folder of policies.
func kept(t *testing.T) (l lawbook, write func(name, text string), folder string) {
	t.Helper()
	c, write := governed(t)
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "penumbra.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := startReading(c, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := audit.New(store, nil, time.Now, nil)
	r.recorded = func(ctx context.Context) error { return c.recordConfig(ctx, log) }
	return lawbook{r, log}, write, filepath.Join(c.Folder, "policy")
}

func foreseen() *penumbra.Drift {
	return &penumbra.Drift{ID: "d-7", Resource: "shop/vm.a", Type: "vm", Verdict: penumbra.Drifted, Findings: []penumbra.Finding{
		{Path: "size", Declared: true, Template: penumbra.Number(4), Actual: penumbra.Number(9)},
	}}
}

func (l lawbook) needs(kind penumbra.ProposalKind) int {
	return governing{l.rereading}.Ask(&penumbra.PolicyQuestion{
		By: "alice", Verb: penumbra.Approve, Drift: foreseen(), Proposal: &penumbra.Proposal{ID: "p-1", Kind: kind}, Time: time.Now(), InWindow: true,
	}).Needs
}

// What was proposed is added to the folder, is in use at once and after a restart, is
// in the audit log, and is taken away again.
func TestPoliciesAreAddedAndTakenAway(t *testing.T) {
	t.Parallel()
	l, _, folder := kept(t)
	ctx := t.Context()
	f, err := l.Guarding(foreseen(), []string{"size"})
	if err != nil || f.Path() != "policy/guard-d-7.cedar" || l.needs(penumbra.Adopt) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	if list, err := os.ReadDir(folder); err != nil || len(list) != 1 {
		t.Fatalf("proposing wrote something: %v, %v", list, err)
	}
	f.By = "olga"
	if err := l.CheckPolicies(ctx, f, true); err != nil {
		t.Fatal(err)
	}
	if l.PoliciesHold(ctx, f, true) == nil || l.PoliciesHold(ctx, f, false) != nil {
		t.Error("they hold before they are there")
	}
	if err := l.SetPolicies(ctx, f, true); err != nil {
		t.Fatal(err)
	}
	if err := l.PoliciesHold(ctx, f, true); err != nil || l.needs(penumbra.Adopt) != 2 || l.needs(penumbra.Revert) != 1 {
		t.Errorf("%v; adopting needs %d, bringing back %d", err, l.needs(penumbra.Adopt), l.needs(penumbra.Revert))
	}
	for _, again := range []error{l.CheckPolicies(ctx, f, true), func() error { _, err := l.Guarding(foreseen(), []string{"size"}); return err }()} {
		if kind := penumbra.KindOf(again); kind != penumbra.Stale && kind != penumbra.Refused || !strings.Contains(again.Error(), "is there already") {
			t.Errorf("a second time: %v", again)
		}
	}
	restarted, err := startReading(l.c, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.rereading = restarted
	if err := l.PoliciesHold(ctx, f, true); err != nil || l.needs(penumbra.Adopt) != 2 {
		t.Errorf("after a restart: %v, adopting needs %d", err, l.needs(penumbra.Adopt))
	}
	if err := l.CheckPolicies(ctx, f, false); err != nil {
		t.Fatal(err)
	}
	if err := l.SetPolicies(ctx, f, false); err != nil {
		t.Fatal(err)
	}
	if err := l.PoliciesHold(ctx, f, false); err != nil || l.needs(penumbra.Adopt) != 1 {
		t.Errorf("taken away: %v, adopting needs %d", err, l.needs(penumbra.Adopt))
	}
	recorded, err := l.audit.AuditEntries(ctx, penumbra.AuditQuery{Act: policyChangeAct})
	if err != nil || len(recorded) != 2 || recorded[0].Name != "olga" || recorded[0].Target.ID != f.Path() || recorded[1].Details["change"] != "taken away" || recorded[0].Details["policies"] != recorded[1].Details["policies"] {
		t.Errorf("recorded: %+v, %v", recorded, err)
	}
}

func TestPoliciesThatCannotBeChanged(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, c := range map[string]struct {
		before func(l lawbook, f *penumbra.PolicyFile, write func(name, text string))
		there  bool
		kind   penumbra.ErrorKind
		want   string
	}{
		"the policies have a mistake": {func(_ lawbook, _ *penumbra.PolicyFile, write func(string, string)) {
			write("policy/more.cedar", "forbid (nonsense")
		}, true, penumbra.Invalid, "more.cedar:1"},
		"another has its identifier": {func(_ lawbook, _ *penumbra.PolicyFile, write func(string, string)) {
			write("policy/more.cedar", `@id("guard-d-7") forbid (principal == Penumbra::User::"bob", action, resource);`)
		}, true, penumbra.Invalid, "another policy has the id"},
		"another is there": {func(_ lawbook, _ *penumbra.PolicyFile, write func(string, string)) {
			write("policy/guard-d-7.cedar", "// mine\n")
		}, true, penumbra.Stale, "is there already"},
		"somebody has edited it": {func(l lawbook, f *penumbra.PolicyFile, write func(string, string)) {
			write("policy/guard-d-7.cedar", f.Text+"// and more\n")
		}, false, penumbra.Stale, "no longer as it was written"},
		"it is gone":               {func(lawbook, *penumbra.PolicyFile, func(string, string)) {}, false, penumbra.Stale, "no longer as it was written"},
		"it is for another folder": {func(_ lawbook, f *penumbra.PolicyFile, _ func(string, string)) { f.Folder = "old" }, true, penumbra.Stale, "old is no folder of policies any more"},
		"it leaves the folder":     {func(_ lawbook, f *penumbra.PolicyFile, _ func(string, string)) { f.Name = "../guard.cedar" }, true, penumbra.Refused, "no file in a folder"},
		"it is no policy":          {func(_ lawbook, f *penumbra.PolicyFile, _ func(string, string)) { f.Name = "guard.yaml" }, true, penumbra.Refused, "no file in a folder"},
		"it could allow something": {func(_ lawbook, f *penumbra.PolicyFile, _ func(string, string)) {
			f.Text = `permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"approve", resource);`
		}, true, penumbra.Refused, "could allow something"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, write, folder := kept(t)
			f, err := l.Guarding(foreseen(), []string{"size"})
			if err != nil {
				t.Fatal(err)
			}
			c.before(l, &f, write)
			before, _ := os.ReadDir(folder)
			if err := l.CheckPolicies(ctx, f, c.there); penumbra.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if after, _ := os.ReadDir(folder); len(after) != len(before) {
				t.Error("something was written")
			}
		})
	}

	// A file that comes into force with a mistake elsewhere does not hold.
	l, write, _ := kept(t)
	f, err := l.Guarding(foreseen(), []string{"size"})
	if err != nil {
		t.Fatal(err)
	}
	write("policy/more.cedar", "forbid (nonsense")
	if err := l.SetPolicies(ctx, f, true); err != nil {
		t.Fatal(err)
	}
	if err := l.PoliciesHold(ctx, f, true); penumbra.KindOf(err) != penumbra.Invalid || l.needs(penumbra.Adopt) != 1 {
		t.Errorf("beside a mistake: %v", err)
	}
	if _, err := l.Guarding(&penumbra.Drift{ID: "d-8", Resource: "shop/vm.a"}, []string{"size"}); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("proposed beside a mistake: %v", err)
	}

	// Another folder before it is where the next one goes; this one is found where it is.
	if err := os.Mkdir(filepath.Join(l.c.Folder, "newer"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("policy/more.cedar", "")
	l.c.Policy = []string{"newer", "policy"}
	if err := l.CheckPolicies(ctx, f, false); err != nil {
		t.Errorf("in the second folder: %v", err)
	}
	if next, err := l.Guarding(&penumbra.Drift{ID: "d-9", Resource: "shop/vm.b", Findings: foreseen().Findings}, []string{"size"}); err != nil || next.Folder != "newer" {
		t.Errorf("the next one: %+v, %v", next, err)
	}
	l.c.Policy = []string{"policy/people.cedar"}
	if _, err := l.Guarding(foreseen(), []string{"size"}); penumbra.KindOf(err) != penumbra.Missing || !strings.Contains(err.Error(), "no folder of policies is configured") {
		t.Errorf("without a folder: %v", err)
	}
}
