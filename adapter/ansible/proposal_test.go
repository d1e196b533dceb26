package ansible

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// newCode is a stack with more files than a playbook; D stands for the target
// folder in all of them.
func newCode(t *testing.T, inventory string, files map[string]string) *stack {
	t.Helper()
	s := newStack(t, inventory, "")
	for name, text := range files {
		s.code(name, strings.ReplaceAll(text, "D/", s.target+"/"))
	}
	s.config.DataDir = t.TempDir()
	s.reopen()
	return s
}

func (s *stack) code(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.config.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// reopen is what a restart of the daemon does.
func (s *stack) reopen() {
	s.t.Helper()
	var err error
	if s.w, err = New(s.config); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) holds(name, want string) {
	s.t.Helper()
	got, err := os.ReadFile(filepath.Join(s.target, name))
	if want == "" {
		if err == nil {
			s.t.Errorf("%s is there", name)
		}
		return
	}
	if string(got) != want {
		s.t.Errorf("%s holds %q, want %q (%v)", name, got, want, err)
	}
}

func (s *stack) address(host, name string) penumbra.Address {
	return penumbra.Address("lab/" + host + "/file[" + filepath.Join(s.target, name) + "]")
}

func (s *stack) plan(address penumbra.Address, patch *penumbra.Patch) penumbra.Plan {
	s.t.Helper()
	p, err := s.w.Plan(context.Background(), []penumbra.Address{address}, patch)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *stack) apply(p penumbra.Plan) string {
	s.t.Helper()
	var log bytes.Buffer
	if err := s.w.Apply(context.Background(), p, &log); err != nil {
		s.t.Fatalf("apply: %v\n%s", err, &log)
	}
	return log.String()
}

// actions are the changes of a plan in short.
func actions(p penumbra.Plan, target string) []string {
	var out []string
	for _, c := range p.Changes {
		words := string(c.Action) + " " + strings.ReplaceAll(c.Resource.Local(), target, "D")
		for _, x := range c.Changes {
			words += " " + x.Path
		}
		out = append(out, words)
	}
	slices.Sort(out)
	return out
}

// A revert is limited to a host and a tag, says what else it touches, runs on
// that code and that world only, and is taken back after a restart, handlers
// included.
func TestPlanApplyBack(t *testing.T) {
	t.Parallel()
	s := newCode(t, localHost+"h2 ansible_connection=local\n", map[string]string{
		"site.yml": "- hosts: h1\n  gather_facts: false\n  roles: [web]\n  tasks:\n  - {name: other, copy: {content: o, dest: D/other.conf}}\n",
		"roles/web/tasks/main.yml": "- {name: conf, template: {src: web.conf.j2, dest: D/web.conf, mode: '0640'}, notify: Reload web, tags: [conf, all-of-web]}\n" +
			"- {name: made, copy: {content: \"m\\n\", dest: D/made.conf}, tags: [conf, all-of-web]}\n- {name: more, copy: {content: q, dest: D/more.conf}, tags: all-of-web}\n",
		"roles/web/templates/web.conf.j2": "port {{ port }}\n",
		"roles/web/handlers/main.yml":     "- {name: Reload web, shell: 'echo {{ port }} >>D/reloads'}\n",
		"roles/web/defaults/main.yml":     "port: 80\n",
	})
	const edited = "port 8080 # {{ by hand }}\n"
	s.write("web.conf", edited, 0o600)
	p := s.plan(s.address("h1", "web.conf"), nil)
	want := []string{"create file[D/made.conf]", "execute h1/shell[web : Reload web]", "update h1/file[D/web.conf] content mode"}
	got := actions(p, s.target)
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(strings.ReplaceAll(got[i], "h1/file[D/made", "file[D/made"), w) {
			t.Fatalf("the plan: %q, want %q", got, want)
		}
	}
	if p.Check != "ansible-playbook site.yml -i hosts --limit h1 --tags conf --check --diff" || p.Command != "ansible-playbook site.yml -i hosts --limit h1 --tags conf" {
		t.Errorf("by hand: %q, %q", p.Check, p.Command)
	}
	if p.Back == nil || p.Back.Checked == "" || len(p.Back.Lost) > 0 {
		t.Fatalf("the way back: %+v", p.Back)
	}
	s.holds("web.conf", edited)
	s.holds("reloads", "")

	ctx := context.Background()
	again, err := s.w.Replan(ctx, p, nil)
	if err != nil || again.Evidence != p.Evidence {
		t.Fatalf("planned again: %v, evidence %t", err, again.Evidence == p.Evidence)
	}
	s.code("group_vars/all.yml", "port: 81\n")
	if _, err := s.w.Replan(ctx, p, nil); penumbra.KindOf(err) != penumbra.Stale || !strings.Contains(err.Error(), "group_vars/all.yml") {
		t.Errorf("on other code: %v", err)
	}
	if err := s.w.Apply(ctx, p, &bytes.Buffer{}); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("applied on other code: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(s.config.Dir, "group_vars")); err != nil {
		t.Fatal(err)
	}
	s.write("made.conf", "other\n", 0o600)
	if again, err = s.w.Replan(ctx, p, nil); err != nil || again.Evidence == p.Evidence {
		t.Errorf("in another world: %v, the same evidence %t", err, again.Evidence == p.Evidence)
	}
	if err := os.Remove(filepath.Join(s.target, "made.conf")); err != nil {
		t.Fatal(err)
	}

	if log := s.apply(p); !strings.Contains(log, "changed: [h1]") {
		t.Errorf("the log:\n%s", log)
	}
	s.holds("web.conf", "port 80\n")
	s.holds("made.conf", "m\n")
	s.holds("other.conf", "")
	s.holds("more.conf", "")
	s.holds("reloads", "80\n")

	s.reopen()
	back, err := s.w.PlanBack(ctx, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(back)
	s.holds("web.conf", edited)
	s.holds("made.conf", "")
	s.holds("reloads", "80\n80\n")
	if info, err := os.Stat(filepath.Join(s.target, "web.conf")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of before: %v, %v", info.Mode(), err)
	}

	file := filepath.Join(s.config.DataDir, "plans", p.File)
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.w.Apply(ctx, p, &bytes.Buffer{}); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("another plan in its place: %v", err)
	}
	if _, err := s.w.PlanBack(ctx, p, nil); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("its way back: %v", err)
	}
}

