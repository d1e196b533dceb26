package penumbra

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// DriftStatus is where a drift is in its life.
type DriftStatus uint8

// The statuses of a drift. Only an open or acknowledged one asks for anything.
const (
	Open DriftStatus = iota
	Acknowledged
	Resolved
)

var driftStatusNames = [...]string{"open", "acknowledged", "resolved"}

func (s DriftStatus) String() string {
	if int(s) < len(driftStatusNames) {
		return driftStatusNames[s]
	}
	return "DriftStatus(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText writes the status's name.
func (s DriftStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the status's name.
func (s *DriftStatus) UnmarshalText(text []byte) error {
	i := slices.Index(driftStatusNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("status %q is none of %q", text, driftStatusNames)
	}
	*s = DriftStatus(i)
	return nil
}

// Resolution says why a drift was closed.
type Resolution string

// The ways in which a drift ends. Time alone is never one of them.
const (
	Returned        Resolution = "returned"         // the actual value is the template's again
	TemplateChanged Resolution = "template changed" // the code now declares the actual value, or no longer the setting
	Accepted        Resolution = "accepted"         // a person accepted it
	Receded         Resolution = "receded"          // an impending drift that is no longer likely
	Habitual        Resolution = "habitual"         // it became a habit of automation
	Gone            Resolution = "gone"             // the resource no longer exists
)

// Cause is what a drift is put down to: the event that touched its settings,
// or, if no log told of one, the span between the snapshots it appeared in.
type Cause struct {
	// Key is equal for drifts that have one cause.
	Key       string    `json:"key"`
	Actor     string    `json:"actor,omitempty"`
	ActorKind ActorKind `json:"actor_kind,omitempty"`
	Action    string    `json:"action,omitempty"`
	Source    string    `json:"source,omitempty"`
	Time      time.Time `json:"time,omitzero"`
	// After is the last time at which the resource was seen without it.
	After time.Time `json:"after,omitzero"`
}

// Drift is a finding with a life: opened, changed, acknowledged, resolved. One
// drift holds the settings of one resource that left for one cause.
type Drift struct {
	ID       string      `json:"id"`
	Resource Address     `json:"resource"`
	Type     string      `json:"type"`
	Verdict  Verdict     `json:"verdict"` // the gravest of its findings
	Status   DriftStatus `json:"status"`
	Critical bool        `json:"critical,omitempty"` // coincides with a drop in performance
	Cause    Cause       `json:"cause"`
	Findings []Finding   `json:"findings"`

	Opened  time.Time `json:"opened"`
	Changed time.Time `json:"changed"`
	// Foreseen is when it was first impending, if it was.
	Foreseen       time.Time  `json:"foreseen,omitzero"`
	AcknowledgedAt time.Time  `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string     `json:"acknowledged_by,omitempty"`
	ResolvedAt     time.Time  `json:"resolved_at,omitzero"`
	Resolution     Resolution `json:"resolution,omitempty"`
}

// Active reports whether the drift still asks for something.
func (d *Drift) Active() bool { return d.Status != Resolved }

// Finding returns the drift's finding on the setting at path.
func (d *Drift) Finding(path string) (Finding, bool) {
	i := slices.IndexFunc(d.Findings, func(f Finding) bool { return f.Path == path })
	if i < 0 {
		return Finding{}, false
	}
	return d.Findings[i], true
}

// Rule is an ignore rule, kept on Penumbra's side: the code stays as it is.
type Rule struct {
	ID string `json:"id"`
	// Pattern is "type.name.path" with '*' for any run of characters; with a
	// stack before it ("shop/type.name.path") it holds there only. A leading
	// '!' takes back what an earlier rule ignores.
	Pattern string    `json:"pattern"`
	Reason  string    `json:"reason,omitempty"`
	By      string    `json:"by,omitempty"`
	Created time.Time `json:"created"`
	// Expires ends an acceptance; zero means that it stays.
	Expires time.Time `json:"expires,omitzero"`
	// Value, if set, limits the rule to this actual value.
	Value *Value `json:"value,omitempty"`
}

// Anomaly is a performance metric that left its own expected band.
type Anomaly struct {
	Resource Address   `json:"resource"`
	Metric   string    `json:"metric"`
	Time     time.Time `json:"time"`
	Value    float64   `json:"value"`
	Band     Interval  `json:"band"`
	// PValue is the chance of a value this far out while nothing is wrong.
	PValue float64 `json:"p_value"`
}
