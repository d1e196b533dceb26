package tofu

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
)

// evaluator works out what code asks for without the tools, as far as that
// follows from the code, the variables and a state. It stands in for them only
// where nothing is to be decided: what it cannot tell is unknown, and what it
// tells is used to choose what a plan has to look at.
type evaluator struct {
	code      *code
	variables map[string]cty.Value // of the root module, as they are set
	functions map[string]function.Function
	objects   map[string][]*object // by the module's instance and the name
	modules   map[string][]any     // keys of a call's instances in the state
	workspace string
	cwd       string
}

func newEvaluator(c *code, variables map[string]cty.Value, objects []object) *evaluator {
	e := &evaluator{code: c, variables: variables, functions: functions, objects: make(map[string][]*object), modules: make(map[string][]any), workspace: "default"}
	seen := make(map[string]bool)
	for i := range objects {
		o := &objects[i]
		at := modulePrefix(o.module) + o.name
		e.objects[at] = append(e.objects[at], o)
		if o.module == "" || seen[o.module] {
			continue
		}
		seen[o.module] = true
		// Each step of the path is an instance of a call.
		steps := addressSteps(o.module)
		for end := range steps {
			instance := strings.Join(steps[:end+1], ".")
			if end < len(steps)-1 && seen[instance] {
				continue
			}
			seen[instance] = true
			call, key := splitKey(instance)
			if !slices.Contains(e.modules[call], key) {
				e.modules[call] = append(e.modules[call], key)
			}
		}
	}
	return e
}

func modulePrefix(instance string) string {
	if instance == "" {
		return ""
	}
	return instance + "."
}

// addressSteps splits the instance of a module into those on its way:
// "module.a[0].module.b" has the steps "module.a[0]" and "module.b".
func addressSteps(address string) []string {
	var steps []string
	start, quoted := 0, false
	for i := 0; i < len(address); i++ {
		switch {
		case quoted && address[i] == '\\':
			i++
		case address[i] == '"':
			quoted = !quoted
		case !quoted && i > start && strings.HasPrefix(address[i:], ".module."):
			steps = append(steps, address[start:i])
			start = i + 1
		}
	}
	return append(steps, address[start:])
}

// splitKey takes the key off the end of an address; it is nil if there is none.
func splitKey(address string) (place string, key any) {
	if !strings.HasSuffix(address, "]") {
		return address, nil
	}
	start, quoted := -1, false
	for i := 0; i < len(address); i++ {
		switch {
		case quoted && address[i] == '\\':
			i++
		case address[i] == '"':
			quoted = !quoted
		case !quoted && address[i] == '[':
			start = i
		}
	}
	if start < 0 {
		return address, nil
	}
	text := address[start+1 : len(address)-1]
	if len(text) < 2 || text[0] != '"' {
		return address[:start], json.Number(text)
	}
	text = strings.NewReplacer("$${", "${", "%%{", "%{").Replace(text)
	if name, err := strconv.Unquote(text); err == nil {
		return address[:start], name
	}
	return address[:start], text[1 : len(text)-1]
}

// scope is an instance of a module: what names mean in it.
type scope struct {
	*evaluator
	module  *module
	address string // prefix of the instances in it, "module.a[0]."
	parent  *scope
	call    *hclsyntax.Body
	each    repetition

	known    map[string]cty.Value // what was worked out already
	busy     map[string]bool      // what is being worked out: code may refer to itself
	children map[string]expansion[*scope]
}

// repetition is what count and for_each make known in a block.
type repetition struct{ index, key, value cty.Value }

// mostInstances is how many of a block are worked out without the tools.
const mostInstances = 1_000_000

// expansion is the instances of a block. If they do not follow from what is
// known they are those of the state.
type expansion[T any] struct {
	of     []T
	keys   []any
	follow bool
}

func (e *evaluator) root() *scope {
	return e.scope(nil, e.code.modules[""], "", nil, repetition{})
}

func (e *evaluator) scope(parent *scope, m *module, address string, call *hclsyntax.Body, each repetition) *scope {
	return &scope{
		evaluator: e, module: m, address: address, parent: parent, call: call, each: each,
		known: make(map[string]cty.Value), busy: make(map[string]bool), children: make(map[string]expansion[*scope]),
	}
}

