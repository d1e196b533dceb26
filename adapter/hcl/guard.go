package hcl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// Guard returns the patch after which a plan fails in which a bound does not hold
// for the resource. Where the setting is a variable of its own, that gets a
// validation; otherwise the resource gets a postcondition, which sees the value
// whatever it is computed from, and in a plan as soon as it is known. A
// precondition would not do: it may not look at the resource itself. Of a resource
// with several instances only the one is bound.
//
// trial, if there is any, are settings that the code declares too: a plan with
// them shows whether the guard holds. A patch without files says that the code has
// the guard already. Errors are those of [Values].
func Guard(dir, stack string, address penumbra.Address, bounds []penumbra.Bound, trial []penumbra.Setting, varFiles ...string) (penumbra.Patch, error) {
	e := &editor{code: open(dir, varFiles...)}
	s, err := e.locate(address)
	if err != nil {
		return penumbra.Patch{}, err
	}
	if s.caller != nil && s.sharedModule(e.code) != "" {
		e.note("the guard holds wherever the module is called")
	}
	for _, b := range bounds {
		if secret := (penumbra.Setting{Path: b.Path, Value: b.Value}); b.Value.Kind() == penumbra.SecretKind || penumbra.LooksSecret(secret.Path, secret.Value) {
			return penumbra.Patch{}, refuse(b.Path+" is a secret, which no patch may hold", "guard it where your secrets are kept")
		}
		if b.Value.Kind() != penumbra.NumberKind && b.Is != penumbra.Equal && b.Is != penumbra.Unequal {
			return penumbra.Patch{}, refuse(fmt.Sprintf("%s cannot be compared with %s in the code", b.Path, b.Value), "write a condition by hand")
		}
		if err := s.guard(e, &b); err != nil {
			return penumbra.Patch{}, err
		}
	}
	if len(trial) > 0 {
		if err := e.setAll([]penumbra.Address{address}, trial); err != nil {
			return penumbra.Patch{}, err
		}
	}
	return e.patch(stack, e.notes)
}

// guard writes one bound.
func (s *scope) guard(e *editor, b *penumbra.Bound) error {
	name, below, _ := strings.Cut(b.Path, ".")
	at, err := s.holder(name)
	if err != nil {
		return err
	}
	if base, err := s.find(); err == nil && ignored(base.block, b.Path) {
		return refuse(fmt.Sprintf("the code ignores changes of %s (%s)", b.Path, base.file.at(base.block.TypeRange)), "take it out of ignore_changes first: what is written for it has no effect")
	}
	if below == "" {
		if v, ok := s.ownVariable(e.code, at, name, b.Value); ok {
			return condition(v, "validation", "var."+v.block.Labels[0]+" "+string(b.Is)+" "+spell(b.Value), b.Message)
		}
	}
	entry := traversalOf(at.block.Body, b.Path)
	if below != "" && !strings.HasPrefix(entry[len(name):], "[") && !strings.HasPrefix(entry[len(name):], ".") {
		return refuse(b.Path+" cannot be named in a condition", "write one by hand")
	}
	test := "self." + entry + " " + string(b.Is) + " " + spell(b.Value)
	if s.shared() != "" && s.step.keyed {
		key := "each.key != " + spellString(s.step.key)
		if _, counted := at.block.Body.Attributes["count"]; counted {
			key = "count.index != " + s.step.key
		}
		test = key + " || " + test
		e.note("the guard is for this instance of %s alone", strings.Join(s.step.labels, "."))
	}
	base, err := s.find()
	if err != nil {
		return err
	}
	lifecycle := lifecycleOf(base)
	if lifecycle == nil {
		if err := base.file.addBlock(base.block, func(indent, nl string) string {
			return indent + "lifecycle {" + nl + indent + "}" + nl
		}); err != nil {
			return err
		}
		if base, err = s.find(); err != nil {
			return err
		}
		lifecycle = lifecycleOf(base)
	}
	return condition(found{base.file, lifecycle}, "postcondition", test, b.Message)
}

func lifecycleOf(at found) *hclsyntax.Block {
	i := slices.IndexFunc(at.block.Body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "lifecycle" })
	if i < 0 {
		return nil
	}
	return at.block.Body.Blocks[i]
}

// ownVariable returns the variable that an attribute is, if nothing else uses it,
// it stands for one resource, and its type is the value's: a string is never equal
// to a number.
func (s *scope) ownVariable(c *code, at found, name string, v penumbra.Value) (found, bool) {
	attr, ok := at.block.Body.Attributes[name]
	if !ok || s.shared() != "" || s.sharedModule(c) != "" {
		return found{}, false
	}
	t, ok := unwrap(attr.Expr).(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return found{}, false
	}
	r, ok := referenceOf(t)
	if !ok || r.root != "var" || len(r.steps) > 0 || s.module.uses("var", r.name) != 1 {
		return found{}, false
	}
	declared := s.module.blocks("variable", r.name)
	if len(declared) != 1 {
		return found{}, false
	}
	kind, ok := declared[0].block.Body.Attributes["type"]
	if !ok || strings.TrimSpace(string(kind.Expr.Range().SliceBytes(declared[0].file.src))) != map[penumbra.ValueKind]string{
		penumbra.StringKind: "string", penumbra.NumberKind: "number", penumbra.BoolKind: "bool",
	}[v.Kind()] {
		return found{}, false
	}
	return declared[0], true
}

// condition writes a block with a condition into another, unless it has one that
// asks for the same.
func condition(at found, kind, test, message string) error {
	squeezed := func(text string) string { return strings.Join(strings.Fields(text), "") }
	for _, b := range at.block.Body.Blocks {
		if c, ok := b.Body.Attributes["condition"]; ok && b.Type == kind && squeezed(string(c.Expr.Range().SliceBytes(at.file.src))) == squeezed(test) {
			return nil
		}
	}
	return at.file.addBlock(at.block, func(indent, nl string) string {
		return indent + kind + " {" + nl +
			indent + "  condition     = " + test + nl +
			indent + "  error_message = " + spellString(message) + nl +
			indent + "}" + nl
	})
}

// addBlock writes a block as the last thing in another, with an empty line before
// it.
func (f *file) addBlock(block *hclsyntax.Block, write func(indent, nl string) string) error {
	nl, outer := f.newline(), f.indent(block.TypeRange.Start.Byte)
	open, end := block.OpenBraceRange.End.Byte, block.CloseBraceRange.Start.Byte
	text, inner := write(outer+"  ", nl), strings.TrimSpace(string(f.src[open:end]))
	if !strings.Contains(string(f.src[open:end]), "\n") {
		if inner != "" {
			inner = outer + "  " + inner + nl + nl
		}
		return f.splice(open, end, nl+inner+text+outer)
	}
	if inner != "" {
		text = nl + text
	}
	return f.splice(f.lineStart(end), f.lineStart(end), text)
}
