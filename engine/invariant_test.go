package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// TestNothingIsAppliedWithoutItsDecisions takes an office through whatever people,
// the clock, policies, freezes and restarts may do, and at every apply holds what
// is recorded in the store against the plan and against what was allowed then.
func TestNothingIsAppliedWithoutItsDecisions(t *testing.T) {
	t.Parallel()
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		o := newOffice(t)
		w := &watchman{office: o, rt: rt, reached: reached}
		o.onApply = w.check
		o.policy.forbids = func(q *penumbra.PolicyQuestion) bool { return q.By == "mallory" }
		o.policy.closed = func(at time.Time) time.Time { // three of four hours
			if at.Hour()%4 < 3 {
				return time.Time{}
			}
			return at.Truncate(time.Hour).Add(time.Duration(4-at.Hour()%4) * time.Hour)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"approve": w.approve, "and another": w.approve,
			"propose": w.propose, "customise": w.customise, "reject": w.reject, "roll back": w.rollBack,
			"drift": w.drift, "advance": w.advance, "due": w.due, "restart": w.restart,
			"freeze": w.freeze, "lift": w.lift, "policy": w.changePolicy,
		})
		o.stop()
	})
	t.Logf("reached %v", reached)
	for _, what := range []string{"applied", "by two people", "by a policy", "scheduled", "customised", "rolled back", "through a freeze", "refused"} {
		if reached[what] == 0 {
			t.Errorf("nothing was %s: the sequences do not reach far enough (%v)", what, reached)
		}
	}
}

// watchman does at random what may happen, and watches what is applied.
type watchman struct {
	*office
	rt       *rapid.T
	counting sync.Mutex // runs count beside who approves
	reached  map[string]int
	bad      string // what was wrong with an apply
}

// count notes that the sequence came to something.
func (w *watchman) count(what string) {
	w.counting.Lock()
	defer w.counting.Unlock()
	w.reached[what]++
}

// check is called before a plan is applied, by the run that applies it.
func (w *watchman) check(plan penumbra.Plan) {
	wrong := func(format string, args ...any) { w.bad = fmt.Sprintf("plan "+plan.Hash+": "+format, args...) }
	if slices.Contains(w.applied, plan.Hash) {
		wrong("applied a second time")
		return
	}
	proposals, err := w.store.Proposals(w.t.Context(), penumbra.ProposalQuery{})
	if err != nil {
		wrong("%v", err)
		return
	}
	i := slices.IndexFunc(proposals, func(p penumbra.Proposal) bool { return p.Plan != nil && p.Plan.Hash == plan.Hash })
	if i < 0 {
		wrong("no stored proposal has it")
		return
	}
	p := &proposals[i]
	runs, err := w.store.Runs(w.t.Context(), penumbra.RunQuery{Proposal: p.ID})
	if err != nil {
		wrong("%v", err)
		return
	}
	var run penumbra.Run
	var before []string // approvals that earlier runs have used up
	for _, r := range runs {
		if r.State == penumbra.Applying {
			run = r
		} else {
			before = append(before, r.Approvals...)
		}
	}
	decisions, err := w.store.Decisions(w.t.Context(), penumbra.DecisionQuery{Proposal: p.ID})
	if err != nil {
		wrong("%v", err)
		return
	}
	people, policies := map[string]bool{}, 0
	for _, d := range decisions {
		if d.Verb != penumbra.Approve || d.Hash != p.Digest() || !slices.Contains(run.Approvals, d.ID) || slices.Contains(before, d.ID) {
			continue
		}
		if d.By == "policy:test" {
			policies++
		} else {
			people[d.By] = true
		}
	}
	frozen, open := w.frozen(), w.policy.closed(w.time()).IsZero()
	passes := func(what string) bool { return slices.Contains(w.policy.overrides, what) }
	needs := max(1, w.policy.needs)
	switch {
	case run.ID == "":
		wrong("no run of its proposal is recorded as applying")
	case policies > 0 && (!w.policy.automatic || needs > 1 || p.Kind != penumbra.Revert):
		wrong("approved by a policy that does not allow it")
	case policies == 0 && len(people) < needs:
		wrong("approved by %d of %d people", len(people), needs)
	case people["mallory"]:
		wrong("approved by who may not")
	case frozen && !passes(penumbra.OverrideFreeze):
		wrong("applied in a freeze")
	case !open && !passes(penumbra.OverrideFreeze) && !passes(penumbra.OverrideWindow):
		wrong("applied outside of a window")
	}
	w.note(p, len(people), policies, frozen)
}

func (w *watchman) frozen() bool {
	freezes, err := w.store.Freezes(w.t.Context())
	if err != nil {
		w.bad = err.Error()
	}
	return slices.ContainsFunc(freezes, func(f penumbra.Freeze) bool { return f.Lifted.IsZero() && w.time().Before(f.Until) })
}

func (w *watchman) note(p *penumbra.Proposal, people, policies int, frozen bool) {
	w.count("applied")
	for what, so := range map[string]bool{
		"by two people": people == 2, "by three people": people == 3, "by a policy": policies > 0, "customised": p.Kind == penumbra.Custom,
		"rolled back": p.Kind == penumbra.Restore, "through a freeze": frozen,
	} {
		if so {
			w.count(what)
		}
	}
}

