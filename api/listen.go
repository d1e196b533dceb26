package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/penumbra-iac/penumbra"
)

// NewsQuery selects news. Zero fields select all.
type NewsQuery struct {
	Topics []penumbra.Topic
	Stack  string // what is of no single stack is news of each
}

// ErrMissed says that some news were missed; the stream goes on.
var ErrMissed = &penumbra.Error{Kind: penumbra.Stale, What: "some news were missed", Remedy: "look at the whole again"}

// silent is how long a stream may bring nothing, not even a heartbeat, before it is
// taken for broken: a connection can end without a word.
const silent = 3 * heartbeat

// Watch yields news as they come, from now on until ctx ends. When the connection
// breaks it connects again and goes on where it was. An error of a kind that may pass
// by itself says that it is trying to; [ErrMissed] that news were lost meanwhile; any
// other ends the stream, and so does one of the first connection.
func (c *Client) Watch(ctx context.Context, q NewsQuery) iter.Seq2[penumbra.News, error] {
	return func(yield func(penumbra.News, error) bool) {
		w := watcher{client: c, query: q}
		retry := backoff.NewExponentialBackOff()
		retry.InitialInterval, retry.MaxInterval = 500*time.Millisecond, 30*time.Second
		for {
			began := w.last
			err := w.listen(ctx, yield)
			switch {
			case w.left || ctx.Err() != nil:
				return
			case w.last == "" || !penumbra.KindOf(err).Retry():
				yield(penumbra.News{}, err)
				return
			case w.last != began:
				retry.Reset()
			}
			if !yield(penumbra.News{}, err) {
				return
			}
			timer := time.NewTimer(retry.NextBackOff())
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
		}
	}
}

// watcher is one stream through its connections.
type watcher struct {
	client *Client
	query  NewsQuery
	last   string // the id of the last event, "" before the first connection
	left   bool   // by the one who listens
}

// listen reads one connection to its end and says why it ended.
func (w *watcher) listen(ctx context.Context, yield func(penumbra.News, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{"Accept": {eventStream}}
	if w.last != "" {
		header.Set("Last-Event-Id", w.last)
	}
	names := make([]string, len(w.query.Topics))
	for i, t := range w.query.Topics {
		names[i] = string(t)
	}
	resp, err := w.client.send(ctx, http.MethodGet, "/v1/news", params{}.text("topics", strings.Join(names, ",")).text("stack", w.query.Stack), header, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	quiet := time.AfterFunc(silent, cancel)
	defer quiet.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var event, data string
	for lines.Scan() {
		quiet.Reset(silent)
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			w.last = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			if lines.Text() == "" && event != "" {
				if !w.tell(event, data, yield) {
					w.left = true
					return nil
				}
				event, data = "", ""
			}
		}
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return &penumbra.Error{Kind: penumbra.Unavailable, What: "the stream of news broke off", Err: err, Remedy: "it is taken up again; if that stays, check the daemon"}
}

// tell hands on one event and reports whether more are wanted. What a newer daemon
// may send beside news is passed over.
func (w *watcher) tell(event, data string, yield func(penumbra.News, error) bool) bool {
	if event == "reset" {
		return yield(penumbra.News{}, ErrMissed)
	}
	var n penumbra.News
	if err := json.Unmarshal([]byte(data), &n); err != nil || string(n.Topic) != event {
		return true
	}
	return yield(n, nil)
}
