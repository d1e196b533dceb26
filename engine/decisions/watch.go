package decisions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// blamed is how probable it has to be that a run made a metric worse.
	blamed = 0.5
	// lateValues is how long after a watch values of its time may still come in.
	lateValues = time.Minute
	// watchedAmong bounds the runs of a stack that are looked through after a
	// restart.
	watchedAmong = 500
	// recovers is how long a metric has after a run to be well again, if what the run
	// took back was what made it bad.
	recovers = 30 * time.Second
	// TakesEffect is how long an act may take to show: a look that its event started
	// may come too early.
	TakesEffect = 10 * time.Second
)

// resume watches on, after a restart, the runs that are watched.
func (b *Board) resume(ctx context.Context) error {
	for _, s := range b.cfg.Stacks {
		if s.Remediator == nil {
			continue
		}
		runs, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Stack: s.Name, Limit: watchedAmong})
		if err != nil {
			return err
		}
		for i := range runs {
			b.beginWatch(&runs[i])
		}
	}
	return nil
}

// beginWatch has a run looked after from now on, if it is to be.
func (b *Board) beginWatch(run *penumbra.Run) {
	if !run.Watched() {
		return
	}
	b.watching.Lock()
	defer b.watching.Unlock()
	b.underWatch[run.ID] = true
}

// watchDue looks after the runs that are watched.
func (b *Board) watchDue(ctx context.Context) error {
	b.watching.Lock()
	var ids []string
	for id := range b.underWatch {
		ids = append(ids, id)
	}
	b.watching.Unlock()
	slices.Sort(ids)
	var failed error
	for _, id := range ids {
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
		if err := b.watchRun(ctx, id); err != nil {
			failed = errors.Join(failed, fmt.Errorf("watch run %s: %w", id, err))
		}
	}
	return failed
}

// watchRun notes what got worse after a run, offers the way back then, and ends
// the watch when its time is over. Each step is recorded before the next, so that
// a restart goes on where it was.
func (b *Board) watchRun(ctx context.Context, id string) error {
	runs, err := b.Runs(ctx, penumbra.RunQuery{ID: id})
	if err != nil {
		return err
	}
	run := runs[0]
	harm, err := b.harm(ctx, &run)
	if err != nil {
		return err
	}
	if run.Watched() && !slices.Equal(harm, run.Watch.Harm) {
		known := len(run.Watch.Harm)
		run, err = b.noteWatch(ctx, id, func(w *penumbra.Watch) { w.Harm = harm })
		if err != nil {
			return err
		}
		for _, h := range harm[known:] {
			b.cfg.Log.Warn("a metric got worse after a run", "run", id, "resource", h.Resource, "metric", h.Impact.Metric, "coincidence", h.Impact.Coincidence)
		}
	}
	over := run.Watch != nil && b.cfg.Now().After(run.Watch.Until.Add(lateValues))
	if run.Watched() && run.Hurt() && run.Kind != penumbra.Restore {
		if err := b.offerBack(ctx, &run, over); err != nil {
			return err
		}
	}
	if run.Watched() && !over {
		return nil
	}
	_, err = b.noteWatch(ctx, id, func(w *penumbra.Watch) {
		w.Ended = b.cfg.Now().UTC()
		if len(w.Harm) == 0 && !b.hasMetrics(&run) {
			w.Note = "no metric of it, or of what is near it, is known: there was nothing to see"
		}
	})
	if err != nil {
		return err
	}
	b.watching.Lock()
	defer b.watching.Unlock()
	delete(b.underWatch, id)
	return nil
}

// noteWatch changes the stored watch of a run that is still watched, and returns
// the run as it is stored.
func (b *Board) noteWatch(ctx context.Context, id string, change func(w *penumbra.Watch)) (penumbra.Run, error) {
	b.watching.Lock()
	defer b.watching.Unlock()
	runs, err := b.Runs(ctx, penumbra.RunQuery{ID: id})
	if err != nil {
		return penumbra.Run{}, err
	}
	run := runs[0]
	if !run.Watched() {
		return run, nil
	}
	w := *run.Watch
	change(&w)
	run.Watch = &w
	return run, b.cfg.Store.SaveRun(ctx, run)
}

