package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// proposalAge is how long proposals are shown before they are planned again:
// what an approval would check anyway is better seen fresh.
const proposalAge = 15 * time.Minute

// outcomesLearnt bounds the earlier runs that likelihoods are learnt from.
const outcomesLearnt = 500

// Proposals returns the open proposals of a drift, by rank, making them first
// if there are none that still fit, and what is not proposed with the reason.
func (e *Engine) Proposals(ctx context.Context, id string) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	d, err := e.drift(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	open, err := e.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{Drift: id, States: []penumbra.ProposalStatus{penumbra.Proposed}})
	if err != nil {
		return nil, nil, err
	}
	if !d.Active() || len(open) > 0 && e.fits(open, &d) {
		omitted, _ := e.omitted.Load(id)
		list, _ := omitted.([]penumbra.Omitted)
		return open, list, nil
	}
	return e.propose(ctx, d, open)
}

// fits reports whether proposals were made for the drift as it is, recently.
func (e *Engine) fits(open []penumbra.Proposal, d *penumbra.Drift) bool {
	now := e.cfg.Now()
	return !slices.ContainsFunc(open, func(p penumbra.Proposal) bool {
		return p.Created.Before(d.Changed) || now.Sub(p.Created) > proposalAge
	})
}

// propose makes proposals anew; those that were open are superseded.
func (e *Engine) propose(ctx context.Context, d penumbra.Drift, open []penumbra.Proposal) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	s, c, err := e.caseOf(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	s.work.Lock()
	made, omitted, err := s.Proposer.Propose(ctx, c)
	s.work.Unlock()
	if err != nil {
		return nil, nil, err
	}
	save := slices.Clone(made)
	for _, p := range open {
		if !slices.ContainsFunc(made, func(q penumbra.Proposal) bool { return q.ID == p.ID }) {
			p.State = penumbra.Superseded
			save = append(save, p)
		}
	}
	if err := e.cfg.Store.SaveProposals(ctx, save); err != nil {
		return nil, nil, err
	}
	e.omitted.Store(d.ID, omitted)
	return made, omitted, nil
}

// caseOf gathers what a proposer may know of a drift.
func (e *Engine) caseOf(ctx context.Context, d penumbra.Drift) (*stack, Case, error) {
	s := e.stacks[d.Resource.Stack()]
	if s == nil || s.Proposer == nil {
		return nil, Case{}, &penumbra.Error{
			Kind: penumbra.Refused, What: fmt.Sprintf("nothing can be proposed for %s: its stack is known from timelines only", d.Resource),
			Remedy: "name the folder of its code under `stacks` in penumbra.yaml",
		}
	}
	r, ok := e.resource(d.Resource)
	if !ok {
		return nil, Case{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no resource %q", d.Resource)}
	}
	runs, err := e.cfg.Store.Runs(ctx, penumbra.RunQuery{Stack: s.Name, Limit: outcomesLearnt})
	if err != nil {
		return nil, Case{}, err
	}
	c := Case{Drift: d, Resource: r, Time: e.clock.now()}
	for _, run := range runs {
		if !run.State.Ended() || run.Kind == penumbra.Restore {
			continue
		}
		for address := range run.Before {
			before, _ := e.resource(address)
			c.Outcomes = append(c.Outcomes, Outcome{Kind: run.Kind, Type: before.Type, Succeeded: run.State == penumbra.Done})
			break
		}
	}
	return s, c, nil
}

// Proposal returns one proposal.
func (e *Engine) Proposal(ctx context.Context, id string) (penumbra.Proposal, error) {
	found, err := e.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{ID: id})
	if err != nil {
		return penumbra.Proposal{}, err
	}
	if len(found) == 0 {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no proposal %q", id), Remedy: "see `penumbra proposals DRIFT`"}
	}
	return found[0], nil
}

// Runs returns the selected runs.
func (e *Engine) Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	runs, err := e.cfg.Store.Runs(ctx, q)
	if err == nil && q.ID != "" && len(runs) == 0 {
		err = &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no run %q", q.ID), Remedy: "see `penumbra run list`"}
	}
	return runs, err
}

