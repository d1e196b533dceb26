package notify

import (
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Quiet are hours in which a channel is quiet. Hours that end before they begin last
// over midnight, and belong to the day on which they begin.
type Quiet struct {
	From, To time.Duration // since midnight, as the wall clock shows
	Days     []time.Weekday
	Zone     *time.Location
}

// Check returns an error of kind Invalid if the hours can't be meant.
func (q *Quiet) Check() error {
	if q.From < 0 || q.From >= 24*time.Hour || q.To < 0 || q.To > 24*time.Hour || q.From == q.To {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("quiet hours from %s to %s", q.From, q.To), Remedy: `write two times of the day, such as from: "22:00" and to: "07:00"`}
	}
	return nil
}

// Until returns when the quiet hours that hold at a time end, zero if none hold.
func (q *Quiet) Until(at time.Time) time.Time {
	zone := q.Zone
	if zone == nil {
		zone = time.UTC
	}
	local := at.In(zone)
	for back := range 2 { // hours that began yesterday may last
		day := local.AddDate(0, 0, -back)
		if len(q.Days) > 0 && !slices.Contains(q.Days, day.Weekday()) {
			continue
		}
		begin, end := clockOn(day, q.From), clockOn(day, q.To)
		if q.To <= q.From {
			end = clockOn(day.AddDate(0, 0, 1), q.To)
		}
		if !local.Before(begin) && local.Before(end) {
			return end.UTC()
		}
	}
	return time.Time{}
}

// clockOn returns when the wall clock shows a time of the day, also where the clock
// is changed on that day.
func clockOn(day time.Time, since time.Duration) time.Time {
	y, m, d := day.Date()
	return time.Date(y, m, d, int(since/time.Hour), int(since%time.Hour/time.Minute), int(since%time.Minute/time.Second), 0, day.Location())
}

// quiet returns until when a channel is quiet, zero if it is not.
func (c *channel) quiet(at time.Time) time.Time {
	var until time.Time
	for range 8 { // hours that follow on each other are one
		next := until
		for i := range c.Quiet {
			if x := c.Quiet[i].Until(later(at, until)); x.After(next) {
				next = x
			}
		}
		if next.Equal(until) {
			break
		}
		until = next
	}
	return until
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
