// Package remediation answers: how is an approved proposal carried out so that
// it ends well, or stops where a person can see what happened? It is called
// with a run, its proposal and the decision that allows it.
//
// It guarantees that nothing is applied without a decision on exactly this
// proposal, that a plan is applied at most once a run whatever fails, that each
// state is in the journal before its work begins, and that every run ends Done,
// Failed (nothing was changed) or Halted (a person must look). RolledBack is
// what Done becomes when a later run took it back.
package remediation

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Workspace is what a run needs of a technology, for one stack.
type Workspace interface {
	// Replan plans again what the plan planned, with the same patch in a copy
	// of the code (nil: the code as it is now). Nothing is changed. It returns
	// an error of kind Stale if the code is no longer what the patch is for.
	Replan(ctx context.Context, plan penumbra.Plan, patch *penumbra.Patch) (penumbra.Plan, error)
	// Apply applies the saved plan. An error of kind Stale, Locked, Refused or
	// Missing says that nothing was changed; after any other, something may
	// have been.
	Apply(ctx context.Context, plan penumbra.Plan, log io.Writer) error
	// WritePatch writes the patch into the code. It returns an error of kind
	// Stale, having written nothing, if a file is not what the patch is for.
	WritePatch(ctx context.Context, patch penumbra.Patch) error
	// RevertPatch puts the files of a patch back; those that were not written
	// stay. It returns an error of kind Stale if one is neither.
	RevertPatch(ctx context.Context, patch penumbra.Patch) error
}

// A Journal keeps runs. SaveRun is called before each step; when it returns
// nil the state survives a crash.
type Journal interface {
	SaveRun(ctx context.Context, run penumbra.Run) error
}

// A RuleBook keeps ignore rules. DeleteRule of one that is not there is no
// error.
type RuleBook interface {
	SaveRule(ctx context.Context, rule penumbra.Rule) error
	DeleteRule(ctx context.Context, id string) error
}

// A Verifier reads the world again and returns the findings that the run was
// to end and that are still there; none means that the promise is kept.
type Verifier func(ctx context.Context, run penumbra.Run, p penumbra.Proposal) (remaining []penumbra.Finding, err error)

// DefaultWorkTimeout bounds what is done once applying has begun.
const DefaultWorkTimeout = time.Hour

// Machine carries out the runs of one stack, one at a time. It must not be
// copied.
type Machine struct {
	Workspace Workspace
	Journal   Journal
	Rules     RuleBook
	Verify    Verifier
	Now       func() time.Time
	// WorkTimeout bounds applying and verifying, which a cancelled context
	// does not stop; 0 means [DefaultWorkTimeout].
	WorkTimeout time.Duration

	mu      sync.Mutex
	started map[string]bool
}
