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
	// sessionLife is how long a session lasts at most, sessionIdle how long without a
	// page being asked for.
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

// CommitCtx implements [scs.CtxStore].
func (k kept) CommitCtx(ctx context.Context, id string, data []byte, expires time.Time) error {
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
	return s.save(ctx, w, r, p, now)
}

func (s *sessions) kept() SessionStore { return s.Store.(kept).to }

// save writes a session and its cookie.
func (s *sessions) save(ctx context.Context, w http.ResponseWriter, r *http.Request, p *penumbra.Principal, now time.Time) error {
	who, err := json.Marshal(p)
	if err != nil {
		return err
	}
	s.Put(ctx, keyPrincipal, who)
	s.Put(ctx, keyTurned, now.UnixNano())
	s.Put(ctx, keySeen, now.UnixNano())
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

// find returns the request's session with who it is now; ok is false if it has none.
// A session turns when what its owner may has changed, and now and then.
func (s *sessions) find(w http.ResponseWriter, r *http.Request) (found session, ok bool, err error) {
	token := s.token(r)
	if token == "" {
		return session{}, false, nil
	}
	ctx, err := s.Load(r.Context(), token)
	if err != nil {
		return session{}, false, err
	}
	var was penumbra.Principal
	who := s.GetBytes(ctx, keyPrincipal)
	if who == nil || json.Unmarshal(who, &was) != nil {
		return session{}, false, nil
	}
	now := time.Now()
	if now.Sub(s.at(ctx, keySeen)) >= sessionIdle {
		return session{}, false, s.end(w, r)
	}
	p, err := s.door.Return(ctx, was, s.at(ctx, keyBegan))
	if err != nil && penumbra.KindOf(err) == penumbra.Refused {
		return session{}, false, s.end(w, r)
	}
	if err != nil {
		return session{}, false, err
	}
	found = session{form: s.GetString(ctx, keyForm), principal: p}
	is, err := json.Marshal(p)
	if err != nil {
		return session{}, false, err
	}
	changed := string(is) != string(who)
	switch {
	case changed || now.Sub(s.at(ctx, keyTurned)) >= turnEvery && navigates(r):
		if err := s.RenewToken(context.WithValue(ctx, turning{}, true)); err != nil {
			return session{}, false, err
		}
		s.SetDeadline(ctx, s.at(ctx, keyBegan).Add(sessionLife)) // another identifier lives no longer
		return found, true, s.save(ctx, w, r, p, now)
	case now.Sub(s.at(ctx, keySeen)) >= seenEvery && r.Header.Get("Accept") != "text/event-stream": // which a page asks for by itself
		s.Put(ctx, keySeen, now.UnixNano())
		_, _, err := s.Commit(context.WithValue(ctx, ownerKey{}, p.ID))
		return found, true, err
	}
	return found, true, nil
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
