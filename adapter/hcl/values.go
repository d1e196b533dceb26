package hcl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/penumbra-iac/penumbra"
)

// Values returns the patch after which the code of the stack in dir declares
// these values of a resource; null removes a setting. A patch without files
// says that it declares them already. Errors are of kind Invalid, with file and
// line, for code that does not parse; NotFound if the resource is not in it;
// Missing if it cannot be read; Refused, with what to do instead, for what
// cannot be edited without touching more than was asked for.
func Values(dir, stack string, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	settings = slices.Clone(settings)
	for _, x := range settings {
		switch {
		case x.Sensitive || x.Value.Kind() == penumbra.SecretKind || penumbra.LooksSecret(x.Path, x.Value):
			return penumbra.Patch{}, refuse(fmt.Sprintf("the value of %s is a secret, which no patch may hold", x.Path), "change it where your secrets are kept")
		case x.Value.Kind() == penumbra.UnknownKind:
			return penumbra.Patch{}, refuse(fmt.Sprintf("the value of %s is not known", x.Path), "apply the code first")
		case x.Path == "":
			return penumbra.Patch{}, refuse("the resource as a whole is no setting", "add or remove its block by hand")
		}
	}
	slices.SortStableFunc(settings, inOrder)
	c := open(dir)
	at, err := c.locate(address)
	if err != nil {
		return penumbra.Patch{}, err
	}
	e := &editor{code: c}
	for _, x := range settings {
		if err := e.set(at, x); err != nil {
			return penumbra.Patch{}, err
		}
	}
	// Once more: code that declares the values is left as it is, so an edit now
	// says that the first ones did not do what they were to.
	notes, files := slices.Clone(e.notes), e.edits
	for _, x := range settings {
		if err := e.set(at, x); err != nil {
			return penumbra.Patch{}, err
		}
	}
	if e.edits != files {
		return penumbra.Patch{}, refuse(fmt.Sprintf("the settings of %s stand in each other's way", address.Local()), "change the code by hand")
	}
	return c.patch(stack, notes)
}

// inOrder puts removals last, and of a list's elements the last first, so that
// no index moves before it is used.
func inOrder(a, b penumbra.Setting) int {
	if x, y := a.Value.IsNull(), b.Value.IsNull(); x != y {
		if x {
			return 1
		}
		return -1
	}
	order := naturally(a.Path, b.Path)
	if a.Value.IsNull() {
		return -order
	}
	return order
}

// naturally compares paths step by step, numbers by their size.
func naturally(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, errM := strconv.Atoi(x[i])
		n, errN := strconv.Atoi(y[i])
		if errM == nil && errN == nil && m != n {
			return m - n
		}
		if d := strings.Compare(x[i], y[i]); d != 0 {
			return d
		}
	}
	return len(x) - len(y)
}

// patch makes the patch of what was edited.
func (c *code) patch(stack string, notes []string) (penumbra.Patch, error) {
	p := penumbra.Patch{Stack: stack, Note: strings.Join(notes, "; ")}
	for _, f := range c.edited() {
		if where := f.secret(); where != "" {
			return penumbra.Patch{}, refuse(fmt.Sprintf("%s holds what looks like a secret, and a patch keeps the whole file", where), "move the secret out of the code, or change the file by hand")
		}
		base := sha256.Sum256(f.before)
		p.Files = append(p.Files, penumbra.FilePatch{
			Path: f.path, Base: hex.EncodeToString(base[:]), Before: string(f.before), After: string(f.src),
			Diff: unified(f.path, string(f.before), string(f.src)),
		})
	}
	return p, nil
}

// unified returns the diff of one file in the form that git takes.
func unified(path, before, after string) string {
	diff, err := udiff.ToUnifiedDiff("a/"+path, "b/"+path, before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil {
		return "" // edits that a diff just made always fit its text
	}
	// The library counts the lines of the new file wrongly where a hunk adds
	// before it deletes: each hunk begins where the earlier ones have moved it.
	moved := 0
	for _, h := range diff.Hunks {
		h.ToLine = h.FromLine + moved
		for _, l := range h.Lines {
			switch l.Kind {
			case udiff.Insert:
				moved++
			case udiff.Delete:
				moved--
			}
		}
	}
	return diff.String()
}

// editor edits code one setting at a time.
type editor struct {
	*code
	edits int
	notes []string
}

func (e *editor) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(e.notes, text) {
		e.notes = append(e.notes, text)
	}
}

