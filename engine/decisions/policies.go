package decisions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// everybody is the policy of an engine that was given none.
type everybody struct{}

func (everybody) Ask(q *penumbra.PolicyQuestion) penumbra.PolicyAnswer {
	a := penumbra.PolicyAnswer{Verb: q.Verb, By: q.By, Allowed: q.By != "" || q.Verb == penumbra.CarryOut, Needs: 1, Reason: "no policy is configured: people may do everything"}
	if !a.Allowed {
		a.Reason = "no policy is configured that lets Penumbra approve"
	}
	return a
}

func (everybody) Automatic() bool { return false }

func (everybody) Window(string, time.Time) penumbra.Window { return penumbra.Window{Open: true} }

func (everybody) Waits() bool { return true }

// isPerson returns an error if a name stands for a policy.
func isPerson(by string) error {
	if strings.HasPrefix(strings.ToLower(by), penumbra.PolicyPrefix) {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%q is the name of a policy", by), Remedy: "decide in your own name"}
	}
	return nil
}

// refusal is the error of an act that policies do not allow.
func refusal(act string, a penumbra.PolicyAnswer) error {
	by := a.By
	if by == "" {
		by = "Penumbra"
	}
	return &penumbra.Error{
		Kind: penumbra.Refused, What: fmt.Sprintf("%s may not %s: %s", by, act, a.Reason),
		Remedy: "see `penumbra policy test` for what is allowed, and ask somebody who may",
	}
}

// matter is what policies are asked about: a proposal, its drift and the
// circumstances.
type matter struct {
	at       time.Time
	proposal *penumbra.Proposal // nil of an act on the drift alone
	drift    *penumbra.Drift
	window   penumbra.Window
	freeze   *penumbra.Freeze // that holds, nil if none does
	// given are the approvals of this very plan that no run has used up.
	given []penumbra.Decision
	today int // runs on the resource that a policy approved
}

func (b *Board) matter(ctx context.Context, p *penumbra.Proposal, d *penumbra.Drift) (*matter, error) {
	x := &matter{at: b.cfg.Clock(), proposal: p, drift: d}
	x.window = b.cfg.Policy.Window(d.Resource.Stack(), x.at)
	freezes, err := b.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	for i := range freezes {
		// Of several the one that holds longest is told.
		if f := &freezes[i]; f.Holds(d.Resource.Stack(), x.at) && (x.freeze == nil || f.Until.IsZero() || !x.freeze.Until.IsZero() && f.Until.After(x.freeze.Until)) {
			x.freeze = f
		}
	}
	if x.today, err = b.runsToday(ctx, d.Resource, x.at); err != nil || p == nil {
		return x, err
	}
	decisions, err := b.cfg.Store.Decisions(ctx, penumbra.DecisionQuery{Proposal: p.ID})
	if err != nil {
		return nil, err
	}
	runs, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Proposal: p.ID})
	if err != nil {
		return nil, err
	}
	for _, g := range decisions {
		used := slices.ContainsFunc(runs, func(r penumbra.Run) bool { return r.Decision == g.ID || slices.Contains(r.Approvals, g.ID) })
		if g.Verb == penumbra.Approve && g.Hash == p.Hash && !used {
			x.given = append(x.given, g)
		}
	}
	return x, nil
}

// runsToday counts the runs on a resource within the last 24 hours that a policy
// approved.
func (b *Board) runsToday(ctx context.Context, address penumbra.Address, at time.Time) (int, error) {
	runs, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Stack: address.Stack(), Limit: outcomesLearnt})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, run := range runs {
		if _, on := run.Before[address]; !on || at.Sub(run.Started) > 24*time.Hour {
			continue
		}
		decisions, err := b.cfg.Store.Decisions(ctx, penumbra.DecisionQuery{Proposal: run.Proposal})
		if err != nil {
			return 0, err
		}
		if slices.ContainsFunc(decisions, func(d penumbra.Decision) bool { return d.ID == run.Decision && isPerson(d.By) != nil }) {
			n++
		}
	}
	return n, nil
}

// approving is the act by which somebody approves: Penumbra itself approves a way
// back only by what lets it roll back.
func (x *matter) approving(by string) penumbra.Verb {
	if (by == "" || isPerson(by) != nil) && x.proposal.Kind == penumbra.Restore {
		return penumbra.RollBack
	}
	return penumbra.Approve
}

// question puts a question about the matter; by "" is Penumbra itself, and so is
// the name of a policy.
func (x *matter) question(verb penumbra.Verb, by string) *penumbra.PolicyQuestion {
	if isPerson(by) != nil {
		by = ""
	}
	return &penumbra.PolicyQuestion{
		By: by, Verb: verb, Proposal: x.proposal, Drift: x.drift, Time: x.at, InWindow: x.window.Open, Frozen: x.freeze != nil,
		ApprovedBy: namesOf(x.given), RunsToday: x.today,
	}
}

