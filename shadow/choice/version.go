package choice

import (
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// numbers is a version: an ordered tuple, with what stands around it.
type numbers struct {
	prefix, suffix string
	parts          [4]int
	n              int
}

// parse reads the last group of one to four numbers joined by dots of a text,
// such as those of "v1.2.3", "repo:1.2" and "release-5.0". What is pinned by a
// digest has none: the digest is not to be guessed.
func parse(v penumbra.Value) (x numbers, ok bool) {
	text := v.Text()
	switch v.Kind() {
	case penumbra.StringKind, penumbra.NumberKind:
	default:
		return x, false
	}
	if len(text) == 0 || len(text) > 128 || strings.ContainsAny(text, "@#{[") {
		return x, false
	}
	end := len(text)
	for end > 0 && !isDigit(text[end-1]) {
		end--
	}
	begin := end
	for begin > 0 && (isDigit(text[begin-1]) || text[begin-1] == '.' && begin > 1 && isDigit(text[begin-2])) {
		begin--
	}
	for digits := text[begin:end]; digits != ""; x.n++ {
		if x.n == len(x.parts) {
			return x, false
		}
		var part string
		part, digits, _ = strings.Cut(digits, ".")
		n, err := strconv.Atoi(part)
		if err != nil || len(part) > 9 || len(part) > 1 && part[0] == '0' {
			return x, false
		}
		x.parts[x.n] = n
	}
	x.prefix, x.suffix = text[:begin], text[end:]
	return x, x.n > 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// like reports whether two versions are of one thing.
func (x *numbers) like(y *numbers) bool { return x.prefix == y.prefix && x.suffix == y.suffix }

// compare orders versions as tuples.
func (x *numbers) compare(y *numbers) int {
	for i := range x.parts {
		if x.parts[i] != y.parts[i] {
			return x.parts[i] - y.parts[i]
		}
	}
	return x.n - y.n
}

// raised returns the version with the part raised and those after it zero.
func (x *numbers) raised(part int, like penumbra.Value) (penumbra.Value, bool) {
	y := *x
	y.parts[part]++
	for i := part + 1; i < y.n; i++ {
		y.parts[i] = 0
	}
	return y.value(like)
}

// deeper returns the version with one more number.
func (x *numbers) deeper(like penumbra.Value) (penumbra.Value, bool) {
	y := *x
	if y.n == len(y.parts) {
		return penumbra.Null(), false
	}
	y.parts[y.n] = 1
	y.n++
	return y.value(like)
}

// value writes the version as a value of the kind of like. ok is false if that
// kind cannot hold it.
func (x *numbers) value(like penumbra.Value) (v penumbra.Value, ok bool) {
	var b strings.Builder
	b.WriteString(x.prefix)
	for i := range x.n {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strconv.Itoa(x.parts[i]))
	}
	b.WriteString(x.suffix)
	if like.Kind() == penumbra.StringKind {
		return penumbra.String(b.String()), true
	}
	v, err := penumbra.ParseNumber(b.String())
	return v, err == nil && v.Text() == b.String()
}

// formOf says what sort of value it is.
func formOf(v penumbra.Value) form {
	text := v.Text()
	switch {
	case v.Kind() == penumbra.BoolKind || text == "true" || text == "false":
		return switched
	case shadow.IsReference(text):
		return reference
	case strings.Contains(text, "@sha256:") || strings.Contains(text, "…#"):
		return digest
	case strings.HasPrefix(text, "["):
		return list
	}
	if x, ok := parse(v); ok && x.n > 1 {
		return version
	}
	if _, _, ok := shadow.Quantity(v); ok {
		return number
	}
	if len(text) > 32 || strings.IndexByte(text, ' ') >= 0 {
		return prose
	}
	return word
}

// scaled returns the amount that relates to own as to relates to from, in own's
// spelling. ok is false if they are not amounts of one unit.
func scaled(from, to, own penumbra.Value) (penumbra.Value, bool) {
	a, kind, ok := shadow.Quantity(from)
	b, kindTo, okTo := shadow.Quantity(to)
	x, kindOwn, okOwn := shadow.Quantity(own)
	if !ok || !okTo || !okOwn || kind != kindTo || kind != kindOwn || a == 0 || x == 0 {
		return penumbra.Null(), false
	}
	if own.Kind() == penumbra.NumberKind {
		v := penumbra.Number(x * b / a)
		return v, !v.IsNull()
	}
	digits := strings.TrimRight(own.Text(), "kKMGTiBm%")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return penumbra.Null(), false
	}
	return penumbra.String(strconv.FormatFloat(n*b/a, 'f', -1, 64) + own.Text()[len(digits):]), true
}
