package prometheus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penumbra-iac/penumbra"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// one is a series as it is sent: labels in pairs, values from noon, a second apart.
type one struct {
	labels []string
	values []float64
	first  time.Time
}

func (o one) encode() []byte {
	var b []byte
	for i := 0; i+1 < len(o.labels); i += 2 {
		l := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), o.labels[i])
		l = protowire.AppendString(protowire.AppendTag(l, 2, protowire.BytesType), o.labels[i+1])
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), l)
	}
	first := o.first
	if first.IsZero() {
		first = noon
	}
	for i, v := range o.values {
		s := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(v))
		s = protowire.AppendVarint(protowire.AppendTag(s, 2, protowire.VarintType), uint64(first.Add(time.Duration(i)*time.Second).UnixMilli()))
		b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), s)
	}
	return b
}

func request(series ...one) []byte {
	var b []byte
	for _, s := range series {
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), s.encode())
	}
	return b
}

func withMetadata(b []byte, name string, kind metricType) []byte {
	m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(kind))
	m = protowire.AppendString(protowire.AppendTag(m, 2, protowire.BytesType), name)
	return protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), m)
}

// send posts a body, packed, and returns the answer.
func send(h http.Handler, body []byte) *httptest.ResponseRecorder {
	return post(h, snappy.Encode(nil, body), nil)
}

func post(h http.Handler, packed []byte, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(packed))
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// receiver returns a receiver whose clock stands at a minute past noon, and what
// it handed on.
func receiver(limits Limits) (*Receiver, *[]penumbra.Series) {
	var got []penumbra.Series
	h := RemoteWrite("prom", limits, func(_ context.Context, s []penumbra.Series) error {
		got = append(got, s...)
		return nil
	})
	h.now = func() time.Time { return noon.Add(time.Minute) }
	return h, &got
}

