package git

import (
	"bytes"
	"errors"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// yaml reads the Kubernetes objects of a file, or the file itself if its name
// says what it is.
func (p parser) yaml(name string, src []byte) ([]*resource, Reason, string) {
	if bytes.HasPrefix(src, []byte("$ANSIBLE_VAULT")) {
		return nil, Encrypted, ""
	}
	known := knownYAML(name)
	var found []*resource
	var reason Reason
	detail, other := "", false
	for dec := yaml.NewDecoder(bytes.NewReader(src)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// What follows an error is lost, so the file is left as it was.
			if templateMarks.Match(src) {
				return nil, Templated, yamlDetail(err)
			}
			return nil, Unparsed, yamlDetail(err)
		}
		root := resolve(&doc)
		if root == nil || root.Kind != yaml.MappingNode && root.Kind != yaml.SequenceNode || len(root.Content) == 0 {
			continue // empty, or a scalar
		}
		for _, object := range objects(root) {
			if field(resolve(object), "kind") == "CustomResourceDefinition" {
				continue // a schema, not anybody's configuration
			}
			r, why := p.object(object, name)
			switch {
			case why != 0:
				reason, detail = why, field(object, "kind")
			case r != nil:
				found = append(found, r)
			case known == "":
				other = true
			default:
				if r, why = p.known(object, name, known); why != 0 {
					reason = why
				} else if r != nil {
					found = append(found, r)
				}
			}
		}
	}
	if other && len(found) == 0 && reason == 0 {
		return nil, Unrecognized, ""
	}
	return found, reason, detail
}

// templateMarks match templates of Helm, Jinja and their like.
var templateMarks = regexp.MustCompile(`\{\{.*\}\}|\{%.*%\}`)

// objects returns the objects of a document: a Kubernetes list is its items.
func objects(root *yaml.Node) []*yaml.Node {
	if root.Kind != yaml.MappingNode || field(root, "apiVersion") != "v1" || field(root, "kind") != "List" {
		return []*yaml.Node{root}
	}
	items := resolve(child(root, "items"))
	if items == nil || items.Kind != yaml.SequenceNode {
		return nil
	}
	return items.Content
}

// object returns the Kubernetes object that a node is, nil if it is none.
func (p parser) object(n *yaml.Node, name string) (*resource, Reason) {
	n = resolve(n)
	version, kind := field(n, "apiVersion"), field(n, "kind")
	if version == "" || kind == "" {
		return nil, 0
	}
	meta := resolve(child(n, "metadata"))
	object, namespace := field(meta, "name"), field(meta, "namespace")
	if object == "" {
		object = field(meta, "generateName")
	}
	if object == "" { // kustomizations, and files of settings for tools
		object = strings.TrimSuffix(path.Base(name), path.Ext(name))
	}
	local := kind + "/" + object
	if namespace != "" {
		local += "@" + namespace
	}
	if strings.Contains(local, "{{") || templated(meta) {
		return nil, Templated
	}
	f := yamlFlattener{left: maxNodes}
	f.node("", n, 0)
	if f.over {
		return nil, TooLarge
	}
	f.seal(kind == "Secret")
	return &resource{local: clean(local), kind: "k8s:" + kind, settings: f.settings(p.key)}, 0
}

// known returns a file of a kind known by its name as one resource.
func (p parser) known(n *yaml.Node, name, kind string) (*resource, Reason) {
	f := yamlFlattener{left: maxNodes}
	f.node("", n, 0)
	switch {
	case f.over:
		return nil, TooLarge
	case len(f.list) == 0:
		return nil, 0
	}
	f.seal(false)
	return &resource{local: path.Base(name), kind: "yaml:" + kind, settings: f.settings(p.key)}, 0
}

// seal marks what is secret by its place: all data of a Kubernetes secret, and
// what SOPS wrote.
func (f *yamlFlattener) seal(secret bool) {
	for i := range f.list {
		x := &f.list[i]
		switch {
		case strings.HasSuffix(x.path, "last-applied-configuration"):
			x.secret = true
		case strings.HasPrefix(x.path, "sops."):
			x.secret = true
		case strings.HasPrefix(x.path, "secretGenerator[") && strings.HasSuffix(x.path, ".literals"):
			x.secret = true
		case !secret || x.path == "apiVersion" || x.path == "kind" || x.path == "type" || x.path == "immutable":
		case !strings.HasPrefix(x.path, "metadata."):
			x.secret = true
		}
	}
}

// knownYAML returns what a file's name says that it is, "" if nothing.
func knownYAML(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	for folder := range strings.SplitSeq(path.Dir(name), "/") {
		if folder == "group_vars" || folder == "host_vars" {
			return folder
		}
	}
	switch {
	case base == "hosts" || base == "inventory" || strings.HasPrefix(base, "inventory-") || strings.HasPrefix(base, "inventory_"):
		return "inventory"
	case valuesName.MatchString(base):
		return "values"
	case base == "Chart":
		return "chart"
	case base == "compose" || base == "docker-compose" || strings.HasPrefix(base, "compose.") || strings.HasPrefix(base, "docker-compose."):
		return "compose"
	default:
		return ""
	}
}

