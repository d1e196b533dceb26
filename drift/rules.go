package drift

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// Rules are ignore rules ready for matching. The last rule that matches a
// setting decides, so that a '!' takes back what earlier ones ignore. A nil
// *Rules ignores nothing.
//
// A pattern is held against "type.name.path" as a whole; '*' stands for any run
// of characters, dots included. It also matches what lies below it: "a.b.tags"
// matches "a.b.tags.team", and "a.b" every setting of the resource. A resource
// in a module or with a key is matched with and without them:
// `module.m.a.b["k"].path` by `module.m.a.b["k"].path`, `a.b["k"].path`,
// `module.m.a.b.path` and `a.b.path`. Each may stand behind "stack/".
type Rules struct {
	rules []compiled
}

type compiled struct {
	penumbra.Rule
	takesBack bool
	parts     []string // the pattern between its stars
}

// NewRules compiles rules in their order. It returns an error of kind Invalid
// that names the first rule whose pattern cannot be used.
func NewRules(rules []penumbra.Rule) (*Rules, error) {
	out := &Rules{rules: make([]compiled, 0, len(rules))}
	for _, r := range rules {
		if err := checkPattern(r.Pattern); err != nil {
			return nil, &penumbra.Error{
				Kind:   penumbra.Invalid,
				What:   fmt.Sprintf("ignore rule %q", r.Pattern),
				Remedy: patternRemedy,
				Err:    err,
			}
		}
		pattern, takesBack := strings.CutPrefix(r.Pattern, "!")
		out.rules = append(out.rules, compiled{Rule: r, takesBack: takesBack, parts: strings.Split(pattern, "*")})
	}
	return out, nil
}

const patternRemedy = "write type.name.path, with * for any characters, behind stack/ for one stack only, behind ! to take back"

func checkPattern(pattern string) error {
	pattern = strings.TrimPrefix(pattern, "!")
	if pattern == "" {
		return errors.New("the pattern is empty")
	}
	if !utf8.ValidString(pattern) {
		return errors.New("the pattern is not UTF-8")
	}
	var q quotes
	for _, c := range pattern {
		quoted := q.next(c)
		switch {
		case unicode.IsControl(c):
			return fmt.Errorf("the pattern holds the control character %q", c)
		case unicode.IsSpace(c) && !quoted:
			return errors.New("the pattern holds a space outside of quotes")
		}
	}
	if q.open {
		return errors.New("a quote is not closed")
	}
	return nil
}

// quotes follows the quotes of an address, where a key may hold anything and
// escapes its own quotes with a backslash.
type quotes struct{ open, escaped bool }

// next takes in one character and reports whether it is inside quotes.
func (q *quotes) next(c rune) bool {
	switch {
	case q.escaped:
		q.escaped = false
	case q.open && c == '\\':
		q.escaped = true
	case c == '"':
		q.open = !q.open
		return true
	}
	return q.open
}

// ParseRules reads ignore rules from a file: one pattern a line, blank lines
// and lines that start with '#' skipped, and what follows a '#' behind a
// pattern taken as the reason. Each rule's ID is "line N". It returns an error
// of kind Invalid that names the line.
func ParseRules(r io.Reader) ([]penumbra.Rule, error) {
	var out []penumbra.Rule
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		text := lines.Bytes()
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		pattern, reason := cutReason(string(text))
		if pattern == "" {
			continue
		}
		if err := checkPattern(pattern); err != nil {
			return nil, badLine(n, err, patternRemedy)
		}
		out = append(out, penumbra.Rule{ID: fmt.Sprintf("line %d", n), Pattern: pattern, Reason: reason})
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, badLine(n+1, err, "keep lines under 64 KiB")
	} else if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "read ignore rules", Err: err}
	}
	return out, nil
}

func badLine(n int, err error, remedy string) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("ignore rules, line %d", n), Remedy: remedy, Err: err}
}

// cutReason splits a line into its pattern and its reason. A '#' starts a
// reason at the line's start or after a space, and not inside quotes: a key of
// a resource may hold one.
func cutReason(line string) (pattern, reason string) {
	var q quotes
	space := true
	for i, c := range line {
		if !q.next(c) && c == '#' && space {
			return strings.TrimSpace(line[:i]), strings.TrimSpace(line[i+1:])
		}
		space = unicode.IsSpace(c)
	}
	return strings.TrimSpace(line), ""
}

// Match returns the rule by which a setting with this actual value is ignored
// at a time, if there is one. An empty path is the resource as a whole.
func (rs *Rules) Match(resource penumbra.Address, path string, actual penumbra.Value, at time.Time) (penumbra.Rule, bool) {
	if rs == nil || len(rs.rules) == 0 {
		return penumbra.Rule{}, false
	}
	names := spellings(resource, path)
	for i := len(rs.rules) - 1; i >= 0; i-- {
		r := &rs.rules[i]
		if !r.Expires.IsZero() && !at.Before(r.Expires) || r.Value != nil && *r.Value != actual {
			continue
		}
		for _, name := range names {
			if !r.matches(name) {
				continue
			}
			if r.takesBack {
				return penumbra.Rule{}, false
			}
			return r.Rule, true
		}
	}
	return penumbra.Rule{}, false
}

// spellings returns the ways to write a setting in a pattern.
func spellings(resource penumbra.Address, path string) []string {
	local := resource.Local()
	bare := withoutModules(local)
	names := make([]string, 0, 8)
	for _, name := range [...]string{local, bare} {
		modules := len(name) - len(bare)
		names = append(names, penumbra.JoinPath(name, path))
		if key := strings.IndexByte(bare, '['); key >= 0 {
			names = append(names, penumbra.JoinPath(name[:modules+key], path))
		}
		if modules == 0 && len(local) == len(bare) {
			break // no module: both spellings are one
		}
	}
	if path == "" {
		for i, name := range names {
			names[i] = strings.TrimSuffix(name, ".")
		}
	}
	if stack := resource.Stack(); stack != "" {
		for _, name := range names {
			names = append(names, stack+"/"+name)
		}
	}
	return names
}

// withoutModules cuts `module.a["k"].module.b.` off the start of a local
// address.
func withoutModules(local string) string {
	rest := local
	for strings.HasPrefix(rest, "module.") {
		step := rest[len("module."):]
		end := stepEnd(step)
		if end == len(step) {
			return local // it ends in a module: not an address of a resource
		}
		rest = step[end+1:]
	}
	return rest
}

// stepEnd returns where the first step of an address ends: at the next dot
// outside of quotes, or at the end.
func stepEnd(address string) int {
	var q quotes
	for i, c := range address {
		if !q.next(c) && c == '.' {
			return i
		}
	}
	return len(address)
}

// matches reports whether the pattern matches name or something that name lies
// below.
func (r *compiled) matches(name string) bool {
	first, rest := r.parts[0], r.parts[1:]
	name, found := strings.CutPrefix(name, first)
	if !found {
		return false
	}
	if len(rest) == 0 {
		return name == "" || name[0] == '.'
	}
	last, middle := rest[len(rest)-1], rest[:len(rest)-1]
	for _, part := range middle {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	// Leftmost matches of the middle leave most room for the last part, which
	// may end anywhere that a step of the path ends.
	for {
		i := strings.Index(name, last)
		if i < 0 {
			return false
		}
		end := i + len(last)
		if last == "" || end == len(name) || name[end] == '.' {
			return true
		}
		name = name[i+1:]
	}
}
