package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// loopbackOnly refuses requests whose Host is not a loopback name. A page on
// the web can make a browser resolve its own name to 127.0.0.1 (DNS
// rebinding), but the browser still sends that name.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			writeProblem(w, newProblem(http.StatusMisdirectedRequest, penumbra.Refused,
				"the Host header does not name this machine's loopback", "use http://localhost or http://127.0.0.1; from elsewhere, forward the port with ssh"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a Host header names the loopback interface.
func isLoopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	if strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// withToken refuses requests without the bearer token. Digests are compared,
// so that neither content nor length of the token shows in the time it takes.
// An empty token opens nothing.
func withToken(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(given))
		same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
		if token == "" || !strings.EqualFold(scheme, "Bearer") || !same {
			w.Header().Set("WWW-Authenticate", `Bearer realm="penumbra"`)
			writeProblem(w, newProblem(http.StatusUnauthorized, penumbra.Refused,
				"the request carries no valid token", "send the daemon's token as \"Authorization: Bearer ...\""))
			return
		}
		next.ServeHTTP(w, r)
	})
}
