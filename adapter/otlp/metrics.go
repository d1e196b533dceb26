package otlp

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/intake"
)

// Metrics returns a handler for OTLP/HTTP metrics, usually at /v1/metrics. The
// labels of a series are the attributes of its resource and of its data point,
// the latter where both have one.
//
//	gauge                             values
//	sum, cumulative and monotonic     a counter
//	sum, cumulative, not monotonic    values
//	sum, delta                        values: change a second over the point's own interval
//	histogram, exponential or not     name_count and name_sum: counters, of delta ones rates
//	summary                           the quantiles as values with a label "quantile"; name_count and name_sum: counters
//
// Points that are no numbers or say that nothing was recorded are left out. A
// point is rejected if its series is over a limit, its time is out of range, or it
// is delta and its interval is unknown.
//
// sink gets at most 2,048 series at a time; it may be called by several requests
// at once, and is given points again if it failed for a later part of the same
// request.
func Metrics(input string, limits Limits, sink func(context.Context, []penumbra.Series) error) *Receiver {
	limits = limits.WithDefaults()
	admission := intake.NewAdmission(limits)
	h := newReceiver(limits, metricsShape, "rejectedDataPoints")
	h.take = func(ctx context.Context, body []byte, isJSON bool, now time.Time) (outcome, error) {
		decode := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics
		if isJSON {
			decode = (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics
		}
		metrics, err := decode(body)
		if err != nil {
			return outcome{}, undecodable(err)
		}
		m := meter{input: input, limits: limits, admission: admission, now: now, sink: func(s []penumbra.Series) error { return sink(ctx, s) }}
		err = m.all(metrics)
		return m.outcome, err
	}
	return h
}

// meter turns one request's data points into series.
type meter struct {
	input     string
	limits    intake.Limits
	admission *intake.Admission
	now       time.Time
	sink      func([]penumbra.Series) error

	outcome
	resource map[string]string // labels of the resource at hand
	series   []penumbra.Series
	known    map[string]int // index in series by metric and labels
	pending  int64          // data points in series
}

// point is what all kinds of data point have.
type point interface {
	Attributes() pcommon.Map
	StartTimestamp() pcommon.Timestamp
	Timestamp() pcommon.Timestamp
	Flags() pmetric.DataPointFlags
}

// part is one value that a data point gives.
type part struct {
	suffix   string // of the metric's name
	quantile string // its label, "" for none
	counter  bool
	value    float64
}

func (m *meter) all(metrics pmetric.Metrics) error {
	for _, ofResource := range metrics.ResourceMetrics().All() {
		m.resource = map[string]string{}
		m.labels(m.resource, ofResource.Resource().Attributes())
		for _, ofScope := range ofResource.ScopeMetrics().All() {
			for _, metric := range ofScope.Metrics().All() {
				if err := m.metric(metric); err != nil {
					return err
				}
			}
		}
	}
	return m.flush()
}

func (m *meter) metric(metric pmetric.Metric) error {
	name := strings.ToValidUTF8(metric.Name(), "\uFFFD")
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range metric.Gauge().DataPoints().All() {
			if err := m.add(name, p, false, part{value: number64(p)}); err != nil {
				return err
			}
		}
	case pmetric.MetricTypeSum:
		sum := metric.Sum()
		delta := sum.AggregationTemporality() == pmetric.AggregationTemporalityDelta
		for _, p := range sum.DataPoints().All() {
			if err := m.add(name, p, delta, part{value: number64(p), counter: sum.IsMonotonic()}); err != nil {
				return err
			}
		}
	case pmetric.MetricTypeHistogram:
		delta := metric.Histogram().AggregationTemporality() == pmetric.AggregationTemporalityDelta
		for _, p := range metric.Histogram().DataPoints().All() {
			if err := m.add(name, p, delta, countAndSum(p.Count(), p.Sum(), p.HasSum())...); err != nil {
				return err
			}
		}
	case pmetric.MetricTypeExponentialHistogram:
		delta := metric.ExponentialHistogram().AggregationTemporality() == pmetric.AggregationTemporalityDelta
		for _, p := range metric.ExponentialHistogram().DataPoints().All() {
			if err := m.add(name, p, delta, countAndSum(p.Count(), p.Sum(), p.HasSum())...); err != nil {
				return err
			}
		}
	case pmetric.MetricTypeSummary:
		for _, p := range metric.Summary().DataPoints().All() {
			parts := countAndSum(p.Count(), p.Sum(), true)
			for _, q := range p.QuantileValues().All() {
				parts = append(parts, part{quantile: strconv.FormatFloat(q.Quantile(), 'g', -1, 64), value: q.Value()})
			}
			if err := m.add(name, p, false, parts...); err != nil {
				return err
			}
		}
	}
	return nil
}

