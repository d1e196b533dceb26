package decisions

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/randomid"
)

// open returns a proposal that can still be decided on.
func (b *Board) open(ctx context.Context, id string) (penumbra.Proposal, error) {
	p, err := b.Proposal(ctx, id)
	if err == nil && p.State != penumbra.Proposed {
		err = &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("proposal %s is %s already", id, p.State), Remedy: fmt.Sprintf("see `penumbra proposals %s` for those that are open", p.Drift)}
	}
	return p, err
}

func (b *Board) decision(p *penumbra.Proposal, verb penumbra.Verb, by, reason string) penumbra.Decision {
	return penumbra.Decision{
		ID: randomid.New("c"), Proposal: p.ID, Drift: p.Drift, Verb: verb, Hash: p.Hash, By: by,
		Reason: penumbra.Redact(reason), Time: b.cfg.Clock(),
	}
}

// Decisions returns the selected decisions, oldest first.
func (b *Board) Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	return b.cfg.Store.Decisions(ctx, q)
}

// Reject records that a proposal was wrong, and tells the shadow. One that waits
// for its window is rejected too.
func (b *Board) Reject(ctx context.Context, id, by, reason string) error {
	b.deciding.Lock()
	defer b.deciding.Unlock()
	p, err := b.Proposal(ctx, id)
	if err != nil {
		return err
	}
	if p.State != penumbra.Scheduled {
		if p, err = b.open(ctx, id); err != nil {
			return err
		}
	}
	d, err := b.cfg.World.Drift(ctx, p.Drift)
	if err != nil {
		return err
	}
	if err := b.mayAct(ctx, penumbra.Reject, by, &p, &d); err != nil {
		return err
	}
	if p.State == penumbra.Scheduled {
		// What is decided on has to be open; its run is not to start in between.
		p.State = penumbra.Proposed
		if err := b.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{p}); err != nil {
			return err
		}
	}
	p.State, p.ApprovedBy, p.Needs, p.Due = penumbra.Rejected, nil, 0, time.Time{}
	decision := b.decision(&p, penumbra.Reject, by, reason)
	if err := b.cfg.Store.Decide(ctx, decision, p, nil); err != nil {
		return err
	}
	return b.cfg.World.Tell(ctx, penumbra.Observation{
		Kind: penumbra.EventKind, Resource: d.Resource, Source: "penumbra", ID: "reject/" + p.ID,
		Actor: by, ActorKind: penumbra.User, Action: penumbra.ActionReject, Message: decision.Reason,
	}, time.Time{})
}

// Customize makes a new proposal with what a person would have instead; the one
// it started from stays open.
func (b *Board) Customize(ctx context.Context, id string, edit penumbra.Edit, by string) (penumbra.Proposal, error) {
	p, err := b.open(ctx, id)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	if len(edit.Values) > 0 == (len(edit.Files) > 0) {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Invalid, What: "customise " + id + ": give values or files, one of them", Remedy: "name settings with their values, or whole files as they are to be"}
	}
	for _, v := range edit.Values {
		if v.Sensitive || penumbra.LooksSecret(v.Path, v.Value) {
			return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s is a secret, and a proposal keeps its values", v.Path), Remedy: "change it in the code, where your secrets are kept"}
		}
	}
	d, err := b.cfg.World.Drift(ctx, p.Drift)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	if err := b.mayAct(ctx, penumbra.Customize, by, &p, &d); err != nil {
		return penumbra.Proposal{}, err
	}
	s, c, err := b.caseOf(ctx, d)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	s.Work.Lock()
	proposing, end := b.cfg.Begin(ctx, "propose", s.Name, "drift", d.ID, "customizes", p.ID)
	custom, err := s.Proposer.Customize(proposing, p, edit, c)
	end(err)
	s.Work.Unlock()
	if err != nil {
		return penumbra.Proposal{}, err
	}
	custom.Author, custom.Customizes = strings.TrimSpace(by), p.ID
	b.deciding.Lock()
	defer b.deciding.Unlock()
	if err := b.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{custom}); err != nil {
		return penumbra.Proposal{}, err
	}
	// The original may have been decided on while this was planned.
	if p, err = b.open(ctx, id); err != nil {
		return penumbra.Proposal{}, err
	}
	return custom, b.cfg.Store.Decide(ctx, b.decision(&p, penumbra.Customize, by, "as "+custom.ID), p, nil)
}
