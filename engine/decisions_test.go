package engine_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/remediation"
)

const vmA = penumbra.Address("shop/vm.a")

// office is a bench whose one stack can be changed: plans of its one setting
// are made, and applied by the real machine, to the bench's own world.
type office struct {
	*bench
	policy  *rules
	freezes []penumbra.Freeze // of the configuration

	mu      sync.Mutex // the world is changed by runs at work
	plans   int
	applied []string // hashes of the plans applied, in order
	// onApply is called before a plan is applied.
	onApply func(plan penumbra.Plan)
	// refuse, if not nil, is asked before a plan is applied.
	refuse  func() error
	name    string               // of vm.a, by which its metrics are known
	also    func(*engine.Config) // of the configuration
	machine func(*remediation.Machine)
	cases   []decisions.Case // that proposals were made of
}

// rules is a policy that the test sets.
type rules struct {
	needs     int
	automatic bool
	rollsBack bool // by itself
	overrides []string
	closed    func(time.Time) time.Time // when the next window opens, zero if one is open
	refuse    bool                      // what is outside of a window
	forbids   func(q *penumbra.PolicyQuestion) bool
}

func (r *rules) Ask(q *penumbra.PolicyQuestion) penumbra.PolicyAnswer {
	a := penumbra.PolicyAnswer{Verb: q.Verb, By: q.By, Allowed: true, Needs: 1, Reason: "the test says so", Policies: []string{"test"}}
	switch {
	case r.forbids != nil && r.forbids(q):
		a.Allowed = false
	case q.Verb == penumbra.Approve:
		a.Needs = max(1, r.needs)
		a.Allowed = q.By != "" || r.automatic && a.Needs == 1 && q.Proposal.Kind == penumbra.Revert
	case q.Verb == penumbra.RollBack:
		a.Allowed = q.By != "" || r.rollsBack
	case q.Verb == penumbra.CarryOut:
		a.Overrides = r.overrides
	}
	return a
}

func (r *rules) Automatic() bool { return r.automatic }

func (r *rules) Window(_ string, at time.Time) penumbra.Window {
	if r.closed == nil || r.closed(at).IsZero() {
		return penumbra.Window{Open: true}
	}
	return penumbra.Window{Next: r.closed(at)}
}

func (r *rules) Waits() bool { return !r.refuse }

