package daemon

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Bounds of what a client may hold without doing anything. An answer may take as long
// as it takes: a plan takes minutes, and a live log goes on.
const (
	headerTime  = 10 * time.Second
	idleTime    = 2 * time.Minute
	bodyPause   = time.Minute // between two pieces of a body
	headerBytes = 64 << 10
)

// newServer returns the daemon's server.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: transportHeaders(unhurried(h)), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
	}
}

// unhurried bounds the pauses of who sends a body: a sender that stops holds nothing
// for long, and a long one that goes on is never cut off.
func unhurried(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			paced := &pacedBody{r.Body, http.NewResponseController(w)}
			_ = paced.control.SetReadDeadline(time.Now().Add(bodyPause)) // for a handler that reads none of it
			r.Body = paced
		}
		next.ServeHTTP(w, r)
	})
}

type pacedBody struct {
	body    io.ReadCloser
	control *http.ResponseController
}

func (b *pacedBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(bodyPause)) // not every writer has one
	n, err := b.body.Read(p)
	if errors.Is(err, io.EOF) {
		// After any other error the server reads on to keep the connection, which must
		// not take for ever.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (b *pacedBody) Close() error { return b.body.Close() }

// transportHeaders tells browsers to come back by TLS alone once they came by it.
func transportHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
