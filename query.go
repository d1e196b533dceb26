package penumbra

import "time"

// ObservationQuery selects observations of a store. Zero fields select all.
type ObservationQuery struct {
	Resource Address
	Stack    string
	Kinds    []ObservationKind
	From, To time.Time // happened at From or later, before To
	// After selects what a store took in after the given sequence number.
	After int64
	// Latest, if positive, selects only the last so many, still oldest first.
	Latest int
}

// DriftQuery selects drifts of a store. Zero fields select all.
type DriftQuery struct {
	ID       string
	Resource Address
	Stack    string
	// Active selects those that are not resolved.
	Active bool
	Limit  int
}

// RunQuery selects runs of a store. Zero fields select all.
type RunQuery struct {
	ID       string
	Proposal string
	Stack    string
	// Unended selects those that have not reached an end.
	Unended bool
	Limit   int
}

// ProposalQuery selects proposals of a store. Zero fields select all.
type ProposalQuery struct {
	ID     string
	Drift  string
	States []ProposalStatus
}

// BadLine is a line of a timeline that could not be read, kept aside.
type BadLine struct {
	Source string    `json:"source"` // the file's name, or "http"
	Line   int       `json:"line"`   // counted from 1
	Reason string    `json:"reason"`
	Text   string    `json:"text"` // redacted, cut to 64 KiB
	Seen   time.Time `json:"seen"`
}

// Checkpoint is a model's saved state: everything up to Sequence is in it.
type Checkpoint struct {
	Name     string
	Sequence int64
	Time     time.Time
	Data     []byte
}