// Approve records the decision and starts the run, which goes on after the
// call returns and whatever becomes of ctx.
func (e *Engine) Approve(ctx context.Context, id, hash, by string) (penumbra.Run, error) {
	p, err := e.open(ctx, id)
	if err != nil {
		return penumbra.Run{}, err
	}
	if hash != p.Hash {
		return penumbra.Run{}, &penumbra.Error{
			Kind: penumbra.Stale, What: fmt.Sprintf("proposal %s is not the one that was shown: its hash is %.12s, not %.12s", id, p.Hash, hash),
			Remedy: "look at the proposal again and approve what it shows",
		}
	}
	d, err := e.drift(ctx, p.Drift)
	if err != nil {
		return penumbra.Run{}, err
	}
	if !d.Active() && p.Kind != penumbra.Restore {
		return penumbra.Run{}, &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("drift %s is resolved already (%s)", d.ID, d.Resolution)}
	}
	s := e.stacks[d.Resource.Stack()]
	if s == nil || s.remediator == nil {
		return penumbra.Run{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("nothing can be carried out on stack %q", d.Resource.Stack())}
	}
	decision := e.decision(&p, penumbra.Approve, by, "")
	run := penumbra.Run{
		ID: newID("r"), Proposal: p.ID, Kind: p.Kind, Decision: decision.ID, Drift: d.ID, Stack: s.Name,
		State: penumbra.Planned, Started: decision.Time,
		Steps:  []penumbra.RunStep{{State: penumbra.Planned, Time: decision.Time, Note: "approved by " + by}},
		Before: map[penumbra.Address]penumbra.Settings{},
	}
	if r, ok := e.resource(d.Resource); ok {
		run.Before[d.Resource] = r.Actual
	}
	if !e.mayStart() {
		return penumbra.Run{}, &penumbra.Error{Kind: penumbra.Unavailable, What: "Penumbra is stopping: no new run is started", Remedy: "approve again once it runs"}
	}
	p.State = penumbra.Approved
	if err := e.cfg.Store.Decide(ctx, decision, p, &run); err != nil {
		e.runs.Done()
		return penumbra.Run{}, err
	}
	go func() {
		defer e.runs.Done()
		e.execute(context.WithoutCancel(ctx), s, run, p, decision, d)
	}()
	return run, nil
}

// mayStart counts a run in, unless the engine is stopping.
func (e *Engine) mayStart() bool {
	e.working.Lock()
	defer e.working.Unlock()
	if e.stopping {
		return false
	}
	e.runs.Add(1)
	return true
}

// execute carries a run out and draws the conclusions from how it ended.
func (e *Engine) execute(ctx context.Context, s *stack, run penumbra.Run, p penumbra.Proposal, decision penumbra.Decision, d penumbra.Drift) {
	s.work.Lock()
	ended, err := s.remediator.Execute(ctx, run, p, decision)
	s.work.Unlock()
	e.log.Info("run ended", "run", run.ID, "proposal", p.ID, "state", ended.State.String(), "error", err)
	if after := e.conclude(ctx, ended, p, d, penumbra.KindOf(err)); after != nil {
		e.log.Error("what follows from a run could not be recorded", "run", run.ID, "error", after)
	}
}

// conclude marks what a run took back, plans again where the world had moved,
// lets a proposal be approved again of which nothing was carried out, and
// supersedes the other proposals of a drift where something was.
func (e *Engine) conclude(ctx context.Context, run penumbra.Run, p penumbra.Proposal, d penumbra.Drift, failure penumbra.ErrorKind) error {
	if run.State == penumbra.Done && p.Undoes != "" {
		undone, err := e.Runs(ctx, penumbra.RunQuery{ID: p.Undoes})
		if err != nil {
			return err
		}
		undone[0].State, undone[0].UndoneBy = penumbra.RolledBack, run.ID
		if err := e.cfg.Store.SaveRun(ctx, undone[0]); err != nil {
			return err
		}
	}
	open, err := e.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{Drift: d.ID, States: []penumbra.ProposalStatus{penumbra.Proposed}})
	if err != nil {
		return err
	}
	now, err := e.drift(ctx, d.ID)
	if err != nil {
		return err
	}
	switch {
	case run.State == penumbra.Failed && failure == penumbra.Stale && now.Active():
		// Whoever asks while it is planned again must not be shown what is stale.
		if err := e.supersede(ctx, open); err != nil {
			return err
		}
		_, _, err = e.propose(ctx, now, nil)
		return err
	case run.State == penumbra.Failed:
		// Nothing was changed and nothing has moved, so it can be approved again.
		p.State = penumbra.Proposed
		return e.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{p})
	case p.Undoes == "":
		// It was carried out: what the others were planned on is no more.
		return e.supersede(ctx, open)
	}
	return nil
}

