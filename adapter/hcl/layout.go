package hcl

import (
	"bytes"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// span is a stretch of a file's text.
type span struct{ start, end int }

// lineStart returns where the line that holds an offset begins.
func (f *file) lineStart(at int) int { return bytes.LastIndexByte(f.src[:at], '\n') + 1 }

// lineEnd returns where the line that holds an offset ends, behind its newline.
func (f *file) lineEnd(at int) int {
	if at > 0 && at <= len(f.src) && f.src[at-1] == '\n' {
		return at // a heredoc ends behind its newline
	}
	i := bytes.IndexByte(f.src[at:], '\n')
	if i < 0 {
		return len(f.src)
	}
	return at + i + 1
}

// indent returns the white space that the line of an offset begins with.
func (f *file) indent(at int) string {
	line := f.src[f.lineStart(at):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// alone reports whether nothing but white space and a comment shares the lines
// of a span; a comma behind it belongs to it.
func (f *file) alone(s span) bool {
	if len(bytes.TrimSpace(f.src[f.lineStart(s.start):s.start])) > 0 {
		return false
	}
	rest := strings.TrimSpace(string(f.src[s.end:f.lineEnd(s.end)]))
	rest = strings.TrimSpace(strings.TrimPrefix(rest, ","))
	return rest == "" || strings.HasPrefix(rest, "#") || strings.HasPrefix(rest, "//")
}

// newline is the file's own line ending.
func (f *file) newline() string {
	if bytes.Contains(f.src, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// addAttribute writes an attribute behind the last one of a block, aligned with
// it.
func (f *file) addAttribute(block *hclsyntax.Block, name, value string) error {
	open, end := block.OpenBraceRange.End.Byte, block.CloseBraceRange.Start.Byte
	nl := f.newline()
	var last *hclsyntax.Attribute
	for _, a := range block.Body.Attributes {
		if last == nil || a.SrcRange.Start.Byte > last.SrcRange.Start.Byte {
			last = a
		}
	}
	outer := f.indent(block.TypeRange.Start.Byte)
	if !bytes.ContainsRune(f.src[open:end], '\n') {
		text := nl
		if inner := strings.TrimSpace(string(f.src[open:end])); inner != "" {
			text += outer + "  " + inner + nl
		}
		return f.splice(open, end, text+outer+"  "+name+" = "+value+nl+outer)
	}
	at, indent, pad := f.lineEnd(open), outer+"  ", ""
	if last != nil {
		at, indent = f.lineEnd(last.SrcRange.End.Byte), f.indent(last.NameRange.Start.Byte)
		if last.SrcRange.Start.Line == last.SrcRange.End.Line && !strings.Contains(value, nl) {
			pad = padding(last.EqualsRange.Start.Byte-last.NameRange.Start.Byte-1, name)
		}
	}
	return f.splice(at, at, indent+name+pad+" = "+value+nl)
}

// padding fills a name up to a width.
func padding(width int, name string) string {
	if width <= len(name) {
		return ""
	}
	return strings.Repeat(" ", width-len(name))
}

// removeAttribute takes an attribute's lines out.
func (f *file) removeAttribute(a *hclsyntax.Attribute) error {
	s := span{a.SrcRange.Start.Byte, a.SrcRange.End.Byte}
	if !f.alone(s) {
		return f.splice(s.start, s.end, "")
	}
	return f.splice(f.lineStart(s.start), f.lineEnd(s.end), "")
}

// addElement writes an element behind the last one of an object or a list that
// spans whole; commas says whether elements on lines of their own need one.
func (f *file) addElement(whole span, elements []span, key, value string, commas bool) error {
	sep := ""
	if key != "" {
		sep = " = "
	}
	inner := span{whole.start + 1, whole.end - 1}
	nl := f.newline()
	if len(elements) == 0 {
		if i := bytes.IndexByte(f.src[inner.start:inner.end], '\n'); i >= 0 {
			at := inner.start + i + 1
			comma := ""
			if commas {
				comma = ","
			}
			return f.splice(at, at, f.indent(whole.start)+"  "+key+sep+value+comma+nl)
		}
		if commas {
			return f.splice(inner.start, inner.end, value)
		}
		return f.splice(inner.start, inner.end, " "+key+sep+value+" ")
	}
	last := elements[len(elements)-1]
	behind := f.src[last.end:inner.end]
	comma := bytes.HasPrefix(bytes.TrimLeft(behind, " \t"), []byte(","))
	if !f.alone(last) || !bytes.ContainsRune(behind, '\n') {
		if comma {
			at := last.end + bytes.IndexByte(behind, ',') + 1
			return f.splice(at, at, " "+key+sep+value)
		}
		return f.splice(last.end, last.end, ", "+key+sep+value)
	}
	pad, tail := "", ""
	if key != "" {
		if i := bytes.IndexByte(f.src[last.start:last.end], '='); i > 0 && !bytes.ContainsRune(f.src[last.start:last.start+i], '\n') {
			pad = padding(i-1, key)
		}
	}
	if comma || commas {
		tail = ","
	}
	at := f.lineEnd(last.end)
	text := f.indent(last.start) + key + pad + sep + value + tail + nl
	if commas && !comma {
		// The comma behind the last element, its comment, and the new line are one
		// edit, so that the text parses in between.
		return f.splice(last.end, at, ","+string(f.src[last.end:at])+text)
	}
	return f.splice(at, at, text)
}

// removeElement takes an element and its comma out of an object or a list.
func (f *file) removeElement(whole span, elements []span, i int) error {
	s := elements[i]
	if f.alone(s) && f.lineStart(s.start) > whole.start && f.lineEnd(s.end) <= whole.end {
		return f.splice(f.lineStart(s.start), f.lineEnd(s.end), "")
	}
	switch {
	case len(elements) == 1:
		return f.splice(whole.start+1, whole.end-1, "")
	case i+1 < len(elements):
		return f.splice(s.start, elements[i+1].start, "")
	default:
		return f.splice(elements[i-1].end, s.end, "")
	}
}
