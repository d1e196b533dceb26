package tofu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// compare reads the stack quickly and with a plan of everything, both for the
// first time, and wants the same of them; plans are those of the quick read.
func (s *stack) compare(name, plans string, watched func() string) observed {
	s.t.Helper()
	read := func(quick bool) observed {
		w := &Workspace{config: s.w.config, dir: s.dir, data: s.t.TempDir(), binary: s.w.binary}
		w.config.Quick = quick
		list, err := w.Read(s.t.Context())
		if err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
		return index(s.t, list)
	}
	full := read(false)
	watched()
	got := read(true)
	if p := watched(); p != plans {
		s.t.Errorf("%s: planned %q, want %q", name, p, plans)
	}
	if diff := cmp.Diff(full, got, cmp.AllowUnexported(penumbra.Value{})); diff != "" {
		s.t.Errorf("%s: the quick read (+) differs from a plan of everything (-):\n%s", name, diff)
	}
	return got
}

func TestQuickReadOfEdits(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	plans := s.watch()
	s.compare("clean", "refresh", plans)
	s.edit("etc/web-a.conf", "log_level = info", "log_level = debug")
	s.compare("edited by hand", "refresh some", plans)
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 512\nlog_level = error")
	s.compare("a setting that the code leaves open", "refresh some", plans)
	s.edit("etc/queue.conf", "listen_port = 5672", "listen_port = 5673")
	s.compare("one that replaces what others refer to", "refresh some", plans)
	s.edit("etc/queue.conf", "listen_port = 5673", "listen_port = 5672")
	s.write("etc/web-a.conf", s.text("etc/web-b.conf")+"tag.extra = 1\n")
	s.compare("a label added by hand", "refresh some", plans)
	if err := os.Remove(s.path("etc/mailer.conf")); err != nil {
		t.Fatal(err)
	}
	s.compare("deleted", "refresh some", plans)
}

func TestQuickReadOfCodeNotApplied(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	plans := s.watch()
	main, variables := s.text("main.tf"), s.text("variables.tf")
	pending := func(name, resource, path, plan string, want penumbra.Value) {
		t.Helper()
		got := s.compare(name, plan, plans)
		o := got["template "+resource]
		if o == nil {
			t.Fatalf("%s: no template of %s", name, resource)
		}
		if _, ok := o.Applied.Find(path); !ok || o.Settings.Get(path) != want {
			t.Errorf("%s: %s is %v, pending %v; want %v, pending", name, path, o.Settings.Get(path), ok, want)
		}
		s.write("main.tf", main)
		s.write("variables.tf", variables)
	}
	const web, mailer = `conffile_service.web["a"]`, "module.mailer.conffile_service.this"
	s.edit("main.tf", "memory_mb       = 512", "memory_mb       = 768")
	pending("a literal", "conffile_service.cache", "memory_mb", "refresh some", penumbra.Number(768))
	s.edit("variables.tf", `default     = "info"`, `default     = "warning"`)
	pending("a variable's default, in a module too", mailer, "log_level", "refresh some", penumbra.String("warning"))
	s.edit("main.tf", "web_connections = 512", "web_connections = 600")
	pending("a local", web, "max_connections", "refresh some", penumbra.Number(600))
	s.edit("main.tf", `owner = "platform"`, `owner = "ops"`)
	pending("a label of all", "conffile_service.queue", "tags.owner", "refresh some", penumbra.String("ops"))
	s.edit("main.tf", `name      = "mailer"`, `name      = "mailer"`+"\n  processes = 3")
	pending("an input of a module", mailer, "memory_mb", "refresh some", penumbra.Number(384))
	s.edit("variables.tf", `["a", "b", "c", "d", "e", "f"]`, `["a", "b", "c", "d", "e", "g"]`)
	pending("an element of for_each", `conffile_service.web["g"]`, "name", "refresh some", penumbra.String("web-g"))
	s.edit("main.tf", "listen_port      = 5672", "listen_port      = 5673")
	pending("what another resource refers to", mailer, "upstreams.0.address", "refresh some some", penumbra.String("queue:5673"))
	s.write("more.tf", "resource \"conffile_service\" \"extra\" {\n  directory = var.directory\n  name = \"extra\"\n}\n")
	pending("never created", "conffile_service.extra", "name", "refresh some", penumbra.String("extra"))
	if err := os.Remove(s.path("more.tf")); err != nil {
		t.Fatal(err)
	}
	s.write("terraform.tfvars", "log_level = \"error\"\n")
	pending("a file of variables", web, "log_level", "refresh some", penumbra.String("error"))
	if err := os.Remove(s.path("terraform.tfvars")); err != nil {
		t.Fatal(err)
	}
	s.w.config.Env["TF_VAR_log_level"] = "error"
	pending("a variable in the environment", web, "log_level", "refresh some", penumbra.String("error"))
	delete(s.w.config.Env, "TF_VAR_log_level")

	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	s.edit("main.tf", "memory_mb       = 512", "memory_mb       = 640")
	got := s.compare("code that follows an edit", "refresh some", plans)
	if o := got["template conffile_service.cache"]; o.Settings.Get("memory_mb") != penumbra.Number(640) {
		t.Errorf("template %v, want the code's 640", o.Settings.Get("memory_mb"))
	}
	s.edit("etc/cache.conf", "memory_mb = 640", "memory_mb = 512")
	from := strings.Index(main, "resource \"conffile_service\" \"cache\"")
	until := strings.Index(main, "resource \"conffile_service\" \"queue\"")
	s.write("main.tf", main[:from]+main[until:])
	s.edit("outputs.tf", "cache    = conffile_service.cache.path", "")
	if got := s.compare("removed from the code", "refresh", plans); got["template conffile_service.cache"] != nil {
		t.Error("what is not in the code has a template")
	}
}

