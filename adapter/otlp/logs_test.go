package otlp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/penumbra-iac/penumbra"
)

var key = penumbra.Key("key")

func logReceiver(limits Limits) (*Receiver, *[]penumbra.Record) {
	var got []penumbra.Record
	h := Logs("otel", key, limits, func(_ context.Context, r []penumbra.Record) error {
		got = append(got, r...)
		return nil
	})
	h.now = func() time.Time { return noon.Add(time.Minute) }
	return h, &got
}

// sent builds an export request of one resource.
func sent(fill ...func(plog.LogRecord)) plog.Logs {
	logs := plog.NewLogs()
	r := logs.ResourceLogs().AppendEmpty()
	r.Resource().Attributes().PutStr("service.name", "checkout")
	r.Resource().Attributes().PutStr("host.name", "web1")
	r.Resource().Attributes().PutStr("k8s.pod.name", "checkout-7d9")
	s := r.ScopeLogs().AppendEmpty()
	for _, f := range fill {
		l := s.LogRecords().AppendEmpty()
		l.SetTimestamp(pcommon.NewTimestampFromTime(noon))
		f(l)
	}
	return logs
}

func TestLogs(t *testing.T) {
	t.Parallel()
	h, got := logReceiver(Limits{})
	logs := sent(func(l plog.LogRecord) {
		l.Body().SetStr("changed limit, password=hunter22")
		l.SetSeverityText("WARN")
		l.SetEventName("config.changed")
		l.SetTraceID([16]byte{1})
		a := l.Attributes()
		a.PutStr("enduser.id", "ana@example.org")
		a.PutStr("log.record.uid", "01HX")
		a.PutStr("cloud.resource_id", "arn:aws:rds:eu:1:db:main")
		a.PutStr("api_key", "abcdef")
		a.PutInt("limit", 3)
		a.PutEmptyMap("http").PutStr("route", "/pay")
	}, func(l plog.LogRecord) {
		l.SetSeverityNumber(plog.SeverityNumberInfo)
		m := l.Body().SetEmptyMap()
		m.PutStr("msg", "started")
		m.PutEmptyMap("port").PutInt("http", 8080)
		m.PutStr("token", "t0ken")
		l.Attributes().PutStr("user.name", "bob")
	})
	logs.ResourceLogs().At(0).ScopeLogs().At(0).Scope().SetName("lib")
	if w := post(h, protobuf, "", marshalLogs(t, logs)); w.Code != 200 || w.Body.Len() != 0 {
		t.Fatalf("answer %d %q", w.Code, w.Body)
	}
	shared := map[string]string{"service.name": "checkout", "host.name": "web1", "k8s.pod.name": "checkout-7d9", "scope.name": "lib"}
	with := func(more map[string]string) map[string]string {
		for k, v := range shared {
			more[k] = v
		}
		return more
	}
	where := []string{"checkout-7d9", "web1", "checkout"}
	sealed := func(s string) string { return key.Seal(penumbra.String(s)).Text() }
	want := []penumbra.Record{{
		Time: noon, Format: "otlp", Input: "otel", ID: "01HX", Actor: "ana@example.org", Via: "checkout", Action: "config.changed",
		Targets: append([]string{"arn:aws:rds:eu:1:db:main"}, where...), Message: "changed limit, password=[redacted]",
		Attributes: with(map[string]string{"enduser.id": "ana@example.org", "log.record.uid": "01HX", "cloud.resource_id": "arn:aws:rds:eu:1:db:main", "api_key": sealed("abcdef"), "limit": "3", "http.route": "/pay", "severity": "WARN", "trace_id": "01000000000000000000000000000000"}),
	}, {
		Time: noon, Format: "otlp", Input: "otel", Actor: "bob", Via: "checkout", Targets: where, Message: "started",
		Attributes: with(map[string]string{"user.name": "bob", "body.port.http": "8080", "body.token": sealed("t0ken"), "severity": "Info"}),
	}}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
	if c := h.Counts(); c.Taken != 2 || c.Rejected != 0 {
		t.Errorf("counts %+v", c)
	}
}

