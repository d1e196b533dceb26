package ansible

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

var testKey = penumbra.Key("a key for tests only, 32 bytes!!")

const (
	deadHost  = "dead ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1\n"
	localHost = "h1 ansible_connection=local\n"
)

func needAnsible(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("ansible-playbook is not on the PATH")
		}
		t.Skip("ansible-playbook is not on the PATH")
	}
}

// stack is a playbook in a folder, and a target folder that stands for a host.
type stack struct {
	t      testing.TB
	target string
	config Config
	w      *Workspace
}

func newStack(t testing.TB, inventory, tasks string) *stack {
	t.Helper()
	needAnsible(t)
	s := &stack{t: t, target: t.TempDir()}
	dir := t.TempDir()
	play := "- hosts: all\n  gather_facts: false\n  vars: {d: " + s.target + "}\n" + tasks
	for name, content := range map[string]string{"site.yml": play, "hosts": inventory} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.config = Config{Stack: "lab", Dir: dir, Playbook: "site.yml", Inventory: []string{"hosts"}, Key: testKey}
	w, err := New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.w = w
	return s
}

func (s *stack) write(name, content string, mode fs.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.target, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		s.t.Fatal(err)
	}
}

// reading is what was read, by kind and address within the stack, where D
// stands for the target folder.
type reading map[string]penumbra.Observation

