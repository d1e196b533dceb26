package hcl

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// isOwnKey reports whether an index is the instance's own: each.key,
// count.index.
func isOwnKey(expr hclsyntax.Expression) bool {
	t, ok := expr.(*hclsyntax.ScopeTraversalExpr)
	if !ok || len(t.Traversal) != 2 {
		return false
	}
	attr, ok := t.Traversal[1].(hcl2.TraverseAttr)
	root := t.Traversal.RootName()
	return ok && (root == "each" && attr.Name == "key" || root == "count" && attr.Name == "index")
}

// reference is a traversal that can be followed: ROOT.NAME and steps below it.
type reference struct {
	expr       *hclsyntax.ScopeTraversalExpr
	root, name string
	steps      []string
}

func referenceOf(expr *hclsyntax.ScopeTraversalExpr) (reference, bool) {
	t := expr.Traversal
	if len(t) < 2 {
		return reference{}, false
	}
	attr, ok := t[1].(hcl2.TraverseAttr)
	if !ok {
		return reference{}, false
	}
	steps, ok := stepsOfTraversal(t[2:])
	return reference{expr, t.RootName(), attr.Name, steps}, ok
}

// elsewhere refuses to follow a reference.
func (p place) elsewhere(expr hclsyntax.Expression, x penumbra.Setting) error {
	return refuse(fmt.Sprintf("%s comes from %s (%s)", x.Path, p.file.text(expr.Range()), p.file.at(expr.Range())), "change it where it comes from")
}

// follow sets what a reference leads to.
func (e *editor) follow(p place, expr *hclsyntax.ScopeTraversalExpr, rest string, x penumbra.Setting) error {
	r, ok := referenceOf(expr)
	switch {
	case ok && p.iterators[r.root].over != nil:
		return e.followIterator(p, r, rest, x)
	case ok && r.root == "each" && r.name == "value" && p.scope.step.keyed:
		p.steps = slices.Concat(r.steps, p.steps)
		return e.followEach(p, r, rest, x)
	case ok && (r.root == "var" || r.root == "local"):
		if n := p.scope.module.uses(r.root, r.name, r.steps...); n > 1 && e.together {
			e.note("%s.%s is used in %d places", r.root, r.name, n)
		} else if n > 1 {
			return e.override(p, r, rest, x, ", which others use too")
		}
		return e.followNamed(p, r, rest, x, true)
	default:
		return p.elsewhere(expr, x)
	}
}

// followNamed sets the value of a variable or a local. mayOverride says that
// the reference is the setting's own and can be replaced.
func (e *editor) followNamed(p place, r reference, rest string, x penumbra.Setting, mayOverride bool) error {
	own := p
	p.steps = slices.Concat(r.steps, p.steps)
	if r.root == "var" {
		return e.followVariable(p, own, r, rest, x, mayOverride)
	}
	if f, attr := p.scope.module.local(r.name); attr != nil {
		p.file, p.remove = f, nil
		return e.setExpr(p, attr.Expr, rest, x)
	}
	return own.elsewhere(r.expr, x)
}

// followEach sets the addressed instance's entry of the for_each map.
func (e *editor) followEach(p place, r reference, rest string, x penumbra.Setting) error {
	at, err := p.scope.find()
	if err != nil {
		return err
	}
	each, ok := at.block.Body.Attributes["for_each"]
	if !ok {
		return p.elsewhere(r.expr, x)
	}
	expr := unwrap(each.Expr)
	if _, list := expr.(*hclsyntax.TupleConsExpr); list {
		return p.elsewhere(r.expr, x) // a set: the value is the key
	}
	key := p.scope.step.key
	if len(p.steps) == 0 && rest == "" && x.Value.IsNull() {
		return refuse(fmt.Sprintf("removing %s would remove the instance %q", x.Path, key), "remove it by hand if that is meant")
	}
	p.file, p.own, p.remove, p.except, p.iterators, p.steps = at.file, "", nil, nil, nil, prepend(key, p.steps)
	t, ok := expr.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return e.setExpr(p, expr, rest, x)
	}
	over, ok := referenceOf(t)
	if !ok || over.root != "var" && over.root != "local" {
		return p.elsewhere(t, x)
	}
	if n := p.scope.module.uses(over.root, over.name); n > 1 {
		e.note("%s.%s, whose entry %q changes, is used in %d places", over.root, over.name, key, n)
	}
	return e.followNamed(p, over, rest, x, false)
}

