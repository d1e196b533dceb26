package git

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const stackFile = "infra/shop/main.tf"

var changed = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// forged is a checkout of a repository with a stack in a folder of it, and the
// bare repository that it was cloned from.
type forged struct {
	*fixture
	bare string
}

func newForged(t *testing.T) *forged {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	e := &forged{fixture: newFixture(t), bare: filepath.Join(t.TempDir(), "estate.git")}
	e.put(stackFile, "log_level = \"info\"\n", 0o644)
	e.put("infra/shop/run.sh", "#!/bin/sh\nexec level info\n", 0o755)
	e.put("README.md", "estate\n", 0o644)
	e.git("add", "--all")
	e.git("commit", "--quiet", "-m", "begin")
	e.git("clone", "--quiet", "--bare", ".", e.bare)
	e.git("remote", "add", "origin", "file://"+e.bare)
	e.git("fetch", "--quiet", "origin")
	return e
}

func (e *forged) put(name, text string, mode os.FileMode) {
	e.t.Helper()
	file := filepath.Join(e.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		e.t.Fatal(err)
	}
}

// in runs git on the bare repository.
func (e *forged) in(args ...string) string {
	return strings.TrimSpace(e.git(append([]string{"--git-dir", e.bare}, args...)...))
}

func (e *forged) config() CheckoutConfig {
	return CheckoutConfig{Stack: "shop", Dir: filepath.Join(e.dir, "infra", "shop"), Remote: "origin", Author: "Penumbra <penumbra@example.com>"}
}

func filePatch(name, before, after string) penumbra.FilePatch {
	sum := sha256.Sum256([]byte(before))
	return penumbra.FilePatch{Path: name, Base: hex.EncodeToString(sum[:]), Before: before, After: after}
}

func changeOf(proposal string, files ...penumbra.FilePatch) Change {
	if len(files) == 0 {
		files = []penumbra.FilePatch{filePatch("main.tf", "log_level = \"info\"\n", "log_level = \"debug\"\n")}
	}
	return Change{
		Branch: "penumbra/d-1-adopt", Drift: "d-1", Proposal: proposal, Time: changed, Patch: penumbra.Patch{Stack: "shop", Files: files},
		Message: fmt.Sprintf("Write it down\n\nBecause it is so.\n\nPenumbra-Drift: d-1\nPenumbra-Proposal: %s\nApproved-by: alice\n", proposal),
	}
}

// standing is all that a user sees of a checkout: every file, the index, what is
// staged, HEAD, and the references but for those of Penumbra.
func (e *forged) standing() string {
	e.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(e.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() == ".git" && d.IsDir() {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, path, info.Mode(), info.ModTime())
		return nil
	})
	if err != nil {
		e.t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(e.dir, ".git", "index"))
	if err != nil {
		e.t.Fatal(err)
	}
	fmt.Fprintf(&b, "%x\n", sha256.Sum256(index))
	for line := range strings.Lines(e.git("for-each-ref") + "\n" + e.git("symbolic-ref", "HEAD")) {
		if !strings.Contains(line, "/penumbra/d-1-adopt") {
			b.WriteString(line)
		}
	}
	if _, err := os.Stat(filepath.Join(e.dir, ".git", "FETCH_HEAD")); err == nil {
		b.WriteString("FETCH_HEAD\n")
	}
	return b.String()
}

