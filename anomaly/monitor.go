package anomaly

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Options of a Monitor; the zero value has the defaults.
type Options struct {
	// MaxSeries is how many series are watched; 0 means 50,000. Values of more are
	// refused and counted.
	MaxSeries int
	// FalseAlarms is how many a series may have in a week while nothing is wrong;
	// 0 means 0.05. The p-value that opens an anomaly follows from it and from the
	// interval of the values; below ten seconds it stays as it is there, so that
	// what is quick is noticed with little history, at the price of more of them.
	FalseAlarms float64
	// Adopt is after how long an anomaly that lasts becomes the new usual; 0 means
	// a day.
	Adopt time.Duration
	// Forget is after how long a silent series is forgotten; 0 means 30 days.
	Forget time.Duration
}

func (o Options) withDefaults() Options {
	if o.MaxSeries <= 0 {
		o.MaxSeries = 50_000
	}
	if !(o.FalseAlarms > 0) {
		o.FalseAlarms = 0.05
	}
	if o.Adopt <= 0 {
		o.Adopt = day
	}
	if o.Forget <= 0 {
		o.Forget = 30 * day
	}
	return o
}

// Dropped counts values that were not used.
type Dropped struct {
	Late      int64 // not newer than the one before: late, or repeated
	NotFinite int64 // NaN, infinite, or too large to reckon with
	Refused   int64 // of a series beyond the limit
}

// key names a series.
type key struct {
	Resource penumbra.Address
	Metric   string
}

// Monitor watches metrics, value by value. It is safe for use by several
// goroutines.
type Monitor struct {
	mu       sync.Mutex
	options  Options
	series   map[key]*series
	attended map[penumbra.Address]span
	dropped  Dropped
}

// NewMonitor returns a Monitor that knows no series.
func NewMonitor(o Options) *Monitor {
	return &Monitor{options: o.withDefaults(), series: map[key]*series{}, attended: map[penumbra.Address]span{}}
}

// errFull is returned for each value of a series too many, so it is made once.
var errFull = &penumbra.Error{
	Kind:   penumbra.Full,
	What:   "watch another series: as many as allowed are watched",
	Remedy: "map fewer labels to resources, or raise the limit on series",
}

// largest is the size up to which values are taken, so that sums of squares are
// finite.
const largest = 1e100

