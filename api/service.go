package api

import (
	"context"
	"io"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Watcher answers what is known. Errors are of kind NotFound where a name
// stands for nothing.
type Watcher interface {
	Status(ctx context.Context) (penumbra.Status, error)
	// Resources returns the resources of a stack, of all stacks for "", the
	// gravest verdict first, then by address.
	Resources(ctx context.Context, stack string) ([]penumbra.ResourceStatus, error)
	// Shadow returns one resource with its shadow, as of now, and its history.
	Shadow(ctx context.Context, address penumbra.Address) (penumbra.ShadowView, error)
	Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error)
}

// An Explainer says why.
type Explainer interface {
	// Explain says why a setting is forecast and judged as it is; for the path ""
	// it does so for each finding on the resource, the gravest first, then for
	// what is most likely to leave.
	Explain(ctx context.Context, address penumbra.Address, path string) ([]penumbra.Explanation, error)
}

// A Resolver proposes, takes decisions and carries them out.
type Resolver interface {
	// Proposals returns the open proposals of a drift, by rank, making them
	// first if there are none, and what is not proposed with the reason.
	Proposals(ctx context.Context, drift string) ([]penumbra.Proposal, []penumbra.Omitted, error)
	Proposal(ctx context.Context, id string) (penumbra.Proposal, error)
	Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error)
	// Approve records the decision and starts the run, which goes on after the
	// call returns. hash must be the proposal's: otherwise kind Stale.
	Approve(ctx context.Context, proposal, hash, by string) (penumbra.Run, error)
	Reject(ctx context.Context, proposal, by, reason string) error
	// Customize makes a new proposal that sets the values that a person chose.
	Customize(ctx context.Context, proposal string, values []penumbra.Setting, by string) (penumbra.Proposal, error)
	// Rollback makes a proposal that takes a run back; it is approved like any
	// other.
	Rollback(ctx context.Context, run, by string) (penumbra.Proposal, error)
	Acknowledge(ctx context.Context, drift, by string) (penumbra.Drift, error)
	// Accept takes the drift's actual values as right, until the given time;
	// zero means for good.
	Accept(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error)
}

// A Carrier takes timelines in and gives them out.
type Carrier interface {
	// Ingest reads JSON Lines until the end; bad lines are kept aside.
	Ingest(ctx context.Context, r io.Reader, source string) (penumbra.IngestReport, error)
	// Export writes the selected observations as JSON Lines and returns their
	// number.
	Export(ctx context.Context, q penumbra.ObservationQuery, w io.Writer) (int, error)
	// Trigger reads a stack now and returns when the read is done.
	Trigger(ctx context.Context, stack string) error
}

// A Modeller shows the model that keeps the shadow, and changes its version.
type Modeller interface {
	Model(ctx context.Context) (penumbra.ModelStatus, error)
	// Versions returns the versions of the model, the newest first.
	Versions(ctx context.Context) ([]penumbra.ModelVersion, error)
	// AddVersion keeps a version as a candidate, with what it starts from. It
	// returns an error of kind Damaged if that is not its family's.
	AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (penumbra.ModelVersion, error)
	// Promote makes a version the active one. It returns an error of kind Refused
	// if the version has not beaten the active one and forced, the reason to take
	// it all the same, is empty.
	Promote(ctx context.Context, number int, by, forced string) (penumbra.ModelVersion, error)
	// RollbackModel goes back by one version and returns the one that was left.
	RollbackModel(ctx context.Context, by string) (penumbra.ModelVersion, error)
}

// Service is all that the API shows.
type Service interface {
	Watcher
	Explainer
	Resolver
	Carrier
	Modeller
}
