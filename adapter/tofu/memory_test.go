package tofu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// watch puts a script in front of the binary that writes down each command, and
// returns what tells the plans since it was last called.
func (s *stack) watch() (plans func() string) {
	s.t.Helper()
	record := filepath.Join(s.t.TempDir(), "commands")
	script := filepath.Join(s.t.TempDir(), "tool")
	text := "#!/bin/sh\necho \"$@\" >>'" + record + "'\nexec '" + s.w.binary + "' \"$@\"\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.w.binary = script
	return func() string {
		data, _ := os.ReadFile(record)
		os.Remove(record)
		var kinds []string
		for line := range strings.Lines(string(data)) {
			switch {
			case !strings.HasPrefix(line, "plan "):
			case strings.Contains(line, "-refresh-only"):
				kinds = append(kinds, "refresh")
			case strings.Contains(line, "-target="):
				kinds = append(kinds, "some")
			default:
				kinds = append(kinds, "all")
			}
		}
		return strings.Join(kinds, " ")
	}
}

// What is read with the help of memory is what a plan of everything gives, and
// memory is used only where it can be.
func TestReadWithMemory(t *testing.T) {
	t.Parallel()
	s := newStack(t, map[string]string{"note.tf": `resource "conffile_service" "note" {
  directory = var.directory
  name      = "note"
  memory_mb = length(file("${path.module}/note.txt"))
  lifecycle {
    ignore_changes = [log_level, tags["owner"]]
  }
  log_level = "info"
  tags      = { owner = "x", tier = conffile_service.cache.log_level == null ? "none" : conffile_service.cache.log_level }
}
`, "note.txt": "seven c"})
	plans := s.watch()
	step := func(name, want string) observed {
		t.Helper()
		got := s.read()
		if p := plans(); p != want {
			t.Errorf("%s: planned %q, want %q", name, p, want)
		}
		fresh := &Workspace{config: s.w.config, dir: s.w.dir, data: t.TempDir(), binary: s.w.binary}
		list, err := fresh.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plans()
		if diff := cmp.Diff(index(t, list), got, cmp.AllowUnexported(penumbra.Value{})); diff != "" {
			t.Errorf("%s: with memory the read differs from a plan of everything:\n%s", name, diff)
		}
		return got
	}
	step("first read", "all")
	step("nothing changed", "refresh")
	s.edit("etc/web-a.conf", "log_level = info", "log_level = debug")
	step("drift", "refresh some")
	step("the same drift", "refresh")
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 512\nlog_level = error")
	got := step("drift that another resource depends on", "refresh some")
	if v := got.value(t, "template conffile_service.note", "tags.tier"); v != penumbra.String("error") {
		t.Errorf("the dependent's template is %v, want error", v)
	}
	s.edit("etc/note.conf", "log_level = info", "log_level = debug")
	got = step("drift that the code ignores", "refresh some")
	for _, path := range []string{"log_level", "tags.owner"} {
		if v := got.value(t, "template conffile_service.note", path); !v.IsNull() {
			t.Errorf("%s is ignored, and declared as %v", path, v)
		}
	}
	if err := os.Remove(s.path("etc/web-b.conf")); err != nil {
		t.Fatal(err)
	}
	step("a resource is deleted", "refresh some")
	s.edit("note.txt", "seven c", "eight ch")
	step("a file that the code reads", "all")
	s.edit("main.tf", "memory_mb       = 512", "memory_mb       = 768")
	step("the code", "all")
	s.w.config.Env["TF_VAR_log_level"] = "warning"
	step("a variable", "all")
	s.tool("apply", "-auto-approve", "-target=module.mailer")
	step("an apply by somebody else", "refresh some")
	s.write("more.tf", "data \"conffile_nothing\" \"x\" {")
	if _, err := s.w.Read(t.Context()); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("broken code: %v, want Invalid", err)
	}
}
