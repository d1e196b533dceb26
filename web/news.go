package web

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// heartbeat keeps proxies from closing a stream on which nothing happens.
	heartbeat = 15 * time.Second
	// stalled is how long a browser may take nothing before its stream is ended.
	stalled = 30 * time.Second
	// mostStreams bounds the streams that are open: a browser has one for each page.
	mostStreams = 256
	// streamLife is after how long a browser has to ask again, which makes sure anew
	// that it may.
	streamLife = 5 * time.Minute
)

// streams tells browsers that there is news of a topic. A page then fetches what it
// shows again: nothing but the topic is sent, so that a stream shows nobody what
// their pages would not.
type streams struct {
	mu     sync.Mutex
	open   int
	ending map[*http.Server]bool // that end the streams when they stop
	done   chan struct{}         // closed when a server stops
	once   sync.Once
}

func newStreams() *streams {
	return &streams{ending: map[*http.Server]bool{}, done: make(chan struct{})}
}

// enter counts a stream in and reports whether there was room. A server that stops
// waits for its requests, and a stream never ends by itself.
func (s *streams) enter(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= mostStreams {
		return false
	}
	s.open++
	if server, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok && !s.ending[server] {
		s.ending[server] = true
		server.RegisterOnShutdown(func() { s.once.Do(func() { close(s.done) }) })
	}
	return true
}

func (s *streams) leave() {
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
}

// news streams the topics of what happens, until the browser goes, has to ask again,
// or the server stops. Before anything is told it is made sure who looks now: a session
// that is over ends the stream, and what was taken from somebody is not told any more.
func (s *site) news(w http.ResponseWriter, r *http.Request, sess session) error {
	if !s.streams.enter(r.Context()) {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "too many pages follow the news", Remedy: "close some, or load the page again now and then"}
	}
	defer s.streams.leave()
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	go func() {
		select {
		case <-s.streams.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	after, who := s.service.LastNews(), sess.principal
	text := "retry: 3000\n\n"
	for {
		_ = control.SetWriteDeadline(time.Now().Add(stalled)) // one for the whole would end every stream
		if _, err := w.Write([]byte(text)); err != nil {
			return nil // the browser has gone
		}
		if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return nil
		}
		news, now, err := s.nextNews(ctx, r, who, after)
		if ctx.Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil // the browser asks again, and is told why not
		}
		who = now
		text = ":\n\n"
		if err == nil && len(news) > 0 {
			text, after = topicsOf(news), news[len(news)-1].Seq
		}
	}
}

// nextNews waits for news no longer than until the next heartbeat, and returns it with
// who looks by then. If what they may has changed meanwhile the news is asked for again.
func (s *site) nextNews(ctx context.Context, r *http.Request, who *penumbra.Principal, after uint64) ([]penumbra.News, *penumbra.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	for {
		news, err := s.service.News(penumbra.WithPrincipal(ctx, who), after)
		now, gone := s.sessions.still(r)
		if gone != nil {
			return nil, nil, gone
		}
		if now == nil {
			return nil, nil, errOver
		}
		if reflect.DeepEqual(now, who) || err != nil {
			return news, now, err
		}
		who = now
	}
}

// topicsOf writes an event for each topic that there is news of.
func topicsOf(news []penumbra.News) string {
	out := ""
	told := map[penumbra.Topic]bool{}
	for i := range news {
		if topic := news[i].Topic; topic != "" && !told[topic] { // "" is what who asks may not see
			told[topic] = true
			out += "event: " + string(topic) + "\ndata: 1\n\n"
		}
	}
	return out
}
