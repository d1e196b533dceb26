package hcl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// editor edits code one setting at a time.
type editor struct {
	*code
	edits int
	notes []string
	// together says that a value is changed where several resources share it.
	together bool
}

func (e *editor) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(e.notes, text) {
		e.notes = append(e.notes, text)
	}
}

// place is where an expression was found: in which block, and what keeps it
// from being changed for one instance alone.
type place struct {
	file  *file
	scope *scope
	// own says why a value in the scope's block is shared by its instances,
	// outer why one below it is; "" where there is no reason. The first is void
	// behind each.value.
	own, outer string
	// steps are what the way here leads to before the setting's own path goes
	// on: the attribute of each.value.NAME, the instance's key.
	steps []string
	// remove takes the whole expression away, with its name.
	remove func() error
	// except makes the instance an exception in the expression that it shares
	// with the others, nil where that cannot be.
	except func() error
	// iterators are those of the dynamic blocks and for expressions that the way
	// here leads through.
	iterators map[string]iteration
}

// blocked returns an error if a value written here would reach further than the
// setting that was asked for.
func (e *editor) blocked(p place, path string) error {
	if e.together {
		return nil
	}
	why := p.own
	if p.outer != "" {
		why = p.outer
	}
	if why == "" {
		why = p.scope.sharedModule(e.code)
	}
	if why == "" {
		return nil
	}
	what, remedy, _ := strings.Cut(why, ": ")
	return refuse(path+" "+what, remedy)
}

// splice replaces a range of a place's file, if that is allowed.
func (e *editor) splice(p place, s span, text, path string) error {
	return e.edit(p, path, func() error { return p.file.splice(s.start, s.end, text) })
}

func (e *editor) edit(p place, path string, change func() error) error {
	if err := e.blocked(p, path); err != nil {
		if p.own != "" && p.outer == "" && p.except != nil && p.scope.sharedModule(e.code) == "" {
			return p.except()
		}
		return err
	}
	e.edits++
	return change()
}

// set has the scope's block declare a setting.
func (e *editor) set(s *scope, x penumbra.Setting) error {
	name, _, _ := strings.Cut(x.Path, ".")
	at, err := s.holder(name)
	if err != nil {
		return err
	}
	if base, err := s.find(); err == nil && s.kind == "resource" && ignored(base.block, x.Path) {
		return refuse(fmt.Sprintf("the code ignores changes of %s (%s)", x.Path, base.file.at(base.block.TypeRange)), "take it out of ignore_changes first")
	}
	p := place{file: at.file, scope: s, own: s.shared()}
	return e.setInBody(p, at.block, x.Path, x)
}

// setInBody sets what is at rest below a block.
func (e *editor) setInBody(p place, block *hclsyntax.Block, rest string, x penumbra.Setting) error {
	name, below, _ := strings.Cut(rest, ".")
	p.except = func() error { return e.except(p, found{p.file, block}, name, below, x) }
	if attr, ok := block.Body.Attributes[name]; ok {
		p.remove = func() error { return p.file.removeAttribute(attr) }
		return e.setExpr(p, attr.Expr, below, x)
	}
	var nested []*hclsyntax.Block
	for _, b := range block.Body.Blocks {
		if b.Type == name {
			nested = append(nested, b)
		}
		if b.Type == "dynamic" && len(b.Labels) == 1 && b.Labels[0] == name {
			return e.setInDynamic(p, b, below, x)
		}
	}
	if len(nested) > 0 {
		b, below, err := nestedBlock(nested, below, x)
		switch {
		case err != nil && e.isNext(nested, below, x):
			_, field, _ := strings.Cut(below, ".")
			return e.addBlock(p, block, nested[len(nested)-1], name, field, x)
		case err != nil:
			return err
		case b == nil:
			return nil
		}
		if x.Value.IsNull() && isIndex(firstStep(rest[len(name)+1:])) {
			return e.removeFromBlock(p, b, below, x)
		}
		return e.setInBody(p, b, below, x)
	}
	if x.Value.IsNull() {
		return nil
	}
	if !hclsyntax.ValidIdentifier(name) {
		return badPath(x.Path)
	}
	if below == "" {
		return e.edit(p, x.Path, func() error { return p.file.addAttribute(block, name, spell(x.Value)) })
	}
	if field, ok := e.writtenAsBlock(p.scope, name, below); ok {
		return e.addBlock(p, block, nil, name, field, x)
	}
	if step := firstStep(below); isIndex(step) || x.Value == penumbra.Bool(true) {
		return refuse(fmt.Sprintf("the code has no %s yet, and whether it is a list, a set, a map or a block cannot be told from %s", name, x.Path), "add "+name+" by hand")
	}
	return e.edit(p, x.Path, func() error {
		indent := p.file.indent(block.TypeRange.Start.Byte)
		nl := p.file.newline()
		return p.file.addAttribute(block, name, "{"+nl+indent+"    "+spellKey(below)+" = "+spell(x.Value)+nl+indent+"  }")
	})
}

