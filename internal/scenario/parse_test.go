package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// A script that is not read names the line; one that is read has no more
// statements than lines, in their order.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.scenario")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(script))
	}
	f.Add("repeat 2 as n {\n}\n}")
	f.Add("a \"\\\" # b\" c=\"#\" #\n{\n}")
	f.Fuzz(func(t *testing.T, script string) {
		statements, err := parse("x", script)
		if err != nil {
			if penumbra.KindOf(err) != penumbra.Invalid || !strings.HasPrefix(err.Error(), "x:") {
				t.Fatal(err)
			}
			return
		}
		if last := checkLines(t, statements, 0); last > strings.Count(script, "\n")+1 {
			t.Fatalf("a statement on line %d", last)
		}
	})
}

func checkLines(t *testing.T, statements []statement, after int) int {
	for i := range statements {
		if statements[i].line <= after {
			t.Fatalf("line %d follows line %d", statements[i].line, after)
		}
		after = checkLines(t, statements[i].block, statements[i].line)
		for _, word := range statements[i].words {
			if word == "" || strings.ContainsRune(word, '\n') {
				t.Fatalf("the word %q", word)
			}
			_, _ = value(word)
			_, _ = settings([]string{word})
			_, _ = duration(word)
		}
	}
	return after
}
