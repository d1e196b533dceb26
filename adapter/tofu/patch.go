package tofu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
)

// WritePatch writes the patch into the code: all files or none, each replaced
// in one step and with the mode it had. It returns an error of kind Stale,
// having written nothing, if a file is not the one that the patch is for, and
// Refused if one lies outside the stack's folder.
func (w *Workspace) WritePatch(ctx context.Context, patch penumbra.Patch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	paths, err := w.patchBase(&patch)
	if err != nil {
		return err
	}
	for n, f := range patch.Files {
		if err := replaceFile(paths[n], f.After); err != nil {
			for done := range n {
				err = joinRevert(err, replaceFile(paths[done], patch.Files[done].Before))
			}
			return &penumbra.Error{Kind: penumbra.Full, What: "write " + f.Path + " of stack " + w.config.Stack, Err: err, Remedy: "check the folder's permissions and its free space"}
		}
	}
	return nil
}

func joinRevert(err, reverting error) error {
	if reverting != nil {
		return fmt.Errorf("%w; and an earlier file could not be put back: %w", err, reverting)
	}
	return err
}

// RevertPatch puts the files of a patch back; those that were not written
// stay. It returns an error of kind Stale, having written nothing, if a file
// is neither what the patch was for nor what it made.
func (w *Workspace) RevertPatch(ctx context.Context, patch penumbra.Patch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var written []int
	paths := make([]string, len(patch.Files))
	for n, f := range patch.Files {
		path, err := w.inside(f.Path)
		if err != nil {
			return err
		}
		paths[n] = path
		switch hash, err := hashFile(path); {
		case err == nil && hash == f.Base:
		case err == nil && hash == hashText(f.After):
			written = append(written, n)
		default:
			return w.edited(f.Path)
		}
	}
	for _, n := range written {
		f := patch.Files[n]
		if hashText(f.Before) != f.Base {
			return &penumbra.Error{Kind: penumbra.Damaged, What: "put back " + f.Path + ": the patch does not hold the file as it was", Remedy: "restore the file from version control"}
		}
		if err := replaceFile(paths[n], f.Before); err != nil {
			return &penumbra.Error{Kind: penumbra.Full, What: "put back " + f.Path + " of stack " + w.config.Stack, Err: err, Remedy: "check the folder's permissions and its free space"}
		}
	}
	return nil
}

// patchBase checks that each file is the one that the patch is for, and returns
// their paths.
func (w *Workspace) patchBase(patch *penumbra.Patch) ([]string, error) {
	if patch.Stack != "" && patch.Stack != w.config.Stack {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("a patch for stack %s, given to %s", patch.Stack, w.config.Stack)}
	}
	paths := make([]string, len(patch.Files))
	for n, f := range patch.Files {
		path, err := w.inside(f.Path)
		if err != nil {
			return nil, err
		}
		if hash, err := hashFile(path); err != nil || hash != f.Base {
			return nil, w.edited(f.Path)
		}
		paths[n] = path
	}
	return paths, nil
}

func (w *Workspace) edited(name string) error {
	return &penumbra.Error{
		Kind: penumbra.Stale, What: fmt.Sprintf("%s of stack %s is no longer the file that the patch was made for", name, w.config.Stack),
		Remedy: "look at the new proposals and decide again",
	}
}

// inside returns the path of a file of the stack. One that is reached through
// a symbolic link is refused: it may lie outside, or belong to others too.
func (w *Workspace) inside(name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%q lies outside the folder of stack %s", name, w.config.Stack)}
	}
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	switch resolved, err := filepath.EvalSymlinks(path); {
	case err != nil:
		return "", w.edited(name)
	case resolved != path:
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s of stack %s is reached through a symbolic link", name, w.config.Stack), Remedy: "edit the file by hand"}
	}
	return path, nil
}

func replaceFile(path, text string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, []byte(text), info.Mode().Perm(), renameio.IgnoreUmask())
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// patchHash is a digest of what a patch does, "" for none.
func patchHash(patch *penumbra.Patch) string {
	if patch == nil {
		return ""
	}
	h := sha256.New()
	for _, f := range patch.Files {
		fmt.Fprintf(h, "%q %q %q\n", f.Path, f.Base, f.After)
	}
	return hex.EncodeToString(h.Sum(nil))
}
