package git

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// The kinds of what is no resource, and that resources take their values from.
const (
	variableKind = "variable"
	localKind    = "local"
)

// code is what a block refers to, and where a module call's code is.
type code struct {
	source string // of a module call: as it is written, "" if it is no text
	refs   []reference
}

// reference says that an argument takes its value from a variable, a local value,
// or what the block is repeated for.
type reference struct {
	path   string // the argument's or the nested block's name
	symbol string // "var.size", "local.tags", "each", "count"
}

// repetition are the arguments that say how often a block is there.
func repetition(name string) bool { return name == "for_each" || name == "count" }

// codeOf reads what a block refers to.
func codeOf(body *hclsyntax.Body) *code {
	out := &code{}
	if attr, ok := body.Attributes["source"]; ok {
		if v, ok := literal(unwrap(attr.Expr)); ok && v.Kind() == penumbra.StringKind {
			out.source = v.Text()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		out.refer(name, body.Attributes[name].Expr)
	}
	for _, b := range body.Blocks {
		out.block(b.Type, b.Body, 0)
	}
	return out
}

func (c *code) block(at string, body *hclsyntax.Body, depth int) {
	if depth > maxDepth {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		c.refer(at, body.Attributes[name].Expr)
	}
	for _, b := range body.Blocks {
		c.block(at, b.Body, depth+1)
	}
}

func (c *code) refer(at string, expr hclsyntax.Expression) {
	for _, t := range hclsyntax.Variables(expr) {
		symbol := ""
		switch root := t.RootName(); root {
		case "each", "count":
			symbol = root
		case "var", "local":
			if len(t) < 2 {
				continue
			}
			step, ok := t[1].(hcl.TraverseAttr)
			if !ok {
				continue
			}
			symbol = root + "." + step.Name
		default:
			continue
		}
		if r := (reference{at, symbol}); !slices.Contains(c.refs, r) {
			c.refs = append(c.refs, r)
		}
	}
}

// locals returns each local value of a block as if it were a resource.
func (p parser) locals(src []byte, body *hclsyntax.Body) []*resource {
	var out []*resource
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		f := flattener{src: src}
		f.expression("value", body.Attributes[name].Expr, 0)
		c := &code{}
		c.refer("value", body.Attributes[name].Expr)
		out = append(out, &resource{local: "local." + name, kind: localKind, settings: f.settings(p.key), code: c})
	}
	return out
}

// Code says where the code of a stack is within a repository.
type Code struct {
	Stack  string
	Folder string // with slashes, from the top; "." is the top
	// VarFiles are files of variables that the stack reads, relative to Folder,
	// beside terraform.tfvars and *.auto.tfvars.
	VarFiles []string
	// Hosts is set if the folder is of Ansible, whose host_vars tell a host.
	Hosts bool
}

// Touch is what a commit did to the code of resources of a stack.
type Touch struct {
	Stack string
	// Local is the address of a resource without the keys of its instances:
	// module.net.aws_vpc.main. With Below it is where many are: "module.net", a
	// host of Ansible.
	Local string
	Below bool
	Type  string
	// Settings are those touched, with new values where they are written out; none
	// if any may be.
	Settings penumbra.Settings
}

// place is where a folder's code stands in a stack.
type place struct {
	code   *Code
	prefix string // "module.net.", "" at the top
	folder string
}

// mostNested bounds how deep modules call each other.
const mostNested = 16

// tracer follows a commit's changes from the code to the resources of stacks.
type tracer struct {
	folders map[string][]*resource
	places  []place
	touches map[[2]string]*Touch
	seen    map[string]bool
}

// newTracer sees the code as a miner has it now.
func newTracer(m *miner, stacks []Code) *tracer {
	t := &tracer{folders: map[string][]*resource{}, touches: map[[2]string]*Touch{}, seen: map[string]bool{}}
	for file, list := range m.files {
		folder := path.Dir(file)
		t.folders[folder] = append(t.folders[folder], list...)
	}
	for i := range stacks {
		t.enter(place{code: &stacks[i], folder: path.Clean(stacks[i].Folder)}, 0)
	}
	return t
}

func (t *tracer) enter(p place, depth int) {
	if depth > mostNested {
		return
	}
	t.places = append(t.places, p)
	for _, r := range t.folders[p.folder] {
		if child, ok := p.child(r); ok {
			t.enter(child, depth+1)
		}
	}
}

// blocks returns the address of each block of each stack.
func (t *tracer) blocks() map[[2]string]bool {
	out := map[[2]string]bool{}
	for _, p := range t.places {
		for _, r := range t.folders[p.folder] {
			out[[2]string{p.code.Stack, p.prefix + r.local}] = true
		}
	}
	return out
}

// child returns the place of the code that a module call leads to, if that is in
// the repository.
func (p place) child(r *resource) (place, bool) {
	if r.code == nil || !strings.HasPrefix(r.local, "module.") || !strings.HasPrefix(r.code.source, "./") && !strings.HasPrefix(r.code.source, "../") {
		return place{}, false
	}
	folder := path.Join(p.folder, r.code.source)
	if folder == ".." || strings.HasPrefix(folder, "../") {
		return place{}, false
	}
	return place{code: p.code, prefix: p.prefix + r.local + ".", folder: folder}, true
}

