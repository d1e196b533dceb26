package remediation

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

const (
	drifted = "debug" // what the world holds before a run
	coded   = "info"  // what the code declares before a run
	address = penumbra.Address("shop/conffile_service.queue")
)

// world is one setting of one resource, the code that declares it, the rules
// and the journal, all in memory. A fault hook is called before and after each
// effect; it may return an error or panic as a kill would.
type world struct {
	actual, code string
	rules        map[string]penumbra.Rule
	stored       map[string]penumbra.Run
	states       []penumbra.RunState // in the order in which they were recorded
	applies      int
	log          string
	fault        func(point string) error
}

func newWorld() *world {
	return &world{
		actual: drifted, code: coded, rules: map[string]penumbra.Rule{}, stored: map[string]penumbra.Run{},
		fault: func(string) error { return nil },
	}
}

func (w *world) planFor(code string) penumbra.Plan {
	plan := penumbra.Plan{Hash: "h", Stack: "shop", Targets: []penumbra.Address{address}, Evidence: code + "<-" + w.actual}
	if code != w.actual {
		plan.Changes = []penumbra.PlannedChange{{Resource: address, Action: penumbra.Update, Changes: []penumbra.PathChange{
			{Path: "log_level", Before: penumbra.String(w.actual), After: penumbra.String(code)},
		}}}
	}
	return plan
}

func (w *world) Replan(_ context.Context, _ penumbra.Plan, patch *penumbra.Patch) (penumbra.Plan, error) {
	if err := w.fault("replan"); err != nil {
		return penumbra.Plan{}, err
	}
	code := w.code
	if patch != nil {
		if patch.Files[0].Before != w.code {
			return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Stale, What: "the code moved"}
		}
		code = patch.Files[0].After
	}
	return w.planFor(code), nil
}

func (w *world) Apply(_ context.Context, plan penumbra.Plan, log io.Writer) error {
	w.applies++
	if err := w.fault("apply"); err != nil {
		return err
	}
	_, _ = io.WriteString(log, w.log)
	w.actual = plan.Changes[0].Changes[0].After.Text()
	return w.fault("applied")
}

func (w *world) WritePatch(_ context.Context, patch penumbra.Patch) error {
	if err := w.fault("write"); err != nil {
		return err
	}
	if w.code != patch.Files[0].Before {
		return &penumbra.Error{Kind: penumbra.Stale, What: "the code moved"}
	}
	w.code = patch.Files[0].After
	return w.fault("written")
}

func (w *world) RevertPatch(_ context.Context, patch penumbra.Patch) error {
	if err := w.fault("take back"); err != nil {
		return err
	}
	switch w.code {
	case patch.Files[0].After:
		w.code = patch.Files[0].Before
	case patch.Files[0].Before:
	default:
		return &penumbra.Error{Kind: penumbra.Stale, What: "the code moved"}
	}
	return nil
}

func (w *world) SaveRun(_ context.Context, run penumbra.Run) error {
	if err := w.fault("save " + run.State.String()); err != nil {
		return err
	}
	if old, ok := w.stored[run.ID]; ok && old.State.Ended() {
		return &penumbra.Error{Kind: penumbra.Refused, What: "the run has ended"}
	}
	w.stored[run.ID] = run
	w.states = append(w.states, run.State)
	return w.fault("saved " + run.State.String())
}

func (w *world) SaveRule(_ context.Context, rule penumbra.Rule) error {
	if err := w.fault("rule"); err != nil {
		return err
	}
	w.rules[rule.ID] = rule
	return w.fault("ruled")
}

func (w *world) DeleteRule(_ context.Context, id string) error {
	if err := w.fault("unrule"); err != nil {
		return err
	}
	delete(w.rules, id)
	return w.fault("unruled")
}

func (w *world) kept(p *penumbra.Proposal) bool {
	switch {
	case p.Kind == penumbra.Restore:
		return w.actual == drifted
	case p.Kind == penumbra.IgnoreRule:
		return len(w.rules) == 1
	default:
		return w.actual == w.code
	}
}

func (w *world) machine() *Machine {
	return &Machine{
		Workspace: w, Journal: w, Rules: w,
		Now: func() time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC) },
		Verify: func(_ context.Context, _ penumbra.Run, p penumbra.Proposal) ([]penumbra.Finding, error) {
			if err := w.fault("verify"); err != nil {
				return nil, err
			}
			if w.kept(&p) {
				return nil, nil
			}
			return []penumbra.Finding{{Path: "log_level", Template: penumbra.String(w.code), Actual: penumbra.String(w.actual)}}, nil
		},
	}
}

