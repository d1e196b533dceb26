package guard

import (
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Proposals implements [api.Resolver].
func (s *Service) Proposals(ctx context.Context, drift string) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	t, err := s.onDrift(ctx, "proposal.read", drift)
	if err != nil {
		return nil, nil, err
	}
	list, omitted, err := s.inner.Proposals(ctx, drift)
	if err != nil {
		return nil, nil, err
	}
	h, err := s.view(ctx).sees(t.Stack, t.Type, drift)
	if err != nil {
		return nil, nil, err
	}
	return hide(h, list), hide(h, omitted), nil
}

// shown is a proposal as who asks may see it.
func (s *Service) shown(ctx context.Context, p penumbra.Proposal, t penumbra.Target) (penumbra.Proposal, error) {
	h, err := s.view(ctx).sees(t.Stack, t.Type, p.ID)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	return hide(h, p), nil
}

// Proposal implements [api.Resolver].
func (s *Service) Proposal(ctx context.Context, id string) (penumbra.Proposal, error) {
	p, t, err := s.onProposal(ctx, "proposal.read", id, false)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	return s.shown(ctx, p, t)
}

// Runs implements [api.Resolver].
func (s *Service) Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	if q.ID != "" {
		if _, _, err := s.onRun(ctx, "run.read", q.ID); err != nil {
			return nil, err
		}
	} else if err := s.Reach(ctx, "run.read"); err != nil {
		return nil, err
	}
	if err := s.within(ctx, "run.read", q.Stack); err != nil {
		return nil, err
	}
	bounded := q
	if !s.auth.Unbounded(ctx, penumbra.PrincipalOf(ctx), "run.read") {
		bounded.Limit = 0
	}
	list, err := s.inner.Runs(ctx, bounded)
	if err != nil {
		return nil, err
	}
	v := s.view(ctx)
	var out []penumbra.Run
	for _, run := range list {
		if q.Limit > 0 && len(out) == q.Limit {
			break
		}
		kind, err := v.typeOfDrift(run.Drift)
		if err != nil {
			return nil, err
		}
		if !v.may("run.read", run.Stack, kind) {
			continue
		}
		h, err := v.sees(run.Stack, kind, run.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, hide(h, run))
	}
	return out, nil
}

// typeOfDrift returns the type of the resource that a drift is on, "" if nothing
// depends on it or it is gone.
func (v *view) typeOfDrift(id string) (string, error) {
	if !v.typed {
		return "", nil
	}
	_, t, err := v.drift(v.ctx, id)
	if penumbra.KindOf(err) == penumbra.NotFound {
		return "", nil
	}
	return t.Type, err
}

const (
	approveAct = penumbra.Act("proposal.approve")
	// policyChange is the act of changing policies, which whoever approves a proposal to
	// do so needs besides.
	policyChange = penumbra.Act("policy.change")
)

// ofPolicies is what a change of policies is on: they hold for all stacks.
func ofPolicies(p *penumbra.Proposal) penumbra.Target { return penumbra.Target{ID: p.ID} }

// Approve implements [api.Resolver]. It takes the right to approve on each resource
// that the plan changes, and the right to change policies of what does that.
func (s *Service) Approve(ctx context.Context, proposal, hash, _ string) (penumbra.Approval, error) {
	p, t, err := s.onProposal(ctx, approveAct, proposal, true)
	if err == nil && p.Policy != nil {
		err = s.allow(ctx, policyChange, ofPolicies(&p))
	}
	if err != nil {
		return penumbra.Approval{}, err
	}
	made, err := s.inner.Approve(ctx, proposal, hash, name(ctx))
	if err != nil || made.Run == nil {
		return made, err
	}
	h, err := s.view(ctx).sees(t.Stack, t.Type, proposal)
	if err != nil {
		// It is approved, and that is recorded: only its values are not shown.
		h = hiding{values: true, logs: true}
	}
	return hide(h, made), nil
}

// Reject implements [api.Resolver].
func (s *Service) Reject(ctx context.Context, proposal, _, reason string) error {
	if _, _, err := s.onProposal(ctx, "proposal.reject", proposal, false); err != nil {
		return err
	}
	return s.inner.Reject(ctx, proposal, name(ctx), reason)
}

// Customize implements [api.Resolver].
func (s *Service) Customize(ctx context.Context, proposal string, edit penumbra.Edit, _ string) (penumbra.Proposal, error) {
	_, t, err := s.onProposal(ctx, "proposal.customize", proposal, false)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	p, err := s.inner.Customize(ctx, proposal, edit, name(ctx))
	if err != nil {
		return p, err
	}
	return s.shown(ctx, p, t)
}

// AdoptPart implements [api.Resolver].
func (s *Service) AdoptPart(ctx context.Context, drift string, only []string, revert bool, _ string) (p penumbra.Proposal, err error) {
	t, err := s.onDrift(ctx, "proposal.adopt", drift)
	if err != nil {
		return p, err
	}
	err = s.do(ctx, "proposal.adopt", t, nil, func() error {
		p, err = s.inner.AdoptPart(ctx, drift, only, revert, name(ctx))
		return err
	})
	if err != nil {
		return penumbra.Proposal{}, err
	}
	return s.shown(ctx, p, t)
}

// Rollback implements [api.Resolver].
func (s *Service) Rollback(ctx context.Context, run, _ string) (p penumbra.Proposal, err error) {
	_, t, err := s.onRun(ctx, "run.rollback", run)
	if err != nil {
		return p, err
	}
	err = s.do(ctx, "run.rollback", t, nil, func() error {
		p, err = s.inner.Rollback(ctx, run, name(ctx))
		return err
	})
	if err != nil {
		return penumbra.Proposal{}, err
	}
	return s.shown(ctx, p, t)
}

