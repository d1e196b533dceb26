package web

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// policy lets a page load and send to this origin only; without 'unsafe-inline'
// no markup that slipped through could run.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// site holds what the pages need.
type site struct {
	service   Service
	sessions  *sessions
	now       func() time.Time
	templates *template.Template
}

// Handler returns the pages of a service. A browser signs in once with the
// token, as "?token=" or in the form; with an empty token nobody can.
func Handler(s Service, token string, now func() time.Time) http.Handler {
	w := &site{service: s, sessions: newSessions(token, now), now: now}
	w.templates = template.Must(template.New("").Funcs(functions(now)).ParseFS(templateFiles, "templates/*.html"))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", w.signedIn(w.overview))
	mux.HandleFunc("GET /resource", w.signedIn(w.resource))
	mux.HandleFunc("GET /drift", w.signedIn(w.drift))
	mux.HandleFunc("GET /proposal", w.signedIn(w.proposal))
	mux.HandleFunc("GET /run", w.signedIn(w.run))
	mux.HandleFunc("POST /approve", w.form(w.approve))
	mux.HandleFunc("POST /reject", w.form(w.reject))
	mux.HandleFunc("POST /acknowledge", w.form(w.acknowledge))
	mux.HandleFunc("POST /rollback", w.form(w.rollback))
	mux.HandleFunc("POST /signout", w.form(w.signOut))
	mux.HandleFunc("POST /signin", w.signIn)
	mux.Handle("GET /assets/", assets())
	mux.HandleFunc("/", w.signedIn(func(rw http.ResponseWriter, r *http.Request, sess session) error {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no page " + r.URL.Path, Remedy: "go to the overview"}
	}))
	return headers(http.NewCrossOriginProtection().Handler(mux))
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// assets serves the embedded files, without listing them.
func assets() http.Handler {
	sub, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the folder is fixed at compile time
	}
	files := http.StripPrefix("/assets/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
}

// A page answers a request of a session, or returns why it cannot.
type page func(w http.ResponseWriter, r *http.Request, sess session) error

// signedIn lets a page be seen with a session. A token in the query opens one
// and is taken out of the address at once.
func (s *site) signedIn(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("token") && r.Method == http.MethodGet {
			if !s.sessions.admits(query.Get("token")) {
				s.askToken(w, "That token is not this daemon's.")
				return
			}
			s.sessions.start(w)
			query.Del("token")
			http.Redirect(w, r, localURL(r.URL.Path, query), http.StatusSeeOther)
			return
		}
		sess, ok := s.sessions.find(r)
		if !ok {
			s.askToken(w, "")
			return
		}
		if err := p(w, r, sess); err != nil {
			s.fail(w, r, sess, err)
		}
	}
}

// localURL is an address on this site: a path with two leading slashes would
// be another one.
func localURL(path string, query url.Values) string {
	u := url.URL{Path: "/" + strings.TrimLeft(path, "/\\"), RawQuery: query.Encode()}
	return u.String()
}

// form lets a change through if the form is one of this session's.
func (s *site) form(p page) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, sess session) error {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := r.ParseForm(); err != nil {
			return &penumbra.Error{Kind: penumbra.Invalid, What: "read the form", Err: err}
		}
		if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("form")), []byte(sess.form)) != 1 {
			return &penumbra.Error{Kind: penumbra.Refused, What: "the form is not one of this session's", Remedy: "go back, load the page again and repeat it"}
		}
		return p(w, r, sess)
	})
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil || !s.sessions.admits(r.PostForm.Get("token")) {
		s.askToken(w, "That token is not this daemon's.")
		return
	}
	s.sessions.start(w)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request, _ session) error {
	s.sessions.end(w, r)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (s *site) askToken(w http.ResponseWriter, problem string) {
	s.show(w, http.StatusUnauthorized, "signin.html", map[string]any{"Title": "Sign in", "Problem": problem})
}

// frame is what every page has around its own data.
type frame struct {
	Title   string
	Form    string
	By      string
	Refresh int // seconds until the page loads itself again, 0 for never
	Now     time.Time
	Data    any
}

func (s *site) frame(title string, sess session, data any) frame {
	return frame{Title: title, Form: sess.form, By: sess.by, Now: s.now(), Data: data}
}

// show renders into memory first, so that an error never leaves half a page.
func (s *site) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "this page could not be made: "+penumbra.Redact(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// failure is what a person is told of an error.
type failure struct {
	What, Remedy, Kind string
}

func failureOf(err error) failure {
	var e *penumbra.Error
	if !errors.As(err, &e) {
		return failure{What: penumbra.Redact(err.Error()), Kind: penumbra.Internal.String()}
	}
	what := e.What
	if e.Err != nil {
		what += ": " + e.Err.Error()
	}
	return failure{What: penumbra.Redact(what), Remedy: penumbra.Redact(e.Remedy), Kind: e.Kind.String()}
}

// fail shows an error as a page. Programs ask the API for exact statuses; here
// it only matters whether the request, the state of things or the daemon is
// the reason.
func (s *site) fail(w http.ResponseWriter, r *http.Request, sess session, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return
	}
	status := http.StatusInternalServerError
	switch penumbra.KindOf(err) {
	case penumbra.NotFound:
		status = http.StatusNotFound
	case penumbra.Invalid:
		status = http.StatusUnprocessableEntity
	case penumbra.Refused:
		status = http.StatusForbidden
	case penumbra.Stale:
		status = http.StatusConflict
	case penumbra.Unavailable, penumbra.Locked:
		status = http.StatusServiceUnavailable
	}
	s.show(w, status, "failure.html", s.frame("Not done", sess, failureOf(err)))
}
