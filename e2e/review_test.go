//go:build unix

package e2e

// This file covers changes to the code that are reviewed first: a drift is adopted
// by a branch and a pull request, on either forge, while the working tree stays as
// it is; what reviewers decide is seen; the way back withdraws; and a daemon that
// is killed between two steps makes nothing twice and loses nothing. The forges
// are servers on loopback that speak their APIs, the remote is a bare repository.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/forgetest"
)

const forgeToken = "token-of-the-forge-4711"

// reviewed is a site whose code is in a repository with a remote and a forge.
type reviewed struct {
	*site
	bare  string
	forge *forgetest.Server
}

func newReviewed(t *testing.T, kind string) *reviewed {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	s := &reviewed{site: newSite(t)}
	s.bare = filepath.Join(t.TempDir(), "estate.git")
	start := forgetest.GitHub
	if kind == "gitlab" {
		start = forgetest.GitLab
	}
	s.forge = start(t, "team/estate", forgeToken)
	s.forge.Users = []string{"carol"}
	s.forge.Head = func(branch string) string {
		out, _ := exec.Command("git", "--git-dir", s.bare, "rev-parse", "--verify", "--quiet", "refs/heads/"+branch).Output()
		return strings.TrimSpace(string(out))
	}
	s.write(".gitignore", ".penumbra/\npenumbra.yaml\n.terraform*\n*.tfstate*\netc/\n")
	s.git("init", "--quiet", "--initial-branch=main")
	s.git("add", "--all")
	s.git("commit", "--quiet", "-m", "begin")
	s.git("clone", "--quiet", "--bare", ".", s.bare)
	s.git("remote", "add", "origin", "file://"+s.bare)
	s.write("penumbra.yaml", s.read("penumbra.yaml")+fmt.Sprintf(`    code:
      way: pull-request
      forge: %s
      url: %s
      project: team/estate
      token_env: FORGE_TOKEN
      author: Penumbra <penumbra@example.com>
      labels: [drift]
      reviewers: [carol]
`, kind, s.forge.URL))
	s.env = append(s.env, "FORGE_TOKEN="+forgeToken)
	return s
}