func patchTo(before, after string) *penumbra.Patch {
	return &penumbra.Patch{Stack: "shop", Files: []penumbra.FilePatch{{Path: "main.tf", Base: before, Before: before, After: after}}}
}

// proposalOf returns a proposal of the kind, as package proposal would make it
// in this world.
func (w *world) proposalOf(kind penumbra.ProposalKind) penumbra.Proposal {
	p := penumbra.Proposal{ID: "p-1", Drift: "d-1", Kind: kind}
	plan := func(code string) *penumbra.Plan { x := w.planFor(code); return &x }
	switch kind {
	case penumbra.Revert:
		p.Plan = plan(w.code)
	case penumbra.Adopt, penumbra.IgnoreChanges:
		p.Patch, p.Plan = patchTo(w.code, w.actual), plan(w.actual)
	case penumbra.Custom:
		p.Patch, p.Plan = patchTo(w.code, "warning"), plan("warning")
	case penumbra.Restore:
		p.Scratch, p.Plan = patchTo(w.code, drifted), plan(drifted)
	case penumbra.IgnoreRule:
		p.Rule = &penumbra.Rule{ID: "r-1", Pattern: "shop/conffile_service.queue.log_level"}
	}
	p.Hash = p.Digest()
	return p
}

func approved(p penumbra.Proposal) (penumbra.Run, penumbra.Decision) {
	return penumbra.Run{ID: "run-1", Proposal: p.ID, Decision: "dec-1", Drift: p.Drift, Stack: "shop"},
		penumbra.Decision{ID: "dec-1", Proposal: p.ID, Verb: penumbra.Approve, Hash: p.Hash, By: "alice"}
}

func TestExecuteEndsDone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind         penumbra.ProposalKind
		actual, code string
		applies      int
	}{
		{penumbra.Revert, coded, coded, 1},
		{penumbra.Adopt, drifted, drifted, 0},
		{penumbra.IgnoreChanges, drifted, drifted, 0},
		{penumbra.Custom, "warning", "warning", 1},
		{penumbra.IgnoreRule, drifted, coded, 0},
		{penumbra.Restore, drifted, coded, 1},
	}
	for _, test := range tests {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			if test.kind == penumbra.Restore {
				w.actual = coded
			}
			p := w.proposalOf(test.kind)
			run, decision := approved(p)
			m := w.machine()
			m.Watch = time.Minute
			run, err := m.Execute(t.Context(), run, p, decision)
			if err != nil || run.State != penumbra.Done {
				t.Fatalf("run is %s (%s), error %v", run.State, run.Outcome, err)
			}
			// Only what changed the world can have hurt it.
			if watched := run.Watch != nil && run.Watch.Until.Equal(run.Ended.Add(time.Minute)); watched != (test.applies > 0) {
				t.Errorf("the watch is %+v", run.Watch)
			}
			if w.actual != test.actual || w.code != test.code || w.applies != test.applies {
				t.Errorf("world is %q, code %q after %d applies; want %q, %q, %d", w.actual, w.code, w.applies, test.actual, test.code, test.applies)
			}
			want := []penumbra.RunState{penumbra.Checking, penumbra.Applying, penumbra.Verifying, penumbra.Done}
			if !slices.Equal(w.states, want) {
				t.Errorf("recorded %v, want %v", w.states, want)
			}
			if run.Ended.IsZero() || len(run.Steps) != 4 {
				t.Errorf("ended %v after %d steps", run.Ended, len(run.Steps))
			}
		})
	}
}

func TestRestoreOfARuleDeletesIt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.rules["r-1"] = penumbra.Rule{ID: "r-1"}
	p := penumbra.Proposal{ID: "p-1", Kind: penumbra.Restore, Rule: &penumbra.Rule{ID: "r-1"}}
	p.Hash = p.Digest()
	run, decision := approved(p)
	if run, err := w.machine().Execute(t.Context(), run, p, decision); err != nil {
		t.Fatal(run.Outcome, err)
	}
	if len(w.rules) != 0 {
		t.Errorf("rules left: %v", w.rules)
	}
}

func TestExecuteRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*penumbra.Run, *penumbra.Proposal, *penumbra.Decision)
	}{
		{"no decision named", func(r *penumbra.Run, _ *penumbra.Proposal, d *penumbra.Decision) { r.Decision, d.ID = "", "" }},
		{"another decision", func(r *penumbra.Run, _ *penumbra.Proposal, _ *penumbra.Decision) { r.Decision = "dec-2" }},
		{"another proposal", func(_ *penumbra.Run, _ *penumbra.Proposal, d *penumbra.Decision) { d.Proposal = "p-2" }},
		{"a rejection", func(_ *penumbra.Run, _ *penumbra.Proposal, d *penumbra.Decision) { d.Verb = penumbra.Reject }},
		{"another hash", func(_ *penumbra.Run, _ *penumbra.Proposal, d *penumbra.Decision) { d.Hash = "other" }},
		{"no hash", func(_ *penumbra.Run, p *penumbra.Proposal, d *penumbra.Decision) { p.Hash, d.Hash = "", "" }},
		{"a plan swapped after approval", func(_ *penumbra.Run, p *penumbra.Proposal, _ *penumbra.Decision) { p.Plan.Hash = "swapped" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			p := w.proposalOf(penumbra.Revert)
			run, decision := approved(p)
			test.spoil(&run, &p, &decision)
			run, err := w.machine().Execute(t.Context(), run, p, decision)
			if penumbra.KindOf(err) != penumbra.Refused || run.State != penumbra.Failed {
				t.Errorf("run is %s, error %v; want failed and refused", run.State, err)
			}
			if w.applies != 0 || w.actual != drifted {
				t.Errorf("the world was changed: %+v", w)
			}
		})
	}
}

func TestExecuteNeedsAsManyPeople(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(run *penumbra.Run, second *penumbra.Decision)
		ok     bool
	}{
		{"two", func(*penumbra.Run, *penumbra.Decision) {}, true},
		{"one twice", func(_ *penumbra.Run, d *penumbra.Decision) { d.By = " ALICE" }, false},
		{"one on another plan", func(_ *penumbra.Run, d *penumbra.Decision) { d.Hash = "other" }, false},
		{"one who rejects", func(_ *penumbra.Run, d *penumbra.Decision) { d.Verb = penumbra.Reject }, false},
		{"one who is not recorded", func(r *penumbra.Run, _ *penumbra.Decision) { r.Approvals[1] = "dec-9" }, false},
		{"three are needed", func(r *penumbra.Run, _ *penumbra.Decision) { r.Needs = 3 }, false},
		{"without the one that started it", func(r *penumbra.Run, _ *penumbra.Decision) { r.Decision = "dec-9" }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			p := w.proposalOf(penumbra.Revert)
			run, first := approved(p)
			second := first
			first.By, second.ID, second.By = "alice", "dec-2", "bob"
			run.Needs, run.Approvals = 2, []string{first.ID, second.ID}
			test.change(&run, &second)
			run, err := w.machine().Execute(t.Context(), run, p, first, second)
			if test.ok != (err == nil) || test.ok != (w.applies == 1) || !test.ok && penumbra.KindOf(err) != penumbra.Refused {
				t.Errorf("run is %s after %d applies, error %v", run.State, w.applies, err)
			}
		})
	}
}

func TestExecuteRunsOnceOnly(t *testing.T) {
	t.Parallel()
	w := newWorld()
	p := w.proposalOf(penumbra.Revert)
	planned, decision := approved(p)
	m := w.machine()
	if _, err := m.Execute(t.Context(), planned, p, decision); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Execute(t.Context(), planned, p, decision); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("second time: error %v, want refused", err)
	}
	if w.applies != 1 {
		t.Errorf("applied %d times", w.applies)
	}
}

