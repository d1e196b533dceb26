package hcl

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/penumbra-iac/penumbra"
)

// Some edits depend on what the code comes to: which branch of a condition
// holds, which text an interpolation stands for. An answer that is wrong costs
// no more than a patch after which a plan still has changes, which nobody is
// shown; one that is not sure is none.

// deepest bounds how far values are followed, for code that refers to itself,
// and mostValues how many of them, for locals that refer to many others each.
const (
	deepest    = 32
	mostValues = 20_000
)

// functions are those that such expressions commonly call.
var functions = map[string]function.Function{
	"can": tryfunc.CanFunc, "coalesce": stdlib.CoalesceFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
	"format": stdlib.FormatFunc, "join": stdlib.JoinFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc,
	"lookup": stdlib.LookupFunc, "lower": stdlib.LowerFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc,
	"min": stdlib.MinFunc, "replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "title": stdlib.TitleFunc,
	"tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"tonumber": stdlib.MakeToFunc(cty.Number), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
	"tostring": stdlib.MakeToFunc(cty.String), "try": tryfunc.TryFunc, "upper": stdlib.UpperFunc, "values": stdlib.ValuesFunc,
}

// iteration is what an iterator of a dynamic block or a for expression stands
// for while one element is looked at.
type iteration struct {
	over hclsyntax.Expression // the collection
	file *file                // that it is written in
	key  string               // of the element: its index in a list
	keys bool                 // the collection has keys: a map, not a list
}

// value returns what an expression of the place's block comes to, if that
// follows from what is written in the code.
func (e *editor) value(p place, expr hclsyntax.Expression) (cty.Value, bool) {
	e.values = 0
	return e.code.value(p.scope, p.iterators, expr, 0)
}

func (c *code) value(s *scope, iterators map[string]iteration, expr hclsyntax.Expression, depth int) (cty.Value, bool) {
	return c.valueWith(nil, s, iterators, expr, depth)
}

// valueWith is value with the names that a for expression gives its elements.
func (c *code) valueWith(names map[string]cty.Value, s *scope, iterators map[string]iteration, expr hclsyntax.Expression, depth int) (cty.Value, bool) {
	if c.values++; depth > deepest || c.values > mostValues {
		return cty.DynamicVal, false
	}
	roots := map[string]map[string]cty.Value{}
	for _, t := range expr.Variables() {
		root := t.RootName()
		if _, given := names[root]; given {
			continue
		}
		if len(t) < 2 {
			return cty.DynamicVal, false
		}
		attr, ok := t[1].(hcl2.TraverseAttr)
		if !ok {
			return cty.DynamicVal, false
		}
		if roots[root] == nil {
			roots[root] = map[string]cty.Value{}
		}
		if _, known := roots[root][attr.Name]; !known {
			v, ok := c.named(s, iterators, root, attr.Name, depth+1)
			if !ok {
				v = cty.DynamicVal // a branch that does not hold may have it
			}
			roots[root][attr.Name] = v
		}
	}
	ctx := &hcl2.EvalContext{Variables: map[string]cty.Value{}, Functions: functions}
	for root, under := range roots {
		ctx.Variables[root] = cty.ObjectVal(under)
	}
	maps.Copy(ctx.Variables, names)
	v, diags := expr.Value(ctx)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return cty.DynamicVal, false
	}
	return v, true
}

// named returns the value of ROOT.NAME.
func (c *code) named(s *scope, iterators map[string]iteration, root, name string, depth int) (cty.Value, bool) {
	if it, ok := iterators[root]; ok {
		if name == "key" {
			if !it.keys && isIndex(it.key) {
				n, _ := strconv.ParseInt(it.key, 10, 64)
				return cty.NumberIntVal(n), true
			}
			return cty.StringVal(it.key), true
		}
		rest := map[string]iteration{}
		for other, x := range iterators {
			if other != root {
				rest[other] = x
			}
		}
		v, ok := c.value(s, rest, it.over, depth)
		if !ok {
			return v, false
		}
		return elementOf(v, it.key)
	}
	module := &scope{module: s.module, caller: s.caller}
	switch root {
	case "local":
		if _, attr := s.module.local(name); attr != nil {
			return c.value(module, nil, attr.Expr, depth)
		}
	case "var":
		return c.variable(s, name, depth)
	case "each":
		if !s.step.keyed {
			return cty.DynamicVal, false
		}
		if name == "key" {
			return cty.StringVal(s.step.key), true
		}
		at, err := s.find()
		if err != nil || at.block.Body.Attributes["for_each"] == nil {
			return cty.DynamicVal, false
		}
		v, ok := c.value(module, nil, at.block.Body.Attributes["for_each"].Expr, depth)
		if !ok {
			return v, false
		}
		return elementOf(v, s.step.key)
	case "count":
		if n, err := strconv.ParseInt(s.step.key, 10, 64); err == nil && s.step.keyed && name == "index" {
			return cty.NumberIntVal(n), true
		}
	}
	return cty.DynamicVal, false
}

