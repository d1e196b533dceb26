package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/penumbra-iac/penumbra"
)

// An Informer tells what becomes of what can be asked for.
type Informer interface {
	// LastNews returns the number of the last piece of news, 0 before the first.
	LastNews() uint64
	// News returns what became news behind a number, the oldest first, and waits
	// until there is some or ctx ends, whose error it then returns. If the first
	// number is not the next one, those between are forgotten. News that whoever asks
	// may not hear of have no more than their number.
	News(ctx context.Context, after uint64) ([]penumbra.News, error)
}

const (
	eventStream = "text/event-stream"
	// heartbeat keeps proxies from closing a stream on which nothing happens, and
	// shows a client that it is still there.
	heartbeat = 15 * time.Second
	// stalled is how long a client may take nothing before its stream is ended.
	stalled = 30 * time.Second
	// retryAfter is what a client is told to wait before it connects again.
	retryAfter = 2 * time.Second
	// streamsOfOne bounds the streams that one principal holds open.
	streamsOfOne = 32
)

type newsQuery struct {
	Topics []string `query:"topics" enum:"drift,anomaly,proposal,run,source,model,freeze" doc:"Only these topics, separated by commas; all without it." example:"drift,run"`
	Stack  string   `query:"stack" doc:"Only what is of this stack, or of no single one." example:"shop"`
	Last   string   `header:"Last-Event-ID" doc:"The id of the last event that has arrived: what came since is sent first."`
}

func (q *newsQuery) admits(n *penumbra.News) bool {
	return n.Topic != "" && (len(q.Topics) == 0 || slices.Contains(q.Topics, string(n.Topic))) && (q.Stack == "" || n.Stack == "" || n.Stack == q.Stack)
}

// streams are the open streams of one handler.
type streams struct {
	informer Informer
	life     string // told apart from other processes' news, whose numbers begin anew

	mu     sync.Mutex
	open   map[string]int        // by principal
	ending map[*http.Server]bool // that end the streams when they stop
	done   chan struct{}         // closed when a server stops
	once   sync.Once
}

func newStreams(s Informer) *streams {
	return &streams{informer: s, life: strconv.FormatUint(rand.Uint64()>>16, 36), open: map[string]int{}, ending: map[*http.Server]bool{}, done: make(chan struct{})}
}

// enter counts a stream in. It returns an error of kind Unavailable if the principal
// has too many.
func (s *streams) enter(ctx context.Context) (leave func(), err error) {
	var who string
	if p := penumbra.PrincipalOf(ctx); p != nil {
		who = p.ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= streamsOfOne {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("%d streams of news are open already", streamsOfOne), Remedy: "close some; one stream can carry all topics"}
	}
	s.open[who]++
	// A server that stops waits for its requests, and a stream never ends by itself.
	if server, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok && !s.ending[server] {
		s.ending[server] = true
		server.RegisterOnShutdown(func() { s.once.Do(func() { close(s.done) }) })
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[who]--; s.open[who] == 0 {
			delete(s.open, who)
		}
	}, nil
}

func (s *streams) id(seq uint64) string { return s.life + "-" + strconv.FormatUint(seq, 10) }

