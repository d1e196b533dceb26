//go:build unix

package e2e

// This file covers `penumbra check`, the one look that CI takes: each verdict
// with its exit code, everything that keeps a stack from being read, and that a
// look changes nothing.

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

const (
	webA     = `shop/conffile_service.web["a"]`
	cache    = "shop/conffile_service.cache"
	database = "shop/conffile_service.database"
	mailer   = "shop/module.mailer.conffile_service.this"
)

// look is what check writes as JSON, as far as the tests read it.
type look struct {
	Resources   int                   `json:"resources"`
	Verdict     penumbra.Verdict      `json:"verdict"`
	Drifted     int                   `json:"drifted"`
	NotChecked  int                   `json:"not_checked"`
	Assessments []penumbra.Assessment `json:"assessments"`
}

func (s *site) look(code int, args ...string) look {
	s.t.Helper()
	var out look
	s.penumbra(append([]string{"check", "shop", "-o", "json"}, args...)...).ends(code).into(&out)
	return out
}

func TestCheckClean(t *testing.T) {
	s := newSite(t)
	before := s.files(s.root)
	s.penumbra("check", "shop").ends(0).tells("10 resources of shop checked, no drift")
	if got := s.look(0); got.Resources != 10 || len(got.Assessments) != 0 {
		t.Fatalf("of a clean stack: %+v", got)
	}
	s.same(s.root, before) // no lock, no state, no data directory
}

func TestCheckHandEdit(t *testing.T) {
	s := newSite(t)
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	before := s.files(s.root)
	s.penumbra("check", "shop").ends(2).tells("drifted", webA, "memory_mb 1024 → 2048")
	got := s.look(2)
	f, n := verdictOn(got.Assessments, webA, "memory_mb")
	if n != 1 || f.Verdict != penumbra.Drifted || !f.Declared || f.Template != penumbra.Number(1024) || f.Actual != penumbra.Number(2048) {
		t.Fatalf("a hand edit: %+v", got)
	}
	s.penumbra("check", "shop", "--drift-exit-code", "0").ends(0)
	s.same(s.root, before)
}

func TestCheckPending(t *testing.T) {
	s := newSite(t)
	s.edit("shop/main.tf", "memory_mb        = 768", "memory_mb        = 896")
	s.penumbra("check", "shop").ends(0).tells("pending", "no drift")
	if f, n := verdictOn(s.look(0).Assessments, "shop/conffile_service.queue", "memory_mb"); n != 1 || f.Verdict != penumbra.Pending {
		t.Fatalf("code that was not applied: %+v", f)
	}

	// A drift beside it is not hidden by that.
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	s.penumbra("check", "shop").ends(2).tells("memory_mb 1024 → 2048", "pending")
}

func TestCheckSecret(t *testing.T) {
	s := newSite(t)
	s.edit("shop/etc/database.conf", "admin_password = correct-horse-battery-staple", "admin_password = moved-horse-battery")
	for _, format := range []string{"human", "json", "sarif", "junit"} {
		s.penumbra("check", "shop", "-v", "-o", format).ends(2).tells("admin_password").hides("horse")
	}
	if f, _ := verdictOn(s.look(2).Assessments, database, "admin_password"); f.Verdict != penumbra.Drifted || !f.Sensitive {
		t.Fatalf("a secret that moved: %+v", f)
	}
}

func TestCheckUnreadable(t *testing.T) {
	s := newSite(t)
	s.edit("shop/etc/web-b.conf", "listen_port = 8080", "nonsense")
	r := s.penumbra("check", "shop").ends(1).tells("not checked", `web["b"]`, "web-b.conf", "resources were not checked").hides("no drift.")
	if strings.Contains(r.out, "goroutine") {
		t.Fatalf("a stack trace:\n%s", r.out)
	}
	if got := s.look(1); got.NotChecked == 0 || got.Resources != 10 {
		t.Fatalf("with a file that cannot be read: %+v", got)
	}
}

func TestCheckProviderCrash(t *testing.T) {
	s := newSite(t).with("CONFFILE_CRASH=read")
	s.penumbra("check", "shop").ends(1).tells("provider", "crash", "What to do:").hides("goroutine", "no drift.")
}

func TestCheckNotInitialised(t *testing.T) {
	s := newSite(t)
	if err := os.RemoveAll(s.path("shop/.terraform")); err != nil {
		t.Fatal(err)
	}
	s.penumbra("check", "shop").ends(1).tells("What to do:", " init").hides("no drift.")
}

func TestCheckInvalidCode(t *testing.T) {
	s := newSite(t)
	s.edit("shop/main.tf", "memory_mb        = 768", "memory_mb        = nobody")
	before, _, _ := strings.Cut(s.read("shop/main.tf"), "nobody")
	place := fmt.Sprintf("main.tf:%d", strings.Count(before, "\n")+1)
	s.penumbra("check", "shop").ends(1).tells(place, "What to do: correct "+place).hides("no drift.")
}

func TestCheckPlan(t *testing.T) {
	s := newSite(t)
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	s.edit("shop/main.tf", "memory_mb        = 768", "memory_mb        = 896")
	own := s.look(2)
	s.tofu("plan", "-input=false", "-lock=false", "-out="+s.path("saved.plan"))
	s.write("plan.json", s.tofu("show", "-json", s.path("saved.plan")))
	theirs := s.look(2, "--plan", "plan.json", "--stack", "shop")
	verdicts := func(l look) string {
		var words []string
		for _, a := range l.Assessments {
			for _, f := range a.Findings {
				words = append(words, string(a.Resource)+" "+f.Path+" "+f.Verdict.String())
			}
		}
		return strings.Join(words, "\n")
	}
	if a, b := verdicts(own), verdicts(theirs); a != b || a == "" {
		t.Fatalf("a look of its own:\n%s\nof the plan:\n%s", a, b)
	}
	in, err := os.Open(s.path("plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	s.run(program, s.root, in, "check", "--plan", "-", "--stack", "shop").ends(2).tells("memory_mb 1024 → 2048")
}

// Somebody else's lock does not hinder a look, which takes none. It is held by a
// plan of the tool itself that is slow to read.
func TestCheckWhileLocked(t *testing.T) {
	s := newSite(t)
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	slow := exec.Command(tool, "plan", "-input=false", "-out="+s.path("slow.plan"))
	slow.Dir, slow.Env = s.dir, append(s.env, "CONFFILE_DELAY_MS=600000")
	slow.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-slow.Process.Pid, syscall.SIGKILL) // its providers too
		_ = slow.Wait()
	}()
	lock := filepath.Join(s.dir, ".terraform.tfstate.lock.info")
	s.until("the state is locked", func() bool {
		text, err := os.ReadFile(lock)
		return err == nil && json.Valid(text)
	})
	r := s.penumbra("check", "shop").ends(2).tells("memory_mb 1024 → 2048")
	if _, err := os.Stat(lock); err != nil {
		t.Fatalf("the lock was not held during the look: %v\n%s", err, r.out)
	}
}

func TestCheckReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permissions do not bind this user")
	}
	s := newSite(t)
	for _, dir := range []string{s.dir, filepath.Join(s.dir, ".terraform"), filepath.Join(s.dir, "etc")} {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	}
	s.penumbra("check", "shop").ends(0).tells("no drift")
}
