package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The parts of the daemon that answer requests: labels have these values only.
const (
	apiPart    = "api"
	streamPart = "stream"
	inputsPart = "inputs"
	assetsPart = "assets"
	ownPart    = "telemetry"
	pagesPart  = "pages"
)

var parts = []string{apiPart, inputsPart, assetsPart, ownPart, pagesPart}

func partOf(r *http.Request) string {
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, "/v1/inputs/"):
		return inputsPart
	case strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		return streamPart
	case strings.HasPrefix(path, "/v1/"):
		return apiPart
	case strings.HasPrefix(path, "/assets/"):
		return assetsPart
	case path == "/metrics", path == "/healthz", path == "/readyz":
		return ownPart
	default:
		return pagesPart
	}
}

// methods are those that a label may have.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return "other"
	}
}

// requestHeader carries the identifier of a request, both ways.
const requestHeader = "X-Request-Id"

// Requests measures requests: each has an identifier, which a caller may give, a span
// below the caller's, and a log line.
func (t *Telemetry) Requests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, part, method := time.Now(), partOf(r), methodOf(r)
		x := &request{id: r.Header.Get(requestHeader)}
		if !isID(x.id) {
			x.id = newID()
		}
		w.Header().Set(requestHeader, x.id)
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(context.WithValue(ctx, requestKey{}, x), method+" "+part, trace.WithSpanKind(trace.SpanKindServer))
		answer := &answer{ResponseWriter: w}
		defer func() {
			code := answer.code
			if code == 0 {
				code = http.StatusOK
			}
			if panicked := recover(); panicked != nil {
				code = http.StatusInternalServerError
				defer panic(panicked)
			}
			took := time.Since(began)
			t.requests.WithLabelValues(part, method, strconv.Itoa(code)).Inc()
			if part != streamPart {
				t.latency.WithLabelValues(part).Observe(took.Seconds())
			}
			if span.IsRecording() {
				span.SetAttributes(attribute.String("http.request.method", method), attribute.String("url.path", r.URL.Path), attribute.Int("http.response.status_code", code),
					attribute.String("penumbra.request_id", x.id), attribute.String("enduser.id", x.who()))
				if code >= 500 {
					span.SetStatus(codes.Error, http.StatusText(code))
				}
			}
			span.End()
			level := slog.LevelDebug // what is only looked at is not worth a line by itself
			if method != http.MethodGet && method != http.MethodHead || code >= 500 {
				level = slog.LevelInfo
			}
			if part == inputsPart && code < 500 {
				level = slog.LevelDebug
			}
			log.Log(ctx, level, "request", "method", method, "path", r.URL.Path, "code", code, "took", took)
		}()
		next.ServeHTTP(answer, r.WithContext(ctx))
	})
}

// isID reports whether a caller's identifier of a request can be written into a log.
func isID(text string) bool {
	if len(text) < 8 || len(text) > 64 {
		return false
	}
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func newID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// answer remembers the status code.
type answer struct {
	http.ResponseWriter
	code int
}

func (a *answer) WriteHeader(code int) {
	if a.code == 0 && code >= 200 {
		a.code = code
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.code == 0 {
		a.code = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Flush lets streams through.
func (a *answer) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
