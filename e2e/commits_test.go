//go:build unix

package e2e

// This file covers a repository that is followed beside the stack whose code is in
// it: who moved what waits to be applied is known, also after a restart; and what
// is shown of resources that are read at periods of their own.

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// commit commits all of the stack's code as somebody, and returns the source.
func (s *site) commit(author, message string) string {
	s.t.Helper()
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = s.root
		cmd.Env = append(s.env, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME="+author, "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=Forge", "GIT_COMMITTER_EMAIL=f@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--initial-branch=main")
	git("add", "shop/*.tf")
	git("commit", "--quiet", "-m", message)
	return "git:" + git("rev-parse", "HEAD")[:12]
}

// moved returns what is known of who moved a setting that is pending.
func (s *site) moved(address, path string) *penumbra.Touch {
	s.t.Helper()
	var view penumbra.ShadowView
	s.penumbra("shadow", "show", address, "-o", "json").ends(0).into(&view)
	for _, x := range view.Settings {
		if x.Path == path && x.Verdict == penumbra.Pending {
			return x.Moved
		}
	}
	return nil
}

func TestWhoMovedWhatIsPending(t *testing.T) {
	s := newSite(t)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is needed")
	}
	s.write("penumbra.yaml", `schedule: {every: 1h, gap: 20ms, burst: 1000}
stacks:
  - name: shop
    dir: shop
    cadence:
      - {match: "*.queue", every: 10m}
      - {match: "*.nowhere", every: 10m}
inputs:
  - {name: code, kind: git, repository: ., every: 1s}
`)
	s.commit("Ada", "Begin")
	d := s.watching()
	s.edit("shop/main.tf", "memory_mb        = 768", "memory_mb        = 896")
	source := s.commit("Bob", "Give the queue more")
	var by *penumbra.Touch
	s.until("who moved the code", func() bool {
		by = s.moved(queue, "memory_mb")
		return by != nil && by.Actor == "Bob"
	})
	if by.Source != source || by.ActorKind != penumbra.User || by.Action != penumbra.ActionCommit {
		t.Errorf("moved by %+v, want %s", by, source)
	}
	s.penumbra("shadow", "show", queue).ends(0).tells("by Bob, "+source, "read again in ")
	s.penumbra("explain", queue, "memory_mb").ends(0).tells("by Bob, in commit " + strings.TrimPrefix(source, "git:"))
	s.penumbra("inputs").ends(0).tells("code", "git")
	if open := s.drifts(); len(open) != 0 {
		t.Errorf("code that moved is no drift: %+v", open)
	}

	var status penumbra.Status
	s.penumbra("status", "-o", "json").ends(0).into(&status)
	sources := status.Stacks[0].Sources
	if len(sources) != 1 || !sources[0].Targeted || len(sources[0].Cadence) != 3 || sources[0].Cadence[0].Resources != 1 || sources[0].Cadence[0].NextRead.IsZero() || sources[0].Cadence[1].Resources != 0 {
		t.Errorf("the cadence is %+v", sources)
	}
	s.penumbra("status").ends(0).tells("*.queue", "every 10m0s", "all others")
	s.penumbra("status", "--resources").ends(0).tells("NEXT")

	// Stopped, it misses nothing and says nothing twice.
	d.stop(syscall.SIGTERM)
	s.edit("shop/main.tf", "memory_mb        = 896", "memory_mb        = 1024")
	source = s.commit("Eve", "Give it still more")
	s.watching()
	s.until("who moved it meanwhile", func() bool {
		by = s.moved(queue, "memory_mb")
		return by != nil && by.Actor == "Eve" && by.Source == source
	})
	var view penumbra.ShadowView
	s.penumbra("shadow", "show", queue, "-o", "json").ends(0).into(&view)
	var told []string
	for _, c := range view.Resource.Commits {
		told = append(told, c.Actor)
	}
	if got := strings.Join(told, " "); got != "Ada Bob Eve" {
		t.Errorf("the queue's code was touched by %s", got)
	}
}
