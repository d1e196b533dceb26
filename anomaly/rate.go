package anomaly

import (
	"math"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Rate turns the values of a counter into its rate a second. The zero value is
// ready; each series needs one of its own.
type Rate struct {
	// Gap is the longest time between two values of which a rate is told; 0 means
	// an hour. Over a longer one a rate would say little of when.
	Gap time.Duration

	last  penumbra.Point
	known bool
}

// Observe takes in the counter's next value and returns its mean rate since the one
// before, at the time of the next. There is none (false) for the first value, after
// a gap, and for a value that is negative, no number or not newer than the last; the
// last two change nothing. A counter that fell was reset: it counted from zero since
// then, and what it counted between its last value and the reset is lost, so that
// the rate is told too low and never negative.
func (r *Rate) Observe(p penumbra.Point) (penumbra.Point, bool) {
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) || p.Value < 0 {
		return penumbra.Point{}, false
	}
	span := p.Time.Sub(r.last.Time)
	if r.known && span <= 0 {
		return penumbra.Point{}, false
	}
	last, known := r.last, r.known
	r.last, r.known = p, true
	gap := r.Gap
	if gap <= 0 {
		gap = time.Hour
	}
	if !known || span > gap {
		return penumbra.Point{}, false
	}
	grown := p.Value - last.Value
	if grown < 0 {
		grown = p.Value
	}
	return penumbra.Point{Time: p.Time, Value: grown / span.Seconds()}, true
}
