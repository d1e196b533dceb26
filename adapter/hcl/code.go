// Package hcl answers: which change to this OpenTofu or Terraform code makes it
// declare these values? It edits the text in place, so that comments, order and
// layout stay to the letter, and returns a patch; nothing is written.
//
// It follows a setting to where its value is written: an attribute, a nested
// block, an entry of a for_each map, a local, a variable's default or a
// terraform.tfvars, an argument of a local module. It guarantees that only the
// resource asked for takes the value, or else says in the patch's note what
// follows too; that a patched file parses and declares the value; and that no
// secret is in a patch. What it cannot edit so it refuses, and says what to do.
package hcl

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// file is one file of code, as it was read and as it is edited.
type file struct {
	path   string // relative to the stack's folder, with slashes
	before []byte
	src    []byte
	body   *hclsyntax.Body
}

// code is the code of a stack, each folder read when it is first needed.
type code struct {
	dir     string
	modules map[string]*module
}

// module is one folder of code.
type module struct {
	dir   string  // relative to the stack's folder, with slashes
	files []*file // sorted by path
	json  []string
}

func open(dir string) *code { return &code{dir: dir, modules: map[string]*module{}} }

// load reads the folder at dir, relative to the stack's.
func (c *code) load(dir string) (*module, error) {
	if m, ok := c.modules[dir]; ok {
		return m, nil
	}
	full := filepath.Join(c.dir, filepath.FromSlash(dir))
	entries, err := os.ReadDir(full)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: fmt.Sprintf("read the code in %s", dir), Remedy: "check the folder that the stack names", Err: err}
	}
	m := &module{dir: dir}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case entry.IsDir() || strings.HasPrefix(name, "."):
		case strings.HasSuffix(name, ".tf.json") || strings.HasSuffix(name, ".tofu.json") || strings.HasSuffix(name, ".tfvars.json"):
			m.json = append(m.json, name)
		case strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tofu") || isVariables(name):
			src, err := os.ReadFile(filepath.Join(full, name))
			if err != nil {
				return nil, &penumbra.Error{Kind: penumbra.Missing, What: fmt.Sprintf("read %s", name), Err: err}
			}
			f := &file{path: join(dir, name), before: src}
			if err := f.parse(src); err != nil {
				return nil, err
			}
			m.files = append(m.files, f)
		}
	}
	c.modules[dir] = m
	return m, nil
}

// loadCalled reads the folders that are called from dir, and from those, so
// that every call of a folder is known. One that cannot be read is left out.
func (c *code) loadCalled(dir string) {
	for _, call := range c.modules[dir].blocks("module") {
		source, _ := stringAttribute(call.block.Body, "source")
		to := join(dir, source)
		if _, known := c.modules[to]; known || !strings.HasPrefix(source, ".") || strings.HasPrefix(to, "..") {
			continue
		}
		if _, err := c.load(to); err == nil {
			c.loadCalled(to)
		}
	}
}

func join(dir, name string) string {
	return strings.TrimPrefix(filepath.ToSlash(filepath.Join(filepath.FromSlash(dir), name)), "./")
}

// isVariables reports whether OpenTofu reads values of variables from a file of
// this name by itself.
func isVariables(name string) bool {
	return name == "terraform.tfvars" || strings.HasSuffix(name, ".auto.tfvars")
}

// parse takes src as the file's text. It returns an error of kind Invalid with
// the line if it is no HCL.
func (f *file) parse(src []byte) error {
	parsed, diags := hclsyntax.ParseConfig(src, f.path, hcl2.InitialPos)
	if diags.HasErrors() {
		d := diags[0]
		line := 0
		if d.Subject != nil {
			line = d.Subject.Start.Line
		}
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s:%d: %s", f.path, line, d.Summary), Remedy: "correct the code first"}
	}
	f.src, f.body = src, parsed.Body.(*hclsyntax.Body)
	return nil
}

