package decisions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/randomid"
)

// Approve records a person's approval of exactly the plan with the hash. With
// the approval of the last person needed the run starts, or waits for its
// maintenance window; it goes on after the call returns and whatever becomes of
// ctx.
func (b *Board) Approve(ctx context.Context, id, hash, by string) (penumbra.Approval, error) {
	by = strings.TrimSpace(by)
	if by == "" {
		return penumbra.Approval{}, &penumbra.Error{Kind: penumbra.Invalid, What: "the approval names nobody", Remedy: "say who approves"}
	}
	if err := isPerson(by); err != nil {
		return penumbra.Approval{}, err
	}
	b.deciding.Lock()
	defer b.deciding.Unlock()
	return b.approve(ctx, id, hash, by, "")
}

// approve is Approve, with a reason to record; by "" is Penumbra itself. b.deciding
// is held.
func (b *Board) approve(ctx context.Context, id, hash, by, reason string) (penumbra.Approval, error) {
	var none penumbra.Approval
	p, err := b.open(ctx, id)
	if err != nil {
		return none, err
	}
	if hash != p.Hash {
		return none, &penumbra.Error{
			Kind: penumbra.Stale, What: fmt.Sprintf("proposal %s is not the one that was shown: its hash is %.12s, not %.12s", id, p.Hash, hash),
			Remedy: "look at the proposal again and approve what it shows",
		}
	}
	d, err := b.cfg.World.Drift(ctx, p.Drift)
	if err != nil {
		return none, err
	}
	if !d.Active() && p.Kind != penumbra.Restore {
		return none, &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("drift %s is resolved already (%s)", d.ID, d.Resolution)}
	}
	s := b.cfg.Stacks[d.Resource.Stack()]
	if s == nil || s.Remediator == nil {
		return none, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("nothing can be carried out on stack %q", d.Resource.Stack())}
	}
	x, err := b.matter(ctx, &p, &d)
	if err != nil {
		return none, err
	}
	if slices.ContainsFunc(x.given, func(g penumbra.Decision) bool { return penumbra.SamePerson(g.By, by) }) {
		return none, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s has approved %s already, and %d different people have to", by, id, p.Needs), Remedy: "ask somebody else to approve it"}
	}
	answer := b.cfg.Policy.Ask(x.question(x.approving(by), by))
	if !answer.Allowed {
		return none, refusal("approve "+id, answer)
	}
	if by == "" {
		by = penumbra.PolicyPrefix + answer.Policies[0]
	}
	given, needs := x.tally(b.cfg.Policy, answer.Needs)
	decision := b.decision(&p, penumbra.Approve, by, reason)
	given = append(given, decision)
	p.ApprovedBy, p.Needs = namesOf(given), needs
	made := penumbra.Approval{Decision: decision, By: p.ApprovedBy, Needs: needs}
	due, err := x.due(b.cfg.Policy, by, len(given) >= needs)
	switch {
	case err != nil:
		return none, err
	case len(given) < needs:
		return made, b.cfg.Store.Decide(ctx, decision, p, nil)
	case !due.IsZero():
		p.State, p.Due, made.Scheduled = penumbra.Scheduled, due, due
		if err := b.cfg.Store.Decide(ctx, decision, p, nil); err != nil {
			return none, err
		}
		b.add(ctx, penumbra.Job{Kind: penumbra.StartScheduled, ID: p.ID, Due: due})
		return made, nil
	}
	run := b.newRun(s, &p, &d, given, x.at)
	if !b.mayStart(run.ID) {
		return none, &penumbra.Error{Kind: penumbra.Unavailable, What: "Penumbra is stopping: no new run is started", Remedy: "approve again once it runs"}
	}
	p.State = penumbra.Approved
	if err := b.cfg.Store.Decide(ctx, decision, p, &run); err != nil {
		b.countOut(run.ID)
		return none, err
	}
	made.Run = &run
	b.add(ctx, penumbra.Job{Kind: penumbra.CarryOutRun, ID: run.ID})
	return made, nil
}

