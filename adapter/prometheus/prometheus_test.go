package prometheus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

func timeRange(start, end time.Time, step time.Duration) v1.Range {
	return v1.Range{Start: start, End: end, Step: step}
}

// program returns where a program is. Without it the test is skipped, or fails
// where REQUIRE_TOOLS=1.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("REQUIRE_TOOLS") == "1":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return ""
}

// start runs a program until the test ends.
func start(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), out.String())
		}
	})
}

// freePort returns a port of loopback that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestWithPrometheus has a real Prometheus scrape a real node_exporter each
// second, send what it gets to a Receiver that is away at first, and answer the
// default queries of a Poller, one of them wrong.
func TestWithPrometheus(t *testing.T) {
	server, exporter := program(t, "prometheus"), program(t, "prometheus-node-exporter")
	written := newCollector()
	receiver := RemoteWrite("write", Limits{}, written.sink)
	var mu sync.Mutex
	refusals := 0
	answered := make(chan struct{}, 1)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		refusals++
		away := refusals <= 2
		mu.Unlock()
		if away {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		if r.Header.Get("Authorization") != "Bearer sesame" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		receiver.ServeHTTP(w, r)
		select {
		case answered <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(target.Close) // after Prometheus ended, which sends what it still has

	dir, node, prom := t.TempDir(), freePort(t), freePort(t)
	config := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: node
  static_configs: [{targets: ["%s"], labels: {resource: db1}}]
remote_write:
- url: %s/write
  authorization: {type: Bearer, credentials_file: token}
  remote_timeout: 5s
  queue_config: {batch_send_deadline: 500ms, max_shards: 2}
  metadata_config: {send_interval: 1s}
`, node, target.URL)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, exporter, "--web.listen-address="+node)
	start(t, dir, server, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+prom, "--storage.remote.flush-deadline=2s")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	written.until(ctx, t, func(s penumbra.Series) bool { return s.Metric == "node_cpu_seconds_total" && s.Counter })
	written.until(ctx, t, func(s penumbra.Series) bool {
		return s.Metric == "node_load1" && !s.Counter && s.Labels["resource"] == "db1" && s.Labels["instance"] == node
	})
	for receiver.Counts().Points == 0 { // what the sink has is counted when it is answered
		select {
		case <-answered:
		case <-ctx.Done():
			t.Fatal("no request with points was answered")
		}
	}
	if c := receiver.Counts(); c.Points == 0 || c.RefusedSeries+c.RefusedPoints+c.BadRequests != 0 {
		t.Errorf("counts %+v", c)
	}

	polled, failures, round := newCollector(), map[string]error{}, make(chan struct{})
	queries := append(DefaultQueries(), Query{Name: "wrong", Expr: "sum(("}, Query{Name: "many", Expr: `{__name__=~".+"}`})
	var once sync.Once
	p, err := NewPoller(Config{Input: "poll", URL: "http://" + prom, Every: time.Second, Queries: queries, MaxSeries: 100, Report: func(q Query, err error) {
		failures[q.Name] = err
		if q.Name == "many" {
			once.Do(func() { close(round) })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- p.Run(run, time.Now().Add(-time.Minute), polled.sink) }()
	for metric, most := range map[string]float64{"cpu": 1, "memory": 1} {
		s := polled.until(ctx, t, func(s penumbra.Series) bool { return s.Metric == metric })
		if v := s.Points[0].Value; v < 0 || v > most || s.Labels["resource"] != "db1" {
			t.Errorf("%+v", s)
		}
	}
	if devices(t, node) {
		polled.until(ctx, t, func(s penumbra.Series) bool { return s.Metric == "network_io" })
	}
	select {
	case <-round:
	case <-ctx.Done():
		t.Error("the last query was never asked")
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := failures["wrong"]; penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), `query "wrong"`) || !strings.Contains(err.Error(), "parse error") {
		t.Errorf("wrong: %v", err)
	}
	if err := failures["many"]; penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), "more than 100 series") {
		t.Errorf("many: %v", err)
	}
	if err := failures["cpu"]; err != nil {
		t.Errorf("cpu: %v", err)
	}
}

// devices reports whether the exporter sees a network device that the default
// query counts; a container may have loopback alone.
func devices(t *testing.T, node string) bool {
	t.Helper()
	answer, err := http.Get("http://" + node + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), `node_network_receive_bytes_total{device="eth`)
}

// collector is a sink that can be waited on.
type collector struct {
	mu     sync.Mutex
	series []penumbra.Series
	more   chan struct{}
}

func newCollector() *collector { return &collector{more: make(chan struct{}, 1)} }

func (c *collector) sink(_ context.Context, s []penumbra.Series) error {
	c.mu.Lock()
	c.series = append(c.series, s...)
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
	return nil
}

// until waits for a series that is as wanted.
func (c *collector) until(ctx context.Context, t *testing.T, wanted func(penumbra.Series) bool) penumbra.Series {
	t.Helper()
	for {
		c.mu.Lock()
		for _, s := range c.series {
			if wanted(s) {
				c.mu.Unlock()
				return s
			}
		}
		n := len(c.series)
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			t.Fatalf("none of %d series is as wanted", n)
		case <-c.more:
		}
	}
}
