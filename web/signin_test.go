package web

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// house is a Door, a Founder and a SessionStore in memory. It knows carol, by one token
// and by one password.
type house struct {
	token, password, key string

	mu       sync.Mutex
	sessions map[string]penumbra.Session
	grants   []penumbra.Grant // carol's
	out      bool             // carol may not be in
	busy     error            // of the store
}

func carol() *penumbra.Principal {
	return &penumbra.Principal{ID: "user:carol", Name: "carol", Kind: penumbra.PersonPrincipal, Grants: []penumbra.Grant{{Role: penumbra.Admin, Values: true, Logs: true}}, Via: "password"}
}

func newHouse(token string) *house {
	return &house{token: token, password: "correct horse battery", key: "the-link", sessions: map[string]penumbra.Session{}, grants: carol().Grants}
}

func (h *house) entrance() Entrance { return Entrance{Door: h, Founder: h, Sessions: h} }

// entrance is that of a house of its own.
func entrance(token string) Entrance { return newHouse(token).entrance() }

func (h *house) carol(ok bool) (*penumbra.Principal, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !ok || h.out {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "that opens nothing", Remedy: "take another"}
	}
	p := carol()
	p.Grants = h.grants
	return p, nil
}

func (h *house) Enter(_ context.Context, secret, _ string) (*penumbra.Principal, error) {
	return h.carol(h.token != "" && secret == h.token)
}

func (h *house) SignIn(_ context.Context, name, password, from string) (*penumbra.Principal, error) {
	if from == "" || strings.Contains(from, ":1234") {
		return nil, &penumbra.Error{Kind: penumbra.Internal, What: "from nowhere"}
	}
	if name == "eager" {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "too many sign-ins failed", Remedy: "wait"}
	}
	return h.carol(name == "carol" && password == h.password)
}

func (h *house) Return(_ context.Context, p penumbra.Principal, since time.Time) (*penumbra.Principal, error) {
	return h.carol(p.ID == "user:carol" && !since.IsZero())
}

func (h *house) SignOut(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, x := range h.sessions {
		if x.Owner == penumbra.PrincipalOf(ctx).ID {
			delete(h.sessions, id)
		}
	}
	return nil
}

func (h *house) Invited(secret string) bool { return h.key != "" && secret == h.key }

func (h *house) SetUp(_ context.Context, secret, name, password, _ string) (*penumbra.Principal, error) {
	if !h.Invited(secret) {
		return h.carol(false)
	}
	if len(password) < 12 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "the password is short", Remedy: "take another"}
	}
	h.key = ""
	return h.carol(name == "carol")
}

func (h *house) SaveSession(_ context.Context, x penumbra.Session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy != nil {
		return h.busy
	}
	h.sessions[x.ID] = x
	return nil
}

func (h *house) Session(_ context.Context, id string) (penumbra.Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy != nil {
		return penumbra.Session{}, h.busy
	}
	x, ok := h.sessions[id]
	if !ok {
		return x, &penumbra.Error{Kind: penumbra.NotFound, What: "no session"}
	}
	return x, nil
}

func (h *house) DeleteSession(_ context.Context, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, id)
	return nil
}

func (h *house) TrimSessions(_ context.Context, before time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, x := range h.sessions {
		if x.Expires.Before(before) {
			delete(h.sessions, id)
		}
	}
	return nil
}