// evaluate returns an expression's value, unknown if there is anything wrong
// with it. more are names that only the expression's block knows.
func (s *scope) evaluate(e hcl.Expression, each repetition, more map[string]cty.Value) (v cty.Value) {
	// The language has corners in which its library panics, and nothing that
	// code says may end a read.
	defer func() {
		if recover() != nil {
			v = cty.DynamicVal
		}
	}()
	names := make(map[string]map[string]cty.Value)
	variables := maps.Clone(more)
	if variables == nil {
		variables = make(map[string]cty.Value)
	}
	for _, t := range e.Variables() {
		root, path := t.RootName(), traversalNames(t)
		if _, given := more[root]; given {
			continue
		}
		if len(path) < 2 || root == "data" && len(path) < 3 {
			variables[root] = cty.DynamicVal
			continue
		}
		s.name(names, path, each)
	}
	for root, of := range names {
		if root != "data" {
			variables[root] = cty.ObjectVal(of)
		}
	}
	if of := names["data"]; of != nil {
		variables["data"] = dataObject(of)
	}
	v, diags := e.Value(&hcl.EvalContext{Variables: variables, Functions: s.functions})
	if diags.HasErrors() || v == cty.NilVal {
		return cty.DynamicVal
	}
	v, _ = v.UnmarkDeep()
	return v
}

// dataObject nests names such as "type.name".
func dataObject(of map[string]cty.Value) cty.Value {
	types := make(map[string]map[string]cty.Value)
	for place, v := range of {
		typ, name, _ := strings.Cut(place, ".")
		if types[typ] == nil {
			types[typ] = make(map[string]cty.Value)
		}
		types[typ][name] = v
	}
	out := make(map[string]cty.Value)
	for typ, names := range types {
		out[typ] = cty.ObjectVal(names)
	}
	return cty.ObjectVal(out)
}

// traversalNames returns the names that a traversal starts with, up to an
// index.
func traversalNames(t hcl.Traversal) []string {
	var out []string
	for _, step := range t {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			out = append(out, step.Name)
		case hcl.TraverseAttr:
			out = append(out, step.Name)
		default:
			return out
		}
	}
	return out
}

// name puts what a reference means where the expression looks for it.
func (s *scope) name(names map[string]map[string]cty.Value, path []string, each repetition) {
	put := func(name string, v cty.Value) {
		if names[path[0]] == nil {
			names[path[0]] = make(map[string]cty.Value)
		}
		if v == cty.NilVal {
			v = cty.DynamicVal
		}
		names[path[0]][name] = v
	}
	switch name := path[1]; path[0] {
	case "var":
		put(name, s.once("var."+name, func() cty.Value { return s.variable(name) }))
	case "local":
		put(name, s.once("local."+name, func() cty.Value { return s.local(name) }))
	case "module":
		put(name, s.once("module."+name, func() cty.Value { return s.outputs(name) }))
	case "count":
		put("index", each.index)
	case "each":
		put("key", each.key)
		put("value", each.value)
	case "path":
		put("module", cty.StringVal(s.module.folder))
		put("root", cty.StringVal("."))
		put("cwd", cty.StringVal(s.cwd))
	case "terraform", "tofu":
		put("workspace", cty.StringVal(s.workspace))
	case "data":
		put(path[1]+"."+path[2], s.resource("data."+path[1]+"."+path[2]))
	case "self":
		put(name, cty.DynamicVal)
	default:
		put(name, s.resource(path[0]+"."+name))
	}
}

// once works a value out one time. Code that refers to itself is refused by the
// tools; here it is unknown.
func (s *scope) once(name string, work func() cty.Value) cty.Value {
	if v, ok := s.known[name]; ok {
		return v
	}
	if s.busy[name] {
		return cty.DynamicVal
	}
	s.busy[name] = true
	v := work()
	delete(s.busy, name)
	s.known[name] = v
	return v
}

func (s *scope) local(name string) cty.Value {
	e := s.module.locals[name]
	if e == nil {
		return cty.DynamicVal
	}
	return s.evaluate(e, repetition{}, nil)
}

// variable returns a variable's value: as given, or its default, as its type.
func (s *scope) variable(name string) cty.Value {
	body := s.module.variables[name]
	if body == nil {
		return cty.DynamicVal
	}
	value := cty.NilVal
	if s.parent == nil {
		value = s.variables[name]
	} else if a := s.call.Attributes[name]; a != nil {
		value = s.parent.evaluate(a.Expr, s.each, nil)
	}
	return typed(value, body)
}