var valuesName = regexp.MustCompile(`^(values([-_.].+)?|.+[-_.]values)$`)

// yamlFlattener turns nodes into leaves.
type yamlFlattener struct {
	leaves
	left int // nodes, so that aliases of aliases end
}

// maxNodes bounds the nodes of a document with its aliases written out.
const maxNodes = 50_000

func (f *yamlFlattener) node(at string, n *yaml.Node, depth int) {
	n = resolve(n)
	if f.left--; f.left < 0 || depth > maxDepth {
		f.over = true
	}
	if f.over || n == nil {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		f.mapping(at, n, depth)
	case yaml.SequenceNode:
		f.sequence(at, n, depth)
	case yaml.ScalarNode:
		f.add(leaf{path: at, value: yamlScalar(n), secret: n.Tag == "!vault" || n.Tag == "!vault-encrypted"})
	}
}

func (f *yamlFlattener) mapping(at string, n *yaml.Node, depth int) {
	if len(n.Content) == 0 && at != "" {
		f.add(leaf{path: at, value: penumbra.String("{}")})
	}
	// What is merged in comes first, so that the mapping's own keys win.
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		merged := resolve(n.Content[i+1])
		if merged == nil {
			continue
		}
		if merged.Kind == yaml.SequenceNode {
			for j := len(merged.Content) - 1; j >= 0; j-- { // of several the first wins
				f.node(at, merged.Content[j], depth+1)
			}
			continue
		}
		f.node(at, merged, depth+1)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		if key == nil || key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			continue // no setting has a mapping for a name; templates look like it
		}
		f.node(join(at, key.Value), n.Content[i+1], depth+1)
	}
}

// sequence flattens a list: of scalars it is one value, of mappings each by its
// name, or by number.
func (f *yamlFlattener) sequence(at string, n *yaml.Node, depth int) {
	plain := true
	for _, x := range n.Content {
		if x = resolve(x); x != nil && x.Kind != yaml.ScalarNode {
			plain = false
		}
	}
	if !plain {
		names := elementNames(len(n.Content), func(i int) string { return field(resolve(n.Content[i]), "name") })
		for i, x := range n.Content {
			f.node(element(at, names[i]), x, depth+1)
		}
		return
	}
	if f.left -= len(n.Content); f.left < 0 {
		f.over = true
		return
	}
	parts, secret := make([]string, 0, len(n.Content)), false
	for _, x := range n.Content {
		if x = resolve(x); x != nil {
			parts = append(parts, x.Value)
			secret = secret || strings.HasPrefix(x.Value, "ENC[")
		}
	}
	f.add(leaf{path: at, value: penumbra.String("[" + strings.Join(parts, ", ") + "]"), secret: secret})
}

func yamlScalar(n *yaml.Node) penumbra.Value {
	switch n.ShortTag() {
	case "!!null":
		return penumbra.Null()
	case "!!bool":
		if b, err := strconv.ParseBool(n.Value); err == nil {
			return penumbra.Bool(b)
		}
	case "!!int":
		text := strings.ReplaceAll(n.Value, "_", "")
		if i, err := strconv.ParseInt(text, 0, 64); err == nil {
			text = strconv.FormatInt(i, 10)
		}
		if v, err := penumbra.ParseNumber(strings.TrimPrefix(text, "+")); err == nil {
			return v
		}
	case "!!float":
		if v, err := penumbra.ParseNumber(strings.ReplaceAll(n.Value, "_", "")); err == nil {
			return v
		}
	}
	return penumbra.String(n.Value)
}

// resolve returns what a node stands for: the content of a document, what an
// alias refers to; nil for nothing.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil {
		switch n.Kind {
		case yaml.DocumentNode:
			if len(n.Content) == 0 {
				return nil
			}
			n = n.Content[0]
		case yaml.AliasNode:
			n = n.Alias
		case 0:
			return nil
		default:
			return n
		}
	}
	return nil
}

func child(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// field returns a scalar of a mapping, "" if there is none.
func field(n *yaml.Node, name string) string {
	if x := resolve(child(n, name)); x != nil && x.Kind == yaml.ScalarNode && x.ShortTag() != "!!null" {
		return x.Value
	}
	return ""
}

// templated reports whether a name in the metadata is a template that happens
// to be YAML: {{ x }} reads as a mapping within a mapping.
func templated(meta *yaml.Node) bool {
	for _, name := range [...]string{"name", "namespace"} {
		if x := resolve(child(meta, name)); x != nil && x.Kind == yaml.MappingNode {
			return true
		}
	}
	return false
}

// yamlDetail returns an error of the parser without what it quotes of the file.
func yamlDetail(err error) string {
	text, _, _ := strings.Cut(penumbra.Redact(strings.TrimPrefix(err.Error(), "yaml: ")), "`")
	return prefix(text, 120)
}
