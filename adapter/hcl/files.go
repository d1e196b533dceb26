package hcl

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Files returns the patch after which files of the code are as a person wrote
// them; those that are so already are left out. It returns an error of kind
// Invalid that names file and line if one is no HCL, and of kind Refused if one
// is no file of the code or holds a secret.
func Files(dir, stack string, edits []penumbra.FileEdit) (penumbra.Patch, error) {
	c := open(dir)
	for _, edit := range edits {
		name := path.Clean(filepath.ToSlash(edit.Path))
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return penumbra.Patch{}, refuse(fmt.Sprintf("%q is not in the stack's folder", edit.Path), "name a file of the code, relative to that folder")
		}
		m, err := c.load(path.Dir(name))
		if err != nil {
			return penumbra.Patch{}, err
		}
		i := slices.IndexFunc(m.files, func(f *file) bool { return path.Clean(f.path) == name })
		if i < 0 {
			return penumbra.Patch{}, refuse(fmt.Sprintf("%q is no file of the code", edit.Path), "edit a .tf, .tofu or .tfvars file that is there")
		}
		if err := m.files[i].parse([]byte(edit.Content)); err != nil {
			return penumbra.Patch{}, err
		}
	}
	return c.patch(stack, nil)
}
