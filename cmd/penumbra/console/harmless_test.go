package console

import (
	"bytes"
	"testing"
)

func TestOutputSteersNoTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain é ✓\tx\n": "plain é ✓\tx\n", "\x1b[31mred\x1b[0m": "\x1b[31mred\x1b[0m", "a\x1b[2Jb": "a[2Jb", "a\x1b]0;title\x07b": "a]0;titleb",
		"a\rb": "ab", "a\x00b": "ab", "\u202egnp.exe": "gnp.exe", "a\u2028b": "ab", "\u009b2J": "2J", "\x1b[8mhidden": "hidden", "…–": "…–",
	} {
		var b bytes.Buffer
		if n, err := Harmless(&b).Write([]byte(in)); err != nil || n != len(in) || b.String() != want {
			t.Errorf("%q: %q, %d, %v", in, b.String(), n, err)
		}
	}
}
