package prometheus

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/intake"
)

// Counts is what a [Receiver] did since it was made.
type Counts struct {
	Requests int64
	Series   int64 // handed on, with the same one as often as it came
	Points   int64 // handed on

	BadRequests    int64 // bodies that could not be read at all
	RefusedSeries  int64 // over a limit
	RefusedPoints  int64 // of refused series, or with a time out of range
	LeftHistograms int64 // native histograms, which are not read
	SentAgain      int64 // requests whose sender was told to come again
}

// Receiver is an HTTP handler for Prometheus's remote write 1.0. It checks no
// credentials: it belongs behind what does.
type Receiver struct {
	decoder  decoder
	gate     *intake.Gate
	counters counters
	sink     func(context.Context, []penumbra.Series) error
	now      func() time.Time

	requests, series, points, bad, refusedSeries, refusedPoints, histograms, again atomic.Int64
}

// RemoteWrite returns a handler that hands the series of each request to sink. It
// answers
//
//   - 204 after sink returned nil, and never before;
//   - 400 for what will not work however often it is sent. The series of the same
//     request that can be used were handed on, since Prometheus will not send
//     them again;
//   - 413 for a body over the limit, 415 for remote write 2.0 and anything but
//     snappy;
//   - 503 with Retry-After if sink failed with any kind but Invalid, NotFound and
//     Refused, or if too many requests are being taken. Not 429: Prometheus gives
//     up on it unless it was told otherwise.
//
// sink may be called by several requests at a time, and with a point it was given
// before.
func RemoteWrite(input string, limits Limits, sink func(context.Context, []penumbra.Series) error) *Receiver {
	limits = limits.WithDefaults()
	return &Receiver{
		decoder:  decoder{input, limits, intake.NewAdmission(limits).Admit},
		gate:     intake.NewGate(limits),
		counters: counters{kinds: map[string]metricType{}},
		sink:     sink,
		now:      time.Now,
	}
}

// Counts returns what was taken and refused so far.
func (h *Receiver) Counts() Counts {
	return Counts{
		Requests: h.requests.Load(), Series: h.series.Load(), Points: h.points.Load(),
		BadRequests: h.bad.Load(), RefusedSeries: h.refusedSeries.Load(), RefusedPoints: h.refusedPoints.Load(),
		LeftHistograms: h.histograms.Load(), SentAgain: h.again.Load(),
	}
}

// ServeHTTP takes one request, see [RemoteWrite].
func (h *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.requests.Add(1)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "remote write is a POST", http.StatusMethodNotAllowed)
		return
	}
	if why := otherVersion(r.Header); why != "" {
		h.bad.Add(1)
		http.Error(w, why, http.StatusUnsupportedMediaType)
		return
	}
	leave, err := h.gate.Enter()
	if err != nil {
		h.answer(w, err)
		return
	}
	defer leave()
	m, err := h.read(w, r)
	if err != nil {
		h.bad.Add(1)
		h.answer(w, err)
		return
	}
	h.counters.learn(m.families)
	h.counters.mark(m.series)
	if len(m.series) > 0 {
		if err := h.sink(r.Context(), m.series); err != nil {
			h.answer(w, err)
			return
		}
	}
	h.count(m)
	if m.first != nil {
		http.Error(w, fmt.Sprintf("refused %d series and %d points, took the rest; the first: %v", m.refusedSeries, m.refusedPoints, m.first), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *Receiver) read(w http.ResponseWriter, r *http.Request) (*message, error) {
	body, err := h.gate.Body(w, r)
	if err != nil {
		return nil, err
	}
	return h.decoder.decode(body, h.now())
}

func (h *Receiver) count(m *message) {
	h.series.Add(int64(len(m.series)))
	for i := range m.series {
		h.points.Add(int64(len(m.series[i].Points)))
	}
	h.refusedSeries.Add(int64(m.refusedSeries))
	h.refusedPoints.Add(int64(m.refusedPoints))
	h.histograms.Add(int64(m.histograms))
}

func (h *Receiver) answer(w http.ResponseWriter, err error) {
	status := intake.Status(err)
	if status == http.StatusServiceUnavailable {
		h.again.Add(1)
		w.Header().Set("Retry-After", intake.RetryAfter)
	}
	http.Error(w, penumbra.Redact(err.Error()), status)
}

// otherVersion returns why a request is not one of remote write 1.0, "" if it is.
// Version 1.0 calls itself 0.1.0 on the wire.
func otherVersion(h http.Header) string {
	if encoding := h.Get("Content-Encoding"); encoding != "snappy" {
		return fmt.Sprintf("content encoding %.32q: remote write 1.0 is packed with snappy", encoding)
	}
	media, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != "application/x-protobuf" {
		return fmt.Sprintf("content type %.64q: remote write 1.0 is application/x-protobuf", h.Get("Content-Type"))
	}
	if proto := parameters["proto"]; proto != "" && proto != "prometheus.WriteRequest" || strings.HasPrefix(h.Get("X-Prometheus-Remote-Write-Version"), "2.") {
		return "remote write 2.0 is not taken: leave protobuf_message at prometheus.WriteRequest"
	}
	return ""
}
