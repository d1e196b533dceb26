package knowledge

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// reader takes a file's YAML apart and notes each mistake with its place.
type reader struct {
	file     string
	lines    []string // of the file, for places within block scalars
	entry    string   // the identifier of the entry that is read, "" outside
	mistakes Mistakes
}

// wrong notes a mistake at a node.
func (r *reader) wrong(n *yaml.Node, what, remedy string) {
	r.wrongAt(max(1, n.Line), max(1, n.Column), what, remedy)
}

func (r *reader) wrongAt(line, column int, what, remedy string) {
	r.mistakes = append(r.mistakes, Mistake{File: r.file, Line: line, Column: column, Entry: r.entry, What: what, Remedy: remedy})
}

// resolve follows an alias to what it stands for. An alias cannot stand for
// another, so once is enough.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

var kindNames = map[yaml.Kind]string{yaml.ScalarNode: "a single value", yaml.SequenceNode: "a list", yaml.MappingNode: "a map"}

// mapping returns the values of a map by key; what is no map, has unknown keys
// or has one twice is a mistake.
func (r *reader) mapping(n *yaml.Node, what string, known []string) (map[string]*yaml.Node, bool) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrong(n, fmt.Sprintf("%s is %s, not a map", what, kindNames[n.Kind]), "give it as keys and values: "+strings.Join(known, ", "))
		return nil, false
	}
	out := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		_, twice := out[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			r.wrong(n.Content[i], fmt.Sprintf("%s has no key %q", what, key.Value), near(key.Value, known, "the keys are "))
		case twice:
			r.wrong(n.Content[i], fmt.Sprintf("%s has %s twice", what, key.Value), "keep one of them")
		default:
			out[key.Value] = value
		}
	}
	return out, true
}

// text returns a scalar's text; what is none, or is empty, is a mistake.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		r.wrong(n, fmt.Sprintf("%s is %s, not a text", what, kindNames[n.Kind]), "write one text")
		return "", false
	}
	text := strings.TrimSpace(n.Value)
	if text == "" || n.ShortTag() == "!!null" {
		r.wrong(n, what+" is empty", "write it, or leave the key out")
		return "", false
	}
	return text, true
}

// texts returns a list of texts; one text alone is a list of one.
func (r *reader) texts(n *yaml.Node, what string) (list []string, nodes []*yaml.Node) {
	for _, x := range r.items(n) {
		if text, ok := r.text(x, what); ok {
			list, nodes = append(list, text), append(nodes, x)
		}
	}
	return list, nodes
}

// items returns the items of a list, or a node that is none by itself.
func (r *reader) items(n *yaml.Node) []*yaml.Node {
	if n = resolve(n); n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// scalar returns a setting's value as it is typed in YAML.
func (r *reader) scalar(n *yaml.Node, what string) (penumbra.Value, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		r.wrong(n, fmt.Sprintf("%s is %s, not a setting's value", what, kindNames[n.Kind]), "give a text, a number, true, false or null")
		return penumbra.Null(), false
	}
	switch n.ShortTag() {
	case "!!null":
		return penumbra.Null(), true
	case "!!bool":
		return penumbra.Bool(strings.EqualFold(n.Value, "true")), true
	case "!!int", "!!float":
		if v, err := penumbra.ParseNumber(n.Value); err == nil {
			return v, true
		}
		var f float64
		if err := n.Decode(&f); err == nil && !penumbra.Number(f).IsNull() {
			return penumbra.Number(f), true
		}
		r.wrong(n, fmt.Sprintf("%s is %s, not a number that a setting can have", what, n.Value), "write the number in digits, or quote a text")
		return penumbra.Null(), false
	default:
		return penumbra.String(n.Value), true
	}
}

// placeIn returns where a place in an expression, with its line counting from 1
// and its column in characters from 0, is in the file.
func (r *reader) placeIn(n *yaml.Node, line, column int) (int, int) {
	n = resolve(n)
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		at := n.Line + line // the text starts below the mark
		for first := n.Line; first < len(r.lines); first++ {
			if trimmed := strings.TrimLeft(r.lines[first], " "); strings.TrimSpace(trimmed) != "" {
				return at, len(r.lines[first]) - len(trimmed) + column + 1
			}
		}
		return at, column + 1
	case n.Style&yaml.FoldedStyle != 0, strings.Contains(n.Value, "\n"), n.Line > len(r.lines) || n.Line < 1:
		return n.Line, n.Column // its lines are not those of the file
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		column++
	}
	if source := r.lines[n.Line-1]; n.Column+column > utf8.RuneCountInString(source)+1 {
		return n.Line, n.Column // folded over several lines
	}
	return n.Line, n.Column + column
}

// near is the remedy for a name that is not known.
func near(name string, known []string, all string) string {
	best, least := "", 3 // a name with more mistakes is another name
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return all + strings.Join(known, ", ")
}

// distance is Levenshtein's, of texts that are short.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
