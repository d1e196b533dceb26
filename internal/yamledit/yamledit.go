// Package yamledit answers: how is one value in a YAML file replaced so that every
// other byte, comments, order and layout among them, stays? Adapters use it.
//
// It guarantees that the outcome, read back, differs in the values that were asked
// for and in nothing else; what cannot be done so is refused, with the place.
package yamledit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// Document is a YAML file with one document in it.
type Document struct {
	Path string // absolute
	Name string // as errors name it
	Text string
	Root *yaml.Node // nothing below it if the file is empty
	cuts []cut
}

// cut is a part of the text that another takes the place of.
type cut struct {
	start, end int
	text       string
	node       *yaml.Node
	value      string
}

// Parse reads a file's text. It returns an error of kind Refused if that is no
// YAML, or several documents.
func Parse(path, name, text string) (*Document, error) {
	d := &Document{Path: path, Name: name, Text: text}
	return d, d.parse()
}

func (d *Document) parse() error {
	decoder := yaml.NewDecoder(strings.NewReader(d.Text))
	d.Root = &yaml.Node{Kind: yaml.DocumentNode}
	err := decoder.Decode(d.Root)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && !errors.Is(decoder.Decode(&yaml.Node{}), io.EOF) {
		err = errors.New("it holds several documents")
	}
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: "read " + d.Name, Err: err, Remedy: "edit it by hand"}
	}
	return nil
}

// Replace puts a value in the place of a scalar. It returns an error of kind
// Refused if that is not written in one piece.
func (d *Document) Replace(n *yaml.Node, v penumbra.Value) error {
	refused := func(why string) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s:%d %s", d.Name, n.Line, why), Remedy: "edit it by hand"}
	}
	switch v.Kind() {
	case penumbra.NullKind:
		return refused("would have to be removed, which may be more than a value")
	case penumbra.SecretKind, penumbra.UnknownKind:
		return refused("would become a value that is not known")
	}
	start, end, ok := d.span(n)
	if !ok {
		return refused("is not written as one value on one line")
	}
	text := scalarText(n, v)
	d.cuts = append(d.cuts, cut{start, end, text, n, v.Text()})
	return nil
}

// span returns where a scalar stands in the text.
func (d *Document) span(n *yaml.Node) (start, end int, ok bool) {
	offset, line := 0, 1
	for l := range strings.Lines(d.Text) {
		if line == n.Line {
			rest := l
			for range n.Column - 1 {
				_, size := utf8.DecodeRuneInString(rest)
				rest = rest[size:]
			}
			start = offset + len(l) - len(rest)
			return start, start + scalarLength(rest, n), scalarLength(rest, n) > 0
		}
		offset += len(l)
		line++
	}
	return 0, 0, false
}

// scalarLength is how long a scalar is that a line starts with, 0 if it is not all
// on that line.
func scalarLength(line string, n *yaml.Node) int {
	switch n.Style {
	case yaml.DoubleQuotedStyle:
		for i := 1; i < len(line); i++ {
			switch {
			case line[0] != '"':
				return 0
			case line[i] == '\\':
				i++
			case line[i] == '"':
				return i + 1
			}
		}
	case yaml.SingleQuotedStyle:
		for i := 1; i < len(line); i++ {
			switch {
			case line[0] != '\'':
				return 0
			case line[i] == '\'' && i+1 < len(line) && line[i+1] == '\'':
				i++
			case line[i] == '\'':
				return i + 1
			}
		}
	case 0:
		if strings.HasPrefix(line, n.Value) {
			return len(n.Value)
		}
	}
	return 0
}

