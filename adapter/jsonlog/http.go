package jsonlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/penumbra-iac/penumbra"
)

// Limits of one request.
const (
	MaxBody     = 64 << 20 // bytes, after decompression too
	maxBadShown = 100      // bad lines in an answer
	perSink     = 2000
)

// BadLine is a line of a body that could not be read.
type BadLine struct {
	Line   int    `json:"line"` // counted from 1
	Reason string `json:"reason"`
}

// Report is the answer.
type Report struct {
	Accepted int       `json:"accepted"` // records kept
	Bad      []BadLine `json:"bad"`      // the first 100
	BadTotal int       `json:"bad_total"`
	Error    string    `json:"error,omitempty"` // why the rest was not read
}

// Handler takes JSON Lines by POST, gzipped or not, and answers after sink
// returned, so that what is acknowledged is kept. sink is called for every
// 2,000 lines, with lines that could not be read beside the records.
//
//	200 all lines kept, or an empty body
//	207 some kept, some not: see "bad"
//	400 nothing could be read, or the body broke off
//	405 not a POST
//	413 larger than 64 MiB
//	415 an encoding other than gzip
//	429 sink says Full, with Retry-After
//	503 sink says Unavailable or Locked, with Retry-After
//	500 sink fails otherwise
//
// After 413, 429, 503, or a body that broke off, the first "accepted" records
// are kept all the same: a sender that repeats the request sends them twice,
// and their identity is the same both times.
func (p *Parser) Handler(sink func(ctx context.Context, records []penumbra.Record, bad []BadLine) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			answer(w, http.StatusMethodNotAllowed, &Report{Error: "send lines by POST"})
			return
		}
		var body io.Reader = http.MaxBytesReader(w, req.Body, MaxBody)
		switch enc := req.Header.Get("Content-Encoding"); enc {
		case "", "identity":
		case "gzip":
			z, err := gzip.NewReader(body)
			if err != nil {
				answer(w, http.StatusBadRequest, &Report{Error: "the body is not gzip: " + err.Error()})
				return
			}
			body = z
		default:
			answer(w, http.StatusUnsupportedMediaType, &Report{Error: "send the body as it is or gzipped"})
			return
		}
		rep := Report{Bad: []BadLine{}}
		err := p.take(req.Context(), body, &rep, sink)
		status := rep.status(err)
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		answer(w, status, &rep)
	})
}

var errLarge = fmt.Errorf("the body is larger than %d bytes", MaxBody)

// sinkError marks errors of the sink, so that they are told from the body's.
type sinkError struct{ error }

func (e sinkError) Unwrap() error { return e.error }

// take reads the body and hands it over in parts.
func (p *Parser) take(ctx context.Context, body io.Reader, rep *Report, sink func(context.Context, []penumbra.Record, []BadLine) error) error {
	limited := &io.LimitedReader{R: body, N: MaxBody + 1}
	in := bufio.NewReaderSize(limited, 64<<10)
	var records []penumbra.Record
	var bad []BadLine
	flush := func() error {
		if len(records)+len(bad) == 0 {
			return nil
		}
		if err := sink(ctx, records, bad); err != nil {
			return sinkError{err}
		}
		rep.Accepted += len(records)
		rep.BadTotal += len(bad)
		rep.Bad = append(rep.Bad, bad[:min(len(bad), maxBadShown-len(rep.Bad))]...)
		records, bad = nil, nil
		return nil
	}
	for n := 1; ; n++ {
		line, long, err := readLine(in)
		if limited.N <= 0 {
			return errors.Join(errLarge, flush())
		}
		broken := err != nil && !errors.Is(err, io.EOF)
		switch {
		case broken: // what was read of the line is not all of it
			return errors.Join(fmt.Errorf("line %d: the body breaks off: %w", n, err), flush())
		case long:
			bad = append(bad, BadLine{n, fmt.Sprintf("longer than %d bytes", MaxLine)})
		default:
			got, err := p.Parse(line)
			if err != nil {
				bad = append(bad, BadLine{n, penumbra.Redact(err.Error())})
			}
			records = append(records, got...)
		}
		if err != nil || len(records)+len(bad) >= perSink {
			if err := flush(); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// readLine reads one line; of one that is too long the rest is skipped.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > MaxLine+1 {
			line, long = nil, true
		}
		if !long {
			if line == nil && err == nil {
				return part, false, nil
			}
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\n"), long, err
		}
	}
}

func (r *Report) status(err error) int {
	if err != nil {
		r.Error = penumbra.Redact(err.Error())
	}
	var large *http.MaxBytesError
	var sunk sinkError
	switch {
	case errors.As(err, &sunk):
		switch penumbra.KindOf(sunk.error) {
		case penumbra.Full:
			return http.StatusTooManyRequests
		case penumbra.Unavailable, penumbra.Locked:
			return http.StatusServiceUnavailable
		}
		r.Error = "the lines could not be kept" // the cause is for the log
		return http.StatusInternalServerError
	case errors.Is(err, errLarge) || errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case err != nil:
		return http.StatusBadRequest
	case r.BadTotal > 0 && r.Accepted == 0:
		return http.StatusBadRequest
	case r.BadTotal > 0:
		return http.StatusMultiStatus
	}
	return http.StatusOK
}

func answer(w http.ResponseWriter, status int, r *Report) {
	if r.Bad == nil {
		r.Bad = []BadLine{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(r) // the sender may have gone
}