func (e *forged) commit(c *Checkout, ch Change) penumbra.CodeChange {
	e.t.Helper()
	made, err := c.Commit(e.t.Context(), ch)
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

func (e *forged) push(c *Checkout, change penumbra.CodeChange) penumbra.CodeChange {
	e.t.Helper()
	pushed, err := c.Push(e.t.Context(), change, "d-1")
	if err != nil {
		e.t.Fatal(err)
	}
	return pushed
}

func TestCommitLeavesTheWorkingTree(t *testing.T) {
	e := newForged(t)
	_ = os.Remove(filepath.Join(e.dir, ".git", "FETCH_HEAD"))
	// Work of the user's that is under way: staged, not staged, not known.
	e.put("README.md", "staged\n", 0o644)
	e.git("add", "README.md")
	e.put("README.md", "edited\n", 0o644)
	e.put("new.txt", "new\n", 0o644)
	before := e.standing()
	c := NewCheckout(e.config())
	made := e.push(c, e.commit(c, changeOf("p-1", filePatch("main.tf", "log_level = \"info\"\n", "log_level = \"debug\"\n"), filePatch("run.sh", "#!/bin/sh\nexec level info\n", "#!/bin/sh\nexec level debug\n"))))
	if after := e.standing(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if made.Base != "main" || made.Branch != "penumbra/d-1-adopt" || !made.Pushed || made.Remote != "origin" {
		t.Errorf("%+v", made)
	}
	if got := e.in("diff", "--raw", "--abbrev=4", "main", made.Branch); strings.Count(got, "\n") != 1 || !strings.Contains(got, ":100755 100755") || !strings.Contains(got, stackFile) {
		t.Errorf("the commit changes:\n%s", got)
	}
	if got := e.in("show", made.Branch+":"+stackFile); got != `log_level = "debug"` {
		t.Errorf("the file is %q", got)
	}
	want := "Penumbra <penumbra@example.com>|Penumbra <penumbra@example.com>|2026-03-01T09:30:00+00:00|alice|p-1"
	if got := e.in("log", "-1", "--format=%an <%ae>|%cn <%ce>|%cI|%(trailers:key=Approved-by,valueonly,separator=)|%(trailers:key=Penumbra-Proposal,valueonly,separator=)", made.Branch); got != want {
		t.Errorf("the commit is by %q, want %q", got, want)
	}
}

// Each step may be the last one before a kill, and each may be done again.
func TestCommitAndPushGoOn(t *testing.T) {
	e := newForged(t)
	c := NewCheckout(e.config())
	first := e.commit(c, changeOf("p-1"))
	if again := e.commit(c, changeOf("p-1")); again != first {
		t.Errorf("committed again: %+v, first %+v", again, first)
	}
	// By now the base has moved on elsewhere, and the run is another one.
	pushed := e.push(c, first)
	e.put("README.md", "moved\n", 0o644)
	e.git("commit", "--quiet", "--all", "-m", "move")
	e.git("push", "--quiet", "origin", "main")
	later := changeOf("p-1")
	later.Time = changed.Add(time.Hour)
	if again := e.commit(c, later); again.Commit != first.Commit || !again.Pushed {
		t.Errorf("committed after the push: %+v", again)
	}
	if again := e.push(c, pushed); again != pushed {
		t.Errorf("pushed again: %+v", again)
	}
	if n := e.in("rev-list", "--count", "main..penumbra/d-1-adopt"); n != "1" {
		t.Errorf("%s commits", n)
	}
	// Another checkout finds the commit on the remote, and makes no other.
	other := e.config()
	other.Dir = filepath.Join(t.TempDir(), "other")
	e.git("clone", "--quiet", "file://"+e.bare, other.Dir)
	other.Dir = filepath.Join(other.Dir, "infra", "shop")
	if again := e.commit(NewCheckout(other), later); again.Commit != first.Commit || !again.Pushed {
		t.Errorf("in another checkout: %+v", again)
	}
}

func TestLaterProposalTakesThePlace(t *testing.T) {
	e := newForged(t)
	c := NewCheckout(e.config())
	e.push(c, e.commit(c, changeOf("p-1")))
	later := changeOf("p-2", filePatch("main.tf", "log_level = \"info\"\n", "log_level = \"trace\"\n"))
	made := e.push(c, e.commit(c, later))
	if got := e.in("rev-parse", "penumbra/d-1-adopt"); got != made.Commit || e.in("rev-list", "--count", "main..penumbra/d-1-adopt") != "1" {
		t.Errorf("the branch leads to %s, the commit is %s", got, made.Commit)
	}
}

func TestOthersWorkIsNotOverwritten(t *testing.T) {
	e := newForged(t)
	c := NewCheckout(e.config())
	made := e.push(c, e.commit(c, changeOf("p-1")))
	work := filepath.Join(t.TempDir(), "work")
	e.git("clone", "--quiet", "--branch", made.Branch, "file://"+e.bare, work)
	e.git("-C", work, "commit", "--quiet", "--allow-empty", "-m", "a reviewer's")
	e.git("-C", work, "push", "--quiet", "origin", "HEAD")
	theirs := e.in("rev-parse", made.Branch)
	if _, err := c.Commit(t.Context(), changeOf("p-2")); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("another proposal: %v", err)
	}
	if _, err := c.Push(t.Context(), made, "d-1"); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a push: %v", err)
	}
	if err := c.Delete(t.Context(), made); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a deletion: %v", err)
	}
	if got := e.in("rev-parse", made.Branch); got != theirs {
		t.Errorf("the branch leads to %s, was %s", got, theirs)
	}
}