// keep is what a browser does with the cookies of an answer.
func (v *visitor) keep(w *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	for _, c := range w.Result().Cookies() {
		if c.Name != cookieName {
			continue
		}
		if v.cookie = c; c.MaxAge < 0 {
			v.cookie = nil
		}
	}
	return w
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(testToken)
	v := &visitor{t: t, handler: Handler(newShop(t), h.entrance(), about, clock)}
	w := v.send("GET", "/resource?address=a%2Fb&token="+testToken, nil)
	if got := w.Header().Get("Location"); w.Code != 303 || got != "/resource?address=a%2Fb" {
		t.Errorf("%d to %q", w.Code, got)
	}
	if got := v.send("GET", "//evil.example/?token="+testToken, nil).Header().Get("Location"); strings.HasPrefix(got, "//") || strings.Contains(got, ":") {
		t.Errorf("it leads to %q", got)
	}
	if w := v.send("GET", "/drifts?token=wrong&x=1", nil); w.Code != 401 || strings.Contains(w.Body.String(), "wrong") || !strings.Contains(w.Body.String(), "/drifts?x=1") {
		t.Errorf("a wrong token answers %d %s", w.Code, w.Body)
	}
	if w := v.send("GET", "/signin", nil); w.Code != 401 || len(all(parse(t, w), "form", "action=/signin")) != 2 {
		t.Errorf("the page itself answers %d", w.Code)
	}
	for _, tc := range []struct {
		form   url.Values
		status int
		to     string
	}{
		{url.Values{"token": {testToken}}, 303, "/"},
		{url.Values{"token": {testToken}, "back": {"/drift?id=d-db"}}, 303, "/drift?id=d-db"},
		{url.Values{"token": {testToken}, "back": {"https://evil.example/x"}}, 303, "/x"},
		{url.Values{"token": {testToken}, "back": {"//evil.example/x"}}, 303, "/x"},
		{url.Values{"token": {testToken}, "back": {`/\\evil.example`}}, 303, "/evil.example"},
		{url.Values{"token": {"wrong"}}, 401, ""},
		{url.Values{"name": {"carol"}, "password": {h.password}}, 303, "/"},
		{url.Values{"name": {"carol"}, "password": {"wrong"}}, 401, ""},
		{url.Values{"name": {hostile}, "password": {"wrong"}}, 401, ""},
		{url.Values{"name": {"eager"}, "password": {"wrong"}}, 429, ""},
		{url.Values{}, 401, ""},
	} {
		w := v.send("POST", "/signin", tc.form)
		if w.Code != tc.status || w.Header().Get("Location") != tc.to || (tc.status == 303) != (len(w.Result().Cookies()) == 1) {
			t.Errorf("%v answers %d to %q with %v", tc.form, w.Code, w.Header().Get("Location"), w.Result().Cookies())
		}
		if tc.status != 303 {
			doc := parse(t, w)
			checkNothingRuns(t, "/signin", doc)
			if strings.Contains(w.Body.String(), ">wrong<") || attr(all(doc, "input", "name=name")[0], "value") != tc.form.Get("name") {
				t.Errorf("%v: the page shows %s", tc.form, w.Body)
			}
		}
	}
	nobody := &visitor{t: t, handler: Handler(newShop(t), entrance(""), about, clock)}
	for _, target := range []string{"/?token=", "/?token=x"} {
		if w := nobody.send("GET", target, nil); w.Code != 401 {
			t.Errorf("with an empty token %s answers %d", target, w.Code)
		}
	}
	r := httptest.NewRequest("POST", "/signin", strings.NewReader("token="+testToken))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	cross := httptest.NewRecorder()
	v.handler.ServeHTTP(cross, r)
	if cross.Code != http.StatusForbidden {
		t.Errorf("another site's form answers %d", cross.Code)
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	h := newHouse(testToken)
	handler := Handler(newShop(t), h.entrance(), about, clock)
	for _, secure := range []bool{false, true} {
		r := httptest.NewRequest("GET", "/?token="+testToken, nil)
		if secure {
			r.TLS = &tls.ConnectionState{}
		}
		// Who sets a cookie before the sign-in does not know the one after it.
		r.AddCookie(&http.Cookie{Name: cookieName, Value: "fixed"})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		c := w.Result().Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != secure || c.Path != "/" || c.Domain != "" || c.Value == testToken || c.Value == "fixed" || len(c.Value) < 40 {
			t.Errorf("cookie %v", c)
		}
		for id, x := range h.sessions {
			if strings.Contains(id, c.Value) || strings.Contains(string(x.Data), c.Value) || x.Owner != "user:carol" {
				t.Errorf("what is stored opens: %+v", x)
			}
		}
	}
}

// TestSessions walks through a session's life. Its times are the machine's.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(testToken)
		start := func() *visitor { // as after a restart: nothing but the store is kept
			return &visitor{t: t, handler: Handler(newShop(t), h.entrance(), about, clock)}
		}
		in := func(v *visitor) bool { return v.keep(v.send("GET", "/", nil)).Code == http.StatusOK }
		enter := func() *visitor {
			v := start()
			v.keep(v.send("GET", "/?token="+testToken, nil))
			return v
		}
		v := enter()
		again := start()
		again.cookie = v.cookie
		if !in(again) {
			t.Error("a restart signs everybody out")
		}

		// It turns now and then, when a page is asked for as a whole.
		first := v.cookie
		time.Sleep(turnEvery)
		part := httptest.NewRequest("GET", "/", nil)
		part.Header.Set("HX-Request", "true")
		part.AddCookie(v.cookie)
		w := httptest.NewRecorder()
		v.handler.ServeHTTP(w, part)
		if w.Code != 200 || strings.Contains(strings.Join(w.Header().Values("Set-Cookie"), " "), cookieName) {
			t.Errorf("a part of a page: %d %v", w.Code, w.Result().Cookies())
		}
		if !in(v) || v.cookie.Value == first.Value {
			t.Error("the session did not turn")
		}
		old := start()
		old.cookie = first
		if w := old.send("POST", "/acknowledge", url.Values{}); w.Code != http.StatusForbidden { // in, without the form's token
			t.Errorf("what a page asks for beside it answers %d", w.Code)
		}
		time.Sleep(overlap + time.Second)
		if in(old) {
			t.Error("the identifier before still opens")
		}
		if !in(v) {
			t.Error("the new one does not")
		}

		// It turns when what its owner may has changed.
		before := v.cookie.Value
		h.grants = []penumbra.Grant{{Role: penumbra.Viewer}}
		if !in(v) || v.cookie.Value == before {
			t.Error("fewer rights, and the session did not turn")
		}

		// It ends when nobody asks, and after twelve hours at the latest.
		time.Sleep(sessionIdle)
		if in(v) || v.cookie != nil {
			t.Error("an idle session is open")
		}
		v = enter()
		for range int(sessionLife/time.Hour) - 1 {
			time.Sleep(time.Hour)
			if !in(v) {
				t.Fatal("a session in use is over")
			}
		}
		time.Sleep(time.Hour)
		if in(v) {
			t.Error("an old session is open")
		}

		// It ends when its owner may not be in.
		v = enter()
		h.out = true
		if in(v) {
			t.Error("who may not be in is")
		}
		h.out = false

		// It ends when somebody signs out, here or everywhere.
		v = enter()
		form := attr(all(v.page("/"), "input", "name=form")[0], "value")
		other, third := enter(), enter()
		if w := other.send("POST", "/signout", url.Values{"form": {form}}); w.Code != 403 {
			t.Errorf("the form of another session answers %d", w.Code)
		}
		kept := *v.cookie
		v.keep(v.send("POST", "/signout", url.Values{"form": {form}}))
		if v.cookie != nil {
			t.Error("the browser keeps its cookie")
		}
		if v.cookie = &kept; in(v) {
			t.Error("who signed out is in")
		}
		if !in(other) {
			t.Error("another browser was signed out too")
		}
		other.send("POST", "/signout", url.Values{"everywhere": {"yes"}, "form": {attr(all(other.page("/"), "input", "name=form")[0], "value")}})
		if in(third) {
			t.Error("signed out everywhere, but not there")
		}

		// What cannot be looked up now is not called over.
		v = enter()
		h.busy = &penumbra.Error{Kind: penumbra.Locked, What: "the store is locked", Remedy: "wait"}
		if w := v.send("GET", "/", nil); w.Code != http.StatusServiceUnavailable || len(w.Result().Cookies()) != 0 {
			t.Errorf("with a locked store: %d %v", w.Code, w.Result().Cookies())
		}
		if h.busy = nil; !in(v) {
			t.Error("a store that was locked ended the session")
		}
	})
}

