package hcl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// Instance returns the patch after which the code gives these values to the one
// addressed instance, also where its expressions are shared by all instances of
// a for_each or a count: each then asks whether it is this one. It is for a copy
// of the code that is planned and thrown away; what is to stay in the code is
// made by [Values], whose errors it shares.
func Instance(dir, stack string, address penumbra.Address, settings []penumbra.Setting, varFiles ...string) (penumbra.Patch, error) {
	patch, shared := Values(dir, stack, address, settings, varFiles...)
	if penumbra.KindOf(shared) != penumbra.Refused {
		return patch, shared
	}
	c := open(dir, varFiles...)
	at, err := c.locate(address)
	if err != nil {
		return penumbra.Patch{}, err
	}
	condition := at.onlyThis()
	if condition == "" || at.caller != nil && at.sharedModule(c) != "" {
		return penumbra.Patch{}, shared
	}
	for _, x := range slices.SortedStableFunc(slices.Values(settings), inOrder) {
		if x.Sensitive || penumbra.LooksSecret(x.Path, x.Value) {
			return penumbra.Patch{}, shared
		}
		if err := at.setOnlyThis(condition, x); err != nil {
			return penumbra.Patch{}, err
		}
	}
	return c.patch(stack, nil)
}

// onlyThis is the condition that holds for the addressed instance alone, "" if
// the block has one instance or makes them otherwise.
func (s *scope) onlyThis() string {
	at, err := s.find()
	if err != nil || !s.step.keyed {
		return ""
	}
	if _, ok := at.block.Body.Attributes["for_each"]; ok {
		return "each.key == " + spellString(s.step.key)
	}
	if _, ok := at.block.Body.Attributes["count"]; ok && isIndex(s.step.key) {
		return "count.index == " + s.step.key
	}
	return ""
}

// setOnlyThis gives the setting its value where the condition holds. A map is
// merged with its entry.
func (s *scope) setOnlyThis(condition string, x penumbra.Setting) error {
	at, err := s.find()
	if err != nil {
		return err
	}
	name, key, nested := strings.Cut(x.Path, ".")
	attr, declared := at.block.Body.Attributes[name]
	if !declared {
		if nested || slices.ContainsFunc(at.block.Body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == name }) {
			return refuse(fmt.Sprintf("%s is in a nested block, which all instances share", x.Path), "change it by hand")
		}
		return at.file.addAttribute(at.block, name, fmt.Sprintf("%s ? %s : null", condition, spell(x.Value)))
	}
	r := attr.Expr.Range()
	was := at.file.text(r)
	text := fmt.Sprintf("%s ? %s : (%s)", condition, spell(x.Value), was)
	if nested {
		if isIndex(key) || x.Value.IsNull() {
			return refuse(fmt.Sprintf("%s is part of a value that all instances share", x.Path), "change it by hand")
		}
		text = fmt.Sprintf("%s ? merge(%s, { %s = %s }) : (%s)", condition, was, spellKey(key), spell(x.Value), was)
	}
	return at.file.splice(r.Start.Byte, r.End.Byte, text)
}
