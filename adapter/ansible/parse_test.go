package ansible

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var epoch = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)

func recorded(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The recorded output is real: Ansible core 2.14 on Debian 12, where hello was
// not installed and nginx not running.
func TestParseRecorded(t *testing.T) {
	list, err := Parse(bytes.NewReader(recorded(t)), "lab", testKey, epoch)
	if err != nil {
		t.Fatal(err)
	}
	r := index(t, list, "/srv/t")
	r.expect(t, "h1/package[hello]", "state", `"present"`, `"absent"`)
	r.expect(t, "h1/package[bash]", "state", `"present"`, `"present"`)
	r.expect(t, "h1/service[nginx]", "state", `"started"`, `"stopped"`)
	r.expect(t, "h1/user[penumbratest]", "shell", `"/bin/false"`, "-")
	r.expect(t, "h1/user[penumbratest]", "changed", "false", "true")
	r.expect(t, "h1/user[root]", "state", `"present"`, `"present"`)
	r.expect(t, "h1/file[D/a.conf]", "mode", `"0600"`, "-") // hidden by the content, and no second look
	r.expectNotChecked(t, "h1/copy[hidden loop]", "no_log")
	r.expectNotChecked(t, "h1/command[cmd]", "check mode")
	r.expectNotChecked(t, "h2/host", "unreachable")
}

func TestParseBadInput(t *testing.T) {
	whole := recorded(t)
	for name, in := range map[string]io.Reader{
		"empty":     strings.NewReader(""),
		"warnings":  strings.NewReader("[WARNING]: no JSON follows\n"),
		"binary":    bytes.NewReader([]byte{0, 1, 2, 0xff, '\n', '{', 0}),
		"cut":       bytes.NewReader(whole[:len(whole)/2]),
		"no plays":  strings.NewReader(`{"stats": {}}`),
		"no stats":  strings.NewReader(`{"plays": []}`),
		"wrong":     strings.NewReader(`{"plays": {"tasks": 1}, "stats": {}}`),
		"long warn": io.LimitReader(repeat('x'), maxPreamble+10),
		"endless":   io.MultiReader(strings.NewReader(`{"plays": [], "stats": {}`), repeat(' ')),
	} {
		list, err := Parse(in, "lab", testKey, epoch)
		if penumbra.KindOf(err) != penumbra.Invalid || list != nil {
			t.Errorf("%s: %d observations, %v, want an error of kind Invalid", name, len(list), err)
		}
	}
}

// repeat is a reader that never ends.
type repeat byte

func (c repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func TestResults(t *testing.T) {
	for _, c := range []struct{ name, result, address, path, want, got string }{
		{"dict diff", `{"action": "community.general.timezone", "changed": true, "diff": {"before": {"name": "UTC"}, "after": {"name": "Europe/Berlin"}}}`,
			"h/timezone[t]", "name", `"Europe/Berlin"`, `"UTC"`},
		{"no diff", `{"action": "sysctl", "changed": true}`, "h/sysctl[t]", "changed", "false", "true"},
		{"no change", `{"action": "sysctl", "changed": false}`, "h/sysctl[t]", "changed", "false", "false"},
		{"systemd", `{"action": "systemd", "changed": true, "invocation": {"module_args": {"name": "x", "state": "started", "enabled": true}}, "status": {"ActiveState": "active", "UnitFileState": "disabled"}}`,
			"h/service[x]", "enabled", "true", "false"},
		{"service of two", `{"action": "service", "changed": true, "invocation": {"module_args": {"name": "x", "state": "started", "enabled": true}}}`,
			"h/service[x]", "state", `"started"`, "-"},
		{"upgrade", `{"action": "apt", "changed": true, "invocation": {"module_args": {"name": ["x=2.0"], "state": "present"}}, "stdout": "Inst x [1.0] (2.0 Debian)"}`,
			"h/package[x]", "version", `"2.0"`, `"1.0"`},
		{"binary file", `{"action": "copy", "changed": true, "diff": [{"dst_binary": 1, "src_binary": 1}], "invocation": {"module_args": {"dest": "/x"}}}`,
			"h/file[/x]", "changed", "false", "true"},
		{"secret value", `{"action": "x", "changed": true, "diff": {"before": {"dsn": "postgres://u:pw1@h/d"}, "after": {"dsn": "postgres://u:pw2@h/d"}}}`,
			"h/x[t]", "dsn", "(sensitive)", "(sensitive)"},
		{"parameter", `{"action": "postgresql_set", "changed": true, "value_pretty": "65536kB", "prev_val_pretty": "4MB", "invocation": {"module_args": {"name": "work_mem"}}}`,
			"h/postgresql", "work_mem", `"64MB"`, `"4MB"`},
		{"switch", `{"action": "postgresql_set", "changed": true, "value_pretty": "true", "prev_val_pretty": "off", "invocation": {"module_args": {"name": "jit"}}}`,
			"h/postgresql", "jit", `"on"`, `"off"`},
	} {
		out := fmt.Sprintf(`{"plays": [{"tasks": [{"task": {"name": "t"}, "hosts": {"h": %s}}]}], "stats": {"h": {}}}`, c.result)
		list, err := Parse(strings.NewReader(out), "lab", testKey, epoch)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		index(t, list, "-").expect(t, c.address, c.path, c.want, c.got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(recorded(f))
	f.Add([]byte(`{"plays": [{"tasks": [{"task": {"name": "t"}, "hosts": {"h": null}}]}], "stats": {"h": {"failures": 1}}}`))
	f.Add([]byte(`{"plays": [{"tasks": [{"hosts": {"h": {"action": "copy", "diff": [null, 1], "results": [null, {"diff": {}}]}}}]}], "stats": {}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := Parse(bytes.NewReader(data), "lab", testKey, epoch)
		if err != nil && penumbra.KindOf(err) != penumbra.Invalid {
			t.Fatalf("kind %v: %v", penumbra.KindOf(err), err)
		}
		for _, o := range list {
			if err := o.Check(); err != nil {
				t.Fatalf("%s: %v", o.Resource, err)
			}
		}
	})
}

// A file that is edited after the task has found it as declared, and before its
// content is read, says nothing of what is declared.
func TestVerify(t *testing.T) {
	t.Parallel()
	const declared, edited = "da39a3ee5e6b4b0d3255bfef95601890afd80709", "bc0c5b535c081ac713f50b625b40f81b25c217b2"
	for _, x := range []struct {
		name  string
		seen  fileStat
		wants bool // not checked
	}{
		{"as found", fileStat{Exists: true, Checksum: declared}, false},
		{"edited meanwhile", fileStat{Exists: true, Checksum: edited}, true},
		{"removed meanwhile", fileStat{}, false}, // told by the look itself
		{"unreadable", fileStat{Exists: true}, false},
	} {
		b := newBook("site", penumbra.Key("0123456789abcdef"))
		it := b.item("web1", "file[/etc/a]", "ansible_file")
		b.content(it, &result{Checksum: declared})
		b.look(it, &fileStat{Exists: true, Checksum: strings.Repeat("0", 64)})
		b.verify(it, &x.seen)
		if (it.notChecked != "") != x.wants {
			t.Errorf("%s: not checked: %q", x.name, it.notChecked)
		}
	}
}
