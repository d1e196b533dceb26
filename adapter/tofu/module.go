package tofu

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// module is the code of a module, block by block. Where code is broken enough
// to have a name twice, the tool has refused it before this is asked.
type module struct {
	prefix string // of the places in it, "module.a.module.b.", "" for the root
	folder string // as the tools name it, relative to the root module's

	variables, calls, resources map[string]*hclsyntax.Body // resources by "type.name" and "data.type.name"
	locals, outputs             map[string]hclsyntax.Expression
	others                      []*hclsyntax.Body // blocks of providers, which all resources may depend on
}

func newModule(prefix, folder string) *module {
	return &module{
		prefix: prefix, folder: folder,
		variables: make(map[string]*hclsyntax.Body), calls: make(map[string]*hclsyntax.Body), resources: make(map[string]*hclsyntax.Body),
		locals: make(map[string]hclsyntax.Expression), outputs: make(map[string]hclsyntax.Expression),
	}
}

func (m *module) add(body *hclsyntax.Body) {
	for _, b := range body.Blocks {
		name := strings.Join(b.Labels, ".")
		switch {
		case b.Type == "locals":
			for name, a := range b.Body.Attributes {
				m.locals[name] = a.Expr
			}
		case len(b.Labels) == 0:
		case b.Type == "variable":
			m.variables[name] = b.Body
		case b.Type == "module":
			m.calls[name] = b.Body
		case b.Type == "output":
			if a := b.Body.Attributes["value"]; a != nil {
				m.outputs[name] = a.Expr
			}
		case b.Type == "provider":
			m.others = append(m.others, b.Body)
		case len(b.Labels) != 2:
		case b.Type == "resource":
			m.resources[name] = b.Body
		case b.Type == "data":
			m.resources["data."+name] = b.Body
		}
	}
}

// isOverride reports whether the tools merge the file into the others.
func isOverride(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".tf"), ".tofu")
	return name == "override" || strings.HasSuffix(name, "_override")
}

// metaArguments are arguments and blocks of a resource that the tools
// themselves understand.
var metaArguments = map[string]bool{
	"count": true, "for_each": true, "depends_on": true, "provider": true, "lifecycle": true, "connection": true, "provisioner": true,
}

// declaredIn returns what a resource's block declares, as [declarations] tells
// it from a plan's configuration.
func declaredIn(body *hclsyntax.Body) *declared {
	d := &declared{}
	for name, a := range body.Attributes {
		if !metaArguments[name] {
			d.field(name).addExpression(a.Expr)
		}
	}
	for _, b := range body.Blocks {
		switch {
		case metaArguments[b.Type]:
		case b.Type == "dynamic" && len(b.Labels) == 1:
			d.field(b.Labels[0]).whole = true
		default:
			at := d.field(b.Type)
			for _, label := range b.Labels {
				at = at.field(label)
			}
			at.merge(declaredIn(b.Body))
		}
	}
	return d
}

// merge takes in what another block of the same type declares.
func (d *declared) merge(other *declared) {
	d.whole = d.whole || other.whole
	for name, f := range other.fields {
		d.field(name).merge(f)
	}
}

// addExpression marks what an argument declares: all below it, but for a
// constant, see [declared.addConstant].
func (d *declared) addExpression(e hclsyntax.Expression) {
	if len(e.Variables()) == 0 {
		if v, diags := e.Value(nil); !diags.HasErrors() && v.IsWhollyKnown() {
			value, _ := plainValue(v)
			d.addConstant(value)
			return
		}
	}
	d.whole = true
}
