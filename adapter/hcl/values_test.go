package hcl

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// checkPatch holds a patch against what package hcl promises of every one.
func checkPatch(t testing.TB, dir string, patch penumbra.Patch) {
	t.Helper()
	for _, f := range patch.Files {
		before, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil || string(before) != f.Before {
			t.Errorf("%s: the code was written, or Before is not the file (%v)", f.Path, err)
		}
		base := sha256.Sum256(before)
		if f.Base != hex.EncodeToString(base[:]) {
			t.Errorf("%s: base %s", f.Path, f.Base)
		}
		if strings.HasSuffix(f.Path, ".json") {
			if !json.Valid([]byte(f.After)) {
				t.Errorf("%s is no JSON any more:\n%s", f.Path, f.After)
			}
		} else if _, diags := hclwrite.ParseConfig([]byte(f.After), f.Path, hcl2.InitialPos); diags.HasErrors() {
			t.Errorf("%s does not parse any more: %v\n%s", f.Path, diags, f.After)
		}
		applyWithGit(t, dir, f)
	}
}

// applyWithGit applies a patch's diff as a person would, and compares.
func applyWithGit(t testing.TB, dir string, f penumbra.FilePatch) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("git is needed to apply diffs as a person would")
		}
		return
	}
	copied := t.TempDir()
	writeFile(t, copied, f.Path, []byte(f.Before))
	cmd := exec.Command(git, "apply", "-")
	cmd.Dir, cmd.Stdin = copied, strings.NewReader(f.Diff)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("git apply: %v\n%s\n%s", err, out, f.Diff)
		return
	}
	after, err := os.ReadFile(filepath.Join(copied, filepath.FromSlash(f.Path)))
	if err != nil || string(after) != f.After {
		t.Errorf("%s: the diff leads to:\n%s\nand not to:\n%s (%v)", f.Path, after, f.After, err)
	}
}

// drawBody writes a resource with attributes of several forms and layouts, and
// returns its code and the paths of its scalars with their values.
func drawBody(t *rapid.T) (code string, at map[string]penumbra.Value) {
	at = map[string]penumbra.Value{}
	scalar := func(path string) string {
		v := drawValue(t)
		at[path] = v
		return spell(v)
	}
	comment := rapid.SampledFrom([]string{"", " # a comment", " // note"})
	var b strings.Builder
	b.WriteString("# head\nresource \"x_service\" \"queue\" {\n")
	for i := range rapid.IntRange(0, 3).Draw(t, "scalars") {
		name := fmt.Sprintf("s%d", i)
		fmt.Fprintf(&b, "  %s = %s%s\n", name, scalar(name), comment.Draw(t, "comment"))
	}
	if rapid.Bool().Draw(t, "map") {
		fmt.Fprintf(&b, "  tags = {\n    team = %s,%s\n    \"a.b\"  = %s%s\n  }\n", scalar("tags.team"), comment.Draw(t, "comment"), scalar("tags.a.b"), comment.Draw(t, "comment"))
	}
	if rapid.Bool().Draw(t, "list") {
		fmt.Fprintf(&b, "  zones = [%s, %s]\n", spell(penumbra.String("p")), spell(penumbra.String("q")))
		at["zones.0"], at["zones.1"] = penumbra.String("p"), penumbra.String("q")
	}
	if rapid.Bool().Draw(t, "block") {
		fmt.Fprintf(&b, "  disk {\n    size = %s\n  }\n", scalar("disk.0.size"))
	}
	b.WriteString("}\n# foot\n")
	return b.String(), at
}

func drawValue(t *rapid.T) penumbra.Value {
	return rapid.OneOf(
		rapid.Map(rapid.Int64Range(-1<<40, 1<<40), func(n int64) penumbra.Value { return penumbra.Number(float64(n)) }),
		rapid.Map(rapid.Bool(), penumbra.Bool),
		rapid.Map(rapid.StringMatching(`[a-z "\\$%{}\n\tä.]{0,12}`), penumbra.String),
	).Draw(t, "value")
}

