package penumbra

import (
	"cmp"
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
	// Impact lists the performance metrics that moved with it.
	Impact []Impact `json:"impact,omitempty"`

	Opened  time.Time `json:"opened"`
	Changed time.Time `json:"changed"`
	// Foreseen is when it was first impending, if it was.
	Foreseen       time.Time  `json:"foreseen,omitzero"`
	AcknowledgedAt time.Time  `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string     `json:"acknowledged_by,omitempty"`
	ResolvedAt     time.Time  `json:"resolved_at,omitzero"`
	Resolution     Resolution `json:"resolution,omitempty"`

	// Code is a change to the code that was put up for review and would resolve
	// it, the last one if there were several. The drift stays open until the code
	// that is read has it.
	Code *CodeChange `json:"code,omitempty"`
	// SnoozedUntil ends a snooze; zero if it is not snoozed.
	SnoozedUntil time.Time `json:"snoozed_until,omitzero"`
	SnoozedBy    string    `json:"snoozed_by,omitempty"`
	SnoozeReason string    `json:"snooze_reason,omitempty"`
	// AcceptedUntil ends the acceptance of a resolved drift, which is open again
	// from then on if its values are still there; zero if nothing does.
	AcceptedUntil time.Time `json:"accepted_until,omitzero"`
}

// Snoozed reports whether a person wants to hear nothing of the drift at a time.
func (d *Drift) Snoozed(at time.Time) bool { return d.Active() && at.Before(d.SnoozedUntil) }

// Wake ends a snooze.
func (d *Drift) Wake() { d.SnoozedUntil, d.SnoozedBy, d.SnoozeReason = time.Time{}, "", "" }

// Active reports whether the drift still asks for something.
func (d *Drift) Active() bool { return d.Status != Resolved }

// ComparePressing orders drifts by what makes one come first whatever its verdict:
// a drop in performance, then a value that is dangerous in itself. It is negative
// if a comes before b.
func ComparePressing(a, b *Drift) int { return cmp.Compare(b.Pressing(), a.Pressing()) }

// Pressing is how much a drift presses whatever its verdict, 0 if it does not.
func (d *Drift) Pressing() int {
	switch {
	case d.Critical && d.Hazardous():
		return 3
	case d.Critical:
		return 2
	case d.Hazardous():
		return 1
	default:
		return 0
	}
}

// GravestFirst sorts impacts: what is worse first, then what is least likely a
// coincidence.
func GravestFirst(impacts []Impact) []Impact {
	out := slices.Clone(impacts)
	slices.SortStableFunc(out, func(a, b Impact) int {
		switch {
		case a.Worse == b.Worse:
			return cmp.Compare(a.Coincidence, b.Coincidence)
		case a.Worse:
			return -1
		default:
			return 1
		}
	})
	return out
}

// Hazardous reports whether a value that it left for is dangerous in itself.
func (d *Drift) Hazardous() bool {
	return slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Hazard != "" })
}

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
