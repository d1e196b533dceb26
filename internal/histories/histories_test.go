package histories_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/penumbra-iac/penumbra/internal/histories"
)

func TestReadOrdersByTime(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PENUMBRA_DATA", folder)
	f, err := os.Create(filepath.Join(folder, "made.timeline.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	for _, line := range []string{
		`{"kind":"event","time":"2026-01-02T00:00:00Z","resource":"a|vm.x","type":"vm","source":"git:2","action":"update","settings":{"size":2}}`,
		`{"kind":"event","time":"2026-01-01T00:00:00Z","resource":"a|vm.x","type":"vm","source":"git:1","action":"create","settings":{"size":1}}`,
	} {
		if _, err := z.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got := histories.Read(t, "made")
	if len(got) != 2 || got[0].Source != "git:1" || got[1].Source != "git:2" {
		t.Errorf("read %v", got)
	}
}
