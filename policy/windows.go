package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/penumbra-iac/penumbra"
)

// Maintenance is a maintenance window that comes again and again.
type Maintenance struct {
	// Stacks are those that it is for; none means all.
	Stacks []string
	// Start is when it opens: minute, hour, day of the month, month and day of the
	// week, as in a crontab.
	Start    string
	Duration time.Duration
	Zone     *time.Location // UTC if nil
}

// Calendar knows when runs may start. A stack that no window is for is always
// open.
type Calendar struct {
	windows []window
	// Refuse refuses what is approved outside of a window; otherwise it waits.
	Refuse bool
}

type window struct {
	Maintenance
	schedule cron.Schedule
}

// NewCalendar makes a calendar of windows. It returns an error of kind Invalid
// that names the window, counted from 0, which cannot be read.
func NewCalendar(windows []Maintenance) (*Calendar, error) {
	c := &Calendar{}
	for i, w := range windows {
		invalid := func(what, remedy string) error {
			return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("windows[%d] %s", i, what), Remedy: remedy}
		}
		if w.Zone == nil {
			w.Zone = time.UTC
		}
		if strings.Contains(w.Start, "TZ=") || strings.HasPrefix(w.Start, "@every") {
			return nil, invalid(fmt.Sprintf("starts at %q", w.Start), "write the time zone as time_zone, and a time rather than a period")
		}
		schedule, err := cron.ParseStandard(w.Start)
		if err != nil {
			return nil, invalid(fmt.Sprintf("starts at %q: %v", w.Start, err), `write minute, hour, day, month and weekday, such as "0 2 * * SAT"`)
		}
		if w.Duration <= 0 {
			return nil, invalid(fmt.Sprintf("lasts %s", w.Duration), "give it a duration, such as 4h")
		}
		if schedule.Next(time.Now().In(w.Zone)).IsZero() {
			return nil, invalid(fmt.Sprintf("starts at %q, which never comes", w.Start), "correct day and month")
		}
		c.windows = append(c.windows, window{w, schedule})
	}
	return c, nil
}

// At says whether runs on a stack may start at a time. A window is open from its
// start, to the nanosecond, until just before its end.
func (c *Calendar) At(stack string, at time.Time) penumbra.Window {
	out := penumbra.Window{Open: true}
	for _, w := range c.windows {
		if len(w.Stacks) > 0 && !slices.Contains(w.Stacks, stack) {
			continue
		}
		local := at.In(w.Zone)
		// The first start after the duration before: if it has come, it still lasts.
		if start := w.schedule.Next(local.Add(-w.Duration)); !start.IsZero() && !start.After(local) {
			return penumbra.Window{Open: true}
		}
		next := w.schedule.Next(local).UTC()
		if out.Open || next.Before(out.Next) {
			out = penumbra.Window{Next: next}
		}
	}
	return out
}
