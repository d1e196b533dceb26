package git

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/penumbra-iac/penumbra"
)

// blocks reads the resources and the module calls of OpenTofu or Terraform code.
func (p parser) blocks(src []byte) ([]*resource, Reason, string) {
	body, reason, detail := parseHCL(src)
	if reason != 0 {
		return nil, reason, detail
	}
	var found []*resource
	for _, b := range body.Blocks {
		f := flattener{src: src}
		r := &resource{}
		switch {
		case b.Type == "resource" && len(b.Labels) == 2 && named(b.Labels):
			r.local, r.kind = b.Labels[0]+"."+b.Labels[1], b.Labels[0]
			f.secret = secretPlaces(b.Labels[0])
			f.body("", b.Body, 0)
		case b.Type == "module" && len(b.Labels) == 1 && named(b.Labels):
			r.local = "module." + b.Labels[0]
			f.body("", b.Body, 0)
			r.kind = f.module(b.Body)
		case p.symbols && b.Type == "locals":
			found = append(found, p.locals(src, b.Body)...)
			continue
		case p.symbols && b.Type == "variable" && len(b.Labels) == 1 && named(b.Labels):
			r.local, r.kind = "var."+b.Labels[0], variableKind
			f.body("", b.Body, 0)
		default:
			continue
		}
		if p.symbols {
			r.code = codeOf(b.Body)
		}
		if f.over {
			reason, detail = TooLarge, r.local
			continue
		}
		r.settings = f.settings(p.key)
		found = append(found, r)
	}
	return found, reason, detail
}

// named reports whether a block's labels are names, as the tools want them.
func named(labels []string) bool {
	return !slices.ContainsFunc(labels, func(l string) bool { return !hclsyntax.ValidIdentifier(l) })
}

// body reads a file that is one list of values, as .tfvars are.
func (p parser) body(src []byte, name, kind string) ([]*resource, Reason, string) {
	body, reason, detail := parseHCL(src)
	if reason != 0 {
		return nil, reason, detail
	}
	f := flattener{src: src}
	f.body("", body, 0)
	if kind == "terragrunt" {
		for _, b := range body.Blocks {
			if b.Type == "terraform" {
				f.sourceRef(b.Body, "terraform.source")
			}
		}
	}
	if f.over {
		return nil, TooLarge, ""
	}
	if len(f.list) == 0 {
		return nil, 0, ""
	}
	return []*resource{{local: name, kind: kind, settings: f.settings(p.key)}}, 0, ""
}

func parseHCL(src []byte) (*hclsyntax.Body, Reason, string) {
	if tangled(src) {
		return nil, TooLarge, "nested too deeply"
	}
	file, diags := hclsyntax.ParseConfig(src, "", hcl.InitialPos)
	if diags.HasErrors() {
		d := diags.Errs()[0].(*hcl.Diagnostic)
		detail := d.Summary
		if d.Subject != nil {
			detail = fmt.Sprintf("line %d: %s", d.Subject.Start.Line, d.Summary)
		}
		if templateMarks.Match(src) {
			return nil, Templated, detail
		}
		return nil, Unparsed, detail
	}
	return file.Body.(*hclsyntax.Body), 0, ""
}

// tangled reports whether source nests so deeply that a parser that calls
// itself for each level could run out of stack: brackets, signs in a row,
// conditions within conditions, splats behind splats, directives. What stands in texts and
// comments counts too, which only makes it careful.
func tangled(src []byte) bool {
	depth, signs, forks := 0, 0, 0
	before := byte(0)
	for _, c := range src {
		switch c {
		case '(', '[':
			depth++
		case '{':
			depth++
			if before == '%' {
				forks += 10 // the parser's time grows with their square
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		case '?':
			forks++
		case '*':
			if before == '[' || before == '.' {
				forks++
			}
		}
		switch c {
		case '!', '-':
			signs++
		case ' ', '\n', '\t', '\r':
			continue // may stand between any two
		default:
			signs = 0
		}
		before = c
		if depth > maxDepth*4 || signs > 10_000 || forks > 20_000 {
			return true
		}
	}
	return false
}

// flattener turns bodies and expressions into leaves.
type flattener struct {
	leaves
	src []byte
	// secret holds the first steps of paths whose texts are secrets.
	secret map[string]bool
}

// secretPlaces returns where a type of resource keeps secrets under names that
// do not tell.
func secretPlaces(kind string) map[string]bool {
	switch {
	case strings.Contains(kind, "secret"):
		return map[string]bool{
			"data": true, "string_data": true, "binary_data": true, "data_json": true, "data_wo": true, "binary_data_wo": true,
			"secret_string": true, "secret_string_wo": true, "secret_binary": true, "secret_data": true, "secret_data_wo": true,
			"value": true, "value_wo": true, "values": true, "plaintext_value": true, "encrypted_value": true,
		}
	case kind == "aws_ssm_parameter":
		return map[string]bool{"value": true, "value_wo": true}
	case kind == "helm_release":
		return map[string]bool{"set_sensitive": true}
	default:
		return nil
	}
}

// body flattens attributes and blocks. The first block of a type has its name
// alone, the next ones a number, so that a second one does not rename the first.
func (f *flattener) body(at string, b *hclsyntax.Body, depth int) {
	if depth > maxDepth {
		f.over = true
		return
	}
	for _, name := range slices.Sorted(maps.Keys(b.Attributes)) {
		f.expression(join(at, name), b.Attributes[name].Expr, depth+1)
	}
	count := map[string]int{}
	for _, block := range b.Blocks {
		name := strings.Join(append([]string{block.Type}, block.Labels...), ".")
		to := join(at, name)
		if n := count[name]; n > 0 {
			to = element(to, strconv.Itoa(n))
		}
		count[name]++
		f.body(to, block.Body, depth+1)
	}
}

func (f *flattener) expression(at string, expr hclsyntax.Expression, depth int) {
	if depth > maxDepth {
		f.over = true
		return
	}
	expr = unwrap(expr)
	if v, ok := literal(expr); ok {
		f.add(leaf{path: at, value: v, secret: f.placed(at)})
		return
	}
	switch e := expr.(type) {
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			f.expression(join(at, f.key(item.KeyExpr)), item.ValueExpr, depth+1)
		}
		if len(e.Items) == 0 {
			f.add(leaf{path: at, value: penumbra.String("{}")})
		}
	case *hclsyntax.TupleConsExpr:
		f.tuple(at, e, depth)
	default:
		mixed := holdsText(expr)
		f.add(leaf{path: at, value: penumbra.String(f.text(expr)), reference: !mixed, mixed: mixed, secret: mixed && f.placed(at)})
	}
}

