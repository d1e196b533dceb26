package tofu

import (
	"maps"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// references are the resources that code refers to, by their place, see
// [configAddress], each with the attributes referred to; "" is all of them.
type references map[string]map[string]bool

// wholeResource stands for a reference to a resource and not to any value of it.
const wholeResource = "-"

// referrer follows references from one block, through locals, variables,
// outputs and data sources, to the resources.
type referrer struct {
	code *code
	out  references
	seen map[string]bool
}

// references returns what a resource's block refers to.
func (c *code) references(place string) references {
	r := &referrer{code: c, out: make(references), seen: make(map[string]bool)}
	m, name := c.find(place)
	if m == nil {
		return r.out
	}
	r.body(m, m.resources[name])
	r.calls(m)
	for _, m := range c.modules {
		for _, body := range m.others {
			r.body(m, body)
		}
	}
	return r.out
}

// calls follows what decides whether a module's resources are there at all.
func (r *referrer) calls(m *module) {
	for m.prefix != "" {
		parent, name := r.code.caller(m)
		if parent == nil || parent.calls[name] == nil {
			return
		}
		for _, argument := range [...]string{"count", "for_each", "depends_on"} {
			if a := parent.calls[name].Attributes[argument]; a != nil {
				r.expression(parent, a.Expr)
			}
		}
		m = parent
	}
}

// caller returns the module that calls m, and the call's name.
func (c *code) caller(m *module) (*module, string) {
	path := strings.TrimSuffix(m.prefix, ".")
	name := path[strings.LastIndexByte(path, '.')+1:]
	return c.modules[strings.TrimSuffix(path, "module."+name)], name
}

// find returns the module and the name in it of a resource's place.
func (c *code) find(place string) (*module, string) {
	prefix, name := "", place
	for strings.HasPrefix(name, "module.") {
		end := strings.IndexByte(name[len("module."):], '.')
		if end < 0 {
			return nil, ""
		}
		end += len("module.") + 1
		prefix, name = prefix+name[:end], name[end:]
	}
	m := c.modules[prefix]
	if m == nil || m.resources[name] == nil {
		return nil, ""
	}
	return m, name
}

func (r *referrer) body(m *module, body *hclsyntax.Body) {
	for _, a := range body.Attributes {
		r.expression(m, a.Expr)
	}
	for _, b := range body.Blocks {
		r.body(m, b.Body)
	}
}

func (r *referrer) expression(m *module, e hcl.Expression) {
	for _, t := range e.Variables() {
		path := traversalNames(t)
		if len(path) > 1 {
			r.follow(m, t, path)
		}
	}
}

func (r *referrer) follow(m *module, t hcl.Traversal, path []string) {
	name := path[1]
	at := m.prefix + path[0] + "." + name
	if path[0] == "data" && len(path) > 2 {
		name += "." + path[2]
		at += "." + path[2]
	}
	if body := m.resources[path[0]+"."+name]; body != nil && path[0] != "data" {
		r.resource(at, attributeOf(t))
		return
	}
	if r.seen[at] {
		return
	}
	r.seen[at] = true
	switch path[0] {
	case "local":
		if e := m.locals[name]; e != nil {
			r.expression(m, e)
		}
	case "var":
		if parent, call := r.code.caller(m); m.prefix != "" && parent != nil && parent.calls[call] != nil {
			if a := parent.calls[call].Attributes[name]; a != nil {
				r.expression(parent, a.Expr)
			}
		}
	case "data":
		if body := m.resources["data."+name]; body != nil {
			r.body(m, body)
		}
	case "module":
		r.module(m, name)
	}
}

// module follows all that a called module gives back. A call in depends_on
// means all its resources.
func (r *referrer) module(m *module, name string) {
	prefix := m.prefix + "module." + name + "."
	child := r.code.modules[prefix]
	if child == nil || m.calls[name] == nil {
		return
	}
	r.calls(child)
	for _, e := range child.outputs {
		r.expression(child, e)
	}
	for prefix2, below := range r.code.modules {
		if !strings.HasPrefix(prefix2, prefix) {
			continue
		}
		for name := range below.resources {
			if !strings.HasPrefix(name, "data.") {
				r.resource(prefix2+name, wholeResource)
			}
		}
	}
}

func (r *referrer) resource(place, attribute string) {
	if r.out[place] == nil {
		r.out[place] = make(map[string]bool)
	}
	r.out[place][attribute] = true
}

// attributeOf returns the attribute of a resource that a traversal names, ""
// if it goes on in another way.
func attributeOf(t hcl.Traversal) string {
	for _, step := range t[min(2, len(t)):] {
		switch step := step.(type) {
		case hcl.TraverseIndex:
		case hcl.TraverseAttr:
			return step.Name
		default:
			return ""
		}
	}
	return ""
}

// needs returns all resources that planning the places takes in besides them.
func (c *code) needs(places map[string]bool) map[string]bool {
	out := make(map[string]bool)
	next := maps.Clone(places)
	for len(next) > 0 {
		more := make(map[string]bool)
		for place := range next {
			for other := range c.references(place) {
				if !out[other] {
					out[other], more[other] = true, true
				}
			}
		}
		next = more
	}
	return out
}
