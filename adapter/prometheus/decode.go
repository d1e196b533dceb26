package prometheus

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/intake"
)

// nameLabel is the label under which the metric's name is sent.
const nameLabel = "__name__"

// The messages of remote write 1.0 that hold others, by field number
// (prometheus.io/docs/specs/prw/remote_write_spec, "Protocol").
var writeRequest = &intake.Message{
	fieldSeries:   {fieldLabels: {}, fieldSamples: {}, 3: {}, fieldHistograms: {}},
	fieldMetadata: {},
}

// Field numbers: of WriteRequest, of TimeSeries, of Label, Sample and
// MetricMetadata.
const (
	fieldSeries   = 1
	fieldMetadata = 3

	fieldLabels     = 1
	fieldSamples    = 2
	fieldHistograms = 4

	fieldLabelName  = 1
	fieldLabelValue = 2
	fieldValue      = 1
	fieldTimestamp  = 2
	fieldType       = 1
	fieldFamily     = 2
)

// metricType is a metric's type as metadata tells it.
type metricType uint8

// The types that say whether a name is a counter's, as MetricMetadata numbers
// them. 0 is unknown.
const (
	typeCounter        metricType = 1
	typeHistogram      metricType = 3
	typeGaugeHistogram metricType = 4
	typeSummary        metricType = 5
	lastType           metricType = 7
)

// family is one metric's metadata.
type family struct {
	name string
	kind metricType
}

// message is a decoded body: what can be used, and what was left out.
type message struct {
	series   []penumbra.Series
	families []family

	refusedSeries, refusedPoints, histograms int
	first                                    error // the first refusal
}

func (m *message) refuse(series, points int, err error) {
	m.refusedSeries += series
	m.refusedPoints += points
	if m.first == nil {
		m.first = err
	}
}

// decoder turns a body into series.
type decoder struct {
	input  string
	limits intake.Limits
	admit  func(*penumbra.Series, time.Time) error
}

// decode reads an unpacked remote write body. The error is of kind Invalid: the
// body is no message of remote write 1.0. Series and points that cannot be used
// are refused one by one and harm no other.
func (d *decoder) decode(body []byte, now time.Time) (*message, error) {
	if err := d.limits.CheckProto(body, writeRequest); err != nil {
		return nil, err
	}
	m := &message{}
	err := fields(body, func(number protowire.Number, inner []byte, _ uint64) error {
		switch number {
		case fieldSeries:
			return d.series(m, inner, now)
		case fieldMetadata:
			return metadata(m, inner)
		}
		return nil
	})
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "not a message of remote write 1.0", Err: err}
	}
	return m, nil
}

// fields calls f with each field: the content of one with a length, the number
// of any other.
func fields(b []byte, f func(protowire.Number, []byte, uint64) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var inner []byte
		var value uint64
		switch kind {
		case protowire.BytesType:
			inner, n = protowire.ConsumeBytes(b)
			if inner == nil {
				inner = []byte{}
			}
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			value, n = protowire.ConsumeFixed64(b)
		default:
			if n = protowire.ConsumeFieldValue(number, kind, b); n >= 0 {
				b = b[n:]
				continue // not a type that remote write uses
			}
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(number, inner, value); err != nil {
			return err
		}
	}
	return nil
}

// series reads one TimeSeries.
func (d *decoder) series(m *message, b []byte, now time.Time) error {
	s := penumbra.Series{Input: d.input, Labels: make(map[string]string, 8)}
	var bad error
	points, refused := 0, 0
	err := fields(b, func(number protowire.Number, inner []byte, _ uint64) error {
		switch number {
		case fieldLabels:
			name, value, err := label(inner)
			if err != nil {
				return err
			}
			if err := d.keep(&s, name, value); err != nil && bad == nil {
				bad = err
			}
		case fieldSamples:
			points++
			p, err := sample(inner)
			switch {
			case err != nil:
				return err
			case math.IsNaN(p.Value) || math.IsInf(p.Value, 0):
			case !d.limits.InRange(p.Time, now):
				refused++
			case bad == nil:
				s.Points = append(s.Points, p)
			}
		case fieldHistograms:
			m.histograms++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if bad == nil {
		bad = d.admit(&s, now)
	}
	if bad != nil {
		m.refuse(1, points, bad)
		return nil
	}
	if refused > 0 {
		m.refuse(0, refused, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("metric %q: a time more than %v ahead or %v old", s.Metric, d.limits.Ahead, d.limits.Age), Remedy: "set the sender's clock"})
	}
	if len(s.Points) > 0 {
		slices.SortStableFunc(s.Points, func(a, b penumbra.Point) int { return a.Time.Compare(b.Time) })
		m.series = append(m.series, s)
	}
	return nil
}

// keep adds a label to a series. It refuses before it stores, so that a series of
// a million labels costs no memory.
func (d *decoder) keep(s *penumbra.Series, name, value []byte) error {
	if string(name) == nameLabel {
		s.Metric = strings.ToValidUTF8(string(value[:min(len(value), d.limits.LabelName+1)]), "\uFFFD")
		return nil
	}
	if len(name) > d.limits.LabelName || len(value) > d.limits.LabelValue {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("metric %q: label %.64q is longer than %d, or its value than %d bytes", s.Metric, name, d.limits.LabelName, d.limits.LabelValue)}
	}
	key := strings.ToValidUTF8(string(name), "\uFFFD")
	if _, twice := s.Labels[key]; twice {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("metric %q has label %.64q twice", s.Metric, name)}
	}
	if len(s.Labels) >= d.limits.Labels {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("metric %q has more than %d labels", s.Metric, d.limits.Labels)}
	}
	s.Labels[key] = intake.LabelValue(key, strings.ToValidUTF8(string(value), "\uFFFD"))
	return nil
}

func label(b []byte) (name, value []byte, err error) {
	err = fields(b, func(number protowire.Number, inner []byte, _ uint64) error {
		switch number {
		case fieldLabelName:
			name = inner
		case fieldLabelValue:
			value = inner
		}
		return nil
	})
	return name, value, err
}

// sample reads one Sample: a float64 and milliseconds since 1970.
func sample(b []byte) (p penumbra.Point, err error) {
	var bits, millis uint64
	err = fields(b, func(number protowire.Number, _ []byte, value uint64) error {
		switch number {
		case fieldValue:
			bits = value
		case fieldTimestamp:
			millis = value
		}
		return nil
	})
	return penumbra.Point{Time: time.UnixMilli(int64(millis)).UTC(), Value: math.Float64frombits(bits)}, err
}

func metadata(m *message, b []byte) error {
	var f family
	err := fields(b, func(number protowire.Number, inner []byte, value uint64) error {
		switch {
		case number == fieldType && value <= uint64(lastType):
			f.kind = metricType(value)
		case number == fieldFamily:
			f.name = string(inner[:min(len(inner), maxFamilyName)])
		}
		return nil
	})
	if f.name != "" && f.kind != 0 {
		m.families = append(m.families, f)
	}
	return err
}