func TestExecuteStops(t *testing.T) {
	t.Parallel()
	broken := errors.New("the provider crashed")
	failing := func(point string, err error) func(*world) {
		return func(w *world) {
			w.fault = func(p string) error {
				if p == point {
					return err
				}
				return nil
			}
		}
	}
	locked := &penumbra.Error{Kind: penumbra.Locked, What: "the state is locked"}
	tests := []struct {
		name    string
		kind    penumbra.ProposalKind
		arrange func(*world)
		state   penumbra.RunState
		outcome string
		code    string
	}{
		{"the world moved", penumbra.Revert, func(w *world) { w.actual = "error" }, penumbra.Failed,
			`nothing was changed: the world has moved since the plan was approved: now update shop/conffile_service.queue: log_level from "error" to "info"; no longer update`, coded},
		{"the code moved", penumbra.Adopt, func(w *world) { w.code = "error" }, penumbra.Failed, "the code moved", "error"},
		{"planning again fails", penumbra.Revert, failing("replan", broken), penumbra.Failed, "the provider crashed", coded},
		{"the journal is away", penumbra.Revert, failing("save applying", broken), penumbra.Failed, "nothing was changed", coded},
		{"the state is locked", penumbra.Custom, failing("apply", locked), penumbra.Failed, "the state is locked", coded},
		{"the apply fails and did nothing", penumbra.Custom, failing("apply", broken), penumbra.Failed, "the provider crashed", coded},
		{"the apply fails half-way", penumbra.Custom, failing("applied", broken), penumbra.Halted, "a person must look: apply: the provider crashed", "warning"},
		{"the patch is written and an error follows", penumbra.Adopt, failing("written", broken), penumbra.Failed, "nothing was changed", coded},
		{"the rule is not saved", penumbra.IgnoreRule, failing("rule", broken), penumbra.Failed, "the provider crashed", coded},
		{"verifying fails", penumbra.Revert, failing("verify", broken), penumbra.Halted, "verify: the provider crashed", coded},
		{"somebody sets it again", penumbra.Revert, func(w *world) {
			w.fault = func(p string) error {
				if p == "applied" {
					w.actual = "trace"
				}
				return nil
			}
		}, penumbra.Halted, `the drift is still there: log_level is "trace", the code says "info"`, coded},
		{"the patched code wants changes", penumbra.Adopt, func(w *world) {
			w.fault = func(p string) error {
				if p == "written" {
					w.actual = "trace"
				}
				return nil
			}
		}, penumbra.Failed, "the patched code still wants changes", coded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			p := w.proposalOf(test.kind)
			test.arrange(w)
			run, decision := approved(p)
			run, err := w.machine().Execute(t.Context(), run, p, decision)
			if err == nil || run.State != test.state || !strings.Contains(run.Outcome, test.outcome) {
				t.Errorf("run is %s: %q (error %v); want %s: %q", run.State, run.Outcome, err, test.state, test.outcome)
			}
			if w.code != test.code {
				t.Errorf("the code is %q, want %q", w.code, test.code)
			}
		})
	}
}

func TestInterruptBeforeApplyingStopsAndAfterDoesNot(t *testing.T) {
	t.Parallel()
	for point, want := range map[string]penumbra.RunState{"replan": penumbra.Failed, "apply": penumbra.Done} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			ctx, cancel := context.WithCancel(t.Context())
			w.fault = func(p string) error {
				if p == point {
					cancel()
				}
				return nil
			}
			p := w.proposalOf(penumbra.Revert)
			run, decision := approved(p)
			run, _ = w.machine().Execute(ctx, run, p, decision)
			if run.State != want || w.stored[run.ID].State != want {
				t.Errorf("run is %s, stored %s; want %s", run.State, w.stored[run.ID].State, want)
			}
		})
	}
}

// killed is what a fault panics with in place of a kill of the process.
type killed struct{}

// TestEveryRunEnds injects errors, kills and interrupts at every point, brings
// the machine up again and holds the outcome against what the package
// guarantees.
func TestEveryRunEnds(t *testing.T) {
	t.Parallel()
	kinds := []penumbra.ProposalKind{penumbra.Revert, penumbra.Adopt, penumbra.IgnoreChanges, penumbra.Custom, penumbra.IgnoreRule, penumbra.Restore}
	reached := map[penumbra.RunState]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		if kind == penumbra.Restore {
			w.actual = coded
		}
		p := w.proposalOf(kind)
		run, decision := approved(p)
		valid := rapid.IntRange(0, 9).Draw(t, "decision") > 0
		if !valid {
			decision.Hash = "another"
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		before := *w
		w.stored[run.ID] = run
		w.fault = func(point string) error {
			// Not the small and the outermost numbers, which are drawn far more often:
			// some runs must get to their end.
			switch rapid.IntRange(0, 29).Draw(t, point) {
			case 7, 8:
				return errors.New("injected at " + point)
			case 11, 12:
				return &penumbra.Error{Kind: penumbra.Unavailable, What: "injected at " + point}
			case 17, 18:
				panic(killed{})
			case 22, 23:
				cancel()
			}
			return nil
		}
		func() {
			defer func() {
				if r := recover(); r != nil && r != (killed{}) {
					panic(r)
				}
			}()
			_, _ = w.machine().Execute(ctx, run, p, decision)
		}()

		w.fault = func(string) error { return nil }
		if _, err := w.machine().Recover(context.Background(), w.stored[run.ID], p); err != nil {
			t.Fatal(err)
		}
		end := w.stored[run.ID]
		switch {
		case !end.State.Ended():
			t.Fatalf("the run is left %s", end.State)
		case end.Outcome == "":
			t.Fatalf("%s without an outcome", end.State)
		case w.applies > 1:
			t.Fatalf("applied %d times", w.applies)
		case !valid && w.applies+len(w.rules) > 0:
			t.Fatal("changed something without a decision")
		case end.State == penumbra.Done && !w.kept(&p):
			t.Fatalf("done, but the promise of %s is not kept", kind)
		case end.State == penumbra.Failed && (w.actual != before.actual || w.code != before.code || len(w.rules) > 0):
			t.Fatalf("failed, but the world went from %q/%q to %q/%q", before.actual, before.code, w.actual, w.code)
		}
		reached[end.State]++
	})
	for _, state := range []penumbra.RunState{penumbra.Done, penumbra.Failed, penumbra.Halted} {
		if reached[state] == 0 {
			t.Errorf("no run ended %s: the faults do not reach far enough (%v)", state, reached)
		}
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		state  penumbra.RunState
		actual string
		want   penumbra.RunState
	}{
		{"planned", penumbra.Planned, drifted, penumbra.Failed},
		{"checking", penumbra.Checking, drifted, penumbra.Failed},
		{"applying, not come far", penumbra.Applying, drifted, penumbra.Halted},
		{"applying, and it had worked", penumbra.Applying, coded, penumbra.Done},
		{"verifying", penumbra.Verifying, coded, penumbra.Done},
		{"ended before", penumbra.Halted, drifted, penumbra.Halted},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			p := w.proposalOf(penumbra.Revert)
			run, _ := approved(p)
			run.State, run.Log, w.actual = test.state, "what was said before\n", test.actual
			ended, err := w.machine().Recover(t.Context(), run, p)
			if err != nil || ended.State != test.want {
				t.Fatalf("recovered %+v, error %v; want %s", ended, err, test.want)
			}
			if w.applies != 0 || ended.Log != run.Log {
				t.Errorf("%d applies, log %q", w.applies, ended.Log)
			}
		})
	}
}

