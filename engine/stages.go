package engine

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Source reads what the code of one stack declares and what is really there.
type Source interface {
	// Read returns a template and a snapshot of every resource of the stack;
	// a resource that could not be read comes as a snapshot with NotChecked
	// set. An error of kind Unavailable or Locked is retried with back-off; any
	// other stops the source until the next trigger. It never writes.
	Read(ctx context.Context) ([]penumbra.Observation, error)
}

// A Shadow is the model of what is expected. It is called by one goroutine at
// a time.
type Shadow interface {
	// Observe folds an observation in. It costs O(1) for each setting in it.
	Observe(o *penumbra.Observation)
	// Expect returns what the shadow holds, at the confidence, of each setting
	// that the resource's template or actual configuration has, sorted by path.
	Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation
	// Forecast returns, for the same settings in the same order, the
	// probability of leaving.
	Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast
}

// A Checkpointer is a shadow whose state can be saved and read back.
type Checkpointer interface {
	// WriteTo writes the whole state in the model's own versioned format.
	io.WriterTo
	// ReadFrom replaces the state. It returns an error of kind Damaged, and
	// leaves the state as it was, if the data is not a checkpoint of this model.
	io.ReaderFrom
}

// An Explain says in words why a setting is forecast to leave, and why f, nil if
// it is in sync, is the verdict on it; d is the drift that it belongs to, nil if
// there is none. With the path "" it explains a verdict on the whole resource.
type Explain func(s Shadow, r *penumbra.Resource, path string, at time.Time, f *penumbra.Finding, d *penumbra.Drift) penumbra.Explanation

// A Learner is a shadow that tries new versions of a part of itself while it
// serves.
type Learner interface {
	// Learn does a little of the work that observations have put off, and reports
	// whether there is more. It takes a few milliseconds at most.
	Learn() (more bool)
	// Learnt returns, oldest first, the versions that were tried last, by the
	// time at which that was decided.
	Learnt() []penumbra.ModelVersion
	// TakeBack makes sure that the version adopted at the time does not serve,
	// also if it has yet to come to that time, and reports whether another serves
	// now.
	TakeBack(adopted time.Time) bool
}

// A Pool is a shadow of several experts.
type Pool interface {
	Pool() penumbra.ModelPool
}

// A Judge holds what is expected against what is there.
type Judge interface {
	// SetRules replaces the ignore rules. It returns an error of kind Invalid
	// that names the rule if one cannot be read, and keeps the earlier ones.
	SetRules(rules []penumbra.Rule) error
	// Assess gives the verdict on each setting of r at a time, from what the
	// shadow expected before it saw the actual values.
	Assess(r *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, at time.Time) penumbra.Assessment
	// Live takes the resource's active drifts through an assessment and
	// returns those that are new or changed.
	Live(active []penumbra.Drift, r *penumbra.Resource, a penumbra.Assessment) []penumbra.Drift
}

// A Case is all that a proposer may know of a drift.
type Case struct {
	Drift    penumbra.Drift
	Resource penumbra.Resource
	Outcomes []Outcome // of earlier runs of the stack
	Time     time.Time
}

// Outcome is how an earlier run ended: likelihoods are learnt from it.
type Outcome struct {
	Kind      penumbra.ProposalKind
	Type      string // of the resource
	Succeeded bool   // verified, and not taken back
}

// A Proposer finds ways to resolve a drift of one stack. It plans, and never
// changes anything.
type Proposer interface {
	// Propose returns the ways, ranked, and those left out with the reason.
	Propose(ctx context.Context, c Case) ([]penumbra.Proposal, []penumbra.Omitted, error)
	// Customize returns a proposal that sets the values a person chose.
	Customize(ctx context.Context, original penumbra.Proposal, values []penumbra.Setting, c Case) (penumbra.Proposal, error)
	// Restore returns a proposal that takes a run back.
	Restore(ctx context.Context, run penumbra.Run, original penumbra.Proposal, c Case) (penumbra.Proposal, error)
}

// A Remediator carries a run through its states, each of them saved before its
// work begins.
type Remediator interface {
	// Execute carries out the proposal that the decision approved. The run
	// returned has ended, however it went; the error says why it is not Done.
	Execute(ctx context.Context, run penumbra.Run, p penumbra.Proposal, d penumbra.Decision) (penumbra.Run, error)
	// Recover ends a run that a crash left unended. It never applies.
	Recover(ctx context.Context, run penumbra.Run, p penumbra.Proposal) (penumbra.Run, error)
}

// A Codec reads and writes the timeline format.
type Codec interface {
	// Decode yields the observations of a JSON Lines stream; a line that cannot
	// be read is yielded as a bad line instead. The error ends the stream.
	Decode(r io.Reader, source string) iter.Seq2[Line, error]
	// Encode writes one observation as a line.
	Encode(w io.Writer, o *penumbra.Observation) error
}

// Line is one line of a timeline: an observation, or why there is none.
type Line struct {
	Observation penumbra.Observation
	Bad         *penumbra.BadLine
}

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