// placed reports whether a path is where its type keeps secrets.
func (f *flattener) placed(at string) bool {
	first, _, _ := strings.Cut(at, ".")
	first, _, _ = strings.Cut(first, "[")
	return f.secret[first]
}

// tuple flattens a list: of objects each by its name, or by number; any other
// is one value.
func (f *flattener) tuple(at string, e *hclsyntax.TupleConsExpr, depth int) {
	objects := slices.ContainsFunc(e.Exprs, func(x hclsyntax.Expression) bool {
		_, ok := unwrap(x).(*hclsyntax.ObjectConsExpr)
		return ok
	})
	if objects {
		names := elementNames(len(e.Exprs), func(i int) string { return f.field(e.Exprs[i], "name") })
		for i, x := range e.Exprs {
			f.expression(element(at, names[i]), x, depth+1)
		}
		return
	}
	parts := make([]string, len(e.Exprs))
	mixed := false
	for i, x := range e.Exprs {
		v, plain := literal(unwrap(x))
		switch {
		case plain && v.Kind() == penumbra.StringKind:
			parts[i] = strconv.Quote(v.Text())
			mixed = true
		case plain && v.IsNull():
			parts[i] = "null"
		case plain:
			parts[i] = v.Text()
		default:
			parts[i] = f.text(x)
			mixed = mixed || holdsText(x)
		}
	}
	text := "[" + strings.Join(parts, ", ") + "]"
	f.add(leaf{path: at, value: penumbra.String(text), reference: !mixed && len(parts) > 0, mixed: mixed, secret: mixed && f.placed(at)})
}

// elementNames returns the name of each of n elements if all have a different
// one, otherwise their numbers.
func elementNames(n int, name func(int) string) []string {
	out := make([]string, n)
	seen := make(map[string]bool, n)
	for i := range out {
		out[i] = name(i)
		if out[i] == "" || seen[out[i]] {
			for i := range out {
				out[i] = strconv.Itoa(i)
			}
			return out
		}
		seen[out[i]] = true
	}
	return out
}

// field returns a text of an object that is written out, "" if there is none.
func (f *flattener) field(expr hclsyntax.Expression, name string) string {
	object, ok := unwrap(expr).(*hclsyntax.ObjectConsExpr)
	if !ok {
		return ""
	}
	for _, item := range object.Items {
		if f.key(item.KeyExpr) == name {
			if v, ok := literal(unwrap(item.ValueExpr)); ok && v.Kind() == penumbra.StringKind {
				return v.Text()
			}
		}
	}
	return ""
}

func (f *flattener) key(expr hclsyntax.Expression) string {
	if k, ok := expr.(*hclsyntax.ObjectConsKeyExpr); ok {
		if t, ok := k.Wrapped.(*hclsyntax.ScopeTraversalExpr); ok && len(t.Traversal) == 1 && !k.ForceNonLiteral {
			return t.Traversal.RootName()
		}
		expr = k.Wrapped
	}
	if v, ok := literal(unwrap(expr)); ok && !v.IsNull() {
		return v.Text()
	}
	return f.source(expr.Range())
}

