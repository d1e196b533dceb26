package penumbra

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"
)

// CommitFormat is the format of records of commits: their attribute "commit" is
// the hash, and they have the one action [ActionCommit].
const CommitFormat = "git"

// Record is one log record as its format tells it, before it is known which
// resource it is about. Whoever reads it has redacted its texts and sealed its
// secrets.
type Record struct {
	Time   time.Time // when it happened, UTC
	Format string    // "cloudtrail", "kubernetes", "postgresql", "auditd", "syslog", "otlp", "json"
	Input  string    // the configured name of where it was read
	// ID is the source's own identifier, unique within the input; "" if it has
	// none. Two records with the same one are the same record seen twice.
	ID string

	// Actor is the person or program behind the act, as far as the format can
	// resolve it: of an assumed role the person, not the role.
	Actor string
	// ActorKind is UnknownActor where only a rule can tell.
	ActorKind ActorKind
	Via       string // what it was done through: a role, an application, a session
	Action    string // the format's own verb: "ModifyDBInstance", "ALTER SYSTEM"

	// Targets are identifiers of what was acted on, the most specific first:
	// ARNs, names, paths, object references.
	Targets []string
	Type    string // the type of resource, "" if the format does not tell
	// Settings are what it touched: with the new values where the record has
	// them, unknown where it has only names.
	Settings Settings

	// ReadOnly marks an act that changes nothing whatever its outcome.
	ReadOnly bool
	// Failed is why the act had no effect, "" if it had: "AccessDenied".
	Failed  string
	Message string // free text, redacted
	// Attributes are further fields that a user's rules may match.
	Attributes map[string]string
}

// Identity returns the record's identity: a digest of its input and its own
// identifier, otherwise of all it says.
func (r *Record) Identity() ObservationID {
	h := sha256.New()
	writeText(h, "record", r.Input, r.Format, r.ID)
	if r.ID == "" {
		writeInt(h, r.Time.UnixNano())
		writeText(h, r.Actor, r.ActorKind.String(), r.Via, r.Action, r.Type, r.Failed, r.Message)
		writeInt(h, int64(len(r.Targets)))
		writeText(h, r.Targets...)
		writeSettings(h, r.Settings)
		for _, name := range slices.Sorted(maps.Keys(r.Attributes)) {
			writeText(h, name, r.Attributes[name])
		}
	}
	var id ObservationID
	copy(id[:], h.Sum(nil))
	return id
}

// Check returns an error that names the first thing that keeps the record from
// being used, nil if there is none.
func (r *Record) Check() error {
	switch {
	case r.Time.IsZero():
		return fmt.Errorf("time is missing")
	case r.Action == "" && r.Message == "":
		return fmt.Errorf("neither an action nor a message")
	}
	return nil
}

// AsideRecord is a record kept until somebody knows whose it is.
type AsideRecord struct {
	Sequence int64 // given by the store, in the order of keeping
	Record   Record
	// Action is what it did, found from its text if the format gives no verb.
	Action string
	Reason string // why it has no resource
}