// place is where an expression was found: in which block, and what keeps it
// from being changed for one instance alone.
type place struct {
	file  *file
	scope *scope
	// own says why a value in the scope's block is shared by its instances,
	// outer why one below it is; "" where there is no reason. The first is void
	// behind each.value.
	own, outer string
	// steps are what the way here leads to before the setting's own path goes
	// on: the attribute of each.value.NAME, the instance's key.
	steps []string
	// remove takes the whole expression away, with its name.
	remove func() error
}

// blocked returns an error if a value written here would reach further than the
// setting that was asked for.
func (e *editor) blocked(p place, path string) error {
	why := p.own
	if p.outer != "" {
		why = p.outer
	}
	if why == "" {
		why = p.scope.sharedModule(e.code)
	}
	if why == "" {
		return nil
	}
	what, remedy, _ := strings.Cut(why, ": ")
	return refuse(path+" "+what, remedy)
}

// splice replaces a range of a place's file, if that is allowed.
func (e *editor) splice(p place, s span, text, path string) error {
	return e.edit(p, path, func() error { return p.file.splice(s.start, s.end, text) })
}

func (e *editor) edit(p place, path string, change func() error) error {
	if err := e.blocked(p, path); err != nil {
		return err
	}
	e.edits++
	return change()
}

// set has the scope's block declare a setting.
func (e *editor) set(s *scope, x penumbra.Setting) error {
	at, err := s.find()
	if err != nil {
		return err
	}
	p := place{file: at.file, scope: s, own: s.shared()}
	return e.setInBody(p, at.block, x.Path, x)
}

// setInBody sets what is at rest below a block.
func (e *editor) setInBody(p place, block *hclsyntax.Block, rest string, x penumbra.Setting) error {
	name, below, _ := strings.Cut(rest, ".")
	if attr, ok := block.Body.Attributes[name]; ok {
		p.remove = func() error { return p.file.removeAttribute(attr) }
		return e.setExpr(p, attr.Expr, below, x)
	}
	var nested []*hclsyntax.Block
	for _, b := range block.Body.Blocks {
		if b.Type == name {
			nested = append(nested, b)
		}
		if b.Type == "dynamic" && len(b.Labels) == 1 && b.Labels[0] == name {
			return refuse(fmt.Sprintf("%s is made by a dynamic block (%s)", x.Path, p.file.at(b.TypeRange)), "change what the dynamic block iterates over")
		}
	}
	if len(nested) > 0 {
		b, below, err := nestedBlock(nested, below, x.Path)
		if err != nil || b == nil {
			return err
		}
		return e.setInBody(p, b, below, x)
	}
	if x.Value.IsNull() {
		return nil
	}
	if !hclsyntax.ValidIdentifier(name) {
		return badPath(x.Path)
	}
	if below == "" {
		return e.edit(p, x.Path, func() error { return p.file.addAttribute(block, name, spell(x.Value)) })
	}
	if step, _, _ := strings.Cut(below, "."); isIndex(step) || x.Value == penumbra.Bool(true) {
		return refuse(fmt.Sprintf("the code has no %s yet, and whether it is a list, a set, a map or a block cannot be told from %s", name, x.Path), "add "+name+" by hand")
	}
	return e.edit(p, x.Path, func() error {
		indent := p.file.indent(block.TypeRange.Start.Byte)
		nl := p.file.newline()
		return p.file.addAttribute(block, name, "{"+nl+indent+"    "+spellKey(below)+" = "+spell(x.Value)+nl+indent+"  }")
	})
}

func badPath(path string) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q is not the path of a setting", path), Remedy: "write it as NAME, NAME.KEY or NAME.INDEX"}
}

