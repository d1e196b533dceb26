package forge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/go-github/v89/github"
	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/penumbra-iac/penumbra"
)

// What one request may take, and how long a forge is waited for.
const (
	requestTimeout = 30 * time.Second
	mostTries      = 5
	longestWait    = 90 * time.Second
)

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func newTransport(caFile string) (*http.Client, error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	base.ResponseHeaderTimeout = requestTimeout
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read the certificates in " + caFile, Remedy: "correct `ca_file` of the stack's `code`", Err: err}
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: caFile + " has no certificate in PEM", Remedy: "correct `ca_file` of the stack's `code`"}
		}
		base.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: &patient{base: base, wait: sleep, now: time.Now}, CheckRedirect: sameHost}, nil
}

// sameHost follows only what stays on the forge: the token goes along.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	if next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme || first.Method != http.MethodGet || len(via) > 3 {
		return fmt.Errorf("the forge sends on to %s://%s: correct `url` and `project`", next.URL.Scheme, next.URL.Host)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// patient is a transport that tries again: where the forge says when, then; where
// it fails, after a while, if the request can do no harm twice.
type patient struct {
	base http.RoundTripper
	wait func(context.Context, time.Duration) error
	now  func() time.Time
}

// RoundTrip implements [http.RoundTripper].
func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	grow := backoff.NewExponentialBackOff()
	for try := 1; ; try++ {
		again := r.Clone(r.Context())
		if body != nil {
			again.Body = io.NopCloser(bytes.NewReader(body))
		}
		resp, err := p.base.RoundTrip(again)
		if r.Context().Err() != nil {
			if resp != nil {
				resp.Body.Close()
			}
			return nil, r.Context().Err()
		}
		wait, asked := p.asked(resp)
		var untrusted *tls.CertificateVerificationError
		switch {
		case errors.As(err, &untrusted):
			return nil, err
		case try == mostTries, err == nil && !asked && resp.StatusCode < 500:
			return resp, err
		case asked && wait > longestWait:
			return resp, err
		case !asked && r.Method == http.MethodPost:
			return resp, err // it may have been carried out
		case !asked:
			wait = grow.NextBackOff()
		}
		if resp != nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
			resp.Body.Close()
		}
		if err := p.wait(r.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// asked returns how long the forge asks to wait, if it does.
func (p *patient) asked(resp *http.Response) (time.Duration, bool) {
	if resp == nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	at, ok := retryAt(resp.Header, p.now())
	if !ok {
		// Without a time a refusal is one; too many requests pass.
		return time.Minute, resp.StatusCode == http.StatusTooManyRequests
	}
	return max(0, at.Sub(p.now())), true
}

// retryAt reads when to come again: Retry-After in seconds or as a date, or the
// time at which a limit that is used up begins anew.
func retryAt(h http.Header, now time.Time) (time.Time, bool) {
	if text := h.Get("Retry-After"); text != "" {
		if n, err := strconv.Atoi(text); err == nil {
			return now.Add(time.Duration(n) * time.Second), true
		}
		if t, err := http.ParseTime(text); err == nil {
			return t, true
		}
	}
	for _, names := range [][2]string{{"X-RateLimit-Remaining", "X-RateLimit-Reset"}, {"RateLimit-Remaining", "RateLimit-Reset"}} {
		if h.Get(names[0]) != "0" {
			continue
		}
		if n, err := strconv.ParseInt(h.Get(names[1]), 10, 64); err == nil {
			return time.Unix(n, 0), true
		}
	}
	return time.Time{}, false
}

// responseOf returns the answer behind a library's error, nil if there was none.
func responseOf(err error) *http.Response {
	var hub *github.ErrorResponse
	var hubLimit *github.RateLimitError
	var hubAbuse *github.AbuseRateLimitError
	var lab *gitlab.ErrorResponse
	switch {
	case errors.As(err, &hub):
		return hub.Response
	case errors.As(err, &hubLimit):
		return hubLimit.Response
	case errors.As(err, &hubAbuse):
		return hubAbuse.Response
	case errors.As(err, &lab):
		return lab.Response
	}
	return nil
}

// statusOf returns the status behind an error, 0 if there was no answer.
func statusOf(err error) int {
	var known *refusal
	if errors.As(err, &known) {
		return known.status
	}
	if resp := responseOf(err); resp != nil {
		return resp.StatusCode
	}
	if errors.Is(err, gitlab.ErrNotFound) {
		return http.StatusNotFound
	}
	return 0
}

// limited reports whether the forge wants fewer requests, and until when.
func limited(err error, until *time.Time) bool {
	resp := responseOf(err)
	if resp == nil {
		return false
	}
	at, ok := retryAt(resp.Header, time.Now())
	if ok && (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests) {
		*until = at
		return true
	}
	return resp.StatusCode == http.StatusTooManyRequests
}

// refusal is an error that an adapter itself knows the status of.
type refusal struct {
	text   string
	status int
}

func (e *refusal) Error() string { return e.text }
