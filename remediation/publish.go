package remediation

import (
	"context"
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Publisher puts patches up for review in version control, for one stack. The
// working tree and the world stay as they are.
type Publisher interface {
	// Publish commits the proposal's patch, pushes it and opens what the way asks
	// for. What is there already it leaves, so that it may be called again after
	// an error or a kill, and does what is left. reached is called after each
	// step with where the change is by then; its error stops the rest. Publish
	// returns an error of kind Stale if the code is no longer what the patch is
	// for, and Refused if something of somebody else's is in the way.
	Publish(ctx context.Context, run penumbra.Run, p penumbra.Proposal, reached func(penumbra.CodeChange) error) (penumbra.CodeChange, error)
	// Withdraw closes the pull request and deletes the branch of a change. One
	// that is gone already is no error. It returns an error of kind Stale if it
	// has been merged.
	Withdraw(ctx context.Context, run penumbra.Run, change penumbra.CodeChange) error
	// Look returns the change with what became of it.
	Look(ctx context.Context, change penumbra.CodeChange) (penumbra.CodeChange, error)
}

// publishTimeout bounds what is asked of version control and of a forge for one
// run.
const publishTimeout = 5 * time.Minute

// wayAllowed returns an error of kind Stale if patches of the stack get into the
// code in another way than the one that was approved.
func (m *Machine) wayAllowed(p *penumbra.Proposal) error {
	switch {
	case p.Patch != nil && p.Way != m.Way:
		return &penumbra.Error{
			Kind: penumbra.Stale, What: fmt.Sprintf("the way into the code is %s now, and %s was approved", wayName(m.Way), wayName(p.Way)),
			Remedy: "look at the new proposals and decide again",
		}
	case (p.Publishes() || p.Withdraws != nil) && m.Publisher == nil:
		return &penumbra.Error{
			Kind: penumbra.Refused, What: "the stack has no repository to put changes in",
			Remedy: "set `code` of the stack in penumbra.yaml (docs/code.md)",
		}
	}
	return nil
}

func wayName(w penumbra.CodeWay) string {
	if w == penumbra.DirectWay {
		return "direct"
	}
	return string(w)
}

// published carries a proposal out by way of version control, and ends the run.
// The drift is still there afterwards: only code that is merged and read ends it.
func (e *execution) published(ctx context.Context) (penumbra.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if change := e.p.Withdraws; change != nil {
		if err := e.Publisher.Withdraw(ctx, e.run, *change); err != nil {
			return e.end(ctx, penumbra.Failed, fmt.Errorf("withdraw %s: %w", change, err))
		}
		e.run.Outcome = change.String() + " is withdrawn: the drift is as it was before it"
		return e.end(ctx, penumbra.Done, nil)
	}
	change, err := e.Publisher.Publish(ctx, e.run, e.p, func(c penumbra.CodeChange) error {
		e.run.Code = &c
		return e.step(ctx, penumbra.Applying, progress(&c))
	})
	if err != nil {
		return e.end(ctx, penumbra.Failed, fmt.Errorf("put the patch up for review: %w", err))
	}
	e.run.Code = &change
	e.run.Outcome = change.String() + " " + change.Standing()
	return e.end(ctx, penumbra.Done, nil)
}

// progress says how far a change has come.
func progress(c *penumbra.CodeChange) string {
	switch {
	case c.URL != "":
		return "opened " + c.String()
	case c.Pushed:
		return "pushed " + c.String()
	default:
		return fmt.Sprintf("committed %.12s on branch %s", c.Commit, c.Branch)
	}
}

// Review returns a change of a run with what became of it since.
func (m *Machine) Review(ctx context.Context, change penumbra.CodeChange) (penumbra.CodeChange, error) {
	if m.Publisher == nil {
		return change, m.wayAllowed(&penumbra.Proposal{Withdraws: &change})
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return m.Publisher.Look(ctx, change)
}