// inMemory returns a folder whose files are in memory, where the system has such:
// these tests write much, and are not about what survives a crash of the machine.
func inMemory(t *testing.T, otherwise string) string {
	dir, err := os.MkdirTemp("/dev/shm", "penumbra-test-")
	if err != nil {
		return otherwise
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// newOffice is an office whose vm.a has drifted from size 1 to size 2.
func newOffice(t *testing.T, changes ...func(*office)) *office {
	t.Helper()
	o := &office{bench: newBench(t), policy: &rules{}}
	o.dir = inMemory(t, o.dir)
	o.config = func(cfg *engine.Config) {
		cfg.Policy, cfg.Freezes = o.policy, o.freezes
		cfg.Stacks[0].Proposer = o
		cfg.Stacks[0].Readers[0].Source = o
		cfg.Stacks[0].Remediator = func(e *engine.Engine) decisions.Remediator {
			m := &remediation.Machine{Workspace: o, Journal: e, Rules: e, Verify: e.Verify, Now: o.time}
			if o.machine != nil {
				o.machine(m)
			}
			return m
		}
		if o.also != nil {
			o.also(cfg)
		}
	}
	for _, change := range changes {
		change(o)
	}
	o.code["vm.a"], o.world["vm.a"] = o.sized(penumbra.Number(1)), o.sized(penumbra.Number(1))
	o.start()
	o.look()
	o.advance(time.Hour)
	o.drift(2)
	return o
}

// drift has somebody change the size, and looks.
func (o *office) drift(size int) {
	o.t.Helper()
	o.mu.Lock()
	o.world["vm.a"] = o.sized(penumbra.Number(float64(size)))
	o.mu.Unlock()
	o.look()
}

// sized is what vm.a is with a size.
func (o *office) sized(size penumbra.Value) penumbra.Settings {
	out := []penumbra.Setting{{Path: "size", Value: size}}
	if o.name != "" {
		out = append(out, penumbra.Setting{Path: "name", Value: penumbra.String(o.name)})
	}
	return penumbra.NewSettings(out...)
}

func (o *office) Read(ctx context.Context) ([]penumbra.Observation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bench.Read(ctx)
}

// plan plans that the size becomes what is wanted, with a hash of its own.
func (o *office) plan(want penumbra.Value) penumbra.Plan {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.plans++
	is := o.world["vm.a"].Get("size")
	plan := penumbra.Plan{Hash: fmt.Sprint("plan-", o.plans), Stack: "shop", Targets: []penumbra.Address{vmA}, Evidence: fmt.Sprint(is, " to ", want), Created: o.time()}
	if is != want {
		plan.Changes = []penumbra.PlannedChange{{Resource: vmA, Type: "vm", Action: penumbra.Update, Changes: []penumbra.PathChange{{Path: "size", Before: is, After: want}}}}
	}
	return plan
}

func (o *office) proposal(c decisions.Case, kind penumbra.ProposalKind, want penumbra.Value) penumbra.Proposal {
	plan := o.plan(want)
	p := penumbra.Proposal{Drift: c.Drift.ID, Kind: kind, Title: string(kind), State: penumbra.Proposed, Rank: 1, Plan: &plan, Created: c.Time}
	if kind != penumbra.Revert {
		p.Values = penumbra.Settings{{Path: "size", Value: want}}
	}
	p.Hash = p.Digest()
	p.ID = "p-" + p.Hash[:8]
	return p
}

func (o *office) Propose(_ context.Context, c decisions.Case) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	o.cases = append(o.cases, c)
	p := o.proposal(c, penumbra.Revert, penumbra.Number(1))
	// Its identifier is the same each time, as that of a real one is.
	rule := penumbra.Proposal{Drift: c.Drift.ID, Kind: penumbra.IgnoreRule, Title: "Ignore it", State: penumbra.Proposed, Rank: 2, Created: c.Time,
		Rule: &penumbra.Rule{ID: "i-" + c.Drift.ID, Pattern: "shop/vm.a.size"}}
	rule.Hash = rule.Digest()
	rule.ID = "p-" + rule.Hash[:8]
	return []penumbra.Proposal{p, rule}, nil, nil
}

func (o *office) Customize(_ context.Context, _ penumbra.Proposal, edit penumbra.Edit, c decisions.Case) (penumbra.Proposal, error) {
	return o.proposal(c, penumbra.Custom, edit.Values[0].Value), nil
}

func (o *office) Part(context.Context, []string, bool, decisions.Case) (penumbra.Proposal, error) {
	return penumbra.Proposal{}, nil
}

func (o *office) Restore(_ context.Context, run penumbra.Run, _ penumbra.Proposal, c decisions.Case) (penumbra.Proposal, error) {
	p := o.proposal(c, penumbra.Restore, run.Before[vmA].Get("size"))
	p.Undoes = run.ID
	p.Hash = p.Digest()
	p.ID = "p-" + p.Hash[:8]
	return p, nil
}

func (o *office) Replan(_ context.Context, plan penumbra.Plan, _ *penumbra.Patch) (penumbra.Plan, error) {
	return o.plan(wanted(plan)), nil
}

func wanted(plan penumbra.Plan) penumbra.Value {
	if plan.IsEmpty() {
		return penumbra.Null()
	}
	return plan.Changes[0].Changes[0].After
}

func (o *office) Apply(_ context.Context, plan penumbra.Plan, _ io.Writer) error {
	if o.onApply != nil {
		o.onApply(plan)
	}
	if o.refuse != nil {
		if err := o.refuse(); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.applied = append(o.applied, plan.Hash)
	o.world["vm.a"] = o.sized(wanted(plan))
	return nil
}

func (o *office) WritePatch(context.Context, penumbra.Patch) error  { return nil }
func (o *office) RevertPatch(context.Context, penumbra.Patch) error { return nil }

// revert returns the proposal to bring vm.a back.
func (o *office) revert() penumbra.Proposal {
	o.t.Helper()
	list, _, err := o.engine.Proposals(o.t.Context(), o.drifts()[0].ID)
	if err != nil {
		o.t.Fatal(err)
	}
	return list[0]
}

// approve approves in somebody's name and waits for a run that starts.
func (o *office) approve(p penumbra.Proposal, by string) penumbra.Approval {
	o.t.Helper()
	a, err := o.engine.Approve(o.t.Context(), p.ID, p.Hash, by)
	if err != nil {
		o.t.Fatalf("%s approves: %v", by, err)
	}
	o.settle()
	return a
}

// refused is an approval that must be refused with words.
func (o *office) refused(p penumbra.Proposal, by, words string) {
	o.t.Helper()
	_, err := o.engine.Approve(o.t.Context(), p.ID, p.Hash, by)
	if penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), words) {
		o.t.Fatalf("%s approves: error %v, want it refused with %q", by, err, words)
	}
}

