package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// client returns the HTTP client that the requests go through. It follows no
// redirect: it would carry the credentials to wherever an answer says.
func (c *Config) client() *http.Client {
	base := c.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	return &http.Client{
		Transport: &transport{*c, base},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return &penumbra.Error{Kind: penumbra.Invalid, What: "Prometheus sends the request elsewhere", Remedy: "give the address it names as url"}
		},
	}
}

// transport adds credentials and bounds answers.
type transport struct {
	config Config
	base   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper]. Errors that are not the network's are
// *penumbra.Error.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	c := &t.config
	switch {
	case c.TokenFile != "" || c.TokenEnv != "":
		token, err := secret("token", c.TokenFile, c.TokenEnv)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	case c.User != "":
		password, err := secret("password", c.PasswordFile, c.PasswordEnv)
		if err != nil {
			return nil, err
		}
		r.SetBasicAuth(c.User, password)
	}
	answer, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		answer.Body.Close()
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("Prometheus answers %s", answer.Status), Remedy: "check the token or the password"}
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		answer.Body.Close()
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("Prometheus answers %s", answer.Status)}
	}
	answer.Body = &bounded{answer.Body, maxAnswer}
	return answer, nil
}

// secret reads a secret from a file or else from a variable.
func secret(what, file, variable string) (string, error) {
	text, place := os.Getenv(variable), "the variable "+variable
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", &penumbra.Error{Kind: penumbra.Invalid, What: "read the " + what, Remedy: "check the path and its permissions", Err: err}
		}
		text, place = string(data), file
	}
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return "", &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the %s in %s is not one line", what, place)}
	}
	return text, nil
}

// bounded is a body that fails once more than left bytes were read.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the answer is over %d bytes", int64(maxAnswer)), Remedy: "sum over the labels that do not matter"}
	}
	return n, err
}
