package ansible

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// What would break out of a YAML scalar, be read as another type, or be evaluated,
// is written as the text that it is, or refused: Ansible itself reads it back.
func TestHostileValuesStayTexts(t *testing.T) {
	t.Parallel()
	canary := filepath.Join(t.TempDir(), "canary")
	touch := "touch " + canary
	evaluated := []string{
		"{{ lookup('pipe', '" + touch + "') }}", "{{ 7*7 }}", "{% for x in [1] %}x{% endfor %}", "{# gone #}", "a{{", "a{%", "a{#", "{{ '{{' }}", "x{{ query('pipe', '" + touch + "') }}y",
	}
	payloads := append([]string{
		"!!python/object/apply:os.system ['" + touch + "']", "!!python/name:os.system", "!!binary aGk=", "!vault |", "!unsafe x", "!!map {}", "&a x", "*a", "<<: *x", "<<", "=", "- a", "? a", ": b", "a: b", "a:", "x #y", "# x", "--- x", "---", "...", "%YAML 1.1",
		"{a: b}", "[a]", "}", "]", "word, injected: yes", "word}\ninjected: {a: b", "'", `"`, "'''", "x' \ninjected: 'y", `x"` + "\ninjected: \"y", "|", ">", "@a", "`" + touch + "`", "yes", "No", "NULL", "null", "~", "",
		"0777", "0o7", "0x1F", "0b11", "1_000", "1e3", ".5", "2.50", "+1", "-0", "007", "190:20:30", "2001-01-01", "2001-01-01 10:00:00", ".inf", ".NaN", "True", "true", "81", "8.25",
		"a\nb: c", "a\n- hosts: all\n  tasks: [{shell: '" + touch + "'}]", "a\r\nb: c", "a\u0085b: c", "a\u2028b: c", "a\u2029b: c", "a\x00b", "\x1b[2J", "\u007f", "\u0090", "\ufeffx", "é", "日本", "😀", " lead", "trail ", "\ttab", `a\nb`, `\`, `\u0041`,
		"$(" + touch + ")", "; " + touch, "a & b <c>", "lookup('pipe', '" + touch + "')", "/etc/passwd", "../../x", "#jinja2: variable_start_string:'[%'", "__import__('os').system('" + touch + "')",
	}, evaluated...)
	styles := []string{"word", "'word'", `"word"`, "80", "0.5", "yes"}
	var block, flow strings.Builder
	want := map[string]map[string]any{"v_block": {}, "v_flow": {}}
	for i := range payloads { // each stands in the one or in the other: a task for each takes Ansible long
		if style := styles[i/2%len(styles)]; i%2 == 0 {
			fmt.Fprintf(&block, "  k%d: %s # of %d\n", i, style, i)
		} else {
			fmt.Fprintf(&flow, "k%d: %s, ", i, style)
		}
	}
	vars := "v_before: stays\nv_block:\n" + block.String() + "v_flow: {" + flow.String() + "last: stays}\nv_after: [stays]\n"
	s := newCode(t, localHost, map[string]string{
		"site.yml": "- hosts: h1\n  gather_facts: false\n  tasks:\n" +
			"  - {name: block, ini_file: {path: D/app.ini, section: web, option: '{{ item.key }}', value: '{{ item.value }}'}, loop: '{{ v_block | dict2items }}'}\n" +
			"  - {name: flow, ini_file: {path: D/app.ini, section: web, option: '{{ item.key }}', value: '{{ item.value }}'}, loop: '{{ v_flow | dict2items }}'}\n",
		"group_vars/all.yml": vars,
		"told.yml":           "- hosts: h1\n  gather_facts: false\n  tasks:\n  - copy: {content: '{{ vars | dict2items | selectattr(\"key\", \"match\", \"v_|injected\") | items2dict | to_json }}', dest: D/told.json}\n",
	})
	told := func() map[string]any {
		t.Helper()
		cmd := exec.Command(filepath.Join(s.w.programs, "ansible-playbook"), "-i", "hosts", "told.yml")
		cmd.Dir = s.config.Dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("Ansible cannot read the code any more: %v\n%s", err, out)
		}
		data, err := os.ReadFile(filepath.Join(s.target, "told.json"))
		if err != nil {
			t.Fatal(err)
		}
		var x map[string]any
		if err := json.Unmarshal(data, &x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	before := told()

	ctx := context.Background()
	address := s.address("h1", "app.ini")
	var accepted []penumbra.Setting
	refused := 0
	for i, p := range payloads {
		of, name := []string{"v_block", "v_flow"}[i%2], fmt.Sprint("k", i)
		one := penumbra.Setting{Path: "ini.web." + name, Value: penumbra.String(p)}
		patch, err := s.w.PatchValues(ctx, []penumbra.Address{address}, []penumbra.Setting{one})
		switch {
		case err != nil && penumbra.KindOf(err) != penumbra.Refused:
			t.Errorf("%q: %v", p, err)
		case err != nil:
			refused++
		case isExpression(p):
			t.Errorf("%q would be evaluated:\n%s", p, patch.Diff())
		default:
			accepted = append(accepted, one)
			want[of][name] = p
		}
	}
	patch, err := s.w.PatchValues(ctx, []penumbra.Address{address}, accepted)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.w.WritePatch(ctx, patch); err != nil {
		t.Fatal(err)
	}
	after := told()
	for of, values := range want {
		for name, value := range values {
			before[of].(map[string]any)[name] = value
		}
	}
	// A number, and a switch, that was one and is written as one is one to Ansible as well.
	for of, values := range want {
		for name := range values {
			if got := after[of].(map[string]any)[name]; fmt.Sprint(got) == before[of].(map[string]any)[name] {
				before[of].(map[string]any)[name] = got
			}
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("Ansible reads something else than what was adopted:\n%s", diff)
	}
	if _, err := os.Lstat(canary); err == nil {
		t.Error("something was executed")
	}
	if len(accepted) < 80 {
		t.Errorf("only %d values were accepted", len(accepted))
	}
	t.Logf("%d written, %d refused", len(accepted), refused)
}

// A value does not become code where its variable is taken for some.
func TestHostileValuesReachNoCode(t *testing.T) {
	t.Parallel()
	canary := filepath.Join(t.TempDir(), "canary")
	uses := map[string]string{ // by the variable
		"in_shell":     "  - {name: use, shell: 'echo {{ in_shell }} >/dev/null'}\n",
		"in_argument":  "  - {name: use, ansible.builtin.command: {cmd: 'echo {{ in_argument }}'}}\n",
		"in_argv":      "  - {name: use, command: {argv: [sh, -c, 'echo {{ in_argv }}']}}\n",
		"in_condition": "  - {name: use, debug: {msg: x}, when: \"{{ in_condition }} != 'x'\"}\n",
		"in_assertion": "  - {name: use, assert: {that: [\"{{ in_assertion }} != 'x'\"]}, ignore_errors: true}\n",
		"in_lookup":    "  - {name: use, debug: {msg: \"{{ lookup('pipe', 'echo ' ~ in_lookup) }}\"}}\n",
		"in_loop":      "  - {name: use, shell: 'echo {{ item }}', loop: ['{{ in_loop }}', b]}\n",
		"in_variable":  "  - {name: use, vars: {line: 'echo {{ in_variable }}'}, shell: '{{ line }}'}\n",
		"in_other":     "  - {name: use, shell: '{{ from_file }}'}\n",
		"in_handler":   "",
		"in_value":     "  - {name: use, debug: {msg: 'shell {{ in_value }}'}, when: in_value != 'x'}\n",
	}
	tasks, vars := "", "from_file: \"echo {{ in_other }}\"\n"
	for name, use := range uses {
		tasks += fmt.Sprintf("  - {name: set, ini_file: {path: D/app.ini, section: web, option: %s, value: '{{ %s }}'}, notify: again}\n", name, name) + use
		vars += name + ": \"1\"\n"
	}
	s := newCode(t, localHost, map[string]string{
		"site.yml":           "- hosts: h1\n  gather_facts: false\n  tasks:\n" + tasks + "  handlers:\n  - {name: again, raw: 'echo {{ in_handler }}'}\n",
		"group_vars/all.yml": vars,
	})
	ctx := context.Background()
	address := s.address("h1", "app.ini")
	for name := range uses {
		for value, code := range map[string]bool{
			"2": false, "a-b_c/d.e:f 7": false, "$(touch " + canary + ")": true, "; touch " + canary: true, "`touch " + canary + "`": true, "lookup('pipe', 'touch " + canary + "')": true, "1 or (1)": true, "a|b": true, "x\ny": true,
		} {
			_, err := s.w.PatchValues(ctx, []penumbra.Address{address}, []penumbra.Setting{{Path: "ini.web." + name, Value: penumbra.String(value)}})
			if refused := penumbra.KindOf(err) == penumbra.Refused; refused != (code && name != "in_value") || err != nil && !refused {
				t.Errorf("%s becomes %q: %v", name, value, err)
			}
		}
	}
	if _, err := os.Lstat(canary); err == nil {
		t.Error("something was executed")
	}
}
