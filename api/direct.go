package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// direct is a transport that calls a handler in this process. The answer
// streams through a pipe, so neither side waits for the other's whole.
type direct struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper]. It returns when the handler has
// sent its header; closing the body ends the request's context and waits for
// the handler to return.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	in := req.Clone(ctx)
	in.RequestURI = req.URL.RequestURI()
	in.Host = req.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	reader, writer := io.Pipe()
	w := &pipeWriter{pipe: writer, header: http.Header{}, sent: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer in.Body.Close()
		w.end(serve(d.handler, w, in))
	}()

	body := &pipeBody{PipeReader: reader, cancel: cancel, done: done}
	select {
	case <-w.sent:
	case <-req.Context().Done():
		_ = body.Close()
		return nil, req.Context().Err()
	}
	if w.failed != nil {
		_ = body.Close()
		return nil, w.failed
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.copied, Body: body, ContentLength: -1, Request: req,
	}, nil
}

// serve calls the handler and turns a panic into an error, as a server turns
// it into a connection that breaks off.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = io.ErrUnexpectedEOF
		default:
			err = fmt.Errorf("the handler of %s %s panicked: %v", r.Method, r.URL.Path, p)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// pipeWriter is the handler's side.
type pipeWriter struct {
	pipe   *io.PipeWriter
	header http.Header
	once   sync.Once
	sent   chan struct{} // closed when the fields below are set
	status int
	copied http.Header
	failed error // the handler ended without an answer
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.copied = status, w.header.Clone()
		close(w.sent)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

func (w *pipeWriter) end(err error) {
	w.once.Do(func() {
		w.status, w.copied, w.failed = http.StatusOK, w.header.Clone(), err
		close(w.sent)
	})
	w.pipe.CloseWithError(err)
}

// pipeBody is the caller's side.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   <-chan struct{}
}

func (b *pipeBody) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.done
	return err
}
