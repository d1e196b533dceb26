package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/jsonlog"
	"github.com/penumbra-iac/penumbra/adapter/kubernetes"
	"github.com/penumbra-iac/penumbra/adapter/otlp"
	"github.com/penumbra-iac/penumbra/adapter/prometheus"
	"github.com/penumbra-iac/penumbra/engine/inputs"
	"github.com/penumbra-iac/penumbra/guard"
)

// Receivers are the routes by which others send logs and metrics, below
// /v1/inputs/NAME: JSON Lines to it, OTLP to it with v1/logs and v1/metrics behind
// as exporters do by themselves, remote write to it with write behind.
func Receivers(c *Config, key penumbra.Key, o Options, l *Loop) *Receiving {
	e := l.Engine
	mux := &senders{http.NewServeMux(), l.Service(), nil}
	for _, in := range c.Inputs {
		if len(in.Paths)+len(in.Listen) > 0 {
			continue
		}
		feed := e.Feed(in.Name)
		base := "POST /v1/inputs/" + in.Name
		records := func(ctx context.Context, records []penumbra.Record) error { return feed.Records(ctx, records, nil) }
		switch in.Kind {
		case "json":
			p := jsonlog.NewParser(in.Name, in.Fields.fields(), key, o.Clock())
			mux.take(in.Name, base, p.Handler(func(ctx context.Context, records []penumbra.Record, bad []jsonlog.BadLine) error {
				return feed.Records(ctx, records, badLines(in.Name, bad))
			}))
		case "kubernetes":
			mux.take(in.Name, base, auditWebhook(key, in.Name, feed))
		case "otlp":
			mux.take(in.Name, base+"/v1/logs", otlp.Logs(in.Name, key, otlp.Limits{}, records))
			mux.take(in.Name, base+"/v1/metrics", otlp.Metrics(in.Name, otlp.Limits{}, feed.Series))
		case "remote-write":
			mux.take(in.Name, base+"/write", prometheus.RemoteWrite(in.Name, prometheus.Limits{}, feed.Series))
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := mux.guard.Reach(r.Context(), "input.send"); err != nil {
			http.Error(w, penumbra.Redact(err.Error()), http.StatusForbidden)
			return
		}
		http.Error(w, fmt.Sprintf("nothing is taken in at %s; name an input of kind json, otlp, remote-write or kubernetes in penumbra.yaml (docs/inputs.md)", r.URL.Path), http.StatusNotFound)
	})
	return &Receiving{bounded(mux, receiving), mux.patterns}
}

// Receiving takes in what is sent.
type Receiving struct {
	http.Handler
	patterns []string
}

// Patterns returns the patterns of its routes, one for each way to send to an input.
func (r *Receiving) Patterns() []string { return r.patterns }

// senders are the routes of those who may send.
type senders struct {
	*http.ServeMux
	guard    *guard.Service
	patterns []string
}

// take adds a route to an input, for who may send to it.
func (m *senders) take(input, pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.guard.Send(r.Context(), input); err != nil {
			http.Error(w, penumbra.Redact(err.Error()), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	}))
}

// receiving is how many requests are taken at the same time. One that waits holds
// its body, so the others are sent away until later: that is how a sender comes to
// know that the store does not keep up.
const receiving = 16

func bounded(next http.Handler, n int) http.Handler {
	places := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, fmt.Sprintf("%d requests are being taken already: send again later", n), http.StatusServiceUnavailable)
		}
	})
}

func badLines(input string, bad []jsonlog.BadLine) []penumbra.BadLine {
	var out []penumbra.BadLine
	for _, b := range bad {
		out = append(out, penumbra.BadLine{Source: input, Line: b.Line, Reason: b.Reason})
	}
	return out
}

// auditWebhook takes what the API server of Kubernetes sends to its audit
// webhook: one list of events a request.
func auditWebhook(key penumbra.Key, input string, feed *inputs.Feed) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, kubernetes.MaxLine))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		records, err := kubernetes.New(key, input).Parse(body)
		var bad []penumbra.BadLine
		if err != nil {
			bad = append(bad, penumbra.BadLine{Source: input, Reason: err.Error()})
		}
		switch err := feed.Records(r.Context(), records, bad); {
		case err == nil && len(bad) > 0 && len(records) == 0:
			http.Error(w, bad[0].Reason, http.StatusBadRequest)
		case err == nil:
			w.WriteHeader(http.StatusOK)
		case penumbra.KindOf(err).Retry() || penumbra.KindOf(err) == penumbra.Full:
			w.Header().Set("Retry-After", "5")
			http.Error(w, penumbra.Redact(err.Error()), http.StatusServiceUnavailable)
		default:
			http.Error(w, penumbra.Redact(err.Error()), http.StatusInternalServerError)
		}
	})
}

// The looks at Prometheus begin this long ago where nothing says how far the
// last ones came: what the monitor has seen already it passes over.
const pollBack = 15 * time.Minute

// pollCursorEvery is how often it is noted how far the looks have come.
const pollCursorEvery = time.Minute

// polled returns what asks Prometheus.
func polled(c *Config, in inputConfig, o Options) (func(context.Context, *inputs.Feed) error, error) {
	cfg := prometheus.Config{Input: in.Name, URL: in.URL, Every: in.Every, TokenFile: c.path(in.TokenFile), Now: o.Clock()}
	for _, q := range in.Queries {
		cfg.Queries = append(cfg.Queries, prometheus.Query{Name: q.Name, Expr: q.Expr, Counter: q.Counter})
	}
	if _, err := prometheus.NewPoller(cfg); err != nil {
		return nil, err
	}
	return func(ctx context.Context, feed *inputs.Feed) error {
		cfg.Report = func(q prometheus.Query, err error) {
			reason := ""
			if err != nil {
				reason = penumbra.Redact(err.Error())
			}
			feed.Trouble(q.Name, reason)
		}
		p, err := prometheus.NewPoller(cfg)
		if err != nil {
			return err
		}
		now := o.Clock()
		from := now().Add(-pollBack)
		saved, err := feed.Load(ctx, in.Name)
		if err != nil {
			return err
		}
		if at, err := time.Parse(time.RFC3339, string(saved)); err == nil && at.Before(from) {
			from = at // it was away for longer
		}
		var noted time.Time
		return p.Run(ctx, from, func(ctx context.Context, series []penumbra.Series) error {
			if err := feed.Series(ctx, series); err != nil {
				return err
			}
			if t := now(); t.Sub(noted) >= pollCursorEvery {
				noted = t
				return feed.Save(ctx, in.Name, []byte(t.UTC().Format(time.RFC3339)))
			}
			return nil
		})
	}, nil
}
