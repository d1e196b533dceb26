package tofu

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// codeOf reads modules from their text; the root's key is "".
func codeOf(modules map[string]string) *code {
	c := &code{resources: make(map[string]*codeResource), modules: make(map[string]*module), plain: true}
	for prefix, text := range modules {
		m := newModule(prefix, "modules/"+prefix)
		c.modules[prefix] = m
		file, _ := hclsyntax.ParseConfig([]byte(text), "main.tf", hcl.InitialPos)
		if body, ok := file.Body.(*hclsyntax.Body); ok {
			m.add(body)
		}
		for name, body := range m.resources {
			c.resources[prefix+name] = &codeResource{}
			c.resources[prefix+name].read(body)
		}
	}
	return c
}

func parseAttributes(t testing.TB, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var out map[string]any
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEvaluateTellsWhatWasNotApplied(t *testing.T) {
	t.Parallel()
	tags := &shape{Fields: map[string]*shape{"tags": {Map: true}, "ids": {Set: true}, "rule": {Set: true}, "secret_wo": {WriteOnly: true, Sensitive: true}}}
	for _, c := range []struct {
		name, code, applied string
		differ              bool
	}{
		{"literal as applied", `a = "x"`, `{"a": "x"}`, false},
		{"literal", `a = "y"`, `{"a": "x"}`, true},
		{"number", `a = 5 + 1`, `{"a": 6}`, false},
		{"number written as text", `a = "8080"`, `{"a": 8080}`, false},
		{"other number", `a = "8081"`, `{"a": 8080}`, true},
		{"large number", `a = 12345678901234567890`, `{"a": 12345678901234567890}`, false},
		{"flag", `a = !true`, `{"a": true}`, true},
		{"variable", `a = var.size`, `{"a": 3}`, false},
		{"variable in a local in text", `a = local.name`, `{"a": "n-3"}`, false},
		{"other local", `a = local.name`, `{"a": "n-4"}`, true},
		{"unset variable", `a = var.unset`, `{"a": "x"}`, false},
		{"local that refers to itself", `a = local.loop`, `{"a": "x"}`, false},
		{"function", `a = join("-", ["a", upper("b")])`, `{"a": "a-B"}`, false},
		{"unknown function", `a = cidrsubnet("10.0.0.0/8", 8, 1)`, `{"a": "x"}`, false},
		{"wrong argument", `a = upper([])`, `{"a": "x"}`, false},
		{"null is the provider's choice", `a = null`, `{"a": "x"}`, false},
		{"another resource", `a = other_thing.one.port + 1`, `{"a": 81}`, false},
		{"another resource's instance", `a = other_thing.many["k"].port`, `{"a": 82}`, true},
		{"a resource that is not there", `a = other_thing.gone.port`, `{"a": 82}`, false},
		{"data source", `a = data.other_info.one.port`, `{"a": 90}`, false},
		{"output of a module", `a = module.sub.out`, `{"a": "in!"}`, false},
		{"other output of a module", `a = module.sub.out`, `{"a": "in?"}`, true},
		{"map as applied", `tags = merge(local.tags, { b = 2 })`, `{"tags": {"a": "1", "b": "2"}}`, false},
		{"key added to a map", `tags = { a = "1", b = "2" }`, `{"tags": {"a": "1"}}`, true},
		{"key taken from a map", `tags = { a = "1" }`, `{"tags": {"a": "1", "b": "2"}}`, true},
		{"provider's field of an object", `a = { x = 1 }`, `{"a": {"x": 1, "computed": 2}}`, false},
		{"unknown part", `tags = { a = var.unset, b = "2" }`, `{"tags": {"a": "1", "b": "3"}}`, true},
		{"list", `a = [1, 2]`, `{"a": [1, 3]}`, true},
		{"shorter list", `a = [1]`, `{"a": [1, 3]}`, true},
		{"empty list and none", `a = []`, `{"a": null}`, false},
		{"set in another order", `ids = ["b", "a"]`, `{"ids": ["a", "b"]}`, false},
		{"other set", `ids = ["b", "c"]`, `{"ids": ["a", "b"]}`, true},
		{"block", "b {\n x = 1\n}", `{"b": [{"x": 1, "y": 2}]}`, false},
		{"other block", "b {\n x = 2\n}", `{"b": [{"x": 1}]}`, true},
		{"single block", "b {\n x = 2\n}", `{"b": {"x": 1}}`, true},
		{"more blocks", "b {\n x = 1\n}\nb {\n x = 1\n}", `{"b": [{"x": 1}]}`, true},
		{"dynamic blocks of a set", "dynamic \"rule\" {\n for_each = [2, 1]\n iterator = it\n content {\n port = it.value\n }\n}", `{"rule": [{"port": 1}, {"port": 2}]}`, false},
		{"fewer dynamic blocks", "dynamic \"rule\" {\n for_each = [2]\n content {\n port = rule.value\n }\n}", `{"rule": [{"port": 1}, {"port": 2}]}`, true},
		{"dynamic blocks that are not known", "dynamic \"rule\" {\n for_each = var.unset\n content {\n port = rule.value\n }\n}", `{"rule": []}`, false},
		{"ignored", "a = \"y\"\nlifecycle {\n ignore_changes = [a]\n}", `{"a": "x"}`, false},
		{"ignored in part", "tags = { a = \"1\", c = \"3\" }\nlifecycle {\n ignore_changes = [tags[\"a\"]]\n}", `{"tags": {"a": "2", "c": "3"}}`, false},
		{"never stored", `secret_wo = "x"`, `{"secret_wo": null}`, false},
		{"sensitive", `a = sensitive("y")`, `{"a": "x"}`, true},
		{"workspace", `a = terraform.workspace`, `{"a": "default"}`, false},
	} {
		root := `
variable "size" {
  type = number
  default = "3"
}
variable "unset" {}
locals {
  name = "n-${var.size}"
  tags = { a = "1" }
  loop = local.loop
}
module "sub" {
  source = "./sub"
  in = "in"
}
resource "some_thing" "it" {
` + c.code + "\n}\n"
		code := codeOf(map[string]string{"": root, "module.sub.": "variable \"in\" {}\noutput \"out\" {\n value = \"${var.in}!\"\n}\n"})
		objects := []object{
			{name: "some_thing.it", attributes: parseAttributes(t, c.applied)},
			{name: "other_thing.one", attributes: parseAttributes(t, `{"port": 80}`)},
			{name: "other_thing.many", key: "k", attributes: parseAttributes(t, `{"port": 81}`)},
			{name: "data.other_info.one", attributes: parseAttributes(t, `{"port": 90}`)},
		}
		s := newEvaluator(code, nil, objects).root()
		ignore := code.resources["some_thing.it"].ignore
		if got := s.blockDiffers(generated{body: s.module.resources["some_thing.it"]}, repetition{}, objects[0].attributes, tags, ignore); got != c.differ {
			t.Errorf("%s: differs %v, want %v", c.name, got, c.differ)
		}
	}
}

func TestEvaluateInstances(t *testing.T) {
	t.Parallel()
	c := codeOf(map[string]string{
		"": `
variable "names" {
  type = set(string)
}
variable "unset" {}
resource "a_b" "counted" { count = length(var.names) + 1 }
resource "a_b" "each" { for_each = var.names }
resource "a_b" "map" { for_each = { for n in var.names : n => "${n}!" } }
resource "a_b" "unclear" { for_each = var.unset }
module "m" {
  source = "./m"
  count  = 2
  in     = count.index
}
module "u" {
  source   = "./m"
  for_each = var.unset
  in       = each.key
}
`,
		"module.m.": "variable \"in\" {}\nresource \"a_b\" \"x\" {\n v = var.in\n}\n",
		"module.u.": "variable \"in\" {}\nresource \"a_b\" \"x\" {\n v = var.in\n}\n",
	})
	variables := map[string]cty.Value{"names": cty.TupleVal([]cty.Value{cty.StringVal("p"), cty.StringVal(`q"]`)})}
	s := newEvaluator(c, variables, []object{
		{name: "a_b.unclear", key: "s"},
		{module: `module.u["k\"]"]`, name: "a_b.x"},
	}).root()
	expanded := func(name string) []string {
		var out []string
		at := s.address + name
		repeated := s.expand(s.module.resources[name], func() (keys []any) {
			for _, o := range s.objects[at] {
				keys = append(keys, o.key)
			}
			return keys
		})
		for _, key := range repeated.keys {
			out = append(out, keyed(at, key))
		}
		return out
	}
	for name, want := range map[string][]string{
		"a_b.counted": {"a_b.counted[0]", "a_b.counted[1]", "a_b.counted[2]"},
		"a_b.each":    {`a_b.each["p"]`, `a_b.each["q\"]"]`},
		"a_b.map":     {`a_b.map["p"]`, `a_b.map["q\"]"]`},
		"a_b.unclear": {`a_b.unclear["s"]`},
	} {
		if got := expanded(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	var modules []string
	for name := range s.module.calls {
		for _, child := range s.child(name).of {
			v := child.evaluate(child.module.resources["a_b.x"].Attributes["v"].Expr, repetition{}, nil)
			text, _ := plainValue(v)
			encoded, _ := json.Marshal(text)
			modules = append(modules, child.address+string(encoded))
		}
	}
	slices.Sort(modules)
	if want := []string{"module.m[0].0", "module.m[1].1", `module.u["k\"]"]."k\"]"`}; !slices.Equal(modules, want) {
		t.Errorf("modules %q, want %q", modules, want)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	c := codeOf(map[string]string{
		"": `
locals {
  port = a_b.one.port
}
data "a_info" "d" { of = a_b.two[0].id }
resource "a_b" "one" {}
resource "a_b" "two" { count = 2 }
resource "a_b" "three" {
  v = local.port
  w = data.a_info.d.x
}
module "m" {
  source = "./m"
  in     = a_b.three.id
}
resource "a_b" "four" { v = module.m.out }
`,
		"module.m.": "variable \"in\" {}\nresource \"a_b\" \"x\" {\n v = var.in\n}\noutput \"out\" {\n value = a_b.x.path\n}\n",
	})
	for place, want := range map[string]string{
		"a_b.one":        "",
		"a_b.three":      "a_b.one.port a_b.two.id",
		"module.m.a_b.x": "a_b.three.id",
		"a_b.four":       "module.m.a_b.x.- module.m.a_b.x.path",
		"a_b.nothing":    "",
		"module.m":       "",
	} {
		var got []string
		for place, attributes := range c.references(place) {
			for name := range attributes {
				got = append(got, place+"."+name)
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s refers to %q, want %q", place, text, want)
		}
	}
	needs := slices.Sorted(maps.Keys(c.needs(map[string]bool{"a_b.four": true})))
	if want := []string{"a_b.one", "a_b.three", "a_b.two", "module.m.a_b.x"}; !slices.Equal(needs, want) {
		t.Errorf("a_b.four needs %v, want %v", needs, want)
	}
}

func TestVariableSources(t *testing.T) {
	t.Parallel()
	s := &stack{t: t, dir: t.TempDir()}
	s.w = &Workspace{dir: s.dir, config: Config{VarFiles: []string{"last.tfvars"}, Env: map[string]string{"TF_VAR_env": "[1]", "TF_VAR_list": "[1]", "TF_VAR_a": "env"}}}
	s.write("terraform.tfvars", "a = \"file\"\nb = \"file\"\n")
	s.write("x.auto.tfvars", "b = \"auto\"\nc = \"auto\"\n")
	s.write("y.auto.tfvars.json", `{"c": "json"}`)
	s.write("last.tfvars", "d = \"last\"\n")
	c := codeOf(map[string]string{"": "variable \"a\" {}\nvariable \"env\" { type = string }\nvariable \"list\" { type = list(number) }\n"})
	got := s.w.variables(c.modules[""])
	for name, want := range map[string]cty.Value{
		"a": cty.StringVal("file"), "b": cty.StringVal("auto"), "c": cty.StringVal("json"), "d": cty.StringVal("last"),
		"env": cty.StringVal("[1]"), "list": cty.TupleVal([]cty.Value{cty.NumberIntVal(1)}),
	} {
		if v := got[name]; v == cty.NilVal || !v.RawEquals(want) {
			t.Errorf("%s is %#v, want %#v", name, v, want)
		}
	}
	s.w.config.Env["TF_CLI_ARGS_plan"] = "-var=a=x"
	if v := s.w.variables(c.modules[""])["a"]; v.IsKnown() {
		t.Errorf("a is %#v where an argument may set it, want it unknown", v)
	}
}

func TestUnwrapDynamicValues(t *testing.T) {
	t.Parallel()
	s := &shape{Fields: map[string]*shape{"manifest": {Dynamic: true}}}
	got := s.unwrap(parseAttributes(t, `{"manifest": {"value": {"kind": "Pod"}, "type": ["object", {"kind": "string"}]}, "value": 1}`))
	encoded, _ := json.Marshal(got)
	if want := `{"manifest":{"kind":"Pod"},"value":1}`; string(encoded) != want {
		t.Errorf("unwrapped %s, want %s", encoded, want)
	}
}

// Whatever is written as code, the evaluation ends and says something.
func FuzzEvaluate(f *testing.F) {
	f.Add("locals {\n a = local.b\n b = local.a\n}\nresource \"x\" \"y\" {\n for_each = local.a\n z = each.value\n}\n")
	f.Add("variable \"v\" {\n type = object({a = optional(string, \"x\")})\n default = {}\n}\nresource \"x\" \"y\" {\n count = 2\n z = [for i in var.v : i...]\n dynamic \"b\" {\n  for_each = x.y\n  content {\n   c = b.key\n  }\n }\n}\n")
	f.Add("module \"m\" {\n source = \"./m\"\n in = module.m.out\n}\nresource \"x\" \"y\" {\n z = merge(1, null, {})[0]\n w = \"${x.y[*].z}\"\n timeouts {}\n}\n")
	f.Add("resource \"x\" \"y\" {\n z = setproduct([[]], {})\n a = format(\"%d\", x.y.z)\n lifecycle {\n  ignore_changes = [z[\"a\"], 1]\n }\n}\nresource \"\" \"\" {}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		c := codeOf(map[string]string{"": text, "module.m.": "variable \"in\" {}\noutput \"out\" {\n value = var.in\n}\nresource \"x\" \"y\" {\n z = var.in\n}\n"})
		objects := []object{{name: "x.y", attributes: map[string]any{"z": []any{json.Number("1"), nil}, "b": map[string]any{"c": true}}}, {module: "module.m[0]", name: "x.y", key: "k"}}
		q := &quick{
			code: c, declared: make(declarations), objects: map[string]*object{"x.y": &objects[0]}, places: make(map[string][]string),
			candidates: make(map[string]bool), result: &memory{Resources: make(map[string]remembered)},
			states: &states{now: &state{}, before: &state{}},
		}
		q.module(newEvaluator(c, nil, objects).root())
		for place := range q.places {
			c.needs(map[string]bool{place: true})
			if m, name := c.find(place); m != nil {
				declaredIn(m.resources[name]).has("z\x00")
			}
		}
		for address := range q.candidates {
			if _, ok := q.result.Resources[address]; !ok {
				t.Errorf("%q is to be planned and was not surveyed", address)
			}
		}
	})
}
