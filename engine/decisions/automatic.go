package decisions

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// mostAutomatic is how many runs on a resource policies may approve within 24
// hours. What drifts more often than that is set by somebody or something else,
// and two that correct each other would go on for ever.
const mostAutomatic = 3

// hurtFor is how long after a run that hurt a resource policies approve nothing on
// it: what they would try again is up to people.
const hurtFor = 24 * time.Hour

// approveByPolicy approves, of each drift that asks for something, the first
// proposal that a policy lets Penumbra approve.
func (b *Board) approveByPolicy(ctx context.Context) error {
	if !b.cfg.Policy.Automatic() {
		return nil
	}
	var failed error
	for _, d := range b.unattended() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = errors.Join(failed, b.decideByPolicy(ctx, d))
	}
	return failed
}

// unattended returns the open drifts of stacks on which runs can be carried out,
// the most pressing first. What a person has acknowledged or snoozed is theirs.
func (b *Board) unattended() []penumbra.Drift {
	now := b.cfg.Now()
	out := b.cfg.World.Active(func(address penumbra.Address) bool {
		s := b.cfg.Stacks[address.Stack()]
		return s != nil && s.Proposer != nil && s.Remediator != nil
	})
	out = slices.DeleteFunc(out, func(d penumbra.Drift) bool { return d.Status != penumbra.Open || d.Snoozed(now) })
	slices.SortStableFunc(out, func(a, b penumbra.Drift) int {
		if c := penumbra.ComparePressing(&a, &b); c != 0 {
			return c
		}
		return a.Opened.Compare(b.Opened)
	})
	return out
}

// decideByPolicy asks the policies about the proposals of one drift. They are made once
// for each change of the drift, and again only for one that is to be approved:
// asking costs nothing, planning does.
func (b *Board) decideByPolicy(ctx context.Context, d penumbra.Drift) error {
	open, err := b.openProposals(ctx, d.ID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(open, func(p penumbra.Proposal) bool { return approved(&p) }) {
		return nil // people are at it
	}
	b.deciding.Lock()
	tried := b.tried[d.ID].Equal(d.Changed)
	b.tried[d.ID] = d.Changed
	b.deciding.Unlock()
	current := slices.ContainsFunc(open, func(p penumbra.Proposal) bool { return !p.Created.Before(d.Changed) })
	if !current {
		if tried {
			return nil
		}
		if open, _, err = b.Proposals(ctx, d.ID); err != nil {
			return err
		}
	}
	p, err := b.permitted(ctx, open, &d)
	if err != nil || p == nil {
		return err
	}
	if !b.fits(p, &d) {
		if open, _, err = b.Proposals(ctx, d.ID); err != nil {
			return err
		}
		if p, err = b.permitted(ctx, open, &d); err != nil || p == nil {
			return err
		}
	}
	b.deciding.Lock()
	defer b.deciding.Unlock()
	made, err := b.approve(ctx, p.ID, p.Hash, "", "")
	switch penumbra.KindOf(err) {
	case penumbra.Refused, penumbra.Stale:
		if err != nil {
			return nil // a freeze began, or somebody was quicker
		}
	}
	if err == nil {
		b.cfg.Log.Info("approved by a policy", "proposal", p.ID, "drift", d.ID, "resource", d.Resource, "policy", made.Decision.By, "scheduled", made.Scheduled)
	}
	return err
}

// permitted returns the first proposal that Penumbra may approve and carry out
// now or in a window to come, nil if there is none.
func (b *Board) permitted(ctx context.Context, open []penumbra.Proposal, d *penumbra.Drift) (*penumbra.Proposal, error) {
	runs, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Stack: d.Resource.Stack(), Limit: outcomesLearnt})
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(runs, func(r penumbra.Run) bool {
		// What hurt the resource of late would hurt it again.
		if _, on := r.Before[d.Resource]; on && r.Hurt() && b.cfg.Now().Sub(r.Started) < hurtFor {
			return true
		}
		// What was tried since the drift last changed is up to people, however it
		// ended: the next try would do the same.
		return r.Drift == d.ID && (!r.State.Ended() || r.Started.After(d.Changed))
	}) {
		return nil, nil
	}
	for i := range open {
		p := &open[i]
		if p.State != penumbra.Proposed || p.Kind == penumbra.Restore {
			continue
		}
		x, err := b.matter(ctx, p, d)
		if err != nil {
			return nil, err
		}
		if x.today >= mostAutomatic {
			return nil, nil
		}
		if a := b.cfg.Policy.Ask(x.question(penumbra.Approve, "")); !a.Allowed {
			continue
		}
		if _, err := x.due(b.cfg.Policy, "", true); err == nil {
			return p, nil
		}
	}
	return nil, nil
}