func TestRemoteWrite(t *testing.T) {
	t.Parallel()
	h, got := receiver(Limits{})
	stale := math.Float64frombits(0x7ff0000000000002)
	body := request(
		one{labels: []string{"__name__", "node_load1", "instance", "db1:9100"}, values: []float64{1, stale, math.Inf(1), 2}},
		one{labels: []string{"__name__", "http_requests_total", "password", "hunter22"}, values: []float64{7}},
	)
	if w := send(h, body); w.Code != http.StatusNoContent {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	want := []penumbra.Series{
		{Input: "prom", Metric: "node_load1", Labels: map[string]string{"instance": "db1:9100"}, Points: []penumbra.Point{{Time: noon, Value: 1}, {Time: noon.Add(3 * time.Second), Value: 2}}},
		{Input: "prom", Metric: "http_requests_total", Labels: map[string]string{"password": "[redacted]"}, Counter: true, Points: []penumbra.Point{{Time: noon, Value: 7}}},
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
	if c := h.Counts(); c.Series != 2 || c.Points != 3 || c.RefusedSeries != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestCountersByMetadataThenBySuffix(t *testing.T) {
	t.Parallel()
	c := counters{kinds: map[string]metricType{}}
	c.learn([]family{{"plain", typeCounter}, {"queue_count", 2}, {"sizes", typeGaugeHistogram}, {"latency", typeSummary}, {"om", typeCounter}})
	for metric, want := range map[string]bool{
		"plain": true, "queue_count": false, "sizes_sum": false, "latency_sum": true, "latency": false,
		"om_total": true, "x_total": true, "x_bucket": true, "x": false, "_total_x": false,
	} {
		if c.is(metric) != want {
			t.Errorf("%s is a counter: %v", metric, !want)
		}
	}
}

func TestMetadataAloneIsTaken(t *testing.T) {
	t.Parallel()
	h, got := receiver(Limits{})
	if w := send(h, withMetadata(nil, "odd", typeCounter)); w.Code != http.StatusNoContent {
		t.Fatalf("answer %d", w.Code)
	}
	send(h, request(one{labels: []string{"__name__", "odd"}, values: []float64{1}}))
	if len(*got) != 1 || !(*got)[0].Counter {
		t.Errorf("got %+v", *got)
	}
}

func TestRefusedSeriesHarmNoOther(t *testing.T) {
	t.Parallel()
	many := []string{"__name__", "wide"}
	for i := range 70 {
		many = append(many, fmt.Sprintf("l%d", i), "v")
	}
	long := strings.Repeat("x", 5000)
	for name, bad := range map[string]one{
		"no name":         {labels: []string{"a", "b"}, values: []float64{1}},
		"too many labels": {labels: many, values: []float64{1}},
		"long name":       {labels: []string{"__name__", long}, values: []float64{1}},
		"long label":      {labels: []string{"__name__", "m", long, "v"}, values: []float64{1}},
		"long value":      {labels: []string{"__name__", "m", "l", long}, values: []float64{1}},
		"label twice":     {labels: []string{"__name__", "m", "l", "1", "l", "2"}, values: []float64{1}},
		"clock ahead":     {labels: []string{"__name__", "m"}, values: []float64{1}, first: noon.AddDate(1, 0, 0)},
		"clock behind":    {labels: []string{"__name__", "m"}, values: []float64{1}, first: time.UnixMilli(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, got := receiver(Limits{})
			w := send(h, request(bad, one{labels: []string{"__name__", "good"}, values: []float64{1}}))
			if w.Code != http.StatusBadRequest {
				t.Errorf("answer %d %s", w.Code, w.Body)
			}
			if len(*got) != 1 || (*got)[0].Metric != "good" {
				t.Errorf("got %+v", *got)
			}
			if c := h.Counts(); c.RefusedPoints != 1 {
				t.Errorf("counts %+v", c)
			}
			if w.Body.Len() > 1000 {
				t.Errorf("an answer of %d bytes", w.Body.Len())
			}
		})
	}
}

func TestLabelExplosion(t *testing.T) {
	t.Parallel()
	h, got := receiver(Limits{Series: 100})
	clock := noon
	h.now = func() time.Time { return clock }
	for i := range 50 {
		var series []one
		for j := range 100 {
			series = append(series, one{labels: []string{"__name__", "m", "user", fmt.Sprint(i*100 + j)}, values: []float64{1}})
		}
		send(h, request(series...))
	}
	if len(*got) != 100 {
		t.Errorf("%d series taken", len(*got))
	}
	if c := h.Counts(); c.RefusedSeries != 4900 {
		t.Errorf("counts %+v", c)
	}
	known := request(one{labels: []string{"__name__", "m", "user", "7"}, values: []float64{2}})
	if w := send(h, known); w.Code != http.StatusNoContent {
		t.Errorf("a known series is answered %d", w.Code)
	}
	// What stopped sending makes room; what goes on sending keeps its own.
	clock = clock.Add(90 * time.Minute)
	send(h, request(one{labels: []string{"__name__", "m", "user", "7"}, values: []float64{2}, first: clock}))
	clock = clock.Add(90 * time.Minute)
	if w := send(h, request(one{labels: []string{"__name__", "new"}, values: []float64{2}, first: clock})); w.Code != http.StatusNoContent {
		t.Errorf("a new series after two generations is answered %d", w.Code)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	good := request(one{labels: []string{"__name__", "m"}, values: []float64{1}})
	bomb := protowire.AppendVarint(nil, 1<<31) // the length that snappy's block promises
	for name, c := range map[string]struct {
		packed []byte
		header map[string]string
		sink   error
		want   int
		again  bool
	}{
		"good":           {packed: snappy.Encode(nil, good), want: 204},
		"no body":        {packed: snappy.Encode(nil, nil), want: 204},
		"version 2":      {packed: good, header: map[string]string{"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}, want: 415},
		"version header": {packed: good, header: map[string]string{"X-Prometheus-Remote-Write-Version": "2.0.0"}, want: 415},
		"version 1 said": {packed: snappy.Encode(nil, good), header: map[string]string{"Content-Type": "application/x-protobuf;proto=prometheus.WriteRequest"}, want: 204},
		"json":           {packed: good, header: map[string]string{"Content-Type": "application/json"}, want: 415},
		"gzip":           {packed: good, header: map[string]string{"Content-Encoding": "gzip"}, want: 415},
		"broken snappy":  {packed: []byte("\x0a\xff\xff\xff"), want: 400},
		"empty":          {packed: nil, want: 400},
		"bomb":           {packed: bomb, want: 413},
		"binary":         {packed: snappy.Encode(nil, []byte("\xff\xfe\x00binary")), want: 400},
		"cut off":        {packed: snappy.Encode(nil, good[:len(good)-3]), want: 400},
		"too large":      {packed: bytes.Repeat([]byte("x"), 2<<20), want: 413},
		"unavailable":    {packed: snappy.Encode(nil, good), sink: &penumbra.Error{Kind: penumbra.Unavailable, What: "store"}, want: 503, again: true},
		"full":           {packed: snappy.Encode(nil, good), sink: &penumbra.Error{Kind: penumbra.Full, What: "store"}, want: 503, again: true},
		"internal":       {packed: snappy.Encode(nil, good), sink: errors.New("bug"), want: 503, again: true},
		"invalid":        {packed: snappy.Encode(nil, good), sink: &penumbra.Error{Kind: penumbra.Invalid, What: "never"}, want: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := RemoteWrite("prom", Limits{Body: 1 << 20}, func(context.Context, []penumbra.Series) error { return c.sink })
			h.now = func() time.Time { return noon }
			w := post(h, c.packed, c.header)
			if w.Code != c.want || (w.Header().Get("Retry-After") != "") != c.again {
				t.Errorf("answer %d %q, retry after %q", w.Code, w.Body, w.Header().Get("Retry-After"))
			}
			if taken := h.Counts().Series; (taken > 0) != (c.want == 204 && name != "no body") {
				t.Errorf("%d series counted", taken)
			}
		})
	}
}

func TestOnlySoManyAtATime(t *testing.T) {
	t.Parallel()
	inside, release := make(chan struct{}), make(chan struct{})
	h := RemoteWrite("prom", Limits{InFlight: 1}, func(context.Context, []penumbra.Series) error {
		close(inside)
		<-release
		return nil
	})
	h.now = func() time.Time { return noon }
	body := request(one{labels: []string{"__name__", "m"}, values: []float64{1}})
	first := make(chan int)
	go func() { first <- send(h, body).Code }()
	<-inside
	if w := send(h, body); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("the second is answered %d", w.Code)
	}
	close(release)
	if code := <-first; code != http.StatusNoContent {
		t.Errorf("the first is answered %d", code)
	}
}

func FuzzRemoteWrite(f *testing.F) {
	f.Add(withMetadata(request(one{labels: []string{"__name__", "m", "l", "v"}, values: []float64{1, 2}}), "m", typeCounter))
	f.Add([]byte("\x0a\x00"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, got := receiver(Limits{Labels: 5, LabelName: 20, LabelValue: 40})
		h.now = func() time.Time { return noon }
		switch w := send(h, body); w.Code {
		case http.StatusNoContent, http.StatusBadRequest:
		default:
			t.Errorf("answer %d %s", w.Code, w.Body)
		}
		for _, s := range *got {
			if s.Metric == "" || len(s.Labels) > 5 || len(s.Points) == 0 {
				t.Errorf("took %+v", s)
			}
			for i, p := range s.Points {
				if math.IsNaN(p.Value) || p.Time.IsZero() || i > 0 && p.Time.Before(s.Points[i-1].Time) {
					t.Errorf("took the point %+v", p)
				}
			}
		}
	})
}

func BenchmarkRemoteWrite(b *testing.B) {
	var series []one
	for i := range 2000 {
		series = append(series, one{labels: []string{"__name__", "node_network_receive_bytes_total", "cluster", "prod", "device", fmt.Sprintf("eth%d", i%8), "env", "production", "instance", fmt.Sprintf("db%d.example.org:9100", i/8), "job", "node"}, values: []float64{float64(i)}})
	}
	packed := snappy.Encode(nil, request(series...))
	h := RemoteWrite("prom", Limits{}, func(context.Context, []penumbra.Series) error { return nil })
	h.now = func() time.Time { return noon }
	b.ReportAllocs()
	for b.Loop() {
		if w := post(h, packed, nil); w.Code != http.StatusNoContent {
			b.Fatal(w.Code, w.Body)
		}
	}
	b.ReportMetric(float64(b.N*len(series))/b.Elapsed().Seconds(), "series/s")
}