func number64(p pmetric.NumberDataPoint) float64 {
	switch p.ValueType() {
	case pmetric.NumberDataPointValueTypeInt:
		return float64(p.IntValue())
	case pmetric.NumberDataPointValueTypeDouble:
		return p.DoubleValue()
	default:
		return math.NaN()
	}
}

func countAndSum(count uint64, sum float64, hasSum bool) []part {
	parts := []part{{suffix: "_count", counter: true, value: float64(count)}}
	if hasSum {
		parts = append(parts, part{suffix: "_sum", counter: true, value: sum})
	}
	return parts
}

// add puts a data point's parts into their series, or rejects the point.
func (m *meter) add(name string, p point, delta bool, parts ...part) error {
	if p.Flags().NoRecordedValue() {
		return nil
	}
	at := p.Timestamp().AsTime()
	if !m.limits.InRange(at, m.now) {
		m.refuse(name, fmt.Sprintf("a time more than %v ahead or %v old", m.limits.Ahead, m.limits.Age), "set the sender's clock")
		return nil
	}
	seconds := 1.0
	if delta {
		if p.StartTimestamp() == 0 || p.Timestamp() <= p.StartTimestamp() {
			m.refuse(name, "a delta over no interval", "send start times, or cumulative values")
			return nil
		}
		seconds = float64(p.Timestamp()-p.StartTimestamp()) / 1e9
	}
	labels := make(map[string]string, len(m.resource)+p.Attributes().Len())
	maps.Copy(labels, m.resource)
	m.labels(labels, p.Attributes())
	var ready []penumbra.Series // all of the point or nothing
	for _, x := range parts {
		value := x.value / seconds
		if math.IsNaN(value) || math.IsInf(value, 0) {
			continue
		}
		s := penumbra.Series{Input: m.input, Metric: name + x.suffix, Labels: labels, Counter: x.counter && !delta}
		if len(parts) > 1 { // no two series share a map
			s.Labels = maps.Clone(labels)
		}
		if x.quantile != "" {
			s.Labels["quantile"] = x.quantile
		}
		s.Points = []penumbra.Point{{Time: at, Value: value}}
		if err := m.admission.Admit(&s, m.now); err != nil {
			m.reject(1, err)
			return nil
		}
		ready = append(ready, s)
	}
	if len(ready) > 0 {
		m.pending++
	}
	for _, s := range ready {
		m.append(s)
	}
	if len(m.series) >= batch {
		return m.flush()
	}
	return nil
}

func (m *meter) refuse(name, what, remedy string) {
	m.reject(1, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("metric %.128q: %s", name, what), Remedy: remedy})
}

// append adds a series of one point, or its point to the same series.
func (m *meter) append(s penumbra.Series) {
	var key strings.Builder
	key.WriteString(s.Metric)
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		key.WriteByte(0xff) // no byte of valid UTF-8
		key.WriteString(name)
		key.WriteByte(0xff)
		key.WriteString(s.Labels[name])
	}
	if s.Counter {
		key.WriteByte(0xff)
	}
	if i, known := m.known[key.String()]; known {
		m.series[i].Points = append(m.series[i].Points, s.Points...)
		return
	}
	if m.known == nil {
		m.known = map[string]int{}
	}
	m.known[key.String()] = len(m.series)
	m.series = append(m.series, s)
}

func (m *meter) flush() error {
	if len(m.series) == 0 {
		return nil
	}
	for i := range m.series {
		slices.SortStableFunc(m.series[i].Points, func(a, b penumbra.Point) int { return a.Time.Compare(b.Time) })
	}
	if err := m.sink(m.series); err != nil {
		return err
	}
	m.taken += m.pending
	m.series, m.known, m.pending = nil, nil, 0
	return nil
}

// labels adds attributes to out as labels. It stops one beyond the limit, so that
// the series is refused and its memory bounded.
func (m *meter) labels(out map[string]string, attributes pcommon.Map) {
	for name, value := range attributes.All() {
		if len(out) > m.limits.Labels {
			return
		}
		name = strings.ToValidUTF8(name, "\uFFFD")
		text := value.Str()
		if value.Type() != pcommon.ValueTypeStr {
			text = value.AsString()
		}
		if len(text) > m.limits.LabelValue {
			out[name] = text[:m.limits.LabelValue+1] // refused by its length
			continue
		}
		out[name] = intake.LabelValue(name, strings.ToValidUTF8(text, "\uFFFD"))
	}
}
