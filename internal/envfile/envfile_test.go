package envfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		text string
		mode os.FileMode
		want []string
		kind penumbra.ErrorKind
		says string
	}{
		"lines":          {text: "# keys\nB='two words'\nexport A=1\n\nC=\"x#y\"\n", mode: 0o600, want: []string{"A=1", "B=two words", "C=x#y"}},
		"empty":          {mode: 0o400},
		"readable":       {text: "A=1\n", mode: 0o640, kind: penumbra.Invalid, says: "chmod 600"},
		"no lines":       {text: "hunter2-hunter2\n", mode: 0o600, kind: penumbra.Invalid, says: "NAME=value"},
		"no credentials": {text: "TF_VAR_size=3\n", mode: 0o600, kind: penumbra.Invalid, says: "TF_VAR_size"},
	} {
		path := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(path, []byte(x.text), x.mode); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path, "TF_VAR_")
		if x.says == "" {
			if d := cmp.Diff(x.want, got); err != nil || d != "" {
				t.Errorf("%s: %v %s", name, err, d)
			}
			continue
		}
		if penumbra.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := Read(""); got != nil || err != nil {
		t.Errorf("no file: %v %v", got, err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Read(t.TempDir()); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("a folder: %v", err)
	}
}
