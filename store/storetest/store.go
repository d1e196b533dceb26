// Package storetest is the contract of a store, as interfaces and as a suite
// of tests: every store runs [Run] and so keeps the same promises.
//
// The interfaces are those that package engine declares, repeated here because
// a store imports the nouns and this package only. A store that has the
// methods of one has those of the other.
package storetest

import (
	"context"
	"iter"

	"github.com/penumbra-iac/penumbra"
)

// Observations keeps the timelines.
type Observations interface {
	// Append stores observations and returns those that were new, in the order
	// given; one that is stored already is left as it is. When it returns
	// without an error they survive a crash of the process and of the machine.
	// It returns an error of kind Full if the disk is, and then none of them is
	// stored.
	Append(ctx context.Context, observations []penumbra.Observation) (added []penumbra.Observation, err error)
	// Observations yields the selected ones ordered by time, then identity.
	Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error]
	// Sequence returns the number of the observation taken in last, 0 if none.
	Sequence(ctx context.Context) (int64, error)
	// Quarantine keeps lines that could not be read.
	Quarantine(ctx context.Context, lines []penumbra.BadLine) error
}

// Drifts keeps findings.
type Drifts interface {
	SaveDrifts(ctx context.Context, drifts []penumbra.Drift) error
	// Drifts returns the selected ones, the last changed first.
	Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error)
}

// Proposals keeps proposals and what was decided on them.
type Proposals interface {
	// SaveProposals stores new proposals and new states of stored ones.
	SaveProposals(ctx context.Context, proposals []penumbra.Proposal) error
	// Proposals returns the selected ones, by rank.
	Proposals(ctx context.Context, q penumbra.ProposalQuery) ([]penumbra.Proposal, error)
	// Decide stores, in one transaction, a decision, the proposal's new state
	// and, if run is not nil, the planned run that follows from it. It returns
	// an error of kind Stale if the stored proposal is no longer in the
	// Proposed state or has another hash than the decision.
	Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error
	// Decisions returns what was decided on a proposal, "" for all, oldest first.
	Decisions(ctx context.Context, proposal string) ([]penumbra.Decision, error)
}

// Runs keeps runs.
type Runs interface {
	// SaveRun stores a run's new state. A run that has ended never changes
	// again, but for Done becoming RolledBack: anything else is an error of
	// kind Refused.
	SaveRun(ctx context.Context, run penumbra.Run) error
	// Runs returns the selected ones, the last started first.
	Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error)
}

// Rules keeps ignore rules.
type Rules interface {
	SaveRule(ctx context.Context, rule penumbra.Rule) error
	DeleteRule(ctx context.Context, id string) error // no error if there is none
	// Rules returns all rules in the order in which they were created.
	Rules(ctx context.Context) ([]penumbra.Rule, error)
}

// Checkpoints keeps the models' saved states.
type Checkpoints interface {
	SaveCheckpoint(ctx context.Context, c penumbra.Checkpoint) error
	// Checkpoint returns the last one of that name, an error of kind NotFound
	// if there is none and of kind Damaged if it does not match its checksum.
	Checkpoint(ctx context.Context, name string) (penumbra.Checkpoint, error)
}

// Versions keeps the versions of the model.
type Versions interface {
	// AddVersion stores a version under the next number, from 1, with what it
	// starts from, nil if there is none, and returns the number. Of earlier
	// versions the bodies of the newest [penumbra.KeptVersions] are kept, that of
	// the active one and that of the one before it; any other may be given up.
	AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (number int, err error)
	// SaveVersions stores new states of stored versions, all or none. It returns
	// an error of kind NotFound if one of them is not stored.
	SaveVersions(ctx context.Context, versions []penumbra.ModelVersion) error
	// Versions returns all of them, the newest first.
	Versions(ctx context.Context) ([]penumbra.ModelVersion, error)
	// VersionBody returns what a version starts from. It returns an error of kind
	// NotFound if it is not stored or not kept, and of kind Damaged if it does not
	// match its checksum.
	VersionBody(ctx context.Context, number int) ([]byte, error)
}

// Store is all that a store keeps.
type Store interface {
	Observations
	Drifts
	Proposals
	Runs
	Rules
	Checkpoints
	Versions
	// Counts returns the numbers of observations and of quarantined lines.
	Counts(ctx context.Context) (observations, quarantined int64, err error)
	Close() error
}
