package penumbra

import "time"

// AuditOutcome is what became of an act.
type AuditOutcome string

// The outcomes. An act is recorded as begun before it changes anything, and once
// more if it then failed: what nobody can record is not done.
const (
	AuditDone    AuditOutcome = "done"
	AuditRefused AuditOutcome = "refused"
	AuditFailed  AuditOutcome = "failed"
)

// AuditOutcomes are all of them.
var AuditOutcomes = []AuditOutcome{AuditDone, AuditRefused, AuditFailed}

// AuditEntry is one line of the audit log: who did what to what, and what became
// of it. Entries form a chain: each has the hash of the one before it, so that none
// can be changed, taken out or put elsewhere without breaking all that follow.
type AuditEntry struct {
	Sequence int64     `json:"sequence"` // from 1, without a gap
	Time     time.Time `json:"time"`
	// Principal is the identifier of who acted, "" if nobody had been made sure of;
	// Name, Kind and Via are as the principal has them.
	Principal string        `json:"principal,omitempty"`
	Name      string        `json:"name,omitempty"`
	Kind      PrincipalKind `json:"kind,omitempty"`
	Via       string        `json:"via,omitempty"`
	Act       Act           `json:"act"`
	Target    Target        `json:"target,omitzero"`
	Outcome   AuditOutcome  `json:"outcome"`
	// Count is how many alike acts the entry stands for, 1 or more.
	Count int `json:"count"`
	// Details are what else is to be known, by name: a plan's hash, a reason, the
	// digest of a policy. Never a secret.
	Details map[string]string `json:"details,omitempty"`
	// Previous is the Hash of the entry before, "" of the first.
	Previous string `json:"previous,omitempty"`
	// Hash is over all of the above: "sha256:" and 64 hexadecimal digits, or
	// "hmac-sha256:", the key's name, ":" and as many.
	Hash string `json:"hash"`
}

// AuditQuery selects entries of the audit log. Zero fields select all.
type AuditQuery struct {
	Principal string // identifier or name
	Act       Act    // "drift.*" stands for all acts that begin so
	Outcome   AuditOutcome
	Stack     string
	ID        string    // of the target
	From, To  time.Time // at From or later, before To
	// After selects what has a greater sequence number, Before what has a smaller
	// one.
	After, Before int64
	// Limit, if positive, is how many at most; Latest selects the last ones of them,
	// the newest first, rather than the first ones, the oldest first.
	Limit  int
	Latest bool
}

// AuditHead is the last entry of an audit log at a time. Kept elsewhere, it shows
// whether entries were taken from the end since.
type AuditHead struct {
	Sequence int64     `json:"sequence"` // 0 of an empty log
	Hash     string    `json:"hash,omitempty"`
	Time     time.Time `json:"time,omitzero"` // of the entry
}

// AuditFault is a place where an audit log is not as it was written.
type AuditFault struct {
	Sequence int64  `json:"sequence"` // of the first broken entry, or of the one that is missing
	What     string `json:"what"`
}

// AuditReport says whether an audit log is as it was written.
type AuditReport struct {
	Entries int64     `json:"entries"` // that were looked at
	Head    AuditHead `json:"head"`
	// Keyed counts the entries that only somebody with the key can have made.
	Keyed int64 `json:"keyed"`
	// Unchecked counts those whose key was not at hand: the chain between them was
	// checked, but not the hashes.
	Unchecked int64 `json:"unchecked,omitempty"`
	// Heads counts the kept heads that the log was held against.
	Heads int `json:"heads"`
	// Fault is the first one, nil if there is none.
	Fault *AuditFault `json:"fault,omitempty"`
}
