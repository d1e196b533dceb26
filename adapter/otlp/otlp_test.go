package otlp

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penumbra-iac/penumbra"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	protobuf = "application/x-protobuf"
	jsonType = "application/json"
)

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func post(h http.Handler, contentType, encoding string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/x", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// partial reads the answer to a protobuf request: how many were rejected and why.
func partial(t *testing.T, body []byte) (rejected uint64, why string) {
	t.Helper()
	if len(body) == 0 {
		return 0, ""
	}
	number, _, n := protowire.ConsumeTag(body)
	inner, m := protowire.ConsumeBytes(body[n:])
	if number != 1 || m < 0 {
		t.Fatalf("answer %x", body)
	}
	_, _, n = protowire.ConsumeTag(inner)
	rejected, m = protowire.ConsumeVarint(inner[n:])
	inner = inner[n+m:]
	_, _, n = protowire.ConsumeTag(inner)
	why, _ = protowire.ConsumeString(inner[n:])
	return rejected, why
}

func marshalLogs(t testing.TB, logs plog.Logs) []byte {
	t.Helper()
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(logs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func marshalMetrics(t testing.TB, metrics pmetric.Metrics) []byte {
	t.Helper()
	b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(metrics)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// nestedBody is a log record whose body is a list in a list, n deep.
func nestedBody(n int) []byte {
	var value []byte
	for range n {
		list := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), value)
		value = protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), list)
	}
	b := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), value)
	for _, field := range []protowire.Number{2, 2, 1} {
		b = protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), b)
	}
	return b
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	logs := plog.NewLogs()
	logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("hello")
	good := marshalLogs(t, logs)
	deepJSON := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` + strings.Repeat(`{"arrayValue":{"values":[`, 5000) + strings.Repeat(`]}}`, 5000) + `}]}]}]}`
	for name, c := range map[string]struct {
		contentType, encoding string
		body                  []byte
		sink                  error
		want                  int
		again                 bool
	}{
		"good":          {protobuf, "", good, nil, 200, false},
		"gzip":          {protobuf, "gzip", gzipped(t, good), nil, 200, false},
		"json":          {jsonType, "", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`), nil, 200, false},
		"json, charset": {jsonType + "; charset=utf-8", "", []byte(`{}`), nil, 200, false},
		"empty":         {protobuf, "", nil, nil, 200, false},
		"text":          {"text/plain", "", good, nil, 415, false},
		"no type":       {"", "", good, nil, 415, false},
		"snappy":        {protobuf, "snappy", good, nil, 415, false},
		"zstd":          {protobuf, "zstd", good, nil, 415, false},
		"broken gzip":   {protobuf, "gzip", gzipped(t, good)[:15], nil, 400, false},
		"bomb":          {protobuf, "gzip", gzipped(t, make([]byte, 64<<20)), nil, 413, false},
		"binary":        {protobuf, "", []byte("\xff\xfe\x00\x01"), nil, 400, false},
		"cut off":       {protobuf, "", good[:len(good)-2], nil, 400, false},
		"wrong wire":    {protobuf, "", []byte{0x08, 0x01}, nil, 400, false},
		"deep":          {protobuf, "", nestedBody(3000), nil, 400, false},
		"deep, allowed": {protobuf, "", nestedBody(5), nil, 200, false},
		"deep json":     {jsonType, "", []byte(deepJSON), nil, 400, false},
		"many messages": {protobuf, "", bytes.Repeat([]byte{0x0a, 0}, 600_000), nil, 400, false},
		"no json":       {jsonType, "", []byte("hello"), nil, 400, false},
		"json cut off":  {jsonType, "", []byte(`{"resourceLogs":[{`), nil, 400, false},
		"json of more":  {jsonType, "", []byte(`{"resourceLogs":"x"}`), nil, 400, false},
		"unavailable":   {protobuf, "", good, &penumbra.Error{Kind: penumbra.Unavailable, What: "store"}, 503, true},
		"full":          {protobuf, "", good, &penumbra.Error{Kind: penumbra.Full, What: "store"}, 429, true},
		"bug":           {jsonType, "", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`), errors.New("bug"), 503, true},
		"never":         {protobuf, "", good, &penumbra.Error{Kind: penumbra.Refused, What: "no"}, 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := Logs("otel", nil, Limits{}, func(context.Context, []penumbra.Record) error { return c.sink })
			w := post(h, c.contentType, c.encoding, c.body)
			if w.Code != c.want || (w.Header().Get("Retry-After") != "") != c.again {
				t.Errorf("answer %d %.300q, retry after %q", w.Code, w.Body, w.Header().Get("Retry-After"))
			}
			if got, _, _ := strings.Cut(c.contentType, ";"); w.Code != 415 && w.Header().Get("Content-Type") != got {
				t.Errorf("a %q request is answered as %q", got, w.Header().Get("Content-Type"))
			}
			if n := h.Counts(); n.Requests != 1 || w.Code != 200 && (n.Taken != 0 || n.BadRequests == 0 && c.sink == nil) {
				t.Errorf("counts %+v", n)
			}
		})
	}
}

func TestOnlyPost(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Metrics("otel", Limits{}, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("answer %d", w.Code)
	}
}
