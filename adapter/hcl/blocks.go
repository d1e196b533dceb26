package hcl

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/penumbra-iac/penumbra"
)

// isNext reports whether a setting belongs to the block that would be the next
// of a type.
func (e *editor) isNext(nested []*hclsyntax.Block, below string, x penumbra.Setting) bool {
	step, field, _ := strings.Cut(below, ".")
	return step == strconv.Itoa(len(nested)) && hclsyntax.ValidIdentifier(field) && !x.Value.IsNull()
}

// writtenAsBlock returns the attribute below a setting that the code has no
// block for, if another resource of the type writes it as a block: without the
// provider's schema the code itself is what tells.
func (e *editor) writtenAsBlock(s *scope, name, below string) (field string, ok bool) {
	step, rest, _ := strings.Cut(below, ".")
	switch {
	case step == "0" && hclsyntax.ValidIdentifier(rest):
		field = rest
	case rest == "" && hclsyntax.ValidIdentifier(step):
		field = step
	default:
		return "", false
	}
	for _, m := range e.modules {
		for _, at := range m.blocks(s.kind, s.step.labels[0]) {
			for _, b := range at.block.Body.Blocks {
				if b.Type == name || b.Type == "dynamic" && slices.Equal(b.Labels, []string{name}) {
					return field, true
				}
			}
		}
	}
	return "", false
}

// addBlock writes a nested block with one attribute behind the last of its type
// or, if there is none, at the end of the block that it is in.
func (e *editor) addBlock(p place, in, last *hclsyntax.Block, name, field string, x penumbra.Setting) error {
	p.except = nil
	return e.edit(p, x.Path, func() error {
		f, nl := p.file, p.file.newline()
		indent := f.indent(in.TypeRange.Start.Byte) + "  "
		if last != nil {
			indent = f.indent(last.TypeRange.Start.Byte)
		}
		text := indent + name + " {" + nl + indent + "  " + field + " = " + spell(x.Value) + nl + indent + "}" + nl
		open, end := in.OpenBraceRange.End.Byte, in.CloseBraceRange.Start.Byte
		switch {
		case last != nil:
			at := f.lineEnd(last.CloseBraceRange.End.Byte)
			if previous := f.lineStart(last.TypeRange.Start.Byte); previous > 1 && len(bytes.TrimSpace(f.src[f.lineStart(previous-1):previous])) == 0 {
				text = nl + text
			}
			return f.splice(at, at, text)
		case !bytes.ContainsRune(f.src[open:end], '\n'):
			return refuse(fmt.Sprintf("the block of %s is written on one line (%s)", x.Path, f.at(in.TypeRange)), "write it on several lines first")
		default:
			at := f.lineStart(end)
			return f.splice(at, at, nl+text)
		}
	})
}

// removeFromBlock removes an attribute of a nested block, and the block with
// the last one.
func (e *editor) removeFromBlock(p place, b *hclsyntax.Block, below string, x penumbra.Setting) error {
	if _, ok := b.Body.Attributes[below]; !ok || len(b.Body.Attributes) > 1 || len(b.Body.Blocks) > 0 {
		return e.setInBody(p, b, below, x)
	}
	p.except = nil
	return e.edit(p, x.Path, func() error {
		f := p.file
		start, end := f.lineStart(b.TypeRange.Start.Byte), f.lineEnd(b.CloseBraceRange.End.Byte)
		// One of two empty lines around it goes with it.
		if before := f.lineStart(max(start-1, 0)); start > 0 && len(bytes.TrimSpace(f.src[before:start])) == 0 {
			if rest := bytes.TrimSpace(f.src[end:f.lineEnd(end)]); len(rest) == 0 || rest[0] == '}' {
				start = before
			}
		}
		return f.splice(start, end, "")
	})
}

// setInDynamic sets what one of the blocks that a dynamic block makes gets from
// the element that it is made of.
func (e *editor) setInDynamic(p place, d *hclsyntax.Block, rest string, x penumbra.Setting) error {
	refused := func(what string) error {
		return refuse(fmt.Sprintf("%s is made by a dynamic block (%s), %s", x.Path, p.file.at(d.TypeRange), what), "change what the dynamic block iterates over")
	}
	each, ok := d.Body.Attributes["for_each"]
	i := slices.IndexFunc(d.Body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "content" })
	if !ok || i < 0 {
		return refused("which has no content")
	}
	content, name := d.Body.Blocks[i], d.Labels[0]
	if attr, ok := d.Body.Attributes["iterator"]; ok {
		if t, ok := attr.Expr.(*hclsyntax.ScopeTraversalExpr); ok {
			name = t.Traversal.RootName()
		}
	}
	elements, ok := e.value(p, each.Expr)
	keys, named := keysOf(elements)
	if !ok || len(keys) == 0 {
		return refused("and what it iterates over does not follow from the code")
	}
	it := iteration{over: each.Expr, file: p.file, keys: named}
	n, below, ok := e.madeOf(p, content, name, it, keys, rest)
	if !ok {
		if x.Value.IsNull() && isIndex(firstStep(rest)) {
			return nil
		}
		return refused("which makes no such block")
	}
	it.key = keys[n]
	p.iterators, p.except, p.remove = with(p.iterators, name, it), nil, nil
	if len(keys) > 1 {
		p.own = fmt.Sprintf("is shared by the %d blocks that a dynamic block makes (%s): give each element a value of its own", len(keys), p.file.at(d.TypeRange))
	}
	if _, ok := content.Body.Attributes[below]; !ok {
		return refused("which leaves " + below + " out")
	}
	return e.setExpr(p, content.Body.Attributes[below].Expr, "", x)
}

// madeOf returns which element makes the block that a path names, by its index
// or by its name, and the path below it.
func (e *editor) madeOf(p place, content *hclsyntax.Block, name string, it iteration, keys []string, rest string) (n int, below string, ok bool) {
	for _, field := range [...]string{"name", "key", "id"} {
		attr, ok := content.Body.Attributes[field]
		if !ok {
			continue
		}
		var names []string
		for _, key := range keys {
			it.key = key
			v, ok := e.code.value(p.scope, with(p.iterators, name, it), attr.Expr, 0)
			if !ok || v.Type() != cty.String || v.IsNull() || slices.Contains(names, v.AsString()) {
				return 0, "", false
			}
			names = append(names, v.AsString())
		}
		return longestKey(names, rest)
	}
	step, below, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(step)
	return n, below, err == nil && n >= 0 && n < len(keys)
}

// followIterator goes from an iterator's value to the element that it stands
// for.
func (e *editor) followIterator(p place, r reference, rest string, x penumbra.Setting) error {
	it := p.iterators[r.root]
	if r.name != "value" {
		return p.elsewhere(r.expr, x)
	}
	p.file, p.own, p.remove, p.except = it.file, p.scope.shared(), nil, nil
	p.steps = slices.Concat([]string{it.key}, r.steps, p.steps)
	expr := unwrap(it.over)
	t, ok := expr.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return e.setExpr(p, expr, rest, x)
	}
	over, ok := referenceOf(t)
	if !ok || over.root != "var" && over.root != "local" {
		return e.setExpr(p, expr, rest, x)
	}
	if n := p.scope.module.uses(over.root, over.name); n > 1 {
		e.note("%s.%s, whose element %q changes, is used in %d places", over.root, over.name, it.key, n)
	}
	return e.followNamed(p, over, rest, x, false)
}