func TestRecoverWithoutProposalHalts(t *testing.T) {
	t.Parallel()
	w := newWorld()
	ended, err := w.machine().Recover(t.Context(), penumbra.Run{ID: "r", Proposal: "gone", State: penumbra.Applying}, penumbra.Proposal{})
	if err != nil || ended.State != penumbra.Halted {
		t.Errorf("recovered %+v, error %v", ended, err)
	}
}

func TestLogIsRedacted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.log = "updating\npassword = hunter2-hunter2\npassword:\n  hunter2\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\ndone\nno newline"
	p := w.proposalOf(penumbra.Revert)
	run, decision := approved(p)
	run, err := w.machine().Execute(t.Context(), run, p, decision)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "MIIEow"} {
		if strings.Contains(run.Log, secret) {
			t.Errorf("the log shows %q:\n%s", secret, run.Log)
		}
	}
	for _, word := range []string{"updating\n", "done\n", "no newline"} {
		if !strings.Contains(run.Log, word) {
			t.Errorf("the log lost %q:\n%s", word, run.Log)
		}
	}
}

// What the tools write can be read while they run, by others, and redacted.
func TestLogIsLive(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.log = "updating\npassword = hunter2-hunter2\nnot ended yet"
	p := w.proposalOf(penumbra.Revert)
	run, decision := approved(p)
	m := w.machine()
	var seen string
	w.fault = func(point string) error {
		if text, ok := m.Log(run.ID); ok && point == "applied" {
			seen = text
		}
		if _, other := m.Log("run-2"); other {
			t.Error("another run has a log")
		}
		return nil
	}
	run, err := m.Execute(t.Context(), run, p, decision)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(seen, "updating\npassword = [redacted]") || strings.Contains(seen, "not ended") || !strings.Contains(run.Log, "not ended yet") {
		t.Fatalf("while it ran: %q; in the end: %q", seen, run.Log)
	}
	if _, ok := m.Log(run.ID); ok {
		t.Error("a run that has ended has a live log")
	}
}

func TestLogIsBoundedAndSplitWritesChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.StringMatching(`[a-z =\n]{0,200}`), 0, 20).Draw(t, "text"), "token=abcdefgh\n")
		text = strings.Repeat(text, rapid.IntRange(1, 60).Draw(t, "times"))
		var whole, split runLog
		_, _ = io.WriteString(&whole, text)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, max(1, len(text)/3)).Draw(t, "n")
			n = min(n, len(rest))
			_, _ = io.WriteString(&split, rest[:n])
			rest = rest[n:]
		}
		a, b := whole.String(), split.String()
		if a != b {
			t.Fatalf("written at once:\n%q\nin pieces:\n%q", a, b)
		}
		if len(a) > logHead+logTail+100 || strings.Contains(a, "abcdefgh") {
			t.Fatalf("%d bytes kept, secret shown: %v", len(a), strings.Contains(a, "abcdefgh"))
		}
	})
}
