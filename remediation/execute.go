package remediation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Execute carries out a planned run, or one that a kill has kept checking, and returns it as it ended. The error is
// nil if the run is Done. Otherwise its kind says why not: Refused if the
// decisions do not allow the run, Stale if the world moved or the drift is
// still there, or the kind of what failed. An error of the journal is joined
// to it: the stored run may then be unended, give it to [Machine.Recover].
//
// A cancelled context stops the run until applying has begun, and not after.
func (m *Machine) Execute(ctx context.Context, run penumbra.Run, p penumbra.Proposal, decisions ...penumbra.Decision) (penumbra.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if run.State != penumbra.Planned && run.State != penumbra.Checking || m.started[run.ID] {
		return run, &penumbra.Error{
			Kind: penumbra.Refused, What: fmt.Sprintf("run %s is %s already and runs once only", run.ID, run.State),
			Remedy: "approve a new proposal",
		}
	}
	if m.started == nil {
		m.started = map[string]bool{}
	}
	m.started[run.ID] = true

	e := &execution{Machine: m, id: run.ID, run: run, p: p, by: nameOf(decisions, run.Decision)}
	m.live.Store(e)
	defer m.live.Store(nil)
	again := ""
	if run.State == penumbra.Checking {
		again = "begun again: Penumbra stopped while it was checking, and nothing was changed"
	}
	if err := allowed(&run, &p, decisions); err != nil {
		return e.end(ctx, penumbra.Failed, err)
	}
	if err := m.wayAllowed(&p); err != nil {
		return e.end(ctx, penumbra.Failed, err)
	}
	if err := e.step(ctx, penumbra.Checking, again); err != nil {
		return e.end(ctx, penumbra.Failed, err)
	}
	if err := e.check(ctx); err != nil {
		return e.end(ctx, penumbra.Failed, err)
	}
	if err := ctx.Err(); err != nil {
		return e.end(ctx, penumbra.Failed, &penumbra.Error{
			Kind: penumbra.Unavailable, What: "stopped before anything was changed", Remedy: "approve the proposal again", Err: err,
		})
	}

	// From here on the run is finished whoever interrupts: a half-applied plan
	// is worse than a late stop.
	work, cancel := m.work(ctx)
	defer cancel()
	if err := e.step(work, penumbra.Applying, ""); err != nil {
		return e.end(work, penumbra.Failed, err)
	}
	if p.Publishes() || p.Withdraws != nil {
		return e.published(work)
	}
	if state, err := e.apply(work); err != nil {
		return e.end(work, state, err)
	}
	if err := e.step(work, penumbra.Verifying, ""); err != nil {
		// The world is changed already: what is left is to find out how it is.
		fmt.Fprintf(&e.log, "the journal could not be written before verifying: %v\n", err)
	}
	return e.verified(work)
}

func (m *Machine) work(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := m.WorkTimeout
	if timeout == 0 {
		timeout = DefaultWorkTimeout
	}
	return context.WithTimeout(context.WithoutCancel(ctx), timeout)
}

// allowed returns an error of kind Refused unless the decisions approve exactly
// this proposal, are by as many people as the run needs, and the run follows from
// them.
func allowed(run *penumbra.Run, p *penumbra.Proposal, decisions []penumbra.Decision) error {
	why := unfounded(run, p, decisions)
	switch {
	case why != "":
	case p.Hash == "" || p.Digest() != p.Hash:
		why = "the proposal is not what its hash says"
	default:
		return nil
	}
	return &penumbra.Error{Kind: penumbra.Refused, What: "run " + run.ID + " is refused: " + why, Remedy: "look at the proposal again and decide on it"}
}

// unfounded says why a run does not follow from decisions, "" if it does.
func unfounded(run *penumbra.Run, p *penumbra.Proposal, decisions []penumbra.Decision) string {
	named := run.Approvals
	if len(named) == 0 {
		named = []string{run.Decision}
	}
	var people []string
	for _, id := range append([]string{run.Decision}, named...) {
		i := slices.IndexFunc(decisions, func(d penumbra.Decision) bool { return d.ID == id })
		if id == "" || i < 0 {
			return "it names no recorded decision"
		}
		switch d := &decisions[i]; {
		case run.Proposal != p.ID || d.Proposal != p.ID:
			return "its decision is on another proposal"
		case d.Verb != penumbra.Approve:
			return fmt.Sprintf("its decision is to %s", d.Verb)
		case d.Hash != p.Hash:
			return "its decision is on another plan than this one"
		case !slices.ContainsFunc(people, func(by string) bool { return penumbra.SamePerson(by, d.By) }):
			people = append(people, d.By)
		}
	}
	if len(people) < run.Needs {
		return fmt.Sprintf("%d of %d people have approved it", len(people), run.Needs)
	}
	return ""
}

