package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

const (
	cookieName   = "penumbra_session"
	sessionLife  = 12 * time.Hour
	mostSessions = 256 // more than one person's browsers; the oldest goes first
)

// session is one browser that has shown the token.
type session struct {
	form    string // what each of its forms must carry
	created time.Time
	by      string // the name last given in a form
}

// sessions are kept in memory: a restart signs everybody out.
type sessions struct {
	token [sha256.Size]byte
	open  bool // a token was set
	now   func() time.Time

	mu  sync.Mutex
	all map[string]*session
}

func newSessions(token string, now func() time.Time) *sessions {
	return &sessions{token: sha256.Sum256([]byte(token)), open: token != "", now: now, all: map[string]*session{}}
}

// admits reports whether token is the daemon's. An empty one never is.
func (s *sessions) admits(token string) bool {
	given := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(given[:], s.token[:]) == 1 && s.open
}

// start opens a session and sets its cookie. The identifier is not the token,
// so that a cookie that leaks opens no API and ends by itself.
func (s *sessions) start(w http.ResponseWriter) {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= mostSessions {
		s.drop()
	}
	s.all[id] = &session{form: rand.Text(), created: s.now()}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: id, Path: "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// drop removes the oldest session. The lock is held.
func (s *sessions) drop() {
	oldest := ""
	for id, x := range s.all {
		if oldest == "" || x.created.Before(s.all[oldest].created) {
			oldest = id
		}
	}
	delete(s.all, oldest)
}

// find returns a copy of the request's session; ok is false if it has none.
func (s *sessions) find(r *http.Request) (found session, ok bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.all[cookie.Value]
	if x == nil {
		return session{}, false
	}
	if s.now().Sub(x.created) >= sessionLife {
		delete(s.all, cookie.Value)
		return session{}, false
	}
	return *x, true
}

// remember keeps the name that a person gave, for the next form.
func (s *sessions) remember(r *http.Request, by string) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.all[cookie.Value]; x != nil {
		x.by = by
	}
}

// end forgets the request's session.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		delete(s.all, cookie.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}
