package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/penumbra-iac/penumbra"
)

const (
	cookieName = "penumbra_session"
	// sessionLife is how long a session lasts at most, sessionIdle how long without
	// somebody asking for a page.
	sessionLife = 12 * time.Hour
	sessionIdle = 2 * time.Hour
	// turnEvery is how often a session gets another identifier, so that a cookie that
	// leaked is soon of no use.
	turnEvery = 30 * time.Minute
	// overlap is how long the identifier before still holds: a page asks for several
	// things at once.
	overlap = 30 * time.Second
	// seenEvery is how exact the last use is kept.
	seenEvery = 5 * time.Minute
)

// SessionStore keeps browsers that have signed in, so that a restart signs nobody out.
type SessionStore interface {
	SaveSession(ctx context.Context, x penumbra.Session) error
	// Session returns one, expired or not, and an error of kind NotFound if there is
	// none.
	Session(ctx context.Context, id string) (penumbra.Session, error)
	DeleteSession(ctx context.Context, id string) error // no error if there is none
	// TrimSessions forgets those that expired before a time.
	TrimSessions(ctx context.Context, before time.Time) error
}

// session is a browser that somebody has signed in with.
type session struct {
	form      string // what each of its forms must carry
	principal *penumbra.Principal
}

// sessions are the browsers. Their times are the machine's: they are of people, and no
// rehearsal's clock makes them older.
type sessions struct {
	*scs.SessionManager
	door Door
}

// The values of a session.
const (
	keyForm      = "form"
	keyPrincipal = "principal" // as JSON, as of its last turn
	keyBegan     = "began"     // times in nanoseconds since 1970
	keyTurned    = "turned"
	keySeen      = "seen"
)

func newSessions(store SessionStore, door Door) *sessions {
	// Not by New, which leaves a goroutine behind for a store that is not used.
	m := &scs.SessionManager{
		Store: kept{store}, Codec: scs.GobCodec{}, Lifetime: sessionLife,
		HashTokenInStore: true, // what is stored opens nothing
		Cookie:           scs.SessionCookie{Name: cookieName, Path: "/", SameSite: http.SameSiteStrictMode},
	}
	return &sessions{m, door}
}

// kept is the store as scs wants it.
type kept struct{ to SessionStore }

var _ scs.CtxStore = kept{}

type ownerKey struct{}

// turning marks the context of a session that only gets another identifier.
type turning struct{}