// settled waits for the runs that an act started, and fails if one was wrong.
func (w *watchman) settled() {
	w.settle()
	if w.bad != "" {
		w.rt.Fatal(w.bad)
	}
}

// any draws one of all proposals there ever were, mostly one that is open and
// would be applied; a drift and its proposals are made first if there are none.
func (w *watchman) any(rt *rapid.T) (penumbra.Proposal, bool) {
	if _, ok := w.active(); !ok {
		w.office.drift(2)
	}
	w.propose(rt)
	all, err := w.store.Proposals(w.t.Context(), penumbra.ProposalQuery{})
	if err != nil {
		rt.Fatal(err)
	}
	wanted := slices.DeleteFunc(slices.Clone(all), func(p penumbra.Proposal) bool {
		return p.State != penumbra.Proposed || p.Kind == penumbra.IgnoreRule
	})
	if len(wanted) > 0 && rapid.IntRange(0, 11).Draw(rt, "any") != 7 {
		all = wanted
	}
	if len(all) == 0 {
		return penumbra.Proposal{}, false
	}
	// By its place: identifiers are not the same each time.
	slices.SortFunc(all, func(a, b penumbra.Proposal) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return a.Rank - b.Rank
	})
	return all[rapid.IntRange(0, len(all)-1).Draw(rt, "proposal")], true
}

var (
	staff   = []string{"alice", "bob", "carol"}
	others  = []string{" Alice", "mallory", "policy:test", ""}
	anybody = slices.Concat(staff, staff, staff, others)
)

// approve has some people approve a proposal, one after the other.
func (w *watchman) approve(rt *rapid.T) {
	p, ok := w.any(rt)
	if !ok {
		return
	}
	hash := p.Hash
	if rapid.IntRange(0, 11).Draw(rt, "hash") == 7 {
		hash = "another"
	}
	for range rapid.IntRange(1, 4).Draw(rt, "times") {
		a, err := w.engine.Approve(w.t.Context(), p.ID, hash, rapid.SampledFrom(anybody).Draw(rt, "by"))
		switch {
		case err != nil:
			w.count("refused")
		case !a.Scheduled.IsZero():
			w.count("scheduled")
		}
		w.settled()
	}
}

func (w *watchman) active() (penumbra.Drift, bool) {
	d := w.drifts()
	if len(d) == 0 {
		return penumbra.Drift{}, false
	}
	return d[0], true
}

func (w *watchman) propose(*rapid.T) {
	if d, ok := w.active(); ok {
		_, _, _ = w.engine.Proposals(w.t.Context(), d.ID)
	}
}

func (w *watchman) customise(rt *rapid.T) {
	if p, ok := w.any(rt); ok {
		_, _ = w.engine.Customize(w.t.Context(), p.ID, sized(rapid.IntRange(1, 3).Draw(rt, "size")), "alice")
	}
}

func (w *watchman) reject(rt *rapid.T) {
	if p, ok := w.any(rt); ok && rapid.IntRange(0, 3).Draw(rt, "reject") == 2 {
		_ = w.engine.Reject(w.t.Context(), p.ID, "bob", "no")
	}
}

func (w *watchman) rollBack(*rapid.T) {
	runs, err := w.store.Runs(w.t.Context(), penumbra.RunQuery{Limit: 1})
	if err == nil && len(runs) > 0 {
		_, _ = w.engine.Rollback(w.t.Context(), runs[0].ID, "carol")
	}
}

func (w *watchman) drift(rt *rapid.T) { w.office.drift(rapid.IntRange(1, 3).Draw(rt, "size")) }

func (w *watchman) advance(rt *rapid.T) {
	w.office.advance(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 2 * time.Hour, 30 * time.Hour}).Draw(rt, "for"))
}

func (w *watchman) due(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "policy") == 1 {
		w.policy.automatic, w.policy.needs = true, 1
		w.office.drift(2)
	}
	w.jobs.due()
	if err := w.engine.Due(w.t.Context()); err != nil {
		rt.Fatal(err)
	}
	w.settled()
}

func (w *watchman) restart(*rapid.T) {
	w.stop()
	w.start()
}

func (w *watchman) freeze(rt *rapid.T) {
	_, err := w.engine.Freeze(w.t.Context(), penumbra.Freeze{By: "olga", Reason: "the sale", Until: w.now.Add(time.Hour)})
	if err != nil {
		rt.Fatal(err)
	}
	if rapid.Bool().Draw(rt, "emergency") {
		w.policy.overrides, w.policy.needs = []string{penumbra.OverrideFreeze}, 1
	}
}

func (w *watchman) lift(*rapid.T) {
	freezes, err := w.engine.Freezes(w.t.Context())
	if err == nil && len(freezes) > 0 {
		_, _ = w.engine.Unfreeze(w.t.Context(), freezes[len(freezes)-1].ID, "olga")
	}
}

func (w *watchman) changePolicy(rt *rapid.T) {
	w.policy.needs = rapid.SampledFrom([]int{1, 1, 2, 2, 3}).Draw(rt, "needs")
	w.policy.automatic = rapid.Bool().Draw(rt, "automatic")
	w.policy.overrides = rapid.SampledFrom([][]string{nil, nil, {penumbra.OverrideWindow}, {penumbra.OverrideFreeze}}).Draw(rt, "overrides")
}
