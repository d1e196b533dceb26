package tofu

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// The files in testdata were written by Terraform 1.11.4 with the example
// provider: web["a"] was edited, web["b"] deleted, and database changed in the
// code.

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type parse func(io.Reader) ([]penumbra.Observation, error)

func asState(r io.Reader) ([]penumbra.Observation, error) {
	return ReadState(r, "shop", testKey, testTime)
}

func asPlan(r io.Reader) ([]penumbra.Observation, error) {
	return ReadPlan(r, "shop", testKey, testTime)
}

func TestBothFormsOfAStateSayTheSame(t *testing.T) {
	t.Parallel()
	raw, err := asState(bytes.NewReader(recorded(t, "state-v4.json")))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := asState(bytes.NewReader(recorded(t, "state-show.json")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(index(t, raw), index(t, shown), cmp.AllowUnexported(penumbra.Value{})); diff != "" {
		t.Errorf("raw state and show -json differ:\n%s", diff)
	}
	got := index(t, raw)
	if v := got.value(t, `snapshot conffile_service.web["a"]`, "worker_processes"); v != penumbra.Number(4) {
		t.Errorf("worker_processes %v, want 4", v)
	}
	if v := got.value(t, "snapshot conffile_service.database", "admin_password"); v.Kind() != penumbra.SecretKind {
		t.Errorf("password is %v, want it sealed", v.Kind())
	}
}

func TestReadPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file     string
		memory   penumbra.Value // what the template says of a setting that the code has changed
		applied  penumbra.Value
		template bool
	}{
		{"plan-normal.json", penumbra.Number(2048), penumbra.Number(4096), true},
		{"plan-refresh-only.json", penumbra.Number(4096), penumbra.Null(), true},
		{"plan-errored.json", penumbra.Null(), penumbra.Null(), false},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			list, err := asPlan(bytes.NewReader(recorded(t, c.file)))
			if err != nil {
				t.Fatal(err)
			}
			got := index(t, list)
			if !c.template {
				for name, o := range got {
					if o.NotChecked == "" {
						t.Errorf("%s: a plan that failed is taken for read", name)
					}
				}
				return
			}
			if v := got.value(t, `template conffile_service.web["a"]`, "worker_processes"); v != penumbra.Number(4) {
				t.Errorf("template worker_processes %v, want 4", v)
			}
			if v := got.value(t, `snapshot conffile_service.web["a"]`, "worker_processes"); v != penumbra.Number(8) {
				t.Errorf("actual worker_processes %v, want 8", v)
			}
			if v := got.value(t, "template conffile_service.database", "memory_mb"); v != c.memory {
				t.Errorf("template memory_mb %v, want %v", v, c.memory)
			}
			if v := got["template conffile_service.database"].Applied.Get("memory_mb"); v != c.applied {
				t.Errorf("applied memory_mb %v, want %v", v, c.applied)
			}
			if o := got[`snapshot conffile_service.web["b"]`]; o == nil || !o.Full || len(o.Settings) > 0 {
				t.Errorf("deleted: %+v, want a full snapshot without settings", o)
			}
			if _, declared := got[`template conffile_service.web["a"]`].Settings.Find("id"); declared {
				t.Error("a computed attribute counts as declared")
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	state := string(recorded(t, "state-v4.json"))
	normal := string(recorded(t, "plan-normal.json"))
	for _, c := range []struct {
		name  string
		parse parse
		text  string
		words []string
	}{
		{"state of a later version", asState, `{"version":5,"resources":[]}`, []string{`version "5"`, "update Penumbra"}},
		{"state of Terraform 0.11", asState, `{"version":3,"modules":[{"path":["root"]}]}`, []string{`version "3"`, "upgrades the state"}},
		{"flat attributes", asState, `{"version":4,"resources":[{"mode":"managed","type":"a","name":"b","instances":[{"attributes_flat":{"id":"1"}}]}]}`, []string{"a.b", "flat form"}},
		{"encrypted", asState, `{"serial":1,"lineage":"x","meta":{},"encrypted_data":"AAAA","encryption_version":"v0"}`, []string{"encrypted", "tofu show -json"}},
		{"cut short", asState, state[:1000], []string{"byte 1000", "ends in the middle"}},
		{"empty", asState, "", []string{"byte 0"}},
		{"no JSON", asState, "resource {", []string{"byte 1"}},
		{"another JSON", asState, `{"a":1}`, []string{"not a state"}},
		{"a list", asState, `[]`, []string{"found [ where { belongs"}},
		{"show output of a later version", asState, `{"format_version":"2.0"}`, []string{`version "2.0"`, "update Penumbra"}},
		{"plan of a later version", asPlan, strings.Replace(normal, `"format_version":"1.2"`, `"format_version":"2.0"`, 1), []string{`version "2.0"`, "update Penumbra"}},
		{"plan cut short", asPlan, normal[:3000], []string{"byte 3000", "ends in the middle"}},
		{"a state given as a plan", asPlan, state, []string{"not the JSON of a plan"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.parse(strings.NewReader(c.text))
			if penumbra.KindOf(err) != penumbra.Invalid || err == nil {
				t.Fatalf("%v, want an error of kind Invalid", err)
			}
			for _, word := range c.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v\ndoes not say %q", err, word)
				}
			}
		})
	}
	if _, err := ReadState(strings.NewReader(state), "shop", nil, testTime); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("without a key: %v, want Invalid", err)
	}
}