func TestQuickReadFallsBack(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	plans := s.watch()
	s.write("main_override.tf", "resource \"conffile_service\" \"cache\" {\n  memory_mb = 100\n}\n")
	s.compare("an override file", "all", plans)
	if err := os.Remove(s.path("main_override.tf")); err != nil {
		t.Fatal(err)
	}
	s.edit("main.tf", `resource "conffile_service" "cache"`, "moved {\n  from = conffile_service.cache\n  to   = conffile_service.store\n}\n\nresource \"conffile_service\" \"store\"")
	s.edit("outputs.tf", "conffile_service.cache.path", "conffile_service.store.path")
	s.compare("another address", "refresh", plans)
	s.edit("etc/queue.conf", "listen_port = 5672", "no setting at all")
	got := s.compare("one that cannot be read", "refresh all", plans)
	if o := got["snapshot conffile_service.queue"]; o == nil || !strings.Contains(o.NotChecked, "line 2") {
		t.Errorf("queue: %+v, want not checked with the reason", o)
	}
}

func TestQuickReadWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	s.w.config.Quick = true
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	before := fingerprint(t, s.dir)
	s.read()
	if after := fingerprint(t, s.dir); after != before {
		t.Errorf("reading changed the stack:\n%s\nwas\n%s", after, before)
	}
	left, _ := filepath.Glob(filepath.Join(s.w.data, "read-*"))
	if len(left) > 0 {
		t.Errorf("left behind, with a state in it: %v", left)
	}
}

func TestQuickReadFailures(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	s.w.config.Quick = true
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.w.Read(cancelled); penumbra.KindOf(err) != penumbra.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want Unavailable", err)
	}
	s.write("broken.tf", "resource \"conffile_service\" \"broken\" {\n  nonsense = 1\n  directory = \"./etc\"\n  name = \"b\"\n}\n")
	if _, err := s.w.Read(t.Context()); penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), "broken.tf:2") {
		t.Errorf("invalid code: %v, want Invalid with the place", err)
	}
	s.write("broken.tf", "")
	s.w.config.Env["CONFFILE_CRASH"] = "read"
	if _, err := s.w.Read(t.Context()); penumbra.KindOf(err) != penumbra.Unavailable || !strings.Contains(err.Error(), "a provider crashed") {
		t.Errorf("provider crash: %v, want Unavailable", err)
	}
}
