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

// stepsIn returns the steps of a traversal from its third on.
func stepsIn(t hcl2.Traversal) ([]string, bool) {
	var steps []string
	for _, s := range t[2:] {
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
	steps, ok := stepsIn(t)
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
	case ok && r.root == "each" && r.name == "value" && p.scope.step.keyed:
		p.steps = slices.Concat(r.steps, p.steps)
		return e.followEach(p, r, rest, x)
	case ok && (r.root == "var" || r.root == "local"):
		if p.scope.module.uses(r.root, r.name) > 1 {
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
	for _, at := range p.scope.module.blocks("locals") {
		if attr, ok := at.block.Body.Attributes[r.name]; ok {
			p.file, p.remove = at.file, nil
			return e.setExpr(p, attr.Expr, rest, x)
		}
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
	p.file, p.own, p.remove, p.steps = at.file, "", nil, append([]string{key}, p.steps...)
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
	if len(declared) != 1 {
		return own.elsewhere(r.expr, x)
	}
	at := declared[0]
	if v, ok := at.block.Body.Attributes["sensitive"]; ok {
		if marked, known := literalExpr(v.Expr); !known || marked == penumbra.Bool(true) {
			return refuse(fmt.Sprintf("%s comes from var.%s, which is sensitive (%s)", x.Path, r.name, at.file.at(at.block.TypeRange)), "change it where your secrets are kept")
		}
	}
	if call := p.scope.caller; call != nil {
		return e.followArgument(p, call, r.name, rest, x)
	}
	given, value, err := m.given(r.name)
	if err != nil {
		return err
	}
	if value == nil {
		given, value = at.file, at.block.Body.Attributes["default"]
	}
	if value == nil {
		return refuse(fmt.Sprintf("%s comes from var.%s, whose value is given outside of the code (%s)", x.Path, r.name, at.file.at(at.block.TypeRange)), "change it where it is given: on the command line, or in the environment")
	}
	if where := given.secret(); where != "" && mayOverride {
		return e.override(own, r, rest, x, fmt.Sprintf(": %s holds what looks like a secret, and a patch would keep that whole file", where))
	}
	p.file, p.remove = given, nil
	return e.setExpr(p, value.Expr, rest, x)
}

// followArgument sets the argument that a call gives to its module.
func (e *editor) followArgument(p place, call *scope, name, rest string, x penumbra.Setting) error {
	at, err := call.find()
	if err != nil {
		return err
	}
	up := place{file: at.file, scope: call, own: call.shared(), outer: cmp.Or(p.outer, p.own), steps: p.steps}
	attr, ok := at.block.Body.Attributes[name]
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

// given returns the file that gives a variable of the stack its value, and the
// attribute there; nil if none does. terraform.tfvars comes first, the
// *.auto.tfvars after it by name, and the last wins.
func (m *module) given(name string) (*file, *hclsyntax.Attribute, error) {
	for _, j := range m.json {
		if j == "terraform.tfvars.json" || strings.HasSuffix(j, ".auto.tfvars.json") {
			return nil, nil, refuse(fmt.Sprintf("%s may give var.%s its value, and is in the JSON syntax", j, name), "change the JSON by hand")
		}
	}
	var in *file
	var attr *hclsyntax.Attribute
	for _, f := range m.files {
		if !m.isVariablesFile(f) {
			continue
		}
		a, ok := f.body.Attributes[name]
		if ok && (attr == nil || filepath.Base(in.path) == "terraform.tfvars" || filepath.Base(f.path) != "terraform.tfvars") {
			in, attr = f, a
		}
	}
	return in, attr, nil
}

// override writes the value in place of a reference that must keep its own, and
// notes why.
func (e *editor) override(p place, r reference, rest string, x penumbra.Setting, why string) error {
	name := r.root + "." + r.name
	if now, ok := e.resolved(p.scope, r); ok && rest == "" && len(p.steps) == 0 && now == x.Value {
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

// resolved returns the scalar that a reference of the stack's own folder stands
// for, if it is written out as a default, a given value or a local.
func (e *editor) resolved(s *scope, r reference) (penumbra.Value, bool) {
	if len(r.steps) > 0 || s.caller != nil {
		return penumbra.Value{}, false
	}
	if r.root == "local" {
		return literalIn(s.module.blocks("locals"), r.name)
	}
	if _, attr, err := s.module.given(r.name); err == nil && attr != nil {
		return literalExpr(attr.Expr)
	}
	return literalIn(s.module.blocks("variable", r.name), "default")
}

func literalIn(blocks []found, name string) (penumbra.Value, bool) {
	for _, at := range blocks {
		if attr, ok := at.block.Body.Attributes[name]; ok {
			return literalExpr(attr.Expr)
		}
	}
	return penumbra.Value{}, false
}
