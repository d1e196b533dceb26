package hcl

import (
	"fmt"
	"iter"
	"strings"

	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/penumbra-iac/penumbra"
)

// setBranch sets the branch of a condition that holds for the resource.
func (e *editor) setBranch(p place, v *hclsyntax.ConditionalExpr, rest string, x penumbra.Setting) error {
	if e.holds(p, v, rest, x) {
		return nil
	}
	cond, ok := e.value(p, v.Condition)
	if !ok || textOf(cond) != "true" && textOf(cond) != "false" {
		return refuse(fmt.Sprintf("%s depends on %s, which does not follow from the code (%s)", x.Path, p.file.text(v.Condition.Range()), p.file.at(v.SrcRange)), "change the branch that holds by hand")
	}
	p.remove = nil
	branch := v.FalseResult
	if textOf(cond) == "true" {
		branch = v.TrueResult
		if isOnlyThisInstance(unwrapped(v.Condition)) {
			p.own, p.except = "", nil
		}
	}
	if p.own == "" || p.except == nil {
		e.note("%s changes where %s is %s", x.Path, clip(p.file.text(v.Condition.Range())), textOf(cond))
	}
	return e.setExpr(p, branch, rest, x)
}

func unwrapped(expr hclsyntax.Expression) hclsyntax.Expression {
	if p, ok := expr.(*hclsyntax.ParenthesesExpr); ok {
		return unwrapped(p.Expression)
	}
	return expr
}

// piece is a part of a template: a stretch of text, or an interpolation with
// what it stands for.
type piece struct {
	text  string
	fixed bool // an interpolation, which stays
	at    span
}

// setTemplate changes the text around the interpolations of a template, which
// stay as long as the new text still holds what they stand for.
func (e *editor) setTemplate(p place, v *hclsyntax.TemplateExpr, whole span, x penumbra.Setting) error {
	if e.holds(p, v, "", x) {
		return nil
	}
	pieces, ok := e.pieces(p, v)
	if !ok || x.Value.Kind() != penumbra.StringKind || strings.HasPrefix(string(p.file.src[whole.start:whole.end]), "<<") {
		return p.computed(v, x)
	}
	texts, ok := around(pieces, x.Value.Text())
	if !ok {
		e.note("%s no longer follows %s", x.Path, clip(p.file.text(v.Range())))
		return e.splice(p, whole, spell(x.Value), x.Path)
	}
	var b strings.Builder
	b.WriteByte('"')
	for i, part := range pieces {
		if part.fixed {
			b.Write(p.file.src[part.at.start:part.at.end])
			continue
		}
		quoted := spellString(texts[i])
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	b.WriteByte('"')
	return e.splice(p, whole, b.String(), x.Path)
}

// pieces takes a template apart; there is a text, maybe empty, before, between
// and behind the interpolations.
func (e *editor) pieces(p place, v *hclsyntax.TemplateExpr) ([]piece, bool) {
	out := []piece{{}}
	for i, part := range v.Parts {
		if lit, ok := part.(*hclsyntax.LiteralValueExpr); ok && lit.Val.Type() == cty.String {
			out[len(out)-1].text += lit.Val.AsString()
			continue
		}
		now, ok := e.value(p, part)
		if !ok || textOf(now) == "" {
			return nil, false
		}
		// From behind the text before it to the text behind it: with its braces.
		at := span{part.Range().Start.Byte, part.Range().End.Byte}
		for at.start > 0 && !strings.HasPrefix(string(p.file.src[at.start:]), "${") {
			at.start--
		}
		end := strings.IndexByte(string(p.file.src[at.end:]), '}')
		if end < 0 {
			return nil, false
		}
		if at.end += end + 1; i > 0 && at.start < v.Parts[i-1].Range().Start.Byte {
			return nil, false
		}
		out = append(out, piece{text: textOf(now), fixed: true, at: at}, piece{})
	}
	return out, true
}

// around returns the texts around the interpolations that make a template come
// to want. There is none, or it is not clear which, if want does not hold what
// each stands for once, in their order.
func around(pieces []piece, want string) ([]string, bool) {
	texts := make([]string, len(pieces))
	for i := 1; i < len(pieces); i += 2 {
		v := pieces[i].text
		if i == 1 && len(pieces) == 3 {
			// One interpolation: the text before or behind it that stayed tells.
			before, behind := pieces[0].text, pieces[2].text
			switch {
			case before != "" && strings.HasPrefix(want, before+v):
				return []string{before, v, want[len(before+v):]}, true
			case behind != "" && strings.HasSuffix(want, v+behind):
				return []string{want[:len(want)-len(v+behind)], v, behind}, true
			}
		}
		if strings.Count(want, v) != 1 {
			return nil, false
		}
		before, after, _ := strings.Cut(want, v)
		texts[i-1], texts[i], want = before, v, after
	}
	texts[len(texts)-1] = want
	return texts, true
}

// setHeredoc writes another text between the marks of a heredoc.
func (e *editor) setHeredoc(p place, whole span, x penumbra.Setting) error {
	f, nl := p.file, p.file.newline()
	src := string(f.src[whole.start:whole.end])
	trailing := ""
	if strings.HasSuffix(src, nl) {
		trailing = nl
	}
	text := x.Value.Text()
	if x.Value.Kind() != penumbra.StringKind || !strings.HasSuffix(text, "\n") || strings.Contains(text, "\r") {
		return e.splice(p, whole, spell(x.Value)+trailing, x.Path) // a heredoc ends with a new line
	}
	lines := strings.SplitAfter(strings.TrimSuffix(src, nl), "\n")
	first, last := lines[0], lines[len(lines)-1]
	indent := ""
	if strings.HasPrefix(src, "<<-") && len(lines) > 2 {
		indent = commonIndent(lines[1 : len(lines)-1])
	}
	var b strings.Builder
	b.WriteString(first)
	for line := range strings.Lines(text) {
		line = strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strings.TrimSuffix(line, "\n"))
		if line != "" {
			line = indent + line
		}
		b.WriteString(line + nl)
	}
	return e.splice(p, whole, b.String()+last+trailing, x.Path)
}

// commonIndent is the white space that all lines begin with.
func commonIndent(lines []string) string {
	indent, any := "", false
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		own := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if !any || len(own) < len(indent) {
			indent, any = own, true
		}
	}
	return indent
}

// nodesOf yields the nodes of a type below a body.
func nodesOf[T hclsyntax.Node](body *hclsyntax.Body) iter.Seq[T] {
	return func(yield func(T) bool) {
		more := true
		_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl2.Diagnostics {
			if t, ok := n.(T); ok && more {
				more = yield(t)
			}
			return nil
		})
	}
}

// again finds a block in a file that an edit has parsed anew.
func again(f *file, block *hclsyntax.Block) *hclsyntax.Block {
	for b := range nodesOf[*hclsyntax.Block](f.body) {
		if b.Type == block.Type && b.TypeRange.Start.Byte == block.TypeRange.Start.Byte {
			return b
		}
	}
	return nil
}
