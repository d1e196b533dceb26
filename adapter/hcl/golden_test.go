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

// TestGolden runs every testdata/*.txtar: its comment says what to do, its
// files are the code, and "want" is the diff with the note, or the error. A
// diff shows each line that changed, so it shows that no other did.
//
//	address TYPE.NAME
//	set PATH JSON
//	ignore PATH
func TestGolden(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) < 20 {
		t.Fatalf("found %d cases, error %v", len(paths), err)
	}
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
	var ignored []string
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
		}
	}
	var patch penumbra.Patch
	var err error
	if ignored != nil {
		patch, err = IgnoreChanges(dir, "shop", address, ignored)
	} else {
		patch, err = Values(dir, "shop", address, settings)
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
	out.WriteString(patch.Diff())
	return out.String()
}
