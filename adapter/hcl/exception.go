package hcl

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// except gives one of several instances a value of its own in an attribute that
// they share, in the form that people write such exceptions in, and that takes
// the next one too:
//
//	memory = lookup({ a = 2048 }, each.key, 1024)
//	tags   = merge(local.tags, lookup({ a = { tier = "x" } }, each.key, {}))
func (e *editor) except(p place, at found, name, rest string, x penumbra.Setting) error {
	f, step := at.file, p.scope.step
	own := "each.key"
	if b, err := p.scope.find(); err == nil && b.block.Body.Attributes["count"] != nil {
		own = "count.index"
	}
	refused := func() error {
		what, remedy, _ := strings.Cut(p.own, ": ")
		return refuse(x.Path+" "+what, remedy)
	}
	if !step.keyed || x.Value.IsNull() || isIndex(firstStep(rest)) {
		return refused()
	}
	block := again(f, at.block)
	if block == nil {
		return refused()
	}
	e.note("%s is now an exception of %s, beside what all instances of %s share", x.Path, keyedName(step), strings.Join(step.labels, "."))
	e.edits++
	entry := func(value string) string { return "lookup({ " + spellKey(step.key) + " = " + value + " }, " + own }
	attr, ok := block.Body.Attributes[name]
	switch {
	case !ok && rest == "":
		return f.addAttribute(block, name, entry(spell(x.Value))+", null)")
	case !ok:
		return refused()
	}
	r := attr.Expr.Range()
	was := string(f.src[r.Start.Byte:r.End.Byte])
	if rest == "" {
		return f.splice(r.Start.Byte, r.End.Byte, entry(spell(x.Value))+", "+was+")")
	}
	exception := entry("{ "+spellKey(rest)+" = "+spell(x.Value)+" }") + ", {})"
	if call, ok := unwrap(attr.Expr).(*hclsyntax.FunctionCallExpr); ok && call.Name == "merge" && !call.ExpandFinal && len(call.Args) > 0 {
		end := call.Args[len(call.Args)-1].Range().End.Byte
		return f.splice(end, end, ", "+exception)
	}
	return f.splice(r.Start.Byte, r.End.Byte, "merge("+was+", "+exception+")")
}

// keyedName writes an instance the way its address does.
func keyedName(s step) string {
	if isIndex(s.key) {
		return fmt.Sprintf("%s[%s]", strings.Join(s.labels, "."), s.key)
	}
	return fmt.Sprintf("%s[%q]", strings.Join(s.labels, "."), s.key)
}

// isException reports whether an expression is what except adds to a merge.
func (e *editor) isException(expr hclsyntax.Expression) bool {
	call, ok := expr.(*hclsyntax.FunctionCallExpr)
	return ok && call.Name == "lookup" && len(call.Args) == 3 && isOwnKey(call.Args[1])
}