// No text of a sensitive attribute is in what leaves the package.
func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	for name, parse := range map[string]parse{"state-v4.json": asState, "state-show.json": asState, "plan-normal.json": asPlan, "plan-refresh-only.json": asPlan} {
		list, err := parse(bytes.NewReader(recorded(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%#v", list); strings.Contains(text, "not-a-real-password") {
			t.Errorf("%s: the password is in the observations", name)
		}
	}
	f := &flattener{key: testKey}
	set := &shape{Set: true}
	tokens := f.settings(map[string]any{"ids": []any{"one", "two"}}, map[string]any{"ids": true}, &shape{Fields: map[string]*shape{"ids": set}})
	if len(tokens) != 2 || strings.Contains(fmt.Sprint(tokens), "one") {
		t.Errorf("members of a sensitive set: %v, want their names sealed", tokens)
	}
}

func TestOrderOfASetMeansNothing(t *testing.T) {
	t.Parallel()
	known, err := parseShapes([]byte(`{"format_version":"1.0","provider_schemas":{"p":{"resource_schemas":{"t":{"block":{
		"attributes":{"zones":{"type":["set","string"]},"rules":{"nested_type":{"nesting_mode":"set","attributes":{"port":{"type":"number"},"from":{"type":["set","string"]}}}}},
		"block_types":{"ingress":{"nesting_mode":"set","block":{"attributes":{"port":{"type":"number"}}}}}}}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		ports := rapid.SliceOfNDistinct(rapid.IntRange(1, 9999), 1, 6, rapid.ID).Draw(t, "ports")
		config := func(order []int) map[string]any {
			var zones, rules, ingress []any
			for _, p := range order {
				zones = append(zones, fmt.Sprint("z", p))
				rules = append(rules, map[string]any{"port": p, "from": []any{"a", "b"}})
				ingress = append(ingress, map[string]any{"port": p})
			}
			return map[string]any{"zones": zones, "rules": rules, "ingress": ingress}
		}
		f := &flattener{key: testKey}
		one := f.settings(config(ports), nil, known["t"])
		other := f.settings(config(rapid.Permutation(ports).Draw(t, "order")), nil, known["t"])
		if !one.Equal(other) {
			t.Fatalf("%v differs from %v", one, other)
		}
	})
}

// Paths are the ones that every other part of Penumbra computes.
func TestPathsAreThoseOfFlatten(t *testing.T) {
	t.Parallel()
	value := map[string]any{
		"tags": map[string]any{"a.b": "x", "": "y"}, "list": []any{1, nil, map[string]any{"q": true}},
		"named": []any{map[string]any{"name": "n1", "v": 1}, map[string]any{"name": "n2", "v": 2}}, "empty": []any{},
	}
	got := (&flattener{key: testKey}).settings(value, nil, nil)
	if want := penumbra.Flatten(value, nil); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		module string
		index  any
		want   string
		config string
	}{
		{"", nil, "t.n", "t.n"},
		{`module.a["x.y]"].module.b`, "k\"${", `module.a["x.y]"].module.b.t.n["k\"$${"]`, "module.a.module.b.t.n"},
	} {
		got := instanceAddress(c.module, "t", "n", c.index)
		if got != c.want || ConfigAddress(got) != c.config {
			t.Errorf("got %s in %s, want %s in %s", got, ConfigAddress(got), c.want, c.config)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	e := parseEvents(recorded(t, "events.jsonl"))
	reason := e.reasons()[`conffile_service.web["a"]`]
	if !strings.Contains(reason, "etc/web-a.conf") || len(e.errors) != 1 {
		t.Errorf("reason %q of %d errors, want the provider's", reason, len(e.errors))
	}
	if !e.refreshed["conffile_service.database"] || e.refreshed[`conffile_service.web["a"]`] {
		t.Errorf("refreshed %v, want database and not web[\"a\"]", e.refreshed)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	lock := "Error: Error acquiring the state lock\n\nError message: resource temporarily unavailable\nLock Info:\n  ID:        1\n  Operation: OperationTypeApply\n  Who:       alice@build-7\n  Created:   2026-03-01 08:59:00 UTC\n"
	for _, c := range []struct {
		text string
		kind penumbra.ErrorKind
		word string
	}{
		{lock, penumbra.Locked, "by alice@build-7 for apply since 2026-03-01 08:59:00 UTC"},
		{"│ Error: Saved plan is stale\n│", penumbra.Stale, "plan again"},
		{"Error: Backend initialization required, please run \"terraform init\"", penumbra.Missing, "tofu init` in infra"},
		{"Error: Inconsistent dependency lock file", penumbra.Missing, "tofu init"},
		{"panic: boom\n\ngoroutine 1 [running]:\nmain.main()", penumbra.Unavailable, "a provider crashed"},
		{"Error: the token=abcdef is not valid", penumbra.Unavailable, "[redacted]"},
		{"", penumbra.Unavailable, "without saying why"},
	} {
		err := classify("plan", "infra", parseEvents([]byte(c.text)), c.text)
		if penumbra.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.word) || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%q: %v of kind %v, want %v with %q", c.text, err, penumbra.KindOf(err), c.kind, c.word)
		}
	}
}

