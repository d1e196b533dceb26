package guard

import (
	"context"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Reaches reports whether who asks may do something at all, on whatever. It is for
// pages, which leave out what would be refused: that they do is no refusal, and is not
// recorded.
func (s *Service) Reaches(ctx context.Context, act penumbra.Act) bool {
	return s.auth.Reach(ctx, penumbra.PrincipalOf(ctx), act) == nil
}

// May returns an error of kind Refused that says what is missing if who asks may not do
// something to a target; a field of it that is empty stands for all. It records nothing.
func (s *Service) May(ctx context.Context, act penumbra.Act, t penumbra.Target) error {
	return s.auth.Authorize(ctx, penumbra.PrincipalOf(ctx), act, t)
}

// MayOn is May of what has an identifier: a drift, a proposal, a run or a freeze, as the
// act says. It answers as the act itself would, and returns an error of kind NotFound if
// there is none.
func (s *Service) MayOn(ctx context.Context, act penumbra.Act, id string) error {
	targets, err := s.targets(ctx, act, id)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := s.May(ctx, act, t); err != nil {
			return err
		}
	}
	if act != approveAct {
		return nil
	}
	p, err := s.inner.Proposal(ctx, id)
	if err != nil || p.Policy == nil {
		return err
	}
	return s.May(ctx, policyChange, ofPolicies(&p))
}

// targets are what an act on something with an identifier has to be allowed on.
func (s *Service) targets(ctx context.Context, act penumbra.Act, id string) ([]penumbra.Target, error) {
	noun, _, _ := strings.Cut(string(act), ".")
	switch {
	case act == "proposal.adopt" || noun == "drift": // the proposal is yet to be made
		_, t, err := s.drift(ctx, id)
		return []penumbra.Target{t}, err
	case noun == "proposal":
		_, list, err := s.ofProposal(ctx, id, act == approveAct)
		return list, err
	case noun == "run":
		_, t, err := s.ofRun(ctx, id)
		return []penumbra.Target{t}, err
	case act == "stack.unfreeze":
		return s.ofFreeze(ctx, id)
	}
	return nil, &penumbra.Error{Kind: penumbra.Internal, What: "nobody has said what " + string(act) + " is on"}
}

// ofProposal returns a proposal and what an act on it is on: its drift, and if changes
// is set each resource that its plan changes.
func (s *Service) ofProposal(ctx context.Context, id string, changes bool) (penumbra.Proposal, []penumbra.Target, error) {
	p, err := s.inner.Proposal(ctx, id)
	if err != nil {
		return p, nil, err
	}
	_, t, err := s.drift(ctx, p.Drift)
	if err != nil {
		return p, nil, err
	}
	t.ID = p.ID
	list := []penumbra.Target{t}
	if !changes || p.Plan == nil {
		return p, list, nil
	}
	for _, c := range p.Plan.Changes {
		if c.Action != penumbra.NoChange && c.Action != penumbra.Read {
			list = append(list, penumbra.Target{Stack: t.Stack, Type: c.Type, ID: p.ID})
		}
	}
	return p, list, nil
}

// ofRun returns a run and what an act on it is on.
func (s *Service) ofRun(ctx context.Context, id string) (penumbra.Run, penumbra.Target, error) {
	found, err := s.inner.Runs(ctx, penumbra.RunQuery{ID: id})
	if err == nil && (id == "" || len(found) == 0) {
		err = &penumbra.Error{Kind: penumbra.NotFound, What: "there is no run " + id, Remedy: "see `penumbra run list`"}
	}
	if err != nil {
		return penumbra.Run{}, penumbra.Target{}, err
	}
	t := penumbra.Target{Stack: found[0].Stack, ID: id}
	if _, on, err := s.drift(ctx, found[0].Drift); err == nil {
		t.Type = on.Type
	}
	return found[0], t, nil
}

// ofFreeze returns what lifting a freeze is on: none if there is no such freeze.
func (s *Service) ofFreeze(ctx context.Context, id string) ([]penumbra.Target, error) {
	all, err := s.inner.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ID == id {
			return onStacks(all[i].Stacks, id), nil
		}
	}
	return nil, nil
}

// onStacks is each stack, or all if none is named.
func onStacks(stacks []string, id string) []penumbra.Target {
	if len(stacks) == 0 {
		return []penumbra.Target{{ID: id}}
	}
	list := make([]penumbra.Target, len(stacks))
	for i, stack := range stacks {
		list[i] = penumbra.Target{Stack: stack, ID: id}
	}
	return list
}
