package kubernetes

import (
	"regexp"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

const (
	// maxSettings bounds the settings of a record, maxText the length of a
	// value in bytes: a longer one is touched, its value unknown. maxDepth
	// bounds the nesting, maxPath a path.
	maxSettings = 1000
	maxText     = 16 << 10
	maxDepth    = 64
	maxPath     = 1000
)

// settings returns what the request touches, with the new values: of a created
// or replaced object all of it, of a patch what the patch names. Whether a
// patch is a merge patch or a strategic one the event does not tell; where they
// differ, in lists, the strategic reading by name is taken.
func (p *Parser) settings(e *event) penumbra.Settings {
	var out penumbra.Settings
	switch x := e.RequestObject.(type) {
	case []any:
		out = jsonPatch(x)
	case map[string]any:
		if e.Verb == "delete" || e.Verb == "deletecollection" || x["kind"] == "DeleteOptions" {
			return nil
		}
		m := merge{patch: e.Verb == "patch"}
		config := m.object("", x, 0)
		out = append(penumbra.Flatten(config, nil), m.more...)
	}
	if len(out) == 0 {
		return nil
	}
	return p.seal(penumbra.NewSettings(out...), e.isSecret())
}

// isSecret reports that the request is about a Secret.
func (e *event) isSecret() bool {
	object, _ := e.RequestObject.(map[string]any)
	return e.ObjectRef != nil && e.ObjectRef.Resource == "secrets" || object["kind"] == "Secret"
}

// kept by the server and no setting of anybody's; at the top of an object.
var bookkeeping = map[string]bool{
	"metadata.managedFields": true, "metadata.resourceVersion": true, "metadata.uid": true, "metadata.creationTimestamp": true,
	"metadata.generation": true, "metadata.selfLink": true, "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration": true,
	"metadata.annotations.deployment.kubernetes.io/revision": true,
}

// merge collects what a merge patch says besides the values in it.
type merge struct {
	patch bool
	more  penumbra.Settings // removed, or touched without a value
}

// object returns the values of a patch, and notes what it removes: a null, or
// one of the directives of strategic merge patches.
func (m *merge) object(at string, x map[string]any, depth int) map[string]any {
	out := make(map[string]any, len(x))
	for name, value := range x {
		path := penumbra.JoinPath(at, name)
		switch {
		case bookkeeping[path] || depth > maxDepth:
		case name == "status" && at == "" && len(x) > 1 && !m.patch:
		case strings.HasPrefix(name, "$setElementOrder/") || name == "$retainKeys" || name == "$patch":
		case strings.HasPrefix(name, "$deleteFromPrimitiveList/"):
			m.note(penumbra.JoinPath(at, strings.TrimPrefix(name, "$deleteFromPrimitiveList/")), penumbra.Unknown())
		case value == nil:
			if m.patch {
				m.note(path, penumbra.Null())
			}
		default:
			out[name] = m.value(path, value, depth+1)
		}
	}
	return out
}

func (m *merge) value(path string, x any, depth int) any {
	switch x := x.(type) {
	case map[string]any:
		return m.object(path, x, depth)
	case []any:
		return m.list(path, x, depth)
	}
	return x
}

// list leaves out the elements that a directive deletes.
func (m *merge) list(path string, x []any, depth int) []any {
	keys := penumbra.ElementKeys(x, false)
	out := make([]any, 0, len(x))
	for i, element := range x {
		at := penumbra.JoinPath(path, keys[i].Name)
		if object, ok := element.(map[string]any); ok && object["$patch"] != nil {
			if object["$patch"] == "delete" {
				m.note(at, penumbra.Null())
			} else {
				m.note(path, penumbra.Unknown())
			}
			if m.patch {
				continue
			}
		}
		out = append(out, m.value(at, element, depth+1))
	}
	return out
}

func (m *merge) note(path string, v penumbra.Value) {
	if len(m.more) < maxSettings {
		m.more = append(m.more, penumbra.Setting{Path: path, Value: v})
	}
}

// jsonPatch reads the operations of RFC 6902. A step into a list is its index:
// the names of the elements are in the object, which the event does not have.
func jsonPatch(operations []any) penumbra.Settings {
	var out penumbra.Settings
	for _, x := range operations {
		operation, _ := x.(map[string]any)
		pointer, _ := operation["path"].(string)
		path := fromPointer(pointer)
		if len(out) >= maxSettings || bookkeeping[path] {
			continue
		}
		switch operation["op"] {
		case "remove":
			out = append(out, penumbra.Setting{Path: path, Value: penumbra.Null()})
		case "add", "replace":
			if parent, ok := strings.CutSuffix(path, ".-"); ok {
				// Appended: where depends on how many there are.
				out = append(out, penumbra.Setting{Path: parent, Value: penumbra.Unknown()})
				continue
			}
			for _, s := range penumbra.Flatten(operation["value"], nil) {
				if s.Path == "" {
					s.Path = path
				} else if path != "" {
					s.Path = path + "." + s.Path
				}
				out = append(out, s)
			}
		case "move", "copy":
			out = append(out, penumbra.Setting{Path: path, Value: penumbra.Unknown()})
			if from, _ := operation["from"].(string); operation["op"] == "move" {
				out = append(out, penumbra.Setting{Path: fromPointer(from), Value: penumbra.Null()})
			}
		}
	}
	return slices.DeleteFunc(out, func(s penumbra.Setting) bool { return s.Path == "" })
}

// fromPointer turns a JSON pointer (RFC 6901) into a path.
func fromPointer(pointer string) string {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, s := range steps {
		steps[i] = strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
	}
	return strings.Join(steps, ".")
}

// seal hashes what is secret and bounds the rest.
func (p *Parser) seal(s penumbra.Settings, secret bool) penumbra.Settings {
	s = slices.DeleteFunc(s, func(x penumbra.Setting) bool { return len(x.Path) > maxPath })
	s = s[:min(len(s), maxSettings)]
	for i, x := range s {
		switch {
		case secret && inSecret(x.Path), isSecretVariable(s, x), penumbra.MentionsSecret(x.Value.Text()):
			s[i].Sensitive = true
		case strings.HasSuffix(x.Path, "last-applied-configuration"):
			s[i].Sensitive = true
		case len(x.Value.Text()) > maxText:
			s[i].Value = penumbra.Unknown()
		}
	}
	p.key.SealSettings(s)
	return s
}

// inSecret reports that a path of a Secret holds what it is for: all but what
// says which Secret it is.
func inSecret(path string) bool {
	switch path {
	case "apiVersion", "kind", "type", "immutable":
		return false
	}
	return !strings.HasPrefix(path, "metadata.")
}

// isSecretVariable looks at the name of a variable, which stands in the path
// (spec.containers.app.env.DB_PASSWORD.value) or beside the value. A JSON patch
// may have only its index: what it is then cannot be told, and it is sealed.
func isSecretVariable(s penumbra.Settings, x penumbra.Setting) bool {
	base, ok := strings.CutSuffix(x.Path, ".value")
	if !ok {
		return false
	}
	return penumbra.LooksSecret(base, x.Value) || penumbra.LooksSecret(s.Get(base+".name").Text(), x.Value) || indexed.MatchString(base)
}

var indexed = regexp.MustCompile(`(^|\.)env\.[0-9]+$`)