// FindCtx implements [scs.CtxStore].
func (k kept) FindCtx(ctx context.Context, id string) ([]byte, bool, error) {
	x, err := k.to.Session(ctx, id)
	switch {
	case err != nil && penumbra.KindOf(err) == penumbra.NotFound:
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return x.Data, time.Now().Before(x.Expires), nil
}

// CommitCtx implements [scs.CtxStore]. No session lives longer than it was to when it was
// kept last: one that has turned is soon over, whoever uses it meanwhile.
func (k kept) CommitCtx(ctx context.Context, id string, data []byte, expires time.Time) error {
	was, err := k.to.Session(ctx, id)
	if err != nil && penumbra.KindOf(err) != penumbra.NotFound {
		return err
	}
	if err == nil && was.Expires.Before(expires) {
		expires = was.Expires
	}
	owner, _ := ctx.Value(ownerKey{}).(string)
	return k.to.SaveSession(ctx, penumbra.Session{ID: id, Owner: owner, Data: data, Expires: expires})
}

// DeleteCtx implements [scs.CtxStore]. One that turns holds on for a moment.
func (k kept) DeleteCtx(ctx context.Context, id string) error {
	if ctx.Value(turning{}) == nil {
		return k.to.DeleteSession(ctx, id)
	}
	x, err := k.to.Session(ctx, id)
	if err != nil {
		return err
	}
	if until := time.Now().Add(overlap); until.Before(x.Expires) {
		x.Expires = until
	}
	return k.to.SaveSession(ctx, x)
}

var errNoContext = errors.New("the store of sessions needs a context")

// Find, Commit and Delete are asked for by scs and never called where there is a
// context.
func (kept) Find(string) ([]byte, bool, error)      { return nil, false, errNoContext }
func (kept) Commit(string, []byte, time.Time) error { return errNoContext }
func (kept) Delete(string) error                    { return errNoContext }

// start opens a session for who has just shown a credential. Its identifier is new,
// whatever the browser sent.
func (s *sessions) start(w http.ResponseWriter, r *http.Request, p *penumbra.Principal) error {
	now := time.Now()
	_ = s.kept().TrimSessions(r.Context(), now) // what is over opens nothing anyway
	if err := s.forget(r); err != nil {
		return err
	}
	ctx, err := s.Load(r.Context(), "")
	if err != nil {
		return err
	}
	s.Put(ctx, keyForm, rand.Text())
	s.Put(ctx, keyBegan, now.UnixNano())
	return s.save(ctx, w, r, p, now, now)
}

func (s *sessions) kept() SessionStore { return s.Store.(kept).to }

// save writes a session that turns now and was last used at a time, and its cookie.
func (s *sessions) save(ctx context.Context, w http.ResponseWriter, r *http.Request, p *penumbra.Principal, now, seen time.Time) error {
	who, err := json.Marshal(p)
	if err != nil {
		return err
	}
	s.Put(ctx, keyPrincipal, who)
	s.Put(ctx, keyTurned, now.UnixNano())
	s.Put(ctx, keySeen, seen.UnixNano())
	token, expires, err := s.Commit(context.WithValue(ctx, ownerKey{}, p.ID))
	if err != nil {
		return err
	}
	http.SetCookie(w, s.cookie(r, token, expires))
	return nil
}

// cookie is what a browser keeps: no script reads it, no other site's request sends
// it, and where the connection is encrypted it never leaves by another.
func (s *sessions) cookie(r *http.Request, token string, expires time.Time) *http.Cookie {
	c := &http.Cookie{
		Name: s.Cookie.Name, Value: token, Path: s.Cookie.Path, HttpOnly: true, SameSite: s.Cookie.SameSite, Secure: isEncrypted(r),
		Expires: expires, MaxAge: int(time.Until(expires).Seconds()),
	}
	if token == "" {
		c.Expires, c.MaxAge = time.Time{}, -1
	}
	return c
}

// isEncrypted reports whether a browser came by TLS, to us or to a proxy. Who lies
// about it gets a cookie that they cannot use.
func isEncrypted(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// at returns a time of a session.
func (s *sessions) at(ctx context.Context, key string) time.Time {
	return time.Unix(0, s.GetInt64(ctx, key))
}

func (s *sessions) token(r *http.Request) string {
	c, err := r.Cookie(s.Cookie.Name)
	if err != nil {
		return ""
	}
	return c.Value
}

// errOver is of a session that is to be ended.
var errOver = errors.New("the session is over")

// look returns the request's session, who it was at its last turn and who that is now;
// nobody if the request has none. It returns errOver if it has ended, and changes
// nothing.
func (s *sessions) look(r *http.Request) (ctx context.Context, was []byte, p *penumbra.Principal, err error) {
	token := s.token(r)
	if token == "" {
		return nil, nil, nil, nil
	}
	if ctx, err = s.Load(r.Context(), token); err != nil {
		return nil, nil, nil, err
	}
	var then penumbra.Principal
	if was = s.GetBytes(ctx, keyPrincipal); was == nil || json.Unmarshal(was, &then) != nil {
		return nil, nil, nil, nil
	}
	if time.Since(s.at(ctx, keySeen)) >= sessionIdle {
		return nil, nil, nil, errOver
	}
	p, err = s.door.Return(ctx, then, s.at(ctx, keyBegan))
	if err != nil && penumbra.KindOf(err) == penumbra.Refused {
		err = errOver
	}
	return ctx, was, p, err
}

// still returns who looks, for what goes on after its answer has begun: nobody once
// the session is over.
func (s *sessions) still(r *http.Request) (*penumbra.Principal, error) {
	_, _, p, err := s.look(r)
	if errors.Is(err, errOver) {
		return nil, nil
	}
	return p, err
}

// find returns the request's session with who it is now; ok is false if it has none.
// A session turns when what its owner may has changed, and now and then.
func (s *sessions) find(w http.ResponseWriter, r *http.Request) (found session, ok bool, err error) {
	ctx, was, p, err := s.look(r)
	if errors.Is(err, errOver) {
		return session{}, false, s.end(w, r)
	}
	if err != nil || p == nil {
		return session{}, false, err
	}
	now := time.Now()
	seen := s.at(ctx, keySeen)
	stale := now.Sub(seen) >= seenEvery
	if byPerson(r) {
		seen = now
	}
	found = session{form: s.GetString(ctx, keyForm), principal: p}
	is, err := json.Marshal(p)
	if err != nil {
		return session{}, false, err
	}
	changed := string(is) != string(was)
	switch {
	case changed || now.Sub(s.at(ctx, keyTurned)) >= turnEvery && navigates(r):
		if err := s.RenewToken(context.WithValue(ctx, turning{}, true)); err != nil {
			return session{}, false, err
		}
		s.SetDeadline(ctx, s.at(ctx, keyBegan).Add(sessionLife)) // another identifier lives no longer
		return found, true, s.save(ctx, w, r, p, now, seen)
	case stale && byPerson(r):
		s.Put(ctx, keySeen, seen.UnixNano())
		_, _, err := s.Commit(context.WithValue(ctx, ownerKey{}, p.ID))
		return found, true, err
	}
	return found, true, nil
}

// byPerson reports whether somebody asked. What a page fetches by itself, parts of it
// and the news, keeps nobody signed in who has left.
func byPerson(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "" && r.Header.Get("Accept") != "text/event-stream"
}

// navigates reports whether a request is for a page as a whole, and not for a part of
// one beside others.
func navigates(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("HX-Request") == "" && (r.Header.Get("Sec-Fetch-Dest") == "" || r.Header.Get("Sec-Fetch-Dest") == "document")
}

// end forgets the request's session, and lets the browser forget it.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, s.cookie(r, "", time.Time{}))
	return s.forget(r)
}

func (s *sessions) forget(r *http.Request) error {
	token := s.token(r)
	if token == "" {
		return nil
	}
	ctx, err := s.Load(r.Context(), token)
	if err != nil {
		return err
	}
	return s.Destroy(ctx)
}
