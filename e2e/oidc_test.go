//go:build unix

package e2e

// This file covers signing in at an OpenID provider in a real browser: from a daemon's
// page to the provider's, and back with what the person's groups are granted. The
// provider is a process of its own (tools/oidc); no tool and no stack is needed.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/penumbra-iac/penumbra/internal/chrometest"
)

// identityProvider is an OpenID provider at work.
type identityProvider struct {
	t      *testing.T
	users  string // the file of its users
	issuer string
}

// startProvider starts the provider that OIDC_TEST_PROVIDER names, which sends people
// back to an address.
func startProvider(t *testing.T, back string) *identityProvider {
	t.Helper()
	program := os.Getenv("OIDC_TEST_PROVIDER")
	if program == "" {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("OIDC_TEST_PROVIDER names no provider: scripts/oidc.sh builds it")
		}
		t.Skip("OIDC_TEST_PROVIDER names no provider: scripts/oidc.sh builds it")
	}
	p := &identityProvider{t: t, users: t.TempDir() + "/users.json"}
	cmd := exec.Command(program, "-users", p.users, "-redirect", back, "-secret", "of-the-test")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	if p.issuer, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	p.issuer = strings.TrimSpace(p.issuer)
	return p
}

// has gives alice groups.
func (p *identityProvider) has(groups ...string) {
	p.t.Helper()
	text, err := json.Marshal(map[string]any{"id1": map[string]any{"Username": "alice", "Password": "verysecure", "Email": "alice@example.com", "EmailVerified": true, "Groups": groups}})
	if err == nil {
		err = os.WriteFile(p.users, text, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// freeAddress returns one of the loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestBrowserSignInAtAProvider(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := &site{t: t, root: root, env: environment(t.TempDir())}
	at := freeAddress(t) // which the provider has to know before the daemon has it
	p := startProvider(t, "http://"+at+"/oidc/corp/callback")
	p.has("dba")
	if err := os.WriteFile(s.path("secret"), []byte("of-the-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.write("penumbra.yaml", fmt.Sprintf(`
access:
  oidc:
    - name: corp
      issuer: %s
      client_id: penumbra
      client_secret_file: secret
      groups: {dba: ["approver:stack=shop*:values"]}
`, p.issuer))
	d := s.serve("--listen", at)
	l := d.open("http://" + at + "/people")

	// To the provider, and back to the page that was asked for first.
	signIn := func() {
		t.Helper()
		l.click(`form[action="/oidc/corp"] button`)
		l.do(chromedp.WaitVisible(chromedp.CSS("#username")), chromedp.SetValue(chromedp.CSS("#username"), "alice"), chromedp.SetValue(chromedp.CSS("#password"), "verysecure"))
		if where, _ := chromedp.Run(l.ctx, chromedp.Location()); !strings.HasPrefix(where, p.issuer) {
			t.Errorf("the password is typed at %s", where)
		}
		l.click(`button[type="submit"]`)
	}
	l.shows("main", "Sign in with corp")
	signIn()
	l.shows(".rail-foot", "alice@example.com")
	chrometest.Arrive(t, l.ctx, "/")
	if where, _ := chromedp.Run(l.ctx, chromedp.Location()); strings.Contains(where, "code=") || strings.Contains(where, "state=") {
		t.Errorf("what the provider answered stays in the address: %s", where)
	}

	// She has what her group is granted, by a session that goes on.
	l.do(chromedp.Navigate(l.base + "/account"))
	l.shows("main", "approver of shop*")
	for page, there := range map[string]bool{"Overview": true, "Freezes": true, "Audit log": false, "Notifications": false} {
		if got := strings.Contains(l.text("nav"), page); got != there {
			t.Errorf("the list of pages has %s: %v", page, got)
		}
	}
	l.do(chromedp.Navigate(l.base + "/audit"))
	l.shows("main", "alice@example.com may not audit.read")

	// Signed out, she comes in again, until she has left the group.
	l.click(`form[action="/signout"] button`)
	l.shows("main", "Sign in with corp")
	p.has("staff")
	signIn()
	l.shows("main", "none of the groups of alice@example.com is granted anything here")
	l.do(chromedp.Navigate(l.base + "/drifts"))
	l.shows("main", "Sign in with corp")
	p.has("dba")
	signIn()
	l.shows(".rail-foot", "alice@example.com")

	// Pages that ask who it is, or refuse, and an icon that the provider has not are noted by
	// their status; nothing else is: no script failed, and nothing broke the content security
	// policy on the way there and back.
	for _, said := range l.complained() {
		if !strings.HasPrefix(said, "error: Failed to load resource: the server responded with a status of 40") {
			t.Errorf("the browser complains: %q", said)
		}
	}
}
