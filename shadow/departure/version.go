package departure

import (
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// version is a value read as one: "postgres:14.7" is the line "postgres:14" at a
// depth of 2. The line is what versions that replace each other share: the text
// before the first number, and that number.
type version struct {
	line  string
	depth int // how many parts it names: "14" 1, "14.7" 2; 0 if it is no version
}

// versionOf reads a value. A number counts as one: documents hold "14.7" as a
// number, and so "14.10" as 14.1. Therefore the order of versions is never
// taken from their text, but from when the fleet first had them.
func versionOf(v penumbra.Value) version {
	if k := v.Kind(); k != penumbra.StringKind && k != penumbra.NumberKind {
		return version{}
	}
	text := v.Text()
	begin := strings.LastIndexAny(text, ":=@") + 1
	if begin < len(text) && text[begin] == 'v' {
		begin++
	}
	end := begin
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	if end == begin {
		return version{}
	}
	x := version{line: text[:end], depth: 1}
	for i := end; i < len(text); i++ {
		switch c := text[i]; {
		case c == '.' || c == '-' || c == '_' || c == '+':
			x.depth++
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		default:
			return version{} // a sentence that begins with a number
		}
	}
	return x
}

// NamesMinor reports whether a value is a version that names more than its
// major.
func NamesMinor(v penumbra.Value) bool { return versionOf(v).depth > 1 }

// Replaces reports whether a value may be a version that takes the place of
// another: of one line and, where the old one names more than its major, of the
// same depth, so that "16.00.4140.3" of one product is not taken for an upgrade
// of "16.4" of another.
func Replaces(old, other penumbra.Value) bool { return versionOf(old).replacedBy(versionOf(other)) }

func (x version) replacedBy(y version) bool {
	return x.line == y.line && (x.depth == y.depth || x.depth == 1 && y.depth > 1)
}