// harm returns what got worse after a run and is put down to it: what is noted, as bad
// as it is by now, and behind it what is not noted yet.
func (b *Board) harm(ctx context.Context, run *penumbra.Run) ([]penumbra.Harm, error) {
	if !run.Watched() {
		return nil, nil
	}
	from := appliedAt(run)
	anomalies, err := b.cfg.Store.Anomalies(ctx, penumbra.AnomalyQuery{From: from})
	if err != nil {
		return nil, err
	}
	p, err := b.Proposal(ctx, run.Proposal)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(run.Watch.Harm)
	for i := range anomalies {
		a := &anomalies[i]
		if known := slices.IndexFunc(out, func(h penumbra.Harm) bool { return h.Impact.Anomaly == a.ID }); known >= 0 {
			out[known].Impact.Before, out[known].Impact.After = a.Expected, a.Value
			continue
		}
		if !a.Worse || a.Time.Before(from) || a.Onset.After(run.Watch.Until) || !b.nearRun(run, a.Resource) {
			continue
		}
		own, all, gone := 0.0, 0.0, 0.0
		outlived := a.Active() && b.cfg.Now().Sub(run.Ended) > recovers
		for _, s := range b.cfg.Performance.Suspects(a) {
			all += s.Probability
			switch {
			case byRun(run, p.Plan, &s):
				own += s.Probability // exactly one is the cause, so they add up
			case outlived && takenBack(run, p.Plan, &s):
				gone += s.Probability // it is not: what it did would have gone with it
			}
		}
		if gone < 1 {
			own /= 1 - gone
		}
		if own >= blamed {
			out = append(out, penumbra.Harm{Resource: a.Resource, Impact: penumbra.Impact{
				Anomaly: a.ID, Metric: a.Metric, Time: a.Onset, Before: a.Expected, After: a.Value, Worse: true,
				Coincidence: max(0, 1-own), Explained: min(1, all),
			}})
		}
	}
	return out, nil
}

func (b *Board) nearRun(run *penumbra.Run, a penumbra.Address) bool {
	for changed := range run.Before {
		if b.cfg.Performance.Near(changed, a) {
			return true
		}
	}
	return false
}

// hasMetrics reports whether there are metrics of what a run changed, or near it.
func (b *Board) hasMetrics(run *penumbra.Run) bool {
	for changed := range run.Before {
		if b.cfg.Performance.Measured(changed) {
			return true
		}
	}
	return false
}

// appliedAt is when a run began to apply.
func appliedAt(run *penumbra.Run) time.Time {
	for _, s := range run.Steps {
		if s.State == penumbra.Applying {
			return s.Time
		}
	}
	return run.Started
}

// byRun reports whether a suspect is what a run has applied by its plan. A stack has
// one run at a time, so the event that tells of it falls between its steps. The log of
// what was changed may tell of it too, with a better time, under the name of the account
// that the tool uses.
func byRun(run *penumbra.Run, plan *penumbra.Plan, s *penumbra.Suspect) bool {
	_, changed := run.Before[s.Resource]
	if !changed || s.Time.Before(appliedAt(run)) || s.Time.After(run.Ended.Add(TakesEffect)) {
		return false
	}
	if s.Source == "penumbra" {
		return s.Action == penumbra.ActionApply || s.Action == penumbra.ActionRollback
	}
	return plan != nil && slices.ContainsFunc(plan.Changes, func(c penumbra.PlannedChange) bool {
		return c.Resource == s.Resource && slices.ContainsFunc(c.Changes, func(x penumbra.PathChange) bool {
			return x.Path == s.Path && (x.Unknown || x.After == s.After)
		})
	})
}