func firstStep(path string) string {
	step, _, _ := strings.Cut(path, ".")
	return step
}

func badPath(path string) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q is not the path of a setting", path), Remedy: "write it as NAME, NAME.KEY or NAME.INDEX"}
}

func isIndex(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// nestedBlock chooses one of the blocks of a type: by its name, key or id, by
// index, or the only one. It returns nil if there is none at an index to remove.
func nestedBlock(nested []*hclsyntax.Block, below string, x penumbra.Setting) (*hclsyntax.Block, string, error) {
	for _, field := range [...]string{"name", "key", "id"} {
		for _, b := range nested {
			if name, ok := stringAttribute(b.Body, field); ok && strings.HasPrefix(below, name+".") {
				return b, below[len(name)+1:], nil
			}
		}
	}
	step, rest, _ := strings.Cut(below, ".")
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(nested) && rest != "" {
		return nested[i], rest, nil
	}
	if len(nested) == 1 && below != "" && !isIndex(step) {
		return nested[0], below, nil
	}
	if i, err := strconv.Atoi(step); err == nil && i >= len(nested) && x.Value.IsNull() {
		return nil, below, nil
	}
	return nil, below, refuse(fmt.Sprintf("%s names a nested block that the code does not have, or that is named by its content", x.Path), "change the nested blocks by hand")
}

// setExpr sets what is at rest below an expression.
func (e *editor) setExpr(p place, expr hclsyntax.Expression, rest string, x penumbra.Setting) error {
	expr = unwrap(expr)
	whole := span{expr.Range().Start.Byte, expr.Range().End.Byte}
	scalar := rest == "" && len(p.steps) == 0
	switch v := expr.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return e.follow(p, v, rest, x)
	case *hclsyntax.RelativeTraversalExpr:
		if steps, ok := stepsOfTraversal(v.Traversal); ok {
			p.steps, p.remove = slices.Concat(steps, p.steps), nil
			return e.setExpr(p, v.Source, rest, x)
		}
	case *hclsyntax.IndexExpr:
		if done, err := e.setIndexed(p, v, rest, x); done {
			return err
		}
	case *hclsyntax.ObjectConsExpr:
		if len(p.steps) > 0 {
			return e.stepInObject(p, v, whole, rest, x)
		}
		if rest != "" {
			return e.setInObject(p, v, whole, rest, x)
		}
	case *hclsyntax.TupleConsExpr:
		if len(p.steps) > 0 {
			return e.stepInList(p, v, rest, x)
		}
		if rest != "" {
			return e.setInList(p, v, whole, rest, x)
		}
	case *hclsyntax.ForExpr:
		if len(p.steps) > 0 {
			return e.stepInFor(p, v, rest, x)
		}
	case *hclsyntax.ConditionalExpr:
		return e.setBranch(p, v, rest, x)
	case *hclsyntax.TemplateWrapExpr:
		if scalar {
			p.remove = nil
			return e.setExpr(p, v.Wrapped, rest, x)
		}
	case *hclsyntax.FunctionCallExpr:
		if done, err := e.setInCall(p, v, rest, x); done {
			return err
		}
	}
	if now, ok := literalExpr(expr); ok && scalar {
		return e.setLiteral(p, expr, whole, now, x)
	}
	if t, ok := expr.(*hclsyntax.TemplateExpr); ok && scalar {
		return e.setTemplate(p, t, whole, x)
	}
	if e.holds(p, expr, rest, x) {
		return nil
	}
	return p.computed(expr, x)
}

// computed refuses to change what an expression comes to.
func (p place) computed(expr hclsyntax.Expression, x penumbra.Setting) error {
	return refuse(fmt.Sprintf("%s is computed as %s (%s)", x.Path, p.file.text(expr.Range()), p.file.at(expr.Range())), "change what it is computed from, or write the value in its place by hand")
}

// setLiteral replaces a scalar that is written out.
func (e *editor) setLiteral(p place, expr hclsyntax.Expression, whole span, now penumbra.Value, x penumbra.Setting) error {
	if now == x.Value {
		return nil
	}
	if !x.Value.IsNull() {
		if strings.HasPrefix(string(p.file.src[whole.start:whole.end]), "<<") {
			return e.setHeredoc(p, whole, x)
		}
		return e.splice(p, whole, spell(x.Value), x.Path)
	}
	if p.remove == nil {
		return refuse(x.Path+" cannot be removed where it is written ("+p.file.path+")", "remove it by hand")
	}
	return e.edit(p, x.Path, p.remove)
}
