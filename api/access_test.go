package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// holder is an Authenticator that knows one token, whose principal is alice unless
// another is given.
type holder struct {
	token     string
	principal penumbra.Principal
}

func opens(token string) holder { return holder{token: token, principal: alice()} }

func alice() penumbra.Principal {
	return penumbra.Principal{ID: "user:alice", Name: "alice", Kind: penumbra.PersonPrincipal, Grants: []penumbra.Grant{{Role: penumbra.Admin}}, Via: "token"}
}

func (h holder) Authenticate(r *http.Request) (*penumbra.Principal, error) {
	if h.token == "" || r.Header.Get("Authorization") != "Bearer "+h.token {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "that token opens nothing", Remedy: "make one"}
	}
	return &h.principal, nil
}

// locked is an Authenticator whose store is locked.
type locked struct{}

func (locked) Authenticate(*http.Request) (*penumbra.Principal, error) {
	return nil, &penumbra.Error{Kind: penumbra.Locked, What: "the store is locked"}
}

// decisions are the routes that something is done by in somebody's name, with a body
// that fits.
var decisions = map[string]string{
	"/v1/drifts/d/acknowledge": `{}`, "/v1/drifts/d/accept": `{}`, "/v1/drifts/d/snooze": `{}`, "/v1/drifts/d/adopt": `{"only":["a"]}`,
	"/v1/proposals/p/approve": `{"hash":"h"}`, "/v1/proposals/p/reject": `{}`, "/v1/proposals/p/customize": `{"values":[{"path":"a","value":1}]}`,
	"/v1/runs/r/rollback": `{}`, "/v1/freezes": `{"reason":"sale"}`, "/v1/freezes/f/lift": `{}`,
	"/v1/model/versions/3/promote": `{}`, "/v1/model/rollback": `{}`,
}

func TestNobodyNamesThemselves(t *testing.T) {
	t.Parallel()
	for path, body := range decisions {
		r := fullRecorder(t)
		h := Handler(r, opens(testToken), "0")
		with := func(by string) string {
			if by == "" {
				return body
			}
			return strings.TrimSuffix(strings.TrimSuffix(body, "}"), ",") + map[bool]string{true: "", false: ","}[body == "{}"] + `"by":"` + by + `"}`
		}
		if w := request(h, "POST", path, with("bob"), nil); w.Code != http.StatusForbidden || r.called() != nil {
			t.Errorf("%s by bob with alice's token answers %d %s, and calls %v", path, w.Code, w.Body, r.called())
		}
		for _, by := range []string{"", "alice", " ALICE"} {
			r := fullRecorder(t)
			w := request(Handler(r, opens(testToken), "0"), "POST", path, with(by), nil)
			named := false
			for _, arg := range r.called() {
				f, isFreeze := arg.(penumbra.Freeze)
				named = named || arg == "alice" || isFreeze && f.By == "alice"
			}
			if w.Code >= 300 || !named {
				t.Errorf("%s by %q answers %d %s and calls %v", path, by, w.Code, w.Body, r.called())
			}
		}
	}
}

func TestProgramsDecideNothingForPersons(t *testing.T) {
	t.Parallel()
	for _, kind := range []penumbra.PrincipalKind{penumbra.ServicePrincipal, penumbra.SourcePrincipal, penumbra.SystemPrincipal} {
		for _, path := range []string{"/v1/proposals/p/approve", "/v1/proposals/p/reject", "/v1/drifts/d/accept"} {
			r := fullRecorder(t)
			who := opens(testToken)
			who.principal.Kind = kind
			w := request(Handler(r, who, "0"), "POST", path, decisions[path], nil)
			if w.Code != http.StatusForbidden || r.called() != nil || !strings.Contains(w.Body.String(), string(kind)) {
				t.Errorf("%s by a %s answers %d %s", path, kind, w.Code, w.Body)
			}
		}
	}
}

func TestWhoami(t *testing.T) {
	t.Parallel()
	for way, c := range ways(t, &recorder{}) {
		if p, err := c.Whoami(t.Context()); err != nil || p.ID != "user:alice" || !p.IsAdmin() {
			t.Errorf("%s: %+v %v", way, p, err)
		}
	}
}

// TestStoreTroubleIsNoRefusal holds that a credential that cannot be looked up now is
// not called wrong.
func TestStoreTroubleIsNoRefusal(t *testing.T) {
	t.Parallel()
	w := request(Handler(&recorder{}, locked{}, "0"), "GET", "/v1/status", "", nil)
	if p := readProblem(t, w); w.Code != statusOf(penumbra.Locked) || p.Kind != "locked" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %+v", w.Code, p)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	h := Handler(r, opens(""), "0")
	c := InProcess(h, "")
	made, err := c.Login(t.Context(), Login{Name: "alice", Password: "a long password", Token: "login-laptop", Lasts: time.Hour})
	if err != nil || made.Secret != "s" {
		t.Fatalf("%+v %v", made, err)
	}
	if d := cmp.Diff([]any{"AddToken", penumbra.NewToken{Name: "login-laptop", Kind: penumbra.PersonPrincipal, Lasts: time.Hour}}, r.called()); d != "" {
		t.Error(d)
	}
	w := request(h, "POST", loginPath, `{"name":"alice","password":"hunter2 and more","token":"x","extra":1}`, nil)
	if w.Code != 422 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, refused := range []penumbra.ErrorKind{penumbra.Refused, penumbra.Unavailable} {
		r := &recorder{err: &penumbra.Error{Kind: refused, What: "no", Remedy: "wait"}}
		w := request(Handler(r, opens(""), "0"), "POST", loginPath, `{"name":"alice","password":"x","token":"x"}`, func(r *http.Request) { r.RemoteAddr = "192.0.2.9:1234" })
		if w.Code != statusOf(refused) || !slices.Equal(r.called(), []any{"SignIn", "alice", "x", "192.0.2.9"}) {
			t.Errorf("%v: %d, called %v", refused, w.Code, r.called())
		}
	}
}
