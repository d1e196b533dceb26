package ansible

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

// notCode are folders and endings of files in a stack's folder that no play
// depends on.
var (
	notCodeFolders = map[string]bool{".git": true, ".penumbra": true, "__pycache__": true, "node_modules": true, ".venv": true, ".terraform": true}
	notCodeEndings = map[string]bool{".md": true, ".log": true, ".retry": true, ".pyc": true, ".swp": true, ".db": true, ".db-wal": true, ".db-shm": true}
)

// largest is the size above which a file is told by size and time alone.
const largest = 8 << 20

// codeFiles returns the digest of each file in the stack's folder that a play may
// depend on, and of the inventories and files of variables outside, by path. A
// patch that is not nil is counted as written. Which files a play will read
// cannot be told before it runs, so all are taken: a plan is then refused too
// often rather than too seldom.
func (w *Workspace) codeFiles(patch *penumbra.Patch) map[string]string {
	out := map[string]string{}
	add := func(name, path string) {
		out[name] = "unreadable"
		if info, err := os.Stat(path); err == nil && info.Size() > largest {
			out[name] = fmt.Sprintf("%d bytes of %s", info.Size(), info.ModTime())
		} else if hash, err := codepatch.HashFile(path); err == nil {
			out[name] = hash
		}
	}
	walk := func(root string) {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil
			case d.IsDir() && path != root && (notCodeFolders[d.Name()] || path == w.data || strings.HasPrefix(w.data, path+string(filepath.Separator))):
				return filepath.SkipDir
			case d.IsDir() || !d.Type().IsRegular() && d.Type()&fs.ModeSymlink == 0 || notCodeEndings[filepath.Ext(path)] || d.Name() == playFile:
				return nil
			}
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				name, err := filepath.Rel(w.dir, path)
				if err != nil {
					name = path
				}
				add(name, path)
			}
			return nil
		})
	}
	walk(w.dir)
	for _, name := range slices.Concat(w.config.Inventory, w.config.ExtraVars) {
		path := w.abs(name)
		if info, err := os.Stat(path); err != nil || strings.HasPrefix(path, w.dir+string(filepath.Separator)) {
			continue
		} else if info.IsDir() {
			walk(path)
		} else {
			add(name, path)
			for _, vars := range [...]string{"group_vars", "host_vars"} {
				walk(filepath.Join(filepath.Dir(path), vars))
			}
		}
	}
	if patch != nil {
		for _, f := range patch.Files {
			out[filepath.FromSlash(f.Path)] = codepatch.HashText(f.After)
		}
	}
	return out
}

// changedFile names a file that is not the same in both, "" if there is none.
func changedFile(was, is map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if was[name] != is[name] {
			return name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, still := is[name]; !still {
			return name
		}
	}
	return ""
}
