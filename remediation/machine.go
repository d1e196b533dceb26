// Package remediation answers: how is an approved proposal carried out so that
// it ends well, or stops where a person can see what happened? It is called
// with a run, its proposal and the decisions that allow it.
//
// It guarantees that nothing is applied without decisions on exactly this
// proposal by as many people as the run needs, that a plan is applied at most once a run whatever fails, that each
// state is in the journal before its work begins, and that every run ends Done,
// Failed (nothing was changed) or Halted (a person must look). RolledBack is
// what Done becomes when a later run took it back. A patch that is put up for
// review instead of being written changes neither code nor world, so a run of one
// that was interrupted goes on where it stopped.
package remediation

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
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

// An AttentionBook keeps which resources are read more often. EndAttention of one
// that is not there is no error.
type AttentionBook interface {
	SaveAttention(ctx context.Context, a penumbra.Attention) error
	EndAttention(ctx context.Context, id string) error
}

// A Messenger tells people something.
type Messenger interface {
	// Send has the message of a run on a drift go out, once a run, and returns how, as
	// the rest of a sentence: "goes out through mail"; "" if nothing is configured
	// that sends it.
	Send(ctx context.Context, run, drift string, m penumbra.Message) (how string, err error)
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
	// Attentions are kept here; nil refuses proposals to watch closer. Messenger is
	// nil if nobody sends messages: that somebody was told is recorded all the same.
	Attentions AttentionBook
	Messenger  Messenger
	// Policies are kept here; nil refuses proposals that change them.
	Policies PolicyBook
	Verify   Verifier
	// Way is how patches get into the code of the stack, Publisher what puts them
	// up for review if they do not get there directly; nil if nothing does.
	Way       penumbra.CodeWay
	Publisher Publisher
	Now       func() time.Time
	// WorkTimeout bounds applying and verifying, which a cancelled context
	// does not stop; 0 means [DefaultWorkTimeout].
	WorkTimeout time.Duration
	// Watch is for how long the metrics of what a verified run changed are to be
	// watched, 0 for not at all. The machine records it; who watches is told so by
	// the run.
	Watch time.Duration

	mu      sync.Mutex
	started map[string]bool
	live    atomic.Pointer[execution]
}

// Log returns what the tools have written so far in the run that is under way,
// redacted. It is false for any other run: the journal has its log.
func (m *Machine) Log(run string) (text string, ok bool) {
	e := m.live.Load()
	if e == nil || e.id != run {
		return "", false
	}
	return e.log.SoFar(), true
}