// TestValuesAreReadBack sets drawn values and reads the code's literals anew.
func TestValuesAreReadBack(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "case")
		if err != nil {
			t.Fatal(err)
		}
		source, at := drawBody(t)
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		want := map[string]penumbra.Value{}
		maps.Copy(want, at)
		var settings []penumbra.Setting
		for path := range at {
			if rapid.Bool().Draw(t, "change "+path) {
				v := drawValue(t)
				if strings.HasPrefix(path, "zones.") {
					v = penumbra.String("r" + v.Text()) // true would mean a member of a set
				}
				want[path] = v
				settings = append(settings, penumbra.Setting{Path: path, Value: v})
			}
		}
		if rapid.Bool().Draw(t, "add") {
			want["added"] = drawValue(t)
			settings = append(settings, penumbra.Setting{Path: "added", Value: want["added"]})
		}
		patch, err := Values(dir, "shop", "shop/x_service.queue", settings)
		if err != nil {
			t.Fatalf("%v\n%s", err, source)
		}
		after := source
		if len(patch.Files) > 0 {
			after = patch.Files[0].After
		}
		if got := literals(t, after); !maps.Equal(got, want) {
			t.Fatalf("read back %v\nwant %v\n%s", got, want, after)
		}
		if n := strings.Count(source, "#") + strings.Count(source, "//"); n > strings.Count(after, "#")+strings.Count(after, "//") {
			t.Fatalf("a comment is lost:\n%s\nbecame\n%s", source, after)
		}
	})
}

// literals evaluates the resource's body with HCL's own evaluator.
func literals(t *rapid.T, source string) map[string]penumbra.Value {
	parsed, diags := hclsyntax.ParseConfig([]byte(source), "main.tf", hcl2.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, source)
	}
	out := map[string]penumbra.Value{}
	var body func(prefix string, b *hclsyntax.Body)
	var value func(path string, v cty.Value)
	value = func(path string, v cty.Value) {
		switch {
		case v.Type().IsObjectType():
			for k, x := range v.AsValueMap() {
				value(penumbra.JoinPath(path, k), x)
			}
		case v.Type().IsTupleType():
			for i, x := range v.AsValueSlice() {
				value(fmt.Sprintf("%s.%d", path, i), x)
			}
		default:
			out[path], _ = literalOf(v)
		}
	}
	body = func(prefix string, b *hclsyntax.Body) {
		for name, attr := range b.Attributes {
			v, diags := attr.Expr.Value(nil)
			if diags.HasErrors() {
				t.Fatalf("%v\n%s", diags, source)
			}
			value(penumbra.JoinPath(prefix, name), v)
		}
		for i, inner := range b.Blocks {
			body(penumbra.JoinPath(prefix, fmt.Sprintf("%s.%d", inner.Type, i)), inner.Body)
		}
	}
	body("", parsed.Body.(*hclsyntax.Body).Blocks[0].Body)
	return out
}

func TestValuesRefusesWhatIsMarkedSensitive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "main.tf", []byte("resource \"x_service\" \"queue\" {\n}\n"))
	secret := penumbra.Key("key").Seal(penumbra.String("hunter2"))
	for _, x := range []penumbra.Setting{
		{Path: "user", Value: penumbra.String("root"), Sensitive: true},
		{Path: "user", Value: secret},
		{Path: "user", Value: penumbra.Unknown()},
	} {
		if _, err := Values(dir, "shop", "shop/x_service.queue", []penumbra.Setting{x}); penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%v: error %v", x, err)
		}
	}
}

// FuzzValues gives the editor code that nobody wrote for it: it may refuse, and
// what it returns parses and is declared.
func FuzzValues(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == "main.tf" {
				f.Add(file.Data, "x_service.queue", "tags.team", "x")
				f.Add(file.Data, `x_service.web["a"]`, "memory_mb", "5")
				f.Add(file.Data, `x_service.web[0]`, "zones.0", "")
			}
		}
	}
	f.Fuzz(func(t *testing.T, source []byte, address, path, text string) {
		dir := t.TempDir()
		writeFile(t, dir, "main.tf", source)
		value := penumbra.String(text)
		if text == "" {
			value = penumbra.Null()
		}
		where := penumbra.NewAddress("shop", address)
		check := func(patch penumbra.Patch, err error, again func() (penumbra.Patch, error)) {
			if err != nil {
				return
			}
			for _, x := range patch.Files {
				if _, diags := hclsyntax.ParseConfig([]byte(x.After), x.Path, hcl2.InitialPos); diags.HasErrors() {
					t.Fatalf("%v\n%s", diags, x.After)
				}
				writeFile(t, dir, x.Path, []byte(x.After))
			}
			if second, err := again(); err != nil || len(second.Files) > 0 {
				t.Fatalf("not settled: %v\n%s\n%s", err, patch.Diff(), second.Diff())
			}
		}
		values := func() (penumbra.Patch, error) {
			return Values(dir, "shop", where, []penumbra.Setting{{Path: path, Value: value}})
		}
		ignore := func() (penumbra.Patch, error) { return IgnoreChanges(dir, "shop", where, []string{path}, "") }
		patch, err := values()
		check(patch, err, values)
		patch, err = ignore()
		check(patch, err, ignore)
	})
}
