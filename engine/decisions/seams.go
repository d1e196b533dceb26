package decisions

import (
	"context"
	"iter"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Case is all that a proposer may know of a drift.
type Case struct {
	Drift    penumbra.Drift
	Resource penumbra.Resource
	Was      penumbra.Settings // what it was last seen as, if it is gone
	Alike    []penumbra.Drift  // of other resources, that left for the same values
	Outcomes []Outcome         // of earlier runs of the stack
	// Effects returns what the setting's having the value does to the resource's
	// metrics, nothing where that is not known.
	Effects func(path string, v penumbra.Value) []penumbra.Effect
	Load    *penumbra.Load // by the hour, nil if it is not known
	// Doers are those who have changed the drift's settings before, who did most
	// first.
	Doers []penumbra.Doer
	// Every is how often the resource is read, Gap how often at most, 0 where it is
	// not read by itself; Attention is why it is read more often already.
	Every, Gap time.Duration
	Attention  *penumbra.Attention
	Told       time.Time // when its owner was talked to within the last week
	Returns    int       // earlier drifts of the same settings, of late
	Time       time.Time
}

// Outcome is how an earlier run ended: likelihoods are learnt from it.
type Outcome struct {
	Kind      penumbra.ProposalKind
	Type      string             // of the resource
	ActorKind penumbra.ActorKind // of whom the drift was put down to
	Succeeded bool               // verified, not taken back, and no such drift within a week
}

// A Proposer finds ways to resolve a drift of one stack. It plans, and never
// changes anything.
type Proposer interface {
	// Propose returns the ways, ranked, and those left out with the reason.
	Propose(ctx context.Context, c Case) ([]penumbra.Proposal, []penumbra.Omitted, error)
	// Customize returns a proposal with what a person would have instead, planned
	// anew, and says how the two differ.
	Customize(ctx context.Context, original penumbra.Proposal, edit penumbra.Edit, c Case) (penumbra.Proposal, error)
	// Part returns a proposal that adopts only the settings at some paths of the
	// drift; with revert it brings the others back.
	Part(ctx context.Context, only []string, revert bool, c Case) (penumbra.Proposal, error)
	// Restore returns a proposal that takes a run back.
	Restore(ctx context.Context, run penumbra.Run, original penumbra.Proposal, c Case) (penumbra.Proposal, error)
}

// A Policy says who may act on proposals and drifts, how many people have to
// agree, and when runs may start. It is called by several goroutines.
type Policy interface {
	Ask(q *penumbra.PolicyQuestion) penumbra.PolicyAnswer
	// Automatic reports whether it may ever let Penumbra approve by itself.
	Automatic() bool
	// Window says whether runs on a stack may start at a time, and Waits whether
	// what is approved outside of a window waits for the next or is refused.
	Window(stack string, at time.Time) penumbra.Window
	Waits() bool
}

// A Remediator carries a run through its states, each of them saved before its
// work begins.
type Remediator interface {
	// Execute carries out the proposal that the decisions approved. The run
	// returned has ended, however it went; the error says why it is not Done.
	Execute(ctx context.Context, run penumbra.Run, p penumbra.Proposal, decisions ...penumbra.Decision) (penumbra.Run, error)
	// Recover ends a run that a crash left unended. It never applies.
	Recover(ctx context.Context, run penumbra.Run, p penumbra.Proposal) (penumbra.Run, error)
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
	// Proposed state or has another hash than the decision, and of kind Refused
	// if the run rests on approvals that are not recorded, are not on this plan,
	// or are by fewer people than it needs.
	Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error
	// Start stores, in one transaction, a planned run that decisions recorded
	// before allow, and its proposal's new state. It returns an error of kind
	// Stale if the stored proposal is not in the Scheduled state or has another
	// hash, and of kind Refused as Decide does.
	Start(ctx context.Context, p penumbra.Proposal, run penumbra.Run) error
	// Note stores a decision on a drift alone.
	Note(ctx context.Context, d penumbra.Decision) error
	// Decisions returns the selected ones, oldest first.
	Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error)
}

// Freezes keeps freezes.
type Freezes interface {
	// SaveFreeze stores a freeze, or the new form of a stored one.
	SaveFreeze(ctx context.Context, f penumbra.Freeze) error
	// Freezes returns all, ended ones too, in the order of their creation.
	Freezes(ctx context.Context) ([]penumbra.Freeze, error)
}