// tally returns the earlier approvals that still count by the policies of now,
// one a person, and how many people have to approve in all.
func (x *matter) tally(policy Policy, needs int) ([]penumbra.Decision, int) {
	var counted []penumbra.Decision
	for _, g := range x.given {
		if slices.ContainsFunc(counted, func(c penumbra.Decision) bool { return penumbra.SamePerson(c.By, g.By) }) {
			continue
		}
		if a := policy.Ask(x.question(x.approving(g.By), g.By)); a.Allowed {
			needs = max(needs, a.Needs)
			counted = append(counted, g)
		}
	}
	return counted, max(1, needs)
}

// due returns when a run may start, zero for now. It returns an error of kind
// Refused if it may not: because of a freeze, or, of the last approval, because
// of a policy or the window.
func (x *matter) due(policy Policy, by string, last bool) (time.Time, error) {
	a := policy.Ask(x.question(penumbra.CarryOut, by))
	stack := x.drift.Resource.Stack()
	if f := x.freeze; f != nil && x.proposal.Touches() && !(a.Allowed && a.Passes(penumbra.OverrideFreeze)) {
		until := "until somebody lifts it"
		if !f.Until.IsZero() {
			until = "until " + f.Until.UTC().Format(time.RFC3339)
		}
		return time.Time{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("stack %s is frozen %s (%s): %s", stack, until, f.ID, f.Reason), Remedy: "wait, lift it with `penumbra unfreeze`, or have a policy name it an emergency with @overrides(\"freeze\")"}
	}
	if !last {
		return time.Time{}, nil
	}
	if !a.Allowed {
		return time.Time{}, refusal("carry out "+x.proposal.ID, a)
	}
	if x.window.Open || !x.proposal.Touches() || a.Passes(penumbra.OverrideWindow) || a.Passes(penumbra.OverrideFreeze) {
		return time.Time{}, nil
	}
	next := x.window.Next
	what := fmt.Sprintf("no maintenance window of stack %s is open; the next opens at %s", stack, next.UTC().Format(time.RFC3339))
	switch {
	case !policy.Waits():
		return time.Time{}, &penumbra.Error{Kind: penumbra.Refused, What: what, Remedy: "approve it then, or set `outside_window: wait` in penumbra.yaml"}
	case next.Sub(x.proposal.Created) > approvalHolds:
		return time.Time{}, &penumbra.Error{Kind: penumbra.Refused, What: what + ", and saved plans are not kept so long", Remedy: "plan and approve it nearer to the window"}
	}
	return next, nil
}

// mayAct returns an error of kind Refused if somebody may not act on a proposal,
// or with p nil on a drift.
func (b *Board) mayAct(ctx context.Context, verb penumbra.Verb, by string, p *penumbra.Proposal, d *penumbra.Drift) error {
	if err := isPerson(by); err != nil {
		return err
	}
	if by == "" {
		by = "unknown" // not Penumbra itself
	}
	x, err := b.matter(ctx, p, d)
	if err != nil {
		return err
	}
	id := d.ID
	if p != nil {
		id = p.ID
	}
	if a := b.cfg.Policy.Ask(x.question(verb, by)); !a.Allowed {
		return refusal(strings.ReplaceAll(string(verb), "_", " ")+" "+id, a)
	}
	return nil
}

// Policies says what policies answer for each act on a proposal by a person, and
// whether Penumbra would approve it itself.
func (b *Board) Policies(ctx context.Context, id, by string) (penumbra.PolicyReport, error) {
	p, err := b.Proposal(ctx, id)
	if err != nil {
		return penumbra.PolicyReport{}, err
	}
	d, err := b.cfg.World.Drift(ctx, p.Drift)
	if err != nil {
		return penumbra.PolicyReport{}, err
	}
	x, err := b.matter(ctx, &p, &d)
	if err != nil {
		return penumbra.PolicyReport{}, err
	}
	given, _ := x.tally(b.cfg.Policy, 1)
	report := penumbra.PolicyReport{
		Proposal: p.ID, Drift: d.ID, By: by, Time: x.at, ApprovedBy: namesOf(given),
		InWindow: x.window.Open, NextWindow: x.window.Next, Freeze: x.freeze,
	}
	if by != "" {
		for _, verb := range penumbra.Verbs {
			report.Answers = append(report.Answers, b.cfg.Policy.Ask(x.question(verb, by)))
		}
	}
	report.Answers = append(report.Answers, b.cfg.Policy.Ask(x.question(x.approving(""), "")))
	return report, nil
}