// resume returns the number to go on behind. known is false if an id is given that
// is not of this process: what came since is not known.
func (s *streams) resume(last string) (after uint64, known bool) {
	now := s.informer.LastNews()
	if last == "" {
		return now, true
	}
	life, number, _ := strings.Cut(last, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || life != s.life || seq > now {
		return now, false
	}
	return seq, true
}

func addNews(a huma.API, s Informer) {
	r := route{http.MethodGet, "/v1/news", "stream-news", "watch",
		"What happens, as it happens", "A stream of server-sent events: one for each drift, anomaly, proposal, run, read of a source, version of the model and freeze that has changed and is stored. The event is the topic, the data is one line of JSON. News are hints and hold no values: ask for what they name. The event reset says that some were missed, after a restart of the daemon or a long absence: look at the whole again. A comment is sent every 15 seconds in which nothing happens.",
		nil,
	}
	all := newStreams(s)
	op := r.operation(a)
	op.Responses["200"] = &huma.Response{
		Description: "Server-sent events.",
		Content: map[string]*huma.MediaType{eventStream: {
			Schema:  &huma.Schema{Type: huma.TypeString},
			Example: "id: 3k9f-41\nevent: drift\ndata: {\"seq\":41,\"time\":\"2026-03-01T08:00:00Z\",\"topic\":\"drift\",\"id\":\"d-4c1e\",\"stack\":\"shop\",\"verb\":\"opened\",\"drift\":\"d-4c1e\"}\n\n",
		}},
	}
	huma.Register(a, op, func(ctx context.Context, in *newsQuery) (*huma.StreamResponse, error) {
		leave, err := all.enter(ctx)
		if err != nil {
			p := problemOf(err)
			p.Status, p.Title = http.StatusTooManyRequests, http.StatusText(http.StatusTooManyRequests)
			return nil, p
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			defer leave()
			_, w := humachi.Unwrap(hc)
			all.send(hc.Context(), w, in)
		}}, nil
	})
}

// send writes news until the client goes, takes nothing for long, or the server
// stops.
func (s *streams) send(ctx context.Context, w http.ResponseWriter, q *newsQuery) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	out := &eventWriter{w: w, control: http.NewResponseController(w)}
	after, known := s.resume(q.Last)
	out.text("retry: " + strconv.FormatInt(retryAfter.Milliseconds(), 10) + "\n")
	if !known {
		out.event(s.id(after), "reset", []byte("{}"))
	}
	out.text("id: " + s.id(after) + "\n\n") // to go on from, though nothing has happened yet
	for out.flush() {
		news, err := s.next(ctx, after)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, context.DeadlineExceeded):
			out.text(":\nid: " + s.id(after) + "\n\n")
		case err != nil:
			return
		}
		for i := range news {
			n := &news[i]
			if n.Seq != after+1 {
				out.event(s.id(n.Seq-1), "reset", []byte("{}"))
			}
			after = n.Seq
			if n.Topic == "" || !q.admits(n) { // "" is what who asks may not see
				continue
			}
			data, err := json.Marshal(n)
			if err != nil { // a struct of texts, numbers and a time always marshals
				return
			}
			out.event(s.id(n.Seq), string(n.Topic), data)
		}
	}
}

// next waits for news no longer than until the next heartbeat. It makes sure anew who
// asks before anything is told: who has had something taken from them meanwhile is told
// what they may still hear of, and an error of kind Refused ends the stream of who may
// nothing any more.
func (s *streams) next(ctx context.Context, after uint64) ([]penumbra.News, error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	who, err := again(ctx)
	for err == nil {
		var now *penumbra.Principal
		news, waited := s.informer.News(penumbra.WithPrincipal(ctx, who), after)
		if now, err = again(ctx); err != nil {
			break
		}
		if reflect.DeepEqual(now, who) || waited != nil {
			return news, waited
		}
		who = now
	}
	return nil, err
}

// eventWriter writes server-sent events and remembers that it could not.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (o *eventWriter) text(s string) {
	if o.err == nil {
		// A deadline for each write: one for the whole would end every stream.
		_ = o.control.SetWriteDeadline(time.Now().Add(stalled))
		_, o.err = o.w.Write([]byte(s))
	}
}

// event writes an event whose data is one line.
func (o *eventWriter) event(id, name string, data []byte) {
	o.text("id: " + id + "\nevent: " + name + "\ndata: " + string(data) + "\n\n")
}

// flush sends what was written and reports whether the client still takes it.
func (o *eventWriter) flush() bool {
	if o.err == nil {
		if err := o.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			o.err = err
		}
	}
	return o.err == nil
}
