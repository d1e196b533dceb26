package remediation

import (
	"context"
	"errors"
	"fmt"

	"github.com/penumbra-iac/penumbra"
)

// Recover ends runs that were found unended after a restart and returns them,
// those that had ended left out. A run that had not begun to apply is Failed:
// nothing was changed. One that had is Done if a fresh look at the world finds
// its promise kept, and Halted otherwise. Nothing is ever applied again. The
// error joins those of runs that could not be recorded; they stay unended.
func (m *Machine) Recover(ctx context.Context, unended []Interrupted) ([]penumbra.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	work, cancel := m.work(ctx)
	defer cancel()
	var ended []penumbra.Run
	var errs []error
	for _, i := range unended {
		if i.Run.State.Ended() {
			continue
		}
		run, err := m.recoverOne(work, i)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ended = append(ended, run)
	}
	return ended, errors.Join(errs...)
}

func (m *Machine) recoverOne(ctx context.Context, i Interrupted) (penumbra.Run, error) {
	e := &execution{Machine: m, run: i.Run, p: i.Proposal}
	e.log.keep(i.Run.Log)
	state := i.Run.State
	if state == penumbra.Planned || state == penumbra.Checking {
		e.run.Outcome = fmt.Sprintf("nothing was changed: Penumbra stopped while the run was %s; approve the proposal again", state)
		return e.end(ctx, penumbra.Failed, nil)
	}
	if i.Proposal.ID != i.Run.Proposal {
		e.run.Outcome = fmt.Sprintf("a person must look: Penumbra stopped while the run was %s, and its proposal is not known any more", state)
		return e.end(ctx, penumbra.Halted, nil)
	}
	return e.reviewed(ctx, state)
}

// reviewed ends a run of which it is not known how far it came.
func (e *execution) reviewed(ctx context.Context, state penumbra.RunState) (penumbra.Run, error) {
	next, why := penumbra.Halted, ""
	if err := e.planEmpty(ctx); err != nil {
		why = err.Error()
	} else if remaining, err := e.Verify(ctx, e.run, e.p); err != nil {
		why = err.Error()
	} else if len(remaining) > 0 {
		why = "the drift is still there: " + findings(remaining)
	} else {
		next = penumbra.Done
	}
	if next == penumbra.Done {
		e.run.Outcome = fmt.Sprintf("verified: Penumbra stopped while the run was %s, and a fresh look finds nothing left of the drift", state)
	} else {
		e.run.Outcome = penumbra.Redact(fmt.Sprintf("a person must look: Penumbra stopped while the run was %s, and it was not applied again: %s", state, why))
	}
	return e.end(ctx, next, nil)
}
