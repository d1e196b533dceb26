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

// step is one part of an address: a module call or the resource.
type step struct {
	labels []string // "NAME", or "TYPE", "NAME"
	key    string   // of for_each or count, as text
	keyed  bool
}

// parseAddress splits a local address into its module calls and the resource.
func parseAddress(address penumbra.Address) (modules []step, resource step, err error) {
	invalid := func() error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q is not the address of a resource", address), Remedy: `write it as TYPE.NAME, TYPE.NAME["KEY"] or module.NAME.TYPE.NAME`}
	}
	traversal, diags := hclsyntax.ParseTraversalAbs([]byte(address.Local()), "address", hcl2.InitialPos)
	if diags.HasErrors() {
		return nil, step{}, invalid()
	}
	var names []step
	for _, t := range traversal {
		switch t := t.(type) {
		case hcl2.TraverseRoot:
			names = append(names, step{labels: []string{t.Name}})
		case hcl2.TraverseAttr:
			names = append(names, step{labels: []string{t.Name}})
		case hcl2.TraverseIndex:
			last := &names[len(names)-1]
			key, ok := literalOf(t.Key)
			if !ok || last.keyed {
				return nil, step{}, invalid()
			}
			last.key, last.keyed = key.Text(), true
		default:
			return nil, step{}, invalid()
		}
	}
	for len(names) >= 2 && names[0].labels[0] == "module" && !names[0].keyed {
		modules = append(modules, names[1])
		names = names[2:]
	}
	if len(names) != 2 || names[0].keyed {
		return nil, step{}, invalid()
	}
	resource = step{labels: []string{names[0].labels[0], names[1].labels[0]}, key: names[1].key, keyed: names[1].keyed}
	return modules, resource, nil
}

// scope is a block whose instances the address chooses from: the resource, or a
// call of the module that it is in.
type scope struct {
	module *module
	kind   string // "resource" or "module"
	step   step
	caller *scope // nil in the stack's own folder
}

// locate finds the resource of an address.
func (c *code) locate(address penumbra.Address) (*scope, error) {
	modules, resource, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	dir := "."
	var caller *scope
	for _, s := range modules {
		m, err := c.load(dir)
		if err != nil {
			return nil, err
		}
		call := &scope{module: m, kind: "module", step: s, caller: caller}
		at, err := call.find()
		if err != nil {
			return nil, err
		}
		source, ok := stringAttribute(at.block.Body, "source")
		if !ok || !strings.HasPrefix(source, "./") && !strings.HasPrefix(source, "../") {
			return nil, refuse(fmt.Sprintf("module %s (%s) comes from %q, which is not a folder of this code", s.labels[0], at.file.at(at.block.TypeRange), source), "change the arguments of the module, or the module where it is kept")
		}
		dir, caller = join(dir, source), call
		if dir == "" || strings.HasPrefix(dir, "..") {
			return nil, refuse(fmt.Sprintf("module %s is outside of the stack's folder", s.labels[0]), "change it there by hand")
		}
	}
	m, err := c.load(dir)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		c.loadCalled(".")
	}
	s := &scope{module: m, kind: "resource", step: resource, caller: caller}
	_, err = s.find()
	return s, err
}

// find returns the scope's block. It is looked up anew after each edit.
func (s *scope) find() (found, error) {
	all := s.module.blocks(s.kind, s.step.labels...)
	name := s.kind + " " + strings.Join(s.step.labels, ".")
	switch {
	case len(all) == 1 || len(all) > 1 && !all[0].file.isOverride() && all[1].file.isOverride():
		return all[0], nil
	case len(all) > 1:
		return found{}, refuse(fmt.Sprintf("%s is written in %s and in %s", name, all[0].file.at(all[0].block.TypeRange), all[1].file.at(all[1].block.TypeRange)), "join the two by hand")
	case len(s.module.json) > 0:
		return found{}, refuse(fmt.Sprintf("%s is not in the native syntax, and %s is in the JSON syntax", name, strings.Join(s.module.json, ", ")), "change the JSON by hand, or convert it to the native syntax")
	default:
		return found{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("%s is not in the code in %s", name, s.module.dir), Remedy: "check that the stack names the right folder"}
	}
}

