package penumbra

import (
	"fmt"
	"slices"
	"time"
)

// Series is a run of values of one performance metric of one thing, before it is
// known which resource that is.
type Series struct {
	Input  string // the configured name of where it was read
	Metric string // the source's name: "node_cpu_seconds_total"
	// Labels tell the things apart that have the metric: {"instance": "db1:9187"}.
	Labels map[string]string
	// Counter marks values that only grow until they are reset: what they say is
	// their rate.
	Counter bool
	Points  []Point // in the order of time
}

// Point is one value at a time.
type Point struct {
	Time  time.Time
	Value float64
}

// Direction says which way a metric moves when performance drops.
type Direction uint8

// The directions. Either is the zero direction: any departure may be a drop.
const (
	Either Direction = iota
	Up               // latency, errors, use of a resource: higher is worse
	Down             // throughput: lower is worse
)

var directionNames = [...]string{"either", "up", "down"}

func (d Direction) String() string {
	if int(d) < len(directionNames) {
		return directionNames[d]
	}
	return "Direction(?)"
}

// MarshalText writes the direction's name.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the direction's name.
func (d *Direction) UnmarshalText(text []byte) error {
	i := slices.Index(directionNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of up, down, either", text)
	}
	*d = Direction(i)
	return nil
}

// LiveSource is the source of metric observations that are single values as a
// daemon took them in. They are watched like those of an input and not kept one by
// one: a timeline with a line for each second would hold little else.
const LiveSource = "live"

// MetricValue is one value of a resource's metric as it was taken in.
type MetricValue struct {
	Resource Address   `json:"resource"`
	Metric   string    `json:"metric"`
	Worse    Direction `json:"worse"`
	Time     time.Time `json:"time"`
	Value    float64   `json:"value"`
}

// RecordedValues are a page of the values that a recording was given.
type RecordedValues struct {
	// Page is what to ask after for the next one. Until then this one can be asked
	// for again.
	Page   int64         `json:"page"`
	Values []MetricValue `json:"values"`
	// Missed are values that came faster than the pages were asked for.
	Missed []RecordingGap `json:"missed"`
	More   bool           `json:"more"` // there is a next one already
}

// RecordingGap says how many values of a resource's metrics are missing.
type RecordingGap struct {
	Resource Address   `json:"resource"`
	Values   int64     `json:"values"`
	From     time.Time `json:"from"` // the first of them
	To       time.Time `json:"to"`
}

// Rollup is what is kept of one metric of one resource over a span.
type Rollup struct {
	Resource Address       `json:"resource"`
	Metric   string        `json:"metric"`
	Start    time.Time     `json:"start"`
	Span     time.Duration `json:"span_ns"`
	Count    int64         `json:"count"`
	Sum      float64       `json:"sum"`
	Min      float64       `json:"min"`
	Max      float64       `json:"max"`
	Last     float64       `json:"last"`
}

// Mean returns the mean over the span, 0 if nothing was measured.
func (r *Rollup) Mean() float64 {
	if r.Count == 0 {
		return 0
	}
	return r.Sum / float64(r.Count)
}