// Review implements [api.Resolver].
func (s *Service) Review(ctx context.Context, run string) (out penumbra.Run, err error) {
	_, t, err := s.onRun(ctx, "run.review", run)
	if err != nil {
		return out, err
	}
	err = s.do(ctx, "run.review", t, nil, func() error {
		out, err = s.inner.Review(ctx, run)
		return err
	})
	if err != nil {
		return penumbra.Run{}, err
	}
	h, err := s.view(ctx).sees(t.Stack, t.Type, run)
	if err != nil {
		return penumbra.Run{}, err
	}
	return hide(h, out), nil
}

// onDriftDo allows and does something to a drift, and shows what became of it.
func (s *Service) onDriftDo(ctx context.Context, act penumbra.Act, id string, f func() (penumbra.Drift, error)) (penumbra.Drift, error) {
	t, err := s.onDrift(ctx, act, id)
	if err != nil {
		return penumbra.Drift{}, err
	}
	d, err := f()
	if err != nil {
		return d, err
	}
	h, err := s.view(ctx).sees(t.Stack, t.Type, id)
	if err != nil {
		h = hiding{values: true, logs: true} // it is done, and that is recorded
	}
	return hide(h, d), nil
}

// Acknowledge implements [api.Resolver].
func (s *Service) Acknowledge(ctx context.Context, drift, _ string) (penumbra.Drift, error) {
	return s.onDriftDo(ctx, "drift.acknowledge", drift, func() (d penumbra.Drift, err error) {
		_, t, err := s.drift(ctx, drift)
		if err != nil {
			return d, err
		}
		return d, s.do(ctx, "drift.acknowledge", t, nil, func() error {
			d, err = s.inner.Acknowledge(ctx, drift, name(ctx))
			return err
		})
	})
}

// Accept implements [api.Resolver].
func (s *Service) Accept(ctx context.Context, drift, _, reason string, until time.Time) (penumbra.Drift, error) {
	return s.onDriftDo(ctx, "drift.accept", drift, func() (penumbra.Drift, error) {
		return s.inner.Accept(ctx, drift, name(ctx), reason, until)
	})
}

// Snooze implements [api.Resolver].
func (s *Service) Snooze(ctx context.Context, drift, _, reason string, until time.Time) (penumbra.Drift, error) {
	return s.onDriftDo(ctx, "drift.snooze", drift, func() (penumbra.Drift, error) {
		return s.inner.Snooze(ctx, drift, name(ctx), reason, until)
	})
}

// Decisions implements [api.Resolver].
func (s *Service) Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	if err := s.Reach(ctx, "decision.read"); err != nil {
		return nil, err
	}
	list, err := s.inner.Decisions(ctx, q)
	if err != nil || len(list) == 0 || s.auth.Unbounded(ctx, penumbra.PrincipalOf(ctx), "decision.read") {
		return list, err
	}
	drifts, err := s.inner.Drifts(ctx, penumbra.DriftQuery{ID: q.Drift})
	if err != nil {
		return nil, err
	}
	v := s.view(ctx)
	seen := map[string]bool{}
	for i := range drifts {
		seen[drifts[i].ID] = v.may("decision.read", drifts[i].Resource.Stack(), drifts[i].Type)
	}
	var out []penumbra.Decision
	for _, d := range list {
		if seen[d.Drift] {
			out = append(out, d)
		}
	}
	return out, nil
}

// Policies implements [api.Governor].
func (s *Service) Policies(ctx context.Context, proposal, by string) (penumbra.PolicyReport, error) {
	if _, _, err := s.onProposal(ctx, "policy.read", proposal, false); err != nil {
		return penumbra.PolicyReport{}, err
	}
	return s.inner.Policies(ctx, proposal, by)
}

// Freezes implements [api.Governor]: those of all stacks, and those of stacks of which
// something may be seen.
func (s *Service) Freezes(ctx context.Context) ([]penumbra.Freeze, error) {
	if err := s.Reach(ctx, "freeze.read"); err != nil {
		return nil, err
	}
	list, err := s.inner.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	p := penumbra.PrincipalOf(ctx)
	var out []penumbra.Freeze
	for _, f := range list {
		var stacks []string
		for _, stack := range f.Stacks {
			if s.auth.ReachStack(ctx, p, "freeze.read", stack) == nil {
				stacks = append(stacks, stack)
			}
		}
		if len(f.Stacks) > 0 && len(stacks) == 0 {
			continue
		}
		f.Stacks = stacks
		out = append(out, f)
	}
	return out, nil
}

// Freeze implements [api.Governor].
func (s *Service) Freeze(ctx context.Context, f penumbra.Freeze) (penumbra.Freeze, error) {
	if err := s.allowAll(ctx, "stack.freeze", onStacks(f.Stacks, "")); err != nil {
		return penumbra.Freeze{}, err
	}
	f.By = name(ctx)
	return s.inner.Freeze(ctx, f)
}

// Unfreeze implements [api.Governor].
func (s *Service) Unfreeze(ctx context.Context, id, _ string) (penumbra.Freeze, error) {
	if err := s.Reach(ctx, "stack.unfreeze"); err != nil {
		return penumbra.Freeze{}, err
	}
	on, err := s.ofFreeze(ctx, id)
	if err != nil {
		return penumbra.Freeze{}, err
	}
	if err := s.allowAll(ctx, "stack.unfreeze", on); err != nil {
		return penumbra.Freeze{}, err
	}
	return s.inner.Unfreeze(ctx, id, name(ctx))
}
