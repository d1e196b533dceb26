package knowledge

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// glob is a pattern of types or of settings' paths. "*" stands for any run of
// characters within a step of a path, "**" for any number of steps, "?" for one
// character, "{a,b}" for either. Brackets stand for themselves: paths have them.
type glob struct {
	text    string // as it was written
	pattern string // as the library has it
	literal bool
	// suffix is the rest of a pattern "**.rest" whose rest is literal.
	suffix string
}

// steps lets the library, whose steps end at slashes, see those of a path, and
// keeps a path's own slashes apart.
var steps = strings.NewReplacer(".", "/", "/", "\x01")

var stepsOfPattern = strings.NewReplacer(".", "/", "/", "\x01", "[", `\[`, "]", `\]`)

func newGlob(text string) (glob, error) {
	g := glob{text: text, pattern: stepsOfPattern.Replace(text)}
	if text == "" || strings.Contains(text, `\`) || !doublestar.ValidatePattern(g.pattern) {
		return g, fmt.Errorf("%q is not a pattern", text)
	}
	g.literal = !hasMeta(text)
	if rest, ok := strings.CutPrefix(text, "**."); ok && !hasMeta(rest) {
		g.suffix = rest
	}
	return g, nil
}

func hasMeta(text string) bool { return strings.ContainsAny(text, "*?{}") }

// match reports whether the pattern is of text, whose steps are inSteps.
func (g *glob) match(text, inSteps string) bool {
	switch {
	case g.literal:
		return g.text == text
	case g.suffix != "":
		before, ok := strings.CutSuffix(text, g.suffix)
		return ok && (before == "" || strings.HasSuffix(before, "."))
	default:
		ok, err := doublestar.Match(g.pattern, inSteps)
		return ok && err == nil
	}
}