func TestSetUp(t *testing.T) {
	t.Parallel()
	h := newHouse("")
	v := &visitor{t: t, handler: Handler(newShop(t), h.entrance(), about, clock)}
	for _, target := range []string{"/setup", "/setup?key=", "/setup?key=wrong"} {
		if w := v.send("GET", target, nil); w.Code != 401 || len(all(parse(t, w), "form", "action=/setup")) != 0 {
			t.Errorf("%s answers %d", target, w.Code)
		}
	}
	if w := v.send("GET", "/setup?key=the-link", nil); w.Code != 200 || attr(one(t, parse(t, w), "input", "name=key"), "value") != "the-link" {
		t.Errorf("the link answers %d", w.Code)
	}
	good := url.Values{"key": {"the-link"}, "name": {"carol"}, "password": {"a long password"}, "again": {"a long password"}}
	for what, change := range map[string][2]string{"another key": {"key", "x"}, "a typing mistake": {"again", "a lnog password"}, "a short password": {"password", "short"}} {
		form := url.Values{}
		for k, x := range good {
			form[k] = x
		}
		form.Set(change[0], change[1])
		if change[0] == "password" {
			form.Set("again", change[1])
		}
		if w := v.send("POST", "/setup", form); w.Code == 303 || len(w.Result().Cookies()) != 0 || strings.Contains(w.Body.String(), "a long password") {
			t.Errorf("%s answers %d %s", what, w.Code, w.Body)
		}
	}
	if w := v.keep(v.send("POST", "/setup", good)); w.Code != 303 || v.cookie == nil {
		t.Fatalf("the form answers %d %s", w.Code, w.Body)
	}
	v.page("/")
	v.cookie = nil
	if w := v.send("POST", "/setup", good); w.Code != 401 {
		t.Errorf("the second time it answers %d", w.Code)
	}
}

