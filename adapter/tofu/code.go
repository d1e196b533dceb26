package tofu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// code is what is read from the configuration language itself, because the
// JSON of a plan does not tell it.
type code struct {
	resources map[string]*codeResource // by [configAddress]
	// digest covers all that the code's declarations depend on besides the
	// state and the data sources; "" if that cannot be told from the files.
	digest string
	// modules are by the prefix of the places in them, "module.a.module.b.".
	modules map[string]*module
	// plain is set if modules hold all there is: no JSON, no override files and
	// no files that only one of the tools reads.
	plain bool
}

// codeResource is what of a resource's block a plan's configuration leaves out.
type codeResource struct {
	ignoreAll bool
	ignore    *declared
	dynamic   []string // types of generated blocks
}

// amend completes what a plan's configuration says is declared. What the code
// ignores changes of is not declared: it may have any value.
func (c *code) amend(d declarations) {
	for address, r := range c.resources {
		of := d[address]
		switch {
		case of == nil:
		case r.ignoreAll:
			*of = declared{}
		default:
			of.ignore = r.ignore
			for _, name := range r.dynamic {
				of.field(name).whole = true
			}
		}
	}
}

// codeReader reads the code of a stack's modules.
type codeReader struct {
	w      *Workspace
	parser *hclparse.Parser
	hash   hash.Hash
	stable bool
	out    *code
}

// readCode reads the code of the root module and of the modules that `init`
// installed. Files that do not parse are left for the tool to complain of.
func (w *Workspace) readCode(version string) *code {
	r := &codeReader{w: w, parser: hclparse.NewParser(), hash: hmac.New(sha256.New, w.config.Key), stable: true}
	r.out = &code{resources: make(map[string]*codeResource), modules: make(map[string]*module), plain: true}
	fmt.Fprintf(r.hash, "%q %q\n", version, w.config.VarFiles)
	for _, setting := range slices.Sorted(slices.Values(w.environment())) {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "TF_") || w.config.Env[name] != "" {
			fmt.Fprintf(r.hash, "%q\n", setting)
		}
	}
	files := append([]string{lockFile}, w.config.VarFiles...)
	for _, name := range [...]string{"environment", "terraform.tfstate", "modules/modules.json"} {
		files = append(files, filepath.Join(w.toolData(), filepath.FromSlash(name)))
	}
	for _, file := range files {
		r.add(w.abs(file))
	}
	modules := w.modules()
	for _, key := range slices.Sorted(maps.Keys(modules)) {
		r.module(key, modules[key])
	}
	if r.stable {
		r.out.digest = hex.EncodeToString(r.hash.Sum(nil))
	}
	return r.out
}

func (w *Workspace) abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(w.dir, path)
}

// toolData is the folder in which the tools keep what `init` installed.
func (w *Workspace) toolData() string {
	if dir := w.config.Env["TF_DATA_DIR"]; dir != "" {
		return dir
	}
	if dir := os.Getenv("TF_DATA_DIR"); dir != "" {
		return dir
	}
	return ".terraform"
}

// modules maps the key of each installed module ("mailer", "a.b") to its
// folder; the root module's key is empty.
func (w *Workspace) modules() map[string]string {
	out := map[string]string{"": "."}
	data, err := os.ReadFile(filepath.Join(w.abs(w.toolData()), "modules", "modules.json"))
	if err != nil {
		return out
	}
	var manifest struct {
		Modules []struct{ Key, Dir string }
	}
	if json.Unmarshal(data, &manifest) == nil {
		for _, m := range manifest.Modules {
			out[m.Key] = filepath.FromSlash(m.Dir)
		}
	}
	return out
}

// add takes a file's content, or its absence, into the digest.
func (r *codeReader) add(path string) []byte {
	data, err := os.ReadFile(path)
	fmt.Fprintf(r.hash, "%q %t %d\n", path, err == nil, len(data))
	r.hash.Write(data)
	return data
}

