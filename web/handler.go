package web

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

//go:embed templates/*.html
var templateFiles embed.FS

// policy lets a page load and send to this origin only; without 'unsafe-inline'
// no markup that slipped through could run.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// site holds what the pages need.
type site struct {
	service   Service
	about     About
	door      Door
	founder   Founder
	providers []Provider
	sessions  *sessions
	streams   *streams
	now       func() time.Time
	templates *template.Template
}

// Entrance is how people come in.
type Entrance struct {
	Door     Door
	Founder  Founder
	Sessions SessionStore
	// Providers are where people may sign in elsewhere, in the order of the page.
	Providers []Provider
}

// Handler returns the pages of a service. A browser signs in once: by name and
// password, or with a token, as "?token=" or in the form.
func Handler(s Service, in Entrance, about About, now func() time.Time) *Pages {
	w := &site{service: s, door: in.Door, founder: in.Founder, providers: in.Providers, about: about, streams: newStreams(), sessions: newSessions(in.Sessions, in.Door), now: now}
	w.templates = template.Must(template.New("").Funcs(functions(now)).ParseFS(templateFiles, "templates/*.html"))

	mux := newRoutes()
	mux.HandleFunc("GET /{$}", w.signedIn(w.overview))
	mux.HandleFunc("GET /drifts", w.signedIn(w.drifts))
	mux.HandleFunc("GET /drift", w.signedIn(w.drift))
	mux.HandleFunc("GET /proposal", w.signedIn(w.proposal))
	mux.HandleFunc("GET /resources", w.signedIn(w.resources))
	mux.HandleFunc("GET /resource", w.signedIn(w.resource))
	mux.HandleFunc("GET /anomalies", w.signedIn(w.anomalyList))
	mux.HandleFunc("GET /anomaly", w.signedIn(w.anomaly))
	mux.HandleFunc("GET /runs", w.signedIn(w.runs))
	mux.HandleFunc("GET /run", w.signedIn(w.run))
	mux.HandleFunc("GET /model", w.signedIn(w.model))
	mux.HandleFunc("GET /sources", w.signedIn(w.sources))
	mux.HandleFunc("GET /notifications", w.signedIn(w.notifications))
	mux.HandleFunc("POST /notifications/test", w.form(w.testChannel))
	mux.HandleFunc("POST /notifications/resend", w.form(w.resendNotice))
	mux.HandleFunc("GET /freezes", w.signedIn(w.freezes))
	mux.HandleFunc("GET /knowledge", w.signedIn(w.knowledge))
	mux.HandleFunc("GET /settings", w.signedIn(w.settings))
	mux.HandleFunc("GET /audit", w.signedIn(w.audit))
	mux.HandleFunc("POST /audit", w.form(w.verifyAudit))
	mux.HandleFunc("POST /approve", w.form(w.approve))
	mux.HandleFunc("POST /reject", w.form(w.reject))
	mux.HandleFunc("POST /acknowledge", w.form(w.acknowledge))
	mux.HandleFunc("POST /rollback", w.form(w.rollback))
	mux.HandleFunc("POST /customize", w.form(w.customize))
	mux.HandleFunc("POST /adopt", w.form(w.adoptPart))
	mux.HandleFunc("POST /snooze", w.form(w.postpone(s.Snooze)))
	mux.HandleFunc("POST /accept", w.form(w.postpone(s.Accept)))
	mux.HandleFunc("GET /people", w.signedIn(w.people))
	mux.HandleFunc("POST /people", w.form(w.addPerson))
	mux.HandleFunc("POST /people/change", w.form(w.changePerson))
	mux.HandleFunc("POST /tokens", w.form(w.addToken))
	mux.HandleFunc("POST /tokens/revoke", w.form(w.revokeToken))
	mux.HandleFunc("POST /freeze", w.form(w.freeze))
	mux.HandleFunc("POST /unfreeze", w.form(w.unfreeze))
	mux.HandleFunc("GET /account", w.signedIn(w.account))
	mux.HandleFunc("POST /account/password", w.form(w.changePassword))
	mux.HandleFunc("POST /signout", w.form(w.signOut))
	mux.HandleFunc("GET /signin", func(rw http.ResponseWriter, r *http.Request) { w.ask(rw, r, nil) })
	mux.HandleFunc("POST /signin", w.signIn)
	mux.HandleFunc("POST /oidc/{provider}", w.leave)
	mux.HandleFunc("GET /oidc/{provider}/callback", w.comeBack)
	mux.HandleFunc("GET /setup", w.setUp)
	mux.HandleFunc("POST /setup", w.found)
	mux.HandleFunc("GET /news", w.signedIn(w.news))
	mux.HandleFunc("POST /theme", w.form(w.theme))
	mux.Handle("GET /assets/", assets())
	mux.HandleFunc("/", w.signedIn(func(rw http.ResponseWriter, r *http.Request, sess session) error {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no page " + r.URL.Path, Remedy: "go to the overview"}
	}))
	return &Pages{headers(http.NewCrossOriginProtection().Handler(mux)), mux}
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// A page answers a request of a session, or returns why it cannot.
type page func(w http.ResponseWriter, r *http.Request, sess session) error

// signedIn lets a page be seen with a session. A token in the query opens one
// and is taken out of the address at once.
func (s *site) signedIn(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("token") && r.Method == http.MethodGet {
			s.admit(w, r)
			return
		}
		sess, ok, err := s.sessions.find(w, r)
		if err != nil || !ok {
			s.ask(w, r, err)
			return
		}
		r = r.WithContext(penumbra.WithPrincipal(r.Context(), sess.principal))
		if err := s.reach(r); err != nil {
			s.fail(w, r, sess, err)
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

// onSite is an address that a form names, on this site.
func onSite(back string) string {
	u, err := url.Parse(back)
	if err != nil {
		return "/"
	}
	return localURL(u.Path, u.Query())
}

// mostForm bounds a form in bytes: one may carry files of code.
const mostForm = 4 << 20

// form lets a change through if the form is one of this session's.
func (s *site) form(p page) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, sess session) error {
		r.Body = http.MaxBytesReader(w, r.Body, mostForm)
		if err := r.ParseForm(); err != nil {
			return &penumbra.Error{Kind: penumbra.Invalid, What: "read the form", Err: err}
		}
		if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("form")), []byte(sess.form)) != 1 {
			return &penumbra.Error{Kind: penumbra.Refused, What: "the form is not one of this session's", Remedy: "go back, load the page again and repeat it"}
		}
		return p(w, r, sess)
	})
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
	s.show(w, status, "failure.html", s.frame(r, "Not done", sess, failureOf(err)))
}