func TestCheckedOutBranchIsNotMoved(t *testing.T) {
	e := newForged(t)
	c := NewCheckout(e.config())
	made := e.commit(c, changeOf("p-1"))
	e.git("switch", "--quiet", made.Branch)
	if _, err := c.Commit(t.Context(), changeOf("p-2")); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "checked out") {
		t.Errorf("%v", err)
	}
}

func TestCommitRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		arrange func(*forged, *CheckoutConfig, *Change)
		kind    penumbra.ErrorKind
		says    string
	}{
		"a file that is not pushed": {func(e *forged, _ *CheckoutConfig, ch *Change) {
			e.put(stackFile, "log_level = \"warn\"\n", 0o644)
			e.git("commit", "--quiet", "--all", "-m", "local")
			ch.Patch.Files[0] = filePatch("main.tf", "log_level = \"warn\"\n", "log_level = \"debug\"\n")
		}, penumbra.Stale, "push or pull"},
		"a file that is not there": {func(_ *forged, _ *CheckoutConfig, ch *Change) { ch.Patch.Files[0].Path = "other.tf" }, penumbra.Stale, "other.tf"},
		"a path that leads out":    {func(_ *forged, _ *CheckoutConfig, ch *Change) { ch.Patch.Files[0].Path = "../../README.md" }, penumbra.Refused, "outside"},
		"a patch without the file": {func(_ *forged, _ *CheckoutConfig, ch *Change) { ch.Patch.Files[0].Before = "" }, penumbra.Damaged, "main.tf"},
		"a link": {func(e *forged, c *CheckoutConfig, ch *Change) {
			if err := os.Symlink("main.tf", filepath.Join(e.dir, "infra/shop/link.tf")); err != nil {
				e.t.Fatal(err)
			}
			e.git("add", "--all")
			e.git("commit", "--quiet", "-m", "link")
			c.Remote = ""
			ch.Patch.Files[0].Path = "link.tf"
		}, penumbra.Refused, "symbolic link"},
		"a file in a submodule": {func(e *forged, c *CheckoutConfig, ch *Change) {
			e.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "file://"+e.bare, "infra/shop/mod")
			e.git("commit", "--quiet", "-m", "module")
			c.Remote = ""
			ch.Patch.Files[0].Path = "mod/" + stackFile
		}, penumbra.Refused, "submodule infra/shop/mod"},
		"a stack in a submodule": {func(e *forged, c *CheckoutConfig, _ *Change) {
			e.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "file://"+e.bare, "mod")
			c.Dir = filepath.Join(e.dir, "mod", "infra", "shop")
		}, penumbra.Refused, "in a submodule of"},
		"no repository":   {func(e *forged, c *CheckoutConfig, _ *Change) { c.Dir = e.t.TempDir() }, penumbra.Invalid, "no git repository"},
		"no such remote":  {func(_ *forged, c *CheckoutConfig, _ *Change) { c.Remote = "upstream" }, penumbra.Invalid, `no remote "upstream"`},
		"no such base":    {func(_ *forged, c *CheckoutConfig, _ *Change) { c.Base = "trunk" }, penumbra.NotFound, `no branch "trunk"`},
		"nobody to be by": {func(_ *forged, c *CheckoutConfig, _ *Change) { c.Author = "" }, penumbra.Refused, "user.email"},
		"a remote that is gone": {func(e *forged, _ *CheckoutConfig, _ *Change) {
			if err := os.Rename(e.bare, e.bare+".away"); err != nil {
				e.t.Fatal(err)
			}
		}, penumbra.NotFound, "remote origin"},
		"a branch of somebody's": {func(e *forged, _ *CheckoutConfig, ch *Change) { e.git("branch", ch.Branch) }, penumbra.Refused, "did not make"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newForged(t)
			config, ch := e.config(), changeOf("p-1")
			test.arrange(e, &config, &ch)
			_, err := NewCheckout(config).Commit(t.Context(), ch)
			if penumbra.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v (%s), want %s with %q", err, penumbra.KindOf(err), test.kind, test.says)
			}
		})
	}
}

