package git

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Report says what was found in a history.
type Report struct {
	Commits  int `json:"commits"`  // of the first-parent history, read
	Changing int `json:"changing"` // those of them that changed a resource
	Files    int `json:"files"`    // versions of files read
	// From and To are the times of the first commit read and of the last.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`

	Resources int `json:"resources"` // ever there
	Live      int `json:"live"`      // there at the end
	Creates   int `json:"creates"`
	Updates   int `json:"updates"`
	Deletes   int `json:"deletes"`
	// Changes counts the settings that updates changed.
	Changes int `json:"changes"`
	Secrets int `json:"secrets"` // values that were hashed, in all events

	// Actors are who changed a resource, by kind.
	Actors []ActorKindCount `json:"actors"`
	// Automation names the actors that were taken to be no persons, for a look
	// at whether that is right.
	Automation []string `json:"automation"`

	// Shallow is set if the clone has only the latest part of the history: what
	// is older than its first commit is not known.
	Shallow bool `json:"shallow,omitempty"`

	// LeftOut lists the files that at some commit could not be read, by reason
	// and name, each with the latest reason; at most [MaxLeftOut]. LeftOutFiles
	// counts them all, and Reasons by reason.
	LeftOut      []LeftOut      `json:"left_out"`
	LeftOutFiles int            `json:"left_out_files"`
	Reasons      map[Reason]int `json:"reasons"`

	leftOut map[string]LeftOut
	events  map[penumbra.ActorKind]int
}

// ActorKindCount is how many actors of one kind caused how many events.
type ActorKindCount struct {
	Kind   penumbra.ActorKind `json:"kind"`
	Actors int                `json:"actors"`
	Events int                `json:"events"`
}

// LeftOut is one file that was not read, whole or in part.
type LeftOut struct {
	Path   string `json:"path"`
	Commit string `json:"commit"` // the latest at which it was left out
	Times  int    `json:"times"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// MaxLeftOut bounds the files that a report lists.
const MaxLeftOut = 1000

// maxRemembered bounds the files left out that are told apart.
const maxRemembered = 100_000

// Reason says why a file was left out.
type Reason uint8

// The reasons. The zero reason is none.
const (
	_            Reason = iota
	Unparsed            // a syntax error
	Templated           // it holds templates of another language
	TooLarge            // above a MiB, nested too deeply, or with too many settings
	Encrypted           // as a whole
	Absent              // not in this clone
	Unrecognized        // YAML that is no Kubernetes object and of no known kind
)

var reasonNames = [...]string{"", "does not parse", "holds templates", "is too large", "is encrypted", "is not in this clone", "is YAML of no known kind"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "Reason(" + strconv.Itoa(int(r)) + ")"
}

// MarshalText writes the reason in words.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Report) leave(path string, l LeftOut) {
	before, known := r.leftOut[path]
	if !known && len(r.leftOut) >= maxRemembered {
		return
	}
	l.Path, l.Times = path, before.Times+1
	r.leftOut[path] = l
}

func (r *Report) count(o *penumbra.Observation) {
	switch o.Action {
	case actionCreate:
		r.Creates++
	case actionUpdate:
		r.Updates++
		r.Changes += len(o.Settings)
	default:
		r.Deletes++
	}
	for _, x := range o.Settings {
		if x.Value.Kind() == penumbra.SecretKind {
			r.Secrets++
		}
	}
	if r.events == nil {
		r.events = map[penumbra.ActorKind]int{}
	}
	r.events[o.ActorKind]++
}

func (r *Report) finish(actors map[string]penumbra.ActorKind) {
	many := map[penumbra.ActorKind]int{}
	r.Automation = []string{}
	for _, name := range slices.Sorted(maps.Keys(actors)) {
		many[actors[name]]++
		if actors[name] == penumbra.Automation {
			r.Automation = append(r.Automation, name)
		}
	}
	for _, kind := range [...]penumbra.ActorKind{penumbra.User, penumbra.Automation, penumbra.UnknownActor} {
		if r.events[kind] > 0 {
			r.Actors = append(r.Actors, ActorKindCount{kind, many[kind], r.events[kind]})
		}
	}
	r.LeftOutFiles, r.Reasons = len(r.leftOut), map[Reason]int{}
	r.LeftOut = []LeftOut{}
	for _, l := range r.leftOut {
		r.Reasons[l.Reason]++
		r.LeftOut = append(r.LeftOut, l)
	}
	slices.SortFunc(r.LeftOut, func(a, b LeftOut) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Path, b.Path))
	})
	r.LeftOut = slices.Clip(r.LeftOut[:min(len(r.LeftOut), MaxLeftOut)])
}