// takenBack reports whether a suspect is an older change whose value the run's plan has
// taken away.
func takenBack(run *penumbra.Run, plan *penumbra.Plan, s *penumbra.Suspect) bool {
	return plan != nil && s.Path != "" && s.Time.Before(appliedAt(run)) && slices.ContainsFunc(plan.Changes, func(c penumbra.PlannedChange) bool {
		return c.Resource == s.Resource && slices.ContainsFunc(c.Changes, func(x penumbra.PathChange) bool {
			return x.Path == s.Path && x.Before == s.After
		})
	})
}

// offerBack plans the way back from a run that hurt, and has it carried out if a
// policy lets Penumbra roll back. over reports that there is no later try.
func (b *Board) offerBack(ctx context.Context, run *penumbra.Run, over bool) error {
	if run.Watch.WayBack == "" && run.Watch.Note == "" {
		p, err := b.offered(ctx, run)
		if err != nil {
			return err
		}
		if p == nil {
			made, err := b.wayBack(ctx, *run, func(*penumbra.Proposal, *penumbra.Drift) error { return nil })
			if err != nil && penumbra.KindOf(err).Retry() && !over {
				return err // it is tried again
			}
			if p = &made; err != nil {
				why := "no way back could be planned: " + penumbra.Redact(err.Error())
				*run, err = b.noteWatch(ctx, run.ID, func(w *penumbra.Watch) { w.Note = why })
				return err
			}
		}
		if *run, err = b.noteWatch(ctx, run.ID, func(w *penumbra.Watch) { w.WayBack = p.ID }); err != nil || !run.Watched() {
			return err
		}
		b.cfg.Log.Warn("a run hurt: a way back is proposed", "run", run.ID, "proposal", p.ID)
	}
	if run.Watch.WayBack == "" {
		return nil
	}
	return b.backByPolicy(ctx, run)
}

// offered returns a proposal to take a run back that can be decided on, nil if
// there is none.
func (b *Board) offered(ctx context.Context, run *penumbra.Run) (*penumbra.Proposal, error) {
	all, err := b.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{Drift: run.Drift})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Undoes == run.ID && all[i].State == penumbra.Proposed {
			return &all[i], nil
		}
	}
	return nil, nil
}

// backByPolicy approves the way back from a run that hurt, if a policy lets Penumbra
// roll back and nobody has tried to take the run back yet: once, whatever becomes of
// it.
func (b *Board) backByPolicy(ctx context.Context, run *penumbra.Run) error {
	d, err := b.cfg.World.Drift(ctx, run.Drift)
	if err != nil {
		return err
	}
	all, err := b.cfg.Store.Proposals(ctx, penumbra.ProposalQuery{Drift: run.Drift})
	if err != nil {
		return err
	}
	var p *penumbra.Proposal
	for i := range all {
		x := &all[i]
		if x.Undoes != run.ID {
			continue
		}
		tried, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Proposal: x.ID})
		if err != nil {
			return err
		}
		if len(tried) > 0 || approved(x) {
			return nil
		}
		if x.ID == run.Watch.WayBack && x.State == penumbra.Proposed {
			p = x
		}
	}
	if p == nil {
		return nil
	}
	x, err := b.matter(ctx, p, &d)
	if err != nil {
		return err
	}
	if a := b.cfg.Policy.Ask(x.question(penumbra.RollBack, "")); !a.Allowed {
		return nil
	}
	var worse []string
	for _, h := range run.Watch.Harm {
		worse = append(worse, fmt.Sprintf("%s of %s %s", h.Impact.Metric, h.Resource, h.Impact.Change()))
	}
	b.deciding.Lock()
	defer b.deciding.Unlock()
	made, err := b.approve(ctx, p.ID, p.Hash, "", "run "+run.ID+" hurt: "+strings.Join(worse, ", "))
	if kind := penumbra.KindOf(err); err != nil && (kind == penumbra.Refused || kind == penumbra.Stale) {
		return nil // a freeze holds, or somebody was quicker
	}
	if err == nil {
		b.cfg.Log.Warn("a run that hurt is rolled back by a policy", "run", run.ID, "proposal", p.ID, "policy", made.Decision.By, "scheduled", made.Scheduled)
	}
	return err
}