// What cannot be answered for is refused or said.
func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	s := newCode(t, localHost, map[string]string{"site.yml": `
- hosts: all
  gather_facts: false
  tasks:
  - {name: fact, set_fact: {what: "a\n"}, tags: facts}
  - {name: conf, copy: {content: "{{ what }}", dest: D/a.conf}, tags: conf}
  - name: secret
    copy: {content: "s", dest: D/s.conf}
    environment: {API_TOKEN: "0123456789abcdef0123456789abcdef01234567"}
  - {name: always, command: touch D/touched}
  - {name: ends, command: /bin/false, when: "(\"D/a.conf\") is exists"}
`})
	s.write("s.conf", "other", 0o600)
	ctx := context.Background()
	if _, err := s.w.Plan(ctx, []penumbra.Address{s.address("h1", "none")}, nil); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("of nothing: %v", err)
	}
	p := s.plan(s.address("h1", "a.conf"), nil)
	if !strings.Contains(strings.Join(p.Notes, " "), "whole playbook") || strings.Contains(p.Command, "--tags") {
		t.Errorf("a tag leaves out what its task needs: %q, notes %q", p.Command, p.Notes)
	}
	if p.Back == nil || len(p.Back.Lost) < 2 {
		t.Errorf("the way back says nothing of what is lost: %+v", p.Back)
	}
	if said := fmt.Sprintf("%+v", p); strings.Contains(said, "0123456789abcdef01") {
		t.Errorf("a secret can be read: %s", said)
	}
	s.holds("touched", "")
	var log bytes.Buffer
	// Some of it is done before it fails: nobody must take that for nothing.
	if err := s.w.Apply(ctx, p, &log); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("a run that fails on its way: %v\n%s", err, &log)
	}
	s.holds("a.conf", "a\n")

	s.code("hosts", deadHost)
	s.reopen()
	if _, err := s.w.Plan(ctx, []penumbra.Address{s.address("dead", "a.conf")}, nil); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("a host that is not there: %v", err)
	}
}

