package decisions

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// proposalAge is how long proposals are shown before they are planned again:
// what an approval would check anyway is better seen fresh.
const proposalAge = 15 * time.Minute

// approvalHolds is how long a proposal that somebody has approved waits for the
// others, or for its window. The saved plan is kept for a day longer.
const approvalHolds = 6 * 24 * time.Hour

// Proposals returns the open proposals of a drift, by rank, making them first
// if there are none that still fit, and what is not proposed with the reason.
func (b *Board) Proposals(ctx context.Context, id string) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	d, err := b.cfg.World.Drift(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	open, err := b.openProposals(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if !d.Active() || len(open) > 0 && !slices.ContainsFunc(open, func(p penumbra.Proposal) bool { return !b.fits(&p, &d) }) {
		omitted, _ := b.omitted.Load(id)
		list, _ := omitted.([]penumbra.Omitted)
		return open, list, nil
	}
	return b.propose(ctx, d)
}

// openProposals returns those of a drift that are to be decided on, or decided
// and waiting.
func (b *Board) openProposals(ctx context.Context, drift string) ([]penumbra.Proposal, error) {
	return b.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{Drift: drift, States: []penumbra.ProposalStatus{penumbra.Proposed, penumbra.Scheduled}})
}

// fits reports whether a proposal was made for the drift as it is, and recently;
// one that somebody has approved waits for the others, or for its window.
func (b *Board) fits(p *penumbra.Proposal, d *penumbra.Drift) bool {
	age := proposalAge
	if approved(p) {
		age = approvalHolds
	}
	return !p.Created.Before(d.Changed) && b.cfg.Now().Sub(p.Created) <= age
}

// approved reports whether somebody has approved an open proposal.
func approved(p *penumbra.Proposal) bool {
	return p.State == penumbra.Scheduled || p.State == penumbra.Proposed && len(p.ApprovedBy) > 0
}

// propose makes proposals anew. Those that were open are superseded, but for what
// somebody has approved and still fits; what was rejected is not made again.
func (b *Board) propose(ctx context.Context, d penumbra.Drift) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	s, c, err := b.caseOf(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	s.Work.Lock()
	proposing, end := b.cfg.Begin(ctx, "propose", s.Name, "drift", d.ID)
	made, omitted, err := s.Proposer.Propose(proposing, c)
	end(err)
	s.Work.Unlock()
	if err != nil {
		return nil, nil, err
	}
	b.deciding.Lock() // what was planned a while may have been decided on meanwhile
	defer b.deciding.Unlock()
	earlier, err := b.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{Drift: d.ID})
	if err != nil {
		return nil, nil, err
	}
	made, rejected, err := b.unrejected(ctx, d.ID, made, earlier)
	if err != nil {
		return nil, nil, err
	}
	omitted = append(omitted, rejected...)
	var kept, old []penumbra.Proposal
	for _, p := range earlier {
		again := func(q penumbra.Proposal) bool { return q.ID == p.ID }
		switch {
		case p.State != penumbra.Proposed && p.State != penumbra.Scheduled:
		case approved(&p) && b.fits(&p, &d):
			kept = append(kept, p)
			made = slices.DeleteFunc(made, again)
		case !slices.ContainsFunc(made, again):
			p.State = penumbra.Superseded
			old = append(old, p)
		}
	}
	if err := b.cfg.Store.SaveProposals(ctx, slices.Concat(made, old)); err != nil {
		return nil, nil, err
	}
	b.omitted.Store(d.ID, omitted)
	return append(kept, made...), omitted, nil
}

// unrejected leaves out what would do no other thing than what was rejected.
func (b *Board) unrejected(ctx context.Context, drift string, made, earlier []penumbra.Proposal) (rest []penumbra.Proposal, omitted []penumbra.Omitted, err error) {
	if !slices.ContainsFunc(earlier, func(p penumbra.Proposal) bool { return p.State == penumbra.Rejected }) {
		return made, nil, nil
	}
	decisions, err := b.cfg.Store.Decisions(ctx, penumbra.DecisionQuery{Drift: drift})
	if err != nil {
		return nil, nil, err
	}
	for _, p := range made {
		i := slices.IndexFunc(earlier, func(q penumbra.Proposal) bool {
			return q.State == penumbra.Rejected && (q.ID == p.ID || sameWay(&p, &q))
		})
		if i < 0 {
			rest = append(rest, p)
			continue
		}
		reason := "it was rejected"
		for _, d := range decisions {
			if d.Verb == penumbra.Reject && d.Proposal == earlier[i].ID {
				reason = "rejected by " + d.By
				if d.Reason != "" {
					reason += ": " + d.Reason
				}
			}
		}
		omitted = append(omitted, penumbra.Omitted{Kind: p.Kind, Reason: reason})
	}
	return rest, omitted, nil
}

