package wire

import (
	"os"
	"testing"
)

// The folder is where the file is, or the working directory: nothing that is
// configured says it.
func TestTheFolderIsNotConfigured(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PENUMBRA_FOLDER", "/elsewhere")
	want, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig("")
	if err != nil || c.Folder != want {
		t.Fatalf("the folder is %q (%v), want %q", c.Folder, err, want)
	}
}
