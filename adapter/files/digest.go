package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Digest is of the names and contents of what [Watch] watches of the roots: two machines
// have the same code if it is the same. Where the roots lie is not in it, nor which rights
// files have. It returns an error of kind Invalid if something cannot be read.
func Digest(roots []string) (string, error) {
	all := sha256.New()
	for i, root := range roots {
		root, err := filepath.EvalSymlinks(root)
		if err != nil {
			return "", &penumbra.Error{Kind: penumbra.Invalid, What: "read " + roots[i], Remedy: "check the path and its permissions", Err: err}
		}
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil && path != root && errors.Is(err, fs.ErrNotExist):
				return nil // gone meanwhile
			case err != nil:
				return err
			case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case d.IsDir() || path != root && ignored(path):
				return nil
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			of, err := contents(path, d)
			if errors.Is(err, fs.ErrNotExist) && path != root {
				return nil
			}
			fmt.Fprintf(all, "%d %q %s\n", i, filepath.ToSlash(name), of)
			return err
		})
		if err != nil {
			return "", &penumbra.Error{Kind: penumbra.Invalid, What: "read " + roots[i], Remedy: "check the path and its permissions", Err: err}
		}
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// contents is a digest of what a file holds, or of what a link names: only regular files
// are read.
func contents(path string, d fs.DirEntry) (string, error) {
	if d.Type()&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			to, err := os.Readlink(path)
			return fmt.Sprintf("link %q", to), err
		}
	} else if !d.Type().IsRegular() {
		return "other", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}