func (o *office) due() {
	o.t.Helper()
	o.jobs.due()
	if err := o.engine.Due(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	o.settle()
}

func (o *office) state(id string) penumbra.ProposalStatus {
	o.t.Helper()
	p, err := o.engine.Proposal(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return p.State
}

func (o *office) wantApplied(n int) {
	o.t.Helper()
	if len(o.applied) != n {
		o.t.Fatalf("applied %d times, want %d\n%s", len(o.applied), n, o.log.String())
	}
}

func TestTwoPeople(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.policy.needs = 2
	p := o.revert()
	a := o.approve(p, "alice")
	if a.Run != nil || a.Needs != 2 || !slices.Equal(a.By, []string{"alice"}) {
		t.Fatalf("after the first: %+v", a)
	}
	o.wantApplied(0)
	o.refused(p, " ALICE ", "2 different people")
	o.refused(p, "policy:test", "name of a policy")

	o.stop()
	o.start()
	o.advance(time.Hour) // longer than a proposal is shown for without being planned again
	o.look()
	if again := o.revert(); again.ID != p.ID || !slices.Equal(again.ApprovedBy, []string{"alice"}) {
		t.Fatalf("what alice approved has gone: %+v", again)
	}
	a = o.approve(p, "bob")
	if a.Run == nil || !slices.Equal(a.By, []string{"alice", "bob"}) {
		t.Fatalf("after the second: %+v", a)
	}
	o.wantApplied(1)
	runs, err := o.engine.Runs(t.Context(), penumbra.RunQuery{ID: a.Run.ID})
	if err != nil || runs[0].State != penumbra.Done || len(runs[0].Approvals) != 2 || runs[0].Needs != 2 || runs[0].Steps[0].Note != "approved by alice and bob" {
		t.Errorf("%+v, error %v", runs, err)
	}
}

func TestApprovalsAreUsedUp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.policy.needs = 2
	p := o.revert()
	o.approve(p, "alice")
	o.policy.forbids = func(q *penumbra.PolicyQuestion) bool { return q.By == "alice" && q.Verb == penumbra.Approve }
	if a := o.approve(p, "bob"); a.Run != nil || !slices.Equal(a.By, []string{"bob"}) {
		t.Fatalf("alice may not approve any more, and yet: %+v", a)
	}
	if a := o.approve(p, "carol"); a.Run == nil || !slices.Equal(a.By, []string{"bob", "carol"}) {
		t.Fatalf("after the second who may: %+v", a)
	}
	o.wantApplied(1)
}

func TestWindow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opens := o.now.Add(3 * time.Hour)
	o.policy.closed = func(at time.Time) time.Time {
		if at.Before(opens) {
			return opens
		}
		return time.Time{}
	}
	p := o.revert()
	o.policy.refuse = true
	o.refused(p, "alice", "no maintenance window of stack shop is open")
	o.policy.refuse = false
	if a := o.approve(p, "alice"); a.Run != nil || !a.Scheduled.Equal(opens) {
		t.Fatalf("outside of a window: %+v", a)
	}
	o.due()
	o.wantApplied(0)
	o.stop()
	o.start()
	o.look()
	if again := o.revert(); again.ID != p.ID || again.State != penumbra.Scheduled {
		t.Fatalf("%+v", again)
	}
	o.advance(3 * time.Hour)
	o.due()
	o.wantApplied(1)
	if len(o.drifts()) != 0 || o.state(p.ID) != penumbra.Approved {
		t.Errorf("drifts %+v, proposal %s", o.drifts(), o.state(p.ID))
	}
}

func TestWindowIsAskedForAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(o *office, p penumbra.Proposal)
		want   penumbra.ProposalStatus
	}{
		{"the policy asks for more people", func(o *office, _ penumbra.Proposal) { o.policy.needs = 2 }, penumbra.Proposed},
		{"the person may not any more", func(o *office, _ penumbra.Proposal) {
			o.policy.forbids = func(q *penumbra.PolicyQuestion) bool { return q.By == "alice" }
		}, penumbra.Proposed},
		{"the drift has gone", func(o *office, _ penumbra.Proposal) { o.drift(1) }, penumbra.Superseded},
		{"the drift has changed", func(o *office, _ penumbra.Proposal) { o.drift(3) }, penumbra.Superseded},
		{"it is rejected", func(o *office, p penumbra.Proposal) {
			if err := o.engine.Reject(o.t.Context(), p.ID, "bob", "not now"); err != nil {
				o.t.Fatal(err)
			}
		}, penumbra.Rejected},
		{"a freeze holds", func(o *office, _ penumbra.Proposal) { o.freeze() }, penumbra.Scheduled},
		{"the window is missed", func(o *office, _ penumbra.Proposal) { o.advance(22 * time.Hour) }, penumbra.Scheduled},
		{"it has waited too long", func(o *office, _ penumbra.Proposal) { o.advance(8 * 24 * time.Hour) }, penumbra.Superseded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			opens := o.now.Add(3 * time.Hour)
			o.policy.closed = func(at time.Time) time.Time { // an hour each day
				for opens.Add(time.Hour).Before(at) {
					opens = opens.Add(24 * time.Hour)
				}
				if at.Before(opens) {
					return opens
				}
				return time.Time{}
			}
			p := o.revert()
			o.approve(p, "alice")
			o.advance(3 * time.Hour)
			test.change(o, p)
			o.due()
			o.wantApplied(0)
			if got := o.state(p.ID); got != test.want {
				t.Errorf("the proposal is %s, want %s", got, test.want)
			}
		})
	}
}

func (o *office) freeze(stacks ...string) penumbra.Freeze {
	o.t.Helper()
	f, err := o.engine.Freeze(o.t.Context(), penumbra.Freeze{Stacks: stacks, Reason: "the sale", By: "olga", Until: o.now.Add(24 * time.Hour)})
	if err != nil {
		o.t.Fatal(err)
	}
	return f
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.revert()
	f := o.freeze("shop")
	o.refused(p, "alice", "frozen until 2026-03-03T01:00:00Z ("+f.ID+"): the sale")
	o.policy.overrides = []string{penumbra.OverrideWindow}
	o.refused(p, "alice", "frozen")

	o.stop()
	o.start()
	o.refused(p, "alice", "frozen")
	if _, err := o.engine.Unfreeze(t.Context(), f.ID, "olga"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.engine.Unfreeze(t.Context(), f.ID, "olga"); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("lifted twice: %v", err)
	}
	o.approve(p, "alice")
	o.wantApplied(1)

	o.drift(2)
	p = o.revert()
	o.freeze()
	o.refused(p, "alice", "frozen")
	o.policy.overrides = []string{penumbra.OverrideFreeze}
	o.approve(p, "alice")
	o.wantApplied(2)
}

