package tofu

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// differs reports whether a value that the code asks for is certainly not the
// one last applied, which is as a state has it. What is unknown or null does
// not differ: a provider may choose it. Neither does 8080 from "8080", for
// which the schema has a type.
func differs(v cty.Value, applied any, s *shape, ignore *declared) bool {
	if v == cty.NilVal || !v.IsKnown() || v.IsNull() || s != nil && s.WriteOnly || ignore != nil && ignore.whole {
		return false
	}
	switch t := v.Type(); {
	case t.IsPrimitiveType():
		return scalarDiffers(v, applied)
	case t.IsListType() || t.IsTupleType() || t.IsSetType():
		var values []cty.Value
		for it := v.ElementIterator(); it.Next(); {
			_, x := it.Element()
			values = append(values, x)
		}
		return listDiffers(len(values), applied, t.IsSetType() || s != nil && s.Set, func(i int, x any) bool {
			return differs(values[i], x, s.elem(), ignore)
		})
	case t.IsMapType() || t.IsObjectType():
		return mapDiffers(v, applied, s, ignore)
	}
	return false
}

func scalarDiffers(v cty.Value, applied any) bool {
	var text string
	switch v.Type() {
	case cty.Bool:
		text = strconv.FormatBool(v.True())
	case cty.Number:
		text = numberText(v)
	case cty.String:
		text = v.AsString()
	}
	switch applied := applied.(type) {
	case string:
		return applied != text
	case bool:
		return strconv.FormatBool(applied) != text
	case json.Number:
		if applied.String() == text {
			return false
		}
		is, err := strconv.ParseFloat(applied.String(), 64)
		asked, err2 := strconv.ParseFloat(text, 64)
		return err != nil || err2 != nil || is != asked
	}
	return true
}

// listDiffers compares n wanted elements with what was applied, in any order
// for a set. An empty list and none at all are the same to many providers.
func listDiffers(n int, applied any, set bool, differ func(i int, x any) bool) bool {
	list, ok := applied.([]any)
	if len(list) != n || !ok && applied != nil {
		return true
	}
	for i := range n {
		if set && !slices.ContainsFunc(list, func(x any) bool { return !differ(i, x) }) || !set && differ(i, list[i]) {
			return true
		}
	}
	return false
}

// mapDiffers compares a map or an object. Only a map has no other keys than
// those that were asked for; the rest of an object is the provider's.
func mapDiffers(v cty.Value, applied any, s *shape, ignore *declared) bool {
	fields, ok := applied.(map[string]any)
	if !ok && applied != nil {
		return true
	}
	wanted := make(map[string]bool)
	for it := v.ElementIterator(); it.Next(); {
		key, x := it.Element()
		if x.IsKnown() && x.IsNull() {
			continue
		}
		name := key.AsString()
		wanted[name] = true
		if differs(x, fields[name], s.field(name), ignore.below(name)) {
			return true
		}
	}
	if s == nil || !s.Map {
		return false
	}
	for name, x := range fields {
		if x != nil && !wanted[name] && (ignore == nil || ignore.below(name) == nil) {
			return true
		}
	}
	return false
}

// below returns what is declared below a place, nil for nothing.
func (d *declared) below(name string) *declared {
	if d == nil {
		return nil
	}
	return d.fields[name]
}

// generated is a nested block and what its own names mean, for one that a
// dynamic block generates.
type generated struct {
	body  *hclsyntax.Body
	names map[string]cty.Value
}

// blockDiffers reports whether any argument in a resource's block, or in a
// block nested in it, differs from what was applied.
func (s *scope) blockDiffers(b generated, each repetition, applied map[string]any, of *shape, ignore *declared) bool {
	for name, a := range b.body.Attributes {
		if metaArguments[name] {
			continue
		}
		if differs(s.evaluate(a.Expr, each, b.names), applied[name], of.field(name), ignore.below(name)) {
			return true
		}
	}
	for typ, blocks := range s.nested(b, each) {
		if i := ignore.below(typ); i != nil || blocks == nil {
			continue // ignored in part, or how many there are does not follow
		}
		differ := func(i int, x any) bool {
			fields, ok := x.(map[string]any)
			return !ok || s.blockDiffers(blocks[i], each, fields, of.field(typ).blockElem(), nil)
		}
		single, ok := applied[typ].(map[string]any)
		if ok && (len(blocks) != 1 || differ(0, single)) {
			return true
		}
		if !ok && listDiffers(len(blocks), applied[typ], of.field(typ) != nil && of.field(typ).Set, differ) {
			return true
		}
	}
	return false
}

// blockElem returns the shape of one block of a type that may come in a list.
func (s *shape) blockElem() *shape {
	if s != nil && s.Elem != nil {
		return s.Elem
	}
	return s
}

// nested returns the blocks in a block by their type, with those that dynamic
// blocks generate; nil for a type whose number does not follow. Blocks with
// labels are keyed by them in the state, and are left out.
func (s *scope) nested(b generated, each repetition) map[string][]generated {
	out := make(map[string][]generated)
	unclear := make(map[string]bool)
	for _, block := range b.body.Blocks {
		switch {
		case metaArguments[block.Type]:
		case block.Type == "dynamic" && len(block.Labels) == 1:
			more, follow := s.generate(block, b, each)
			out[block.Labels[0]] = append(out[block.Labels[0]], more...)
			unclear[block.Labels[0]] = unclear[block.Labels[0]] || !follow
		case len(block.Labels) > 0:
			unclear[block.Type] = true
		default:
			out[block.Type] = append(out[block.Type], generated{block.Body, b.names})
		}
	}
	for typ := range unclear {
		if unclear[typ] {
			out[typ] = nil
		} else if out[typ] == nil {
			out[typ] = []generated{} // a dynamic block that generates none
		}
	}
	return out
}

// generate returns what a dynamic block generates.
func (s *scope) generate(block *hclsyntax.Block, in generated, each repetition) (out []generated, follow bool) {
	iterator := block.Labels[0]
	if a := block.Body.Attributes["iterator"]; a != nil {
		names := a.Expr.Variables()
		if len(names) != 1 {
			return nil, false
		}
		iterator = names[0].RootName()
	}
	forEach := block.Body.Attributes["for_each"]
	if forEach == nil || len(block.Body.Blocks) != 1 {
		return nil, false
	}
	v := s.evaluate(forEach.Expr, each, in.names)
	if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() {
		return nil, false
	}
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if v.Type().IsSetType() {
			key = value
		}
		names := maps.Clone(in.names)
		if names == nil {
			names = make(map[string]cty.Value)
		}
		names[iterator] = cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})
		out = append(out, generated{block.Body.Blocks[0].Body, names})
	}
	return out, true
}