func (e *Engine) supersede(ctx context.Context, proposals []penumbra.Proposal) error {
	for i := range proposals {
		proposals[i].State = penumbra.Superseded
	}
	return e.cfg.Store.SaveProposals(ctx, proposals)
}

// Verify reads the stack of a run again and returns what is not as its proposal
// promised. It is called by the stack's remediator, which has the stack to
// itself. That Penumbra applied something goes into the timeline first, so that
// the shadow knows who it was.
func (e *Engine) Verify(ctx context.Context, run penumbra.Run, p penumbra.Proposal) ([]penumbra.Finding, error) {
	d, err := e.drift(ctx, run.Drift)
	if err != nil {
		return nil, err
	}
	if p.Plan != nil && !p.Plan.IsEmpty() {
		if err := e.tell(ctx, applied(run, p, d.Resource, e.approver(ctx, p.ID))); err != nil {
			return nil, err
		}
	}
	if err := e.readHeld(ctx, e.stacks[run.Stack]); err != nil {
		return nil, err
	}
	view, err := e.shadowNow(d.Resource)
	if err != nil {
		return nil, err
	}
	return unkept(&view, p, d), nil
}

// approver returns who approved a proposal.
func (e *Engine) approver(ctx context.Context, proposal string) string {
	decisions, err := e.cfg.Store.Decisions(ctx, proposal)
	if err != nil {
		e.log.Warn("who approved a run could not be read", "proposal", proposal, "error", err)
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

// unkept returns the settings of a drift that are not as the proposal promised.
func unkept(view *penumbra.ShadowView, p penumbra.Proposal, d penumbra.Drift) []penumbra.Finding {
	var out []penumbra.Finding
	finding := func(s penumbra.SettingView, promised penumbra.Value) {
		out = append(out, penumbra.Finding{Path: s.Path, Verdict: s.Verdict, Declared: s.Declared, Template: promised, Actual: s.Actual, Sensitive: s.Sensitive})
	}
	if len(p.Values) > 0 {
		for _, v := range p.Values {
			if actual := view.Resource.Actual.Get(v.Path); actual != v.Value {
				finding(penumbra.SettingView{Path: v.Path, Actual: actual, Sensitive: v.Sensitive}, v.Value)
			}
		}
		return out
	}
	if p.Kind == penumbra.Restore {
		return nil // code or a rule was put back, nothing else was promised
	}
	if len(view.Resource.Actual) == 0 && p.Kind == penumbra.Revert {
		finding(penumbra.SettingView{Verdict: penumbra.Drifted}, penumbra.Null())
		return out
	}
	for _, s := range view.Settings {
		if _, part := d.Finding(s.Path); part && s.Verdict.IsDrift() {
			finding(s, s.Template)
		}
	}
	return out
}

// tell puts an event of Penumbra's own into the timeline.
func (e *Engine) tell(ctx context.Context, o penumbra.Observation) error {
	defer e.settled()()
	o.Time = e.clock.now()
	o.Seen = o.Time
	if o.Type == "" {
		r, _ := e.resource(o.Resource)
		o.Type = r.Type
	}
	added, err := e.cfg.Store.Append(ctx, []penumbra.Observation{o})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range added {
		e.take(&added[i])
	}
	return nil
}

// open returns a proposal that can still be decided on.
func (e *Engine) open(ctx context.Context, id string) (penumbra.Proposal, error) {
	p, err := e.Proposal(ctx, id)
	if err == nil && p.State != penumbra.Proposed {
		err = &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("proposal %s is %s already", id, p.State), Remedy: fmt.Sprintf("see `penumbra proposals %s` for those that are open", p.Drift)}
	}
	return p, err
}

func (e *Engine) decision(p *penumbra.Proposal, verb penumbra.Verb, by, reason string) penumbra.Decision {
	return penumbra.Decision{ID: newID("c"), Proposal: p.ID, Drift: p.Drift, Verb: verb, Hash: p.Hash, By: by, Reason: reason, Time: e.clock.now()}
}

// Reject records that a proposal was wrong, and tells the shadow.
func (e *Engine) Reject(ctx context.Context, id, by, reason string) error {
	p, err := e.open(ctx, id)
	if err != nil {
		return err
	}
	d, err := e.drift(ctx, p.Drift)
	if err != nil {
		return err
	}
	p.State = penumbra.Rejected
	if err := e.cfg.Store.Decide(ctx, e.decision(&p, penumbra.Reject, by, reason), p, nil); err != nil {
		return err
	}
	return e.tell(ctx, penumbra.Observation{
		Kind: penumbra.EventKind, Resource: d.Resource, Source: "penumbra", ID: "reject/" + p.ID,
		Actor: by, ActorKind: penumbra.User, Action: penumbra.ActionReject, Message: penumbra.Redact(reason),
	})
}

// Customize makes a new proposal that sets the values that a person chose; the
// one it started from stays open.
func (e *Engine) Customize(ctx context.Context, id string, values []penumbra.Setting, by string) (penumbra.Proposal, error) {
	p, err := e.open(ctx, id)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	for _, v := range values {
		if v.Sensitive || penumbra.LooksSecret(v.Path, v.Value) {
			return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s is a secret, and a proposal keeps its values", v.Path), Remedy: "change it in the code, where your secrets are kept"}
		}
	}
	d, err := e.drift(ctx, p.Drift)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	s, c, err := e.caseOf(ctx, d)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	s.work.Lock()
	custom, err := s.Proposer.Customize(ctx, p, values, c)
	s.work.Unlock()
	if err != nil {
		return penumbra.Proposal{}, err
	}
	if err := e.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{custom}); err != nil {
		return penumbra.Proposal{}, err
	}
	return custom, e.cfg.Store.Decide(ctx, e.decision(&p, penumbra.Customize, by, "as "+custom.ID), p, nil)
}

