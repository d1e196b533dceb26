package hcl

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/penumbra-iac/penumbra"
)

// setInCall sets what a call of a function comes to, by changing what it is
// called with. done is false for functions that cannot be turned around.
func (e *editor) setInCall(p place, v *hclsyntax.FunctionCallExpr, rest string, x penumbra.Setting) (done bool, err error) {
	if len(v.Args) == 0 || v.ExpandFinal {
		return false, nil
	}
	switch v.Name {
	case "merge":
		switch {
		case len(p.steps) > 0:
			return true, e.stepInMerge(p, v, rest, x)
		case rest != "":
			return true, e.setInMerge(p, v, rest, x)
		}
	case "lookup":
		return e.setInLookup(p, v, rest, x)
	case "try":
		if e.holds(p, v, rest, x) {
			return true, nil
		}
		p.remove = nil
		return true, e.setExpr(p, v.Args[0], rest, x)
	case "coalesce":
		for _, arg := range v.Args {
			now, ok := e.value(p, arg)
			if !ok {
				return false, nil
			}
			if !now.IsNull() && !now.RawEquals(cty.StringVal("")) {
				p.remove = nil
				return true, e.setExpr(p, arg, rest, x)
			}
		}
	case "jsonencode":
		if rest == "" && len(p.steps) == 0 && x.Value.Kind() == penumbra.StringKind {
			return true, e.setEncoded(p, v, x)
		}
	}
	return false, nil
}

// setInLookup sets what lookup(MAP, KEY, DEFAULT) finds: the map's entry, which
// is added if the default held until now.
func (e *editor) setInLookup(p place, v *hclsyntax.FunctionCallExpr, rest string, x penumbra.Setting) (done bool, err error) {
	if len(v.Args) < 2 {
		return false, nil
	}
	if e.holds(p, v, rest, x) {
		return true, nil
	}
	key := ""
	if p.scope.step.keyed && isOwnKey(v.Args[1]) && len(p.iterators) == 0 {
		p.own, p.except, key = "", nil, p.scope.step.key
	} else if now, ok := e.value(p, v.Args[1]); ok {
		key = textOf(now)
	}
	if key == "" {
		return false, nil
	}
	p.steps, p.remove = prepend(key, p.steps), nil
	return true, e.setElement(p, v.Args[0], rest, x)
}

// stepInMerge goes on in the last argument of merge(…) that has the next step.
func (e *editor) stepInMerge(p place, v *hclsyntax.FunctionCallExpr, rest string, x penumbra.Setting) error {
	for _, arg := range slices.Backward(v.Args) {
		now, ok := e.value(p, arg)
		if !ok {
			break
		}
		if _, has := elementOf(now, p.steps[0]); has {
			return e.setElement(p, arg, rest, x)
		}
	}
	return p.computed(v, x)
}

// setInMerge sets an entry of merge(…): in the last argument that has it, or
// else in the last one, which wins over the others.
func (e *editor) setInMerge(p place, v *hclsyntax.FunctionCallExpr, rest string, x penumbra.Setting) error {
	last := len(v.Args) - 1
	for i := last; i >= 0; i-- {
		object, ok := unwrap(v.Args[i]).(*hclsyntax.ObjectConsExpr)
		if !ok {
			if e.isException(v.Args[i]) {
				if e.holds(p, v.Args[i], rest, x) || i == last && !x.Value.IsNull() && p.own != "" {
					return e.setExpr(p, v.Args[i], rest, x)
				}
				continue
			}
			break // what it has is not known here: the entry goes behind it
		}
		keys, _ := itemsOf(object)
		if _, _, has := longestKey(keys, rest); has {
			if x.Value.IsNull() && i > 0 {
				return refuse(fmt.Sprintf("%s may come back from another argument of merge (%s)", x.Path, p.file.at(v.Range())), "remove it by hand")
			}
			return e.setExpr(p, object, rest, x)
		}
	}
	if e.holds(p, v, rest, x) {
		return nil
	}
	if x.Value.IsNull() {
		return refuse(fmt.Sprintf("%s comes from an argument of merge that others may use too (%s)", x.Path, p.file.at(v.Range())), "remove it where it is written, or ignore it")
	}
	if _, ok := unwrap(v.Args[last]).(*hclsyntax.ObjectConsExpr); ok {
		return e.setExpr(p, v.Args[last], rest, x)
	}
	end := v.Args[last].Range().End.Byte
	return e.splice(p, span{end, end}, ", { "+spellKey(rest)+" = "+spell(x.Value)+" }", x.Path)
}

