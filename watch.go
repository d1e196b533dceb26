package penumbra

import "time"

// Watch is how the metrics of what a run changed are watched for a time after a
// fresh snapshot has verified it.
type Watch struct {
	Until time.Time `json:"until"`
	// Ended is when it was over, zero while it goes on.
	Ended time.Time `json:"ended,omitzero"`
	// Harm is what got worse meanwhile and is put down to the run.
	Harm []Harm `json:"harm,omitempty"`
	// WayBack is the proposal that takes the run back, made once something got
	// worse; Note says why there is none, or why it was not approved by a policy.
	WayBack string `json:"way_back,omitempty"`
	Note    string `json:"note,omitempty"`
}

// Harm is a metric that got worse and is put down to a run.
type Harm struct {
	Resource Address `json:"resource"` // of the metric: the changed one, or one near
	Impact   Impact  `json:"impact"`
}

// Hurt reports whether something got worse that is put down to the run.
func (r *Run) Hurt() bool { return r.Watch != nil && len(r.Watch.Harm) > 0 }

// Watched reports whether the run's metrics are being watched.
func (r *Run) Watched() bool {
	return r.State == Done && r.Watch != nil && r.Watch.Ended.IsZero()
}
