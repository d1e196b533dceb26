package hcl

import (
	"fmt"
	"slices"
	"strconv"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/penumbra-iac/penumbra"
)

// stepsOfTraversal returns the steps of a relative traversal.
func stepsOfTraversal(t hcl2.Traversal) ([]string, bool) {
	var steps []string
	for _, s := range t {
		switch s := s.(type) {
		case hcl2.TraverseAttr:
			steps = append(steps, s.Name)
		case hcl2.TraverseIndex:
			v, ok := literalOf(s.Key)
			if !ok {
				return nil, false
			}
			steps = append(steps, v.Text())
		default:
			return nil, false
		}
	}
	return steps, true
}

// setIndexed sets what an index chooses: the instance's own key, or one that
// follows from the code. done is false if neither.
func (e *editor) setIndexed(p place, v *hclsyntax.IndexExpr, rest string, x penumbra.Setting) (done bool, err error) {
	if p.scope.step.keyed && isOwnKey(v.Key) && len(p.iterators) == 0 {
		p.own, p.except = "", nil
		p.steps = prepend(p.scope.step.key, p.steps)
		return true, e.setElement(p, v.Collection, rest, x)
	}
	key, ok := e.value(p, v.Key)
	if !ok || textOf(key) == "" {
		return false, nil
	}
	p.steps, p.remove = prepend(textOf(key), p.steps), nil
	return true, e.setElement(p, v.Collection, rest, x)
}

// setElement sets one element of a collection, which others may read elements
// of as well: what they read stays.
func (e *editor) setElement(p place, collection hclsyntax.Expression, rest string, x penumbra.Setting) error {
	t, ok := unwrap(collection).(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return e.setExpr(p, collection, rest, x)
	}
	r, ok := referenceOf(t)
	if !ok || r.root != "var" && r.root != "local" {
		return e.setExpr(p, collection, rest, x)
	}
	if n := p.scope.module.uses(r.root, r.name); n > 1 {
		e.note("%s.%s, whose entry %q changes, is used in %d places", r.root, r.name, p.steps[0], n)
	}
	return e.followNamed(p, r, rest, x, false)
}

// stepInFor goes through a for expression to the element of its collection that
// makes the entry of the next step.
func (e *editor) stepInFor(p place, v *hclsyntax.ForExpr, rest string, x penumbra.Setting) error {
	elements, ok := e.value(p, v.CollExpr)
	keys, named := keysOf(elements)
	if !ok || v.Group {
		return p.computed(v, x)
	}
	it := iteration{over: v.CollExpr, file: p.file, keys: named}
	at := -1
	for i, key := range keys {
		it.key = key
		if e.keyIn(p, v, it, i) == p.steps[0] {
			at = i
		}
	}
	if at < 0 {
		return refuse(fmt.Sprintf("%s would be at %q, which no element of the for expression makes (%s)", x.Path, p.steps[0], p.file.at(v.SrcRange)), "change what it goes through by hand")
	}
	it.key = keys[at]
	p.steps, p.remove, p.except = p.steps[1:], nil, nil
	return e.setLoopValue(p, v, it, v.ValExpr, rest, x)
}

// keyIn returns the key of the entry that an element makes, "" for none.
func (e *editor) keyIn(p place, v *hclsyntax.ForExpr, it iteration, n int) string {
	elements, ok := e.value(p, v.CollExpr)
	if !ok {
		return ""
	}
	value, ok := elementOf(elements, it.key)
	if !ok {
		return ""
	}
	names := map[string]cty.Value{v.ValVar: value}
	if v.KeyVar != "" {
		names[v.KeyVar] = cty.StringVal(it.key)
	}
	if v.CondExpr != nil {
		if holds, ok := e.code.valueWith(names, p.scope, p.iterators, v.CondExpr, 0); !ok || textOf(holds) != "true" {
			return ""
		}
	}
	if v.KeyExpr == nil {
		return strconv.Itoa(n)
	}
	key, ok := e.code.valueWith(names, p.scope, p.iterators, v.KeyExpr, 0)
	if !ok {
		return ""
	}
	return textOf(key)
}

// setLoopValue sets what the value of a for expression gives an entry: of the
// element itself, or of a merge that the element is the last word of.
func (e *editor) setLoopValue(p place, v *hclsyntax.ForExpr, it iteration, expr hclsyntax.Expression, rest string, x penumbra.Setting) error {
	switch val := unwrap(expr).(type) {
	case *hclsyntax.ScopeTraversalExpr:
		if val.Traversal.RootName() != v.ValVar {
			break
		}
		steps, ok := stepsOfTraversal(val.Traversal[1:])
		if !ok {
			break
		}
		p.file = it.file
		p.steps = slices.Concat([]string{it.key}, steps, p.steps)
		return e.setElement(p, it.over, rest, x)
	case *hclsyntax.ObjectConsExpr:
		keys, _ := itemsOf(val)
		if len(p.steps) == 0 {
			break
		}
		if i := slices.Index(keys, p.steps[0]); i >= 0 {
			p.steps = p.steps[1:]
			return e.setLoopValue(p, v, it, val.Items[i].ValueExpr, rest, x)
		}
	case *hclsyntax.FunctionCallExpr:
		if len(val.Args) == 0 || val.ExpandFinal {
			break
		}
		switch val.Name {
		case "merge": // the last argument wins
			return e.setLoopValue(p, v, it, val.Args[len(val.Args)-1], rest, x)
		case "try":
			return e.setLoopValue(p, v, it, val.Args[0], rest, x)
		case "lookup":
			if key, ok := literalExpr(val.Args[min(1, len(val.Args)-1)]); ok {
				p.steps = prepend(key.Text(), p.steps)
				return e.setLoopValue(p, v, it, val.Args[0], rest, x)
			}
		}
	}
	return p.computed(expr, x)
}