// followVariable sets the value of a variable where it is given: by the call of
// the module, in a file of values, or as the default.
func (e *editor) followVariable(p, own place, r reference, rest string, x penumbra.Setting, mayOverride bool) error {
	m := p.scope.module
	declared := m.blocks("variable", r.name)
	if len(declared) == 0 {
		return own.elsewhere(r.expr, x)
	}
	at := declared[0]
	if _, v := m.attribute("sensitive", "variable", r.name); v != nil {
		if marked, known := literalExpr(v.Expr); !known || marked == penumbra.Bool(true) {
			return refuse(fmt.Sprintf("%s comes from var.%s, which is sensitive (%s)", x.Path, r.name, at.file.at(at.block.TypeRange)), "change it where your secrets are kept")
		}
	}
	if call := p.scope.caller; call != nil {
		return e.followArgument(p, call, r.name, rest, x)
	}
	from, err := m.given(r.name)
	if err != nil {
		return err
	}
	if from.file == nil {
		from.file, from.attr = m.attribute("default", "variable", r.name)
	}
	if from.file == nil {
		return refuse(fmt.Sprintf("%s comes from var.%s, whose value is given outside of the code (%s)", x.Path, r.name, at.file.at(at.block.TypeRange)), "change it where it is given: on the command line, or in the environment")
	}
	if where := from.file.secret(); where != "" && mayOverride {
		return e.override(own, r, rest, x, fmt.Sprintf(": %s holds what looks like a secret, and a patch would keep that whole file", where))
	}
	p.file, p.remove = from.file, nil
	if from.node != nil {
		return e.setJSON(p, r.name, rest, x)
	}
	return e.setExpr(p, from.attr.Expr, rest, x)
}

// followArgument sets the argument that a call gives to its module.
func (e *editor) followArgument(p place, call *scope, name, rest string, x penumbra.Setting) error {
	at, err := call.holder(name)
	if err != nil {
		return err
	}
	up := place{file: at.file, scope: call, own: call.shared(), outer: cmp.Or(p.outer, p.own), steps: p.steps}
	attr, ok := at.block.Body.Attributes[name]
	if len(p.steps) == 0 {
		up.except = func() error { return e.except(up, at, name, rest, x) }
	}
	if ok {
		return e.setExpr(up, attr.Expr, rest, x)
	}
	if x.Value.IsNull() {
		return nil
	}
	if rest != "" || len(p.steps) > 0 {
		return refuse(fmt.Sprintf("%s comes from the default of var.%s of module %s", x.Path, name, call.step.labels[0]), "give the module the argument "+name)
	}
	return e.edit(up, x.Path, func() error { return at.file.addAttribute(at.block, name, spell(x.Value)) })
}

// given is where a variable of the stack gets its value: in a file, as an
// attribute or, in the JSON syntax, as a node.
type given struct {
	file *file
	attr *hclsyntax.Attribute
	node *node
}

// given returns where a variable gets its value, the zero value if in no file.
// It returns an error of kind Refused for a file that lies elsewhere.
func (m *module) given(name string) (given, error) {
	for _, f := range slices.Backward(m.values) {
		g := given{file: f}
		if f.json != nil {
			g.node = f.json.field(name)
		} else {
			g.attr = f.body.Attributes[name]
		}
		if g.attr == nil && g.node == nil {
			continue
		}
		if strings.HasPrefix(f.path, "..") || filepath.IsAbs(f.path) {
			return given{}, refuse(fmt.Sprintf("var.%s gets its value in %s, which is outside of the stack's folder", name, f.path), "change it there by hand")
		}
		return g, nil
	}
	return given{}, nil
}

// override writes the value in place of a reference that must keep its own, and
// notes why.
func (e *editor) override(p place, r reference, rest string, x penumbra.Setting, why string) error {
	name := r.root + "." + r.name
	if e.holds(p, r.expr, rest, x) {
		return nil
	}
	if x.Value.IsNull() || len(p.steps) > 0 {
		return refuse(fmt.Sprintf("%s comes from %s (%s)%s", x.Path, name, p.file.at(r.expr.Range()), why), "change it there by hand, or write this resource's own value")
	}
	whole := span{r.expr.Range().Start.Byte, r.expr.Range().End.Byte}
	if rest != "" {
		e.note("%s is now set beside what %s gives%s", x.Path, name, why)
		return e.splice(p, whole, "merge("+string(p.file.src[whole.start:whole.end])+", { "+spellKey(rest)+" = "+spell(x.Value)+" })", x.Path)
	}
	e.note("%s no longer follows %s%s", x.Path, name, why)
	return e.splice(p, whole, spell(x.Value), x.Path)
}