// setEncoded has jsonencode(…) write another text, by setting the values in
// which the two differ.
func (e *editor) setEncoded(p place, v *hclsyntax.FunctionCallExpr, x penumbra.Setting) error {
	if e.holds(p, v, "", x) {
		return nil
	}
	want, err := decoded(x.Value.Text())
	if err != nil {
		return refuse(fmt.Sprintf("%s is no JSON any more, and the code writes it with jsonencode (%s)", x.Path, p.file.at(v.Range())), "write it in another way by hand")
	}
	if text, err := ctyjson.Marshal(want, want.Type()); err != nil || string(text) != x.Value.Text() {
		return refuse(fmt.Sprintf("%s is laid out in another way than jsonencode writes it (%s)", x.Path, p.file.at(v.Range())), "write the text as it is by hand, or bring it back")
	}
	now, ok := e.value(p, v.Args[0])
	if !ok {
		return p.computed(v, x)
	}
	p.remove, p.except = nil, nil
	for _, s := range changedBelow("", now, want) {
		if s.Value.Kind() == penumbra.UnknownKind {
			return refuse(fmt.Sprintf("%s has another structure than the code gives it (%s)", x.Path, p.file.at(v.Range())), "change it by hand")
		}
		at, rest, err := e.anew(p, v, s)
		if err != nil {
			return err
		}
		if err := e.setExpr(p, at, rest, penumbra.Setting{Path: x.Path, Value: s.Value}); err != nil {
			return err
		}
	}
	return nil
}

// anew finds the argument of a call again, whose file an edit has parsed anew.
func (e *editor) anew(p place, v *hclsyntax.FunctionCallExpr, s penumbra.Setting) (hclsyntax.Expression, string, error) {
	for n := range nodesOf[*hclsyntax.FunctionCallExpr](p.file.body) {
		if n.Name == v.Name && n.NameRange.Start.Byte == v.NameRange.Start.Byte && len(n.Args) == len(v.Args) {
			return n.Args[0], s.Path, nil
		}
	}
	return nil, "", p.computed(v, s)
}

func decoded(text string) (cty.Value, error) {
	t, err := ctyjson.ImpliedType([]byte(text))
	if err != nil {
		return cty.NilVal, err
	}
	return ctyjson.Unmarshal([]byte(text), t)
}

// changedBelow returns the scalars in which two values differ, at paths below;
// unknown for what is no scalar and differs in its kind.
func changedBelow(path string, now, want cty.Value) []penumbra.Setting {
	same := func() bool {
		a, errA := ctyjson.Marshal(now, now.Type())
		b, errB := ctyjson.Marshal(want, want.Type())
		return errA == nil && errB == nil && bytes.Equal(a, b)
	}
	if same() {
		return nil
	}
	v, scalar := literalOf(want)
	_, was := literalOf(now)
	if scalar && was && path != "" {
		return []penumbra.Setting{{Path: path, Value: v}}
	}
	wanted, mapped := keysOf(want)
	had, _ := keysOf(now)
	if scalar || was || !mapped && len(wanted) != len(had) {
		return []penumbra.Setting{{Path: path, Value: penumbra.Unknown()}}
	}
	var out []penumbra.Setting
	for _, key := range wanted {
		y, _ := elementOf(want, key)
		x, ok := elementOf(now, key)
		if !ok {
			added, scalar := literalOf(y)
			if !scalar {
				added = penumbra.Unknown()
			}
			out = append(out, penumbra.Setting{Path: penumbra.JoinPath(path, key), Value: added})
			continue
		}
		out = append(out, changedBelow(penumbra.JoinPath(path, key), x, y)...)
	}
	for _, key := range had {
		if !slices.Contains(wanted, key) {
			out = append(out, penumbra.Setting{Path: penumbra.JoinPath(path, key), Value: penumbra.Null()})
		}
	}
	return out
}
