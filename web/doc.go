// Package web answers one question: what does a person look at to see what
// drifts, and to decide what is done about it? It makes HTML pages on the
// server; the only script is the plot of a setting's history.
//
// [Handler] takes what it shows through the interfaces below, so that a loop in
// the same process or a client of the API can stand behind it. Mount it at the
// root: its paths are absolute.
//
// What it guarantees:
//
//   - No page without a session, no change without the session's own form token,
//     and an approval names the hash of exactly the proposal that was shown.
//   - Whatever a setting holds is shown as text: it cannot become markup or
//     script, and the content security policy would not run it if it did.
//   - What was not checked is never shown as in sync, and a verdict is never
//     told by colour alone.
//   - A sensitive value is shown only as being one.
package web

import (
	"context"

	"github.com/penumbra-iac/penumbra"
)

// A Watcher says what is known. Errors are of kind NotFound where a name
// stands for nothing.
type Watcher interface {
	Status(ctx context.Context) (penumbra.Status, error)
	// Resources returns the resources of a stack, of all stacks for "", the
	// gravest verdict first.
	Resources(ctx context.Context, stack string) ([]penumbra.ResourceStatus, error)
	Shadow(ctx context.Context, address penumbra.Address) (penumbra.ShadowView, error)
	Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error)
}

// An Explainer says why a setting is forecast and judged as it is; for the path ""
// it does so for each finding on the resource.
type Explainer interface {
	Explain(ctx context.Context, address penumbra.Address, path string) ([]penumbra.Explanation, error)
}

// A Planner says what can be done and what was.
type Planner interface {
	// Proposals returns the open proposals of a drift by rank, making them
	// first if there are none, and what is not proposed with the reason.
	Proposals(ctx context.Context, drift string) ([]penumbra.Proposal, []penumbra.Omitted, error)
	Proposal(ctx context.Context, id string) (penumbra.Proposal, error)
	Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error)
}

// A Decider takes a person's decisions.
type Decider interface {
	// Approve starts the run. hash must be the proposal's: otherwise kind Stale.
	Approve(ctx context.Context, proposal, hash, by string) (penumbra.Run, error)
	Reject(ctx context.Context, proposal, by, reason string) error
	Acknowledge(ctx context.Context, drift, by string) (penumbra.Drift, error)
	// Rollback makes a proposal that takes a run back.
	Rollback(ctx context.Context, run, by string) (penumbra.Proposal, error)
}

// Service is all that the pages need.
type Service interface {
	Watcher
	Explainer
	Planner
	Decider
}
