package intake

import (
	"strings"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// Text makes a text of outside fit to be kept: valid UTF-8, at most limit bytes,
// redacted. Redaction comes before the cut, so that no half of a secret stays.
func Text(text string, limit int) string {
	if len(text) > 4*limit {
		text = text[:4*limit]
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	text = penumbra.Redact(text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return text
}

// LabelValue makes a label's value fit to be kept: nothing of it if its name says
// that it is a secret.
func LabelValue(name, value string) string {
	if penumbra.LooksSecret(name, penumbra.String(value)) {
		return "[redacted]"
	}
	return penumbra.Redact(value)
}
