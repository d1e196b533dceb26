package hcl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// IgnoreChanges returns the patch after which the resource's lifecycle block
// ignores changes at these flattened paths. Entries that are there stay; a
// patch without files says that all are there already. why, if not "", becomes a
// comment above the list. Errors are those of [Values].
func IgnoreChanges(dir, stack string, address penumbra.Address, paths []string, why string) (penumbra.Patch, error) {
	c := open(dir)
	s, err := c.locate(address)
	if err != nil {
		return penumbra.Patch{}, err
	}
	var notes []string
	if s.shared() != "" {
		notes = append(notes, "ignore_changes holds for every instance of "+strings.Join(s.step.labels, "."))
	}
	if s.caller != nil && s.sharedModule(c) != "" {
		notes = append(notes, "ignore_changes holds wherever the module is called")
	}
	for _, path := range paths {
		at, err := s.find()
		if err != nil {
			return penumbra.Patch{}, err
		}
		entry := traversalOf(at.block.Body, path)
		if _, diags := hclsyntax.ParseTraversalAbs([]byte(entry), "path", hcl2.InitialPos); diags.HasErrors() {
			return penumbra.Patch{}, badPath(path)
		}
		if err := ignore(at, entry); err != nil {
			return penumbra.Patch{}, err
		}
	}
	if why != "" && len(c.edited()) > 0 {
		if err := s.comment(why); err != nil {
			return penumbra.Patch{}, err
		}
	}
	return c.patch(stack, notes)
}

// comment writes a line above the block's ignore_changes, unless it is there.
func (s *scope) comment(why string) error {
	at, err := s.find()
	if err != nil {
		return err
	}
	for _, b := range at.block.Body.Blocks {
		attr, ok := b.Body.Attributes["ignore_changes"]
		if b.Type != "lifecycle" || !ok {
			continue
		}
		f := at.file
		line := "# " + strings.Join(strings.Fields(why), " ")
		start := f.lineStart(attr.SrcRange.Start.Byte)
		if strings.TrimSpace(string(f.src[start:attr.SrcRange.Start.Byte])) != "" || strings.Contains(string(f.src), line) {
			return nil
		}
		return f.splice(start, start, f.indent(start)+line+f.newline())
	}
	return nil
}

// ignore adds one entry to the block's ignore_changes.
func ignore(at found, entry string) error {
	f := at.file
	var lifecycle *hclsyntax.Block
	for _, b := range at.block.Body.Blocks {
		if b.Type == "lifecycle" {
			lifecycle = b
		}
	}
	if lifecycle == nil {
		return f.addBlock(at.block, func(indent, nl string) string {
			return indent + "lifecycle {" + nl + indent + "  ignore_changes = [" + entry + "]" + nl + indent + "}" + nl
		})
	}
	attr, ok := lifecycle.Body.Attributes["ignore_changes"]
	if !ok {
		return f.addAttribute(lifecycle, "ignore_changes", "["+entry+"]")
	}
	list, ok := attr.Expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		if t, ok := attr.Expr.(*hclsyntax.ScopeTraversalExpr); ok && t.Traversal.RootName() == "all" {
			return nil
		}
		return refuse(fmt.Sprintf("ignore_changes is not a list (%s)", f.at(attr.SrcRange)), "change it by hand")
	}
	var spans []span
	for _, x := range list.Exprs {
		r := x.Range()
		spans = append(spans, span{r.Start.Byte, r.End.Byte})
		if has := strings.Trim(strings.Join(strings.Fields(string(r.SliceBytes(f.src))), ""), `"`); has == entry || strings.HasPrefix(entry, has+".") || strings.HasPrefix(entry, has+"[") {
			return nil
		}
	}
	return f.addElement(span{list.SrcRange.Start.Byte, list.SrcRange.End.Byte}, spans, "", entry, true)
}

// ignored reports whether the block's lifecycle ignores changes of a setting:
// what is written for it has no effect.
func ignored(block *hclsyntax.Block, path string) bool {
	for _, b := range block.Body.Blocks {
		attr, ok := b.Body.Attributes["ignore_changes"]
		if b.Type != "lifecycle" || !ok {
			continue
		}
		list, ok := attr.Expr.(*hclsyntax.TupleConsExpr)
		if !ok {
			return true // all
		}
		for _, x := range list.Exprs {
			t, diags := hcl2.AbsTraversalForExpr(x)
			if diags.HasErrors() {
				continue
			}
			steps, ok := stepsOfTraversal(t[1:])
			entry := strings.Join(append([]string{t.RootName()}, steps...), ".")
			if ok && (entry == path || strings.HasPrefix(path, entry+".")) {
				return true
			}
		}
	}
	return false
}

// traversalOf writes a flattened path the way ignore_changes has it. What a
// path cannot name there, a member of a set or an element known by its name
// only, becomes the whole attribute.
func traversalOf(body *hclsyntax.Body, path string) string {
	name, rest, _ := strings.Cut(path, ".")
	if rest == "" {
		return name
	}
	if attr, ok := body.Attributes[name]; ok {
		return name + stepsOf(attr.Expr, isMap(name), rest)
	}
	var nested []*hclsyntax.Block
	for _, b := range body.Blocks {
		if b.Type == name {
			nested = append(nested, b)
		}
	}
	if b, below, err := nestedBlock(nested, rest, penumbra.Setting{Path: path}); err == nil && b != nil {
		return name + "[" + strconv.Itoa(slices.Index(nested, b)) + "]." + traversalOf(b.Body, below)
	}
	if isMap(name) {
		return name + "[" + spellString(rest) + "]"
	}
	return name
}

// isMap reports whether an attribute of this name is a map in the common
// providers: without their schema an object and a map are written alike, and
// only of a map is an entry named by an index.
func isMap(name string) bool {
	for _, m := range [...]string{"tags", "tags_all", "labels", "annotations", "metadata", "variables", "environment", "parameters", "triggers", "keepers", "settings", "data"} {
		if name == m || strings.HasSuffix(name, "_"+m) {
			return true
		}
	}
	return false
}

// stepsOf writes the part of a path that is below an expression; "" if it
// cannot be named.
func stepsOf(expr hclsyntax.Expression, isMap bool, rest string) string {
	if rest == "" {
		return ""
	}
	switch v := unwrap(expr).(type) {
	case *hclsyntax.ObjectConsExpr:
		keys, _ := itemsOf(v)
		if i, below, ok := longestKey(keys, rest); ok {
			return keyStep(keys[i], isMap) + stepsOf(v.Items[i].ValueExpr, false, below)
		}
		return keyStep(rest, isMap)
	case *hclsyntax.TupleConsExpr:
		if named, ok := names(v.Exprs); ok {
			if i, below, found := longestKey(named, rest); found {
				return "[" + strconv.Itoa(i) + "]" + stepsOf(v.Exprs[i], false, below)
			}
			return ""
		}
		step, below, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v.Exprs) {
			return "[" + step + "]" + stepsOf(v.Exprs[i], false, below)
		}
		return ""
	case *hclsyntax.FunctionCallExpr:
		if v.Name == "merge" {
			return keyStep(rest, true)
		}
	case *hclsyntax.ScopeTraversalExpr:
		if isMap {
			return keyStep(rest, true)
		}
	}
	return ""
}

func keyStep(key string, isMap bool) string {
	if isMap || !hclsyntax.ValidIdentifier(key) {
		return "[" + spellString(key) + "]"
	}
	return "." + key
}