// execution is one run under way.
type execution struct {
	*Machine
	id  string // of run, which changes while others look
	run penumbra.Run
	p   penumbra.Proposal
	by  string // who approved it last
	log runLog
}

func nameOf(decisions []penumbra.Decision, id string) string {
	i := slices.IndexFunc(decisions, func(d penumbra.Decision) bool { return d.ID == id })
	if i < 0 {
		return ""
	}
	return decisions[i].By
}

// step records that the run reaches a state, before the state's work begins.
func (e *execution) step(ctx context.Context, state penumbra.RunState, note string) error {
	e.run.State = state
	e.run.Log = e.log.String()
	e.run.Steps = append(slices.Clone(e.run.Steps), penumbra.RunStep{State: state, Time: e.Now().UTC(), Note: penumbra.Redact(note)})
	if err := e.Journal.SaveRun(context.WithoutCancel(ctx), e.run); err != nil {
		return fmt.Errorf("record run %s as %s: %w", e.run.ID, state, err)
	}
	return nil
}

// end records the run's last state. The error it returns is cause, or the
// journal's.
func (e *execution) end(ctx context.Context, state penumbra.RunState, cause error) (penumbra.Run, error) {
	if state == penumbra.Done && e.Watch > 0 && e.p.Applies() {
		// With the state, in one record: a kill in between would leave it unwatched.
		e.run.Watch = &penumbra.Watch{Until: e.Now().UTC().Add(e.Watch)}
	}
	if cause != nil {
		e.run.Outcome = outcome(state, cause)
		if c := e.run.Code; c != nil {
			e.run.Outcome = fmt.Sprintf("%s is there and not complete; working tree and resource are as they were: %s", c, penumbra.Redact(cause.Error()))
		}
	}
	e.run.Ended = e.Now().UTC()
	return e.run, errors.Join(cause, e.step(ctx, state, e.run.Outcome))
}

func outcome(state penumbra.RunState, cause error) string {
	text := penumbra.Redact(cause.Error())
	if state == penumbra.Failed {
		return "nothing was changed: " + text
	}
	return "a person must look: " + text
}

// check holds the evidence that was approved against the world of now.
func (e *execution) check(ctx context.Context) error {
	if e.p.Policy != nil {
		if err := e.checkPolicies(ctx); err != nil {
			return err
		}
	}
	if e.p.Plan == nil {
		return nil
	}
	fresh, err := e.Workspace.Replan(ctx, *e.p.Plan, plannedWith(&e.p))
	if err != nil {
		return fmt.Errorf("plan again: %w", err)
	}
	if fresh.Evidence != e.p.Plan.Evidence {
		return &penumbra.Error{
			Kind: penumbra.Stale, What: "the world has moved since the plan was approved: " + moved(e.p.Plan, &fresh),
			Remedy: "look at the new proposals and decide again",
		}
	}
	return nil
}

// plannedWith returns the patch that the proposal's plan was made with.
func plannedWith(p *penumbra.Proposal) *penumbra.Patch {
	if p.Scratch != nil {
		return p.Scratch
	}
	return p.Patch
}