// splice replaces src[start:end] and parses the file again.
func (f *file) splice(start, end int, text string) error {
	out := make([]byte, 0, len(f.src)+len(text))
	out = append(append(append(out, f.src[:start]...), text...), f.src[end:]...)
	if err := f.parse(out); err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("the code of %s cannot be edited here", f.path), Remedy: "change it by hand", Err: err}
	}
	return nil
}

// text returns the source at a range, in one line, cut if it is long.
func (f *file) text(r hcl2.Range) string {
	s := strings.Join(strings.Fields(string(f.src[r.Start.Byte:r.End.Byte])), " ")
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func (f *file) at(r hcl2.Range) string { return fmt.Sprintf("%s:%d", f.path, r.Start.Line) }

func (m *module) isVariablesFile(f *file) bool { return isVariables(filepath.Base(f.path)) }

// blocks yields the top-level blocks of a type with these labels.
func (m *module) blocks(kind string, labels ...string) []found {
	var out []found
	for _, f := range m.files {
		if m.isVariablesFile(f) {
			continue
		}
		for _, b := range f.body.Blocks {
			if b.Type == kind && len(b.Labels) >= len(labels) && strings.Join(b.Labels[:len(labels)], "\n") == strings.Join(labels, "\n") {
				out = append(out, found{f, b})
			}
		}
	}
	return out
}

type found struct {
	file  *file
	block *hclsyntax.Block
}

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
	case len(all) == 1:
		return all[0], nil
	case len(all) > 1:
		return found{}, refuse(fmt.Sprintf("%s is written in %s and in %s", name, all[0].file.at(all[0].block.TypeRange), all[1].file.at(all[1].block.TypeRange)), "join the two by hand")
	case len(s.module.json) > 0:
		return found{}, refuse(fmt.Sprintf("%s is not in the native syntax, and %s is in the JSON syntax", name, strings.Join(s.module.json, ", ")), "change the JSON by hand, or convert it to the native syntax")
	default:
		return found{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("%s is not in the code in %s", name, s.module.dir), Remedy: "check that the stack names the right folder"}
	}
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
	blocks, name := m.blocks("locals"), r.name
	if r.root == "var" {
		blocks, name = m.blocks("variable", r.name), "default"
		if _, attr, err := m.given(r.name); err != nil || attr != nil {
			return 0, false
		}
	}
	for _, at := range blocks {
		if attr, ok := at.block.Body.Attributes[name]; ok && (r.root == "var" || r.root == "local") {
			size, known := sizeOf(attr.Expr)
			return size, known && (r.root == "local" || size > 1)
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

func stringAttribute(body *hclsyntax.Body, name string) (string, bool) {
	attr, ok := body.Attributes[name]
	if !ok {
		return "", false
	}
	v, ok := literalExpr(attr.Expr)
	return v.Text(), ok && v.Kind() == penumbra.StringKind
}

// uses counts the references to ROOT.NAME in a module, those of the variable's
// own block left out.
func (m *module) uses(root, name string) int {
	n := 0
	for _, f := range m.files {
		if m.isVariablesFile(f) {
			continue
		}
		for _, b := range f.body.Blocks {
			if b.Type == "variable" && root == "var" && len(b.Labels) == 1 && b.Labels[0] == name {
				continue
			}
			n += usesIn(b.Body, root, name)
		}
	}
	return n
}

func usesIn(body *hclsyntax.Body, root, name string) int {
	n := 0
	for _, attr := range body.Attributes {
		for _, t := range attr.Expr.Variables() {
			if t.RootName() != root {
				continue
			}
			if len(t) < 2 {
				n++ // all of them at once
				continue
			}
			if a, ok := t[1].(hcl2.TraverseAttr); !ok || a.Name == name {
				n++
			}
		}
	}
	for _, b := range body.Blocks {
		n += usesIn(b.Body, root, name)
	}
	return n
}

// edited returns the files whose text has changed, sorted by path.
func (c *code) edited() []*file {
	var out []*file
	for _, m := range c.modules {
		for _, f := range m.files {
			if string(f.before) != string(f.src) {
				out = append(out, f)
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].path < out[j].path })
	return out
}

func refuse(what, remedy string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: what, Remedy: remedy}
}
