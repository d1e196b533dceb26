package daemon

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBrowsersComeBackByTLS(t *testing.T) {
	t.Parallel()
	h := newServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler)).Handler
	for name, want := range map[string]bool{"http": false, "https": true, "proxy": true} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		switch name {
		case "https":
			r.TLS = &tls.ConnectionState{}
		case "proxy":
			r.Header.Set("X-Forwarded-Proto", "https")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// oneConnection listens to one end of a pipe.
type oneConnection struct {
	conns chan net.Conn
}

func (l oneConnection) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l oneConnection) Close() error   { return nil }
func (l oneConnection) Addr() net.Addr { return &net.TCPAddr{} }

// Who sends a piece and stops is cut off, within the header and within the body; who
// goes on slowly is not.
func TestWhoStopsIsCutOff(t *testing.T) {
	for name, x := range map[string]struct {
		pieces []string
		pause  time.Duration
		whole  bool
	}{
		"header":    {[]string{"POST / HTTP/1.1\r\nHost: x\r\nX-A: "}, time.Hour, false},
		"body":      {[]string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", "ab"}, time.Hour, false},
		"slow body": {[]string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n", "ab", "cd", "ef"}, 50 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var body bytes.Buffer
				server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(&body, r.Body); err != nil {
						w.WriteHeader(http.StatusRequestTimeout)
					}
				}), slog.New(slog.DiscardHandler))
				l := oneConnection{make(chan net.Conn, 1)}
				client, far := net.Pipe()
				l.conns <- far
				go func() { _ = server.Serve(l) }()
				answered := make(chan string, 1)
				go func() {
					answer, _ := io.ReadAll(client)
					answered <- string(answer)
				}()
				begun := time.Now()
				for i, piece := range x.pieces {
					if i > 0 && x.whole {
						time.Sleep(x.pause)
					}
					if _, err := io.WriteString(client, piece); err != nil {
						t.Fatal(err)
					}
				}
				answer := <-answered // the connection ends by itself, at idleTime at last
				if took := time.Since(begun); took > 5*time.Minute {
					t.Errorf("held for %s", took)
				}
				if ok := strings.Contains(answer, "200 OK"); ok != x.whole || x.whole && body.String() != "abcdef" {
					t.Errorf("%q, %q", answer, body.String())
				}
				close(l.conns)
				server.Close()
				client.Close()
				synctest.Wait()
			})
		})
	}
}
