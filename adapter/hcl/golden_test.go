package hcl

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/penumbra-iac/penumbra"
)

var update = flag.Bool("update", false, "write the golden parts of testdata anew")

// TestGolden runs every testdata/*.txtar and those of testdata/shapes, which e2e
// plays on a real provider too: its comment says what to do, its
// files are the code, and "want" is the diff with the note, or the error. A
// diff shows each line that changed, so it shows that no other did.
//
//	address TYPE.NAME
//	set PATH JSON
//	ignore PATH
//	why TEXT        a comment for what is ignored
//	import ID
//	moved FROM
//	var-file NAME
//	crlf FILE       has the lines of a file end as on Windows
//	refused         the code is not to be edited
func TestGolden(t *testing.T) {
	t.Parallel()
	paths, _ := filepath.Glob("testdata/*.txtar")
	shapes, _ := filepath.Glob("testdata/shapes/*.txtar")
	if len(paths) < 20 || len(shapes) < 24 {
		t.Fatalf("found %d cases and %d shapes", len(paths), len(shapes))
	}
	paths = append(paths, shapes...)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			var want string
			files := archive.Files[:0:0]
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				files = append(files, f)
				writeFile(t, dir, f.Name, f.Data)
			}
			got := runCase(t, dir, string(archive.Comment))
			if *update {
				archive.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func writeFile(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func runCase(t *testing.T, dir, comment string) string {
	t.Helper()
	var address penumbra.Address
	var settings []penumbra.Setting
	var ignored, varFiles []string
	var moves []Move
	imported, why, refused := "", "", false
	for line := range strings.Lines(comment) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "address":
			address = penumbra.NewAddress("shop", rest)
		case "set":
			path, text, _ := strings.Cut(rest, " ")
			var v penumbra.Value
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			settings = append(settings, penumbra.Setting{Path: path, Value: v})
		case "ignore":
			ignored = append(ignored, rest)
		case "why":
			why = rest
		case "import":
			imported = rest
		case "moved":
			moves = append(moves, Move{From: penumbra.NewAddress("shop", rest), To: address})
		case "var-file":
			varFiles = append(varFiles, rest)
		case "refused":
			refused = true
		case "crlf":
			text, err := os.ReadFile(filepath.Join(dir, rest))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, dir, rest, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
		}
	}
	var patch penumbra.Patch
	var err error
	switch {
	case ignored != nil:
		patch, err = IgnoreChanges(dir, "shop", address, ignored, why)
	case imported != "":
		patch, err = Import(dir, "shop", address, imported)
	case moves != nil:
		patch, err = Moved(dir, "shop", moves)
	default:
		patch, err = Values(dir, "shop", address, settings, varFiles...)
	}
	if refused && penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("got %v, want it refused", err)
	}
	if err != nil {
		return fmt.Sprintf("%s: %s\n", penumbra.KindOf(err), err)
	}
	checkPatch(t, dir, patch)
	var out bytes.Buffer
	if patch.Note != "" {
		fmt.Fprintf(&out, "note: %s\n", patch.Note)
	}
	if len(patch.Files) == 0 {
		out.WriteString("nothing to do\n")
	}
	// An archive has lines of one kind only.
	out.WriteString(strings.ReplaceAll(patch.Diff(), "\r", "␍"))
	return out.String()
}
