package api

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/penumbra-iac/penumbra"
)

const (
	jsonLines = "application/jsonl"
	// maxBody bounds a timeline on the wire, maxInflated what gzip may make of
	// it: a stream that never ends must not hold a request for ever.
	maxBody     = 1 << 30
	maxInflated = 16 << 30
	// exportBuffer is how much of an export is held back, so that an error
	// before it is full still has a status of its own.
	exportBuffer = 64 << 10
)

// ingestion is the request that carries a timeline in. huma would read the
// body into memory, so it is taken from the request instead.
type ingestion struct {
	Source   string `query:"source" default:"http" doc:"Where the lines come from, as bad ones are listed under." example:"cloudtrail-2026-03"`
	Encoding string `header:"Content-Encoding" doc:"gzip, or nothing." example:"gzip"`
	body     io.Reader
}

// Resolve implements [huma.Resolver].
func (in *ingestion) Resolve(ctx huma.Context) []error {
	r, w := humachi.Unwrap(ctx)
	// A deadline made for small requests would cut a long timeline off.
	_ = ctx.SetReadDeadline(time.Time{})
	in.body = http.MaxBytesReader(w, r.Body, maxBody)
	return nil
}

// open returns the timeline. What the service makes of an error in reading it
// does not matter: the request is at fault, as the body says.
func (in *ingestion) open() (*requestBody, error) {
	switch strings.ToLower(in.Encoding) {
	case "", "identity":
		return &requestBody{r: in.body}, nil
	case "gzip":
		inflated, err := gzip.NewReader(in.body)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read the request as gzip", Err: err, Remedy: "send plain JSON Lines, or a complete gzip stream"}
		}
		return &requestBody{r: http.MaxBytesReader(nil, inflated, maxInflated)}, nil
	default:
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "content encoding " + in.Encoding + " is not known", Remedy: "send gzip or plain JSON Lines"}
	}
}

// requestBody remembers why it could not be read to its end.
type requestBody struct {
	r   io.Reader
	err error
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil || err == io.EOF:
	case errors.As(err, &tooLarge):
		b.err = err
	default:
		b.err = &penumbra.Error{Kind: penumbra.Invalid, What: "read the timeline sent", Err: err, Remedy: "send it again; what was taken in before is kept and counts as repeated"}
	}
	return n, err
}

// exportation is the request that takes a timeline out.
type exportation struct {
	Resource string    `query:"resource" doc:"Only observations of this resource, percent-encoded."`
	Stack    string    `query:"stack" doc:"Only observations of this stack." example:"shop"`
	Kinds    []string  `query:"kinds" enum:"template,snapshot,event,metric" doc:"Only these kinds, separated by commas."`
	From     time.Time `query:"from" doc:"Only what happened then or later." example:"2026-03-01T00:00:00Z"`
	To       time.Time `query:"to" doc:"Only what happened before."`
	After    int64     `query:"after" minimum:"0" doc:"Only what was taken in after this sequence number."`
	Latest   int       `query:"latest" minimum:"0" doc:"Only the last so many, still the oldest first."`
}

func (in *exportation) query() (penumbra.ObservationQuery, error) {
	q := penumbra.ObservationQuery{
		Resource: penumbra.Address(in.Resource), Stack: in.Stack,
		From: in.From, To: in.To, After: in.After, Latest: in.Latest,
	}
	for _, name := range in.Kinds {
		var kind penumbra.ObservationKind
		if err := kind.UnmarshalText([]byte(name)); err != nil {
			return q, &penumbra.Error{Kind: penumbra.Invalid, What: err.Error()}
		}
		q.Kinds = append(q.Kinds, kind)
	}
	return q, nil
}

type stackPath struct {
	Name string `path:"name" doc:"The stack's name." example:"shop"`
}

func addTimelines(a huma.API, s Carrier) {
	ingest := route{http.MethodPost, "/v1/observations", "ingest-observations", "timeline",
		"Take a timeline in", "One observation a line. A line that cannot be read is kept aside, counted and listed; it never stops the rest, and the answer is 200 all the same: see bad. Observations that are there already are counted as repeated. Single values of metrics, of the source live, are watched, counted apart and not kept. The body is streamed; up to 1 GiB on the wire.",
		penumbra.IngestReport{Lines: 1000, Added: 990, Repeated: 9, Bad: 1, BadLines: []penumbra.BadLine{exampleBadLine()}},
	}
	registerIngest(a, s, ingest)

	export := route{http.MethodGet, "/v1/observations", "export-observations", "timeline",
		"Give a timeline out", "The selected observations as JSON Lines, the oldest first, streamed. Sensitive values are keyed hashes. A stream that breaks off before its end was not complete.",
		nil,
	}
	op := export.operation(a)
	op.Responses["200"] = &huma.Response{
		Description: "One observation a line.",
		Content:     map[string]*huma.MediaType{jsonLines: {Schema: &huma.Schema{Type: huma.TypeString}, Example: exampleLine}},
	}
	huma.Register(a, op, func(ctx context.Context, in *exportation) (*huma.StreamResponse, error) {
		q, err := in.query()
		if err != nil {
			return nil, problemOf(err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { sendTimeline(hc, s, q) }}, nil
	})

	act(a, route{http.MethodPost, "/v1/stacks/{name}/read", "read-stack", "timeline",
		"Read a stack now", "Reads what the code declares and what is there, and answers when the read is done. Reading never writes.", nil,
	}, func(ctx context.Context, in *stackPath) error {
		return s.Trigger(ctx, in.Name)
	})
}

func registerIngest(a huma.API, s Carrier, r route) {
	op := r.operation(a)
	op.RequestBody = &huma.RequestBody{
		Required: true, Description: "JSON Lines, one observation a line.",
		Content: map[string]*huma.MediaType{jsonLines: {Schema: &huma.Schema{Type: huma.TypeString}, Example: exampleLine}},
	}
	huma.Register(a, op, func(ctx context.Context, in *ingestion) (*output[penumbra.IngestReport], error) {
		body, err := in.open()
		if err != nil {
			return nil, problemOf(err)
		}
		report, err := s.Ingest(ctx, body, in.Source)
		if err != nil && body.err != nil {
			err = body.err
		}
		if err != nil {
			return nil, problemOf(err)
		}
		return &output[penumbra.IngestReport]{Body: report}, nil
	})
	op.Responses["200"].Content["application/json"].Example = r.example
}

// sendTimeline streams an export. Once its first bytes are sent an error can
// only break the connection off, so that nobody takes the part for the whole.
func sendTimeline(hc huma.Context, s Carrier, q penumbra.ObservationQuery) {
	_, w := humachi.Unwrap(hc)
	if c := http.NewResponseController(w); c != nil {
		_ = c.SetWriteDeadline(time.Time{})
	}
	started := &startedWriter{w: w}
	buffered := bufio.NewWriterSize(started, exportBuffer)
	_, err := s.Export(hc.Context(), q, buffered)
	if err == nil {
		started.start()
		err = buffered.Flush()
	}
	switch {
	case err == nil:
	case started.started || errors.Is(err, http.ErrAbortHandler):
		panic(http.ErrAbortHandler)
	default:
		writeProblem(w, problemOf(err))
	}
}

// startedWriter sends the header with the first write and remembers it.
type startedWriter struct {
	w       http.ResponseWriter
	started bool
}

func (s *startedWriter) start() {
	if !s.started {
		s.started = true
		s.w.Header().Set("Content-Type", jsonLines)
		s.w.WriteHeader(http.StatusOK)
	}
}

func (s *startedWriter) Write(p []byte) (int, error) {
	s.start()
	return s.w.Write(p)
}
