package web

import (
	"context"
	"net/http"
	"net/url"

	"github.com/penumbra-iac/penumbra"
)

// A Provider lets people sign in elsewhere.
type Provider interface {
	// Name is what it is called on the page and in addresses.
	Name() string
	// Begin returns where to send a browser, and what the same browser has to bring back.
	Begin(ctx context.Context) (to, state string, err error)
	// Finish returns who came back with the query of an answer, to the browser that
	// holds a state, from an address. It returns an error of kind Refused if they may
	// not be in.
	Finish(ctx context.Context, state string, query url.Values, from string) (*penumbra.Principal, error)
}

const (
	// stateCookie binds a sign-in elsewhere to the browser that began it.
	stateCookie = "penumbra_signin"
	stateLife   = 600 // seconds
)

func (s *site) provider(r *http.Request) (Provider, error) {
	for _, p := range s.providers {
		if p.Name() == r.PathValue("provider") {
			return p, nil
		}
	}
	return nil, &penumbra.Error{Kind: penumbra.Refused, What: "there is no such provider", Remedy: "choose one that the page offers"}
}

// leave sends the browser to a provider. It takes a form and no link, so that no other
// site can begin a sign-in.
func (s *site) leave(w http.ResponseWriter, r *http.Request) {
	p, err := s.provider(r)
	var to, state string
	if err == nil {
		to, state, err = p.Begin(r.Context())
	}
	if err != nil {
		s.ask(w, r, err)
		return
	}
	http.SetCookie(w, s.stateCookie(r, state, stateLife))
	// Not by a redirect: the pages' forms lead to this site alone, on the way too.
	s.show(w, http.StatusOK, "onward.html", onward{"Signing in", "You are sent to " + p.Name() + ".", to})
}

// onward is a page that leads to another at once.
type onward struct{ Title, Text, To string }

// stateCookie is Lax: the way back is from another site.
func (s *site) stateCookie(r *http.Request, state string, age int) *http.Cookie {
	return &http.Cookie{Name: stateCookie, Value: state, Path: "/oidc/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: isEncrypted(r)}
}

// comeBack takes the answer of a provider.
func (s *site) comeBack(w http.ResponseWriter, r *http.Request) {
	state := ""
	if c, err := r.Cookie(stateCookie); err == nil {
		state = c.Value
	}
	http.SetCookie(w, s.stateCookie(r, "", -1))
	p, err := s.provider(r)
	var who *penumbra.Principal
	if err == nil {
		who, err = p.Finish(r.Context(), state, r.URL.Query(), from(r))
	}
	if err == nil {
		err = s.sessions.start(w, r, who)
	}
	if err != nil {
		s.ask(w, r, err)
		return
	}
	// Not by a redirect: the browser came from another site, and would keep the
	// session's cookie back on the way that began there.
	s.show(w, http.StatusOK, "onward.html", onward{"Signed in", "You are signed in.", "/"})
}
