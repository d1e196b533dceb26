package tofu

import (
	"regexp"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// assignment matches a line of a printed plan that shows a setting.
var assignment = regexp.MustCompile(`^(\s*(?:[-+~]|-/\+|\+/-)?\s*"?([\w./-]+)"?\s*=\s*)(.+)$`)

// redact replaces, in what the tools print for people, what looks like a
// secret though nobody marked it. The tools print the value before and after
// on one line, and long ones over several: all of it goes.
func redact(text string) string {
	var b strings.Builder
	var r redactor
	for line := range strings.Lines(text) {
		b.WriteString(r.line(line))
	}
	return penumbra.Redact(b.String())
}

// redactor is redact for a text that comes line by line. The zero value is ready.
type redactor struct {
	until string // what ends a value that is being left out
}

// line returns what may be shown of a line, "" for one that is left out.
func (r *redactor) line(whole string) string {
	line := strings.TrimSuffix(whole, "\n")
	end := whole[len(line):]
	if r.until != "" {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, r.until) || strings.HasPrefix(strings.TrimLeft(trimmed, "-+~ "), r.until) {
			r.until = ""
		}
		return ""
	}
	m := assignment.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(m[3], "(") || !penumbra.LooksSecret(m[2], penumbra.String(m[3])) {
		return line + end
	}
	switch value := strings.TrimSpace(m[3]); {
	case strings.HasPrefix(value, "<<"):
		r.until = "EOT"
	case strings.HasSuffix(value, "["):
		r.until = "]"
	case strings.HasSuffix(value, "{"):
		r.until = "}"
	case strings.HasSuffix(value, "("): // jsonencode(
		r.until = ")"
	}
	return m[1] + "(sensitive value)" + end
}
