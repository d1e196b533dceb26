package penumbra

import (
	"slices"
	"time"
)

// Horizons are the spans that a forecast looks ahead.
var Horizons = [...]time.Duration{
	time.Hour,
	6 * time.Hour,
	24 * time.Hour,
	7 * 24 * time.Hour,
	30 * 24 * time.Hour,
}

// HorizonNames are the horizons' names, in their order.
var HorizonNames = [len(Horizons)]string{"1h", "6h", "1d", "7d", "30d"}

// Candidate is a value that a setting may have, and how likely it is.
type Candidate struct {
	Value       Value   `json:"value"`
	Probability float64 `json:"probability"`
}

// Interval is a closed range of numbers.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Expectation is what the shadow says of one setting at one time: at the given
// confidence the value is one of Values, or within Interval, or, if Novel is
// set, one that was never seen.
type Expectation struct {
	Path       string  `json:"path"`
	Confidence float64 `json:"confidence"`
	// Values is the prediction set, the most likely first.
	Values []Candidate `json:"values"`
	// Interval is set for numbers whose range was learnt.
	Interval *Interval `json:"interval,omitempty"`
	// Novel reports that the set holds "something new"; NovelProbability is
	// its share whether it does or not.
	Novel            bool    `json:"novel,omitempty"`
	NovelProbability float64 `json:"novel_probability"`
	// Habit reports that the set holds a value other than the template's
	// because automation has put it there and taken it back before.
	Habit bool `json:"habit,omitempty"`
	// Support is how much data stands behind it: the effective number of
	// observed days of this setting, its peers' included. Near 0 means that
	// nothing is known.
	Support float64 `json:"support"`
	// Limit is set if the setting's template is bounds, not a value. The verdict
	// then rests on it alone.
	Limit *Limit `json:"limit,omitempty"`
}

// Limit is a template that leaves a setting free between bounds.
type Limit struct {
	Min    Value  `json:"min"` // null if there is none
	Max    Value  `json:"max"` // null if there is none
	Reason string `json:"reason,omitempty"`
	// Bound is the one that the actual value is beyond, nearest to, or moving
	// towards; Passed reports that it is beyond.
	Bound  Value `json:"bound"`
	Passed bool  `json:"passed,omitempty"`
	// Unread reports that the actual value is no amount that can be held against
	// the bounds.
	Unread bool `json:"unread,omitempty"`
}

// Contains reports whether the prediction set holds v.
func (e *Expectation) Contains(v Value) bool {
	if e.Novel {
		return true
	}
	if slices.ContainsFunc(e.Values, func(c Candidate) bool { return c.Value.Agrees(v) }) {
		return true
	}
	f, ok := v.Float()
	return ok && e.Interval != nil && e.Interval.Low <= f && f <= e.Interval.High
}

// Likely returns the most likely value, null if nothing is known.
func (e *Expectation) Likely() Value {
	if len(e.Values) == 0 {
		return Null()
	}
	return e.Values[0].Value
}

// Forecast is the probability that a setting leaves its template (an
// undeclared one: its present value) within each of the [Horizons].
type Forecast struct {
	Path  string                 `json:"path"`
	Leave [len(Horizons)]float64 `json:"leave"`
	// TimeToDrift is the median time until it leaves, 0 if that is longer than
	// the last horizon.
	TimeToDrift time.Duration `json:"time_to_drift,omitempty"`
	// Next is the value it would most likely leave for, null if unknown.
	Next Value `json:"next"`
	// Habit reports that the departure would be a habit's, such as a nightly
	// job's: it would be tolerated, so it is not announced.
	Habit bool `json:"habit,omitempty"`
	// Reason says in a few words what moved the forecast, "" if nothing did.
	Reason  string  `json:"reason,omitempty"`
	Support float64 `json:"support"`
}
