package penumbra

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Severity is how much something wants a person's eye.
type Severity uint8

// The severities, the least first.
const (
	LowSeverity      Severity = iota // foreseen, or good to know
	MediumSeverity                   // something is not as the code says
	HighSeverity                     // something is dangerous in itself, or waits for a person
	CriticalSeverity                 // performance has dropped with it
)

var severityNames = [...]string{"low", "medium", "high", "critical"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "Severity(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the severity's name.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("severity %q is none of %s", text, strings.Join(severityNames[:], ", "))
	}
	*s = Severity(i)
	return nil
}

// Severity says how much a drift wants a person's eye.
func (d *Drift) Severity() Severity {
	switch {
	case d.Critical:
		return CriticalSeverity
	case d.Hazardous():
		return HighSeverity
	case d.Verdict == Drifted, d.Verdict == Unexpected:
		return MediumSeverity
	default:
		return LowSeverity
	}
}

// NoticeAbout says what kind of thing a notice tells of.
type NoticeAbout string

// What notices are about.
const (
	AboutDrift    NoticeAbout = "drift"
	AboutAnomaly  NoticeAbout = "anomaly" // that no drift is known for
	AboutRun      NoticeAbout = "run"
	AboutApproval NoticeAbout = "approval" // a proposal that waits for people
	AboutFreeze   NoticeAbout = "freeze"
	AboutSource   NoticeAbout = "source" // that was not read for long
	AboutModel    NoticeAbout = "model"
	AboutOwner    NoticeAbout = "owner" // somebody is asked about what they own
	AboutDigest   NoticeAbout = "digest"
	AboutTest     NoticeAbout = "test"
)

// NoticeAbouts are what routes may choose from.
var NoticeAbouts = []NoticeAbout{AboutDrift, AboutAnomaly, AboutRun, AboutApproval, AboutFreeze, AboutSource, AboutModel}

// NoticeVerb says what became of what a notice is about.
type NoticeVerb string

// The verbs of notices.
const (
	NoticeOpened   NoticeVerb = "opened"
	NoticeChanged  NoticeVerb = "changed"
	NoticeResolved NoticeVerb = "resolved"
	NoticeSaid     NoticeVerb = "said" // something that has no end: a run that is done, a digest
)

// NoticeState is where a notice is on its way through its channel.
type NoticeState string

// The states of a notice.
const (
	NoticeWaiting NoticeState = "waiting" // to be sent at its Next
	NoticeHeld    NoticeState = "held"    // for the digest after quiet hours, or above the rate
	NoticeSent    NoticeState = "sent"
	NoticeDead    NoticeState = "dead"   // given up, and kept to be sent again by hand
	NoticeFolded  NoticeState = "folded" // a later notice tells what it would have told
)

// Notice is one message through one channel. Whoever made it has redacted its
// texts; values in it are as findings have them, secrets sealed.
type Notice struct {
	// ID is the same each time that the notice is sent: a receiver which has seen it
	// drops it.
	ID      string `json:"id"`
	Channel string `json:"channel"`
	// Key is of what it is about, the same for all notices of one cause.
	Key      string      `json:"key"`
	About    NoticeAbout `json:"about"`
	Verb     NoticeVerb  `json:"verb"`
	Severity Severity    `json:"severity"`
	Title    string      `json:"title"` // one line
	// Lines are what there is to say, the most important first.
	Lines []string `json:"lines,omitempty"`
	// Facts are names with their values, in the order in which to show them.
	Facts        []NoticeFact `json:"facts,omitempty"`
	Stacks       []string     `json:"stacks,omitempty"`
	Environments []string     `json:"environments,omitempty"`
	Verdicts     []string     `json:"verdicts,omitempty"`  // of drifts, by name
	Resources    []Address    `json:"resources,omitempty"` // the first of them
	// Subjects are the identifiers of the drifts, the run, ... that it tells of.
	Subjects []string `json:"subjects,omitempty"`
	URL      string   `json:"url,omitempty"` // where a person sees more; "" if no address is configured

	Began   time.Time `json:"began"`           // when what it tells of began
	Ended   time.Time `json:"ended,omitzero"`  // of a resolved one
	Created time.Time `json:"created"`         // when it was decided to tell it
	Folds   []string  `json:"folds,omitempty"` // identifiers of the notices that a digest stands for

	State    NoticeState `json:"state"`
	Attempts int         `json:"attempts,omitempty"`
	Next     time.Time   `json:"next,omitzero"` // when it is tried next
	Sent     time.Time   `json:"sent,omitzero"`
	Error    string      `json:"error,omitempty"` // of the last attempt, redacted
	// Thread is what the channel called the first message of the key, so that later
	// ones join it.
	Thread string `json:"thread,omitempty"`
}

// NoticeFact is a name with a value.
type NoticeFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Firing reports whether what the notice tells of goes on.
func (n *Notice) Firing() bool { return n.Verb == NoticeOpened || n.Verb == NoticeChanged }

// CompareNotices orders notices by what is to be sent first: the gravest, then the
// oldest.
func CompareNotices(a, b *Notice) int {
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// Told is what has been told of one subject through one channel.
type Told struct {
	Channel string `json:"channel"`
	Subject string `json:"subject"` // "drift/d-4c1e", "run/r-02b9"; "" of the channel itself
	Key     string `json:"key"`     // of the notices that tell of it
	// Said is a digest of what was said of it: it is told again when that changes.
	Said     string      `json:"said"`
	About    NoticeAbout `json:"about"`
	Severity Severity    `json:"severity"`
	Began    time.Time   `json:"began,omitzero"` // of the first subject of the key
	Time     time.Time   `json:"time"`           // when it was told last
	// Over marks what has ended: a store forgets it.
	Over bool `json:"-"`
}

// NoticeQuery selects notices of a store. Zero fields select all.
type NoticeQuery struct {
	ID      string
	Channel string
	Key     string
	States  []NoticeState
	Limit   int // of the newest
	// Before and BeforeID continue the list behind a notice that was created then and
	// has that identifier, with older ones.
	Before   time.Time
	BeforeID string
}

// ChannelStatus is the state of one channel of notices.
type ChannelStatus struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Waiting int       `json:"waiting"`
	Held    int       `json:"held"`
	Dead    int       `json:"dead"`
	Sent    time.Time `json:"sent,omitzero"` // the last that went through
	Error   string    `json:"error,omitempty"`
	// Quiet is until when it is quiet, zero if it is not.
	Quiet time.Time `json:"quiet,omitzero"`
}