// sameWay reports whether two proposals of a drift would do the same.
func sameWay(a, b *penumbra.Proposal) bool {
	if a.Kind != b.Kind || a.Patch.Digest() != b.Patch.Digest() || (a.Plan == nil) != (b.Plan == nil) || (a.Rule == nil) != (b.Rule == nil) {
		return false
	}
	if a.Rule != nil && (a.Rule.Pattern != b.Rule.Pattern || (a.Rule.Value == nil) != (b.Rule.Value == nil) || a.Rule.Value != nil && *a.Rule.Value != *b.Rule.Value) {
		return false
	}
	return a.Plan == nil || a.Plan.Evidence == b.Plan.Evidence
}

// caseOf gathers what a proposer may know of a drift.
func (b *Board) caseOf(ctx context.Context, d penumbra.Drift) (*Stack, Case, error) {
	var err error
	s := b.cfg.Stacks[d.Resource.Stack()]
	if s != nil && s.Watched && s.Proposer == nil {
		return nil, Case{}, &penumbra.Error{
			Kind: penumbra.Refused, What: fmt.Sprintf("nothing can be proposed for %s: Penumbra reads its stack and does not change it", d.Resource),
			Remedy: "bring it back by hand, name the playbook that configures it (kind: ansible), or accept it with an ignore rule",
		}
	}
	if s == nil || s.Proposer == nil {
		return nil, Case{}, &penumbra.Error{
			Kind: penumbra.Refused, What: fmt.Sprintf("nothing can be proposed for %s: its stack is known from timelines only", d.Resource),
			Remedy: "name the folder of its code under `stacks` in penumbra.yaml",
		}
	}
	r, ok := b.cfg.World.Resource(d.Resource)
	if !ok {
		return nil, Case{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no resource %q", d.Resource)}
	}
	c := Case{Drift: d, Resource: r, Alike: b.alike(&d), Time: b.cfg.Clock(), Effects: b.effects(r.Type)}
	if c.Outcomes, err = b.outcomes(ctx, s.Name); err != nil {
		return nil, Case{}, err
	}
	if len(r.Actual) == 0 {
		if c.Was, err = b.lastSeen(ctx, d.Resource); err != nil {
			return nil, Case{}, err
		}
	}
	if d.Verdict == penumbra.Impending {
		err = b.ahead(ctx, &c)
	} else {
		c.Returns, err = b.returns(ctx, &d)
	}
	if err != nil {
		return nil, Case{}, err
	}
	if c.Load, err = b.load(ctx, r.Address, c.Time); err != nil {
		return nil, Case{}, err
	}
	return s, c, nil
}

// Proposal returns one proposal.
func (b *Board) Proposal(ctx context.Context, id string) (penumbra.Proposal, error) {
	found, err := b.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{ID: id})
	if err != nil {
		return penumbra.Proposal{}, err
	}
	if len(found) == 0 {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no proposal %q", id), Remedy: "see `penumbra proposals DRIFT`"}
	}
	return found[0], nil
}

// Runs returns the selected runs.
func (b *Board) Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	runs, err := b.cfg.Store.Runs(ctx, q)
	if err == nil && q.ID != "" && len(runs) == 0 {
		err = &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no run %q", q.ID), Remedy: "see `penumbra run list`"}
	}
	for i := range runs {
		b.addLog(&runs[i])
	}
	return runs, err
}

// addLog gives a run that is under way what its tools have written so far: the
// store has what they had when it reached its state.
func (b *Board) addLog(run *penumbra.Run) {
	s := b.cfg.Stacks[run.Stack]
	if run.State.Ended() || s == nil {
		return
	}
	if live, ok := s.Remediator.(interface {
		Log(run string) (string, bool)
	}); ok {
		if text, under := live.Log(run.ID); under {
			run.Log = text
		}
	}
}