func TestRedactPrintedPlan(t *testing.T) {
	t.Parallel()
	text := `  ~ resource "a" "b" {
      ~ api_token  = "old-one" -> "new-one"
      + password   = (sensitive value)
        memory_mb  = 512
      ~ user_data  = <<-EOT
            first-line
          + second-line
        EOT
      + "db.secret" = jsonencode(
            {
              + inner = "third"
            }
        )
        name       = "web"
`
	got := redact(text)
	for _, secret := range []string{"old-one", "new-one", "first-line", "second-line", "third"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is left in\n%s", secret, got)
		}
	}
	for _, kept := range []string{"memory_mb  = 512", `name       = "web"`, `resource "a" "b" {`} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is gone from\n%s", kept, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := Config{Stack: "shop", Dir: t.TempDir(), Binary: os.Args[0], Key: testKey, DataDir: t.TempDir()}
	for name, c := range map[string]struct {
		change func(*Config)
		kind   penumbra.ErrorKind
	}{
		"no key":     {func(c *Config) { c.Key = nil }, penumbra.Invalid},
		"bad name":   {func(c *Config) { c.Stack = "a/b" }, penumbra.Invalid},
		"no binary":  {func(c *Config) { c.Binary = "no-such-binary-anywhere" }, penumbra.Missing},
		"no folder":  {func(c *Config) { c.Dir += "/none" }, penumbra.Missing},
		"no datadir": {func(c *Config) { c.DataDir = "" }, penumbra.Invalid},
	} {
		bad := good
		c.change(&bad)
		if _, err := New(bad); penumbra.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s: %v, want kind %v", name, err, c.kind)
		}
	}
	if _, err := New(good); err != nil {
		t.Errorf("good: %v", err)
	}
	if v, err := parseVersion([]byte(`{"terraform_version":"1.4.9"}`)); err != nil || !v.LessThan(oldest) {
		t.Errorf("1.4.9: %v %v, want a version that is too old", v, err)
	}
}

