package yamledit

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// InsertItem returns the text with one more item in a sequence, before the one
// that starts on a line and the comments right above it. The item's lines are
// without the dash and as if they stood at the margin. It returns an error of kind
// Refused if no item starts there with a dash of its own; what is returned, read
// back, has the item and nothing else that is new.
func (d *Document) InsertItem(line int, item []string) (string, error) {
	refused := func(why string) (string, error) {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s:%d %s", d.Name, line, why), Remedy: "edit it by hand"}
	}
	target := MappingAt(d.Root, line)
	lines := strings.SplitAfter(d.Text, "\n")
	if target == nil || line < 1 || line > len(lines) {
		return refused("is no item that begins there")
	}
	first := lines[line-1]
	indent := first[:len(first)-len(strings.TrimLeft(first, " "))]
	rest, dashed := strings.CutPrefix(first[len(indent):], "-")
	if !dashed || strings.TrimLeft(rest, " ") == rest {
		return refused("does not begin with a dash on that line")
	}
	nl := "\n"
	if strings.HasSuffix(first, "\r\n") {
		nl = "\r\n"
	}
	var b strings.Builder
	for i, text := range item {
		lead := "- "
		if i > 0 {
			lead = "  "
		}
		b.WriteString(indent + lead + text + nl)
	}
	at := line - 1
	for at > 0 && strings.HasPrefix(lines[at-1], indent+"#") {
		at--
	}
	after := &Document{Name: d.Name, Text: strings.Join(lines[:at], "") + b.String() + strings.Join(lines[at:], "")}
	if err := after.parse(); err != nil {
		return "", err
	}
	if !sameButItem(d.Root, after.Root, target) {
		return refused("cannot get an item before it without changing more")
	}
	return after.Text, nil
}

// sameButItem compares the document before and after an item was put before
// another.
func sameButItem(a, b, before *yaml.Node) bool {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor {
		return false
	}
	moved := 0
	for i, x := range a.Content {
		if a.Kind == yaml.SequenceNode && x == before {
			moved = 1
		}
		if i+moved >= len(b.Content) || !sameButItem(x, b.Content[i+moved], before) {
			return false
		}
	}
	return len(b.Content) == len(a.Content)+moved
}
