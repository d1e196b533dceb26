package penumbra

import "time"

// Attention is that a resource is read more often than usual until a time, because
// a setting of it is about to leave its template.
type Attention struct {
	ID       string        `json:"id"`
	Resource Address       `json:"resource"`
	Drift    string        `json:"drift"`
	Every    time.Duration `json:"every_ns"`
	// Usually is how often it is read otherwise.
	Usually time.Duration `json:"usually_ns"`
	Until   time.Time     `json:"until"`
	By      string        `json:"by,omitempty"`
	Created time.Time     `json:"created,omitzero"`
}

// Holds reports whether the attention is not over at a time.
func (a *Attention) Holds(at time.Time) bool { return at.Before(a.Until) }

// Doer is somebody who has changed settings before, by the events of a log.
type Doer struct {
	Actor   string    `json:"actor"`
	Kind    ActorKind `json:"kind,omitempty"`
	Changes int       `json:"changes"`
	// Share is Changes by all changes that a log tells of, in (0, 1].
	Share float64 `json:"share"`
	// Hours counts the changes by the hour of the day, UTC.
	Hours  [24]int   `json:"hours"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Action string    `json:"action,omitempty"` // the most frequent one
	Source string    `json:"source,omitempty"` // of the last one: "git:3fa2c1d", "cloudtrail"
}

// InCode reports whether the changes were made in the code.
func (d *Doer) InCode() bool {
	return len(d.Source) >= 3 && d.Source[:3] == "git"
}

// Message is a text for people, ready to be sent. It holds no secret.
type Message struct {
	To      []string `json:"to"` // as logs name them
	Subject string   `json:"subject"`
	Text    string   `json:"text"`
}
