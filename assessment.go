package penumbra

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Verdict is what an assessment says of one setting.
type Verdict uint8

// The verdicts, in the order of how much attention they ask for.
const (
	InSync     Verdict = iota // as expected
	Tolerated                 // off the template by habit
	Pending                   // the code moved and was not applied
	NotChecked                // could not be read
	Impending                 // on the template, about to leave it
	Unexpected                // on the template or undeclared, and yet not expected
	Drifted                   // off the template and not expected
)

var verdictNames = [...]string{"in sync", "tolerated", "pending", "not checked", "impending", "unexpected", "drifted"}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "Verdict(" + strconv.Itoa(int(v)) + ")"
}

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the verdict's name.
func (v *Verdict) UnmarshalText(text []byte) error {
	i := slices.Index(verdictNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("verdict %q is none of %q", text, verdictNames)
	}
	*v = Verdict(i)
	return nil
}

// IsFinding reports whether the verdict is something to tell a person of.
func (v Verdict) IsFinding() bool { return v != InSync }

// IsDrift reports whether the verdict counts as drift in an exit code: what is
// tolerated, pending, not checked or only impending does not.
func (v Verdict) IsDrift() bool { return v == Drifted || v == Unexpected }

// Finding is the verdict on one setting, with what it rests on.
type Finding struct {
	Path     string  `json:"path"`
	Verdict  Verdict `json:"verdict"`
	Declared bool    `json:"declared"`
	Template Value   `json:"template"`
	Actual   Value   `json:"actual"`
	// Sensitive marks values that are keyed hashes.
	Sensitive   bool        `json:"sensitive,omitempty"`
	Expectation Expectation `json:"expectation"`
	Forecast    *Forecast   `json:"forecast,omitempty"`
	// Horizon is the index into [Horizons] at which an impending finding's
	// forecast passed its threshold.
	Horizon int `json:"horizon,omitempty"`
	// Rule is the ignore rule that a person set and that made it tolerated.
	Rule string `json:"rule,omitempty"`
	// Hazard is what the actual value endangers, whatever it does to performance,
	// in one sentence; "" if nothing is known against it.
	Hazard string `json:"hazard,omitempty"`
}

// Assessment is the verdict on each setting of a resource at a time. Settings
// in sync are only counted.
type Assessment struct {
	Resource Address   `json:"resource"`
	Type     string    `json:"type"`
	Time     time.Time `json:"time"`
	// NotChecked is the reason why the resource could not be read.
	NotChecked string    `json:"not_checked,omitempty"`
	InSync     int       `json:"in_sync"`
	Findings   []Finding `json:"findings"`
	// Hovering are the settings in sync whose forecast is below its threshold
	// but near it: an impending drift of theirs is not over yet.
	Hovering []string `json:"hovering,omitempty"`
	// Limited are the settings in sync because they are within their limit.
	Limited []string `json:"limited,omitempty"`
}

// Verdict returns the gravest verdict on any setting.
func (a *Assessment) Verdict() Verdict {
	worst := InSync
	if a.NotChecked != "" {
		worst = NotChecked
	}
	for _, f := range a.Findings {
		worst = max(worst, f.Verdict)
	}
	return worst
}
