package penumbra

import "time"

// AnomalyKind says in which way a metric is not as usual.
type AnomalyKind string

// The kinds of anomaly.
const (
	Spike      AnomalyKind = "spike"       // out of its band, and back at once
	LevelShift AnomalyKind = "level shift" // out of its band, and staying there
	Silence    AnomalyKind = "silence"     // no values although they used to come
)

// Anomaly is a performance metric that left its own expected band.
type Anomaly struct {
	ID       string      `json:"id"`
	Resource Address     `json:"resource"`
	Metric   string      `json:"metric"`
	Kind     AnomalyKind `json:"kind"`
	// Onset is when the metric began to leave, as far as its values tell; Time is
	// when that was noticed, Ended when it was back, zero while it is out.
	Onset time.Time `json:"onset"`
	Time  time.Time `json:"time"`
	Ended time.Time `json:"ended,omitzero"`

	Value    float64  `json:"value"`    // the furthest out so far
	Expected float64  `json:"expected"` // in its place
	Band     Interval `json:"band"`     // in which it would have been as usual
	// PValue is the chance of a value this far out while nothing is wrong.
	PValue float64 `json:"p_value"`
	// Worse reports that it moved the way a drop in performance does.
	Worse bool `json:"worse"`

	// Suspects are what may have caused it, the likeliest first.
	Suspects []Suspect `json:"suspects,omitempty"`
	// Drift is the identifier of the drift that it is put down to, "" if none is.
	Drift string `json:"drift,omitempty"`
}

// Active reports whether the metric is still out of its band.
func (a *Anomaly) Active() bool { return a.Ended.IsZero() }

// Suspect is a change or an event that may have caused an anomaly.
type Suspect struct {
	Resource Address   `json:"resource"`
	Path     string    `json:"path,omitempty"` // of the setting; "" for an event that names none
	Before   Value     `json:"before"`
	After    Value     `json:"after"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor,omitempty"`
	// ActorKind, Action and Source are the event's, if one tells of the change.
	ActorKind ActorKind `json:"actor_kind,omitempty"`
	Action    string    `json:"action,omitempty"`
	Source    string    `json:"source,omitempty"`
	// Probability that it is the cause, given that exactly one of the suspects,
	// or something unseen, is.
	Probability float64 `json:"probability"`
	Reason      string  `json:"reason,omitempty"` // what speaks for it, in a few words
}

// Impact is what a drift did to one performance metric.
type Impact struct {
	Anomaly string    `json:"anomaly"` // its identifier
	Metric  string    `json:"metric"`
	Time    time.Time `json:"time"` // when the metric left its band
	Before  float64   `json:"before"`
	// After is the furthest out so far, as that of the anomaly, while drift or watch goes on.
	After float64 `json:"after"`
	Worse bool    `json:"worse"`
	// Coincidence is the chance that the two have nothing to do with each other.
	Coincidence float64 `json:"coincidence"`
	// Explained is the chance that one of the changes that were seen did it, this
	// drift or another one.
	Explained float64 `json:"explained"`
}