// text returns an expression as "${…}", whichever way the file writes it, or a
// template without its quotes.
func (f *flattener) text(expr hclsyntax.Expression) string {
	switch e := unwrap(expr).(type) {
	case *hclsyntax.TemplateWrapExpr:
		return f.text(e.Wrapped)
	case *hclsyntax.TemplateExpr:
		text := f.source(e.Range())
		if strings.HasPrefix(text, "<<") {
			// A heredoc's mark begins it and ends it.
			mark, text, _ := strings.Cut(text, " ")
			return strings.TrimSpace(strings.TrimSuffix(text, strings.TrimLeft(mark, "<-~")))
		}
		return strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`)
	default:
		return "${" + f.source(e.Range()) + "}"
	}
}

// source returns the text of a range with its white space collapsed.
func (f *flattener) source(r hcl.Range) string {
	return strings.Join(strings.Fields(string(r.SliceBytes(f.src))), " ")
}

func unwrap(expr hclsyntax.Expression) hclsyntax.Expression {
	for {
		e, ok := expr.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return expr
		}
		expr = e.Expression
	}
}

// literal returns the scalar that an expression is written as.
func literal(expr hclsyntax.Expression) (penumbra.Value, bool) {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		return scalar(e.Val)
	case *hclsyntax.UnaryOpExpr:
		if v, ok := literal(unwrap(e.Val)); ok && e.Op == hclsyntax.OpNegate && v.Kind() == penumbra.NumberKind && v.Text()[0] != '-' {
			n, err := penumbra.ParseNumber("-" + v.Text())
			return n, err == nil
		}
	case *hclsyntax.TemplateExpr:
		var text strings.Builder
		for _, part := range e.Parts {
			lit, ok := part.(*hclsyntax.LiteralValueExpr)
			if !ok || lit.Val.IsNull() || lit.Val.Type() != cty.String {
				return penumbra.Value{}, false
			}
			text.WriteString(lit.Val.AsString())
		}
		return penumbra.String(text.String()), true
	}
	return penumbra.Value{}, false
}

func scalar(v cty.Value) (penumbra.Value, bool) {
	switch {
	case v.IsNull():
		return penumbra.Null(), true
	case !v.IsKnown():
		return penumbra.Value{}, false
	case v.Type() == cty.String:
		return penumbra.String(v.AsString()), true
	case v.Type() == cty.Bool:
		return penumbra.Bool(v.True()), true
	case v.Type() == cty.Number:
		// Not 'f', and nothing beyond what a float64 has: 1e999999 would be as long as it
		// is large, and take as long.
		if e := v.AsBigFloat().MantExp(nil); e > 1024 || e < -1024 {
			return penumbra.Value{}, false
		}
		n, err := penumbra.ParseNumber(v.AsBigFloat().Text('g', 40))
		if err != nil {
			return penumbra.String(v.AsBigFloat().Text('g', 10)), true
		}
		return n, true
	default:
		return penumbra.Value{}, false
	}
}

// holdsText reports whether an expression has a text written out in it.
func holdsText(expr hclsyntax.Expression) bool {
	found := false
	_ = hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if lit, ok := n.(*hclsyntax.LiteralValueExpr); ok && !lit.Val.IsNull() && lit.Val.Type() == cty.String && lit.Val.AsString() != "" {
			found = true
		}
		return nil
	})
	return found
}

// module returns the type of a module call, and notes the reference within its
// source.
func (f *flattener) module(b *hclsyntax.Body) string {
	name := f.sourceRef(b, "source")
	if name == "" {
		return "module"
	}
	return "module:" + name
}

// sourceRef splits a module's source: the version that it asks for becomes
// source_ref, and stands for the source, which otherwise is left as it is. It
// returns the last part of the source.
func (f *flattener) sourceRef(b *hclsyntax.Body, at string) string {
	attr, ok := b.Attributes["source"]
	if !ok {
		return ""
	}
	v, ok := literal(unwrap(attr.Expr))
	if !ok || v.Kind() != penumbra.StringKind {
		return ""
	}
	place, query, _ := strings.Cut(v.Text(), "?")
	values, _ := url.ParseQuery(query)
	if ref := values.Get("ref"); ref != "" {
		f.list = slices.DeleteFunc(f.list, func(x leaf) bool { return x.path == at })
		f.add(leaf{path: at + "_ref", value: penumbra.String(ref), reference: true})
	}
	return lastPart(place)
}

// lastPart names a module by the last part of where it is: the folder within
// the repository if one is given, else the repository; of the registry's
// namespace/name/provider the name.
func lastPart(place string) string {
	scheme := ""
	if i := strings.Index(place, "://"); i >= 0 {
		scheme, place = place[:i], place[i+3:]
	}
	place, below, inside := strings.Cut(place, "//")
	if inside && strings.Trim(below, "/") != "" {
		return path.Base(below)
	}
	place = strings.TrimSuffix(strings.Trim(place, "/"), ".git")
	parts := strings.Split(place, "/")
	registry := scheme == "" && !strings.HasPrefix(place, ".") && !strings.Contains(place, ":") &&
		(len(parts) == 3 && !strings.Contains(parts[0], ".") || len(parts) == 4 && strings.Contains(parts[0], ".") && !isForge(parts[0]))
	if registry {
		return parts[len(parts)-2]
	}
	last := parts[len(parts)-1]
	if i := strings.LastIndexByte(last, ':'); i >= 0 {
		last = last[i+1:]
	}
	return strings.Join(strings.Fields(clean(last)), "-")
}

func isForge(host string) bool {
	return host == "github.com" || host == "gitlab.com" || host == "bitbucket.org"
}
