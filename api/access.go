package api

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

type hostKey struct{}

// Hosts refuses requests whose Host is neither a loopback name nor one of names. A page
// on the web can make a browser resolve its own name to an address in here (DNS
// rebinding), but the browser still sends that name. It goes around all that a daemon
// answers; the handlers of this package refuse what is not loopback without it.
func Hosts(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		if !isLoopback(r.Host) && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			refuseHost(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), hostKey{}, true)))
	})
}

func refuseHost(w http.ResponseWriter) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	writeProblem(w, newProblem(http.StatusMisdirectedRequest, penumbra.Refused,
		"the Host header does not name this machine's loopback, nor one of the configured hosts", "use http://localhost or http://127.0.0.1, or list the name under hosts in penumbra.yaml; from elsewhere, forward the port with ssh"))
}

// knownHost refuses requests for another host than [Hosts] or the loopback.
func knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known, _ := r.Context().Value(hostKey{}).(bool); !known && !isLoopback(r.Host) {
			refuseHost(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is a Host header without its port, brackets and last dot.
func hostName(host string) string {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	return strings.TrimSuffix(name, ".")
}

// isLoopback reports whether a Host header names the loopback interface.
func isLoopback(host string) bool {
	name := hostName(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// An Authenticator makes sure who asks.
type Authenticator interface {
	// Authenticate returns the principal whose credential the request carries. It
	// returns an error of kind Refused if it carries none, or one that opens nothing.
	Authenticate(r *http.Request) (*penumbra.Principal, error)
}

// Local lets only requests through that are for a known host, and asks for no
// credential: for what tells nothing.
func Local(next http.Handler) http.Handler { return knownHost(plainHeaders(next)) }

// Guard lets only requests through that are for a known host and carry a
// credential: for handlers beside those of the API, such as receivers of logs.
func Guard(who Authenticator, next http.Handler) http.Handler {
	return knownHost(plainHeaders(authenticated(who, next)))
}

// authenticated refuses requests without a credential, and passes on who asks.
func authenticated(who Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := who.Authenticate(r)
		if err != nil {
			problem := problemOf(err)
			if penumbra.KindOf(err) == penumbra.Refused {
				problem.Status, problem.Title = http.StatusUnauthorized, http.StatusText(http.StatusUnauthorized)
				w.Header().Set("WWW-Authenticate", `Bearer realm="penumbra"`)
			}
			writeProblem(w, problem)
			return
		}
		ctx := context.WithValue(penumbra.WithPrincipal(r.Context(), p), againKey{}, func() (*penumbra.Principal, error) { return who.Authenticate(r) })
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

type againKey struct{}

// again makes sure anew who asks, for an answer that goes on for long: a token may be
// revoked meanwhile, and grants taken. It returns an error of kind Refused if the
// credential opens nothing any more.
func again(ctx context.Context) (*penumbra.Principal, error) {
	authenticate, ok := ctx.Value(againKey{}).(func() (*penumbra.Principal, error))
	if !ok {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "nobody has been made sure of", Remedy: "send a token"}
	}
	return authenticate()
}

// asker returns the name of who asks, as the credential says. A name given besides
// has to be the same: who believes to be somebody else is told before anything is done
// in the wrong name.
func asker(ctx context.Context, given string) (string, error) {
	p := penumbra.PrincipalOf(ctx)
	if p == nil {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "nobody has been made sure of", Remedy: "send a token"}
	}
	if given != "" && !penumbra.SamePerson(given, p.Name) {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "the request is in the name of " + given + ", and its credential is that of " + p.Name,
			Remedy: "leave the name out, or show the credential of " + given}
	}
	return p.Name, nil
}

// decider is asker for what only a person decides: a program's credential would be a
// second person in the hands of the first.
func decider(ctx context.Context, given string) (string, error) {
	name, err := asker(ctx, given)
	if p := penumbra.PrincipalOf(ctx); err == nil && p.Kind != penumbra.PersonPrincipal {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: p.Name + " is a " + string(p.Kind) + ", and this is for a person to decide",
			Remedy: "decide as a person, or let a policy approve it; see docs/policy.md"}
	}
	return name, err
}
