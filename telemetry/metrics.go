package telemetry

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/penumbra-iac/penumbra"
)

// prefix is that of all metrics.
const prefix = "penumbra_"

// The operations that are measured.
var operations = []string{"loop", "read", "turn", "propose", "run"}

// Telemetry measures one daemon.
type Telemetry struct {
	registry *prometheus.Registry
	tracer   trace.Tracer
	stop     func(context.Context) error

	operations *prometheus.HistogramVec
	requests   *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	told       *prometheus.CounterVec
	telling    *prometheus.HistogramVec
	news       *prometheus.CounterVec
	readings   *prometheus.CounterVec
	plans      *prometheus.CounterVec
}

// Outcomes of operations.
const (
	done   = "ok"
	failed = "error"
)

// New returns the telemetry of a program's version, with traces if the environment
// names a collector, see [Traced]. It returns an error of kind Invalid if the
// environment asks for what there is not.
func New(ctx context.Context, version string) (*Telemetry, error) {
	tracer, stop, err := traces(ctx, version)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{
		registry: prometheus.NewRegistry(), tracer: tracer, stop: stop,
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "operation_duration_seconds", Help: "How long operations took: loop (a read and what follows), read, turn, propose, run.",
			Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 5, 15, 60, 300, 1800},
		}, []string{"operation", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "http_requests_total", Help: "Requests, by the part that answered them.",
		}, []string{"part", "method", "code"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "http_request_duration_seconds", Help: "How long requests took, but for streams.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60},
		}, []string{"part"}),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "notifications_total", Help: "Attempts to send a notice: sent, failed (tried again) or dead.",
		}, []string{"channel", "outcome"}),
		telling: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "notification_duration_seconds", Help: "How long attempts to send a notice took.", Buckets: []float64{0.01, 0.05, 0.2, 1, 5, 30},
		}, []string{"channel"}),
		news: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "news_total", Help: "What became of drifts, anomalies, proposals, runs, sources, versions of the model and freezes.",
		}, []string{"topic", "verb"}),
		readings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "readings_total", Help: "Readings that nodes were asked for, by the node: ok, error, given_back, or lost with their node.",
		}, []string{"node", "outcome"}),
		plans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "plans_total", Help: "Plans for proposals that nodes were asked for, by the node: ok, error, given_back, or lost with their node.",
		}, []string{"node", "outcome"}),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "build_info", Help: "1, with the version of the program."}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	t.registry.MustRegister(t.operations, t.requests, t.latency, t.told, t.telling, t.news, t.readings, t.plans, build)
	prometheus.WrapRegistererWithPrefix(prefix, t.registry).MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// What has yet to happen is 0 rather than missing: a rate over it has a value.
	for _, op := range operations {
		for _, outcome := range []string{done, failed} {
			t.operations.WithLabelValues(op, outcome)
		}
	}
	for _, part := range parts {
		t.latency.WithLabelValues(part)
	}
	return t, nil
}

// Expect makes the metrics of channels that nothing was sent through yet.
func (t *Telemetry) Expect(channels []string) {
	for _, name := range channels {
		t.telling.WithLabelValues(name)
		for _, outcome := range []string{"sent", "failed", "dead"} {
			t.told.WithLabelValues(name, outcome)
		}
	}
}

// Told counts an attempt to send a notice.
func (t *Telemetry) Told(channel, outcome string, took time.Duration) {
	t.told.WithLabelValues(channel, outcome).Inc()
	t.telling.WithLabelValues(channel).Observe(took.Seconds())
}

// News counts a piece of news.
func (t *Telemetry) News(n penumbra.News) { t.news.WithLabelValues(string(n.Topic), n.Verb).Inc() }

// Reading counts a reading that a node was asked for.
func (t *Telemetry) Reading(node, outcome string) { t.readings.WithLabelValues(node, outcome).Inc() }

// Planning counts a plan that a node was asked for.
func (t *Telemetry) Planning(node, outcome string) { t.plans.WithLabelValues(node, outcome).Inc() }

// Metrics answers a scrape.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 20 * time.Second})
}

// Close sends what spans are left.
func (t *Telemetry) Close(ctx context.Context) error { return t.stop(ctx) }
