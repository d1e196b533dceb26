package telemetry

import (
	"context"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/penumbra-iac/penumbra"
)

const scope = "github.com/penumbra-iac/penumbra"

// Traced reports whether the environment asks for traces, by the variables of
// OpenTelemetry: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
// names the collector, or OTEL_TRACES_EXPORTER is otlp; OTEL_SDK_DISABLED=true and
// OTEL_TRACES_EXPORTER=none turn them off.
func Traced() bool {
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || exporter == "none" {
		return false
	}
	return exporter == "otlp" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// traces returns what makes spans, and what sends those that are left.
func traces(ctx context.Context, version string) (trace.Tracer, func(context.Context) error, error) {
	if !Traced() {
		return noop.NewTracerProvider().Tracer(scope), func(context.Context) error { return nil }, nil
	}
	invalid := func(what, remedy string, err error) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy, Err: err}
	}
	if exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter != "" && exporter != "otlp" {
		return nil, nil, invalid("OTEL_TRACES_EXPORTER is "+exporter, "use otlp or none", nil)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" {
			if protocol != "http/protobuf" {
				return nil, nil, invalid(name+" is "+protocol, "use http/protobuf, as a rule on port 4318", nil)
			}
			break
		}
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, invalid("send traces as the environment says", "correct the OTEL_ variables", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "penumbra"), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithHost())
	if err != nil {
		return nil, nil, invalid("read OTEL_RESOURCE_ATTRIBUTES", "write key=value, key=value", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return provider.Tracer(scope, trace.WithInstrumentationVersion(version)), provider.Shutdown, nil
}

// Begin measures an operation on a stack: it makes a span, with the names and values
// about it, and returns what is told of the end. Of errors the kind is in the span,
// and the text after redaction.
func (t *Telemetry) Begin(ctx context.Context, operation, stack string, about ...string) (context.Context, func(error)) {
	began := time.Now()
	ctx, span := t.tracer.Start(ctx, "penumbra."+operation)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("penumbra.stack", stack))
		for i := 0; i+1 < len(about); i += 2 {
			span.SetAttributes(attribute.String("penumbra."+about[i], about[i+1]))
		}
	}
	return ctx, func(err error) {
		outcome := done
		if err != nil {
			outcome = failed
			note(span, err)
		}
		span.End()
		t.operations.WithLabelValues(operation, outcome).Observe(time.Since(began).Seconds())
	}
}

// note marks a span as failed.
func note(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("error.type", penumbra.KindOf(err).String()))
	span.SetStatus(codes.Error, penumbra.Redact(err.Error()))
}

// Steps makes a span of each state that a run has gone through, below the one of ctx.
func (t *Telemetry) Steps(ctx context.Context, run *penumbra.Run) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	for i, step := range run.Steps {
		end := step.Time
		if i+1 < len(run.Steps) {
			end = run.Steps[i+1].Time
		} else if run.Ended.After(end) {
			end = run.Ended
		}
		_, span := t.tracer.Start(ctx, "penumbra.run."+step.State.String(), trace.WithTimestamp(step.Time),
			trace.WithAttributes(attribute.String("penumbra.run", run.ID)))
		span.End(trace.WithTimestamp(end))
	}
}
