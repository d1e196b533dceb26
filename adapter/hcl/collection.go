package hcl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// longestKey returns the index of the longest key that is path or leads to it:
// keys may hold dots.
func longestKey(keys []string, path string) (index int, below string, ok bool) {
	best := -1
	for i, key := range keys {
		if (key == path || strings.HasPrefix(path, key+".")) && key != "" && (best < 0 || len(key) >= len(keys[best])) {
			best = i
		}
	}
	if best < 0 {
		return 0, "", false
	}
	return best, strings.TrimPrefix(strings.TrimPrefix(path, keys[best]), "."), true
}

// stepInObject goes one step of the way down. A step that the object does not
// have is added, if it is the last one.
func (e *editor) stepInObject(p place, v *hclsyntax.ObjectConsExpr, whole span, rest string, x penumbra.Setting) error {
	step := p.steps[0]
	p.steps = p.steps[1:]
	keys, spans := itemsOf(v)
	if i := slices.Index(keys, step); i >= 0 {
		p.remove = func() error { return p.file.removeElement(whole, spans, i) }
		return e.setExpr(p, v.Items[i].ValueExpr, rest, x)
	}
	if x.Value.IsNull() && !slices.Contains(keys, "") {
		return nil
	}
	first, _, _ := strings.Cut(rest, ".")
	if len(p.steps) > 0 || slices.Contains(keys, "") || isIndex(first) {
		return refuse(fmt.Sprintf("%s would be under %q, which is not written out (%s)", x.Path, step, p.file.at(v.SrcRange)), "write it there by hand")
	}
	value := spell(x.Value)
	if rest != "" {
		value = "{ " + spellKey(rest) + " = " + value + " }"
	}
	return e.edit(p, x.Path, func() error { return p.file.addElement(whole, spans, spellKey(step), value, false) })
}

// stepInList goes one step of the way down, by index.
func (e *editor) stepInList(p place, v *hclsyntax.TupleConsExpr, rest string, x penumbra.Setting) error {
	i, err := strconv.Atoi(p.steps[0])
	if err != nil || i < 0 || i >= len(v.Exprs) {
		return refuse(fmt.Sprintf("%s would be at %q of a list of %d (%s)", x.Path, p.steps[0], len(v.Exprs), p.file.at(v.SrcRange)), "change it by hand")
	}
	p.steps, p.remove = p.steps[1:], nil
	return e.setExpr(p, v.Exprs[i], rest, x)
}

// setInObject sets an entry of an object that is written out.
func (e *editor) setInObject(p place, v *hclsyntax.ObjectConsExpr, whole span, rest string, x penumbra.Setting) error {
	keys, spans := itemsOf(v)
	if i, below, ok := longestKey(keys, rest); ok {
		p.remove = func() error { return p.file.removeElement(whole, spans, i) }
		return e.setExpr(p, v.Items[i].ValueExpr, below, x)
	}
	if slices.Contains(keys, "") {
		return refuse(fmt.Sprintf("%s may be under a computed key (%s)", x.Path, p.file.at(v.SrcRange)), "change it by hand")
	}
	if x.Value.IsNull() {
		return nil
	}
	return e.edit(p, x.Path, func() error {
		return p.file.addElement(whole, spans, spellKey(rest), spell(x.Value), false)
	})
}

// itemsOf returns an object's keys, "" for those that are computed, and where
// its items are.
func itemsOf(v *hclsyntax.ObjectConsExpr) (keys []string, spans []span) {
	for _, item := range v.Items {
		key, _ := keyOf(item.KeyExpr)
		keys = append(keys, key)
		spans = append(spans, span{item.KeyExpr.Range().Start.Byte, item.ValueExpr.Range().End.Byte})
	}
	return keys, spans
}

// setInList sets an element of a list, or a member of a set, that is written
// out.
func (e *editor) setInList(p place, v *hclsyntax.TupleConsExpr, whole span, rest string, x penumbra.Setting) error {
	var spans []span
	var members []string
	bools := true
	for _, item := range v.Exprs {
		spans = append(spans, span{item.Range().Start.Byte, item.Range().End.Byte})
		value, ok := literalExpr(item)
		if !ok {
			members = append(members, "")
			bools = false
			continue
		}
		members = append(members, value.Text())
		bools = bools && value.Kind() == penumbra.BoolKind
	}
	at := func(i int, below string) error {
		p.remove = func() error { return p.file.removeElement(whole, spans, i) }
		return e.setExpr(p, v.Exprs[i], below, x)
	}
	if named, ok := names(v.Exprs); ok {
		if i, below, found := longestKey(named, rest); found {
			return at(i, below)
		}
	}
	member := slices.Index(members, rest)
	step, below, _ := strings.Cut(rest, ".")
	i, err := strconv.Atoi(step)
	byIndex := err == nil && i >= 0 && i < len(spans)
	asMember := !bools && (x.Value == penumbra.Bool(true) || x.Value.IsNull() && member >= 0)
	switch {
	case asMember && byIndex && x.Value.IsNull():
		return refuse(fmt.Sprintf("%s may be an index or a member of a set (%s)", x.Path, p.file.at(v.SrcRange)), "change it by hand")
	case asMember && member >= 0 && x.Value.IsNull():
		return e.edit(p, x.Path, func() error { return p.file.removeElement(whole, spans, member) })
	case asMember && member >= 0:
		return nil
	case byIndex && !asMember:
		return at(i, below)
	case x.Value.IsNull() && below == "":
		return nil
	case asMember:
		return e.addMember(p, v, whole, spans, rest, x)
	case err == nil && i == len(spans) && below == "":
		return e.edit(p, x.Path, func() error { return p.file.addElement(whole, spans, "", spell(x.Value), true) })
	default:
		return refuse(fmt.Sprintf("%s is not among the %d elements written at %s", x.Path, len(spans), p.file.at(v.SrcRange)), "add the element by hand")
	}
}

// addMember adds a member of a set; it is a number if all others are.
func (e *editor) addMember(p place, v *hclsyntax.TupleConsExpr, whole span, spans []span, member string, x penumbra.Setting) error {
	value := penumbra.String(member)
	numbers := len(v.Exprs) > 0
	for _, item := range v.Exprs {
		y, ok := literalExpr(item)
		numbers = numbers && ok && y.Kind() == penumbra.NumberKind
	}
	if n, err := penumbra.ParseNumber(member); err == nil && numbers {
		value = n
	}
	if penumbra.LooksSecret("", value) {
		return refuse(x.Path+" looks like a secret", "change it where your secrets are kept")
	}
	return e.edit(p, x.Path, func() error { return p.file.addElement(whole, spans, "", spell(value), true) })
}