// typed gives a variable the type that its block says.
func typed(value cty.Value, body *hclsyntax.Body) cty.Value {
	constant := func(name string) cty.Value {
		if a := body.Attributes[name]; a != nil {
			if v, diags := a.Expr.Value(nil); !diags.HasErrors() {
				return v
			}
		}
		return cty.NilVal
	}
	nullable := constant("nullable")
	if value == cty.NilVal || value.IsKnown() && value.IsNull() && nullable != cty.NilVal && nullable.RawEquals(cty.False) {
		if value = constant("default"); value == cty.NilVal {
			return cty.DynamicVal
		}
	}
	a := body.Attributes["type"]
	if a == nil {
		return value
	}
	typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	if defaults != nil && value.IsKnown() && !value.IsNull() {
		value = defaults.Apply(value)
	}
	value, err := convert.Convert(value, typ)
	if err != nil {
		return cty.DynamicVal
	}
	return value
}

// outputs returns what a call of a module gives back.
func (s *scope) outputs(name string) cty.Value {
	children := s.child(name)
	values := make([]cty.Value, len(children.of))
	for i, c := range children.of {
		of := make(map[string]cty.Value)
		for output, e := range c.module.outputs {
			of[output] = c.once("output."+output, func() cty.Value { return c.evaluate(e, repetition{}, nil) })
		}
		values[i] = cty.ObjectVal(of)
	}
	return byKey(children.keys, values)
}

// child returns the instances of a module that is called.
func (s *scope) child(name string) expansion[*scope] {
	if found, ok := s.children[name]; ok {
		return found
	}
	var out expansion[*scope]
	call, m := s.module.calls[name], s.code.modules[s.module.prefix+"module."+name+"."]
	if call != nil && m != nil {
		place := s.address + "module." + name
		repeated := s.expand(call, func() []any { return s.modules[place] })
		out.keys, out.follow = repeated.keys, repeated.follow
		for i, each := range repeated.of {
			out.of = append(out.of, s.scope(s, m, keyed(place, repeated.keys[i])+".", call, each))
		}
	}
	s.children[name] = out
	return out
}

// keyed writes the address of an instance.
func keyed(place string, key any) string {
	switch key := key.(type) {
	case json.Number:
		return place + "[" + key.String() + "]"
	case string:
		return place + `["` + keyEscapes.Replace(key) + `"]`
	}
	return place
}

// expand returns the instances of a block with count or for_each.
func (s *scope) expand(body *hclsyntax.Body, inState func() []any) expansion[repetition] {
	unknown := repetition{cty.DynamicVal, cty.DynamicVal, cty.DynamicVal}
	out := expansion[repetition]{follow: true}
	count, forEach := body.Attributes["count"], body.Attributes["for_each"]
	switch {
	case count != nil:
		v, err := convert.Convert(s.evaluate(count.Expr, repetition{}, nil), cty.Number)
		if out.follow = err == nil && v.IsKnown() && !v.IsNull(); !out.follow {
			break
		}
		n, _ := v.AsBigFloat().Int64()
		if out.follow = n <= mostInstances; !out.follow {
			break
		}
		for i := range n {
			each := unknown
			each.index = cty.NumberIntVal(i)
			out.keys, out.of = append(out.keys, json.Number(strconv.FormatInt(i, 10))), append(out.of, each)
		}
	case forEach != nil:
		out = eachOf(s.evaluate(forEach.Expr, repetition{}, nil))
	case hasEnabled(body):
		out.follow = false
	default:
		out.keys, out.of = []any{nil}, []repetition{unknown}
	}
	if out.follow {
		return out
	}
	for _, key := range inState() {
		each := unknown
		switch key := key.(type) {
		case json.Number:
			if v, err := cty.ParseNumberVal(key.String()); err == nil {
				each.index = v
			}
		case string:
			each.key = cty.StringVal(key)
		}
		out.keys, out.of = append(out.keys, key), append(out.of, each)
	}
	return out
}

// hasEnabled reports whether a block may be switched off without a count.
func hasEnabled(body *hclsyntax.Body) bool {
	return slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool {
		return b.Type == "lifecycle" && b.Body.Attributes["enabled"] != nil
	})
}

