package penumbra

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"
)

// ObservationQuery selects observations of a store. Zero fields select all.
type ObservationQuery struct {
	Resource Address
	Stack    string
	Kinds    []ObservationKind
	From, To time.Time // happened at From or later, before To
	// After selects what a store took in after the given sequence number.
	After int64
	// UpTo, if positive, selects what a store had taken in up to the given sequence
	// number.
	UpTo int64
	// Latest, if positive, selects only the last so many, still oldest first.
	Latest int
}

// Page is the part of a list that is asked for: so many behind a cursor, or behind so
// many others. The zero value is all.
type Page struct {
	Limit int // 0 for all
	// After is the cursor that the page before ended with. It stays right when the
	// list changes, which Offset does not.
	After  string
	Offset int
}

// ResourceOrder is an order of resources; equal ones are by address.
type ResourceOrder string

// The orders of resources.
const (
	GravestResources ResourceOrder = ""         // by verdict, the gravest first
	ByAddress        ResourceOrder = "address"  // by address
	ByType           ResourceOrder = "type"     // by type
	BySettings       ResourceOrder = "settings" // those with the most settings first
	LongestUnseen    ResourceOrder = "seen"     // those that were looked at longest ago first
)

// ResourceQuery selects resources. Zero fields select all.
type ResourceQuery struct {
	Stack    string
	Type     string
	Verdicts []Verdict
	Text     string // occurs in the address or the type, whatever the case
	Order    ResourceOrder
	// Sees leaves out what whoever asks may not see; nil leaves out nothing.
	Sees Scope `json:"-"`
	Page
}

// ResourcePage is a page of resources.
type ResourcePage struct {
	Resources []ResourceStatus
	Found     int    // on all pages
	Next      string // the cursor of the next page, "" if there is none
}

// DriftQuery selects drifts of a store. Zero fields select all.
type DriftQuery struct {
	ID       string
	Resource Address
	Stack    string
	// Active selects those that are not resolved, Resolved those that are.
	Active, Resolved bool
	// Accepted selects resolved ones whose acceptance is to end.
	Accepted bool
	// Since selects those that changed then or later.
	Since time.Time
	Limit int
	// Before and BeforeID continue a list of a store behind a drift that changed
	// then and has that identifier.
	Before   time.Time
	BeforeID string

	// The rest selects what is shown; a store does not know it.
	Type     string
	Verdicts []Verdict
	Critical bool
	// Snoozed selects those that are snoozed, or those that are not; nil both.
	Snoozed *bool
	Text    string // occurs in what tells the drift apart, whatever the case
	After   string // the cursor that the page before ended with
	Offset  int
	// Facets asks for those of the drifts that go on.
	Facets bool
	// Sees leaves out what whoever asks may not see; nil leaves out nothing.
	Sees Scope `json:"-"`
}

// Selects reports whether the query selects a drift at a time, but for its text and
// the page.
func (q *DriftQuery) Selects(d *Drift, now time.Time) bool {
	switch {
	case q.ID != "" && d.ID != q.ID,
		q.Resource != "" && d.Resource != q.Resource,
		q.Stack != "" && d.Resource.Stack() != q.Stack,
		q.Type != "" && d.Type != q.Type,
		q.Active && !d.Active(),
		q.Resolved && d.Active(),
		d.Changed.Before(q.Since),
		q.Critical && !d.Critical,
		q.Snoozed != nil && d.Snoozed(now) != *q.Snoozed,
		len(q.Verdicts) > 0 && !slices.Contains(q.Verdicts, d.Verdict),
		q.Sees != nil && !q.Sees(d.Resource.Stack(), d.Type):
		return false
	}
	return true
}

// DriftPage is a page of drifts.
type DriftPage struct {
	Drifts []Drift
	// Found is how many there are on all pages; -1 where that was not counted.
	Found int
	Next  string // the cursor of the next page, "" if there is none
	// Facets count the drifts that go on; nil if nobody asked for them.
	Facets *DriftFacets
}

// DriftFacets count drifts that go on.
type DriftFacets struct {
	// Stacks has how many each stack has, whatever else the query selects.
	Stacks map[string]int
	// Verdicts has how many the query would select for each verdict, those that are
	// snoozed apart, and Snoozed how many of these it would select for all.
	Verdicts map[Verdict]int
	Snoozed  int
}

// Scope says whether resources of a type in a stack are meant; nil means all.
type Scope func(stack, kind string) bool

// Includes reports whether resources of a type in a stack are meant.
func (s Scope) Includes(stack, kind string) bool { return s == nil || s(stack, kind) }

// StatusQuery says what the counts of a status are of. The zero value is all.
type StatusQuery struct{ Resources, Drifts, Anomalies Scope }

// WriteCursor makes a cursor of the place at which a page ends. Who gets it is to send
// it back as it is.
func WriteCursor(place any) string {
	text, err := json.Marshal(place)
	if err != nil {
		panic("write a cursor: " + err.Error()) // of a struct that marshals
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// ReadCursor reads the place at which the page before ended; "" leaves it as it is.
// It returns an error of kind Invalid if the text is no cursor of such a list.
func ReadCursor(text string, place any) error {
	if text == "" {
		return nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(decoded))
		d.DisallowUnknownFields()
		err = d.Decode(place)
	}
	if err != nil {
		return &Error{Kind: Invalid, What: "the cursor is not one of this list", Remedy: "start again at the first page, without a cursor"}
	}
	return nil
}

// RunQuery selects runs of a store. Zero fields select all.
type RunQuery struct {
	ID       string
	Proposal string
	Stack    string
	// Unended selects those that have not reached an end.
	Unended bool
	Limit   int
	// Before and BeforeID continue the list behind a run that started then and has
	// that identifier.
	Before   time.Time
	BeforeID string
}

// ProposalQuery selects proposals of a store. Zero fields select all.
type ProposalQuery struct {
	ID     string
	Drift  string
	States []ProposalStatus
}

// DecisionQuery selects decisions of a store. Zero fields select all.
type DecisionQuery struct {
	Proposal string
	Drift    string
	Limit    int
	// AfterID continues the list behind the decision that has that identifier.
	AfterID string
}

// BadLine is a line of a timeline that could not be read, kept aside.
type BadLine struct {
	Source string    `json:"source"` // the file's name, or "http"
	Line   int       `json:"line"`   // counted from 1
	Reason string    `json:"reason"`
	Text   string    `json:"text"` // redacted, cut to 64 KiB
	Seen   time.Time `json:"seen"`
}

// Checkpoint is a model's saved state: everything up to Sequence is in it.
type Checkpoint struct {
	Name     string
	Sequence int64
	Time     time.Time
	Data     []byte
}

// AnomalyQuery selects anomalies of a store. Zero fields select all.
type AnomalyQuery struct {
	ID       string
	Resource Address
	Stack    string
	// Active selects those whose metric is still out of its band.
	Active bool
	From   time.Time // noticed at From or later
	Limit  int
	// Before and BeforeID continue the list behind an anomaly that was noticed then
	// and has that identifier.
	Before   time.Time
	BeforeID string
}

// RollupQuery selects what is kept of metrics. Zero fields select all.
type RollupQuery struct {
	Resource Address
	Metric   string
	Span     time.Duration
	From, To time.Time // starting at From or later, before To
}
