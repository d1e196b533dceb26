package penumbra

import (
	"slices"
	"strings"
	"time"
)

// Resource is one managed thing, as the observations folded so far have it.
type Resource struct {
	Address Address `json:"address"`
	Type    string  `json:"type"`

	// Template is what the code declares, Actual what the last snapshot found.
	// An actual setting that the template does not have is undeclared.
	Template Settings `json:"template"`
	Actual   Settings `json:"actual"`
	// Applied holds the value last applied of each declared setting that the
	// code has moved away from since: while the actual value stays there, the
	// setting is pending.
	Applied Settings `json:"applied,omitempty"`

	TemplateTime time.Time `json:"template_time,omitzero"`
	SnapshotTime time.Time `json:"snapshot_time,omitzero"`
	// PriorSnapshot is when the last snapshot but one that could be read was
	// taken: what is new in the last one came about after it.
	PriorSnapshot time.Time `json:"prior_snapshot,omitzero"`
	// Settled is when template and actual last agreed in full: a resource that
	// once was in sync has a drift, not pending code, when it leaves.
	Settled time.Time `json:"settled,omitzero"`
	// NotChecked is the reason why the last read failed, "" if it succeeded.
	NotChecked string `json:"not_checked,omitempty"`
	Deleted    bool   `json:"deleted,omitempty"`

	// Recent holds the last events that touched the resource, oldest first, at
	// most [RecentEvents].
	Recent []Touch `json:"recent,omitempty"`
	// Commits holds the last commits that touched the resource's code, apart from
	// what touched the resource itself; oldest first, at most [RecentEvents].
	Commits []Touch `json:"commits,omitempty"`
}

// Mover returns the latest commit that may have moved what the code says of the
// setting at path, "" for all of the resource; nil if none is known.
func (r *Resource) Mover(path string) *Touch {
	for i := range slices.Backward(r.Commits) {
		if r.Commits[i].Touches(path) {
			return &r.Commits[i]
		}
	}
	return nil
}

// RecentEvents is how many events a resource remembers for attribution, and how
// many commits.
const RecentEvents = 8

// Touch is what a resource remembers of an event: enough to say who it was.
type Touch struct {
	Event     ObservationID `json:"-"`
	Time      time.Time     `json:"time"`
	Actor     string        `json:"actor,omitempty"`
	ActorKind ActorKind     `json:"actor_kind,omitempty"`
	Action    string        `json:"action,omitempty"`
	Source    string        `json:"source,omitempty"`
	// Paths are the settings touched; none means that the log does not say.
	Paths []string `json:"paths,omitempty"`
}

// Touches reports whether an event is about the setting at path, "" for the whole
// resource. An event that lists nothing may be about anything.
func (t *Touch) Touches(path string) bool {
	return path == "" || len(t.Paths) == 0 || slices.ContainsFunc(t.Paths, func(p string) bool {
		return p == path || strings.HasPrefix(path, p+".")
	})
}

// Declared reports whether the template declares the setting at path.
func (r *Resource) Declared(path string) bool {
	_, ok := r.Template.Find(path)
	return ok
}