func fuzzParse(f *testing.F, parse parse, seeds ...string) {
	for _, name := range seeds {
		f.Add(recorded(f, name))
	}
	f.Add([]byte(`{"version":4,"resources":[{"instances":[{"index_key":{},"attributes":null,"sensitive_attributes":[[{"type":"index","value":null}]]}]}]}`))
	f.Add([]byte(`{"format_version":"1.0","resource_changes":[{"mode":"managed","address":"a.b","change":{"after_unknown":true,"replace_paths":[1,[null]]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parse(bytes.NewReader(data))
		if err != nil {
			if penumbra.KindOf(err) != penumbra.Invalid {
				t.Fatalf("%v is of kind %v", err, penumbra.KindOf(err))
			}
			return
		}
		for i := range list {
			if err := list[i].Check(); err != nil {
				t.Fatalf("%+v: %v", list[i], err)
			}
		}
	})
}

func FuzzReadState(f *testing.F) { fuzzParse(f, asState, "state-v4.json", "state-show.json") }

func FuzzReadPlan(f *testing.F) {
	fuzzParse(f, asPlan, "plan-normal.json", "plan-refresh-only.json", "plan-errored.json")
}

func FuzzClassify(f *testing.F) {
	f.Add(string(recorded(f, "events.jsonl")))
	f.Add("Error: Error acquiring the state lock\nLock Info:\n  ID: 1\n  Who: a\nalready locked: ID=2")
	f.Fuzz(func(t *testing.T, text string) {
		err := classify("plan", "infra", parseEvents([]byte(text)), text)
		if penumbra.KindOf(err) == penumbra.Internal || err.Error() == "" {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// largeState writes a raw state of n resources of 15 settings.
func largeState(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"version":4,"resources":[{"mode":"managed","type":"conffile_service","name":"node","instances":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"index_key":%d,"schema_version":0,"attributes":{"admin_password":null,"directory":"./etc","id":"etc/node-%05d.conf","limits":{"burst":100,"requests_per_second":50,"timeout_seconds":null},"listen_port":%d,"log_level":"info","max_connections":256,"memory_mb":512,"name":"node-%05d","path":"etc/node-%05d.conf","tags":{"fleet":"large","rack":"r%02d"},"tls":true,"unmanaged":{},"upstreams":null,"worker_processes":4},"sensitive_attributes":[[{"type":"get_attr","value":"admin_password"}]]}`, i, i, 20000+i, i, i, i%40)
	}
	b.WriteString(`]}]}`)
	return b.Bytes()
}