// Rollback makes a proposal that takes a run back. It is approved like any
// other.
func (e *Engine) Rollback(ctx context.Context, id, by string) (penumbra.Proposal, error) {
	runs, err := e.Runs(ctx, penumbra.RunQuery{ID: id})
	if err != nil {
		return penumbra.Proposal{}, err
	}
	run := runs[0]
	if run.State != penumbra.Done && run.State != penumbra.Halted {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("run %s is %s: there is nothing to take back", id, run.State)}
	}
	original, err := e.Proposal(ctx, run.Proposal)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	d, err := e.drift(ctx, run.Drift)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	s, c, err := e.caseOf(ctx, d)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	s.work.Lock()
	restore, err := s.Proposer.Restore(ctx, run, original, c)
	s.work.Unlock()
	if err != nil {
		return penumbra.Proposal{}, err
	}
	e.log.Info("a way back is proposed", "run", id, "proposal", restore.ID, "by", by)
	return restore, e.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{restore})
}

// recoverRuns ends the runs that a crash left unended.
func (e *Engine) recoverRuns(ctx context.Context) error {
	unended, err := e.cfg.Store.Runs(ctx, penumbra.RunQuery{Unended: true})
	if err != nil {
		return err
	}
	for _, run := range unended {
		s := e.stacks[run.Stack]
		if s == nil || s.remediator == nil {
			e.log.Warn("a run was left unended and its stack is not configured any more", "run", run.ID, "stack", run.Stack)
			continue
		}
		p, err := e.Proposal(ctx, run.Proposal)
		if err != nil {
			return err
		}
		d, err := e.drift(ctx, run.Drift)
		if err != nil {
			return err
		}
		s.work.Lock()
		ended, err := s.remediator.Recover(ctx, run, p)
		s.work.Unlock()
		e.log.Warn("a run that was interrupted has been ended", "run", run.ID, "state", ended.State.String(), "error", err)
		if !ended.State.Ended() {
			return err
		}
		if err := e.conclude(ctx, ended, p, d, penumbra.KindOf(err)); err != nil {
			return err
		}
	}
	return nil
}

// newID returns an identifier that nothing else has.
func newID(prefix string) string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + "-" + hex.EncodeToString(b[:])
}
