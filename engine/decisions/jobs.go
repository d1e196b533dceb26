package decisions

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// lookAgain is how long a job waits for what nothing tells of when it comes: the
	// end of a freeze, a stack that is configured again.
	lookAgain = time.Minute
	// resumesWithin is how long after it was planned a run may still be begun after a
	// restart. Who approved it is likely to be there still; later it is for them to say
	// whether it is to go on.
	resumesWithin = 15 * time.Minute
)

// mayStart counts a run in that was decided on, unless the board is stopping.
func (b *Board) mayStart(run string) bool {
	b.working.Lock()
	defer b.working.Unlock()
	if b.stopping {
		return false
	}
	b.counted[run] = true
	return true
}

// countOut counts a run out, if it was counted in.
func (b *Board) countOut(run string) {
	b.working.Lock()
	defer b.working.Unlock()
	if delete(b.counted, run); len(b.counted) == 0 {
		b.idle.Broadcast()
	}
}

// add puts a job in. What follows from decisions is stored with them, so that a job
// that could not be put in is put in at the next start.
func (b *Board) add(ctx context.Context, job penumbra.Job) {
	if err := b.cfg.Queue.Add(context.WithoutCancel(ctx), job); err != nil {
		b.cfg.Log.Error("a job could not be put in; it is at the next start", "job", string(job.Kind), "id", job.ID, "error", err)
		b.countOut(job.ID)
	}
}

// leftover puts in what is stored and has not come to its end, for a queue that was
// not there when it was decided, or has lost it.
func (b *Board) leftover(ctx context.Context) error {
	unended, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Unended: true})
	if err != nil {
		return err
	}
	for _, run := range slices.Backward(unended) { // the first started first
		b.working.Lock()
		b.counted[run.ID] = false
		b.working.Unlock()
		if err := b.cfg.Queue.Add(ctx, penumbra.Job{Kind: penumbra.CarryOutRun, ID: run.ID}); err != nil {
			return err
		}
	}
	scheduled, err := b.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{States: []penumbra.ProposalStatus{penumbra.Scheduled}})
	if err != nil {
		return err
	}
	for _, p := range scheduled {
		if err := b.cfg.Queue.Add(ctx, penumbra.Job{Kind: penumbra.StartScheduled, ID: p.ID, Due: p.Due}); err != nil {
			return err
		}
	}
	return nil
}

// do does a job.
func (b *Board) do(ctx context.Context, job penumbra.Job) (again time.Time, err error) {
	switch job.Kind {
	case penumbra.CarryOutRun:
		return b.carryOut(ctx, job.ID)
	case penumbra.StartScheduled:
		return b.startScheduled(ctx, job.ID)
	}
	return again, fmt.Errorf("a job of kind %q is not known", job.Kind)
}

// carryOut carries a run out, or ends it if it was begun before, and draws the
// conclusions from how it ended. It is called until it returns no error, and by then
// the run has ended and all that follows is recorded.
func (b *Board) carryOut(ctx context.Context, id string) (again time.Time, err error) {
	b.working.Lock()
	decided, busy := b.counted[id], b.atWork[id]
	b.atWork[id] = true
	b.working.Unlock()
	if busy {
		return b.cfg.Now().Add(lookAgain), nil
	}
	defer func() {
		b.working.Lock()
		delete(b.atWork, id)
		b.working.Unlock()
		b.countOut(id)
	}()
	// The limit of a job is for what may still be stopped; it is recorded all the same.
	recording := context.WithoutCancel(ctx)
	run, p, d, err := b.runOf(recording, id)
	switch {
	case err != nil && penumbra.KindOf(err) == penumbra.NotFound:
		return again, nil
	case err != nil:
		return again, err
	}
	s := b.cfg.Stacks[run.Stack]
	if s == nil || s.Remediator == nil {
		if run.State.Ended() {
			return again, nil
		}
		b.cfg.Log.Warn("a run was left unended and its stack is not configured any more", "run", run.ID, "stack", run.Stack)
		return b.cfg.Now().Add(lookAgain), nil
	}
	if run.State.Ended() { // a kill has kept what follows from being recorded
		return again, b.conclude(recording, run, p, d, nil, true)
	}
	ended, err := b.work(ctx, s, run, p, d, decided)
	if !ended.State.Ended() {
		return again, err // it could not be recorded
	}
	b.working.Lock()
	delete(b.executed, id)
	b.working.Unlock()
	return again, b.conclude(recording, ended, p, d, err, false)
}

func (b *Board) runOf(ctx context.Context, id string) (run penumbra.Run, p penumbra.Proposal, d penumbra.Drift, err error) {
	runs, err := b.Runs(ctx, penumbra.RunQuery{ID: id})
	if err != nil {
		return run, p, d, err
	}
	if p, err = b.Proposal(ctx, runs[0].Proposal); err != nil {
		return run, p, d, err
	}
	d, err = b.cfg.World.Drift(ctx, runs[0].Drift)
	return runs[0], p, d, err
}

// work executes a run that was not begun, if it may still be, and ends any other.
func (b *Board) work(ctx context.Context, s *Stack, run penumbra.Run, p penumbra.Proposal, d penumbra.Drift, decided bool) (penumbra.Run, error) {
	s.Work.Lock()
	defer s.Work.Unlock()
	b.working.Lock()
	tried := b.executed[run.ID]
	b.executed[run.ID] = true
	b.working.Unlock()
	if tried || !decided && !b.mayResume(ctx, &run, &p, &d) {
		ended, err := s.Remediator.Recover(ctx, run, p)
		b.cfg.Log.Warn("a run that was interrupted has been ended", "run", run.ID, "state", ended.State.String(), "error", err)
		return ended, err
	}
	given, err := b.cfg.Store.Decisions(context.WithoutCancel(ctx), penumbra.DecisionQuery{Proposal: p.ID})
	if err != nil {
		return run, err
	}
	given = slices.DeleteFunc(given, func(g penumbra.Decision) bool { return !slices.Contains(run.Approvals, g.ID) })
	running, end := b.cfg.Begin(ctx, "run", s.Name, "run", run.ID, "proposal", p.ID, "kind", string(p.Kind))
	ended, err := s.Remediator.Execute(running, run, p, given...)
	b.cfg.Ran(running, &ended)
	end(err)
	b.cfg.Log.Info("run ended", "run", run.ID, "proposal", p.ID, "state", ended.State.String(), "error", err)
	return ended, err
}

// mayResume reports whether a run that was decided on before a restart may still be
// begun: it has not begun to apply, its approval is fresh, the drift is there, and
// policies, windows and freezes of now let it start.
func (b *Board) mayResume(ctx context.Context, run *penumbra.Run, p *penumbra.Proposal, d *penumbra.Drift) bool {
	now := b.cfg.Now()
	if run.State != penumbra.Planned && run.State != penumbra.Checking || now.Sub(run.Started) > resumesWithin ||
		!d.Active() && p.Kind != penumbra.Restore || len(run.Approvals) == 0 {
		return false
	}
	x, err := b.matter(ctx, p, d)
	if err != nil {
		return false
	}
	given, err := b.cfg.Store.Decisions(ctx, penumbra.DecisionQuery{Proposal: p.ID})
	i := slices.IndexFunc(given, func(g penumbra.Decision) bool { return g.ID == run.Decision })
	if err != nil || i < 0 {
		return false
	}
	due, err := x.due(b.cfg.Policy, given[i].By, true)
	return err == nil && due.IsZero()
}