// A value is written where it follows from, and check mode with the patch has
// nothing to change any more.
func TestPatchValues(t *testing.T) {
	t.Parallel()
	const option = "  - {name: %[1]s, ini_file: {path: D/app.ini, section: web, option: %[1]s, value: \"%[2]s\"}}\n"
	tasks := ""
	for _, o := range [][2]string{{"all", "{{ v_all }}"}, {"group", "{{ v_group }}"}, {"host", "{{ v_host }}"}, {"play", "{{ v_play.deep[1] }}"}, {"named", "{{ v_named }}"}, {"computed", "{{ v_all }}0"}} {
		tasks += fmt.Sprintf(option, o[0], o[1])
	}
	s := newCode(t, "[web]\nh1 ansible_connection=local\nh2 ansible_connection=local\n", map[string]string{
		"site.yml": "- hosts: all\n  gather_facts: false\n  vars:\n    v_play: {deep: [a, b]} # of the play\n  roles: [app]\n  tasks:\n" + tasks +
			"  - name: inline\n    ini_file:\n      path: D/app.ini\n      section: web\n      option: inline\n      value: \"1\" # as it is\n      mode: '0600'\n" +
			"  - {name: dict, ini_file: {path: D/app.ini, section: web, option: '{{ item.key }}', value: '{{ item.value }}'}, loop: '{{ v_dict | dict2items }}'}\n" +
			"  - {name: list, ini_file: {path: D/app.ini, section: web, option: '{{ item.o }}', value: '{{ item.v }}'}, loop: '{{ v_list }}'}\n" +
			"  - {name: secret, ini_file: {path: D/app.ini, section: web, option: secretive, value: '{{ v_secretive }}'}}\n" +
			"  - {name: content, copy: {content: c, dest: D/c.conf}}\n",
		"group_vars/all/main.yml":     "# everybody\nv_all: 1\nv_group: low\nv_named: \"{{ v_other }}\"\nv_other: x # named\n",
		"group_vars/web.yml":          "v_group: high # wins\nv_dict:\n  # first\n  one: 1\n  two: 2\nv_list:\n- {o: three, v: '3'}\n- {o: four, v: '4'}\n",
		"host_vars/h1.yml":            "v_host: h\n",
		"host_vars/h2.yml":            "v_host: h2\n",
		"group_vars/all/secret.yml":   "v_secretive: s\ndb_password: hunter2-hunter2\n",
		"roles/app/defaults/main.yml": "v_default: d\n",
		"roles/app/tasks/main.yml":    strings.ReplaceAll(fmt.Sprintf(option, "default", "{{ v_default }}"), "  - ", "- "),
	})
	want := map[string]string{"all": "10", "group": "g2", "host": "h9", "play": "b2", "named": "x2", "inline": "2", "one": "11", "two": "2", "three": "3", "four": "44", "default": "d2"}
	ini := "[web]\ncomputed = 100\nsecretive = s\n"
	var values []penumbra.Setting
	for _, name := range []string{"all", "group", "host", "play", "named", "inline", "one", "two", "three", "four", "default"} {
		ini += name + " = " + want[name] + "\n"
		values = append(values, penumbra.Setting{Path: "ini.web." + name, Value: penumbra.String(want[name])})
	}
	s.write("app.ini", ini, 0o600)
	ctx := context.Background()
	address := s.address("h1", "app.ini")
	patch, err := s.w.PatchValues(ctx, []penumbra.Address{address}, values)
	if err != nil {
		t.Fatal(err)
	}
	diff := patch.Diff()
	for _, line := range []string{
		"+v_all: 10\n", "+v_group: g2 # wins\n", "+v_host: h9\n", "+    v_play: {deep: [a, b2]} # of the play\n", "+v_other: x2 # named\n",
		"+      value: \"2\" # as it is\n", "+  one: 11\n", "+- {o: four, v: '44'}\n", "+v_default: d2\n",
	} {
		if !strings.Contains(diff, line) {
			t.Errorf("the patch lacks %q:\n%s", line, diff)
		}
	}
	if n := strings.Count(diff, "\n+") - strings.Count(diff, "\n+++"); n != 9 {
		t.Errorf("%d lines are new, want 9:\n%s", n, diff)
	}
	if !strings.Contains(patch.Note, "group_vars/web.yml is shared: h2 will follow") || strings.Contains(patch.Note, "host_vars/h1.yml is shared") {
		t.Errorf("the note: %q", patch.Note)
	}
	p := s.plan(address, &patch)
	if got := actions(p, s.target); slices.ContainsFunc(got, func(a string) bool { return strings.Contains(a, "app.ini") }) {
		t.Errorf("with the patch check mode would still change: %q", got)
	}
	if err := s.w.WritePatch(ctx, patch); err != nil {
		t.Fatal(err)
	}
	if again, err := s.w.Replan(ctx, p, nil); err != nil || again.Evidence != p.Evidence {
		t.Errorf("the patched code gives other evidence: %v", err)
	}
	if err := s.w.RevertPatch(ctx, patch); err != nil {
		t.Fatal(err)
	}

	for path, why := range map[string]string{"ini.web.computed": "computed", "ini.web.secretive": "secret", "ini.web.none": "no task declares it"} {
		_, err := s.w.PatchValues(ctx, []penumbra.Address{address}, []penumbra.Setting{{Path: path, Value: penumbra.String("9")}})
		if penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want it refused as %q", path, err, why)
		}
	}
	_, err = s.w.PatchValues(ctx, []penumbra.Address{s.address("h1", "c.conf")}, []penumbra.Setting{{Path: "content", Value: penumbra.String("x")}})
	if penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "digest") {
		t.Errorf("a file's content: %v", err)
	}
}
