package intake

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// generation is how long a series that stopped sending still takes room, at
// least; at most twice that.
const generation = time.Hour

// Admission admits series: each within the limits on its labels, and all of them
// within the limit on their number. It remembers a 64-bit hash of each, in two
// generations, so its memory is bounded by twice Limits.Series hashes. Safe for
// concurrent use.
type Admission struct {
	limits Limits
	seed   maphash.Seed

	mu        sync.Mutex
	now, last map[uint64]struct{}
	turned    time.Time
}

// NewAdmission returns an admission for limits, which have their defaults.
func NewAdmission(limits Limits) *Admission {
	return &Admission{limits: limits, seed: maphash.MakeSeed(), now: map[uint64]struct{}{}}
}

// Admit returns nil if a series may be taken at a time, else an error of kind
// Invalid that says which limit it is over.
func (a *Admission) Admit(s *penumbra.Series, at time.Time) error {
	if err := a.limits.checkLabels(s); err != nil {
		return err
	}
	// The labels are summed, so their order in the map means nothing.
	sum := maphash.String(a.seed, s.Metric)
	var h maphash.Hash
	h.SetSeed(a.seed)
	for name, value := range s.Labels {
		h.Reset()
		_, _ = h.WriteString(name)
		_ = h.WriteByte(0xff) // no byte of valid UTF-8
		_, _ = h.WriteString(value)
		sum += h.Sum64()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if at.Sub(a.turned) >= generation {
		if at.Sub(a.turned) >= 2*generation {
			a.now = nil
		}
		a.last, a.now, a.turned = a.now, make(map[uint64]struct{}, len(a.now)), at
	}
	if _, known := a.now[sum]; known {
		return nil
	}
	if _, known := a.last[sum]; known {
		delete(a.last, sum)
	} else if len(a.now)+len(a.last) >= a.limits.Series {
		return invalid("more than %d series: %.64q is one too many", a.limits.Series, s.Metric)
	}
	a.now[sum] = struct{}{}
	return nil
}

func (l Limits) checkLabels(s *penumbra.Series) error {
	if s.Metric == "" || len(s.Metric) > l.LabelName {
		return invalid("a metric's name of %d bytes, %.64q, not 1 to %d", len(s.Metric), s.Metric, l.LabelName)
	}
	if len(s.Labels) > l.Labels {
		return invalid("metric %q has more than %d labels", s.Metric, l.Labels)
	}
	for name, value := range s.Labels {
		if name == "" || len(name) > l.LabelName {
			return invalid("metric %q: a label's name of %d bytes, %.64q, not 1 to %d", s.Metric, len(name), name, l.LabelName)
		}
		if len(value) > l.LabelValue {
			return invalid("metric %q: label %q has more than %d bytes", s.Metric, name, l.LabelValue)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf(format, args...)}
}