// change takes one resource's change in.
func (t *tracer) change(o *penumbra.Observation) {
	folder, local, _ := strings.Cut(string(o.Resource), "|")
	for _, p := range t.places {
		switch {
		case p.code.Hosts:
			if host := hostOf(p.code.Folder, folder, local); host != "" {
				t.touch(p, Touch{Local: host, Below: true})
			}
		case o.Type == "tfvars":
			if p.prefix == "" && p.code.reads(folder, local) {
				for _, name := range names(o.Settings) {
					t.follow(p, "var."+name)
				}
			}
		case folder != p.folder:
		case o.Type == localKind:
			t.follow(p, local)
		case o.Type == variableKind:
			if slices.Contains(names(o.Settings), "default") {
				t.follow(p, local)
			}
		case strings.HasPrefix(local, "module."):
			t.call(p, local, o)
		case strings.HasPrefix(o.Type, "yaml:"), strings.HasPrefix(o.Type, "k8s:"), o.Type == "terragrunt":
		default:
			x := Touch{Local: p.prefix + local, Type: o.Type}
			if o.Action == actionUpdate && !slices.ContainsFunc(names(o.Settings), repetition) {
				x.Settings = plain(o.Settings)
			}
			t.touch(p, x)
		}
	}
}

// call follows a module call that was changed.
func (t *tracer) call(p place, local string, o *penumbra.Observation) {
	i := slices.IndexFunc(t.folders[p.folder], func(r *resource) bool { return r.local == local })
	if o.Action != actionUpdate || i < 0 {
		t.touch(p, Touch{Local: p.prefix + local, Below: true})
		return
	}
	for _, name := range names(o.Settings) {
		t.argument(p, t.folders[p.folder][i], name)
	}
}

// argument follows an argument of a module call into the module. Where the code of
// that is not here, or how often it is called changes, anything below may.
func (t *tracer) argument(p place, r *resource, name string) {
	child, here := p.child(r)
	switch name {
	case "source", "source_ref", "version", "providers", "depends_on", "for_each", "count":
		here = false
	}
	if !here {
		t.touch(p, Touch{Local: p.prefix + r.local, Below: true})
		return
	}
	t.follow(child, "var."+name)
}

// follow finds what takes its value from a symbol.
func (t *tracer) follow(p place, symbol string) {
	key := p.code.Stack + "/" + p.prefix + symbol
	if t.seen[key] {
		return
	}
	t.seen[key] = true
	for _, r := range t.folders[p.folder] {
		if r.code == nil {
			continue
		}
		at := r.code.at(symbol)
		if slices.ContainsFunc(at, repetition) {
			at = append(at, append(r.code.at("each"), r.code.at("count")...)...)
			slices.Sort(at)
			at = slices.Compact(at)
		}
		for _, name := range at {
			switch {
			case r.kind == localKind:
				t.follow(p, r.local)
			case r.kind == variableKind:
			case strings.HasPrefix(r.local, "module."):
				t.argument(p, r, name)
			case repetition(name) && len(at) > 1: // what it does is in the others
			case repetition(name), name == "depends_on", name == "lifecycle", name == "provider":
				t.touch(p, Touch{Local: p.prefix + r.local, Type: r.kind})
			default:
				t.touch(p, Touch{Local: p.prefix + r.local, Type: r.kind, Settings: penumbra.NewSettings(penumbra.Setting{Path: name, Value: penumbra.Unknown()})})
			}
		}
	}
}

// at returns the arguments that refer to a symbol.
func (c *code) at(symbol string) []string {
	var out []string
	for _, r := range c.refs {
		if r.symbol == symbol {
			out = append(out, r.path)
		}
	}
	return out
}

// touch adds to what is known of an address. What may be about any setting stays
// so.
func (t *tracer) touch(p place, x Touch) {
	x.Stack = p.code.Stack
	key := [2]string{x.Stack, x.Local}
	known := t.touches[key]
	switch {
	case known == nil:
		t.touches[key] = &x
	case len(known.Settings) == 0 || len(x.Settings) == 0:
		known.Settings, known.Below = nil, known.Below || x.Below
	default:
		known.Settings = penumbra.NewSettings(append(slices.Clone(x.Settings), known.Settings...)...)
	}
}

// found returns the touches by address.
func (t *tracer) found() []Touch {
	out := make([]Touch, 0, len(t.touches))
	for _, x := range t.touches {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Touch) int { return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Local, b.Local)) })
	return out
}

// reads reports whether a stack takes its variables from a file.
func (c *Code) reads(folder, name string) bool {
	home := path.Clean(c.Folder)
	if folder == home && (name == "terraform.tfvars" || strings.HasSuffix(name, ".auto.tfvars")) {
		return true
	}
	file := path.Join(folder, name)
	return slices.ContainsFunc(c.VarFiles, func(f string) bool { return path.Join(home, f) == file })
}

// hostOf returns the host whose variables a file has, "" if it is none's.
func hostOf(home, folder, name string) string {
	for _, vars := range [...]string{path.Join(home, "host_vars"), path.Join(home, "inventory", "host_vars")} {
		if folder == vars {
			return strings.TrimSuffix(name, path.Ext(name))
		}
		if rest, ok := strings.CutPrefix(folder, vars+"/"); ok {
			host, _, _ := strings.Cut(rest, "/")
			return host
		}
	}
	return ""
}

// names returns the first steps of paths.
func names(settings penumbra.Settings) []string {
	var out []string
	for _, x := range settings {
		name, _, _ := strings.Cut(x.Path, ".")
		name, _, _ = strings.Cut(name, "[")
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// plain returns settings with the values that are written out; of any other it is
// only known that it was touched.
func plain(settings penumbra.Settings) penumbra.Settings {
	out := slices.Clone(settings)
	for i := range out {
		text := out[i].Value.Text()
		if out[i].Value.Kind() == penumbra.StringKind && (strings.Contains(text, "${") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")) {
			out[i].Value = penumbra.Unknown()
		}
	}
	return out
}
