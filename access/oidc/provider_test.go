package oidc

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// This file signs people in at a real provider, a process of its own: tools/oidc, which
// scripts/oidc.sh builds.

// person is a user as the provider's file has them.
type person struct {
	Username, Password, Email string
	EmailVerified             bool
	Groups                    []string
}

// process starts the provider and returns its issuer and the file of its users.
func process(t *testing.T, redirect string) (issuer, users string) {
	t.Helper()
	program := os.Getenv("OIDC_TEST_PROVIDER")
	switch {
	case program != "":
	case os.Getenv("REQUIRE_TOOLS") == "1":
		t.Fatal("OIDC_TEST_PROVIDER names no provider: scripts/oidc.sh builds it")
	default:
		t.Skip("OIDC_TEST_PROVIDER names no provider: scripts/oidc.sh builds it")
	}
	users = filepath.Join(t.TempDir(), "users.json")
	cmd := exec.Command(program, "-users", users, "-redirect", redirect, "-secret", "the-secret")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends then
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider says nothing: %v", err)
	}
	return strings.TrimSpace(line), users
}

func write(t *testing.T, users string, all map[string]person) {
	t.Helper()
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(users, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

var authRequest = regexp.MustCompile(`name="id" value="([^"]+)"`)

// visit signs in at the provider as a browser does, and returns the query of its answer.
func visit(t *testing.T, to, name, password string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var answer url.Values
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/oidc/") {
			answer = r.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page := read(t, browser.Get, to)
	id := authRequest.FindStringSubmatch(page)
	if id == nil {
		t.Fatalf("the provider's page: %s", page)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	read(t, func(at string) (*http.Response, error) {
		return browser.PostForm(at, url.Values{"username": {name}, "password": {password}, "id": {id[1]}})
	}, u.Scheme+"://"+u.Host+"/login/username")
	if answer == nil {
		t.Fatal("the provider sends nobody back")
	}
	return answer
}

func read(t *testing.T, get func(string) (*http.Response, error), at string) string {
	t.Helper()
	resp, err := get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestRealProvider(t *testing.T) {
	t.Parallel()
	const redirect = "http://127.0.0.1:1/oidc/corp/callback"
	issuer, users := process(t, redirect)
	alice := person{Username: "alice", Password: "verysecure", Email: "alice@example.com", EmailVerified: true, Groups: []string{"dba", "staff"}}
	bob := person{Username: "bob", Password: "verysecure", Email: "bob@example.com"}
	write(t, users, map[string]person{"id1": alice, "id2": bob})
	approver := penumbra.Grant{Role: penumbra.Approver, Stacks: []string{"shop*"}}
	cfg := Config{
		Name: "corp", Issuer: issuer, ClientID: "penumbra", Secret: "the-secret", Redirect: redirect,
		Groups: map[string][]penumbra.Grant{"dba": {approver}},
	}
	p := New(cfg)

	to, state, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if q := must(url.Parse(to)).Query(); q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") != state {
		t.Errorf("the browser is sent to %s", to)
	}
	answer := visit(t, to, "alice", "verysecure")
	who, err := p.Finish(t.Context(), state, answer)
	want := Identity{ID: "oidc:" + issuer + "|id1", Name: "alice@example.com", Groups: []string{"dba", "staff"}, Grants: []penumbra.Grant{approver}}
	if d := cmp.Diff(want, who); err != nil || d != "" {
		t.Fatalf("%v %s", err, d)
	}

	// The same answer opens nothing again, here or as another sign-in's.
	if _, err := p.Finish(t.Context(), state, answer); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("an answer used again: %v", err)
	}
	_, fresh, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), fresh, url.Values{"state": {fresh}, "code": answer["code"]}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a code used again: %v", err)
	}

	// A code that was given for one sign-in is of no use in another: PKCE.
	stolenTo, stolenState, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stolen := visit(t, stolenTo, "alice", "verysecure")
	_, mine, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), mine, url.Values{"state": {mine}, "code": stolen["code"]}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a stolen code: %v", err)
	}
	if _, err := p.Finish(t.Context(), mine, stolen); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("another browser's answer (%s): %v", stolenState, err)
	}

	// Groups are those of now.
	alice.Groups = []string{"staff"}
	write(t, users, map[string]person{"id1": alice, "id2": bob})
	if who = signIn(t, p, "alice"); len(who.Grants) != 0 || !cmp.Equal(who.Groups, []string{"staff"}) {
		t.Errorf("after leaving the group: %+v", who)
	}

	// An address that nobody verified names nobody.
	to, state, err = p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), state, visit(t, to, "bob", "verysecure")); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "not verified") {
		t.Errorf("an unverified address: %v", err)
	}

	wrong := cfg
	wrong.Secret = "another"
	p = New(wrong)
	to, state, err = p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Finish(t.Context(), state, visit(t, to, "alice", "verysecure"))
	if penumbra.KindOf(err) != penumbra.Refused || strings.Contains(err.Error(), "another") {
		t.Errorf("a wrong secret of ours: %v", err)
	}
}

func signIn(t *testing.T, p *Provider, name string) Identity {
	t.Helper()
	to, state, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	who, err := p.Finish(t.Context(), state, visit(t, to, name, "verysecure"))
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func TestProviderThatIsAway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	p := New(Config{Name: "corp", Issuer: gone.URL})
	if _, _, err := p.Begin(t.Context()); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("%v", err)
	}
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}