// largePlan writes a normal plan of n resources without changes.
func largePlan(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"format_version":"1.2","resource_changes":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		one := fmt.Sprintf(`{"directory":"./etc","id":"etc/node-%05d.conf","limits":{"burst":100,"requests_per_second":50,"timeout_seconds":null},"listen_port":%d,"log_level":"info","max_connections":256,"memory_mb":512,"name":"node-%05d","path":"etc/node-%05d.conf","tags":{"fleet":"large","rack":"r%02d"},"tls":true,"unmanaged":{},"worker_processes":4}`, i, 20000+i, i, i, i%40)
		fmt.Fprintf(&b, `{"address":"conffile_service.node[%d]","mode":"managed","type":"conffile_service","name":"node","index":%d,"change":{"actions":["no-op"],"before":%s,"after":%s,"after_unknown":{},"before_sensitive":{},"after_sensitive":{}}}`, i, i, one, one)
	}
	b.WriteString(`],"configuration":{"root_module":{"resources":[{"mode":"managed","type":"conffile_service","name":"node","expressions":{"memory_mb":{"constant_value":512},"tags":{"references":["count.index"]}}}]}}}`)
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, form := range []struct {
		name  string
		make  func(int) []byte
		parse parse
	}{{"state", largeState, asState}, {"plan", largePlan, asPlan}} {
		for _, n := range []int{1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s-%d", form.name, n), func(b *testing.B) {
				data := form.make(n)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				var kept uint64
				for b.Loop() {
					var before, after runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&before)
					list, err := form.parse(bytes.NewReader(data))
					if err != nil || len(list) < n {
						b.Fatal(len(list), err)
					}
					runtime.GC()
					runtime.ReadMemStats(&after)
					kept = after.HeapAlloc - before.HeapAlloc
					runtime.KeepAlive(list)
				}
				b.ReportMetric(float64(kept)/float64(n), "kept-B/resource")
			})
		}
	}
}

func TestReadCode(t *testing.T) {
	t.Parallel()
	s := &stack{t: t, dir: t.TempDir()}
	s.w = &Workspace{config: Config{Stack: "shop", Key: testKey}, dir: s.dir}
	digest := func() string { return s.w.readCode("1.11.4").digest }
	s.write("a.tf", "resource \"t\" \"n\" {\n  lifecycle {\n    ignore_changes = [size, tags[\"k\"]]\n  }\n  dynamic \"rule\" {\n    for_each = []\n    content {}\n  }\n}\n")
	s.write("b.tf", "resource \"t\" \"all\" {\n  lifecycle {\n    ignore_changes = all\n  }\n}\n")
	d := declarations{"t.n": {fields: map[string]*declared{"size": {whole: true}, "tags": {whole: true}}}, "t.all": {whole: true}}
	s.w.readCode("1.11.4").amend(d)
	for place, want := range map[string]bool{"size\x00": false, "tags\x00k\x00": false, "tags\x00other\x00": true, "rule\x00port\x00": true, "other\x00": false} {
		if d["t.n"].has(place) != want {
			t.Errorf("%q declared: %v, want %v", place, !want, want)
		}
	}
	if d["t.all"].has("size\x00") {
		t.Error("a setting counts as declared where changes of all are ignored")
	}

	first := digest()
	if first == "" || first != digest() {
		t.Fatalf("digest %q, want the same one each time", first)
	}
	s.write("x.auto.tfvars", "size = 1\n")
	if second := digest(); second == "" || second == first {
		t.Error("a variable file does not change the digest")
	}
	s.write("c.tf", "locals {\n  a = file(\"${path.module}/x.txt\")\n}\n")
	without := digest()
	s.write("x.txt", "text")
	if with := digest(); without == "" || with == without {
		t.Error("a file that the code reads does not change the digest")
	}
	for _, text := range []string{"file(var.name)", "plantimestamp()", "fileset(path.module, \"*\")", "provider::p::f()"} {
		s.write("c.tf", "locals {\n  a = "+text+"\n}\n")
		if got := digest(); got != "" {
			t.Errorf("%s: the code has a digest, and may change without it", text)
		}
	}
	s.write("c.tf", "")
	s.write("d.tf.json", `{"resource":{"t":{"json":{"lifecycle":{"ignore_changes":["size"]}}}}}`)
	c := s.w.readCode("1.11.4")
	if c.digest != "" || c.resources["t.json"] == nil || !c.resources["t.json"].ignore.covers("size\x00") {
		t.Errorf("JSON code: digest %q, %+v, want none and size ignored", c.digest, c.resources["t.json"])
	}
}