// eachOf returns an instance for each element of a map or a set of strings.
func eachOf(v cty.Value) expansion[repetition] {
	t := v.Type()
	if !v.IsKnown() || v.IsNull() || !t.IsMapType() && !t.IsObjectType() && !t.IsSetType() {
		return expansion[repetition]{}
	}
	out := expansion[repetition]{follow: true}
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if t.IsSetType() {
			key = value
		}
		if !key.IsKnown() || key.IsNull() || key.Type() != cty.String {
			return expansion[repetition]{}
		}
		out.keys = append(out.keys, key.AsString())
		out.of = append(out.of, repetition{cty.DynamicVal, key, value})
	}
	return out
}

// resource returns the value of a resource as a state has it.
func (s *scope) resource(name string) cty.Value {
	return s.once(name, func() cty.Value {
		objects := slices.SortedFunc(slices.Values(s.objects[s.address+name]), func(a, b *object) int { return compareKeys(a.key, b.key) })
		keys, values := make([]any, len(objects)), make([]cty.Value, len(objects))
		for i, o := range objects {
			keys[i], values[i] = o.key, languageValue(o.attributes)
		}
		return byKey(keys, values)
	})
}

func compareKeys(a, b any) int {
	m, _ := a.(json.Number)
	n, _ := b.(json.Number)
	i, _ := m.Int64()
	j, _ := n.Int64()
	return int(i - j)
}

// byKey returns instances as an expression sees them: the only one itself, or
// an object or a tuple of them.
func byKey(keys []any, values []cty.Value) cty.Value {
	if len(keys) == 0 {
		return cty.DynamicVal
	}
	named := make(map[string]cty.Value)
	for i, key := range keys {
		switch key := key.(type) {
		case nil:
			return values[i]
		case string:
			named[key] = values[i]
		case json.Number:
			if key.String() != strconv.Itoa(i) {
				return cty.DynamicVal // a gap, which a tuple cannot have
			}
		}
	}
	if len(named) > 0 {
		return cty.ObjectVal(named)
	}
	return cty.TupleVal(values)
}

// languageValue turns a value of a state into one of the language. Lists become
// tuples and maps objects, which convert into what is asked for.
func languageValue(x any) cty.Value {
	switch x := x.(type) {
	case string:
		return cty.StringVal(x)
	case bool:
		return cty.BoolVal(x)
	case json.Number:
		if v, err := cty.ParseNumberVal(x.String()); err == nil {
			return v
		}
		return cty.DynamicVal
	case []any:
		list := make([]cty.Value, len(x))
		for i := range x {
			list[i] = languageValue(x[i])
		}
		return cty.TupleVal(list)
	case map[string]any:
		fields := make(map[string]cty.Value, len(x))
		for name, f := range x {
			fields[name] = languageValue(f)
		}
		return cty.ObjectVal(fields)
	}
	return cty.NullVal(cty.DynamicPseudoType)
}

// plainValue turns a value of the language into one of JSON; false if a part of
// it is not known.
func plainValue(v cty.Value) (any, bool) {
	t := v.Type()
	switch {
	case !v.IsKnown():
		return nil, false
	case v.IsNull():
		return nil, true
	case t == cty.String:
		return v.AsString(), true
	case t == cty.Bool:
		return v.True(), true
	case t == cty.Number:
		return json.Number(numberText(v)), true
	case t.IsMapType() || t.IsObjectType():
		out, known := make(map[string]any), true
		for it := v.ElementIterator(); it.Next(); {
			name, x := it.Element()
			value, ok := plainValue(x)
			out[name.AsString()], known = value, known && ok
		}
		return out, known
	case t.IsListType() || t.IsTupleType() || t.IsSetType():
		out, known := make([]any, 0, v.LengthInt()), true
		for it := v.ElementIterator(); it.Next(); {
			_, x := it.Element()
			value, ok := plainValue(x)
			out, known = append(out, value), known && ok
		}
		return out, known
	}
	return nil, false
}

// numberText writes a number; a whole one without the cost of rounding the
// many digits that the language's numbers have.
func numberText(v cty.Value) string {
	f := v.AsBigFloat()
	if i, accuracy := f.Int64(); accuracy == big.Exact {
		return strconv.FormatInt(i, 10)
	}
	return f.Text('f', -1)
}