// conclude marks what a run took back, plans again where the world had moved,
// lets a proposal be approved again of which nothing was carried out, and
// supersedes the other proposals of a drift where something was. failed is why the
// run is not done. late reports that the run ended before a kill: what is here may
// have been recorded already, and the drift may have been decided on again since.
func (b *Board) conclude(ctx context.Context, run penumbra.Run, p penumbra.Proposal, d penumbra.Drift, failed error, late bool) error {
	b.beginWatch(&run)
	if run.State == penumbra.Done && p.Undoes != "" && run.Code == nil {
		if err := b.takenBack(ctx, &p, run.ID); err != nil {
			return err
		}
	}
	open, err := b.openProposals(ctx, d.ID)
	if err != nil {
		return err
	}
	now, err := b.cfg.World.Drift(ctx, d.ID)
	if err != nil {
		return err
	}
	if late {
		last, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Proposal: p.ID, Limit: 1})
		if err != nil || len(last) > 0 && last[0].ID != run.ID {
			return err
		}
		if run.State == penumbra.Failed && (p.State != penumbra.Approved || slices.ContainsFunc(open, func(x penumbra.Proposal) bool { return x.Kind == p.Kind && x.Undoes == p.Undoes })) {
			return nil // it was planned anew, or can be approved again already
		}
		open = slices.DeleteFunc(open, func(x penumbra.Proposal) bool { return x.Created.After(run.Ended) })
	}
	switch {
	case run.State == penumbra.Done && (run.Code != nil || p.Withdraws != nil):
		// The world is as it was, and so are the other ways to resolve it.
		now.Code = run.Code
		if err := b.cfg.World.Settle(ctx, now); err != nil || p.Withdraws == nil {
			return err
		}
		return b.supersede(ctx, open) // so that what was withdrawn is offered again
	case run.State == penumbra.Failed && failed != nil && penumbra.KindOf(failed) == penumbra.Stale && now.Active():
		// Whoever asks while it is planned again must not be shown what is stale.
		if err := b.supersede(ctx, open); err != nil {
			return err
		}
		_, _, err = b.propose(ctx, now)
		return err
	case run.State == penumbra.Failed:
		// Nothing was changed and nothing has moved, so it can be approved again, by
		// all who have to: a run uses up the approvals that it rests on.
		p.State, p.ApprovedBy, p.Needs, p.Due = penumbra.Proposed, nil, 0, time.Time{}
		return b.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{p})
	case p.Undoes == "":
		// It was carried out: what the others were planned on is no more.
		return b.supersede(ctx, open)
	}
	return nil
}

// takenBack marks the run that a proposal took back.
func (b *Board) takenBack(ctx context.Context, p *penumbra.Proposal, by string) error {
	b.watching.Lock() // what its watch has seen is not to be lost
	defer b.watching.Unlock()
	undone, err := b.Runs(ctx, penumbra.RunQuery{ID: p.Undoes})
	if err != nil {
		return err
	}
	run := undone[0]
	switch {
	case run.State == penumbra.Halted && run.UndoneBy == "":
		// It stays halted, since nobody has seen what it did; what took it back has.
		run.UndoneBy = by
		return b.cfg.Store.SaveRun(ctx, run)
	case run.State != penumbra.Done:
		return nil
	}
	if run.Watched() {
		w := *run.Watch
		w.Ended = b.cfg.Now().UTC()
		run.Watch = &w
	}
	run.State, run.UndoneBy = penumbra.RolledBack, by
	if p.Withdraws != nil && run.Code != nil {
		closed := *run.Code
		closed.State = penumbra.ReviewClosed
		run.Code = &closed
	}
	return b.cfg.Store.SaveRun(ctx, run)
}

func (b *Board) supersede(ctx context.Context, proposals []penumbra.Proposal) error {
	for i := range proposals {
		proposals[i].State = penumbra.Superseded
	}
	return b.cfg.Store.SaveProposals(ctx, proposals)
}

