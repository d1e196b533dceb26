package tofu

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/atrest"
)

// beside is the stack as another machine has it: the same code, with a data folder of its own.
func (s *stack) beside(change func(*Config)) *Workspace {
	s.t.Helper()
	c := s.w.config
	c.DataDir = filepath.Join(s.t.TempDir(), "data")
	c.Env = map[string]string{}
	for name, value := range s.w.config.Env {
		c.Env[name] = value
	}
	if change != nil {
		change(&c)
	}
	w, err := New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

// digestOf is of all that tells machines apart for plans.
func digestOf(t *testing.T, w *Workspace) string {
	t.Helper()
	of, err := w.PlanDigest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return readDigestOf(t, w) + " " + of
}

func readDigestOf(t *testing.T, w *Workspace) string {
	t.Helper()
	of, err := w.ReadDigest()
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// TestPlanMadeElsewhere has one machine plan, the code as it is and with a patch, and another
// apply: what it applies is what was planned, to the state that both name by the same path.
func TestPlanMadeElsewhere(t *testing.T) {
	t.Parallel()
	s := newStack(t, map[string]string{"backend.tf": "terraform {\n  backend \"local\" {\n    path = \"state/shop.tfstate\"\n  }\n}\n"})
	dir := t.TempDir()
	master, err := atrest.MasterFile(filepath.Join(dir, "master.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := atrest.Open(filepath.Join(dir, "keyring.age"), master, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.w.config.Cipher = keys
	other := s.beside(nil)
	if digestOf(t, s.w) != digestOf(t, other) {
		t.Fatal("two machines that are the same differ")
	}
	for _, step := range []struct {
		patch *penumbra.Patch
		text  string
	}{
		{nil, "memory_mb = 512"},
		{s.patch("main.tf", "memory_mb       = 512", "memory_mb       = 700"), "memory_mb = 700"},
	} {
		if step.patch == nil {
			s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
		}
		made, err := other.Plan(t.Context(), []penumbra.Address{cache}, step.patch)
		if err != nil {
			t.Fatal(err)
		}
		saved, err := other.TakePlan(made)
		if err != nil || bytes.Contains(saved, []byte("tfplan")) || len(saved) == 0 {
			t.Fatalf("the plan was not taken, or can be read: %d bytes, %v", len(saved), err)
		}
		if _, err := other.TakePlan(made); penumbra.KindOf(err) != penumbra.Stale {
			t.Errorf("the plan stays where it was made: %v", err)
		}
		kept, err := s.w.KeepPlan(made, saved)
		if err != nil || kept.Hash != made.Hash || kept.File != made.File || !kept.Created.Equal(testTime) {
			t.Fatalf("kept as %+v, %v", kept, err)
		}
		if again, err := s.w.Replan(t.Context(), kept, step.patch); err != nil || again.Evidence != kept.Evidence {
			t.Errorf("planned again here: %v, evidence equal %v", err, again.Evidence == kept.Evidence)
		}
		var log bytes.Buffer
		if err := s.w.Apply(t.Context(), kept, &log); err != nil {
			t.Fatal(err, &log)
		}
		if !strings.Contains(s.text("etc/cache.conf"), step.text) {
			t.Errorf("applied: %s", s.text("etc/cache.conf"))
		}
	}
	if !strings.Contains(s.text("state/shop.tfstate"), `"memory_mb": 700`) {
		t.Error("it was not applied to the state")
	}

	// What `init` writes anew each time is no difference; what a plan depends on is. What is read
	// does not depend on all of it.
	same, read := digestOf(t, s.w), readDigestOf(t, s.w)
	if err := os.RemoveAll(s.path(".terraform")); err != nil {
		t.Fatal(err)
	}
	s.tool("init")
	if digestOf(t, s.w) != same {
		t.Error("another `init` tells machines apart")
	}
	alike := map[string]bool{"the folder": true, ".terraform.lock.hcl": true} // for reading
	for what, change := range map[string]func(*Config){
		"a variable":  func(c *Config) { c.Env["TF_VAR_log_level"] = "debug" },
		"arguments":   func(c *Config) { c.Env["TF_CLI_ARGS_plan"] = "-refresh=false" },
		"a workspace": func(c *Config) { c.Env["TF_WORKSPACE"] = "blue" },
		"the key":     func(c *Config) { c.Key = penumbra.Key("another key for tests only") },
		"the folder": func(c *Config) {
			c.Dir = filepath.Join(s.t.TempDir(), "shop")
			if err := os.CopyFS(c.Dir, os.DirFS(s.dir)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		other := s.beside(change)
		if digestOf(t, other) == same || (readDigestOf(t, other) == read) != alike[what] {
			t.Errorf("%s does not tell machines apart, or does for reading", what)
		}
	}
	for what, change := range map[string][2]string{
		".terraform/environment":       {"", "blue"},
		".terraform/terraform.tfstate": {"state/shop.tfstate", "state/other.tfstate"},
		".terraform.lock.hcl":          {"hashes", "hashes "},
	} {
		before, _ := os.ReadFile(s.path(what))
		s.write(what, strings.Replace(string(before), change[0], change[1], 1))
		if digestOf(t, s.w) == same || (readDigestOf(t, s.w) == read) != alike[what] {
			t.Errorf("another %s does not tell machines apart, or does for reading", what)
		}
		s.write(what, string(before))
	}
	if digestOf(t, s.w) != same || readDigestOf(t, s.w) != read {
		t.Error("the same again is another")
	}
}