// Line ends are stored as git would have stored them: by the attributes of the
// file, or as they are.
func TestLineEndsAreKept(t *testing.T) {
	const crlf, after = "a = 1\r\nb = 2\r\n", "a = 1\r\nb = 3\r\n"
	for name, test := range map[string]struct{ attributes, stored string }{
		"no attributes":         {"", after},
		"converted to LF":       {"*.tf text eol=crlf\n", strings.ReplaceAll(after, "\r", "")},
		"attributes came later": {"later", after},
	} {
		t.Run(name, func(t *testing.T) {
			e := newForged(t)
			if test.attributes != "" && test.attributes != "later" {
				e.put(".gitattributes", test.attributes, 0o644)
			}
			e.put("infra/shop/crlf.tf", crlf, 0o644)
			e.git("add", "--all")
			e.git("commit", "--quiet", "-m", "lines")
			if test.attributes == "later" {
				e.put(".gitattributes", "*.tf text=auto\n", 0o644)
			}
			config := e.config()
			config.Remote = ""
			made := e.commit(NewCheckout(config), changeOf("p-1", filePatch("crlf.tf", crlf, after)))
			cmd := exec.Command("git", "-C", e.dir, "cat-file", "blob", made.Commit+":infra/shop/crlf.tf")
			if got, err := cmd.Output(); err != nil || string(got) != test.stored {
				t.Errorf("stored as %q, want %q (%v)", got, test.stored, err)
			}
			if got := e.git("diff", "--stat", "HEAD", made.Commit); !strings.Contains(got, "1 insertion(+), 1 deletion(-)") {
				t.Errorf("the commit changes %s", got)
			}
		})
	}
}

func TestCommitIsSignedAsTheUserSigns(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	e := newForged(t)
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e.git("config", "gpg.format", "ssh")
	e.git("config", "user.signingKey", key)
	e.git("config", "commit.gpgSign", "true")
	made := e.commit(NewCheckout(e.config()), changeOf("p-1"))
	if text := e.git("cat-file", "commit", made.Commit); !strings.Contains(text, "-----BEGIN SSH SIGNATURE-----") {
		t.Errorf("not signed:\n%s", text)
	}
	e.git("config", "user.signingKey", key+".gone")
	if _, err := NewCheckout(e.config()).Commit(t.Context(), changeOf("p-2")); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "commit.gpgSign") {
		t.Errorf("without the key: %v", err)
	}
}

func TestLookAndDelete(t *testing.T) {
	e := newForged(t)
	for _, remote := range []string{"origin", ""} {
		config := e.config()
		config.Remote = remote
		c := NewCheckout(config)
		look := func(change penumbra.CodeChange, want penumbra.ReviewState) {
			t.Helper()
			if got, err := c.Look(t.Context(), change); err != nil || got.State != want {
				t.Errorf("remote %q: %+v, %v; want %s", remote, got, err, want)
			}
		}
		made := e.push(c, e.commit(c, changeOf("p-1")))
		look(made, penumbra.ReviewOpen)
		for range 2 { // what is gone is no error
			if err := c.Delete(t.Context(), made); err != nil {
				t.Fatal(err)
			}
		}
		look(made, penumbra.ReviewClosed)
		if out := e.git("for-each-ref", "refs/heads/penumbra"); out != "" {
			t.Errorf("left: %s", out)
		}
		made = e.push(c, e.commit(c, changeOf("p-1")))
		if remote == "" {
			e.git("merge", "--quiet", "--no-ff", "-m", "merge", made.Branch)
		} else {
			e.in("update-ref", "refs/heads/main", made.Commit)
		}
		look(made, penumbra.ReviewMerged)
		e.git("update-ref", "-d", "refs/heads/"+made.Branch)
		if remote != "" {
			e.in("update-ref", "refs/heads/main", e.in("rev-parse", made.Commit+"^"))
			e.in("update-ref", "-d", "refs/heads/"+made.Branch)
		}
	}
}

