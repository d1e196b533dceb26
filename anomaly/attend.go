package anomaly

import (
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// attendedValues is how many values a series has to show that it moved: what is an
	// average over a window, or sampled late, needs some.
	attendedValues = 8.0
	maxAttended    = 10_000
	attendedFor    = time.Hour // after which even slow series have had their values
)

// span is a span of time in nanoseconds since 1970.
type span struct{ from, until int64 }

// Attend tells the monitor that something happened to a resource at a time, which may
// move its metrics: for the values that follow, a p-value of 1 in 10,000 is enough.
//
// That is the same rule with another prior. At any time a metric leaves its band once
// in months; after a change which nobody expected, in one case of ten or so. The
// evidence that makes the one as likely as the other is as much weaker. Whoever weighs
// the anomaly must take its PValue into account.
func (m *Monitor) Attend(resource penumbra.Address, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := at.UnixNano()
	a, known := m.attended[resource]
	switch {
	case !known && len(m.attended) >= maxAttended:
		return // so many at once are no longer the few that may be attended to
	case !known || t > a.until+int64(attendedFor):
		a = span{t, t}
	default:
		a = span{min(a.from, t), max(a.until, t)}
	}
	m.attended[resource] = a
}

func (m *Monitor) forgetAttended(now int64) {
	for resource, a := range m.attended {
		if now-a.until > int64(attendedFor) {
			delete(m.attended, resource)
		}
	}
}
