package duration

import (
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// State is an open state, and how it compares with others of its kind.
type State struct {
	Resource      penumbra.Address
	Type          string
	Path          string
	Value, Before penumbra.Value
	Since         time.Time
	Age           time.Duration
	Typical       Typical
	// Probability is that of its having gone back by this age, as such states do.
	Probability float64
	// Stuck reports that it lasts longer than the quantile of those that go back.
	Stuck bool
}

// Reason is a sentence about it that a person understands.
func (s *State) Reason() string {
	of := s.Value.String()
	if s.Typical.AnyValue {
		of = "such values"
	}
	return fmt.Sprintf("%s has been %s for %s; of %d times that %s went back, half lasted less than %s and most less than %s",
		s.Path, s.Value, about(s.Age), s.Typical.Gone, of, about(s.Typical.Median), about(s.Typical.Limit))
}

// about writes a duration in its largest unit.
func about(d time.Duration) string {
	for _, u := range [...]struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := float64(d) / float64(u.size); n >= 2 {
			return fmt.Sprintf("%.0f %ss", n, u.name)
		}
	}
	return "2 minutes"
}
