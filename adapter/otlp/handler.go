// Package otlp takes logs and metrics that OpenTelemetry's SDKs and Collector send
// over HTTP: OTLP/HTTP, as protobuf or JSON, plain or gzip.
//
// Use it where an OpenTelemetry Collector already gathers what there is. [Logs]
// makes log records of it, [Metrics] series. Both check no credentials: they
// belong behind what does.
//
// They guarantee: success is answered only after everything of a request was
// handed on or counted as rejected, and a rejected record harms no other; what
// may be sent again is answered so that OTLP's senders do it; texts are redacted
// and secrets sealed; memory is bounded whatever is sent.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/intake"
)

// Limits bound what is taken. The zero value takes the defaults. Its limits on
// labels hold for the attributes of metrics, and Labels for those of a resource.
type Limits = intake.Limits

// batch is how many records or series are handed on at a time. What is kept of a
// resource is copied to each, so a small body could become a large one.
const batch = 2048

// Counts is what a [Receiver] did since it was made.
type Counts struct {
	Requests    int64
	Taken       int64 // log records or data points handed on; again if sent again
	Rejected    int64 // log records or data points that cannot be used
	BadRequests int64 // bodies that could not be read at all
	SentAgain   int64 // requests whose sender was told to come again
}

// outcome is what became of one request's records or points.
type outcome struct {
	taken, rejected int64
	first           error // why the first was rejected
}

func (o *outcome) reject(n int64, err error) {
	o.rejected += n
	if o.first == nil {
		o.first = err
	}
}

// Receiver is an HTTP handler for one signal of OTLP/HTTP.
type Receiver struct {
	gate   *intake.Gate
	limits intake.Limits
	shape  *intake.Message
	// take decodes a body and hands it on. An error means that the whole request
	// failed.
	take func(ctx context.Context, body []byte, isJSON bool, now time.Time) (outcome, error)
	// rejectedName is what the JSON form calls the number of rejected items.
	rejectedName string
	now          func() time.Time

	requests, taken, rejected, bad, again atomic.Int64
}

func newReceiver(limits Limits, shape *intake.Message, rejectedName string) *Receiver {
	return &Receiver{gate: intake.NewGate(limits), limits: limits, shape: shape, rejectedName: rejectedName, now: time.Now}
}

// Counts returns what was taken and rejected so far.
func (h *Receiver) Counts() Counts {
	return Counts{h.requests.Load(), h.taken.Load(), h.rejected.Load(), h.bad.Load(), h.again.Load()}
}

// ServeHTTP takes one export request. Its answers are those of the OTLP
// specification 1.7, "OTLP/HTTP Response":
//
//   - 200 with a partial success if some of it was rejected;
//   - 400, 413 or 415 for what will not work however often it is sent;
//   - 429 with Retry-After if the sink says Full, 503 for its other failures and
//     while too many requests are being taken.
func (h *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.requests.Add(1)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isJSON := media == "application/json"
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "OTLP/HTTP is a POST", http.StatusMethodNotAllowed)
		return
	case err != nil || !isJSON && media != "application/x-protobuf":
		h.bad.Add(1)
		http.Error(w, fmt.Sprintf("content type %.64q: OTLP/HTTP is application/x-protobuf or application/json", r.Header.Get("Content-Type")), http.StatusUnsupportedMediaType)
		return
	}
	leave, err := h.gate.Enter()
	if err != nil {
		h.fail(w, isJSON, err)
		return
	}
	defer leave()
	body, err := h.read(w, r, isJSON)
	if err != nil {
		h.bad.Add(1)
		h.fail(w, isJSON, err)
		return
	}
	done, err := h.take(r.Context(), body, isJSON, h.now())
	if err != nil {
		if errors.Is(err, errDecode) {
			h.bad.Add(1)
		}
		h.fail(w, isJSON, err)
		return
	}
	h.taken.Add(done.taken)
	h.rejected.Add(done.rejected)
	h.succeed(w, isJSON, done)
}

// errDecode marks a body that is no export request.
var errDecode = errors.New("not an OTLP export request")

func undecodable(err error) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%v: %.200s", errDecode, penumbra.Redact(err.Error())), Err: errDecode}
}

// read returns a body that is safe to decode.
func (h *Receiver) read(w http.ResponseWriter, r *http.Request, isJSON bool) ([]byte, error) {
	if r.Header.Get("Content-Encoding") == "snappy" { // remote write's, not OTLP's
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: `content encoding "snappy"`, Err: intake.ErrEncoding}
	}
	body, err := h.gate.Body(w, r)
	if err != nil {
		return nil, err
	}
	if isJSON {
		return body, h.limits.CheckJSON(body)
	}
	return body, h.limits.CheckProto(body, h.shape)
}

func (h *Receiver) succeed(w http.ResponseWriter, isJSON bool, done outcome) {
	var why string
	if done.first != nil {
		why = fmt.Sprintf("%d rejected, the first: %s", done.rejected, penumbra.Redact(done.first.Error()))
	}
	if isJSON {
		body := []byte("{}")
		if done.rejected > 0 {
			// 64-bit numbers are strings in protobuf's JSON.
			body = append([]byte(`{"partialSuccess":{"`+h.rejectedName+`":"`), strconv.FormatInt(done.rejected, 10)...)
			body = append(append(body, `","errorMessage":`...), quote(why)...)
			body = append(body, "}}"...)
		}
		write(w, "application/json", http.StatusOK, body)
		return
	}
	var body []byte
	if done.rejected > 0 {
		inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(done.rejected))
		inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), why)
		body = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	}
	write(w, "application/x-protobuf", http.StatusOK, body)
}

// fail answers with a google.rpc.Status that says why, as OTLP/HTTP asks for.
func (h *Receiver) fail(w http.ResponseWriter, isJSON bool, err error) {
	status := intake.Status(err)
	if penumbra.KindOf(err) == penumbra.Full {
		status = http.StatusTooManyRequests
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.again.Add(1)
		w.Header().Set("Retry-After", intake.RetryAfter)
	}
	why := penumbra.Redact(err.Error())
	if isJSON {
		write(w, "application/json", status, []byte(`{"message":`+quote(why)+`}`))
		return
	}
	write(w, "application/x-protobuf", status, protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), why))
}

func write(w http.ResponseWriter, contentType string, status int, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the sender is gone if this fails, and sends again
}