// TestLogsAsJSON takes an export request as the specification's JSON form has it.
func TestLogsAsJSON(t *testing.T) {
	t.Parallel()
	h, got := logReceiver(Limits{})
	w := post(h, jsonType, "gzip", gzipped(t, fmt.Appendf(nil, `{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"db1"}}]},
		"scopeLogs":[{"logRecords":[{"timeUnixNano":"%d","severityNumber":17,"body":{"stringValue":"out of disk"},"traceId":"5b8efff798038103d269b633813fc60c"},{"timeUnixNano":"1"}]}]}]}`, noon.UnixNano())))
	if w.Code != 200 {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	want := []penumbra.Record{{Time: noon, Format: "otlp", Input: "otel", Targets: []string{"db1"}, Message: "out of disk",
		Attributes: map[string]string{"host.name": "db1", "severity": "Error", "trace_id": "5b8efff798038103d269b633813fc60c"}}}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
	var answer struct {
		PartialSuccess struct{ RejectedLogRecords, ErrorMessage string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.PartialSuccess.RejectedLogRecords != "1" || answer.PartialSuccess.ErrorMessage == "" {
		t.Errorf("answer %s, %v", w.Body, err)
	}
}

func TestLogTimes(t *testing.T) {
	t.Parallel()
	stamp := func(at time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(at) }
	now := noon.Add(time.Minute)
	for name, c := range map[string]struct {
		time, observed pcommon.Timestamp
		want           time.Time
		asSent         string
	}{
		"time":           {stamp(noon), stamp(now), noon, ""},
		"observed":       {0, stamp(noon), noon, ""},
		"neither":        {0, 0, now, ""},
		"ahead":          {stamp(noon.AddDate(5, 0, 0)), stamp(noon), noon, "2031-03-01T12:00:00Z"},
		"both ahead":     {stamp(noon.AddDate(5, 0, 0)), stamp(noon.AddDate(6, 0, 0)), now, "2031-03-01T12:00:00Z"},
		"never set":      {stamp(time.Unix(5, 0)), 0, now, "1970-01-01T00:00:05Z"},
		"over the range": {1 << 63, stamp(noon), noon, "1677-09-21T00:12:43.145224192Z"},
		"a month ago":    {stamp(noon.AddDate(0, -1, 0)), 0, noon.AddDate(0, -1, 0), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, got := logReceiver(Limits{})
			post(h, protobuf, "", marshalLogs(t, sent(func(l plog.LogRecord) {
				l.Body().SetStr("x")
				l.SetTimestamp(c.time)
				l.SetObservedTimestamp(c.observed)
			})))
			if len(*got) != 1 || !(*got)[0].Time.Equal(c.want) || (*got)[0].Attributes["time.as_sent"] != c.asSent {
				t.Errorf("got %+v", *got)
			}
		})
	}
}

func TestLogsOfOddShape(t *testing.T) {
	t.Parallel()
	h, got := logReceiver(Limits{Text: 100})
	w := post(h, protobuf, "", marshalLogs(t, sent(
		func(plog.LogRecord) {}, // rejected
		func(l plog.LogRecord) { l.Attributes().PutStr("event.name", "old.place") },
		func(l plog.LogRecord) { l.Attributes().PutStr("b", "2"); l.Attributes().PutInt("a", 1) },
		func(l plog.LogRecord) { l.Body().SetInt(42) },
		func(l plog.LogRecord) { l.Body().SetStr(strings.Repeat("long line ", 10_000)) },
		func(l plog.LogRecord) { l.Body().SetStr("bin\xff\x00") },
		func(l plog.LogRecord) { m := l.Body().SetEmptyMap(); m.PutStr("user", "eve"); m.PutInt("n", 2) },
		func(l plog.LogRecord) {
			l.Body().SetStr("wide")
			for i := range 1000 {
				l.Attributes().PutInt(fmt.Sprintf("a%d", i), 1)
			}
		},
	)))
	if n, why := partial(t, w.Body.Bytes()); n != 1 || !strings.Contains(why, "neither an action nor a message") {
		t.Errorf("%d rejected: %s", n, why)
	}
	if len(*got) != 7 {
		t.Fatalf("got %d", len(*got))
	}
	if a := (*got)[0].Action; a != "old.place" {
		t.Errorf("action %q", a)
	}
	for i, want := range []string{1: "a=1 b=2", 2: "42", 3: strings.Repeat("long line ", 10), 4: "bin\uFFFD\x00", 5: "n=2 user=eve"} {
		if want != "" && (*got)[i].Message != want {
			t.Errorf("message %d is %q", i, (*got)[i].Message)
		}
	}
	if wide := (*got)[6].Attributes; wide["attributes.dropped"] != "872" || len(wide) != 128+1+3 {
		t.Errorf("%d attributes, %s dropped", len(wide), wide["attributes.dropped"])
	}
	if c := h.Counts(); c.Taken != 7 || c.Rejected != 1 {
		t.Errorf("counts %+v", c)
	}
}

// TestLogsComeInBatches has the sink fail at its second batch: nothing counts as
// taken on behalf of the sender, who sends all again.
func TestLogsComeInBatches(t *testing.T) {
	t.Parallel()
	var sizes []int
	h := Logs("otel", key, Limits{}, func(_ context.Context, r []penumbra.Record) error {
		sizes = append(sizes, len(r))
		if len(sizes) == 2 {
			return &penumbra.Error{Kind: penumbra.Unavailable, What: "store"}
		}
		return nil
	})
	fill := make([]func(plog.LogRecord), 3000)
	for i := range fill {
		fill[i] = func(l plog.LogRecord) { l.Body().SetStr("x") }
	}
	body := marshalLogs(t, sent(fill...))
	if w := post(h, protobuf, "", body); w.Code != 503 {
		t.Errorf("answer %d", w.Code)
	}
	if w := post(h, protobuf, "", body); w.Code != 200 {
		t.Errorf("answer %d", w.Code)
	}
	if diff := cmp.Diff([]int{2048, 952, 2048, 952}, sizes); diff != "" {
		t.Error(diff)
	}
	if c := h.Counts(); c.Taken != 3000 || c.SentAgain != 1 {
		t.Errorf("counts %+v", c)
	}
}

func FuzzLogs(f *testing.F) {
	f.Add(marshalLogs(f, sent(func(l plog.LogRecord) {
		l.Body().SetEmptyMap().PutEmptySlice("x").AppendEmpty().SetStr("y")
		l.Attributes().PutEmptyBytes("b").Append(1)
	})), false)
	f.Add([]byte(`{"resourceLogs":[{"resource":{},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}}}]}]}]}`), true)
	f.Add(nestedBody(30), false)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		h, got := logReceiver(Limits{Text: 50, LabelName: 20, LabelValue: 30, Labels: 4})
		contentType := protobuf
		if isJSON {
			contentType = jsonType
		}
		if w := post(h, contentType, "", body); w.Code != 200 && w.Code != 400 {
			t.Errorf("answer %d %s", w.Code, w.Body)
		}
		for i := range *got {
			r := &(*got)[i]
			if err := r.Check(); err != nil || len(r.Message) > 50 || r.Time.After(noon.AddDate(0, 0, 1)) {
				t.Errorf("took %+v, %v", r, err)
			}
		}
	})
}

