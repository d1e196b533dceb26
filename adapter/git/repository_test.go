package git

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/timeline"
)

// requireGit skips where git is not installed, and fails where tools must be.
func requireGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("git is not installed")
		}
		t.Skip("git is not installed")
	}
}

// fixture is a repository that a test makes commit by commit.
type fixture struct {
	t   testing.TB
	dir string
	now time.Time
}

func newFixture(t testing.TB) *fixture {
	requireGit(t)
	f := &fixture{t: t, dir: t.TempDir(), now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	f.git("init", "--quiet", "--initial-branch=main")
	return f
}

func (f *fixture) git(args ...string) string {
	return f.gitAs("Ada Lovelace <ada@example.com>", args...)
}

// gitAs runs git as an author, an hour after the last time.
func (f *fixture) gitAs(author string, args ...string) string {
	f.t.Helper()
	name, email, _ := strings.Cut(strings.TrimSuffix(author, ">"), " <")
	at := fmt.Sprintf("%d +0100", f.now.Unix())
	cmd := exec.Command("git", args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME="+name, "GIT_AUTHOR_EMAIL="+email, "GIT_AUTHOR_DATE="+at,
		"GIT_COMMITTER_NAME=The Forge", "GIT_COMMITTER_EMAIL=noreply@forge.example", "GIT_COMMITTER_DATE="+at)
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (f *fixture) write(name, content string) *fixture {
	f.t.Helper()
	full := filepath.Join(f.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return f
}

func (f *fixture) remove(name string) *fixture {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, filepath.FromSlash(name))); err != nil {
		f.t.Fatal(err)
	}
	return f
}

// commit commits all that was written, and returns the source that its events
// are to have.
func (f *fixture) commit(author, message string) string {
	f.t.Helper()
	f.git("add", "--all")
	f.gitAs(author, "commit", "--quiet", "--allow-empty", "-m", message)
	f.now = f.now.Add(time.Hour)
	return "git:" + f.git("rev-parse", "HEAD")[:12]
}

var testKey = penumbra.Key("a key for tests, and only for them")

var testTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// mine mines a repository; its events come back as lines, the report too.
func mine(t testing.TB, dir string, o Options) ([]penumbra.Observation, *Report) {
	t.Helper()
	o.Key = testKey
	var all []penumbra.Observation
	report, err := Mine(t.Context(), dir, o, func(x *penumbra.Observation) error {
		all = append(all, *x)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, report
}

// lines writes events as a timeline file.
func lines(t testing.TB, all []penumbra.Observation) string {
	t.Helper()
	var out bytes.Buffer
	enc := timeline.NewEncoder(&out)
	for i := range all {
		if err := enc.Encode(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}
