package knowledge

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// TestShipped loads what is in the binary, whose examples are tried on the way.
func TestShipped(t *testing.T) {
	t.Parallel()
	base, mistakes := Load()
	for _, m := range mistakes {
		t.Error(m)
	}
	if n := len(base.Entries()); n < 150 {
		t.Errorf("%d entries", n)
	}
	for _, e := range base.Entries() {
		holds := false
		for _, x := range e.examples {
			holds = holds || x.says
		}
		if (e.When != "" || e.Expr != "") && !holds {
			t.Errorf("%s: %s has a condition and no example where it holds", e.place(), e.ID)
		}
		if e.Own {
			t.Errorf("%s is said to be the user's", e.ID)
		}
	}
}

// shippedBase is what is in the binary, read once for all tests.
var shippedBase = sync.OnceValue(func() *Base {
	base, _ := Load()
	return base
})

// write makes a folder with files of the given contents.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const right = `
    title: x
    types: aws_x
    paths: [size]
    hazard: bad
    sources: [{title: a, url: "https://a.example/b"}]
    checked: 2026-11-30
`

func TestMistakesHaveTheirPlace(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string // "line:column what", by place
	}{
		{"empty", "", []string{"1:1 the file is empty"}},
		{"not YAML", "format: 1\nentries:\n  - id: a\n title: b\n", []string{`3:1 did not find expected`}},
		{"not a map", "- a\n", []string{"1:1 the file is a list, not a map"}},
		{"no format", "entries: []\n", []string{"1:1 the file does not say its format"}},
		{"a format of later", "format: 2\nentries: [{}]\n", []string{`1:9 the format "2" is not known`}},
		{"no entries", "format: 1\n", []string{"1:1 the file has no list of entries"}},
		{"an unknown key of the file", "format: 1\nentires: []\nentries: []\n", []string{`2:1 the file has no key "entires"`}},
		{"an empty entry", "format: 1\nentries:\n  - {}\n", []string{
			"3:5 the entry has no checked", "3:5 the entry has no id", "3:5 the entry has no paths", "3:5 the entry has no sources",
			"3:5 the entry has no title", "3:5 the entry has no types", "3:5 the entry says nothing",
		}},
		{"an unknown key", "format: 1\nentries:\n  - id: a" + right + "    hazzard: b\n", []string{`10:5 an entry has no key "hazzard"`}},
		{"a key twice", "format: 1\nentries:\n  - id: a" + right + "    hazard: b\n", []string{"10:5 an entry has hazard twice"}},
		{"a bad id", "format: 1\nentries:\n  - id: A b" + right, []string{`3:9 the id "A b" is not one`}},
		{"no type that is known", "format: 1\nentries:\n  - id: a" + right + "    when: valeu == 1\n", []string{"10:11 when: undeclared reference to 'valeu'"}},
		{"within an expression", "format: 1\nentries:\n  - id: a" + right + "    when: 'on(value) && foo(1)'\n", []string{"10:28 when: undeclared reference to 'foo'"}},
		{"within a block", "format: 1\nentries:\n  - id: a" + right + "    when: |\n      on(value)\n        && valeu\n", []string{"12:12 when: undeclared reference"}},
		{"within a folded block", "format: 1\nentries:\n  - id: a" + right + "    when: >\n      on(value)\n      && valeu\n", []string{"10:11 when: undeclared reference"}},
		{"syntax", "format: 1\nentries:\n  - id: a" + right + "    when: value ==\n", []string{"10:19 when: Syntax error"}},
		{"no condition", "format: 1\nentries:\n  - id: a" + right + "    when: number(value)\n", []string{"10:11 when: the condition gives a double"}},
		{"a pattern", "format: 1\nentries:\n  - id: a" + strings.Replace(right, "[size]", "[size, '{a']", 1), []string{`6:19 paths: "{a" is not a pattern`}},
		{"an effect", "format: 1\nentries:\n  - id: a" + right + "    effect: reboot\n", []string{`10:13 the effect "reboot" is not one`}},
		{"until without effect", "format: 1\nentries:\n  - id: a" + right + "    until: later\n", []string{`10:12 until without an effect`}},
		{"a best without a value", "format: 1\nentries:\n  - id: a" + right + "    best: {}\n", []string{"10:11 best has no value", "10:11 best has no why"}},
		{"a best with two", "format: 1\nentries:\n  - id: a" + right + "    best: {value: 1, max: 2, why: x}\n", []string{"10:11 best has several values"}},
		{"a range upside down", "format: 1\nentries:\n  - id: a" + right + "    best: {min: 8MB, max: 4MB, why: x}\n", []string{"10:17 min 8MB and max 4MB are no range"}},
		{"a range in two units", "format: 1\nentries:\n  - id: a" + right + "    best: {min: 8MB, max: 4min, why: x}\n", []string{"10:17 min 8MB and max 4min are no range"}},
		{"no amount", "format: 1\nentries:\n  - id: a" + right + "    best: {min: lots, why: x}\n", []string{`10:17 min "lots" is no amount`}},
		{"a prior", "format: 1\nentries:\n  - id: a" + right + "    risk: {a: 0, why: x}\n", []string{"10:11 risk has no b", `10:15 a of risk is "0"`}},
		{"a likelihood", "format: 1\nentries:\n  - id: a" + right + "    likelihood: {revrt: {a: 1, b: 2, why: x}, revert: 3}\n", []string{`10:18 likelihood has no key "revrt"`, "10:55 likelihood of revert is a single value"}},
		{"a source", "format: 1\nentries:\n  - id: a" + strings.Replace(right, "https://a.example/b", "a.example/b", 1), []string{`8:31 "a.example/b" is not the address of a page`}},
		{"no source", "format: 1\nentries:\n  - id: a" + strings.Replace(right, `[{title: a, url: "https://a.example/b"}]`, "[]", 1), []string{"3:5 the entry has no sources"}},
		{"a day", "format: 1\nentries:\n  - id: a" + strings.Replace(right, "2026-11-30", "2026-13-30", 1), []string{`9:14 checked is "2026-13-30"`}},
		{"an example that does not hold", "format: 1\nentries:\n  - id: a" + right + "    when: value == 1\n    examples:\n      - {value: 2}\n      - {value: 1, says: false}\n",
			[]string{"12:9 the entry says nothing to this example", "13:9 the entry has something to say"}},
		{"one id twice", "format: 1\nentries:\n  - id: a" + right + "  - id: a" + right, []string{"10:5 the id stands already at"}},
		{"disabling nothing", "format: 1\nentries:\n  - {id: aws.rds.instance-clas, disable: true}\n", []string{"3:5 there is no entry of this id to disable"}},
		{"disabling and saying", "format: 1\nentries:\n  - {id: aws.rds.instance-class, disable: true, hazard: x}\n", []string{"3:57 an entry that disables another has hazard too"}},
		{"several at once", "format: 1\nentries:\n  - id: a" + right + "    when: valeu\n    effect: reboot\n", []string{"10:11 when", "11:13 the effect"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"own.yaml": test.text})
			l := &loader{entries: map[string]*Entry{}}
			for _, e := range shippedBase().Entries() {
				l.entries[e.ID] = e
			}
			l.layer(os.DirFS(dir), dir+"/", true)
			l.mistakes.sort()
			mistakes := l.mistakes
			if len(mistakes) != len(test.want) {
				t.Errorf("%d mistakes, want %d", len(mistakes), len(test.want))
			}
			for i, m := range mistakes {
				text := strings.TrimPrefix(m.String(), filepath.Join(dir, "own.yaml")+":")
				if m.Remedy == "" {
					t.Errorf("no remedy for %s", text)
				}
				place, rest, _ := strings.Cut(text, ": ")
				if m.Entry != "" {
					rest = strings.TrimPrefix(rest, m.Entry+": ")
				}
				if i < len(test.want) && !strings.HasPrefix(place+" "+rest, test.want[i]) {
					t.Errorf("mistake %q, want %q", place+" "+rest, test.want[i])
				}
			}
			if len(l.entries) < len(shippedBase().Entries()) {
				t.Error("what is right was lost with what is wrong")
			}
		})
	}
}

// TestDocumented holds the example of docs/knowledge.md against the reader.
func TestDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/knowledge.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example")
	}
	entries, mistakes := Read("knowledge.md", []byte(block))
	if len(entries) != 2 || mistakes != nil {
		t.Errorf("%d entries, %v", len(entries), mistakes)
	}
	for _, key := range entryKeys {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("the key %s is not documented", key)
		}
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	one := write(t, map[string]string{
		"aws/a.yml":   "format: 1\nentries:\n  - id: aws.rds.instance-class" + strings.ReplaceAll(right, "aws_x", "aws_db_instance") + "  - {id: aws.rds.port, disable: true}\n",
		"note.txt":    "not knowledge",
		".git/x.yaml": "nothing: to see",
	})
	two := write(t, map[string]string{"b.yaml": "format: 1\nabout: ours\nentries:\n  - id: own.x" + right + "---\nformat: 1\nentries: []\n"})
	base, mistakes := Load(one, two)
	if mistakes != nil {
		t.Fatal(mistakes)
	}
	if e, ok := base.Entry("aws.rds.instance-class"); !ok || !e.Own || e.Fact.Hazard != "bad" || e.Fact.Effect != "" {
		t.Errorf("not overridden: %+v", e)
	}
	if _, ok := base.Entry("aws.rds.port"); ok {
		t.Error("aws.rds.port is not disabled")
	}
	if e, ok := base.Entry("own.x"); !ok || e.File != filepath.Join(two, "b.yaml") || e.Line != 4 {
		t.Errorf("own.x: %+v", e)
	}
	if _, mistakes = Load(filepath.Join(one, "missing"), filepath.Join(one, "note.txt")); len(mistakes) != 2 || mistakes[0].Line != 0 {
		t.Errorf("missing folders: %v", mistakes)
	}
}

// TestPostgreSQL holds what restarts and what reloads against the contexts that a
// real server of version 15 gave: the catalogue that adapter/postgres keeps.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../adapter/postgres/settings.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]penumbra.ChangeEffect{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, "\t")
		switch f[1] {
		case "postmaster":
			want[f[0]] = penumbra.RestartEffect
		case "sighup":
			want[f[0]] = penumbra.ReloadEffect
		case "internal":
		default: // it needs a reload too, but for sessions with a value of their own
			want[f[0]] = ""
		}
	}
	holdContexts(t, want)
}

func holdContexts(t *testing.T, want map[string]penumbra.ChangeEffect) {
	t.Helper()
	if len(want) < 250 {
		t.Fatalf("only %d settings", len(want))
	}
	base := shippedBase()
	for name, effect := range want {
		got := effectOf(base, penumbra.FactQuery{Type: "postgresql", Path: name, Value: penumbra.String("x")})
		if got != effect && !(effect == "" && got == penumbra.ReloadEffect) {
			t.Errorf("%s has the effect %q, and the server says %q", name, got, effect)
		}
	}
	// And nothing is told of settings that there are not.
	named := regexp.MustCompile(`^[A-Za-z_]+$`)
	for _, e := range base.Entries() {
		if !e.On("postgresql") {
			continue
		}
		for _, path := range e.Paths {
			path = strings.TrimPrefix(path, "**.")
			if _, known := want[path]; named.MatchString(path) && !known {
				t.Errorf("%s names %s, which the server does not know", e.ID, path)
			}
		}
	}
}

func effectOf(b *Base, q penumbra.FactQuery) penumbra.ChangeEffect {
	var worst penumbra.ChangeEffect
	for _, f := range b.Facts(q) {
		if f.Effect.Graver(worst) {
			worst = f.Effect
		}
	}
	return worst
}

func FuzzRead(f *testing.F) {
	f.Add("")
	f.Add("format: 1\nentries:\n  - id: a" + right)
	f.Add("format: 1\nentries:\n  - id: a" + right + "    when: |\n      number(value) >\n        settings['a.b']\n    best: {min: 4MB, max: 8MB, why: x}\n")
	f.Add("format: 1\nentries:\n  - &a {id: b, likelihood: {revert: {a: 1, b: 2, why: *a}}}\n  - *a\n")
	f.Add("a: &a [*a]\n")
	f.Add("format: 1\nentries: [{when: \"\\\n  x\"}]")
	f.Add("format: 1\nentries:\n  - id: a" + right + "    examples: [{path: x, settings: {a: 0x1F, b: .inf, c: 1e999}}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		entries, mistakes := Read("f.yaml", []byte(text))
		lines := 2 // and one for each break that YAML knows
		for _, b := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += strings.Count(text, b)
		}
		for _, m := range mistakes {
			if m.Line < 1 || m.Column < 1 || m.Line > lines || m.What == "" || m.Remedy == "" {
				t.Errorf("mistake without a place, a reason or a remedy: %+v", m)
			}
		}
		base := newBase(entries)
		q := penumbra.FactQuery{Type: "aws_x", Path: "size", Value: penumbra.Number(3), Settings: penumbra.NewSettings(penumbra.Setting{Path: "a.b", Value: penumbra.String("2")})}
		if diff := cmp.Diff(base.Facts(q), base.Facts(q), cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	})
}