func (s *stack) read() reading {
	s.t.Helper()
	list, err := s.w.Read(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return index(s.t, list, s.target)
}

func index(t testing.TB, list []penumbra.Observation, target string) reading {
	t.Helper()
	out := reading{}
	for _, o := range list {
		if err := o.Check(); err != nil {
			t.Errorf("%s: %v", o.Resource, err)
		}
		if o.Full {
			t.Errorf("%s: a snapshot that says it is full", o.Resource)
		}
		key := o.Kind.String() + " " + strings.ReplaceAll(o.Resource.Local(), target, "D")
		if _, ok := out[key]; ok {
			t.Errorf("%s is there twice", key)
		}
		out[key] = o
	}
	return out
}

// expect compares one setting on both sides, in the words of a person; "-" is
// a setting that is not there.
func (r reading) expect(t testing.TB, address, path, want, got string) {
	t.Helper()
	for kind, expected := range map[string]string{"template": want, "snapshot": got} {
		o, ok := r[kind+" "+address]
		if !ok {
			t.Errorf("no %s of %s", kind, address)
			continue
		}
		said := "-"
		if x, ok := o.Settings.Find(path); ok {
			said = x.Value.String()
		}
		if said != expected {
			t.Errorf("%s of %s: %s is %s, want %s (not checked: %q)", kind, address, path, said, expected, o.NotChecked)
		}
	}
}

func (r reading) expectNotChecked(t testing.TB, address, why string) {
	t.Helper()
	o, ok := r["snapshot "+address]
	if !ok || o.NotChecked == "" || !strings.Contains(o.NotChecked, why) {
		t.Errorf("%s: not checked %q (there %t), want %q", address, o.NotChecked, ok, why)
	}
}

func (r reading) expectNone(t testing.TB, part string) {
	t.Helper()
	for key := range r {
		if strings.Contains(key, part) {
			t.Errorf("%s should not be there", key)
		}
	}
}

// fingerprint is all that is below a folder: names, modes, times, contents.
func fingerprint(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, path, info.Mode(), info.ModTime().UnixNano(), info.Size())
		if !d.IsDir() {
			data, err := os.ReadFile(path)
			fmt.Fprintf(&b, "%q\n", data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The ambiguous cases of files, and that a read leaves all as it was.
func TestReadFiles(t *testing.T) {
	t.Parallel()
	s := newStack(t, localHost+deadHost, `
  handlers:
  - name: reload it
    command: touch {{d}}/handled
  tasks:
  - {name: same, copy: {content: "same\n", dest: "{{d}}/same.conf", mode: "0600"}}
  - {name: both, copy: {content: "new\n", dest: "{{d}}/both.conf", mode: "0640"}, notify: reload it}
  - {name: mode, copy: {content: "keep\n", dest: "{{d}}/mode.conf", mode: "0644"}}
  - {name: gone, copy: {content: "x\n", dest: "{{d}}/gone.conf", mode: "0644"}}
  - {name: lines, lineinfile: {path: "{{d}}/lines.conf", line: "{{item}}"}, loop: [one, two]}
  - {name: paths, copy: {content: "p\n", dest: "{{d}}/{{item}}"}, loop: [p1, p2]}
  - {name: ini, ini_file: {path: "{{d}}/app.ini", section: web, option: port, value: "80"}}
  - {name: ini secret, ini_file: {path: "{{d}}/app.ini", section: web, option: password, value: hunter2}}
  - {name: dir, file: {path: "{{d}}/dir", state: directory, mode: "0750"}}
  - {name: later mode, file: {path: "{{d}}/same.conf", mode: "0600"}}
  - {name: absent, file: {path: "{{d}}/old.conf", state: absent}}
  - {name: touch, command: "touch {{d}}/touched"}
  - {name: cond, file: {path: "{{d}}/cond", state: directory}, when: false}
  - {name: hidden, copy: {content: "topsecret\n", dest: "{{d}}/hidden.conf"}, no_log: true}
  - {name: delegated, copy: {content: "d\n", dest: "{{d}}/delegated.conf"}, delegate_to: localhost}
  - {name: ignored, copy: {src: /nonexistent, dest: "{{d}}/ignored.conf"}, ignore_errors: true}
  - block:
    - {name: fails, copy: {src: /nonexistent, dest: "{{d}}/fails.conf"}}
    rescue:
    - {name: rescue, copy: {content: "r\n", dest: "{{d}}/rescue.conf"}}
  - {name: no folder, copy: {content: "n\n", dest: "{{d}}/nofolder/x.conf"}, ignore_errors: true}
`)
	s.write("same.conf", "same\n", 0o600)
	s.write("both.conf", "old\n", 0o666)
	s.write("mode.conf", "keep\n", 0o600)
	s.write("lines.conf", "one\n", 0o600)
	s.write("app.ini", "[web]\nport = 8080\npassword = letmein\n", 0o600)
	s.write("old.conf", "x", 0o600)
	before := fingerprint(t, s.target)
	r := s.read()
	if after := fingerprint(t, s.target); after != before {
		t.Errorf("the read changed the target:\n%s\nwas\n%s", after, before)
	}
	b := newBook("lab", testKey)
	digest := func(text string) string { return b.digestOf(text).String() }

	for _, c := range []struct{ file, path, want, got string }{
		{"same.conf", "content", digest("same\n"), digest("same\n")},
		{"same.conf", "mode", `"0600"`, `"0600"`},
		{"both.conf", "content", digest("new\n"), digest("old\n")},
		{"both.conf", "mode", `"0640"`, `"0666"`}, // which the diff of the content hides
		{"mode.conf", "mode", `"0644"`, `"0600"`},
		{"gone.conf", "state", `"file"`, `"absent"`},
		{"gone.conf", "content", digest("x\n"), "(absent)"},
		{"gone.conf", "mode", `"0644"`, "(absent)"},
		{"p1", "content", digest("p\n"), "(absent)"},
		{"p2", "content", digest("p\n"), "(absent)"},
		{"app.ini", "ini.web.port", `"80"`, `"8080"`},
		{"app.ini", "ini.web.password", "(sensitive)", "(sensitive)"},
		{"dir", "state", `"directory"`, `"absent"`},
		{"old.conf", "state", `"absent"`, `"file"`},
		{"old.conf", "content", "-", "-"},
		{"rescue.conf", "content", digest("r\n"), "(absent)"},
	} {
		r.expect(t, "h1/file[D/"+c.file+"]", c.path, c.want, c.got)
	}
	r.expect(t, "localhost/file[D/delegated.conf]", "content", digest("d\n"), "(absent)")
	lines := map[string]int{}
	for _, x := range r["snapshot h1/file[D/lines.conf]"].Settings {
		lines[x.Value.String()]++
	}
	if lines["true"] != 1 || lines["false"] != 1 {
		t.Errorf("of two lines one is there and one is not: %v", lines)
	}
	password := func(kind string) penumbra.Value {
		return r[kind+" h1/file[D/app.ini]"].Settings.Get("ini.web.password")
	}
	if password("template") == password("snapshot") {
		t.Error("the sealed passwords differ, and their seals do not")
	}
	r.expectNotChecked(t, "h1/command[touch]", "check mode")
	r.expectNotChecked(t, "h1/command[reload it]", "check mode")
	r.expectNotChecked(t, "h1/copy[hidden]", "no_log")
	r.expectNotChecked(t, "h1/file[D/ignored.conf]", "failed")
	r.expectNotChecked(t, "h1/file[D/fails.conf]", "failed")
	r.expect(t, "h1/file[D/nofolder/x.conf]", "state", `"file"`, `"absent"`)
	r.expectNotChecked(t, "dead/host", "unreachable")
	r.expectNone(t, "cond")
	r.expectNone(t, "hidden.conf")
	if all := fmt.Sprint(r); strings.Contains(all, "hunter2") || strings.Contains(all, "letmein") || strings.Contains(all, "topsecret") {
		t.Error("a secret can be read")
	}
}

func TestNewRefuses(t *testing.T) {
	needAnsible(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.yml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{Stack: "lab", Dir: dir, Playbook: "site.yml", Inventory: []string{"h,"}, Key: testKey}
	for name, c := range map[string]struct {
		change func(*Config)
		kind   penumbra.ErrorKind
	}{
		"no name":      {func(c *Config) { c.Stack = "" }, penumbra.Invalid},
		"no key":       {func(c *Config) { c.Key = nil }, penumbra.Invalid},
		"no inventory": {func(c *Config) { c.Inventory = nil }, penumbra.Invalid},
		"no playbook":  {func(c *Config) { c.Playbook = "other.yml" }, penumbra.Missing},
		"no ansible":   {func(c *Config) { c.Binary = t.TempDir() }, penumbra.Missing},
	} {
		config := good
		c.change(&config)
		_, err := New(config)
		if penumbra.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v, want kind %v and a remedy", name, err, c.kind)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

// A task that would run for real ends the run before it starts, wherever it
// stands and however check_mode came to be false.
func TestGate(t *testing.T) {
	t.Parallel()
	for name, tasks := range map[string]string{
		"task":         "  tasks:\n  - {name: writes, command: \"touch {{d}}/written\", check_mode: false}\n",
		"block":        "  tasks:\n  - block:\n    - {name: writes, command: \"touch {{d}}/written\"}\n    check_mode: false\n",
		"free":         "  strategy: free\n  tasks:\n  - {name: writes, command: \"touch {{d}}/written\", check_mode: false}\n",
		"handler":      "  handlers:\n  - {name: writes, command: \"touch {{d}}/written\", check_mode: false}\n  tasks:\n  - {name: new, copy: {content: x, dest: \"{{d}}/x\"}, notify: writes}\n",
		"free handler": "  strategy: free\n  handlers:\n  - {name: writes, command: \"touch {{d}}/written\", check_mode: false}\n  tasks:\n  - {name: new, copy: {content: x, dest: \"{{d}}/x\"}, notify: writes}\n",
		"play":         "  check_mode: false\n  tasks:\n  - {name: writes, command: \"touch {{d}}/written\"}\n",
		"included":     "  tasks:\n  - include_tasks: more.yml\n",
		"template":     "  tasks:\n  - {name: writes, command: \"touch {{d}}/written\", check_mode: \"{{ not true }}\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, localHost, tasks)
			more := "- {name: writes, command: \"touch {{d}}/written\", check_mode: false}\n"
			if err := os.WriteFile(filepath.Join(s.w.dir, "more.yml"), []byte(more), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := s.w.Read(context.Background())
			if penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(fmt.Sprint(err), "writes") {
				t.Errorf("read: %v, want it refused with the task's name", err)
			}
			if _, err := os.Stat(filepath.Join(s.target, "written")); err == nil {
				t.Error("the task ran")
			}
			if name == "task" {
				s.w.config.AllowCheckModeFalse = true
				if _, err := s.w.Read(context.Background()); err != nil {
					t.Errorf("allowed: %v", err)
				}
				if _, err := os.Stat(filepath.Join(s.target, "written")); err != nil {
					t.Error("the test cannot tell: the task does not write even when it is allowed to")
				}
			}
		})
	}
}

// A difference that was put right is removed from what was seen, and a template
// in a role speaks for itself; an unsafe path is taken as it is.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	s := newStack(t, localHost, `
  vars_files: [paths.yml]
  roles: [web]
`)
	write := func(name, content string) {
		path := filepath.Join(s.w.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("paths.yml", "d: "+s.target+"\nodd: !unsafe '"+s.target+"/{{ 7 * 6 }}'\n")
	write("roles/web/templates/web.conf.j2", "listen {{ 40 * 2 }}\n")
	write("roles/web/tasks/main.yml", "- {name: conf, template: {src: web.conf.j2, dest: '{{ d }}/web.conf'}}\n"+
		"- {name: odd, copy: {content: o, dest: '{{ odd }}', mode: '0640'}}\n"+
		"- {name: linked, copy: {content: t, dest: '{{ d }}/linked', mode: '0600'}}\n"+
		"- {name: link, file: {src: '{{ d }}/target', dest: '{{ d }}/link', state: link}}\n"+
		"- {name: into, copy: {src: one.txt, dest: '{{ d }}/', mode: '0600'}}\n"+
		"- {name: tree, copy: {src: tree, dest: '{{ d }}'}}\n"+
		"- {name: account, group: {name: penumbra-test-none, state: present}}\n")
	write("roles/web/files/one.txt", "1")
	write("roles/web/files/tree/a", "a")
	s.write("target", "t", 0o600)
	for _, name := range []string{"linked", "link"} {
		if err := os.Symlink(filepath.Join(s.target, "target"), filepath.Join(s.target, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.write("web.conf", "\xff\xfe\x00binary", 0o600)
	s.write("{{ 7 * 6 }}", "other", 0o604)
	b := newBook("lab", testKey)
	r := s.read()
	r.expect(t, "h1/file[D/{{ 7 * 6 }}]", "mode", `"0640"`, `"0604"`)
	r.expect(t, "h1/file[D/linked]", "state", `"file"`, `"file"`)
	r.expect(t, "h1/file[D/linked]", "mode", `"0600"`, `"0600"`)
	r.expect(t, "h1/file[D/link]", "state", `"link"`, `"link"`)
	r.expect(t, "h1/file[D/one.txt]", "state", `"file"`, `"absent"`)
	r.expect(t, "h1/file[D]", "changed", "false", "true")
	r.expect(t, "h1/group[penumbra-test-none]", "changed", "false", "true")
	r.expect(t, "h1/file[D/web.conf]", "changed", "false", "true")
	s.write("web.conf", "listen 80\n", 0o600)
	r = s.read()
	r.expect(t, "h1/file[D/web.conf]", "changed", "-", "(absent)")
	r.expect(t, "h1/file[D/web.conf]", "content", b.digestOf("listen 80\n").String(), b.digestOf("listen 80\n").String())
}

// A host that fails keeps what was seen on it before, as not checked.
func TestFailedHostIsRemembered(t *testing.T) {
	t.Parallel()
	s := newStack(t, localHost+"h2 ansible_connection=local\n", `
  tasks:
  - {name: may fail, fail: {msg: "no password=hunter2 here"}, when: "inventory_hostname == 'h2' and lookup('ansible.builtin.env', 'HOME') and (d + '/broken') is exists"}
  - {name: conf, copy: {content: "a\n", dest: "{{d}}/a.conf"}}
`)
	s.write("a.conf", "a\n", 0o600)
	s.read().expect(t, "h2/file[D/a.conf]", "state", `"file"`, `"file"`)
	s.write("broken", "", 0o600)
	r := s.read()
	r.expect(t, "h1/file[D/a.conf]", "state", `"file"`, `"file"`)
	r.expectNotChecked(t, "h2/file[D/a.conf]", "failed on this host")
	r.expectNotChecked(t, "h2/host", "failed on this host")
}

func TestReadEnds(t *testing.T) {
	t.Parallel()
	s := newStack(t, localHost, "  tasks: []\n")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.w.Read(ctx); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("cancelled: %v, want Unavailable", err)
	}
	if err := os.WriteFile(filepath.Join(s.w.dir, "hosts"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.Read(context.Background()); penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), "no hosts") {
		t.Errorf("empty inventory: %v", err)
	}
	s = newStack(t, localHost, "  tasks: [{nonsense\n")
	if _, err := s.w.Read(context.Background()); penumbra.KindOf(err) != penumbra.Unavailable || !strings.Contains(err.Error(), "ERROR!") {
		t.Errorf("a broken playbook: %v", err)
	}
}

// BenchmarkRead compares a read with plain check mode in the same run.
//
//	go test -run '^$' -bench Read -benchtime 3x ./adapter/ansible
func BenchmarkRead(b *testing.B) {
	s := newStack(b, localHost, `
  tasks:
  - {name: files, copy: {content: "x\n", dest: "{{d}}/{{item}}", mode: "0644"}, loop: [a, b, c, d, e]}
  - {name: lines, lineinfile: {path: "{{d}}/l", line: x, create: true}}
`)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.Command("ansible-playbook", "-i", "hosts", "site.yml", "--check", "--diff")
			cmd.Dir = s.w.dir
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatal(err, string(out))
			}
		}
	})
	b.Run("penumbra", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.w.Read(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
