package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// The hashes of before are nowhere in the file, of what was deleted before neither.
func TestResealedHashesAreOverwritten(t *testing.T) {
	t.Parallel()
	key := penumbra.Key("a key of this test only")
	path := filepath.Join(t.TempDir(), "penumbra.db")
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	hash := key.Seal(penumbra.String("hunter2-hunter2")).Text()
	for range 3 { // a checkpoint takes the place of the one before
		if err := s.SaveCheckpoint(t.Context(), penumbra.Checkpoint{Name: "model", Data: []byte(strings.Repeat(hash, 1000))}); err != nil {
			t.Fatal(err)
		}
	}
	o := penumbra.Observation{Kind: penumbra.SnapshotKind, Time: time.Unix(1, 0).UTC(), Resource: "shop/vm.a", Type: "vm", Settings: penumbra.Settings{{Path: "password", Value: key.Seal(penumbra.String("hunter2-hunter2")), Sensitive: true}}}
	if _, err := s.Append(t.Context(), []penumbra.Observation{o}); err != nil {
		t.Fatal(err)
	}
	found := func() (n int) {
		names, _ := filepath.Glob(path + "*")
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			n += bytes.Count(data, []byte(hash))
		}
		return n
	}
	if found() == 0 {
		t.Fatal("the hash is not there: the test would see nothing")
	}
	if _, err := s.Reseal(t.Context(), "next", penumbra.Key("the next key of this test").Reseal); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := found(); n > 0 {
		t.Errorf("the hash of before is there %d times", n)
	}
}