func (s *reviewed) git(args ...string) string {
	s.t.Helper()
	return strings.TrimSpace(s.run("git", s.root, nil, append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com"}, args...)...).ends(0).out)
}

func (s *reviewed) inBare(args ...string) string {
	s.t.Helper()
	return s.git(append([]string{"--git-dir", s.bare}, args...)...)
}

// adopt edits by hand, and approves that the code is to say so.
func (s *reviewed) adopt() (penumbra.Drift, penumbra.Run) {
	s.t.Helper()
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	found := s.drift(queue, "tls")
	p := s.proposal(found.ID, penumbra.Adopt)
	if p.Way != penumbra.PullRequestWay || !strings.Contains(p.Explanation, "opens a pull request") {
		s.t.Fatalf("the proposal: %+v", p)
	}
	return found, s.as("alice").approve(p)
}

// adoption waits until it is proposed to adopt: what follows from a run is recorded
// just after it has ended.
func (s *reviewed) adoption(drift string) penumbra.Proposal {
	s.t.Helper()
	var found penumbra.Proposal
	s.until("a proposal to adopt", func() bool {
		for _, p := range s.proposals(drift) {
			if p.Kind == penumbra.Adopt {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

func TestReviewAdopt(t *testing.T) {
	for _, kind := range []string{"github", "gitlab"} {
		t.Run(kind, func(t *testing.T) {
			s := newReviewed(t, kind)
			d := s.watching()
			code := s.read("shop/main.tf")
			found, run := s.adopt()
			if run.Code == nil || run.Code.State != penumbra.ReviewOpen || run.Code.Note != "" || !strings.HasPrefix(run.Code.URL, s.forge.URL) {
				t.Fatalf("the run: %+v", run.Code)
			}
			if got := s.read("shop/main.tf"); got != code || s.git("status", "--porcelain") != "" || s.git("branch", "--show-current") != "main" {
				t.Errorf("the working tree was touched: %s\n%s", s.git("status"), got)
			}
			pulls := s.forge.Pulls()
			if len(pulls) != 1 {
				t.Fatalf("pull requests: %+v", pulls)
			}
			p := pulls[0]
			if p.Base != "main" || p.Branch != "penumbra/"+found.ID+"-adopt" || !strings.Contains(p.Body, "| `tls` | `false` | `true` |") || !strings.Contains(p.Body, "`alice`") || strings.Join(p.Labels, "") != "drift" || strings.Join(p.Reviewers, "") != "carol" {
				t.Errorf("the pull request: %+v", p)
			}
			if got := s.inBare("log", "-1", "--format=%an|%(trailers:key=Approved-by,valueonly,separator=)|%(trailers:key=Penumbra-Drift,valueonly,separator=)", p.Branch); got != "Penumbra|alice|"+found.ID {
				t.Errorf("the commit: %s", got)
			}
			if got := s.inBare("show", p.Branch+":shop/main.tf"); !sameButAlignment(got, strings.Replace(code, "tls              = false #", "tls              = true #", 1)) {
				t.Errorf("the code on the branch:\n%s", got)
			}
			s.penumbra("run", "show", run.ID).ends(0).tells(run.Code.URL, "open", p.Branch)
			s.until("the drift knows of it", func() bool { return s.show(found.ID).Code != nil })
			s.penumbra("drift", "show", found.ID).ends(0).tells("open", "proposed in "+run.Code.URL)
			s.penumbra("drift", "list").ends(0).tells(found.ID, "proposed in")
			s.penumbra("run", "review").ends(0).tells(run.ID, "open")

			// It is merged: the drift goes once the checkout has it, and not before.
			s.inBare("update-ref", "refs/heads/main", s.inBare("rev-parse", p.Branch))
			s.forge.Decide(p.Number, "merged")
			s.penumbra("run", "review", run.ID).ends(0).tells("merged")
			if now := s.show(found.ID); !now.Active() || now.Code == nil || now.Code.State != penumbra.ReviewMerged {
				t.Fatalf("after the merge: %+v", now)
			}
			s.git("pull", "--quiet", "origin", "main")
			s.until("the drift is gone", func() bool { now := s.show(found.ID); return !now.Active() })
			if now := s.show(found.ID); now.Resolution != penumbra.TemplateChanged {
				t.Errorf("after the pull: %+v", now)
			}
			s.plansNothing()
			// The way back from what is merged is another pull request.
			back := s.rollback(run.ID)
			if pulls = s.forge.Pulls(); len(pulls) != 2 || back.Code == nil || s.inBare("show", pulls[1].Branch+":shop/main.tf") != strings.TrimSpace(code) {
				t.Errorf("the way back: %+v\n%+v", back, pulls)
			}

			d.stop(syscall.SIGTERM)
			if strings.Contains(d.log.String(), forgeToken) {
				t.Error("the log has the token")
			}
			for name, text := range s.files(s.path(".penumbra")) {
				if strings.Contains(text, forgeToken) {
					t.Errorf("%s has the token", name)
				}
			}
		})
	}
}

func TestReviewWithdrawn(t *testing.T) {
	s := newReviewed(t, "github")
	s.watching()
	found, run := s.adopt()
	s.as("bob").rollback(run.ID)
	p := s.forge.Pulls()[0]
	if p.State != "closed" || len(p.Comments) != 1 || !strings.Contains(p.Comments[0], "`bob`") {
		t.Errorf("the pull request: %+v", p)
	}
	if left := s.inBare("for-each-ref", "refs/heads/penumbra") + s.git("for-each-ref", "refs/heads/penumbra"); left != "" {
		t.Errorf("branches are left: %s", left)
	}
	s.until("the run is taken back", func() bool { return s.runOf(run.ID).State == penumbra.RolledBack })
	if undone := s.runOf(run.ID); undone.Code.State != penumbra.ReviewClosed {
		t.Errorf("the run: %+v", undone)
	}
	s.until("the drift is as before", func() bool { return s.show(found.ID).Code == nil })
	if now := s.show(found.ID); !now.Active() {
		t.Errorf("the drift: %+v", now)
	}
	// It can be proposed again, and a reviewer may close it.
	again := s.approve(s.adoption(found.ID))
	s.forge.Decide(2, "closed")
	s.penumbra("run", "review", again.ID).ends(0).tells("closed")
	s.penumbra("drift", "show", found.ID).ends(0).tells("closed without a merge")
	s.adoption(found.ID)
}

func TestReviewRefused(t *testing.T) {
	s := newReviewed(t, "gitlab")
	s.watching()
	// The checkout is ahead of the remote in the very file.
	s.edit("shop/main.tf", "# ", "# local: ")
	s.git("commit", "--quiet", "--all", "-m", "local")
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	found := s.drift(queue, "tls")
	p := s.proposal(found.ID, penumbra.Adopt)
	s.penumbra("approve", p.ID, "--yes").ends(1).tells("nothing was changed", "push or pull")
	if len(s.forge.Pulls()) != 0 || s.inBare("for-each-ref", "refs/heads/penumbra") != "" {
		t.Errorf("something was made: %+v", s.forge.Pulls())
	}
	// It is pushed: the same drift can be adopted now. First the forge is away.
	s.git("push", "--quiet", "origin", "main")
	s.forge.Instead(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, `{"message": "maintenance"}`, http.StatusForbidden)
		return true
	})
	p = s.adoption(found.ID)
	s.penumbra("approve", p.ID, "--yes").ends(1).tells("is there and not complete", "maintenance")
	s.forge.Instead(nil)
	s.approve(s.adoption(found.ID))
	if n := len(s.forge.Pulls()); n != 1 || s.inBare("rev-list", "--count", "main.."+p.Branch()) != "1" {
		t.Errorf("%d pull requests", n)
	}
}

// stopping puts a script before git that stops for good before or after a command,
// while a file named held is there.
func (s *reviewed) stopping() {
	s.t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		s.t.Fatal(err)
	}
	bin := s.t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
held='%s'
point=$(cat "$held" 2>/dev/null)
stop() { touch "$held.reached"; while [ -e "$held" ]; do sleep 0.05; done; exit 1; }
for a in "$@"; do
	[ "$point" = "before $a" ] && stop
done
'%s' "$@"
code=$?
for a in "$@"; do
	[ "$point" = "after $a" ] && stop
done
exit $code
`, s.path(".penumbra/held"), git)
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "PATH="+bin+":"+os.Getenv("PATH"))
}

func TestReviewKilled(t *testing.T) {
	s := newReviewed(t, "github")
	s.stopping()
	reached := make(chan struct{}, 1)
	made := true
	s.forge.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/pulls") || s.read(".penumbra/point") != "open" || !made {
			return false
		}
		made = false // once: the answer is never heard
		s.forge.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
		reached <- struct{}{}
		<-r.Context().Done()
		return true
	}
	d := s.watching()
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	found := s.drift(queue, "tls")
	for i, point := range []string{"before update-ref", "after update-ref", "before push", "after push", "open"} {
		s.write(".penumbra/point", point)
		p := s.adoption(found.ID)
		if point != "open" {
			s.write(".penumbra/held", point)
		}
		approved := make(chan struct{})
		go func() {
			defer close(approved)
			s.penumbra("approve", p.ID, "--yes")
		}()
		if point == "open" {
			<-reached
		} else {
			s.until(point, func() bool { _, err := os.Stat(s.path(".penumbra/held.reached")); return err == nil })
		}
		d.stop(syscall.SIGKILL)
		<-approved
		_ = os.Remove(s.path(".penumbra/held"))
		_ = os.Remove(s.path(".penumbra/held.reached"))

		d = s.watching()
		var run penumbra.Run
		s.until("the run has ended after "+point, func() bool { run = s.runs()[0]; return run.Proposal == p.ID && run.State.Ended() })
		if run.State != penumbra.Done || run.Code.State != penumbra.ReviewOpen {
			t.Fatalf("%s: the run is %s: %s", point, run.State, run.Outcome)
		}
		open := 0
		for _, x := range s.forge.Pulls() {
			if x.State == "open" {
				open++
			}
		}
		if open != 1 || len(s.forge.Pulls()) != i+1 || s.inBare("rev-list", "--count", "main.."+p.Branch()) != "1" {
			t.Fatalf("%s: %d open of %+v", point, open, s.forge.Pulls())
		}
		s.until("the drift knows of it after "+point, func() bool { return s.show(found.ID).Code != nil })
		s.rollback(run.ID)
	}
}
