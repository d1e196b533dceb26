package penumbra

import "time"

// Tally is how much of each kind a store holds.
type Tally struct {
	Proposals map[ProposalStatus]int
	Runs      map[RunState]int
	Decisions int
	Notices   []NoticeCount // by channel, then state
	// Checkpoint is when the shadow was saved last, zero if it never was.
	Checkpoint time.Time
	Bytes      int64 // on disk
}

// NoticeCount is how many notices of a channel are in a state.
type NoticeCount struct {
	Channel string
	State   NoticeState
	Count   int
}

// DriftCount is how many active drifts have a verdict and a severity.
type DriftCount struct {
	Verdict  Verdict
	Severity Severity
	Count    int
}

// ModelScore is how well the shadow has foretold the values of snapshots since the
// process began: those that had changed, or the others beside them.
type ModelScore struct {
	Changed     bool
	Predictions int64   // values that a prediction was there for
	Covered     int64   // of them those within the prediction set
	LogLoss     float64 // sum of -ln of the probability that the value had, in nats
}
