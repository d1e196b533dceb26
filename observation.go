package penumbra

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ObservationKind says which of the four sources of data an observation is.
type ObservationKind uint8

// The kinds of observation.
const (
	TemplateKind ObservationKind = iota + 1 // what the code declares
	SnapshotKind                            // what was really there
	EventKind                               // one log record
	MetricKind                              // performance metrics
)

var observationKindNames = [...]string{"", "template", "snapshot", "event", "metric"}

func (k ObservationKind) String() string {
	if k > 0 && int(k) < len(observationKindNames) {
		return observationKindNames[k]
	}
	return "ObservationKind(" + strconv.Itoa(int(k)) + ")"
}

// MarshalText writes the kind's name.
func (k ObservationKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the kind's name.
func (k *ObservationKind) UnmarshalText(text []byte) error {
	i := slices.Index(observationKindNames[1:], string(text))
	if i < 0 {
		return fmt.Errorf("kind %q is none of template, snapshot, event, metric", text)
	}
	*k = ObservationKind(i + 1)
	return nil
}

// ActorKind says what sort of actor caused an event.
type ActorKind uint8

// The kinds of actor. UnknownActor is the zero kind.
const (
	UnknownActor ActorKind = iota
	User
	Automation
	System
)

var actorKindNames = [...]string{"", "user", "automation", "system"}

func (k ActorKind) String() string {
	if int(k) < len(actorKindNames) {
		return actorKindNames[k]
	}
	return "ActorKind(" + strconv.Itoa(int(k)) + ")"
}

// MarshalText writes the kind's name, "" if it is unknown.
func (k ActorKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the kind's name.
func (k *ActorKind) UnmarshalText(text []byte) error {
	i := slices.Index(actorKindNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("actor_kind %q is none of user, automation, system", text)
	}
	*k = ActorKind(i)
	return nil
}

// Observation is one thing that was learnt of one resource.
type Observation struct {
	Kind     ObservationKind
	Time     time.Time // when it happened, UTC
	Seen     time.Time // when Penumbra first saw it, UTC; not part of its identity
	Resource Address
	Type     string
	Source   string // where it came from: "tofu", "git:3fa2c1d", "http"
	ID       string // the source's own identifier, if it has one

	// Settings of a template are all that the code declares; of a snapshot
	// what was there, null for removed; of an event what it touched, with the
	// new values where the log has them. Shared between observations: treat as
	// read-only.
	Settings Settings
	// Full marks a snapshot that lists every setting, so that an absent one is
	// not there. Otherwise absent means not seen in this snapshot.
	Full bool
	// NotChecked is the reason why a snapshot could not be read; it then has
	// no settings.
	NotChecked string
	// Applied holds, for a template, the value last applied of each setting
	// that the code has since moved away from: code that is merged and not yet
	// applied.
	Applied Settings

	Actor     string
	ActorKind ActorKind
	Action    string // the source's own verb: "ModifyDBInstance", "edit"
	Message   string

	Metrics []Metric // of a metric observation, sorted by name
}

// Metric is one performance metric's value, in base units: a ratio for cpu and
// memory, bytes a second for network_io.
type Metric struct {
	Name  string
	Value float64
	// Worse is the way it moves when performance drops, if Directed says that the
	// source told; otherwise the rules of metrics say it by the name.
	Worse    Direction
	Directed bool
}

// Actions of events that Penumbra itself writes to a timeline. Decisions and
// the outcomes of runs are observations like any other.
const (
	// ActionAccept is a person's word that the settings listed may have the
	// values listed; it ends the excursion that the shadow holds open.
	ActionAccept = "penumbra.accept"
	// ActionReject is a person's word that a proposal was wrong.
	ActionReject = "penumbra.reject"
	// ActionApply is a run that Penumbra carried out.
	ActionApply = "penumbra.apply"
	// ActionRollback is a run that was taken back.
	ActionRollback = "penumbra.rollback"
	// ActionAnomaly is a metric that left its band, ActionAnomalyEnd its coming
	// back; the message names the metric.
	ActionAnomaly    = "penumbra.anomaly"
	ActionAnomalyEnd = "penumbra.anomaly.end"
	// ActionMissed stands in a recording where values of a resource's metrics are
	// missing; the message says how many or from when to when.
	ActionMissed = "penumbra.missed"
	// ActionDelete ends a resource: it is in neither template nor world.
	ActionDelete = "delete"
	// ActionCommit is a commit that touched a resource's code. What the code says
	// then is for a template to tell.
	ActionCommit = "commit"
)

// CommitSource begins the source of what is known by a commit; its hash follows.
const CommitSource = "git:"

// IsCodeChange reports whether an event is a change of the code rather than of
// the resource, as mining a repository finds it: its source is a commit and its
// action create, update or delete.
func (o *Observation) IsCodeChange() bool {
	if o.Kind != EventKind || !strings.HasPrefix(o.Source, CommitSource) {
		return false
	}
	return o.Action == "create" || o.Action == "update" || o.Action == ActionDelete
}

// IsCommit reports whether an event tells who moved a resource's code. It is no
// act on the resource, and says nothing that the next template does not say.
func (o *Observation) IsCommit() bool {
	return o.Kind == EventKind && o.Action == ActionCommit && strings.HasPrefix(o.Source, CommitSource)
}

// IsRemark reports whether an action is one that Penumbra wrote down without having
// touched the resource: a person's word on a drift, an anomaly. What it applied or
// took back may have caused something like anybody's act.
func IsRemark(action string) bool {
	return strings.HasPrefix(action, "penumbra.") && action != ActionApply && action != ActionRollback
}

// ObservationID is the identity of an observation: two with the same one are
// the same observation seen twice.
type ObservationID [16]byte

func (id ObservationID) String() string { return hex.EncodeToString(id[:]) }

// Identity returns the observation's identity: a digest of kind, resource,
// source and the source's own identifier if it has one, otherwise of all it
// says. When it was seen is never part of it.
func (o *Observation) Identity() ObservationID {
	h := sha256.New()
	writeText(h, o.Kind.String(), string(o.Resource), o.Source, o.ID)
	if o.ID == "" {
		writeInt(h, o.Time.UnixNano())
		writeText(h, o.Type, o.NotChecked, o.Actor, o.ActorKind.String(), o.Action, o.Message, strconv.FormatBool(o.Full))
		writeSettings(h, o.Settings)
		writeSettings(h, o.Applied)
		writeInt(h, int64(len(o.Metrics)))
		for _, m := range o.Metrics {
			writeText(h, m.Name)
			writeInt(h, int64(math.Float64bits(m.Value)))
		}
		for i, m := range o.Metrics { // behind the rest: an observation without has the identity that it always had
			if m.Directed {
				writeInt(h, int64(i))
				writeInt(h, int64(m.Worse))
			}
		}
	}
	var id ObservationID
	copy(id[:], h.Sum(nil))
	return id
}

// Digest returns a digest of the settings, the same for equal ones.
func (s Settings) Digest() string {
	h := sha256.New()
	writeSettings(h, s)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func writeSettings(h hash.Hash, s Settings) {
	writeInt(h, int64(len(s)))
	for _, x := range s {
		writeText(h, x.Path, x.Value.text)
		h.Write([]byte{byte(x.Value.kind)})
	}
}

// writeText writes each text behind its length, so that no two lists of texts
// run together into the same bytes.
func writeText(h hash.Hash, texts ...string) {
	for _, s := range texts {
		writeInt(h, int64(len(s)))
		_, _ = io.WriteString(h, s)
	}
}

func writeInt(h hash.Hash, n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

// hasControl reports whether a name would steer what shows it: a terminal, a log.
func hasControl(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029
	}) >= 0
}

// Check returns an error that names the first thing that keeps the observation
// from being used, nil if there is none.
func (o *Observation) Check() error {
	switch {
	case o.Kind < TemplateKind || o.Kind > MetricKind:
		return fmt.Errorf("kind is none of template, snapshot, event, metric")
	case o.Time.IsZero():
		return fmt.Errorf("time is missing")
	case o.Resource == "":
		return fmt.Errorf("resource is missing")
	case hasControl(string(o.Resource)) || hasControl(o.Type):
		return fmt.Errorf("resource or type has a control character")
	case o.Kind == MetricKind && len(o.Metrics) == 0:
		return fmt.Errorf("a metric observation without metrics")
	case o.NotChecked != "" && (o.Kind != SnapshotKind || len(o.Settings) > 0):
		return fmt.Errorf("only a snapshot without settings can be not checked")
	}
	return nil
}
