package conf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestStoreReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "web.conf")
	if err := os.WriteFile(path, []byte("a = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	file, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Set("a", "2"); err != nil {
		t.Fatal(err)
	}
	if err := Store(path, file); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "a = 2\n" {
		t.Errorf("file = %q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o604 {
		t.Errorf("mode = %v, %v, want the mode that the file had", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v, want the file alone", left, err)
	}
}

func TestStoreKeepsLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target.conf"), filepath.Join(dir, "web.conf")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := Store(link, parse(t, "a = 1\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != "a = 1\n" {
		t.Errorf("target = %q, %v", got, err)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "absent.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of no file: %v, want fs.ErrNotExist", err)
	}
	if _, err := Load(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a folder: %v, want another error", err)
	}
	if err := Store(dir, &File{}); err == nil {
		t.Error("Store over a folder was accepted")
	}
	bad := filepath.Join(dir, "bad.conf")
	if err := os.WriteFile(bad, []byte("a = 1\n?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var syntax *SyntaxError
	if _, err := Load(bad); !errors.As(err, &syntax) || syntax.Line != 2 {
		t.Errorf("Load of a bad file: %v, want a SyntaxError of line 2", err)
	}
}
