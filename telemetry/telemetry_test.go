package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/telemetry"
)

var bg = context.Background()

// world is what a scrape is told.
type world struct{ err error }

func (w world) Status(context.Context) (penumbra.Status, error) {
	return penumbra.Status{
		Stacks: []penumbra.StackStatus{
			{Name: "shop", Source: "tofu", LastRead: time.Unix(1000, 0), Error: "down", Took: 2 * time.Second},
			{Name: "pay", Sources: []penumbra.SourceStatus{{Name: "ansible", LastRead: time.Unix(2000, 0)}, {Name: "postgres"}}},
			{Name: "old", Source: "timeline"},
		},
		Verdicts: map[penumbra.Verdict]int{penumbra.Drifted: 3}, Inputs: []penumbra.InputStatus{{Name: "audit", Mapped: 7, Bad: 1, Lag: time.Minute}}, Model: "mixture", ModelVersion: 4,
	}, w.err
}

func (w world) Tally(context.Context) (penumbra.Tally, error) {
	return penumbra.Tally{Proposals: map[penumbra.ProposalStatus]int{penumbra.Scheduled: 2}, Runs: map[penumbra.RunState]int{penumbra.Applying: 1, penumbra.Halted: 5},
		Notices: []penumbra.NoticeCount{{Channel: "ops", State: penumbra.NoticeHeld, Count: 9}}, Bytes: 4096, Checkpoint: time.Unix(3000, 0)}, w.err
}

func (w world) DriftCounts() []penumbra.DriftCount {
	return []penumbra.DriftCount{{Verdict: penumbra.Drifted, Severity: penumbra.CriticalSeverity, Count: 2}}
}

func (w world) ModelScores() []penumbra.ModelScore {
	return []penumbra.ModelScore{{Predictions: 100, Covered: 97, LogLoss: 12.5}, {Changed: true, Predictions: 4, Covered: 1, LogLoss: 9}}
}

