package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newFileMode keeps a new file from everybody else: it may hold a password.
const newFileMode fs.FileMode = 0o640

// Load reads a file from disk. The error is fs.ErrNotExist (wrapped) when there is none, a
// *SyntaxError (wrapped) when a line cannot be read, and that of the operating system otherwise.
func Load(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err // it already names the operation and the path
	}
	file, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// Store writes a file to disk in one step: a reader, or a crash, sees the old text or the new
// one and never a part of it. The mode of a file that is replaced is kept, and a symbolic link
// stays a link.
func Store(path string, file *File) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	mode := newFileMode
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("write %s: not a regular file", path)
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}

	// In the same folder, since a rename cannot cross file systems.
	partial, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			partial.Close()
			os.Remove(partial.Name())
		}
	}()
	if _, err = partial.Write(file.Bytes()); err != nil {
		return err
	}
	if err = partial.Chmod(mode); err != nil {
		return err
	}
	if err = partial.Sync(); err != nil {
		return err
	}
	if err = partial.Close(); err != nil {
		return err
	}
	return os.Rename(partial.Name(), path)
}
