package ansible

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

// notRun are folders of roles and collections that no play runs.
var notRun = map[string]bool{"tests": true, "docs": true, "changelogs": true, "molecule": true}

// collectionsFolder is what Ansible wants collections to lie in.
const collectionsFolder = "/ansible_collections/"

// beside returns a digest of each role and collection outside of the stack's folder
// that the tasks come from or whose modules they call, by its path: what somebody
// installs there anew changes what an approved play does. Ansible's own modules are
// not among them.
func (w *Workspace) beside(tasks map[string]*declared) map[string]string {
	out := map[string]string{}
	add := func(path string) {
		if path == "" || out[path] != "" || path == w.dir || strings.HasPrefix(path, w.dir+string(filepath.Separator)) {
			return
		}
		out[path] = digestOf(path)
	}
	for _, t := range tasks {
		file, _ := t.file()
		for _, path := range [...]string{t.RolePath, file, t.ModulePath} {
			whole, inCollection := collectionOf(path)
			switch {
			case inCollection:
				add(whole)
			case path == t.ModulePath && strings.Contains(path, "/ansible/modules/"):
			case path == file && t.RolePath != "" && strings.HasPrefix(file, t.RolePath+"/"):
			case filepath.IsAbs(path):
				add(path)
			}
		}
	}
	return out
}

// collectionOf returns the folder of the collection that a path lies in.
func collectionOf(path string) (string, bool) {
	before, rest, ok := strings.Cut(path, collectionsFolder)
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) < 3 {
		return "", false
	}
	return before + collectionsFolder + parts[0] + "/" + parts[1], true
}

// besideNow returns the digests of now of the folders that had one.
func besideNow(was map[string]string) map[string]string {
	out := make(map[string]string, len(was))
	for path := range was {
		out[path] = digestOf(path)
	}
	return out
}

// digestOf is a digest of a file, or of all files in a folder.
func digestOf(path string) string {
	h := sha256.New()
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != path && (notCodeFolders[d.Name()] || notRun[d.Name()]):
			return filepath.SkipDir
		case d.IsDir() || name != path && notCodeEndings[filepath.Ext(name)]:
			return nil
		}
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			return nil
		}
		hash, err := codepatch.HashFile(name)
		fmt.Fprintf(h, "%q %s\n", strings.TrimPrefix(name, path), hash)
		return err
	})
	if err != nil {
		return "unreadable"
	}
	return hex.EncodeToString(h.Sum(nil))
}
