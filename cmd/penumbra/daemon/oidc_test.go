package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
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

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/web"
)

// TestSignInAtAProvider signs in to the daemon's pages at a real provider (tools/oidc,
// a process of its own), as a browser does, and holds what the store and the audit log
// have of it.
func TestSignInAtAProvider(t *testing.T) {
	t.Parallel()
	program := os.Getenv("OIDC_TEST_PROVIDER")
	if program == "" {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("OIDC_TEST_PROVIDER names no provider: scripts/oidc.sh builds it")
		}
		t.Skip("OIDC_TEST_PROVIDER names no provider: scripts/oidc.sh builds it")
	}
	dir := t.TempDir()
	server := httptest.NewUnstartedServer(nil)
	at := "http://" + server.Listener.Addr().String()
	users := filepath.Join(dir, "users.json")
	cmd := exec.Command(program, "-users", users, "-redirect", at+"/oidc/corp/callback", "-secret", "of-the-test")
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	issuer, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)

	check(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("of-the-test\n"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "penumbra.yaml"), fmt.Appendf(nil, `
access:
  url: %s
  oidc:
    - name: corp
      issuer: %s
      client_id: penumbra
      client_secret_file: secret
      groups: {dba: ["approver:stack=shop*:values"]}
`, at, strings.TrimSpace(issuer)), 0o600))
	c, err := wire.LoadConfig(filepath.Join(dir, "penumbra.yaml"))
	check(t, err)
	loop, err := wire.Open(t.Context(), c, wire.Options{Log: slog.New(slog.DiscardHandler), Version: "test"})
	check(t, err)
	t.Cleanup(func() { check(t, loop.Close(context.Background())) })
	providers, err := c.Providers(loop.Access, at)
	check(t, err)
	about, err := aboutOf(c, loop)
	check(t, err)
	server.Config.Handler = web.Handler(loop.Service(), web.Entrance{Door: loop.Access, Founder: loop.Access, Sessions: loop.Sessions, Providers: providers}, about, wire.Options{}.Clock())
	server.Start()
	t.Cleanup(server.Close)

	groups := func(of ...string) {
		text, err := json.Marshal(map[string]any{"id1": map[string]any{"Username": "alice", "Password": "verysecure", "Email": "alice@example.com", "EmailVerified": true, "Groups": of}})
		check(t, err)
		check(t, os.WriteFile(users, text, 0o600))
	}
	groups("dba")
	b := newBrowser(t)
	if status, page := b.get(at + "/"); status != 401 || !strings.Contains(page, "Sign in with corp") {
		t.Fatalf("before: %d %s", status, page)
	}
	if status, page := b.signIn(at); status != 200 || !strings.Contains(page, "You are signed in") {
		t.Fatalf("back from the provider: %d %s", status, page)
	}
	if status, page := b.get(at + "/"); status != 200 || !strings.Contains(page, "alice@example.com") {
		t.Fatalf("after: %d %s", status, page)
	}
	entries, err := loop.Audit.AuditEntries(t.Context(), penumbra.AuditQuery{Act: "session.signin"})
	check(t, err)
	if len(entries) != 1 || entries[0].Name != "alice@example.com" || entries[0].Via != "oidc" || entries[0].Details["groups"] != "dba" {
		t.Errorf("the audit log has %+v", entries)
	}

	// Who has left the group gets in no more.
	groups("staff")
	other := newBrowser(t)
	if status, page := other.signIn(at); status != 401 || !strings.Contains(page, "none of the groups of alice@example.com is granted anything here") {
		t.Errorf("without a group that is granted anything: %d %s", status, page)
	}
	// And what was open before may nothing any more.
	owner := loop.Access
	p, err := owner.Return(t.Context(), penumbra.Principal{ID: entries[0].Principal, Via: "oidc"}, entries[0].Time)
	if err != nil || len(p.Grants) != 0 {
		t.Errorf("the first browser: %+v %v", p, err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// browser follows redirects and keeps cookies.
type browser struct {
	*http.Client
	t *testing.T
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	check(t, err)
	return &browser{&http.Client{Jar: jar}, t}
}

func (b *browser) read(resp *http.Response, err error) (int, string) {
	b.t.Helper()
	check(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(b.t, err)
	return resp.StatusCode, string(body)
}

func (b *browser) get(to string) (int, string) { b.t.Helper(); return b.read(b.Get(to)) }

var (
	onward  = regexp.MustCompile(`http-equiv="refresh" content="0; url=([^"]+)"`)
	request = regexp.MustCompile(`name="id" value="([^"]+)"`)
)

// signIn leaves for the provider, types the password there, and comes back.
func (b *browser) signIn(at string) (int, string) {
	b.t.Helper()
	status, page := b.read(b.PostForm(at+"/oidc/corp", url.Values{}))
	to := onward.FindStringSubmatch(page)
	if to == nil {
		b.t.Fatalf("leaving: %d %s", status, page)
	}
	there, err := url.Parse(html.UnescapeString(to[1]))
	check(b.t, err)
	status, page = b.get(there.String())
	id := request.FindStringSubmatch(page)
	if id == nil {
		b.t.Fatalf("the provider's page: %d %s", status, page)
	}
	return b.read(b.PostForm(there.Scheme+"://"+there.Host+"/login/username", url.Values{"username": {"alice"}, "password": {"verysecure"}, "id": {id[1]}}))
}