func BenchmarkLogs(b *testing.B) {
	fill := make([]func(plog.LogRecord), 1000)
	for i := range fill {
		fill[i] = func(l plog.LogRecord) {
			l.Body().SetStr(fmt.Sprintf("GET /api/v1/orders/%d answered 200 in %d ms for client 10.1.%d.%d", i*7919, i%300, i%250, i%200))
			l.SetSeverityText("INFO")
			l.SetSeverityNumber(plog.SeverityNumberInfo)
			l.Attributes().PutStr("http.request.method", "GET")
			l.Attributes().PutStr("url.path", fmt.Sprintf("/api/v1/orders/%d", i))
			l.Attributes().PutInt("http.response.status_code", 200)
			l.Attributes().PutStr("user.name", fmt.Sprintf("user%d", i%50))
			l.SetTraceID([16]byte{byte(i), 2, 3})
		}
	}
	logs := sent(fill...)
	jsonBody, err := (&plog.JSONMarshaler{}).MarshalLogs(logs)
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]struct {
		contentType string
		body        []byte
	}{"protobuf": {protobuf, marshalLogs(b, logs)}, "json": {jsonType, jsonBody}} {
		b.Run(name, func(b *testing.B) {
			h := Logs("otel", key, Limits{}, func(context.Context, []penumbra.Record) error { return nil })
			packed := gzipped(b, c.body)
			b.ReportAllocs()
			for b.Loop() {
				if w := post(h, c.contentType, "gzip", packed); w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(b.N*len(fill))/b.Elapsed().Seconds(), "records/s")
		})
	}
}
