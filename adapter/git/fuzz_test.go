package git

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/timeline"
)

// FuzzHCL reads any bytes as code, and holds that what comes of them can be
// kept: valid, bounded, and read back as it is.
func FuzzHCL(f *testing.F) {
	f.Add([]byte("resource \"a\" \"b\" {\n  c = [1, \"x\", var.y]\n  d = { e = \"${f.g}-h\" }\n  i { j = <<-K\n l\n K\n }\n}\n"))
	f.Add([]byte("module \"m\" {\n  source = \"git::https://x/y.git//z?ref=v1\"\n  providers = { aws = aws.x }\n}\n"))
	f.Add([]byte("resource \"a\" \"b\" { password = coalesce(var.x, \"y\") }"))
	f.Add([]byte("resource \"a\" \"b\" { c = a[*].b.*.c ? !d : -1.5e3 }"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<14 {
			return
		}
		for _, name := range [...]string{"x/main.tf", "a.tfvars", "terragrunt.hcl"} {
			keeps(t, name, src)
		}
	})
}

// FuzzYAML does the same with YAML.
func FuzzYAML(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: b}\nspec:\n  - {name: c, d: [1, 2]}\n  - {name: e}\n---\n{}\n"))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: Yw==}}]"))
	f.Add([]byte("a: &a {b: 1}\nc: {<<: *a, d: *a}\ne: !vault f\n? [g]\n: h\n"))
	f.Add([]byte("apiVersion: v1\nkind: X\nmetadata: {name: {{ a }}}\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<14 {
			return
		}
		for _, name := range [...]string{"a.yaml", "group_vars/a.yml"} {
			keeps(t, name, src)
		}
	})
}

func keeps(t *testing.T, name string, src []byte) {
	found, reason, _ := parser{key: testKey}.file(name, blob{content: src})
	if int(reason) >= len(reasonNames) {
		t.Fatalf("reason %d", reason)
	}
	var text strings.Builder
	enc := timeline.NewEncoder(&text)
	for _, r := range found {
		if r.local == "" || r.kind == "" || len(r.settings) > maxSettings {
			t.Fatalf("%q of type %q with %d settings", r.local, r.kind, len(r.settings))
		}
		o := penumbra.Observation{
			Kind: penumbra.EventKind, Time: testTime, Resource: addressOf("x", r), Type: r.kind, Source: "git:0", Action: actionCreate, Settings: r.settings,
		}
		for i, s := range r.settings {
			if !utf8.ValidString(s.Path) || !utf8.ValidString(s.Value.Text()) || len(s.Value.Text()) > maxText {
				t.Fatalf("%q = %q", s.Path, s.Value.Text())
			}
			if i > 0 && r.settings[i-1].Path >= s.Path {
				t.Fatalf("%q is before %q", r.settings[i-1].Path, s.Path)
			}
			if s.Sensitive != (s.Value.Kind() == penumbra.SecretKind) {
				t.Fatalf("%q: sensitive %v, %v", s.Path, s.Sensitive, s.Value.Kind())
			}
		}
		text.Reset()
		if err := enc.Encode(&o); err != nil {
			t.Fatal(err)
		}
		again, err := timeline.NewDecoder(strings.NewReader(text.String()), "").Next()
		if err != nil {
			t.Fatalf("%v in %s", err, text.String())
		}
		if again.Identity() != o.Identity() {
			t.Fatalf("%s reads back as another", text.String())
		}
		if d := difference(r.settings, r.settings); len(d) > 0 {
			t.Fatalf("differs from itself: %v", d)
		}
	}
}
