// Package web answers one question: what does a person look at to see what
// drifts, and to decide what is done about it? It makes HTML pages on the
// server; scripts draw plots, answer to keys and fetch what is new, and every
// page works without them.
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
	"time"

	"github.com/penumbra-iac/penumbra"
)

// An Informer tells what has become of what can be asked for.
type Informer interface {
	// LastNews returns the number of the last piece of news, 0 before the first.
	LastNews() uint64
	// News returns what became news behind a number, the oldest first, and waits
	// until there is some or ctx ends, whose error it then returns.
	News(ctx context.Context, after uint64) ([]penumbra.News, error)
}

// A Watcher says what is known. Errors are of kind NotFound where a name
// stands for nothing.
type Watcher interface {
	Status(ctx context.Context) (penumbra.Status, error)
	// FindResources returns a page of the selected resources.
	FindResources(ctx context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error)
	Shadow(ctx context.Context, address penumbra.Address) (penumbra.ShadowView, error)
	// FindDrifts returns a page of the selected drifts, the most pressing first, then
	// those that were resolved last.
	FindDrifts(ctx context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error)
}

// A Foreseer says what is held of a setting over time.
type Foreseer interface {
	// Expected returns what was held since some time, what is held now, and what is
	// held of the time ahead, the oldest first.
	Expected(ctx context.Context, address penumbra.Address, path string) ([]penumbra.ExpectedPoint, error)
}

// An Explainer says why a setting is forecast and judged as it is; for the path ""
// it does so for each finding on the resource.
type Explainer interface {
	Explain(ctx context.Context, address penumbra.Address, path string) ([]penumbra.Explanation, error)
}

// A Listener says how things perform.
type Listener interface {
	// Anomalies returns the selected ones, those that go on first.
	Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error)
	// Rollups returns what is kept of metrics, the oldest first.
	Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error)
	// Nodes returns the processes that share the store, none where one has it to itself.
	Nodes(ctx context.Context) (penumbra.Nodes, error)
	// Unmapped sums up the log records that nobody knows the resource of, at most
	// limit kinds.
	Unmapped(ctx context.Context, limit int) (penumbra.Unmapped, error)
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
	// Approve starts the run, or notes one approval of several. hash must be the
	// proposal's: otherwise kind Stale.
	Approve(ctx context.Context, proposal, hash, by string) (penumbra.Approval, error)
	Reject(ctx context.Context, proposal, by, reason string) error
	Acknowledge(ctx context.Context, drift, by string) (penumbra.Drift, error)
	// Rollback makes a proposal that takes a run back.
	Rollback(ctx context.Context, run, by string) (penumbra.Proposal, error)
}

// A Postponer takes a person's word that something can wait, or be otherwise.
type Postponer interface {
	// Snooze keeps quiet until a time or until the drift gets worse; zero ends it.
	Snooze(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error)
	Accept(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error)
	// Customize makes a proposal with what a person would have instead.
	Customize(ctx context.Context, proposal string, edit penumbra.Edit, by string) (penumbra.Proposal, error)
	// AdoptPart makes a proposal that writes only the drift's settings at the paths
	// into the code; with revert it brings the others back in the same run.
	AdoptPart(ctx context.Context, drift string, only []string, revert bool, by string) (penumbra.Proposal, error)
}

// A Governor says who may decide what and what was decided.
type Governor interface {
	Policies(ctx context.Context, proposal, by string) (penumbra.PolicyReport, error)
	Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error)
}

// A Freezer keeps runs from starting.
type Freezer interface {
	// Freezes returns all, ended ones too, oldest first.
	Freezes(ctx context.Context) ([]penumbra.Freeze, error)
	Freeze(ctx context.Context, f penumbra.Freeze) (penumbra.Freeze, error)
	Unfreeze(ctx context.Context, id, by string) (penumbra.Freeze, error)
}

// A Modeller says how good the model is that keeps the shadow.
type Modeller interface {
	Model(ctx context.Context) (penumbra.ModelStatus, error)
	// Versions returns the versions of the model, the newest first.
	Versions(ctx context.Context) ([]penumbra.ModelVersion, error)
}

// An Auditor shows the audit log.
type Auditor interface {
	AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error)
	AuditHead(ctx context.Context) (penumbra.AuditHead, error)
	// VerifyAudit holds the whole log against its chain of hashes, and against heads
	// that were kept.
	VerifyAudit(ctx context.Context, heads []penumbra.AuditHead) (penumbra.AuditReport, error)
}

// A Notifier shows what people were told, through which channels.
type Notifier interface {
	Channels(ctx context.Context) ([]penumbra.ChannelStatus, error)
	// Notices returns the selected ones, the oldest first.
	Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error)
	// ResendNotice has one sent again that was given up. It returns an error of kind
	// Refused for any other.
	ResendNotice(ctx context.Context, id string) (penumbra.Notice, error)
	// TestChannel sends a notice of nothing now, and returns why it did not arrive.
	TestChannel(ctx context.Context, channel, by string) (penumbra.Notice, error)
}

// A Keeper keeps who may sign in, and with what. Others' accounts are for admins:
// others get an error of kind Refused.
type Keeper interface {
	Accounts(ctx context.Context) ([]penumbra.Account, error)
	AddAccount(ctx context.Context, n penumbra.NewAccount) (penumbra.Account, error)
	ChangeAccount(ctx context.Context, name string, c penumbra.AccountChange) (penumbra.Account, error)
}

// An Issuer makes tokens for who asks, and for programs.
type Issuer interface {
	Tokens(ctx context.Context) ([]penumbra.Token, error)
	// AddToken returns the token with its secret, which is nowhere else.
	AddToken(ctx context.Context, n penumbra.NewToken) (penumbra.MadeToken, error)
	RevokeToken(ctx context.Context, id string) (penumbra.Token, error)
}

// A Doorkeeper says what who asks may do.
type Doorkeeper interface {
	// Reach returns an error of kind Refused, which is recorded, if who asks may do
	// something to nothing at all. Reaches is the same for what a page leaves out, which
	// is no refusal.
	Reach(ctx context.Context, act penumbra.Act) error
	Reaches(ctx context.Context, act penumbra.Act) bool
	// May returns an error of kind Refused that says what is missing if who asks may not
	// do something to a target, and MayOn to what has an identifier: a drift, a proposal,
	// a run or a freeze, as the act says. Neither is recorded.
	May(ctx context.Context, act penumbra.Act, t penumbra.Target) error
	MayOn(ctx context.Context, act penumbra.Act, id string) error
}

// Service is all that the pages need.
type Service interface {
	Informer
	Watcher
	Foreseer
	Explainer
	Listener
	Planner
	Decider
	Postponer
	Governor
	Freezer
	Modeller
	Auditor
	Notifier
	Keeper
	Issuer
	Doorkeeper
}