func started(t *testing.T) *telemetry.Telemetry {
	t.Helper()
	x, err := telemetry.New(bg, "v1")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func scrape(t *testing.T, x *telemetry.Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	x.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("a scrape answers %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestScrape(t *testing.T) {
	x := started(t)
	x.Collect(world{}, 0.95, func() time.Time { return time.Unix(5000, 0) })
	x.Expect([]string{"ops"})
	x.Told("ops", "dead", time.Second)
	x.News(penumbra.News{Topic: penumbra.DriftNews, Verb: "opened"})
	x.Reading("b", "ok")
	x.Planning("b", "lost")
	_, end := x.Begin(bg, "read", "shop")
	end(errors.New("x"))
	text := scrape(t, x)
	for _, line := range []string{
		`penumbra_up 1`, `penumbra_resources{verdict="drifted"} 3`, `penumbra_resources{verdict="in sync"} 0`,
		`penumbra_drifts{severity="critical",verdict="drifted"} 2`, `penumbra_drifts{severity="low",verdict="impending"} 0`,
		`penumbra_source_up{source="tofu",stack="shop"} 0`, `penumbra_source_not_checked_seconds{source="tofu",stack="shop"} 4000`,
		`penumbra_source_up{source="ansible",stack="pay"} 1`, `penumbra_source_up{source="postgres",stack="pay"} 0`,
		`penumbra_input_records_total{input="audit",outcome="mapped"} 7`, `penumbra_input_lag_seconds{input="audit"} 60`,
		`penumbra_queue_depth{queue="notices"} 9`, `penumbra_queue_depth{queue="runs"} 1`, `penumbra_queue_depth{queue="scheduled"} 2`,
		`penumbra_runs{state="halted"} 5`, `penumbra_store_size_bytes 4096`, `penumbra_model_checkpoint_timestamp_seconds 3000`,
		`penumbra_model_version{family="mixture"} 4`, `penumbra_model_predictions_total{changed="true"} 4`, `penumbra_model_predictions_covered_total{changed="false"} 97`,
		`penumbra_model_log_loss_nats_total{changed="false"} 12.5`, `penumbra_notifications_total{channel="ops",outcome="dead"} 1`,
		`penumbra_notifications_total{channel="ops",outcome="sent"} 0`, `penumbra_news_total{topic="drift",verb="opened"} 1`, `penumbra_readings_total{node="b",outcome="ok"} 1`,
		`penumbra_plans_total{node="b",outcome="lost"} 1`,
		`penumbra_operation_duration_seconds_count{operation="read",outcome="error"} 1`, `penumbra_operation_duration_seconds_count{operation="turn",outcome="ok"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the scrape has no %s", line)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "penumbra_") {
			t.Errorf("without the prefix: %s", line)
		}
	}
	if strings.Contains(text, `stack="old"`) {
		t.Error("what is only ingested is no source")
	}
}

func TestAScrapeOfABrokenWorldSaysSo(t *testing.T) {
	x := started(t)
	x.Collect(world{errors.New("the disk is gone")}, 0.95, time.Now)
	text := scrape(t, x)
	if !strings.Contains(text, "penumbra_up 0\n") || !strings.Contains(text, "penumbra_build_info") || strings.Contains(text, "penumbra_resources{") {
		t.Errorf("got %s", text)
	}
}

// spans is a collector of OTLP over HTTP.
type spans struct {
	mu  sync.Mutex
	got []*traces.Span
	by  string
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var x collector.ExportTraceServiceRequest
	if r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &x) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range x.ResourceSpans {
		for _, a := range of.Resource.Attributes {
			if a.Key == "service.name" {
				s.by = a.Value.GetStringValue()
			}
		}
		for _, in := range of.ScopeSpans {
			s.got = append(s.got, in.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestTracesReachACollector(t *testing.T) {
	to := &spans{}
	server := httptest.NewServer(to)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	x := started(t)
	var line bytes.Buffer
	log := slog.New(telemetry.Logs(slog.NewJSONHandler(&line, &slog.HandlerOptions{Level: slog.LevelDebug})))
	handler := x.Requests(log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		telemetry.Principal(r.Context(), "user:alice")
		ctx, end := x.Begin(r.Context(), "run", "shop", "run", "r-1")
		at := time.Now()
		x.Steps(ctx, &penumbra.Run{ID: "r-1", Steps: []penumbra.RunStep{{State: penumbra.Checking, Time: at}, {State: penumbra.Applying, Time: at.Add(time.Second)}}, Ended: at.Add(3 * time.Second)})
		end(&penumbra.Error{Kind: penumbra.Stale, What: "password=hunter2hunter2 moved"})
		w.WriteHeader(http.StatusConflict)
	}))
	r := httptest.NewRequest(http.MethodPost, "/v1/proposals/p-1/approve", nil)
	r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.Header.Set("X-Request-Id", "deploy-4711")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if err := x.Close(bg); err != nil {
		t.Fatal(err)
	}
	byName := map[string]*traces.Span{}
	for _, s := range to.got {
		byName[s.Name] = s
		if string(s.TraceId) != "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c" {
			t.Errorf("%s is of another trace", s.Name)
		}
	}
	request, run, apply := byName["POST api"], byName["penumbra.run"], byName["penumbra.run.applying"]
	if request == nil || run == nil || apply == nil || byName["penumbra.run.checking"] == nil || to.by != "penumbra" {
		t.Fatalf("spans %v by %q", byName, to.by)
	}
	if !bytes.Equal(run.ParentSpanId, request.SpanId) || !bytes.Equal(apply.ParentSpanId, run.SpanId) {
		t.Error("the spans are not below each other")
	}
	if took := apply.EndTimeUnixNano - apply.StartTimeUnixNano; took != uint64(2*time.Second) {
		t.Errorf("the applying took %d", took)
	}
	if run.Status.GetCode() != traces.Status_STATUS_CODE_ERROR || strings.Contains(run.Status.GetMessage(), "hunter2") {
		t.Errorf("the run's status is %v", run.Status)
	}
	var said map[string]any
	if err := json.Unmarshal(line.Bytes(), &said); err != nil {
		t.Fatalf("%v: %s", err, line.String())
	}
	for key, want := range map[string]any{
		"msg": "request", "level": "INFO", "code": 409.0, "request_id": "deploy-4711", "principal": "user:alice", "trace_id": "0af7651916cd43dd8448eb211c80319c",
	} {
		if said[key] != want {
			t.Errorf("the log line's %s is %v, want %v", key, said[key], want)
		}
	}
	if w.Header().Get("X-Request-Id") != "deploy-4711" {
		t.Error("the answer does not name the request")
	}
}

func TestTracesAreOffByThemselves(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing": {}, "disabled": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		"none": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range env {
				t.Setenv(k, v)
			}
			if telemetry.Traced() {
				t.Error("traced")
			}
			x := started(t)
			if n := testing.AllocsPerRun(100, func() {
				_, end := x.Begin(bg, "turn", "shop", "source", "tofu")
				end(nil)
			}); n > 4 {
				t.Errorf("an operation that nobody traces makes %v allocations", n)
			}
		})
	}
	for name, value := range map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(name, value)
			if _, err := telemetry.New(bg, "v1"); penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), name) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRequestsHaveFewLabels(t *testing.T) {
	x := started(t)
	handler := x.Requests(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write([]byte("x"))
	}))
	for _, path := range []string{"/v1/drifts/d-1", "/v1/drifts/d-2", "/drift?id=1", "/assets/a.css", "/healthz", "/v1/inputs/audit", "/etc/passwd"} {
		for _, method := range []string{http.MethodGet, "BREW"} {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
		}
	}
	stream := httptest.NewRequest(http.MethodGet, "/stream", nil)
	stream.Header.Set("Accept", "text/event-stream")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, stream)
	if !w.Flushed {
		t.Error("a stream is held back")
	}
	text := scrape(t, x)
	for _, want := range []string{`penumbra_http_requests_total{code="200",method="GET",part="api"} 2`, `{code="200",method="other",part="pages"} 2`, `{code="200",method="GET",part="stream"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "d-1") || strings.Contains(text, "BREW") || strings.Contains(text, `_count{part="stream"}`) {
		t.Error("a label has what a caller sends, or a stream counts as slow")
	}
	odd := httptest.NewRequest(http.MethodGet, "/", nil)
	odd.Header.Set("X-Request-Id", "a\nb=\"c\" injected")
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, odd)
	if id := w.Header().Get("X-Request-Id"); len(id) != 16 || strings.Contains(id, "inject") {
		t.Errorf("the request is named %q", id)
	}
}

func TestReadiness(t *testing.T) {
	for name, tt := range map[string]struct {
		checks []telemetry.Check
		code   int
	}{
		"all hold":              {[]telemetry.Check{{Name: "store", OK: true, Needed: true}}, 200},
		"one is told":           {[]telemetry.Check{{Name: "store", OK: true, Needed: true}, {Name: "sources", Reason: "1 of 2"}}, 200},
		"a needed one does not": {[]telemetry.Check{{Name: "store", Needed: true, Reason: "gone"}}, 503},
	} {
		w := httptest.NewRecorder()
		telemetry.Ready(func(context.Context) []telemetry.Check { return tt.checks }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		var got telemetry.Readiness
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != tt.code || got.Ready != (tt.code == 200) || len(got.Checks) != len(tt.checks) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func BenchmarkUntracedOperation(b *testing.B) {
	x, err := telemetry.New(bg, "v1")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, end := x.Begin(bg, "turn", "shop", "source", "tofu")
		end(nil)
	}
}