// holder returns the scope's block that decides on an argument or nested block
// of this name: the last override that has it, or the block itself.
func (s *scope) holder(name string) (found, error) {
	at, err := s.find()
	if err != nil {
		return at, err
	}
	for _, over := range s.module.blocks(s.kind, s.step.labels...)[1:] {
		_, has := over.block.Body.Attributes[name]
		for _, b := range over.block.Body.Blocks {
			has = has || b.Type == name || b.Type == "dynamic" && slices.Contains(b.Labels, name)
		}
		if has {
			at = over
		}
	}
	return at, nil
}

// shared says why a value written in the scope's block holds for more than the
// addressed instance, "" if it does not.
func (s *scope) shared() string {
	at, err := s.find()
	if err != nil {
		return ""
	}
	n := "all"
	if each, ok := at.block.Body.Attributes["for_each"]; ok {
		if size, known := s.module.sizeOf(each.Expr); known {
			if size == 1 {
				return ""
			}
			n = strconv.Itoa(size)
		}
		return fmt.Sprintf("is shared by %s instances of %s: move it into the for_each map, as each.value.NAME", n, strings.Join(s.step.labels, "."))
	}
	if count, ok := at.block.Body.Attributes["count"]; ok {
		if v, known := literalExpr(count.Expr); known {
			if v == penumbra.Number(1) {
				return ""
			}
			n = v.Text()
		}
		if cond, ok := unwrap(count.Expr).(*hclsyntax.ConditionalExpr); ok && onlyOne(cond) {
			return ""
		}
		return fmt.Sprintf("is shared by %s instances of %s: use for_each over a map that has the value of each", n, strings.Join(s.step.labels, "."))
	}
	return ""
}

// sizeOf returns how many elements a collection has that is written out here, in
// a local or as the default of a variable. A default may be overridden, so it is
// never taken to say that there is only one.
func (m *module) sizeOf(expr hclsyntax.Expression) (int, bool) {
	t, ok := unwrap(expr).(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return sizeOf(expr)
	}
	r, ok := referenceOf(t)
	if !ok || len(r.steps) > 0 {
		return 0, false
	}
	switch r.root {
	case "local":
		if _, attr := m.local(r.name); attr != nil {
			return sizeOf(attr.Expr)
		}
	case "var":
		given, err := m.given(r.name)
		_, attr := m.attribute("default", "variable", r.name)
		if err == nil && given.file == nil && attr != nil {
			size, known := sizeOf(attr.Expr)
			return size, known && size > 1
		}
	}
	return 0, false
}

// onlyOne reports whether a count is "there or not": cond ? 1 : 0.
func onlyOne(cond *hclsyntax.ConditionalExpr) bool {
	a, okA := literalExpr(cond.TrueResult)
	b, okB := literalExpr(cond.FalseResult)
	zero, one := penumbra.Number(0), penumbra.Number(1)
	return okA && okB && (a == zero || a == one) && (b == zero || b == one)
}

// sharedModule says why what is written in the files of the scope's module
// holds for more than the addressed resource, "" if it does not.
func (s *scope) sharedModule(c *code) string {
	for call := s.caller; call != nil; call = call.caller {
		if why := call.shared(); why != "" {
			return why
		}
		if n := c.calls(call); n > 1 {
			return fmt.Sprintf("is in a module that is called %d times: give the module a variable for it", n)
		}
	}
	return ""
}

// calls counts the calls of the folder that a call is of.
func (c *code) calls(call *scope) int {
	at, err := call.find()
	if err != nil {
		return 0
	}
	source, _ := stringAttribute(at.block.Body, "source")
	folder := join(call.module.dir, source)
	n := 0
	for _, m := range c.modules {
		for _, other := range m.blocks("module") {
			if s, ok := stringAttribute(other.block.Body, "source"); ok && join(m.dir, s) == folder {
				n++
			}
		}
	}
	return n
}
