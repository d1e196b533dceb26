package hcl

import (
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	const before, after = "resource \"svc\" \"web\" {\n  size = 1\n}\n", "resource \"svc\" \"web\" {\n  size = 2 # as bob says\n}\n"
	for _, c := range []struct {
		name, path, content string
		kind                penumbra.ErrorKind
		says                string
	}{
		{"edited", "main.tf", after, penumbra.Internal, ""},
		{"in a folder", "./web/main.tf", after, penumbra.Internal, ""},
		{"broken", "main.tf", "resource \"svc\" \"web\" {\n  size = \n}\n", penumbra.Invalid, "main.tf:2:"},
		{"a secret", "main.tf", "resource \"svc\" \"web\" {\n  password = \"hunter2hunter2\"\n}\n", penumbra.Refused, "main.tf:2 holds what looks like a secret"},
		{"outside", "../main.tf", after, penumbra.Refused, "not in the stack's folder"},
		{"absolute", "/etc/passwd", after, penumbra.Refused, "not in the stack's folder"},
		{"not there", "new.tf", after, penumbra.Refused, "no file of the code"},
		{"no code", "README.md", after, penumbra.Refused, "no file of the code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, dir, "main.tf", []byte(before))
			writeFile(t, dir, "web/main.tf", []byte(before))
			writeFile(t, dir, "README.md", []byte(before))
			patch, err := Files(dir, "s", []penumbra.FileEdit{{Path: c.path, Content: c.content}})
			if c.says != "" {
				if penumbra.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want %s: %s", err, c.kind, c.says)
				}
				return
			}
			if err != nil || len(patch.Files) != 1 || patch.Files[0].Before != before || patch.Files[0].After != after || !strings.Contains(patch.Diff(), "+  size = 2 # as bob says") {
				t.Errorf("%+v, error %v", patch, err)
			}
		})
	}
	dir := t.TempDir()
	writeFile(t, dir, "main.tf", []byte(before))
	if patch, err := Files(dir, "s", []penumbra.FileEdit{{Path: "main.tf", Content: before}}); err != nil || len(patch.Files) != 0 {
		t.Errorf("unchanged: %+v, error %v", patch, err)
	}
}