// Verify reads the stack of a run again and returns what is not as its proposal
// promised. It is called by the stack's remediator, which has the stack to
// itself. That Penumbra applied something goes into the timeline first, so that
// the shadow knows who it was.
func (b *Board) Verify(ctx context.Context, run penumbra.Run, p penumbra.Proposal) ([]penumbra.Finding, error) {
	d, err := b.cfg.World.Drift(ctx, run.Drift)
	if err != nil {
		return nil, err
	}
	if p.Plan != nil && !p.Plan.IsEmpty() {
		on := []penumbra.Address{d.Resource}
		if len(p.Also) > 0 && p.Applies() {
			on = p.Plan.Targets
		}
		for _, address := range on {
			began := appliedAt(&run)
			if err := b.cfg.World.Tell(ctx, applied(run, p, address, b.Approver(ctx, p.ID)), began); err != nil {
				return nil, err
			}
			b.cfg.Performance.Attend(address, began)
		}
	}
	if err := b.cfg.World.Read(ctx, run.Stack); err != nil {
		return nil, err
	}
	out, err := b.unkept(p, d)
	for _, id := range p.Also {
		if err != nil {
			return nil, err
		}
		var more []penumbra.Finding
		if d, err = b.cfg.World.Drift(ctx, id); err == nil {
			more, err = b.unkept(p, d)
			out = append(out, more...)
		}
	}
	return out, err
}

// Approver returns who approved a proposal last, "" if nobody did.
func (b *Board) Approver(ctx context.Context, proposal string) string {
	decisions, err := b.cfg.Store.Decisions(ctx, penumbra.DecisionQuery{Proposal: proposal})
	if err != nil {
		b.cfg.Log.Warn("who approved a run could not be read", "proposal", proposal, "error", err)
	}
	by := ""
	for _, d := range decisions {
		if d.Verb == penumbra.Approve {
			by = d.By
		}
	}
	return by
}

// applied is the event of a run that applied a plan. It is the act of the
// person who approved it, and no automation's: putting a drift right again and
// again must not make a habit of it.
func applied(run penumbra.Run, p penumbra.Proposal, address penumbra.Address, by string) penumbra.Observation {
	o := penumbra.Observation{
		Kind: penumbra.EventKind, Resource: address, Source: "penumbra", ID: run.ID,
		Actor: by, ActorKind: penumbra.User, Action: penumbra.ActionApply,
	}
	if p.Kind == penumbra.Restore {
		o.Action = penumbra.ActionRollback
	}
	for _, c := range p.Plan.Changes {
		if c.Resource != address {
			continue
		}
		o.Type = c.Type
		for _, x := range c.Changes {
			if !x.Unknown {
				o.Settings = append(o.Settings, penumbra.Setting{Path: x.Path, Value: x.After, Sensitive: x.After.Kind() == penumbra.SecretKind})
			}
		}
	}
	o.Settings = penumbra.NewSettings(o.Settings...)
	return o
}

// Rollback makes a proposal that takes a run back. It is approved like any
// other.
func (b *Board) Rollback(ctx context.Context, id, by string) (penumbra.Proposal, error) {
	runs, err := b.Runs(ctx, penumbra.RunQuery{ID: id})
	if err != nil {
		return penumbra.Proposal{}, err
	}
	restore, err := b.wayBack(ctx, runs[0], func(original *penumbra.Proposal, d *penumbra.Drift) error {
		return b.mayAct(ctx, penumbra.RollBack, by, original, d)
	})
	if err == nil {
		b.cfg.Log.Info("a way back is proposed", "run", id, "proposal", restore.ID, "by", by)
	}
	return restore, err
}

// wayBack plans how a run is taken back, if may has nothing against it, and stores
// the proposal.
func (b *Board) wayBack(ctx context.Context, run penumbra.Run, may func(original *penumbra.Proposal, d *penumbra.Drift) error) (penumbra.Proposal, error) {
	if run.State != penumbra.Done && run.State != penumbra.Halted {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("run %s is %s: there is nothing to take back", run.ID, run.State)}
	}
	if run.UndoneBy != "" {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("run %s was taken back already, by run %s", run.ID, run.UndoneBy), Remedy: "see `penumbra run show " + run.UndoneBy + "`"}
	}
	original, err := b.Proposal(ctx, run.Proposal)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	d, err := b.cfg.World.Drift(ctx, run.Drift)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	s, c, err := b.caseOf(ctx, d)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	if err := may(&original, &d); err != nil {
		return penumbra.Proposal{}, err
	}
	s.Work.Lock()
	proposing, end := b.cfg.Begin(ctx, "propose", s.Name, "drift", d.ID, "restores", run.ID)
	restore, err := s.Proposer.Restore(proposing, run, original, c)
	end(err)
	s.Work.Unlock()
	if err != nil {
		return penumbra.Proposal{}, err
	}
	return restore, b.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{restore})
}