// apply writes the code first, so that the code is never behind the world, then
// applies the plan. The state is what an error leads to.
func (e *execution) apply(ctx context.Context) (penumbra.RunState, error) {
	if e.p.Patch != nil {
		if err := e.Workspace.WritePatch(ctx, *e.p.Patch); err != nil {
			err = fmt.Errorf("write the patch: %w", err)
			if penumbra.KindOf(err) == penumbra.Stale {
				return penumbra.Failed, err
			}
			return e.takeBack(ctx, err)
		}
	}
	if e.p.Rule != nil {
		if err := e.rule(ctx, e.p.Kind != penumbra.Restore); err != nil {
			// What is stored is not known now: writing the opposite settles it.
			if undo := e.rule(ctx, e.p.Kind == penumbra.Restore); undo != nil {
				return penumbra.Halted, fmt.Errorf("change the rule: %w; change it back: %w", err, undo)
			}
			return e.takeBack(ctx, fmt.Errorf("change the rule: %w", err))
		}
	}
	if e.p.Attention != nil {
		if err := e.attention(ctx); err != nil {
			return penumbra.Failed, fmt.Errorf("change how often it is read: %w", err)
		}
	}
	if e.p.Policy != nil {
		if state, err := e.setPolicies(ctx); err != nil {
			return state, err
		}
	}
	if e.p.Message != nil {
		if err := e.send(ctx); err != nil {
			return penumbra.Failed, err
		}
	}
	if !e.p.Applies() {
		return penumbra.Applying, nil
	}
	err := e.Workspace.Apply(ctx, *e.p.Plan, &e.log)
	if err == nil {
		return penumbra.Applying, nil
	}
	err = fmt.Errorf("apply: %w", err)
	if changedNothing(err) || e.asPlanned(ctx) {
		return e.takeBack(ctx, err)
	}
	return penumbra.Halted, err
}

// rule saves the proposal's rule, or deletes it.
func (e *execution) rule(ctx context.Context, save bool) error {
	if save {
		rule := *e.p.Rule
		if rule.Created.IsZero() {
			rule.Created = e.Now().UTC()
		}
		return e.Rules.SaveRule(ctx, rule)
	}
	return e.Rules.DeleteRule(ctx, e.p.Rule.ID)
}

// takeBack puts the code back after a step that changed nothing of the world.
func (e *execution) takeBack(ctx context.Context, cause error) (penumbra.RunState, error) {
	if e.p.Patch == nil {
		return penumbra.Failed, cause
	}
	if err := e.Workspace.RevertPatch(ctx, *e.p.Patch); err != nil {
		return penumbra.Halted, fmt.Errorf("%w; take the patch back: %w", cause, err)
	}
	return penumbra.Failed, cause
}

// changedNothing reports whether an error of Apply says so by its kind.
func changedNothing(err error) bool {
	switch penumbra.KindOf(err) {
	case penumbra.Stale, penumbra.Locked, penumbra.Refused, penumbra.Missing:
		return true
	default:
		return false
	}
}

// asPlanned reports whether a plan of now would do what the approved one was to
// do: then the apply that failed did none of it.
func (e *execution) asPlanned(ctx context.Context) bool {
	with := e.p.Scratch
	// A patch that is not scratch has been written: the code has it already.
	fresh, err := e.Workspace.Replan(ctx, *e.p.Plan, with)
	return err == nil && fresh.Evidence == e.p.Plan.Evidence
}

// attention saves the proposal's, or ends it.
func (e *execution) attention(ctx context.Context) error {
	if e.Attentions == nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: "nothing here reads resources more often", Remedy: "have `penumbra serve` run"}
	}
	if e.p.Kind == penumbra.Restore {
		return e.Attentions.EndAttention(ctx, e.p.Attention.ID)
	}
	a := *e.p.Attention
	a.By = e.by
	return e.Attentions.SaveAttention(ctx, a)
}

// send has the proposal's message go out, where somebody sends messages.
func (e *execution) send(ctx context.Context) error {
	to := strings.Join(e.p.Message.To, ", ")
	if e.Messenger != nil {
		how, err := e.Messenger.Send(ctx, e.id, e.p.Drift, *e.p.Message)
		if err != nil {
			return fmt.Errorf("send the message: %w", err)
		}
		if how != "" {
			e.run.Told = "the message for " + to + " " + how
			return nil
		}
	}
	e.run.Told = fmt.Sprintf("%s has told %s, or will: no notification is configured that would send the message", e.by, to)
	return nil
}