// elsewhere is a Provider that vouches for carol to the browser that it sent away.
type elsewhere struct{ state string }

func (e *elsewhere) Name() string { return "corp" }

func (e *elsewhere) Begin(context.Context) (to, state string, err error) {
	if e.state == "" {
		return "", "", &penumbra.Error{Kind: penumbra.Unavailable, What: "ask https://id.example what it is", Remedy: "try again"}
	}
	return "https://id.example/auth?a=1&state=" + e.state, e.state, nil
}

func (e *elsewhere) Finish(_ context.Context, state string, query url.Values, from string) (*penumbra.Principal, error) {
	if state != e.state || query.Get("state") != e.state || from != "192.0.2.1" {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "the sign-in was not begun in this browser", Remedy: "sign in again"}
	}
	return carol(), nil
}

func TestSignInElsewhere(t *testing.T) {
	t.Parallel()
	h, e := newHouse(""), &elsewhere{state: "the-state"}
	in := h.entrance()
	in.Providers = []Provider{e}
	v := &visitor{t: t, handler: Handler(newShop(t), in, about, clock)}
	page := parse(t, v.send("GET", "/", nil))
	if got := text(one(t, page, "form", "action=/oidc/corp")); !strings.Contains(got, "Sign in with corp") {
		t.Errorf("the page offers %q", got)
	}
	// A link cannot begin it, and another provider's name leads nowhere.
	if w := v.send("GET", "/oidc/corp", nil); w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) != 0 {
		t.Errorf("a link answers %d %v", w.Code, w.Result().Cookies())
	}
	if w := v.send("POST", "/oidc/other", url.Values{}); w.Code != http.StatusUnauthorized {
		t.Errorf("another provider answers %d", w.Code)
	}
	w := v.send("POST", "/oidc/corp", url.Values{})
	c := w.Result().Cookies()[0]
	if w.Code != 200 || attr(one(t, parse(t, w), "a"), "href") != "https://id.example/auth?a=1&state=the-state" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if c.Name != stateCookie || c.Value != "the-state" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/oidc/" {
		t.Errorf("cookie %v", c)
	}
	// Back in another browser, without what the first one holds.
	if w := v.send("GET", "/oidc/corp/callback?code=c&state=the-state", nil); w.Code != http.StatusUnauthorized || h.signedIn() {
		t.Errorf("another browser: %d", w.Code)
	}
	v.cookie = c
	w = v.send("GET", "/oidc/corp/callback?code=c&state=the-state", nil)
	if w.Code != 200 || attr(one(t, parse(t, w), "meta", "http-equiv=refresh"), "content") != "0; url=/" || !h.signedIn() {
		t.Errorf("back: %d %s", w.Code, w.Body)
	}
	v.cookie = nil
	v.keep(w)
	v.page("/")
	e.state = ""
	v.cookie = nil
	if w := v.send("POST", "/oidc/corp", url.Values{}); w.Code != http.StatusTooManyRequests && w.Code != http.StatusServiceUnavailable {
		t.Errorf("a provider that is away: %d", w.Code)
	}
}

func (h *house) signedIn() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions) > 0
}

// TestWhatAPageFetchesKeepsNobodyIn holds that a page which is left open, and fetches
// its parts and the news again and again, is signed out like one that does not.
func TestWhatAPageFetchesKeepsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, header := range map[string][2]string{"parts of it": {"HX-Request", "true"}, "news": {"Accept", "text/event-stream"}} {
			h := newHouse(testToken)
			v := &visitor{t: t, handler: Handler(newShop(t), h.entrance(), about, clock)}
			v.keep(v.send("GET", "/?token="+testToken, nil))
			fetch := func() int {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second) // ends the news
				defer cancel()
				target := "/"
				if header[0] == "Accept" {
					target = "/news"
				}
				r := httptest.NewRequestWithContext(ctx, "GET", target, nil)
				r.Header.Set(header[0], header[1])
				r.AddCookie(v.cookie)
				w := httptest.NewRecorder()
				v.handler.ServeHTTP(w, r)
				v.keep(w)
				return w.Code
			}
			const every = 7 * time.Minute
			spent := time.Duration(0)
			for ; spent+every < sessionIdle; spent += every {
				time.Sleep(every)
				if spent > time.Hour { // a session that turns is no older and no younger
					h.grants = []penumbra.Grant{{Role: penumbra.Viewer}}
				}
				if got := fetch(); got != http.StatusOK {
					t.Fatalf("%s after %v: %d", name, spent, got)
				}
			}
			time.Sleep(every)
			if v.cookie == nil || fetch() != http.StatusUnauthorized {
				t.Errorf("%s keep somebody in who has left", name)
			}
		}
	})
}