// newRun plans the run that follows from approvals, the last of which starts it.
func (b *Board) newRun(s *Stack, p *penumbra.Proposal, d *penumbra.Drift, given []penumbra.Decision, at time.Time) penumbra.Run {
	run := penumbra.Run{
		ID: randomid.New("r"), Proposal: p.ID, Kind: p.Kind, Decision: given[len(given)-1].ID, Needs: p.Needs, Drift: d.ID, Stack: s.Name,
		State: penumbra.Planned, Started: at,
		Steps:  []penumbra.RunStep{{State: penumbra.Planned, Time: at, Note: "approved by " + strings.Join(namesOf(given), " and ")}},
		Before: map[penumbra.Address]penumbra.Settings{},
	}
	for _, g := range given {
		run.Approvals = append(run.Approvals, g.ID)
	}
	if r, ok := b.cfg.World.Resource(d.Resource); ok {
		run.Before[d.Resource] = r.Actual
	}
	if len(p.Also) > 0 && p.Applies() {
		for _, address := range p.Plan.Targets { // those that left alike
			if r, ok := b.cfg.World.Resource(address); ok {
				run.Before[address] = r.Actual
			}
		}
	}
	return run
}

func namesOf(given []penumbra.Decision) []string {
	var out []string
	for _, g := range given {
		out = append(out, g.By)
	}
	return out
}

// startScheduled starts the run of a scheduled proposal whose time has come, schedules
// it anew, opens it for other decisions, or gives it up. Whether it may start is asked
// again: policies, windows and freezes may have changed since, the drift too. It
// returns when to look again, zero for never.
func (b *Board) startScheduled(ctx context.Context, id string) (again time.Time, err error) {
	b.deciding.Lock()
	defer b.deciding.Unlock()
	p, err := b.Proposal(ctx, id)
	switch {
	case err != nil && penumbra.KindOf(err) == penumbra.NotFound:
		return again, nil
	case err != nil || p.State != penumbra.Scheduled:
		return again, err // it was decided on otherwise
	case b.cfg.Now().Before(p.Due):
		return p.Due, nil
	}
	d, err := b.cfg.World.Drift(ctx, p.Drift)
	if err != nil {
		return again, err
	}
	later := b.cfg.Now().Add(lookAgain)
	s := b.cfg.Stacks[d.Resource.Stack()]
	if s == nil || s.Remediator == nil {
		return later, nil // as long as its stack is not configured it waits
	}
	x, err := b.matter(ctx, &p, &d)
	if err != nil {
		return again, err
	}
	save := func(state penumbra.ProposalStatus, why string) error {
		b.cfg.Log.Warn("a scheduled proposal is not carried out", "proposal", p.ID, "status", string(state), "reason", why)
		p.State, p.Due = state, time.Time{}
		return b.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{p})
	}
	switch {
	case !d.Active() && p.Kind != penumbra.Restore:
		return again, save(penumbra.Superseded, "the drift is resolved")
	case b.cfg.Now().Sub(p.Created) > approvalHolds || p.Created.Before(d.Changed) && p.Kind != penumbra.Restore:
		return again, save(penumbra.Superseded, "it is too old, or the drift has changed: decide on a new plan")
	}
	given, needs := x.tally(b.cfg.Policy, 1)
	if len(given) < needs || len(given) == 0 {
		p.ApprovedBy, p.Needs = namesOf(given), needs
		return again, save(penumbra.Proposed, "the policies of now ask for more than was approved")
	}
	last := given[len(given)-1].By
	due, err := x.due(b.cfg.Policy, last, true)
	switch {
	case x.freeze != nil && penumbra.KindOf(err) == penumbra.Refused:
		return later, nil // it waits for the end of the freeze, which somebody may lift
	case err != nil:
		return again, save(penumbra.Proposed, err.Error())
	case !due.IsZero():
		p.Due = due // its window was missed
		return due, b.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{p})
	}
	run := b.newRun(s, &p, &d, given, x.at)
	if !b.mayStart(run.ID) {
		return later, nil
	}
	p.State, p.Needs, p.ApprovedBy = penumbra.Approved, needs, namesOf(given)
	if err := b.cfg.Store.Start(ctx, p, run); err != nil {
		b.countOut(run.ID)
		return again, err
	}
	b.cfg.Log.Info("a scheduled run starts", "run", run.ID, "proposal", p.ID)
	b.add(ctx, penumbra.Job{Kind: penumbra.CarryOutRun, ID: run.ID})
	return again, nil
}
