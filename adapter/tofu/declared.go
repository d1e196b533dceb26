package tofu

import (
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// declared says which places of a resource its code declares: what is named in
// an argument or in a nested block. A nil one declares nothing.
type declared struct {
	whole  bool
	fields map[string]*declared
	ignore *declared // what ignore_changes takes back
}

// has reports whether the place, as [leaf] spells it, is declared.
func (d *declared) has(config string) bool {
	return d.covers(config) && (d.ignore == nil || !d.ignore.covers(config))
}

func (d *declared) covers(config string) bool {
	for d != nil && !d.whole {
		name, rest, ok := strings.Cut(config, "\x00")
		if !ok {
			return false
		}
		d, config = d.fields[name], rest
	}
	return d != nil
}

// field returns the place below, made if it is not there yet.
func (d *declared) field(name string) *declared {
	if d.fields == nil {
		d.fields = make(map[string]*declared)
	}
	if d.fields[name] == nil {
		d.fields[name] = &declared{}
	}
	return d.fields[name]
}

// add marks what an expression declares: all below it, but for a constant
// object or list of objects, which names its fields itself.
func (d *declared) add(e *tfjson.Expression) {
	if e == nil || e.ExpressionData == nil {
		return
	}
	if len(e.NestedBlocks) == 0 {
		d.addConstant(e.ConstantValue)
		return
	}
	for _, block := range e.NestedBlocks {
		for name, argument := range block {
			d.field(name).add(argument)
		}
	}
}

func (d *declared) addConstant(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, x := range value {
			if x != nil {
				d.field(name).addConstant(x)
			}
		}
	case []any:
		for _, x := range value {
			d.addConstant(x)
		}
		d.whole = d.whole || d.fields == nil
	default:
		d.whole = true
	}
}

// declarations maps the place of each resource in the code, see
// [configAddress], to what is declared there.
type declarations map[string]*declared

// addModule takes in a module of a plan's configuration, and those it calls.
func (d declarations) addModule(prefix string, m *tfjson.ConfigModule) {
	if m == nil {
		return
	}
	for _, r := range m.Resources {
		if r.Mode != tfjson.ManagedResourceMode {
			continue
		}
		of := &declared{}
		for name, e := range r.Expressions {
			of.field(name).add(e)
		}
		d[prefix+r.Type+"."+r.Name] = of
	}
	for name, call := range m.ModuleCalls {
		if call != nil {
			d.addModule(prefix+"module."+name+".", call.Module)
		}
	}
}
