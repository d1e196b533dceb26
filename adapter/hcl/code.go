// Package hcl answers: which change to this OpenTofu or Terraform code makes it
// declare these values? It edits the text in place, so that comments, order and
// layout stay to the letter, and returns a patch; nothing is written.
//
// It follows a setting to where its value is written: an attribute, a nested
// block, the element that a dynamic block or a for expression makes it of, an
// entry of a for_each map, a local, the branch of a condition that holds, an
// argument of merge, lookup, try, coalesce or jsonencode, a variable's default
// or a file of values, an argument of a local module, an override file. It
// guarantees that only the resource asked for takes the value, or else says in
// the patch's note what follows too; that a patched file parses and declares the
// value; and that no secret is in a patch. What it cannot edit so it refuses,
// and says what to do. docs/adoption.md has the list.
package hcl

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
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
	json   *node // in place of a body, of values in the JSON syntax
}

// code is the code of a stack, each folder read when it is first needed.
type code struct {
	dir      string
	varFiles []string // given on the command line, relative to dir
	modules  map[string]*module
	values   int // evaluated for the question at hand
}

// module is one folder of code.
type module struct {
	dir    string  // relative to the stack's folder, with slashes
	files  []*file // of code, sorted by path
	values []*file // of variables' values: the later wins over the earlier
	json   []string
}

func open(dir string, varFiles ...string) *code {
	return &code{dir: dir, varFiles: varFiles, modules: map[string]*module{}}
}

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
		case strings.HasSuffix(name, ".tf.json") || strings.HasSuffix(name, ".tofu.json"):
			m.json = append(m.json, name)
		case strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tofu"):
			f, err := c.read(join(dir, name))
			if err != nil {
				return nil, err
			}
			m.files = append(m.files, f)
		case isVariables(name):
			f, err := c.read(join(dir, name))
			if err != nil {
				return nil, err
			}
			m.values = append(m.values, f)
		}
	}
	slices.SortStableFunc(m.values, func(a, b *file) int { return precedence(a) - precedence(b) })
	if dir == "." {
		for _, name := range c.varFiles {
			f, err := c.read(filepath.ToSlash(filepath.Clean(name)))
			if err != nil {
				return nil, err
			}
			m.values = append(m.values, f)
		}
	}
	c.modules[dir] = m
	return m, nil
}

func (c *code) read(path string) (*file, error) {
	src, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(path)))
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read " + path, Remedy: "check the file that the stack names", Err: err}
	}
	f := &file{path: path, before: src}
	return f, f.parse(src)
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
	name = strings.TrimSuffix(name, ".json")
	return name == "terraform.tfvars" || strings.HasSuffix(name, ".auto.tfvars")
}

// precedence orders files of values: terraform.tfvars comes first, then
// terraform.tfvars.json, then the others by name.
func precedence(f *file) int {
	switch filepath.Base(f.path) {
	case "terraform.tfvars":
		return 0
	case "terraform.tfvars.json":
		return 1
	default:
		return 2
	}
}

// isOverride reports whether OpenTofu merges the file into the others.
func (f *file) isOverride() bool {
	name := filepath.Base(strings.TrimSuffix(strings.TrimSuffix(f.path, ".tf"), ".tofu"))
	return name == "override" || strings.HasSuffix(name, "_override")
}

// parse takes src as the file's text. It returns an error of kind Invalid with
// the line if it is no HCL.
func (f *file) parse(src []byte) error {
	if strings.HasSuffix(f.path, ".json") {
		top, err := parseJSON(src)
		if err != nil {
			return &penumbra.Error{Kind: penumbra.Invalid, What: f.path + ": " + err.Error(), Remedy: "correct the file first"}
		}
		f.src, f.json = src, top
		return nil
	}
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

// blocks yields the top-level blocks of a type with these labels, those of
// override files last.
func (m *module) blocks(kind string, labels ...string) []found {
	var out, overrides []found
	for _, f := range m.files {
		for _, b := range f.body.Blocks {
			switch {
			case b.Type != kind || len(b.Labels) < len(labels) || !slices.Equal(b.Labels[:len(labels)], labels):
			case f.isOverride():
				overrides = append(overrides, found{f, b})
			default:
				out = append(out, found{f, b})
			}
		}
	}
	return append(out, overrides...)
}

// attribute returns an attribute of the blocks of a type with these labels, the
// one that wins, and nil if none has it.
func (m *module) attribute(name, kind string, labels ...string) (*file, *hclsyntax.Attribute) {
	for _, at := range slices.Backward(m.blocks(kind, labels...)) {
		if attr, ok := at.block.Body.Attributes[name]; ok {
			return at.file, attr
		}
	}
	return nil, nil
}

func (m *module) local(name string) (*file, *hclsyntax.Attribute) { return m.attribute(name, "locals") }

type found struct {
	file  *file
	block *hclsyntax.Block
}

func stringAttribute(body *hclsyntax.Body, name string) (string, bool) {
	attr, ok := body.Attributes[name]
	if !ok {
		return "", false
	}
	v, ok := literalExpr(attr.Expr)
	return v.Text(), ok && v.Kind() == penumbra.StringKind
}

// uses counts the references in a module that a change of ROOT.NAME, or of what
// is at steps below it, is seen by; those of the variable's own block left out.
func (m *module) uses(root, name string, steps ...string) int {
	n := 0
	for _, f := range m.files {
		for _, b := range f.body.Blocks {
			if b.Type == "variable" && root == "var" && len(b.Labels) == 1 && b.Labels[0] == name {
				continue
			}
			n += usesIn(b.Body, root, name, steps)
		}
	}
	return n
}

func usesIn(body *hclsyntax.Body, root, name string, steps []string) int {
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
			if a, ok := t[1].(hcl2.TraverseAttr); ok && a.Name != name {
				continue
			}
			if other, ok := stepsOfTraversal(t[2:]); !ok || meet(other, steps) {
				n++
			}
		}
	}
	for _, b := range body.Blocks {
		n += usesIn(b.Body, root, name, steps)
	}
	return n
}

// meet reports whether one of two ways down leads to or through the end of the
// other.
func meet(a, b []string) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

// edited returns the files whose text has changed, sorted by path.
func (c *code) edited() []*file {
	var out []*file
	for _, m := range c.modules {
		for _, f := range slices.Concat(m.files, m.values) {
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
