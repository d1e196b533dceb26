package codepatch

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Copy makes a copy of the folder with the patch applied, if it is not nil, and
// with more files beside, by their names relative to the folder; it returns it
// with what removes it again. It returns an error of kind Stale if the code is
// not what the patch is for.
//
// The copy is a tree of symbolic links in which only the patched files and the
// folders on the way to them are real, and all folders above the working
// directory are there too: modules in "../modules", a local state, a provider's
// relative paths and .terraform are then found where the code says. A plan made
// there by OpenTofu applies in the real directory, since the tools save the code
// in the plan and the state by the path in the backend's settings.
func (c Folder) Copy(patch *penumbra.Patch, more map[string]string) (dir string, remove func(), err error) {
	texts := make(map[string]string)
	if patch != nil {
		paths, err := c.base(patch)
		if err != nil {
			return "", nil, err
		}
		for n, f := range patch.Files {
			texts[paths[n]] = f.After
		}
	}
	for name, text := range more {
		texts[filepath.Join(c.Dir, name)] = text
	}
	root, err := os.MkdirTemp(c.Data, "scratch-")
	if err == nil {
		// RemoveAll removes the links and leaves what they point to.
		remove = func() { os.RemoveAll(root) }
		volume := filepath.VolumeName(c.Dir)
		err = c.mirror(volume+string(filepath.Separator), root, texts)
		dir = filepath.Join(root, strings.TrimPrefix(c.Dir, volume))
	}
	if err != nil {
		if remove != nil {
			remove()
		}
		return "", nil, &penumbra.Error{Kind: penumbra.Full, What: "copy the code of stack " + c.Stack, Err: err, Remedy: "make room in the data folder"}
	}
	return dir, remove, nil
}

// mirror makes a folder whose entries link to those of the original, but
// for the files with a new text and for the folders that hold one of them or
// lead to the working directory. A data folder in there is left out, for the
// copy itself is in it.
func (c Folder) mirror(original, to string, texts map[string]string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(original)
	if err != nil && !leadsTo(original, c.Dir) {
		return err
	}
	names := make(map[string]bool)
	for _, e := range entries {
		names[e.Name()] = true
	}
	for path := range texts {
		if filepath.Dir(path) == original {
			names[filepath.Base(path)] = true // it may be new
		}
	}
	// A folder above may be one that can be passed through and not listed.
	if rest, ok := strings.CutPrefix(c.Dir, strings.TrimSuffix(original, string(filepath.Separator))+string(filepath.Separator)); ok {
		next, _, _ := strings.Cut(rest, string(filepath.Separator))
		names[next] = true
	}
	for name := range names {
		path, target := filepath.Join(original, name), filepath.Join(to, name)
		text, patched := texts[path]
		switch {
		case path == c.Data:
			err = nil
		case patched:
			err = os.WriteFile(target, []byte(text), 0o600)
		case c.mustBeReal(path, texts):
			err = c.mirror(path, target, texts)
		default:
			err = os.Symlink(path, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mustBeReal reports whether the folder must be one in the copy.
func (c Folder) mustBeReal(path string, texts map[string]string) bool {
	if leadsTo(path, c.Dir) || leadsTo(c.Dir, path) && leadsTo(path, c.Data) {
		return true
	}
	for file := range texts {
		if leadsTo(path, file) {
			return true
		}
	}
	return false
}

// leadsTo reports whether target is path or below it.
func leadsTo(path, target string) bool {
	return path == target || strings.HasPrefix(target, strings.TrimSuffix(path, string(filepath.Separator))+string(filepath.Separator))
}