// promised says, of a run that changes neither the resource nor how it is judged,
// what holds now, "" of any other.
func (e *execution) promised() string {
	switch {
	case e.p.Message != nil:
		return e.run.Told + "; whether the changes stop shows within a week"
	case e.p.Policy != nil && !e.there():
		return fmt.Sprintf("the policies of %s are no longer in use: one person decides again", e.p.Policy.Path())
	case e.p.Policy != nil:
		return fmt.Sprintf("the policies of %s are in use: two people decide on %s of %s other than the code says", e.p.Policy.Path(), strings.Join(e.p.Policy.Paths, ", "), e.p.Policy.Resource.Local())
	case e.p.Attention != nil && e.p.Kind == penumbra.Restore:
		return fmt.Sprintf("%s is read every %s again", e.p.Attention.Resource, e.p.Attention.Usually)
	case e.p.Attention != nil:
		return fmt.Sprintf("%s is read every %s until %s", e.p.Attention.Resource, e.p.Attention.Every, e.p.Attention.Until.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return ""
}

// verified ends the run by what a fresh look at the world says.
func (e *execution) verified(ctx context.Context) (penumbra.Run, error) {
	if err := e.planEmpty(ctx); err != nil {
		state, err := e.takeBack(ctx, err) // only the code was changed
		return e.end(ctx, state, err)
	}
	if outcome := e.promised(); outcome != "" {
		e.run.Outcome = outcome
		return e.end(ctx, penumbra.Done, nil)
	}
	remaining, err := e.Verify(ctx, e.run, e.p)
	if err != nil {
		return e.end(ctx, penumbra.Halted, fmt.Errorf("verify: %w", err))
	}
	if len(remaining) > 0 {
		return e.end(ctx, penumbra.Halted, &penumbra.Error{
			Kind: penumbra.Stale, What: "the drift is still there: " + findings(remaining),
			Remedy: "look at the resource; something else may be setting these values",
		})
	}
	e.run.Outcome = "verified: a fresh look finds nothing left of the drift"
	if e.p.Kind == penumbra.Guard {
		e.run.Outcome = "verified: the code has the guard, and a plan of it changes nothing"
	}
	return e.end(ctx, penumbra.Done, nil)
}

// planEmpty checks, for a patch that only follows the world, that the code as
// it is now wants no change of the targets.
func (e *execution) planEmpty(ctx context.Context) error {
	if e.p.Plan == nil || e.p.Patch == nil || e.p.Applies() {
		return nil
	}
	fresh, err := e.Workspace.Replan(ctx, *e.p.Plan, nil)
	if err != nil {
		return fmt.Errorf("plan the patched code: %w", err)
	}
	if fresh.Evidence != e.p.Plan.Evidence && !fresh.IsEmpty() {
		return &penumbra.Error{
			Kind: penumbra.Stale, What: "the patched code still wants changes: " + moved(e.p.Plan, &fresh),
			Remedy: "look at the diff of the code and at a new plan",
		}
	}
	return nil
}

const listed = 5 // how many things a sentence names before it only counts

func findings(list []penumbra.Finding) string {
	var words []string
	for _, f := range list[:min(len(list), listed)] {
		words = append(words, fmt.Sprintf("%s is %s, the code says %s", f.Path, f.Actual, f.Template))
	}
	return joinListed(words, len(list))
}

func joinListed(words []string, total int) string {
	text := strings.Join(words, "; ")
	if total > len(words) {
		text += fmt.Sprintf("; and %d more", total-len(words))
	}
	return text
}

// moved says how a fresh plan differs from the approved one.
func moved(approved, fresh *penumbra.Plan) string {
	old := changeLines(approved)
	now := changeLines(fresh)
	var words []string
	for _, line := range now {
		if !slices.Contains(old, line) {
			words = append(words, "now "+line)
		}
	}
	for _, line := range old {
		if !slices.Contains(now, line) {
			words = append(words, "no longer "+line)
		}
	}
	if len(words) == 0 {
		return "the plan reads the same, but starts from other values"
	}
	return joinListed(words[:min(len(words), listed)], len(words))
}

func changeLines(p *penumbra.Plan) []string {
	var lines []string
	for _, c := range p.Changes {
		if c.Action == penumbra.NoChange || c.Action == penumbra.Read {
			continue
		}
		if len(c.Changes) == 0 {
			lines = append(lines, fmt.Sprintf("%s %s", c.Action, c.Resource))
		}
		for _, x := range c.Changes {
			after := x.After.String()
			if x.Unknown {
				after = penumbra.Unknown().String()
			}
			lines = append(lines, fmt.Sprintf("%s %s: %s from %s to %s", c.Action, c.Resource, x.Path, x.Before, after))
		}
	}
	return lines
}
