// Package files watches folders, so that a change to code or to a managed file
// starts a look at the stack at once. It only says that something changed:
// what changed is for a read to find out.
package files

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/penumbra-iac/penumbra"
)

// settle is how long a folder must be quiet before a change is told: editors
// and deployments write several files in one go.
const settle = 300 * time.Millisecond

// maxFolders bounds the folders watched; the kernel's own limit is shared by
// all programs of a user.
const maxFolders = 4096

// Watch calls changed after something below one of the roots changed, until
// ctx ends. A root may be a file. Folders whose name starts with a dot are left
// out, as are files that tools write while they only read, such as lock files.
// It returns an error of kind Unavailable if the system can watch no more, and
// of kind Invalid if a root cannot be read.
func Watch(ctx context.Context, roots []string, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "watch files", Remedy: "raise fs.inotify.max_user_instances", Err: err}
	}
	defer w.Close()
	for _, root := range roots {
		if err := add(w, root); err != nil {
			return err
		}
	}
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-w.Events:
			if !ok {
				return nil
			}
			if ignored(event.Name) || event.Op == fsnotify.Chmod && !exists(event.Name) {
				continue
			}
			if event.Has(fsnotify.Create) && isDir(event.Name) {
				if err := add(w, event.Name); err != nil {
					return err
				}
			}
			quiet.Reset(settle)
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			// An overflow means that events were lost: look once more.
			_ = err
			quiet.Reset(settle)
		case <-quiet.C:
			changed()
		}
	}
}

// add watches root and every folder below it.
func add(w *fsnotify.Watcher, root string) error {
	if !isDir(root) {
		// A file is watched through its folder: editors replace files.
		root = filepath.Dir(root)
		return watch(w, root)
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == root {
				return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("watch %s", root), Remedy: "check the path and its permissions", Err: err}
			}
			return nil // gone meanwhile
		}
		if !d.IsDir() {
			return nil
		}
		if path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		return watch(w, path)
	})
}

func watch(w *fsnotify.Watcher, folder string) error {
	if len(w.WatchList()) >= maxFolders {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("more than %d folders to watch below the stack", maxFolders), Remedy: "name fewer paths under `watch`"}
	}
	if err := w.Add(folder); err != nil {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("watch %s", folder), Remedy: "raise fs.inotify.max_user_watches", Err: err}
	}
	return nil
}

// ignored reports whether a file says nothing about code or world: what a tool
// writes beside its work, and editors' scratch files.
func ignored(path string) bool {
	name := filepath.Base(path)
	switch {
	case strings.HasPrefix(name, "."), strings.HasSuffix(name, "~"), strings.HasSuffix(name, ".swp"):
		return true
	case strings.HasSuffix(name, ".lock.info"), strings.HasSuffix(name, ".tfstate.backup"), name == "crash.log":
		return true
	}
	return false
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
