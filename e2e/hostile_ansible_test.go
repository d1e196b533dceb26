//go:build unix

package e2e

// This file has hostile values on a host adopted into an Ansible playbook, and written
// there as values of one's own: they stay the texts that they are, nothing of them is
// evaluated or executed, before a decision or after, and nothing else is written.

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestHostileValuesAreAdoptedAsTexts(t *testing.T) {
	var tasks, vars, actual strings.Builder
	type hostile struct {
		text  string
		taken bool // it can be adopted
	}
	s := newPlay(t, "", map[string]string{"hosts": "h1 ansible_connection=local\n"})
	canary := s.path("canary")
	values := []hostile{
		{"!!python/object/apply:os.system ['touch " + canary + "']", true}, {"&a [*a, *a]", true}, {"<<: *x", true}, {"!vault |", true}, {"x' # '", true}, {`"x", injected: "y"`, true},
		{"a: b", true}, {"0777", true}, {"$(touch " + canary + ")", true},
		{"{{ lookup('pipe', 'touch " + canary + "') }}", false}, {"{% for x in [1] %}{{ lookup('pipe', 'touch " + canary + "') }}{% endfor %}", false}, {"a {# b #}", false},
	}
	quotes := []string{"word", `"word"`, "'word'"}
	actual.WriteString("[web]\nport = 81\n")
	for i, x := range values {
		fmt.Fprintf(&tasks, "  - {name: set %d, ini_file: {path: D/app.ini, section: web, option: k%d, value: '{{ v%d }}'}}\n", i, i, i)
		fmt.Fprintf(&vars, "v%d: %s # the %dth\n", i, quotes[i%3], i)
		fmt.Fprintf(&actual, "k%d = %s\n", i, x.text)
	}
	s.put("play", map[string]string{
		"site.yml":           "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: port, ini_file: {path: D/app.ini, section: web, option: port, value: '{{ port }}'}}\n  - {name: reload, command: 'echo {{ port }}'}\n" + tasks.String(),
		"group_vars/all.yml": "port: \"80\"\n" + vars.String() + "last: stays\n",
	})
	s.write("target/app.ini", actual.String())
	d := s.serve()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	file := "site/h1/file[" + s.path("target/app.ini") + "]"
	found := s.drift(file, "ini.web.k0")
	if len(found.Findings) < len(values) {
		t.Fatalf("the drift: %+v", found)
	}
	before := s.read("play/group_vars/all.yml")
	only := []string{"adopt", found.ID, "-o", "json"}
	for i, x := range values {
		path := fmt.Sprint("ini.web.k", i)
		if x.taken {
			only = append(only, "--only", path)
			continue
		}
		s.penumbra("adopt", found.ID, "--only", path).ends(1).tells("expression")
	}
	var adopt penumbra.Proposal
	s.penumbra(only...).ends(0).into(&adopt)
	if adopt.Patch == nil || len(adopt.Patch.Files) != 1 {
		t.Fatalf("the adoption: %+v", adopt)
	}
	s.approve(adopt)
	// Each line that was to be is another one, and no other line.
	lines, was := strings.Split(s.read("play/group_vars/all.yml"), "\n"), strings.Split(before, "\n")
	if len(lines) != len(was) {
		t.Fatalf("lines came or went:\n%s", s.read("play/group_vars/all.yml"))
	}
	for i := range lines {
		n := i - 1
		taken := n >= 0 && n < len(values) && values[n].taken
		if (lines[i] != was[i]) != taken || taken && (!strings.HasPrefix(lines[i], fmt.Sprintf("v%d: ", n)) || !strings.HasSuffix(lines[i], fmt.Sprintf(" # the %dth", n))) {
			t.Errorf("line %d was %q and is %q", i+1, was[i], lines[i])
		}
	}
	// Ansible itself has nothing to change there.
	shown := s.run("ansible-playbook", s.path("play"), nil, "-i", "hosts", "site.yml", "--check", "--diff").ends(0).out
	for i, x := range values {
		if strings.Contains(shown, fmt.Sprintf("-k%d = ", i)) == x.taken {
			t.Errorf("%q: taken %v, and Ansible says\n%s", x.text, x.taken, shown)
		}
	}

	// Values of one's own. What a shell would run is not written where one runs it.
	next := s.drift(file, "ini.web.port")
	revert := s.proposal(next.ID, penumbra.Revert)
	code := s.read("play/group_vars/all.yml")
	for value, why := range map[string]string{"$(touch " + canary + ")": "shell", "80; touch " + canary: "shell", "{{ lookup('pipe', 'touch " + canary + "') }}": "expression", "{% x %}": "expression"} {
		s.penumbra("customize", revert.ID, "--set", "ini.web.port="+value).ends(1).tells(why)
	}
	s.write("edited.yml", "port: \"{{ lookup('pipe', 'touch "+canary+"') }}\"\n")
	for _, name := range []string{"group_vars/all.yml", "../penumbra.yaml", "/etc/passwd", "ansible.cfg"} {
		s.penumbra("customize", revert.ID, "--file", name+"=edited.yml").ends(1)
	}
	if got := s.read("play/group_vars/all.yml"); got != code {
		t.Errorf("the code was changed:\n%s", got)
	}
	var custom penumbra.Proposal
	s.penumbra("customize", revert.ID, "--set", "ini.web.k0=- hosts: all # !!python/name:os.system", "-o", "json").ends(0).into(&custom)
	s.approve(custom)
	if !strings.Contains(s.read("target/app.ini"), "k0 = - hosts: all # !!python/name:os.system\n") {
		t.Errorf("the value is not what was chosen:\n%s", s.read("target/app.ini"))
	}
	if _, err := os.Lstat(canary); err == nil {
		t.Error("something was executed")
	}
	d.stop(syscall.SIGTERM)
}
