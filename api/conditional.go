package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
)

// polled are the routes that programs ask again and again: their answers have an ETag,
// and are not sent again while nothing is different (RFC 9110, 13.1.2).
var polled = map[string]bool{"/v1/status": true, "/v1/resources": true, "/v1/drifts": true}

// conditional gives the answers of polled routes an ETag, and answers 304 where a
// request has it already. The work is done all the same; what is saved is the transfer,
// and what the client makes of it.
func conditional(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !polled[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		whole := &wholeAnswer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(whole, r)
		if whole.status != http.StatusOK {
			w.WriteHeader(whole.status)
			_, _ = w.Write(whole.body.Bytes())
			return
		}
		tag := tagOf(whole.body.Bytes())
		w.Header().Set("ETag", tag)
		if hasTag(r.Header.Values("If-None-Match"), tag) {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(whole.body.Bytes())
	})
}

// wholeAnswer holds an answer back until all of it is there.
type wholeAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (a *wholeAnswer) WriteHeader(status int) { a.status = status }

func (a *wholeAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

// tagOf is weak: answers that differ in nothing but the time at which they were made
// have the same.
func tagOf(body []byte) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil {
		delete(members, "time")
		if told, err := json.Marshal(members); err == nil { // by name, so that it is the same each time
			body = told
		}
	}
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:8]) + `"`
}

// hasTag compares weakly, as If-None-Match asks for.
func hasTag(headers []string, tag string) bool {
	for _, header := range headers {
		for given := range strings.SplitSeq(header, ",") {
			given = strings.TrimSpace(given)
			if given == "*" || strings.TrimPrefix(given, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}
