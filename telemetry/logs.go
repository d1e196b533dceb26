package telemetry

import (
	"context"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// request is what is known of the request that a context belongs to.
type request struct {
	id string

	mu        sync.Mutex
	principal string
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

func (r *request) who() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.principal
}

// Principal notes who makes the request of ctx, for its log lines and its span.
func Principal(ctx context.Context, id string) {
	if r := requestOf(ctx); r != nil {
		r.mu.Lock()
		r.principal = id
		r.mu.Unlock()
	}
}

// Logs returns a handler that adds to each line which request it is written for, by
// whom, and the trace.
func Logs(to slog.Handler) slog.Handler { return logs{to} }

type logs struct{ slog.Handler }

func (l logs) Handle(ctx context.Context, r slog.Record) error {
	if x := requestOf(ctx); x != nil {
		r.AddAttrs(slog.String("request_id", x.id))
		if who := x.who(); who != "" {
			r.AddAttrs(slog.String("principal", who))
		}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return l.Handler.Handle(ctx, r)
}

func (l logs) WithAttrs(attrs []slog.Attr) slog.Handler { return logs{l.Handler.WithAttrs(attrs)} }
func (l logs) WithGroup(name string) slog.Handler       { return logs{l.Handler.WithGroup(name)} }