// variable returns what a variable of the scope's module is given.
func (c *code) variable(s *scope, name string, depth int) (cty.Value, bool) {
	if s.caller != nil {
		at, err := s.caller.find()
		if err != nil {
			return cty.DynamicVal, false
		}
		if attr, ok := at.block.Body.Attributes[name]; ok {
			return c.value(s.caller, nil, attr.Expr, depth)
		}
	} else {
		given, err := s.module.given(name)
		switch {
		case err != nil:
			return cty.DynamicVal, false
		case given.node != nil:
			return given.node.value, true
		case given.attr != nil:
			return c.value(&scope{module: s.module}, nil, given.attr.Expr, depth)
		}
	}
	if _, attr := s.module.attribute("default", "variable", name); attr != nil {
		v, diags := attr.Expr.Value(nil)
		return v, !diags.HasErrors()
	}
	return cty.DynamicVal, false
}

// elementOf returns the element of a collection at a key, an index or, in a
// set, the member itself.
func elementOf(v cty.Value, key string) (cty.Value, bool) {
	if v.IsNull() || !v.IsKnown() || !v.CanIterateElements() {
		return cty.DynamicVal, false
	}
	for it := v.ElementIterator(); it.Next(); {
		k, x := it.Element()
		if v.Type().IsSetType() {
			k = x
		}
		if textOf(k) == key {
			return x, true
		}
	}
	return cty.DynamicVal, false
}

// textOf writes a scalar as a text, "" for what is none.
func textOf(v cty.Value) string {
	text, err := convert.Convert(v, cty.String)
	if err != nil || text.IsNull() || !text.IsKnown() {
		return ""
	}
	return text.AsString()
}

// keysOf returns the keys of a collection in the order in which a dynamic block
// or a for expression goes through it, and whether they are names.
func keysOf(v cty.Value) (keys []string, names bool) {
	if v.IsNull() || !v.IsKnown() || !v.CanIterateElements() {
		return nil, false
	}
	for it := v.ElementIterator(); it.Next(); {
		k, x := it.Element()
		if v.Type().IsSetType() {
			k = x
		}
		keys = append(keys, textOf(k))
	}
	return keys, v.Type().IsMapType() || v.Type().IsObjectType() || v.Type().IsSetType()
}

// below returns the scalar that is at a flattened path below a value.
func below(v cty.Value, steps []string, path string) (penumbra.Value, bool) {
	for _, step := range steps {
		var ok bool
		if v, ok = elementOf(v, step); !ok {
			return penumbra.Value{}, false
		}
	}
	for path != "" {
		keys, _ := keysOf(v)
		i, rest, ok := longestKey(keys, path)
		if !ok {
			return penumbra.Value{}, false
		}
		if v, ok = elementOf(v, keys[i]); !ok {
			return penumbra.Value{}, false
		}
		path = rest
	}
	return literalOf(v)
}

// holds reports whether an expression comes to the setting's value already.
func (e *editor) holds(p place, expr hclsyntax.Expression, rest string, x penumbra.Setting) bool {
	v, ok := e.value(p, expr)
	if !ok {
		return false
	}
	now, ok := below(v, p.steps, rest)
	return ok && now == x.Value
}

// isOnlyThisInstance reports whether a condition compares the instance's own key
// with a literal and nothing else.
func isOnlyThisInstance(cond hclsyntax.Expression) bool {
	b, ok := cond.(*hclsyntax.BinaryOpExpr)
	if !ok || b.Op != hclsyntax.OpEqual {
		return false
	}
	_, left := literalExpr(b.LHS)
	_, right := literalExpr(b.RHS)
	return isOwnKey(b.LHS) && right || isOwnKey(b.RHS) && left
}

// clip shortens a text for a note.
func clip(text string) string {
	if text = strings.Join(strings.Fields(text), " "); len(text) > 40 {
		return strings.ToValidUTF8(text[:40], "") + "…"
	}
	return text
}

func with(iterators map[string]iteration, name string, it iteration) map[string]iteration {
	out := map[string]iteration{name: it}
	for other, x := range iterators {
		if other != name {
			out[other] = x
		}
	}
	return out
}

func prepend(step string, steps []string) []string { return slices.Concat([]string{step}, steps) }
