package hcl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/penumbra-iac/penumbra"
)

// node is a value in a file of values in the JSON syntax, with its place in the
// text: hclwrite edits the native syntax only.
type node struct {
	at      span
	value   cty.Value
	members []member // of an object
	items   []*node  // of a list
}

type member struct {
	name string
	at   span // key and value
	node *node
}

func (n *node) field(name string) *node {
	for _, m := range slices.Backward(n.members) { // of two of a name the last wins
		if m.name == name {
			return m.node
		}
	}
	return nil
}

// visit calls with every value below the node and the name that it has.
func (n *node) visit(name string, call func(string, *node)) {
	call(name, n)
	for _, m := range n.members {
		m.node.visit(m.name, call)
	}
	for _, x := range n.items {
		x.visit(name, call)
	}
}

// parseJSON reads a file of values.
func parseJSON(src []byte) (*node, error) {
	p := &jsonParser{src: src, dec: json.NewDecoder(bytes.NewReader(src))}
	p.dec.UseNumber()
	top, err := p.node()
	switch {
	case err != nil:
		return nil, err
	case !top.value.Type().IsObjectType():
		return nil, errors.New("it is no object")
	case len(bytes.TrimSpace(src[top.at.end:])) > 0:
		return nil, errors.New("something follows the object")
	}
	return top, nil
}

type jsonParser struct {
	src []byte
	dec *json.Decoder
}

// start is where the next token begins.
func (p *jsonParser) start() int {
	at := int(p.dec.InputOffset())
	for at < len(p.src) && strings.ContainsRune(" \t\r\n,:", rune(p.src[at])) {
		at++
	}
	return at
}

func (p *jsonParser) node() (*node, error) {
	n := &node{at: span{start: p.start()}}
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		err = p.inside(n, t)
	case string:
		n.value = cty.StringVal(t)
	case bool:
		n.value = cty.BoolVal(t)
	case json.Number:
		n.value, err = cty.ParseNumberVal(t.String())
	default:
		n.value = cty.NullVal(cty.DynamicPseudoType)
	}
	n.at.end = int(p.dec.InputOffset())
	return n, err
}

// inside reads what follows an opening bracket, and the closing one.
func (p *jsonParser) inside(n *node, open json.Delim) error {
	fields, values := map[string]cty.Value{}, []cty.Value{}
	for p.dec.More() {
		m := member{at: span{start: p.start()}}
		if open == '{' {
			key, err := p.dec.Token()
			if err != nil {
				return err
			}
			m.name, _ = key.(string)
		}
		x, err := p.node()
		if err != nil {
			return err
		}
		if m.node, m.at.end = x, x.at.end; open == '{' {
			n.members = append(n.members, m)
			fields[m.name] = x.value
		} else {
			n.items = append(n.items, x)
			values = append(values, x.value)
		}
	}
	if n.value = cty.ObjectVal(fields); open == '[' {
		n.value = cty.TupleVal(values)
	}
	_, err := p.dec.Token()
	return err
}

// setJSON sets what is at rest below a variable's value in the JSON syntax.
func (e *editor) setJSON(p place, name, rest string, x penumbra.Setting) error {
	n := p.file.json.field(name)
	for i, step := range p.steps {
		next := n.child(step)
		if next == nil && i == len(p.steps)-1 && n.value.Type().IsObjectType() && !x.Value.IsNull() && !isIndex(firstStep(rest)) {
			text := spellJSON(x.Value)
			if rest != "" {
				text = "{" + spellJSON(penumbra.String(rest)) + ": " + text + "}"
			}
			return e.edit(p, x.Path, func() error { return p.file.addMember(n, step, text) })
		}
		if next == nil {
			return e.jsonRefused(p, x)
		}
		n, name = next, step
	}
	var in *node
	for rest != "" {
		keys := n.keys()
		i, below, ok := longestKey(keys, rest)
		if !ok {
			if x.Value.IsNull() {
				return nil
			}
			if n.value.Type().IsObjectType() && !isIndex(firstStep(rest)) {
				return e.edit(p, x.Path, func() error { return p.file.addMember(n, rest, spellJSON(x.Value)) })
			}
			return e.jsonRefused(p, x)
		}
		in, name = n, keys[i]
		if len(n.members) > 0 {
			n = n.members[i].node
		} else {
			n = n.items[i]
		}
		rest = below
	}
	now, scalar := literalOf(n.value)
	switch {
	case !scalar:
		return e.jsonRefused(p, x)
	case now == x.Value:
		return nil
	case !x.Value.IsNull():
		return e.splice(p, n.at, spellJSON(x.Value), x.Path)
	case in != nil && len(in.members) > 0:
		return e.edit(p, x.Path, func() error { return p.file.removeMember(in, name) })
	default:
		return e.jsonRefused(p, x)
	}
}

func (e *editor) jsonRefused(p place, x penumbra.Setting) error {
	return refuse(fmt.Sprintf("%s cannot be written where its value is given (%s)", x.Path, p.file.path), "change the JSON by hand")
}

func (n *node) child(step string) *node {
	if i := slices.Index(n.keys(), step); i >= 0 && len(n.members) > 0 {
		return n.members[i].node
	} else if i >= 0 {
		return n.items[i]
	}
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.items) {
		return n.items[i]
	}
	return nil
}

// keys returns the names of an object's members, or how the elements of a list
// are named in a flattened path.
func (n *node) keys() []string {
	var out []string
	for _, m := range n.members {
		out = append(out, m.name)
	}
	for _, field := range [...]string{"name", "key", "id"} {
		if len(out) > 0 || len(n.items) == 0 {
			return out
		}
		for _, x := range n.items {
			named := x.field(field)
			if named == nil || textOf(named.value) == "" || slices.Contains(out, textOf(named.value)) {
				out = nil
				break
			}
			out = append(out, textOf(named.value))
		}
	}
	for i := range n.items {
		if len(out) < len(n.items) {
			out = append(out, strconv.Itoa(i))
		}
	}
	return out
}

func spellJSON(v penumbra.Value) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return "null" // a scalar always encodes
	}
	return strings.TrimSpace(b.String())
}

// addMember writes a member behind the last one of an object.
func (f *file) addMember(n *node, name, value string) error {
	text := spellJSON(penumbra.String(name)) + ": " + value
	if len(n.members) == 0 {
		return f.splice(n.at.start+1, n.at.end-1, text)
	}
	last := n.members[len(n.members)-1].at
	sep := ", "
	if bytes.ContainsRune(f.src[last.end:n.at.end], '\n') {
		sep = "," + f.newline() + f.indent(last.start)
	}
	return f.splice(last.end, last.end, sep+text)
}

// removeMember takes a member and its comma out of an object.
func (f *file) removeMember(n *node, name string) error {
	i := slices.IndexFunc(n.members, func(m member) bool { return m.name == name })
	at := n.members[i].at
	switch {
	case i > 0:
		at.start = n.members[i-1].at.end
	case len(n.members) > 1:
		at.end = n.members[1].at.start
	default:
		at = span{n.at.start + 1, n.at.end - 1}
	}
	return f.splice(at.start, at.end, "")
}
