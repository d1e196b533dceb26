//go:build unix

package e2e

// This file covers a disk that is full: a limit on the size of files stands for
// it, which needs no rights. What cannot be stored is refused with a clear word,
// what was acknowledged before stays, and with room again all goes on.

import (
	"strings"
	"testing"
)

// cramped runs the program where no file may grow beyond a number of KiB.
func (s *site) cramped(kib string, in string, args ...string) result {
	s.t.Helper()
	// The unit of ulimit -f is 512 bytes in POSIX and 1024 in bash.
	script := `ulimit -f ` + kib + ` || exit 99; trap '' XFSZ; exec "$0" "$@"`
	return s.run("bash", s.root, strings.NewReader(in), append([]string{"-c", script, program}, args...)...)
}

func TestFullDisk(t *testing.T) {
	s := newSite(t)
	s.run(program, s.root, strings.NewReader(history(0)), "ingest").ends(0).tells("3000 new")
	before := s.penumbra("export").ends(0).out

	var many strings.Builder
	for round := range 20 {
		many.WriteString(history(1 + round))
	}
	r := s.cramped("2048", many.String(), "ingest")
	if r.code == 99 {
		t.Skip("this system sets no limit on the size of files")
	}
	r.ends(1).tells("What to do:", "room").hides("panic", "goroutine")

	after := s.penumbra("export").ends(0).out
	if !strings.HasPrefix(after, before) {
		t.Fatal("what was acknowledged before is not there any more")
	}
	s.penumbra("status").ends(0).tells("elsewhere")
	t.Logf("%d of 60000 observations were stored before the disk was full", strings.Count(after, "\n")-historyLength)

	// With room again the same timeline is taken in to its end, nothing twice.
	s.run(program, s.root, strings.NewReader(many.String()), "ingest").ends(0)
	if n := strings.Count(s.penumbra("export").ends(0).out, "\n"); n != 21*historyLength {
		t.Fatalf("%d observations, want %d", n, 21*historyLength)
	}
}
