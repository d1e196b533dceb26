// Package contract is what every store promises, whatever database it writes to: its
// methods as interfaces, with what each guarantees and which kinds of error it returns.
// Package storetest holds a store to it.
//
// The interfaces are those that their consumers declare, package engine most of all,
// repeated here because a store imports the nouns and this package only. A store that
// has the methods of one has those of the other.
package contract

import (
	"context"
	"iter"
	"time"

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

// Hashes knows which key the hashes of sensitive values are made with.
type Hashes interface {
	// HashKey returns the key's name, "" if none was noted yet.
	HashKey(ctx context.Context) (string, error)
	// SetHashKey notes a key where none was.
	SetHashKey(ctx context.Context, id string) error
	// Reseal has change alter, in place and without another length, whatever hashes
	// there are in what is stored, and notes the key that they are made with then, all
	// or nothing. change reports whether there were any; Reseal returns in how many
	// documents.
	Reseal(ctx context.Context, id string, change func([]byte) bool) (changed int, err error)
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

// Anomalies keeps findings on metrics.
type Anomalies interface {
	// SaveAnomalies stores new ones and new states of stored ones, all or none.
	SaveAnomalies(ctx context.Context, anomalies []penumbra.Anomaly) error
	// Anomalies returns the selected ones, the last noticed first.
	Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error)
}

// Rollups keeps metrics at a bounded size.
type Rollups interface {
	// SaveRollups stores rollups; one of the same resource, metric, span and start
	// takes the place of the stored one.
	SaveRollups(ctx context.Context, rollups []penumbra.Rollup) error
	// Rollups returns the selected ones, the oldest first.
	Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error)
	// PruneRollups deletes those of a span that start before a time.
	PruneRollups(ctx context.Context, span time.Duration, before time.Time) error
}

// Aside keeps log records that nobody knows the resource of.
type Aside interface {
	// KeepAside stores records with the durability of Append; one that is there
	// already, by its identity, is left as it is. It returns how many were new.
	KeepAside(ctx context.Context, records []penumbra.AsideRecord) (added int, err error)
	// AsideKinds sums up what is kept, at most limit kinds, the most frequent first.
	AsideKinds(ctx context.Context, limit int) (penumbra.Unmapped, error)
	// AsideRecords returns at most limit records kept after a sequence number, in
	// their order.
	AsideRecords(ctx context.Context, after int64, limit int) ([]penumbra.AsideRecord, error)
	// DropAside deletes records by their sequence numbers: they have a resource now.
	DropAside(ctx context.Context, sequences []int64) error
	// TrimAside deletes an input's records that happened before a time, and then the
	// oldest above a number, 0 for any; AsideKinds counts them as dropped at now. It
	// returns how many they were.
	TrimAside(ctx context.Context, input string, most int64, before, now time.Time) (dropped int64, err error)
}

// Notices keeps what is told to people, and what has been told.
type Notices interface {
	// Tell stores, in one transaction, what was told of subjects and the notices that
	// tell it, new ones and new states of stored ones; what is over is forgotten.
	Tell(ctx context.Context, told []penumbra.Told, notices []penumbra.Notice) error
	// Told returns what has been told through a channel, by subject.
	Told(ctx context.Context, channel string) ([]penumbra.Told, error)
	// Notices returns the selected ones, the oldest first.
	Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error)
	// PruneNotices deletes those that were sent or folded and are older than a time.
	PruneNotices(ctx context.Context, before time.Time) error
}

// Audit keeps the audit log: entries that are never changed or deleted.
type Audit interface {
	// AppendAudit stores the entries that next returns for the head of now, all or
	// none, with the durability of Append. Nobody appends in between, of another
	// process neither. It returns an error of kind Invalid if they do not stand
	// behind the head.
	AppendAudit(ctx context.Context, next func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error)) error
	// AuditEntries returns the selected entries, the first ones, oldest first, or the
	// last ones, newest first, as the query asks. One that cannot be read back comes
	// with nothing but its number.
	AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error)
	// AuditHead returns the last entry's head, zero of an empty log.
	AuditHead(ctx context.Context) (penumbra.AuditHead, error)
}

// Accounts keeps who may sign in.
type Accounts interface {
	// AddAccount stores a new one. It returns an error of kind Refused if its ID or
	// its name is taken, by a service's or a source's token too.
	AddAccount(ctx context.Context, a penumbra.Account) error
	// ChangeAccount stores what change makes of one, in one transaction, and returns
	// it; ID and name stay as they are. It returns an error of kind NotFound if there
	// is none, and change's own, and then nothing is stored.
	ChangeAccount(ctx context.Context, id string, change func(*penumbra.Account) error) (penumbra.Account, error)
	// Accounts returns the selected ones, by name.
	Accounts(ctx context.Context, q penumbra.AccountQuery) ([]penumbra.Account, error)
}

// Tokens keeps the credentials of programs.
type Tokens interface {
	// AddToken stores a new one. It returns an error of kind Refused if its ID is
	// taken, or the name under which a service or a source is to act.
	AddToken(ctx context.Context, t penumbra.Token) error
	// ChangeToken is to tokens what ChangeAccount is to accounts; owner and hash stay
	// as they are too, and a revoked token stays revoked. The name of a revoked one is
	// free again.
	ChangeToken(ctx context.Context, id string, change func(*penumbra.Token) error) (penumbra.Token, error)
	// Tokens returns the selected ones, revoked ones too, by ID.
	Tokens(ctx context.Context, q penumbra.TokenQuery) ([]penumbra.Token, error)
}

// Sessions keeps browsers that have signed in.
type Sessions interface {
	SaveSession(ctx context.Context, x penumbra.Session) error
	// Session returns one, expired or not, and an error of kind NotFound if there is
	// none.
	Session(ctx context.Context, id string) (penumbra.Session, error)
	DeleteSession(ctx context.Context, id string) error // no error if there is none
	// EndSessions forgets all of a principal's, by their ID.
	EndSessions(ctx context.Context, owner string) error
	// TrimSessions forgets those that expired before a time.
	TrimSessions(ctx context.Context, before time.Time) error
}

// Answers keeps what requests with a key of their own were answered.
type Answers interface {
	// BeginAnswer claims a request by a.ID, unless it is there already: then it returns
	// what is kept of it, whose Status is 0 while nobody has answered it. What was begun
	// before a time is forgotten first.
	BeginAnswer(ctx context.Context, a penumbra.KeptAnswer, forget time.Time) (there *penumbra.KeptAnswer, err error)
	// KeepAnswer stores what a claimed request was answered, DropAnswer gives it up.
	KeepAnswer(ctx context.Context, a penumbra.KeptAnswer) error
	DropAnswer(ctx context.Context, id []byte) error
}

// Store is all that a store keeps.
type Store interface {
	Observations
	Drifts
	Proposals
	Freezes
	Attentions
	Runs
	Rules
	Checkpoints
	Versions
	Hashes
	Anomalies
	Rollups
	Aside
	Answers
	Notices
	Audit
	Accounts
	Tokens
	Sessions
	// Counts returns the numbers of observations and of quarantined lines.
	Counts(ctx context.Context) (observations, quarantined int64, err error)
	// Tally counts what else there is, and says how much room it takes.
	Tally(ctx context.Context) (penumbra.Tally, error)
	Close() error
}
