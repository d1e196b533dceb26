package remediation

import (
	"context"
	"fmt"

	"github.com/penumbra-iac/penumbra"
)

// Recover ends a run that was found unended after a restart. A run that had not
// begun to apply is Failed: nothing was changed. One that had is Done if a fresh
// look at the world finds its promise kept, and Halted otherwise. Nothing is
// ever applied again; only what was being put up for review, or withdrawn, goes
// on from where it stopped, and is Done, or Failed with its error. A run that has
// ended is returned as it is. Any other error says that the end could not be
// recorded: the stored run stays unended.
func (m *Machine) Recover(ctx context.Context, run penumbra.Run, p penumbra.Proposal) (penumbra.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if run.State.Ended() {
		return run, nil
	}
	ctx, cancel := m.work(ctx)
	defer cancel()
	e := &execution{Machine: m, run: run, p: p}
	e.log.keep(run.Log)
	switch {
	case run.State == penumbra.Planned || run.State == penumbra.Checking:
		e.run.Outcome = fmt.Sprintf("nothing was changed: Penumbra stopped while the run was %s; approve the proposal again", run.State)
		return e.end(ctx, penumbra.Failed, nil)
	case p.ID != run.Proposal:
		e.run.Outcome = fmt.Sprintf("a person must look: Penumbra stopped while the run was %s, and its proposal is not known any more", run.State)
		return e.end(ctx, penumbra.Halted, nil)
	case p.Publishes() || p.Withdraws != nil:
		if err := m.wayAllowed(&p); err != nil {
			return e.end(ctx, penumbra.Failed, err)
		}
		return e.published(ctx)
	default:
		return e.reviewed(ctx, run.State)
	}
}

// reviewed ends a run of which it is not known how far it came.
func (e *execution) reviewed(ctx context.Context, state penumbra.RunState) (penumbra.Run, error) {
	if e.p.Policy != nil {
		return e.reviewedPolicies(ctx, state)
	}
	next, why := penumbra.Halted, ""
	if e.p.Message != nil && state == penumbra.Applying {
		why = "whether the message went out is not known: ask those it is for"
	} else if e.p.Message != nil {
		next = penumbra.Done
	} else if e.p.Attention != nil && e.attention(ctx) == nil {
		next = penumbra.Done // saved again, or ended again: that changes nothing twice
	} else if err := e.planEmpty(ctx); err != nil {
		why = err.Error()
	} else if remaining, err := e.Verify(ctx, e.run, e.p); err != nil {
		why = err.Error()
	} else if len(remaining) > 0 {
		why = "the drift is still there: " + findings(remaining)
	} else {
		next = penumbra.Done
	}
	if outcome := e.promised(); next == penumbra.Done && outcome != "" {
		e.run.Outcome = outcome
	} else if next == penumbra.Done {
		e.run.Outcome = fmt.Sprintf("verified: Penumbra stopped while the run was %s, and a fresh look finds nothing left of the drift", state)
	} else {
		e.run.Outcome = penumbra.Redact(fmt.Sprintf("a person must look: Penumbra stopped while the run was %s, and it was not applied again: %s", state, why))
	}
	return e.end(ctx, next, nil)
}
