package diagnosis

import (
	"cmp"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Change is something that happened to a resource and may have moved a metric: a
// setting that took another value, or an event that names none, such as a restart,
// a deployment or a failover. One that a log and a look both tell of is given once,
// with the log's time: given twice, each would have half the probability.
type Change struct {
	Resource      penumbra.Address
	Type          string // of the resource
	Path          string // of the setting, "" for an event that names none
	Before, After penumbra.Value
	// Time is the event's if one tells of the change, otherwise when it was seen.
	Time time.Time
	// Since is the look before if no event tells, or when an act began that took a
	// while: the change was between the two. It is zero otherwise.
	Since     time.Time
	Actor     string
	ActorKind penumbra.ActorKind
	Action    string
	Source    string
	// Declared reports that the template declares the setting. It is shown and not
	// weighed.
	Declared bool
	// Unexpected reports that the value was outside its prediction set.
	Unexpected bool
	// Surprise is -ln of the value's probability before it was seen, 0 if unknown.
	Surprise float64
}

// Knowledge is what others know of changes and metrics. All of it may be unknown.
type Knowledge interface {
	// Effect returns by how much setting the value moves the probability that the
	// metric drops, in [-1, 1], and the cases behind it; ok is false if not known.
	Effect(kind, path, metric string) (strength, cases float64, ok bool)
	// Relevance returns how likely a setting of the type is to matter to performance
	// by the technology's own catalogue, in (0, 1]; 0.5 if that is not known.
	Relevance(kind, path string) float64
	// Related returns 1 for the same resource, less for one of the same host or
	// stack, 0 for one that cannot matter.
	Related(a, b penumbra.Address) float64
}

// nothingKnown stands in for a Knowledge that is nil.
type nothingKnown struct{}

var _ Knowledge = nothingKnown{}

func (nothingKnown) Effect(string, string, string) (strength, cases float64, ok bool) {
	return 0, 0, false
}
func (nothingKnown) Relevance(string, string) float64 { return 0.5 }
func (nothingKnown) Related(a, b penumbra.Address) float64 {
	if a == b {
		return 1
	}
	return 0
}

// factor names what a change changed, among the resource type's: the setting's path,
// or the event's action behind a mark that no path begins with.
func factor(path, action string) string {
	if path != "" {
		return path
	}
	return "\x00" + strings.ToLower(action)
}

// remark reports whether an event is one that Penumbra wrote down without having
// touched the resource.
func remark(action string) bool {
	return strings.HasPrefix(action, "penumbra.") &&
		action != penumbra.ActionApply && action != penumbra.ActionRollback
}

// restarting are words of the events with which settings take effect that did not at
// once. They are looked for in any case.
var restarting = []string{"restart", "reload", "reboot", "failover", "failed-over", "failed over", "start", "deploy", "rollout"}

// restarts reports whether the change is an event with which settings take effect.
func (c *Change) restarts() bool {
	if c.Path != "" {
		return false
	}
	action := strings.ToLower(c.Action)
	for _, word := range restarting {
		if strings.Contains(action, word) {
			return true
		}
	}
	return false
}

// compare is an order of changes that does not depend on how they came: the latest
// first, then by name.
func compare(a, b *Change) int {
	return cmp.Or(
		b.Time.Compare(a.Time), b.Since.Compare(a.Since),
		cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Action, b.Action), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Actor, b.Actor),
		cmp.Compare(a.Before.String(), b.Before.String()), cmp.Compare(a.After.String(), b.After.String()),
	)
}
