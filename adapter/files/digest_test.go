package files

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// TestDigestIsOfTheCode has two folders that hold the same, and changes one of them.
func TestDigestIsOfTheCode(t *testing.T) {
	t.Parallel()
	put := func(dir, name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	digest := func(roots ...string) string {
		t.Helper()
		of, err := Digest(roots)
		if err != nil {
			t.Fatal(err)
		}
		return of
	}
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		put(dir, "main.tf", "resource")
		put(dir, "modules/x/main.tf", "module")
	}
	same := digest(a)
	if digest(b) != same {
		t.Error("two folders that hold the same differ")
	}
	for _, name := range []string{".terraform/providers/x", ".git/HEAD", "terraform.tfstate.backup", ".terraform.tfstate.lock.info", "main.tf~"} {
		put(b, name, "says nothing of the code")
		if digest(b) != same {
			t.Errorf("%s counts", name)
		}
	}
	link := filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(b, link); err != nil {
		t.Fatal(err)
	}
	if digest(link) != same {
		t.Error("a folder that is reached by a link is another one")
	}
	put(b, "modules/x/main.tf", "module that was changed")
	changed := digest(b)
	if changed == same || digest(link) != changed {
		t.Error("a file that was changed does not count")
	}
	put(b, "modules/x/main.tf", "module")
	put(b, "new.tf", "")
	if digest(b) == same || digest(b) == changed {
		t.Error("a new file does not count")
	}
	if digest(a, filepath.Join(b, "new.tf")) == digest(a) || digest(a, b) == digest(b, a) {
		t.Error("further roots do not count")
	}
	if _, err := Digest([]string{filepath.Join(a, "none")}); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("a folder that is not there: %v", err)
	}
}
