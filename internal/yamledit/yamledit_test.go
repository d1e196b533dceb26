package yamledit

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// A value is replaced and every other byte stays.
func TestReplace(t *testing.T) {
	t.Parallel()
	const file = `# Grüße — first the tuning   
tuning:
  work_mem: 4MB   # per sort
  cost: "4"       # quoted
  single: 'it''s'
  fsync: "on"
  delay: 10
  enabled: yes
  ünï: {a: 1, b: [x, "y"]}
  mode: "0644"
  long: a
    b
  block: |
    text
  shared: &anchor v
list:
- name: one
  value: 1
`
	for _, c := range []struct {
		path  string
		value penumbra.Value
		line  string // as it is then, "" for refused
	}{
		{"tuning.work_mem", penumbra.String("64kB"), "  work_mem: 64kB   # per sort"},
		{"tuning.work_mem", penumbra.String("on"), `  work_mem: "on"   # per sort`},
		{"tuning.work_mem", penumbra.String("1:30"), `  work_mem: "1:30"   # per sort`},
		{"tuning.work_mem", penumbra.String("# no"), `  work_mem: "# no"   # per sort`},
		{"tuning.work_mem", penumbra.String("12"), `  work_mem: "12"   # per sort`},
		{"tuning.cost", penumbra.String("2.5"), `  cost: "2.5"       # quoted`},
		{"tuning.single", penumbra.String("that's"), `  single: 'that''s'`},
		{"tuning.fsync", penumbra.String("off"), `  fsync: "off"`},
		{"tuning.delay", penumbra.String("20"), "  delay: 20"},
		{"tuning.delay", penumbra.String("20ms"), "  delay: 20ms"},
		{"tuning.enabled", penumbra.Bool(false), "  enabled: no"},
		{"tuning.ünï.a", penumbra.String("2"), `  ünï: {a: 2, b: [x, "y"]}`},
		{"tuning.ünï.b.0", penumbra.String("p,q"), `  ünï: {a: 1, b: ["p,q", "y"]}`},
		{"tuning.ünï.b.1", penumbra.String("z"), `  ünï: {a: 1, b: [x, "z"]}`},
		{"tuning.mode", penumbra.String("0600"), `  mode: "0600"`},
		{"list.0.value", penumbra.String("7"), "  value: 7"},
		{"tuning.work_mem", penumbra.String("{{ x }}"), `  work_mem: "{{ x }}"   # per sort`},
		{"tuning.work_mem", penumbra.Null(), ""},
		{"tuning.long", penumbra.String("c"), ""},
		{"tuning.block", penumbra.String("c"), ""},
	} {
		d, err := Parse("/vars.yml", "vars.yml", file)
		if err != nil {
			t.Fatal(err)
		}
		at := d.Root.Content[0]
		for _, step := range strings.Split(c.path, ".") {
			at = Child(at, step)
		}
		was := strings.Split(file, "\n")[at.Line-1]
		err = d.Replace(at, c.value)
		got := ""
		if err == nil {
			got, err = d.Spliced()
		}
		switch {
		case c.line == "" && penumbra.KindOf(err) != penumbra.Refused:
			t.Errorf("%s to %s: %v, want it refused", c.path, c.value, err)
		case c.line != "" && err != nil:
			t.Errorf("%s to %s: %v", c.path, c.value, err)
		case c.line != "" && got != strings.Replace(file, was+"\n", c.line+"\n", 1):
			t.Errorf("%s to %s gives\n%s", c.path, c.value, got)
		}
	}
}

// Whatever the file, a replacement changes one value and nothing else, or is
// refused.
func FuzzReplace(f *testing.F) {
	for _, seed := range []string{"a: b\n", "a: \"b\" # c\n", "- {x: 'y', z: [1, 2]}\n", "a: |\n  b\nc: ~\n", "\ufeffa: ü\r\nb: 2\r\n", "? a\n: b\n", "a: &x 1\nb: *x\n", "a: !vault x\n", "%YAML 1.1\n---\na: b\n"} {
		f.Add(seed, "v: w")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		d, err := Parse("/f.yml", "f.yml", text)
		if err != nil {
			return
		}
		var scalars []*yaml.Node
		var walk func(n *yaml.Node)
		walk = func(n *yaml.Node) {
			if n.Kind == yaml.ScalarNode {
				scalars = append(scalars, n)
			}
			for _, c := range n.Content {
				walk(c)
			}
		}
		walk(d.Root)
		for _, n := range scalars {
			d.cuts = nil
			if d.Replace(n, penumbra.String(value)) != nil {
				continue
			}
			after, err := d.Spliced()
			if err != nil {
				continue
			}
			c := d.cuts[0]
			if after[:c.start] != text[:c.start] || after[len(after)-(len(text)-c.end):] != text[c.end:] {
				t.Errorf("%q becomes %q", text, after)
			}
		}
	})
}
