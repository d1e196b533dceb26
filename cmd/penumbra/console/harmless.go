package console

import (
	"bytes"
	"io"
	"regexp"
)

// Harmless returns a writer to a terminal that passes texts, line ends, tabs and
// colours on, and drops what else would steer the terminal: names, values and log lines
// come from outside.
func Harmless(w io.Writer) io.Writer { return harmless{w} }

type harmless struct{ w io.Writer }

// steering matches what is dropped: control characters but colours, tabs and line ends,
// of one byte and of two (C1), marks of direction, separators of lines. A colour that
// hides its text is none.
var steering = regexp.MustCompile(`\x1b\[(?:[0-9;]*;)?8m|(\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f]|[\x{80}-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}\x{2028}\x{2029}]`)

func (h harmless) Write(p []byte) (int, error) {
	clean := p
	if bytes.ContainsFunc(p, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x2069
	}) {
		clean = steering.ReplaceAll(p, []byte("$1"))
	}
	if _, err := h.w.Write(clean); err != nil {
		return 0, err
	}
	return len(p), nil
}
