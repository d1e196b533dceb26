package web

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Door makes sure who looks. Its errors are of kind Refused where a credential opens
// nothing.
type Door interface {
	// Enter returns the principal whose token it is, shown from an address.
	Enter(ctx context.Context, token, from string) (*penumbra.Principal, error)
	// SignIn returns the principal of a name and its password, asked for from an
	// address. It returns an error of kind Unavailable if too many were tried.
	SignIn(ctx context.Context, name, password, from string) (*penumbra.Principal, error)
	// Return returns who signed in at a time as they are now.
	Return(ctx context.Context, p penumbra.Principal, since time.Time) (*penumbra.Principal, error)
	// SignOut ends all sessions of who asks.
	SignOut(ctx context.Context) error
}

// A Founder makes the first admin.
type Founder interface {
	// Invited reports whether an invitation still holds.
	Invited(secret string) bool
	// SetUp makes the first admin with it, once, and signs them in.
	SetUp(ctx context.Context, secret, name, password, from string) (*penumbra.Principal, error)
}

// mostCredential bounds a form with a credential, in bytes.
const mostCredential = 64 << 10

// signinPage is what stands on the page that asks who it is.
type signinPage struct {
	Title, Problem string
	Name           string // typed before
	Back           string // where to go then
	Key            string // of an invitation
	Providers      []Provider
}

// from is the address that a request comes from, without its port.
func from(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// ask asks who it is, and why again.
func (s *site) ask(w http.ResponseWriter, r *http.Request, err error) {
	p := signinPage{Title: "Sign in", Name: r.PostForm.Get("name"), Back: r.PostForm.Get("back"), Providers: s.providers}
	if r.Method == http.MethodGet && r.URL.Path != "/signin" {
		p.Back = r.URL.RequestURI()
	}
	status := http.StatusUnauthorized
	if err != nil {
		f := failureOf(err)
		p.Problem = f.What + ": " + f.Remedy
		switch penumbra.KindOf(err) {
		case penumbra.Refused, penumbra.Invalid:
		case penumbra.Unavailable:
			status = http.StatusTooManyRequests
		default:
			status = http.StatusServiceUnavailable
		}
	}
	s.show(w, status, "signin.html", p)
}

// enter opens a session for whom a credential stands, or asks again.
func (s *site) enter(w http.ResponseWriter, r *http.Request, back string, p *penumbra.Principal, err error) {
	if err == nil {
		err = s.sessions.start(w, r, p)
	}
	if err != nil {
		s.ask(w, r, err)
		return
	}
	http.Redirect(w, r, onSite(back), http.StatusSeeOther)
}

// signIn takes a name with a password, or a token.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostCredential)
	if err := r.ParseForm(); err != nil {
		s.ask(w, r, &penumbra.Error{Kind: penumbra.Invalid, What: "the form could not be read", Remedy: "send it again"})
		return
	}
	var p *penumbra.Principal
	var err error
	if token := r.PostForm.Get("token"); token != "" {
		p, err = s.door.Enter(r.Context(), token, from(r))
	} else {
		p, err = s.door.SignIn(r.Context(), r.PostForm.Get("name"), r.PostForm.Get("password"), from(r))
	}
	s.enter(w, r, r.PostForm.Get("back"), p, err)
}

// admit opens a session for the token in an address, and takes it out of that.
func (s *site) admit(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p, err := s.door.Enter(r.Context(), query.Get("token"), from(r))
	query.Del("token")
	r.URL.RawQuery = query.Encode() // nor is it to be in the form that asks again
	s.enter(w, r, localURL(r.URL.Path, query), p, err)
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request, _ session) error {
	if r.PostForm.Get("everywhere") == "yes" {
		if err := s.door.SignOut(r.Context()); err != nil {
			return err
		}
	}
	if err := s.sessions.end(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// setUp asks for the first admin, whom the link of the first start lets make.
func (s *site) setUp(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	if !s.founder.Invited(key) {
		s.ask(w, r, &penumbra.Error{Kind: penumbra.Refused, What: "the link was used, or is over", Remedy: "sign in, or start `penumbra serve` again for another"})
		return
	}
	s.show(w, http.StatusOK, "setup.html", signinPage{Title: "Make the first admin", Key: key})
}

// found makes the first admin, and signs them in.
func (s *site) found(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostCredential)
	if err := r.ParseForm(); err != nil {
		s.ask(w, r, &penumbra.Error{Kind: penumbra.Invalid, What: "the form could not be read", Remedy: "follow the link again"})
		return
	}
	key, name, password := r.PostForm.Get("key"), r.PostForm.Get("name"), r.PostForm.Get("password")
	var p *penumbra.Principal
	var err error
	if password != r.PostForm.Get("again") {
		err = &penumbra.Error{Kind: penumbra.Invalid, What: "the two passwords differ", Remedy: "type them again"}
	} else {
		p, err = s.founder.SetUp(r.Context(), key, name, password, from(r))
	}
	if err != nil && s.founder.Invited(key) {
		f := failureOf(err)
		s.show(w, http.StatusUnprocessableEntity, "setup.html", signinPage{Title: "Make the first admin", Key: key, Name: name, Problem: f.What + ": " + f.Remedy})
		return
	}
	s.enter(w, r, "/", p, err)
}
