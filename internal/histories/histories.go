// Package histories reads, for tests, the public histories of infrastructure
// code that models are judged on. They are not part of the repository: the
// environment variable PENUMBRA_DATA names the folder that has them, and a test
// that needs one is skipped without it.
package histories

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/timeline"
)

// Folder returns the folder of the histories, and skips the test if there is
// none.
func Folder(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("PENUMBRA_DATA")
	if folder == "" {
		t.Skip("PENUMBRA_DATA does not name the folder of the histories")
	}
	return folder
}

// Read returns the observations of a history, such as "estate-c", in the order
// of time. A line that cannot be read fails the test.
func Read(t testing.TB, name string) []*penumbra.Observation {
	t.Helper()
	f, err := os.Open(filepath.Join(Folder(t), name+".timeline.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []*penumbra.Observation
	for d := timeline.NewDecoder(z, name); ; {
		o, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, &o)
	}
	slices.SortStableFunc(out, func(a, b *penumbra.Observation) int { return a.Time.Compare(b.Time) })
	return out
}
