// Package jsonpost answers: has a message arrived at an HTTP address that is itself a
// secret? It posts JSON and says by the kind of the error what follows. It guarantees
// that no error has the address in it, that no redirect counts as arrived, and that an
// answer is read within bounds.
package jsonpost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// largest is how much of an answer is read.
const largest = 64 << 10

// failure is an error with how long the receiver asked to wait.
type failure struct {
	err   *penumbra.Error
	after time.Duration
}

func (f *failure) Error() string             { return f.err.Error() }
func (f *failure) Unwrap() error             { return f.err }
func (f *failure) RetryAfter() time.Duration { return f.after }

// Post sends body, or what it is as JSON unless it is bytes already, with the headers,
// and returns the answer's body. The error is of kind Unavailable where the same may
// succeed later (no answer, 408, 425, 429, 5xx), with a method RetryAfter if the
// receiver says when, and of kind Refused otherwise. what names the receiver.
func Post(ctx context.Context, client *http.Client, what, address string, header http.Header, body any) ([]byte, error) {
	text, ok := body.([]byte)
	if !ok {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "post to " + what + ": the address is no URL", Remedy: "write https://host/path"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Penumbra")
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, failed(what, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, largest))
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		if err != nil {
			return nil, failed(what, err)
		}
		return answer, nil
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return answer, &failure{&penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("post to %s: %s%s", what, resp.Status, said(answer))}, retryAfter(resp.Header)}
	default:
		return answer, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("post to %s: %s%s", what, resp.Status, said(answer)), Remedy: "correct the address and the credentials of the channel"}
	}
}

// failed drops the address from an error of the transport.
func failed(what string, err error) error {
	if e, ok := errors.AsType[*penumbra.Error](err); ok {
		return e // of the guard: it says what to do
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &penumbra.Error{Kind: penumbra.Unavailable, What: "post to " + what, Err: err}
}

// said returns the first line of a short answer in text.
func said(answer []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(answer)), "\n")
	if line == "" || len(line) > 200 || strings.HasPrefix(line, "<") {
		return ""
	}
	return ": " + penumbra.Redact(strconv.QuoteToGraphic(line))
}

func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