// Observe takes in one value of a metric of a resource, in any unit, and returns
// the anomalies that opened, got worse or ended with it; an anomaly is told again
// under the same ID, so that its value is never a tenth less far out than was seen. Values must come in the order of time for each series: one
// that is not newer than the last, and one that is no number, is left out and
// counted. The error is of kind Invalid if resource, metric or time is missing, and
// of kind Full if the series would be one too many.
func (m *Monitor) Observe(resource penumbra.Address, metric string, worse penumbra.Direction, p penumbra.Point) ([]penumbra.Anomaly, error) {
	if resource == "" || metric == "" || p.Time.IsZero() {
		return nil, &penumbra.Error{
			Kind: penumbra.Invalid, What: "observe metric " + metric + " of " + string(resource) + ": resource, metric or time is missing",
			Remedy: "give all three",
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if math.IsNaN(p.Value) || math.Abs(p.Value) > largest {
		m.dropped.NotFinite++
		return nil, nil
	}
	k, t := key{resource, metric}, p.Time.UnixNano()
	s := m.series[k]
	if s == nil {
		if len(m.series) >= m.options.MaxSeries {
			m.dropped.Refused++
			return nil, errFull
		}
		m.series[k] = newSeries(t, p.Value)
		return nil, nil
	}
	if t <= s.Last {
		m.dropped.Late++
		return nil, nil
	}
	var changed []penumbra.Anomaly
	if s.Quiet != nil {
		changed = append(changed, s.silence(k, t))
		s.Quiet = nil
	}
	return append(changed, m.observe(k, s, worse, t, p.Value)...), nil
}

func (m *Monitor) observe(k key, s *series, worse penumbra.Direction, t int64, x float64) []penumbra.Anomaly {
	s.Worse = worse
	before := s.Before
	j := s.judge(t, x)
	threshold := m.threshold(k.Resource, s, t)
	var changed []penumbra.Anomaly
	if s.Open != nil && j.joint <= threshold && s.turned(&j) {
		changed = append(changed, s.anomaly(k, worse, t))
		s.Open, s.Guard = nil, guard{}
	}
	if s.Open == nil {
		opens := s.Count > warm && j.joint <= threshold
		if opens {
			s.open(k, &j, threshold)
			// The value that opens is counted like any other, or the tails would
			// never learn how far out values are now and then; those between the
			// onset and it are not. The means learn it when it turns out to be a spike.
			s.release(j.time - s.Open.Onset)
			s.learnTails(j.moment(true))
			s.Guard.push(j.moment(true))
		} else {
			s.count(&j)
		}
		s.learnScales(&j, before)
		s.learnCycles(&j)
		if opens {
			changed = append(changed, s.anomaly(k, worse, 0))
		}
		return changed
	}
	tell, ended := s.during(&j, m.options.Adopt)
	if j.p[deviation] >= bandChance {
		// Or a scale that was small by chance when it was frozen would keep the
		// anomaly open.
		s.learnScales(&j, before)
	}
	s.learnCycles(&j)
	if !tell {
		return nil
	}
	a := s.anomaly(k, worse, ended)
	if ended != 0 {
		s.close()
	}
	return []penumbra.Anomaly{a}
}

const (
	oftenest  = 10 * time.Second // the shortest interval that the threshold follows
	unlikely  = 0.02             // the highest threshold
	attentive = 1e-4             // the lowest while a resource is attended to
)

// threshold is the p-value at which an anomaly opens with a value of a time.
func (m *Monitor) threshold(resource penumbra.Address, s *series, t int64) float64 {
	usual := min(m.options.FalseAlarms*max(s.Interval, float64(oftenest))/float64(week), unlikely)
	if a, ok := m.attended[resource]; ok && t >= a.from && t-int64(attendedValues*s.Interval) <= a.until {
		return max(usual, attentive)
	}
	return usual
}

// Tick returns the silences that are noticed at a time: series whose values stopped
// although they used to come, for ten intervals at least and for three times the
// longest gap lately. A silence ends with the next value; a series that is silent
// for longer than Options.Forget is forgotten, and what was open of it has ended.
func (m *Monitor) Tick(now time.Time) []penumbra.Anomaly {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []penumbra.Anomaly
	t := now.UnixNano()
	m.forgetAttended(t)
	for _, k := range m.keys() {
		s := m.series[k]
		if s.Quiet == nil && s.silent(t) {
			s.Quiet = &silence{Onset: s.Last + int64(s.Interval), Time: t}
			out = append(out, s.silence(k, 0))
		}
		if t-s.Last <= int64(m.options.Forget) {
			continue
		}
		if s.Quiet != nil {
			out = append(out, s.silence(k, t))
		}
		if s.Open != nil {
			out = append(out, s.anomaly(k, s.Worse, t))
		}
		delete(m.series, k)
	}
	return out
}

// keys returns the names of the series in order.
func (m *Monitor) keys() []key {
	return slices.SortedFunc(maps.Keys(m.series), compareKeys)
}

// Band returns what the next value of a series is expected to be and the band that
// all but two in a thousand are in; while an anomaly is open, what it would be
// without it. It is false until the series is known well enough.
func (m *Monitor) Band(resource penumbra.Address, metric string) (expected float64, band penumbra.Interval, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.series[key{resource, metric}]
	if s == nil || s.Count < warm {
		return 0, penumbra.Interval{}, false
	}
	next := s.Last + int64(s.Interval)
	expected, of := s.expected(next), deviation
	if s.Open == nil {
		expected += s.persistence() * s.Before
		of = innovation
	}
	low, high := s.reach(of)
	wide := max(s.Scale[of]*s.rough(next), s.floor())
	return expected, penumbra.Interval{Low: expected - wide*low, High: expected + wide*high}, true
}

// PValue returns the chance of a value at least as far out as the last one while
// nothing is wrong: over time, a share of about x of the values has one of x or
// less. It is false until the series is known well enough.
func (m *Monitor) PValue(resource penumbra.Address, metric string) (p float64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.series[key{resource, metric}]
	if s == nil || s.Count <= warm {
		return 1, false
	}
	return s.PValue, true
}

// Series returns how many series are watched.
func (m *Monitor) Series() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.series)
}

// Dropped returns how many values were not used, and why.
func (m *Monitor) Dropped() Dropped {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}