// A change that was squashed or rebased into the base has another commit there. What
// others committed before and after makes no difference, and what was only proposed
// is not merged.
func TestLookKnowsASquash(t *testing.T) {
	e := newForged(t)
	config := e.config()
	config.Remote = ""
	c := NewCheckout(config)
	made := e.push(c, e.commit(c, changeOf("p-1")))
	state := func() penumbra.ReviewState {
		t.Helper()
		got, err := c.Look(t.Context(), made)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e.git("add", name)
		e.git("commit", "--quiet", "-m", "work on "+name)
	}
	write("notes.md", "before\n")
	if got := state(); got != penumbra.ReviewOpen {
		t.Errorf("beside other work it is %s", got)
	}
	before := e.git("rev-parse", "HEAD")
	e.git("merge", "--quiet", "--squash", made.Branch)
	e.git("commit", "--quiet", "-m", "squashed")
	if got := state(); got != penumbra.ReviewMerged {
		t.Errorf("squashed it is %s", got)
	}
	file := strings.Fields(e.git("diff", "--name-only", made.Commit+"^", made.Commit))[0]
	write(file, "changed again\n")
	e.git("update-ref", "-d", "refs/heads/"+made.Branch)
	if got := state(); got != penumbra.ReviewMerged {
		t.Errorf("squashed, and changed again since, it is %s", got)
	}

	// With what a reviewer added it is another patch, and the files are as it left them.
	e.git("reset", "--quiet", "--hard", before)
	e.git("checkout", "--quiet", made.Commit, "--", file)
	write("more.md", "of a reviewer\n")
	if got := state(); got != penumbra.ReviewMerged {
		t.Errorf("squashed with more it is %s", got)
	}
	e.git("reset", "--quiet", "--hard", before)
	if got := state(); got != penumbra.ReviewClosed {
		t.Errorf("without its branch, and never merged, it is %s", got)
	}
}

const pushToken = "not-so-secret-token-4711"

// backend is a remote that asks who pushes: git's own over HTTP.
func backend(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	program := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, gone := os.Stat(program); err != nil || gone != nil {
		t.Skip("git has no http-backend here")
	}
	serve := &cgi.Handler{Path: program, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true", "GIT_CONFIG_KEY_1=safe.directory", "GIT_CONFIG_VALUE_1=*"}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "oauth2" || password != pushToken {
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			http.Error(w, "who is it?", http.StatusUnauthorized)
			return
		}
		serve.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestPushByHTTPWithAToken(t *testing.T) {
	e := newForged(t)
	s := backend(t, filepath.Dir(e.bare))
	e.git("remote", "set-url", "origin", s.URL+"/estate.git")
	// A git before the real one writes down the arguments that anybody could list.
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	bin, listed := t.TempDir(), filepath.Join(t.TempDir(), "arguments")
	script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$*\" >>'%s'\nexec '%s' \"$@\"\n", listed, git)
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	config := e.config()
	config.Token, config.Username = func() (string, error) { return pushToken, nil }, "oauth2"
	c := NewCheckout(config)
	made := e.push(c, e.commit(c, changeOf("p-1")))
	if got := e.in("rev-parse", made.Branch); got != made.Commit {
		t.Errorf("the remote has %s, the commit is %s", got, made.Commit)
	}
	text, err := os.ReadFile(listed)
	if err != nil || !strings.Contains(string(text), " push ") {
		t.Fatalf("%v: %s", err, text)
	}
	settings, err := os.ReadFile(filepath.Join(e.dir, ".git", "config"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text)+string(settings), pushToken) {
		t.Errorf("the token is to be seen:\n%s\n%s", text, settings)
	}

	config.Token = func() (string, error) { return "another-token-4711", nil }
	_, err = NewCheckout(config).Commit(t.Context(), changeOf("p-2"))
	if penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "token_env") || strings.Contains(err.Error(), "another-token") {
		t.Errorf("with a wrong token: %v", err)
	}
	config.Token = nil
	if _, err = NewCheckout(config).Commit(t.Context(), changeOf("p-2")); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("without a token: %v", err)
	}
}

func TestTokenIsForItsHostAndEncrypted(t *testing.T) {
	w := &worktree{Checkout: NewCheckout(CheckoutConfig{Stack: "shop", Remote: "origin", Token: func() (string, error) { return pushToken, nil }})}
	for remote, sent := range map[string]bool{
		"https://forge.example/a/b.git": true, "http://127.0.0.1:8080/a.git": true, "ssh://git@forge.example/a.git": false, "git@forge.example:a.git": false, "/srv/a.git": false,
	} {
		w.remote = remote
		flags, env, err := w.credentials()
		if err != nil {
			t.Fatal(err)
		}
		if has := slices.Contains(env, "PENUMBRA_GIT_TOKEN="+pushToken); has != sent || strings.Contains(strings.Join(flags, " "), pushToken) {
			t.Errorf("%s: sent %v, flags %q", remote, has, flags)
		}
	}
	w.remote = "http://forge.example/a.git"
	if _, _, err := w.credentials(); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("in the clear: %v", err)
	}
}
