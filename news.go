package penumbra

import "time"

// Topic is what a piece of [News] is about.
type Topic string

// The topics.
const (
	DriftNews    Topic = "drift"
	AnomalyNews  Topic = "anomaly"
	ProposalNews Topic = "proposal"
	RunNews      Topic = "run"
	SourceNews   Topic = "source"
	ModelNews    Topic = "model"
	FreezeNews   Topic = "freeze"
)

// Topics returns all topics.
func Topics() []Topic {
	return []Topic{DriftNews, AnomalyNews, ProposalNews, RunNews, SourceNews, ModelNews, FreezeNews}
}

// News says that something which can be asked for has changed. It is a hint, not
// the record: whoever missed some looks at the whole again.
type News struct {
	Seq   uint64    `json:"seq"` // counts from 1 in the life of one process, without a gap
	Time  time.Time `json:"time"`
	Topic Topic     `json:"topic"`
	ID    string    `json:"id"`              // of the drift, run, ...; a source's name
	Stack string    `json:"stack,omitempty"` // "" where it is of no single one
	// Verb is what became of it: of a drift and an anomaly "opened", "changed" or
	// "resolved", of a proposal its state or what one of several people decided, of a
	// run and a version of the model its state, of a source "read", "failed" or "goes
	// on", of a freeze "set" or "lifted".
	Verb  string `json:"verb"`
	Drift string `json:"drift,omitempty"` // the drift that a proposal or a run is about
}
