package policy

import (
	"os"
	"path/filepath"

	"github.com/penumbra-iac/penumbra"
)

// WriteFile makes a file of policies, whole or not at all. It returns an error of kind
// Stale if there is another with its name, and none if it is there already as it is to
// be.
func WriteFile(path, text string) error {
	what := "write policies into " + path
	temp, err := os.CreateTemp(filepath.Dir(path), ".policies-")
	if err != nil {
		return unwritable(what, err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if err == nil {
		err = temp.Sync()
	}
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return unwritable(what, err)
	}
	err = os.Link(temp.Name(), path) // unlike a renaming it replaces nothing
	if os.IsExist(err) {
		if there, read := os.ReadFile(path); read == nil && string(there) == text {
			return nil
		}
		return &penumbra.Error{Kind: penumbra.Stale, What: what + ": there is another file with that name", Remedy: "look at it, and move it if it is not needed"}
	}
	if err != nil {
		return unwritable(what, err)
	}
	return kept(filepath.Dir(path))
}

// RemoveFile takes a file of policies away. It returns an error of kind Stale if it was
// edited since it had the text, and none if it is gone already.
func RemoveFile(path, text string) error {
	there, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return unwritable("take "+path+" away", err)
	case string(there) != text:
		return &penumbra.Error{Kind: penumbra.Stale, What: "take " + path + " away: somebody has edited it since", Remedy: "take it away by hand if it is not needed"}
	}
	if err := os.Remove(path); err != nil {
		return unwritable("take "+path+" away", err)
	}
	return kept(filepath.Dir(path))
}

// kept has what was changed in a folder outlive a loss of power.
func kept(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func unwritable(what string, err error) error {
	return &penumbra.Error{Kind: penumbra.Missing, What: what, Err: err, Remedy: "let who runs Penumbra write in that folder, and see that there is room"}
}