// Attentions keeps which resources are read more often.
type Attentions interface {
	// SaveAttention stores an attention, or the new form of a stored one.
	SaveAttention(ctx context.Context, a penumbra.Attention) error
	// EndAttention deletes one; no error if there is none.
	EndAttention(ctx context.Context, id string) error
	// Attentions returns all, those that are over too, in the order of their
	// creation.
	Attentions(ctx context.Context) ([]penumbra.Attention, error)
}

// Runs keeps runs.
type Runs interface {
	// SaveRun stores a run's new state. A run that has ended never changes
	// again, but for Done becoming RolledBack, for who took back a Halted one, for
	// what became of its change to the code, and for its watch until that has ended:
	// anything else is an error of kind Refused.
	SaveRun(ctx context.Context, run penumbra.Run) error
	// Runs returns the selected ones, the last started first.
	Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error)
}

// Rules keeps ignore rules.
type Rules interface {
	SaveRule(ctx context.Context, rule penumbra.Rule) error
}

// Past is what happened so far, as it is stored.
type Past interface {
	// Observations yields the selected ones ordered by time, then identity.
	Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error]
	// Drifts, Anomalies and Rollups return the selected ones: drifts the last
	// changed first, anomalies the last noticed first, rollups the oldest first.
	Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error)
	Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error)
	Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error)
}

// Store is what decisions need of a store.
type Store interface {
	Proposals
	Freezes
	Attentions
	Runs
	Rules
	Past
}

// A Queue keeps jobs until they are done, through kills and restarts.
type Queue interface {
	// Add puts a job in, unless the same one is there already. A store that puts the
	// job in with what it follows from leaves it only to be woken.
	Add(ctx context.Context, job penumbra.Job) error
	// Start begins to have jobs done by do, several at a time, among them those that a
	// kill has interrupted. A job of which do returns an error is done again later, one
	// of which it returns a time again then.
	Start(ctx context.Context, do func(ctx context.Context, job penumbra.Job) (again time.Time, err error)) error
	// Stop begins no further job and waits for those at work, however long they take.
	// Those that wait stay for the next start.
	Stop(ctx context.Context) error
}

// Known is what is known now.
type Known interface {
	// Resource returns a copy of what is known of a resource.
	Resource(a penumbra.Address) (penumbra.Resource, bool)
	// Shadow returns it with its shadow as of now, an error of kind NotFound if
	// nothing is known.
	Shadow(a penumbra.Address) (penumbra.ShadowView, error)
	// Drift returns a drift, resolved ones too, an error of kind NotFound if there is
	// none.
	Drift(ctx context.Context, id string) (penumbra.Drift, error)
	// Active returns the active drifts of the resources chosen.
	Active(of func(penumbra.Address) bool) []penumbra.Drift
}

// Loop takes what was decided back into what is known.
type Loop interface {
	// Settle stores a drift that was changed, in the place of what is known of it.
	Settle(ctx context.Context, d penumbra.Drift) error
	// Tell puts an event of Penumbra's own into the timeline. since is when what it
	// tells of began, zero if that took no time.
	Tell(ctx context.Context, o penumbra.Observation, since time.Time) error
	// Rejudge judges a resource by the rules that are stored.
	Rejudge(ctx context.Context, a penumbra.Address) error
}

// Sources read stacks.
type Sources interface {
	// Read reads all of a stack at once. The caller has the stack's Work.
	Read(ctx context.Context, stack string) error
	// Wake asks for a look at a resource soon.
	Wake(a penumbra.Address)
	// Closer has these resources read more often, from now on, and no others.
	Closer(list []penumbra.Attention)
	// Period returns how often a resource is read, and how often at most, 0 if
	// nobody reads it by itself.
	Period(a penumbra.Address) (every, gap time.Duration)
	// Check returns an error of kind NotFound unless a stack is configured or has a
	// resource.
	Check(stack string) error
}

// World is the loop, as decisions see it. It is called by several goroutines.
type World interface {
	Known
	Loop
	Sources
}

// Performance is what metrics tell of resources. It is called by several goroutines.
type Performance interface {
	// Attend has the metrics of a resource, and of what is near it, watched more
	// closely from a time on.
	Attend(resource penumbra.Address, at time.Time)
	// Suspects returns what may have caused an anomaly, the likeliest first.
	Suspects(a *penumbra.Anomaly) []penumbra.Suspect
	// Near reports whether a change of one resource may move the metrics of another
	// at once.
	Near(changed, other penumbra.Address) bool
	// Measured reports whether there are metrics of a resource, or of what is near it.
	Measured(resource penumbra.Address) bool
}