func isIndex(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// nestedBlock chooses one of the blocks of a type: by its name, key or id, by
// index, or the only one. It returns nil if there is none at an index to remove.
func nestedBlock(nested []*hclsyntax.Block, below, path string) (*hclsyntax.Block, string, error) {
	for _, field := range [...]string{"name", "key", "id"} {
		for _, b := range nested {
			if name, ok := stringAttribute(b.Body, field); ok && strings.HasPrefix(below, name+".") {
				return b, below[len(name)+1:], nil
			}
		}
	}
	step, rest, _ := strings.Cut(below, ".")
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(nested) && rest != "" {
		return nested[i], rest, nil
	}
	if len(nested) == 1 && below != "" && !isIndex(step) {
		return nested[0], below, nil
	}
	return nil, "", refuse(fmt.Sprintf("%s names a nested block that the code does not have, or that is named by its content", path), "change the nested blocks by hand")
}

// setExpr sets what is at rest below an expression.
func (e *editor) setExpr(p place, expr hclsyntax.Expression, rest string, x penumbra.Setting) error {
	expr = unwrap(expr)
	whole := span{expr.Range().Start.Byte, expr.Range().End.Byte}
	switch v := expr.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return e.follow(p, v, rest, x)
	case *hclsyntax.IndexExpr:
		if collection, ok := v.Collection.(*hclsyntax.ScopeTraversalExpr); ok && p.scope.step.keyed && isOwnKey(v.Key) {
			p.own, p.steps = "", append([]string{p.scope.step.key}, p.steps...)
			return e.follow(p, collection, rest, x)
		}
	case *hclsyntax.ObjectConsExpr:
		if len(p.steps) > 0 {
			return e.stepInObject(p, v, whole, rest, x)
		}
		if rest != "" {
			return e.setInObject(p, v, whole, rest, x)
		}
	case *hclsyntax.TupleConsExpr:
		if len(p.steps) > 0 {
			return e.stepInList(p, v, rest, x)
		}
		if rest != "" {
			return e.setInList(p, v, whole, rest, x)
		}
	case *hclsyntax.FunctionCallExpr:
		if v.Name == "merge" && len(v.Args) > 0 && rest != "" && !v.ExpandFinal && len(p.steps) == 0 {
			return e.setInMerge(p, v, rest, x)
		}
	}
	if now, ok := literalExpr(expr); ok && rest == "" && len(p.steps) == 0 {
		return e.setLiteral(p, whole, now, x)
	}
	return refuse(fmt.Sprintf("%s is computed as %s (%s)", x.Path, p.file.text(expr.Range()), p.file.at(expr.Range())), "change what it is computed from, or write the value in its place by hand")
}

// setLiteral replaces a scalar that is written out.
func (e *editor) setLiteral(p place, whole span, now penumbra.Value, x penumbra.Setting) error {
	if now == x.Value {
		return nil
	}
	if strings.HasPrefix(string(p.file.src[whole.start:whole.end]), "<<") {
		return refuse(fmt.Sprintf("%s is a heredoc (%s:%d)", x.Path, p.file.path, strings.Count(string(p.file.src[:whole.start]), "\n")+1), "change its text by hand")
	}
	if !x.Value.IsNull() {
		return e.splice(p, whole, spell(x.Value), x.Path)
	}
	if p.remove == nil {
		return refuse(x.Path+" cannot be removed where it is written ("+p.file.path+")", "remove it by hand")
	}
	return e.edit(p, x.Path, p.remove)
}

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

// setInMerge sets an entry of merge(…): in the last argument that has it, or
// else in the last one, which wins over the others.
func (e *editor) setInMerge(p place, v *hclsyntax.FunctionCallExpr, rest string, x penumbra.Setting) error {
	last := len(v.Args) - 1
	for i := last; i >= 0; i-- {
		object, ok := unwrap(v.Args[i]).(*hclsyntax.ObjectConsExpr)
		if !ok {
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
	if x.Value.IsNull() {
		return refuse(fmt.Sprintf("%s comes from an argument of merge that others may use too (%s)", x.Path, p.file.at(v.Range())), "remove it where it is written, or ignore it")
	}
	if _, ok := unwrap(v.Args[last]).(*hclsyntax.ObjectConsExpr); ok {
		return e.setExpr(p, v.Args[last], rest, x)
	}
	end := v.Args[last].Range().End.Byte
	return e.splice(p, span{end, end}, ", { "+spellKey(rest)+" = "+spell(x.Value)+" }", x.Path)
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
