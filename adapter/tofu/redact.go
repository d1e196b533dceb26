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
	until := "" // what ends a value that is being left out
	for line := range strings.Lines(text) {
		line, end := strings.TrimSuffix(line, "\n"), line[len(strings.TrimSuffix(line, "\n")):]
		if until != "" {
			if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, until) || strings.HasPrefix(strings.TrimLeft(trimmed, "-+~ "), until) {
				until = ""
			}
			continue
		}
		m := assignment.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(m[3], "(") || !penumbra.LooksSecret(m[2], penumbra.String(m[3])) {
			b.WriteString(line + end)
			continue
		}
		b.WriteString(m[1] + "(sensitive value)" + end)
		switch value := strings.TrimSpace(m[3]); {
		case strings.HasPrefix(value, "<<"):
			until = "EOT"
		case strings.HasSuffix(value, "["):
			until = "]"
		case strings.HasSuffix(value, "{"):
			until = "}"
		case strings.HasSuffix(value, "("): // jsonencode(
			until = ")"
		}
	}
	return penumbra.Redact(b.String())
}