// switches are texts that Ansible's YAML 1.1 takes for true or false.
var switches = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false)$`)

// sexagesimal matches what YAML 1.1 takes for a number to the base of sixty.
var sexagesimal = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

// scalarText writes a value as the one before it is written: in its quotes, or
// bare where that reads back as the same type.
func scalarText(old *yaml.Node, v penumbra.Value) string {
	text := v.Text()
	switch {
	case v.Kind() == penumbra.BoolKind:
		if switches.MatchString(old.Value) && old.Style == 0 && len(old.Value) <= 3 {
			return map[string]string{"true": "yes", "false": "no"}[text]
		}
		return text
	case v.Kind() == penumbra.NumberKind:
		return text
	case unprintable(text):
	case old.Style == yaml.SingleQuotedStyle:
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	case old.Style == 0 && bare(old, text):
		return text
	}
	return Quoted(text)
}

// Quoted writes a text as a string in double quotes, with an escape for each
// character that one version of YAML or another does not take for itself: line breaks
// of every kind, and what cannot be printed, which Python's reader refuses a whole
// file for.
func Quoted(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is read by people
	_ = e.Encode(text)     // a string of JSON is one of YAML, and a string has always one
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		if r < 0x7f || printable(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, `\u%04x`, r) // all of them are below U+10000
		}
	}
	return out.String()
}

// printable reports whether a character stands for itself in YAML 1.1 (its
// specification, 4.1) and breaks no line.
func printable(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
		return false
	}
	return true
}

func unprintable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return !printable(r) })
}

// other11 matches what YAML 1.1 reads as something else than a text, and YAML 1.2 does
// not: numbers in other spellings, times, the keys of merges and defaults.
var other11 = regexp.MustCompile(`^([-+]?0b[01_]+|[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+([eE][-+]?[0-9]+)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?|<<|=)$`)

// plainNumber reports whether all read a text as the same number, and write that as
// the same text: 010 is 8 to some, and 2.50 comes back as 2.5.
func plainNumber(text string) bool {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.FormatInt(n, 10) == text
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && math.Abs(f) < 1e15 && strconv.FormatFloat(f, 'f', -1, 64) == text
}

// bare reports whether a text may stand without quotes.
func bare(old *yaml.Node, text string) bool {
	var n yaml.Node
	if yaml.Unmarshal([]byte("k: "+text+"\n"), &n) != nil || len(n.Content) == 0 || len(n.Content[0].Content) != 2 {
		return false
	}
	at := n.Content[0].Content[1]
	if at.Kind != yaml.ScalarNode || at.Value != text || at.Style != 0 || at.LineComment != "" || strings.ContainsAny(text, ",[]{}") {
		return false
	}
	if at.Tag == "!!str" {
		return !switches.MatchString(text) && !sexagesimal.MatchString(text) && !other11.MatchString(text)
	}
	return at.Tag == old.Tag && (plainNumber(text) || text == "true" || text == "false")
}

// Spliced returns the text with the values replaced, after reading it back: nothing but the
// values that were asked for may have changed.
func (d *Document) Spliced() (string, error) {
	if len(d.cuts) == 0 {
		return d.Text, nil
	}
	cuts := slices.Clone(d.cuts)
	slices.SortFunc(cuts, func(a, b cut) int { return cmp.Compare(a.start, b.start) })
	var b strings.Builder
	at := 0
	for _, c := range cuts {
		if c.start < at {
			return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s:%d would be replaced twice: one value serves several settings", d.Name, c.node.Line), Remedy: "edit it by hand"}
		}
		b.WriteString(d.Text[at:c.start] + c.text)
		at = c.end
	}
	b.WriteString(d.Text[at:])
	after := &Document{Name: d.Name, Text: b.String()}
	err := after.parse()
	if err == nil && !d.sameBut(d.Root, after.Root) {
		err = &penumbra.Error{Kind: penumbra.Refused, What: d.Name + " would change in more than the values", Remedy: "edit it by hand"}
	}
	return after.Text, err
}

// sameBut compares the document before and after the cuts.
func (d *Document) sameBut(a, b *yaml.Node) bool {
	for _, c := range d.cuts {
		if c.node == a {
			same := b.Value == c.value || switches.MatchString(b.Value) && switches.MatchString(c.value)
			return b.Kind == yaml.ScalarNode && same
		}
	}
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !d.sameBut(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// Child returns what a mapping has under a key, or a sequence at an index.
func Child(n *yaml.Node, step string) *yaml.Node {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// MappingAt returns the innermost mapping that starts on a line.
func MappingAt(n *yaml.Node, line int) *yaml.Node {
	var out *yaml.Node
	if n.Kind == yaml.MappingNode && n.Line == line {
		out = n
	}
	for _, c := range n.Content {
		if out != nil && c.Line != line {
			continue // of a task that begins there, not of its arguments
		}
		if x := MappingAt(c, line); x != nil && out == nil {
			out = x
		}
	}
	return out
}

// MappingsTo returns the mappings around a line and the one that starts on it, the
// innermost first.
func MappingsTo(n *yaml.Node, line int) []*yaml.Node {
	target := MappingAt(n, line)
	if target == nil {
		return nil
	}
	var walk func(n *yaml.Node) []*yaml.Node
	walk = func(n *yaml.Node) []*yaml.Node {
		if n == target {
			return []*yaml.Node{n}
		}
		for _, c := range n.Content {
			if way := walk(c); way != nil {
				if n.Kind == yaml.MappingNode {
					way = append(way, n)
				}
				return way
			}
		}
		return nil
	}
	return walk(n)
}
