package otlp

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/penumbra-iac/penumbra"
)

func metricReceiver(limits Limits) (*Receiver, *[]penumbra.Series) {
	var got []penumbra.Series
	h := Metrics("otel", limits, func(_ context.Context, s []penumbra.Series) error {
		got = append(got, s...)
		return nil
	})
	h.now = func() time.Time { return noon.Add(time.Minute) }
	return h, &got
}

// measured builds an export request of one resource.
func measured(fill ...func(pmetric.Metric)) pmetric.Metrics {
	metrics := pmetric.NewMetrics()
	r := metrics.ResourceMetrics().AppendEmpty()
	r.Resource().Attributes().PutStr("host.name", "web1")
	s := r.ScopeMetrics().AppendEmpty()
	for _, f := range fill {
		m := s.Metrics().AppendEmpty()
		m.SetName("m")
		f(m)
	}
	return metrics
}

// when sets the times of a data point that covers the 10 s before at.
func when(p interface {
	SetStartTimestamp(pcommon.Timestamp)
	SetTimestamp(pcommon.Timestamp)
}, at time.Time) {
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(-10 * time.Second)))
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
}

func sum(temporality pmetric.AggregationTemporality, monotonic bool, value int64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		s := m.SetEmptySum()
		s.SetAggregationTemporality(temporality)
		s.SetIsMonotonic(monotonic)
		p := s.DataPoints().AppendEmpty()
		p.SetIntValue(value)
		when(p, noon)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	const cumulative, delta = pmetric.AggregationTemporalityCumulative, pmetric.AggregationTemporalityDelta
	point := func(v float64) []penumbra.Point { return []penumbra.Point{{Time: noon, Value: v}} }
	host := map[string]string{"host.name": "web1"}
	series := func(metric string, counter bool, v float64) penumbra.Series {
		return penumbra.Series{Input: "otel", Metric: metric, Counter: counter, Labels: host, Points: point(v)}
	}
	for name, c := range map[string]struct {
		fill func(pmetric.Metric)
		want []penumbra.Series
	}{
		"gauge": {func(m pmetric.Metric) {
			g := m.SetEmptyGauge()
			for i, v := range []float64{2, math.NaN(), math.Inf(1), 1} {
				p := g.DataPoints().AppendEmpty()
				p.SetDoubleValue(v)
				p.Attributes().PutStr("cpu", "0")
				p.Attributes().PutStr("host.name", "nearer")
				p.Attributes().PutStr("secret", "hush")
				when(p, noon.Add(-time.Duration(i)*time.Second))
			}
			p := g.DataPoints().AppendEmpty()
			p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		}, []penumbra.Series{{Input: "otel", Metric: "m", Labels: map[string]string{"cpu": "0", "host.name": "nearer", "secret": "[redacted]"}, Points: []penumbra.Point{{Time: noon.Add(-3 * time.Second), Value: 1}, {Time: noon, Value: 2}}}}},
		"counter":           {sum(cumulative, true, 7), []penumbra.Series{series("m", true, 7)}},
		"up and down":       {sum(cumulative, false, 7), []penumbra.Series{series("m", false, 7)}},
		"delta":             {sum(delta, true, 7), []penumbra.Series{series("m", false, 0.7)}},
		"delta up and down": {sum(delta, false, -7), []penumbra.Series{series("m", false, -0.7)}},
		"histogram":         {histogramOf(cumulative, 4, 10), []penumbra.Series{series("m_count", true, 4), series("m_sum", true, 10)}},
		"delta histogram":   {histogramOf(delta, 4, 10), []penumbra.Series{series("m_count", false, 0.4), series("m_sum", false, 1)}},
		"histogram, no sum": {histogramOf(cumulative, 4, -1), []penumbra.Series{series("m_count", true, 4)}},
		"of no type at all": {func(pmetric.Metric) {}, nil},
		"exponential": {func(m pmetric.Metric) {
			e := m.SetEmptyExponentialHistogram()
			e.SetAggregationTemporality(cumulative)
			p := e.DataPoints().AppendEmpty()
			p.SetCount(3)
			p.SetSum(5)
			p.Positive().BucketCounts().Append(1, 2)
			when(p, noon)
		}, []penumbra.Series{series("m_count", true, 3), series("m_sum", true, 5)}},
		"summary": {func(m pmetric.Metric) {
			p := m.SetEmptySummary().DataPoints().AppendEmpty()
			p.SetCount(3)
			p.SetSum(5)
			q := p.QuantileValues().AppendEmpty()
			q.SetQuantile(0.99)
			q.SetValue(2.5)
			when(p, noon)
		}, []penumbra.Series{series("m_count", true, 3), series("m_sum", true, 5), {Input: "otel", Metric: "m", Labels: map[string]string{"host.name": "web1", "quantile": "0.99"}, Points: point(2.5)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, got := metricReceiver(Limits{})
			body := marshalMetrics(t, measured(c.fill))
			if w := post(h, protobuf, "", body); w.Code != 200 || w.Body.Len() != 0 {
				t.Fatalf("answer %d %q", w.Code, w.Body)
			}
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Error(diff)
			}
			// The JSON form says the same.
			text, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(measured(c.fill))
			if err != nil {
				t.Fatal(err)
			}
			h, got = metricReceiver(Limits{})
			if w := post(h, jsonType, "gzip", gzipped(t, text)); w.Code != 200 || w.Body.String() != "{}" {
				t.Fatalf("answer %d %q", w.Code, w.Body)
			}
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func histogramOf(temporality pmetric.AggregationTemporality, count uint64, total float64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(temporality)
		p := h.DataPoints().AppendEmpty()
		p.SetCount(count)
		if total >= 0 {
			p.SetSum(total)
		}
		p.ExplicitBounds().Append(1)
		p.BucketCounts().Append(1, count-1)
		when(p, noon)
	}
}

func TestRejectedPointsHarmNoOther(t *testing.T) {
	t.Parallel()
	good := func(m pmetric.Metric) { m.SetName("good"); sum(pmetric.AggregationTemporalityCumulative, true, 1)(m) }
	for name, c := range map[string]struct {
		bad  func(pmetric.Metric)
		says string
	}{
		"delta over no interval": {func(m pmetric.Metric) {
			sum(pmetric.AggregationTemporalityDelta, true, 1)(m)
			m.Sum().DataPoints().At(0).SetStartTimestamp(0)
		}, "no interval"},
		"delta backwards": {func(m pmetric.Metric) {
			sum(pmetric.AggregationTemporalityDelta, true, 1)(m)
			m.Sum().DataPoints().At(0).SetStartTimestamp(pcommon.NewTimestampFromTime(noon.Add(time.Second)))
		}, "no interval"},
		"clock ahead": {func(m pmetric.Metric) {
			sum(pmetric.AggregationTemporalityCumulative, true, 1)(m)
			when(m.Sum().DataPoints().At(0), noon.AddDate(1, 0, 0))
		}, "clock"},
		"no time": {func(m pmetric.Metric) { m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1) }, "clock"},
		"no name": {func(m pmetric.Metric) { good(m); m.SetName("") }, "name"},
		"many labels": {func(m pmetric.Metric) {
			sum(pmetric.AggregationTemporalityCumulative, true, 1)(m)
			for i := range 10_000 {
				m.Sum().DataPoints().At(0).Attributes().PutInt(fmt.Sprint(i), 1)
			}
		}, "labels"},
		"long label": {func(m pmetric.Metric) {
			sum(pmetric.AggregationTemporalityCumulative, true, 1)(m)
			m.Sum().DataPoints().At(0).Attributes().PutStr("l", strings.Repeat("x", 100_000))
		}, "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, got := metricReceiver(Limits{})
			w := post(h, protobuf, "", marshalMetrics(t, measured(c.bad, good)))
			if n, why := partial(t, w.Body.Bytes()); w.Code != 200 || n != 1 || !strings.Contains(why, c.says) || len(why) > 500 {
				t.Errorf("answer %d: %d rejected, %s", w.Code, n, why)
			}
			if len(*got) != 1 || (*got)[0].Metric != "good" {
				t.Errorf("got %+v", *got)
			}
			if c := h.Counts(); c.Taken != 1 || c.Rejected != 1 {
				t.Errorf("counts %+v", c)
			}
		})
	}
}

func TestLabelExplosion(t *testing.T) {
	t.Parallel()
	h, got := metricReceiver(Limits{Series: 3000})
	body := marshalMetrics(t, measured(func(m pmetric.Metric) {
		g := m.SetEmptyGauge()
		for i := range 10_000 {
			p := g.DataPoints().AppendEmpty()
			p.SetIntValue(1)
			p.Attributes().PutInt("user", int64(i))
			when(p, noon)
		}
	}))
	for range 2 {
		w := post(h, protobuf, "gzip", gzipped(t, body))
		if n, why := partial(t, w.Body.Bytes()); n != 7000 || !strings.Contains(why, "more than 3000 series") {
			t.Errorf("%d rejected: %s", n, why)
		}
	}
	if c := h.Counts(); len(*got) != 6000 || c.Taken != 6000 || c.Rejected != 14_000 {
		t.Errorf("%d taken, counts %+v", len(*got), c)
	}
}

func TestMetricsSentAgain(t *testing.T) {
	t.Parallel()
	h := Metrics("otel", Limits{}, func(context.Context, []penumbra.Series) error {
		return &penumbra.Error{Kind: penumbra.Full, What: "store"}
	})
	h.now = func() time.Time { return noon }
	w := post(h, protobuf, "", marshalMetrics(t, measured(sum(pmetric.AggregationTemporalityCumulative, true, 1))))
	if c := h.Counts(); w.Code != http.StatusTooManyRequests || c.Taken != 0 || c.SentAgain != 1 {
		t.Errorf("answer %d, counts %+v", w.Code, c)
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add(marshalMetrics(f, measured(sum(pmetric.AggregationTemporalityDelta, true, 3), histogramOf(pmetric.AggregationTemporalityCumulative, 2, 3))), false)
	f.Add([]byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","summary":{"dataPoints":[{"timeUnixNano":"1772366400000000000","count":"1","quantileValues":[{"quantile":0.5,"value":1}]}]}}]}]}]}`), true)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		h, got := metricReceiver(Limits{LabelName: 20, LabelValue: 30, Labels: 4})
		contentType := protobuf
		if isJSON {
			contentType = jsonType
		}
		if w := post(h, contentType, "", body); w.Code != 200 && w.Code != 400 {
			t.Errorf("answer %d %s", w.Code, w.Body)
		}
		for _, s := range *got {
			if s.Metric == "" || len(s.Labels) > 4 || len(s.Points) == 0 || math.IsNaN(s.Points[0].Value) || math.IsInf(s.Points[0].Value, 0) {
				t.Errorf("took %+v", s)
			}
		}
	})
}

func BenchmarkMetrics(b *testing.B) {
	metrics := measured(func(m pmetric.Metric) {
		m.SetName("system.network.io")
		s := m.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for i := range 2000 {
			p := s.DataPoints().AppendEmpty()
			p.SetIntValue(int64(i))
			p.Attributes().PutStr("network.interface.name", fmt.Sprintf("eth%d", i))
			p.Attributes().PutStr("network.io.direction", "receive")
			when(p, noon)
		}
	})
	for _, name := range []string{"cloud.region", "deployment.environment.name", "k8s.pod.name", "service.name", "service.version"} {
		metrics.ResourceMetrics().At(0).Resource().Attributes().PutStr(name, "value-of-"+name)
	}
	packed := gzipped(b, marshalMetrics(b, metrics))
	h := Metrics("otel", Limits{}, func(context.Context, []penumbra.Series) error { return nil })
	h.now = func() time.Time { return noon }
	b.ReportAllocs()
	for b.Loop() {
		if w := post(h, protobuf, "gzip", packed); w.Code != 200 || w.Body.Len() > 0 {
			b.Fatal(w.Code, w.Body)
		}
	}
	b.ReportMetric(float64(b.N*2000)/b.Elapsed().Seconds(), "series/s")
}
