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
	// Drifts returns the selected drifts: those that go on, the most pressing first,
	// then the resolved ones.
	Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error)
	// FindResources and FindDrifts return a page of what is selected, at most the
	// query's limit, in the same order.
	FindResources(ctx context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error)
	FindDrifts(ctx context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error)
	// Nodes returns the processes that share the store, none where one has it to itself.
	Nodes(ctx context.Context) (penumbra.Nodes, error)
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
	// Approve records the decision. The approval of the last person needed starts
	// the run, which goes on after the call returns, or schedules it. hash must be
	// the proposal's: otherwise kind Stale.
	Approve(ctx context.Context, proposal, hash, by string) (penumbra.Approval, error)
	Reject(ctx context.Context, proposal, by, reason string) error
	// Customize makes a new proposal with what a person would have instead.
	Customize(ctx context.Context, proposal string, edit penumbra.Edit, by string) (penumbra.Proposal, error)
	// AdoptPart makes a proposal that writes only the drift's settings at the paths
	// into the code, and with revert brings the others back.
	AdoptPart(ctx context.Context, drift string, only []string, revert bool, by string) (penumbra.Proposal, error)
	// Rollback makes a proposal that takes a run back; it is approved like any
	// other.
	Rollback(ctx context.Context, run, by string) (penumbra.Proposal, error)
	// Review asks what became of the change that a run put up for review, and
	// returns the run with it. It returns an error of kind Refused if there is none.
	Review(ctx context.Context, run string) (penumbra.Run, error)
	Acknowledge(ctx context.Context, drift, by string) (penumbra.Drift, error)
	// Accept takes the drift's actual values as right, until the given time;
	// zero means for good.
	Accept(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error)
	// Snooze keeps quiet about a drift until the given time, or until it gets worse;
	// zero ends the snooze.
	Snooze(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error)
	// Decisions returns the selected ones, oldest first.
	Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error)
}

// A Governor says who may decide, and keeps runs from starting.
type Governor interface {
	// Policies says what policies answer for each act on a proposal by a person,
	// "" for none, and whether Penumbra would approve it itself.
	Policies(ctx context.Context, proposal, by string) (penumbra.PolicyReport, error)
	// Freezes returns all, ended ones too, oldest first.
	Freezes(ctx context.Context) ([]penumbra.Freeze, error)
	Freeze(ctx context.Context, f penumbra.Freeze) (penumbra.Freeze, error)
	Unfreeze(ctx context.Context, id, by string) (penumbra.Freeze, error)
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

// A Listener shows what logs and metrics say.
type Listener interface {
	// Inputs returns the state of each input of logs and metrics, by name.
	Inputs(ctx context.Context) ([]penumbra.InputStatus, error)
	// Unmapped sums up the log records that nobody knows the resource of, at most
	// limit kinds.
	Unmapped(ctx context.Context, limit int) (penumbra.Unmapped, error)
	// Remap tries those records again, with the rules and resources of now.
	Remap(ctx context.Context) (penumbra.RemapReport, error)
	// Anomalies returns the selected ones, those that go on first, then the last
	// noticed. It returns an error of kind NotFound if one is named and not there.
	Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error)
	// Rollups returns what is kept of metrics, the oldest first.
	Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error)
}

// A Recorder hands out the single values of metrics as they are taken in, which are
// not kept.
type Recorder interface {
	// StartRecording returns the identifier of a new recording. It returns an error
	// of kind Full if there are too many.
	StartRecording(ctx context.Context) (string, error)
	// RecordedValues returns the page of a recording behind another, 0 for the
	// first. It returns an error of kind NotFound if the recording is none or has
	// ended, and of kind Invalid if after is neither the last page nor the one before.
	RecordedValues(ctx context.Context, recording string, after int64) (penumbra.RecordedValues, error)
	EndRecording(ctx context.Context, recording string) error
}

// An Auditor shows the audit log.
type Auditor interface {
	// AuditEntries returns the selected entries, in the order that the query asks
	// for.
	AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error)
	// AuditHead returns the head of now, zero of an empty log.
	AuditHead(ctx context.Context) (penumbra.AuditHead, error)
	// VerifyAudit holds the whole log against its chain of hashes, and against heads
	// that were kept.
	VerifyAudit(ctx context.Context, heads []penumbra.AuditHead) (penumbra.AuditReport, error)
}

// A Notifier shows what people are told, and through what.
type Notifier interface {
	// Channels returns the state of each channel, by name.
	Channels(ctx context.Context) ([]penumbra.ChannelStatus, error)
	// Notices returns the selected ones, the oldest first.
	Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error)
	// ResendNotice has a notice sent again that was given up, or at once one that
	// waits. It returns an error of kind Refused for any other.
	ResendNotice(ctx context.Context, id string) (penumbra.Notice, error)
	// TestChannel sends a notice of nothing through a channel now.
	TestChannel(ctx context.Context, channel, by string) (penumbra.Notice, error)
}

// Service is all that the API shows.
type Service interface {
	Answerer
	Informer
	Greeter
	Doorkeeper
}

// Answerer is all of a [Service] that answers once: what the [Client] has as well.
type Answerer interface {
	Watcher
	Explainer
	Resolver
	Governor
	Carrier
	Modeller
	Listener
	Recorder
	Auditor
	Keeper
	Issuer
	Notifier
	Librarian
	Mover
	Tasker
}
