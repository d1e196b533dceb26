package tofu

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// The tests in this package that start from newStack run the real tool with the
// example provider, whose resources are files.

var testKey = penumbra.Key("a key for tests only")

var testTime = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// mirror builds the example provider, once, and returns the CLI configuration
// that makes it known.
var mirror = sync.OnceValues(func() (string, error) {
	dest := filepath.Join(os.TempDir(), "penumbra-test-mirror")
	script := filepath.Join("..", "..", "scripts", "provider.sh")
	out, err := exec.Command("sh", script, dest).Output()
	return strings.TrimSpace(string(out)), err
})

// stack is a copy of the example shop, applied.
type stack struct {
	t   *testing.T
	dir string
	w   *Workspace
}

func needTool(t *testing.T) (binary, cli string) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("REQUIRE_TOOLS") == "1" {
		skip = t.Fatalf
	}
	binary, err := FindBinary("")
	if err != nil {
		skip("no OpenTofu or Terraform: %v", err)
	}
	cli, err = mirror()
	if err != nil {
		skip("the example provider cannot be built: %v", err)
	}
	return binary, cli
}

func newStack(t *testing.T, files map[string]string) *stack {
	t.Helper()
	binary, cli := needTool(t)
	s := &stack{t: t, dir: filepath.Join(t.TempDir(), "infra", "shop")}
	if err := os.CopyFS(s.dir, os.DirFS(filepath.Join("..", "..", "examples", "shop"))); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		s.write(name, text)
	}
	var err error
	s.w, err = New(Config{
		Stack: "shop", Dir: s.dir, Binary: binary, Key: testKey, DataDir: filepath.Join(t.TempDir(), "data"),
		Env: map[string]string{"TF_CLI_CONFIG_FILE": cli}, Now: func() time.Time { return testTime },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.tool("init")
	s.tool("apply", "-auto-approve")
	return s
}

func (s *stack) tool(args ...string) string {
	s.t.Helper()
	out, err := s.w.run(context.Background(), args...)
	if err != nil {
		s.t.Fatalf("%v: %v\n%s%s", args, err, &out.stdout, &out.stderr)
	}
	return out.stdout.String()
}

func (s *stack) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *stack) write(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// edit replaces text in a file, which must have it.
func (s *stack) edit(name, from, to string) {
	s.t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil || !bytes.Contains(data, []byte(from)) {
		s.t.Fatalf("edit %s: no %q in it (%v)", name, from, err)
	}
	s.write(name, strings.Replace(string(data), from, to, 1))
}

func (s *stack) read() observed {
	s.t.Helper()
	list, err := s.w.Read(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return index(s.t, list)
}

// observed is a list of observations by resource and kind; a snapshot of what
// was there before the read is of kind "last".
type observed map[string]*penumbra.Observation

func index(t *testing.T, list []penumbra.Observation) observed {
	t.Helper()
	out := make(observed)
	var now time.Time
	for i := range list {
		if list[i].Time.After(now) {
			now = list[i].Time
		}
	}
	for i := range list {
		o := &list[i]
		if err := o.Check(); err != nil {
			t.Errorf("%s: %v", o.Resource, err)
		}
		name := o.Kind.String() + " " + o.Resource.Local()
		if o.Time.Before(now) {
			name = "last " + o.Resource.Local()
		}
		if out[name] != nil {
			t.Errorf("%s twice", name)
		}
		out[name] = o
	}
	return out
}

func (o observed) value(t *testing.T, name, path string) penumbra.Value {
	t.Helper()
	if o[name] == nil {
		t.Fatalf("no %s", name)
	}
	return o[name].Settings.Get(path)
}

func TestReadTellsDriftFromPending(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	s.edit("etc/web-a.conf", "log_level = info", "log_level = debug")
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	s.edit("main.tf", "memory_mb       = 512", "memory_mb       = 768")
	s.edit("main.tf", `log_level       = "warning" # queries at info fill the disk`, `log_level       = "error"`)
	if err := os.Remove(s.path("etc/mailer.conf")); err != nil {
		t.Fatal(err)
	}
	s.write("more.tf", "resource \"conffile_service\" \"extra\" {\n  directory = var.directory\n  name = \"extra\"\n}\n")
	got := s.read()

	for _, c := range []struct {
		resource                  string
		path                      string
		template, actual, applied penumbra.Value
		pending                   bool
	}{
		{`conffile_service.web["a"]`, "log_level", penumbra.String("info"), penumbra.String("debug"), penumbra.Null(), false},
		{"conffile_service.cache", "memory_mb", penumbra.Number(768), penumbra.Number(640), penumbra.Number(512), true},
		{"conffile_service.database", "log_level", penumbra.String("error"), penumbra.String("warning"), penumbra.String("warning"), true},
		{"conffile_service.cache", "path", penumbra.Null(), penumbra.String("etc/cache.conf"), penumbra.Null(), false},
		{"module.mailer.conffile_service.this", "log_level", penumbra.String("info"), penumbra.Null(), penumbra.Null(), false},
	} {
		if v := got.value(t, "template "+c.resource, c.path); v != c.template {
			t.Errorf("%s %s: template %v, want %v", c.resource, c.path, v, c.template)
		}
		if v := got.value(t, "snapshot "+c.resource, c.path); v != c.actual {
			t.Errorf("%s %s: actual %v, want %v", c.resource, c.path, v, c.actual)
		}
		was, pending := got["template "+c.resource].Applied.Find(c.path)
		if pending != c.pending || was.Value != c.applied {
			t.Errorf("%s %s: applied %v %v, want %v %v", c.resource, c.path, was.Value, pending, c.applied, c.pending)
		}
	}
	gone := got["snapshot module.mailer.conffile_service.this"]
	if !gone.Full || len(gone.Settings) != 0 || gone.NotChecked != "" {
		t.Errorf("deleted resource: %+v, want a full snapshot without settings", gone)
	}
	if got["snapshot conffile_service.extra"] != nil {
		t.Error("a resource that was never created has a snapshot")
	}
	if was, ok := got["template conffile_service.extra"].Applied.Find("name"); !ok || !was.Value.IsNull() {
		t.Errorf("never created: applied name %v %v, want null and there", was.Value, ok)
	}
	if v := got.value(t, "snapshot conffile_service.database", "admin_password"); v.Kind() != penumbra.SecretKind {
		t.Errorf("password is %v, want it sealed", v.Kind())
	}
}

func TestReadSaysWhatItCouldNotRead(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	s.edit("etc/queue.conf", "listen_port = 5672", "no setting at all")
	s.edit("etc/web-a.conf", "log_level = info", "log_level = debug")
	got := s.read()
	for _, name := range []string{"conffile_service.queue", "module.mailer.conffile_service.this"} {
		o := got["snapshot "+name]
		if o == nil || !strings.Contains(o.NotChecked, "etc/queue.conf, line 2") {
			t.Errorf("%s: %+v, want not checked with the provider's reason", name, o)
		}
	}
	if v := got.value(t, `snapshot conffile_service.web["a"]`, "log_level"); v != penumbra.String("debug") {
		t.Errorf("a resource that was read: log_level %v, want debug", v)
	}
	if v := got.value(t, `template conffile_service.web["a"]`, "log_level"); v != penumbra.String("info") {
		t.Errorf("its template: log_level %v, want info", v)
	}
}

func TestReadFailures(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	check := func(name string, kind penumbra.ErrorKind, words ...string) {
		t.Helper()
		_, err := s.w.Read(context.Background())
		if err == nil || penumbra.KindOf(err) != kind {
			t.Fatalf("%s: %v (%v), want kind %v", name, err, penumbra.KindOf(err), kind)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v\ndoes not say %q", name, err, word)
			}
		}
		if strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: a stack trace is left in %v", name, err)
		}
	}
	s.w.config.Env["CONFFILE_CRASH"] = "read"
	check("provider crash", penumbra.Unavailable, "a provider crashed")
	delete(s.w.config.Env, "CONFFILE_CRASH")

	s.write("broken.tf", "resource \"conffile_service\" \"broken\" {\n  nonsense = 1\n  directory = \"./etc\"\n  name = \"b\"\n}\n")
	check("invalid code", penumbra.Invalid, "broken.tf:2", "nonsense")
	s.write("broken.tf", "resource {")
	check("code that does not parse", penumbra.Invalid, "broken.tf:1")
	if err := os.Remove(s.path("broken.tf")); err != nil {
		t.Fatal(err)
	}

	s.w.config.Env["CONFFILE_DELAY_MS"] = "120000"
	short, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if _, err := s.w.Read(short); penumbra.KindOf(err) != penumbra.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read that takes too long: %v, want Unavailable for the deadline", err)
	}
	delete(s.w.config.Env, "CONFFILE_DELAY_MS")

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.w.Read(cancelled); err == nil {
		t.Error("a read under a cancelled context succeeded")
	}
	if err := os.RemoveAll(s.path(".terraform")); err != nil {
		t.Fatal(err)
	}
	check("without init", penumbra.Missing, "tofu init")
}