func TestFreezeMistakes(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.freezes = []penumbra.Freeze{{ID: "f-config", Reason: "always", Configured: true, From: o.now}}
	o.stop()
	o.start()
	for name, f := range map[string]penumbra.Freeze{
		"nobody":         {Reason: "why"},
		"a policy":       {Reason: "why", By: "Policy:x"},
		"no reason":      {By: "olga"},
		"past":           {Reason: "why", By: "olga", Until: o.now.Add(-time.Hour)},
		"end first":      {Reason: "why", By: "olga", From: o.now.Add(2 * time.Hour), Until: o.now.Add(time.Hour)},
		"unknown stacks": {Reason: "why", By: "olga", Stacks: []string{"shpo"}},
	} {
		if _, err := o.engine.Freeze(t.Context(), f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := o.engine.Unfreeze(t.Context(), "f-config", "olga"); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("lifting one of the configuration: %v", err)
	}
	o.refused(o.revert(), "alice", "until somebody lifts it (f-config): always")
}

func TestIgnoringWaitsForNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.freeze()
	list, _, err := o.engine.Proposals(t.Context(), o.drifts()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if a := o.approve(list[1], "alice"); a.Run == nil || len(o.drifts()) != 0 {
		t.Errorf("a rule changes neither code nor world, and yet %+v", a)
	}
}

func TestAutomaticApproval(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.due()
	o.wantApplied(0) // off by default
	o.policy.automatic, o.policy.needs = true, 2
	o.due()
	o.wantApplied(0) // a policy is not two people
	o.policy.needs = 1
	o.due()
	o.wantApplied(1)
	decisions, err := o.engine.Decisions(t.Context(), penumbra.DecisionQuery{})
	if err != nil || len(decisions) != 1 || decisions[0].By != "policy:test" || decisions[0].Verb != penumbra.Approve || decisions[0].Hash == "" {
		t.Errorf("%+v, error %v", decisions, err)
	}
	for range 5 { // something sets it again and again
		o.advance(time.Hour)
		o.drift(2)
		o.due()
	}
	o.wantApplied(3)
	o.advance(24 * time.Hour)
	o.due()
	o.wantApplied(4)
}

func TestAutomaticApprovalLeavesToPeopleWhatTheyHave(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.policy.automatic = true
	d := o.drifts()[0]
	if _, err := o.engine.Snooze(t.Context(), d.ID, "alice", "in a meeting", o.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	o.due()
	o.wantApplied(0)
	o.freeze()
	o.advance(time.Hour)
	o.due()
	o.wantApplied(0)
	plans := o.plans
	for range 3 {
		o.due()
	}
	if o.plans != plans {
		t.Errorf("planned %d times more while nothing can be done", o.plans-plans)
	}
	if strings.Contains(o.log.String(), "level=ERROR") {
		t.Errorf("log:\n%s", o.log.String())
	}
	o.advance(24 * time.Hour)
	o.due()
	o.wantApplied(1)
}

func TestRejectedIsNotProposedAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := o.revert()
	if err := o.engine.Reject(t.Context(), p.ID, "alice", "the hot fix stays; token=abcdefgh12345678"); err != nil {
		t.Fatal(err)
	}
	o.advance(time.Hour)
	list, omitted, err := o.engine.Proposals(t.Context(), p.Drift)
	if err != nil || len(list) != 1 || list[0].Kind != penumbra.IgnoreRule || len(omitted) != 1 || !strings.HasPrefix(omitted[0].Reason, "rejected by alice: the hot fix stays") {
		t.Fatalf("proposals %+v, omitted %+v, error %v", list, omitted, err)
	}
	if strings.Contains(omitted[0].Reason, "abcdefgh12345678") {
		t.Error("the reason shows a secret")
	}
	o.drift(3)
	if p := o.revert(); p.Kind != penumbra.Revert {
		t.Errorf("of the drift as it is now %+v", p)
	}
}

func TestPoliciesForbid(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p, d := o.revert(), o.drifts()[0].ID
	frozen, err := o.engine.Freeze(t.Context(), penumbra.Freeze{Reason: "later", By: "alice", Stacks: []string{"shop"}, From: o.now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	o.policy.forbids = func(*penumbra.PolicyQuestion) bool { return true }
	for name, act := range map[string]func() error{
		"approve":   func() error { _, err := o.engine.Approve(t.Context(), p.ID, p.Hash, "alice"); return err },
		"reject":    func() error { return o.engine.Reject(t.Context(), p.ID, "alice", "why") },
		"customize": func() error { _, err := o.engine.Customize(t.Context(), p.ID, sized(3), "alice"); return err },
		"snooze":    func() error { _, err := o.engine.Snooze(t.Context(), d, "alice", "", o.now.Add(time.Hour)); return err },
		"accept":    func() error { _, err := o.engine.Accept(t.Context(), d, "alice", "", time.Time{}); return err },
		"freeze *": func() error {
			_, err := o.engine.Freeze(t.Context(), penumbra.Freeze{Reason: "why", By: "alice"})
			return err
		},
		"unfreeze shop": func() error { _, err := o.engine.Unfreeze(t.Context(), frozen.ID, "alice"); return err },
	} {
		if err := act(); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "alice may not "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	decisions, err := o.engine.Decisions(t.Context(), penumbra.DecisionQuery{})
	if err != nil || len(decisions) != 0 {
		t.Errorf("recorded all the same: %+v, %v", decisions, err)
	}
}

func sized(n int) penumbra.Edit {
	return penumbra.Edit{Values: []penumbra.Setting{{Path: "size", Value: penumbra.Number(float64(n))}}}
}

func TestSnooze(t *testing.T) {
	t.Parallel()
	snoozed := func(t *testing.T) *office {
		o := newOffice(t)
		until := o.now.Add(2 * time.Hour)
		d, err := o.engine.Snooze(t.Context(), o.drifts()[0].ID, "alice", "after lunch", until)
		if err != nil || !d.Snoozed(o.now) || d.SnoozedBy != "alice" || d.SnoozeReason != "after lunch" {
			t.Fatalf("%+v, %v", d, err)
		}
		o.stop()
		o.start()
		o.advance(time.Hour)
		o.look()
		if d := o.drifts()[0]; !d.Snoozed(o.now) {
			t.Fatalf("woken by a look that found nothing new: %+v", d)
		}
		return o
	}
	t.Run("until a time", func(t *testing.T) {
		t.Parallel()
		o := snoozed(t)
		o.advance(time.Hour)
		o.due()
		if d := o.drifts()[0]; !d.SnoozedUntil.IsZero() || d.SnoozedBy != "" || d.Status != penumbra.Open {
			t.Errorf("%+v", d)
		}
	})
	t.Run("until it changes", func(t *testing.T) {
		t.Parallel()
		o := snoozed(t)
		o.drift(3)
		if d := o.drifts()[0]; d.Snoozed(o.now) {
			t.Errorf("%+v", d)
		}
	})
	t.Run("until it is ended", func(t *testing.T) {
		t.Parallel()
		o := snoozed(t)
		d, err := o.engine.Snooze(t.Context(), o.drifts()[0].ID, "bob", "", time.Time{})
		if err != nil || d.Snoozed(o.now) || o.drifts()[0].Snoozed(o.now) {
			t.Errorf("%+v, %v", d, err)
		}
		decisions, err := o.engine.Decisions(t.Context(), penumbra.DecisionQuery{Drift: d.ID})
		if err != nil || len(decisions) != 2 || decisions[0].Reason != "after lunch" || decisions[0].Until.IsZero() || decisions[1].By != "bob" {
			t.Errorf("decisions %+v, %v", decisions, err)
		}
	})
	t.Run("never in the past", func(t *testing.T) {
		t.Parallel()
		o := snoozed(t)
		if _, err := o.engine.Snooze(t.Context(), o.drifts()[0].ID, "bob", "", o.now.Add(-time.Hour)); penumbra.KindOf(err) != penumbra.Invalid {
			t.Error(err)
		}
	})
}

func TestAcceptanceEnds(t *testing.T) {
	t.Parallel()
	for _, declared := range []bool{true, false} {
		accepted := func(t *testing.T) (*office, string) {
			o := newOffice(t)
			if !declared {
				o.drift(1)
				o.code["vm.a"] = set() // the code says nothing of it any more
				for range 40 {
					o.advance(24 * time.Hour)
					o.look()
				}
				o.drift(4)
			}
			d := o.drifts()[0]
			d, err := o.engine.Accept(t.Context(), d.ID, "alice", "hot fix", o.now.Add(2*time.Hour))
			if err != nil || d.Resolution != penumbra.Accepted || d.AcceptedUntil.IsZero() || len(o.drifts()) != 0 {
				t.Fatalf("%+v, %v", d, err)
			}
			o.stop()
			o.start()
			o.advance(time.Hour)
			o.look()
			o.due()
			if len(o.drifts()) != 0 {
				t.Fatalf("open before its time: %+v", o.drifts())
			}
			return o, d.ID
		}
		t.Run(fmt.Sprint("by the clock, declared ", declared), func(t *testing.T) {
			t.Parallel()
			o, id := accepted(t)
			o.advance(time.Hour)
			o.due()
			if d := o.drifts(); len(d) != 1 || d[0].ID != id || d[0].Status != penumbra.Open || !d[0].AcceptedUntil.IsZero() {
				t.Fatalf("%+v", d)
			}
			o.stop()
			o.start()
			o.look()
			if d := o.drifts(); len(d) != 1 || d[0].ID != id {
				t.Fatalf("after a restart: %+v", d)
			}
		})
		t.Run(fmt.Sprint("by a look, declared ", declared), func(t *testing.T) {
			t.Parallel()
			o, id := accepted(t)
			o.advance(2 * time.Hour)
			o.look()
			o.due()
			if d := o.drifts(); len(d) != 1 || d[0].ID != id {
				t.Fatalf("%+v", d)
			}
		})
		t.Run(fmt.Sprint("of what is no longer there, declared ", declared), func(t *testing.T) {
			t.Parallel()
			o, _ := accepted(t)
			o.drift(1)
			before := len(o.drifts())
			o.advance(2 * time.Hour)
			o.due()
			if after := len(o.drifts()); after != before {
				t.Fatalf("%d drifts, %d before: %+v", after, before, o.drifts())
			}
		})
	}
}

func TestPolicyReport(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.policy.needs = 2
	p := o.revert()
	o.approve(p, "alice")
	f := o.freeze()
	r, err := o.engine.Policies(t.Context(), p.ID, "bob")
	if err != nil || len(r.Answers) != len(penumbra.Verbs)+1 || !slices.Equal(r.ApprovedBy, []string{"alice"}) || r.Freeze == nil || r.Freeze.ID != f.ID || !r.InWindow {
		t.Fatalf("%+v, %v", r, err)
	}
	if a := r.Answers[0]; a.Verb != penumbra.Approve || a.By != "bob" || a.Needs != 2 || !a.Allowed {
		t.Errorf("%+v", a)
	}
	if a := r.Answers[len(r.Answers)-1]; a.By != "" || a.Allowed {
		t.Errorf("Penumbra itself: %+v", a)
	}
}