func (r *codeReader) module(key, folder string) {
	var prefix string
	for _, name := range strings.FieldsFunc(key, func(c rune) bool { return c == '.' }) {
		prefix += "module." + name + "."
	}
	dir := r.w.abs(folder)
	m := newModule(prefix, folder)
	r.out.modules[prefix] = m
	entries, err := os.ReadDir(dir)
	r.stable = r.stable && err == nil
	r.out.plain = r.out.plain && err == nil
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(dir, name)
		switch {
		case strings.HasSuffix(name, ".tf"), strings.HasSuffix(name, ".tofu"):
			file, diags := r.parser.ParseHCL(r.add(path), path)
			r.stable = r.stable && !diags.HasErrors()
			r.out.plain = r.out.plain && !diags.HasErrors() && !isOverride(name) && !strings.HasSuffix(name, ".tofu")
			if file != nil {
				r.file(m, dir, file)
			}
		case strings.HasSuffix(name, ".tf.json"), strings.HasSuffix(name, ".tofu.json"):
			// Functions in the templates of JSON code are not looked for.
			r.stable, r.out.plain = false, false
			if file, _ := r.parser.ParseJSON(r.add(path), path); file != nil {
				r.file(m, dir, file)
			}
		case strings.HasSuffix(name, ".tfvars"), strings.HasSuffix(name, ".tfvars.json"):
			r.add(path)
		}
	}
}

func (r *codeReader) file(m *module, dir string, file *hcl.File) {
	if body, ok := file.Body.(*hclsyntax.Body); ok {
		m.add(body)
		_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
			if call, ok := n.(*hclsyntax.FunctionCallExpr); ok {
				r.call(call, dir)
			}
			return nil
		})
	}
	content, _, _ := file.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "resource", LabelNames: []string{"type", "name"}}}})
	for _, block := range content.Blocks {
		address := m.prefix + block.Labels[0] + "." + block.Labels[1]
		if r.out.resources[address] == nil {
			r.out.resources[address] = &codeResource{} // more than one with an override file
		}
		r.out.resources[address].read(block.Body)
	}
}

func (c *codeResource) read(body hcl.Body) {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "lifecycle"}, {Type: "dynamic", LabelNames: []string{"type"}}}})
	for _, block := range content.Blocks {
		if block.Type == "dynamic" {
			c.dynamic = append(c.dynamic, block.Labels[0])
			continue
		}
		lifecycle, _, _ := block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "ignore_changes"}}})
		if a := lifecycle.Attributes["ignore_changes"]; a != nil {
			c.readIgnore(a.Expr)
		}
	}
}

func (c *codeResource) readIgnore(e hcl.Expression) {
	if hcl.ExprAsKeyword(e) == "all" {
		c.ignoreAll = true
		return
	}
	list, _ := hcl.ExprList(e)
	for _, x := range list {
		traversal, diags := hcl.RelTraversalForExpr(x)
		if diags.HasErrors() {
			traversal, _ = hcl.AbsTraversalForExpr(x)
		}
		if len(traversal) == 0 {
			continue
		}
		if c.ignore == nil {
			c.ignore = &declared{}
		}
		at := c.ignore
		for _, step := range traversal {
			switch step := step.(type) {
			case hcl.TraverseRoot:
				at = at.field(step.Name)
			case hcl.TraverseAttr:
				at = at.field(step.Name)
			case hcl.TraverseIndex:
				if step.Key.Type() == cty.String {
					at = at.field(step.Key.AsString())
				}
			}
		}
		at.whole = true
	}
}

// call looks at a function whose result the digest of the code may not tell:
// the content of a file that a constant names is taken in; anything else that
// may change by itself makes the code unstable.
func (r *codeReader) call(call *hclsyntax.FunctionCallExpr, dir string) {
	reads := strings.HasPrefix(call.Name, "file") || call.Name == "templatefile"
	switch {
	case call.Name == "fileset", call.Name == "plantimestamp", strings.HasPrefix(call.Name, "provider::"):
		r.stable = false
	case reads && len(call.Args) > 0:
		name, diags := call.Args[0].Value(&hcl.EvalContext{Variables: map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{
			"module": cty.StringVal(dir), "root": cty.StringVal(r.w.dir), "cwd": cty.StringVal(r.w.dir),
		})}})
		if diags.HasErrors() || !name.IsKnown() || name.IsNull() || name.Type() != cty.String {
			r.stable = false
			return
		}
		r.add(r.w.abs(name.AsString()))
	}
}
