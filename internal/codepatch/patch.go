// Package codepatch answers: how does a patch get into a stack's code, whole or
// not at all, and how is a copy of the code made that has it? Adapters use it.
//
// It guarantees that a file is replaced only if it is the one that the patch was
// made for, in one step and with the mode it had, and that nothing outside the
// stack's folder is written.
package codepatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
)

// Folder is a stack's code.
type Folder struct {
	Stack string
	Dir   string // absolute, without symbolic links
	Data  string // the stack's data folder, absolute; nothing in it is code
}

// Write writes the patch into the code: all files or none. It returns an error
// of kind Stale, having written nothing, if a file is not the one that the patch
// is for, and Refused if one lies outside the folder.
func (c Folder) Write(ctx context.Context, patch penumbra.Patch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	paths, err := c.base(&patch)
	if err != nil {
		return err
	}
	for n, f := range patch.Files {
		if err := replaceFile(paths[n], f.After); err != nil {
			for done := range n {
				err = joinRevert(err, replaceFile(paths[done], patch.Files[done].Before))
			}
			return &penumbra.Error{Kind: penumbra.Full, What: "write " + f.Path + " of stack " + c.Stack, Err: err, Remedy: "check the folder's permissions and its free space"}
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

// Revert puts the files of a patch back; those that were not written stay. It
// returns an error of kind Stale, having written nothing, if a file is neither
// what the patch was for nor what it made.
func (c Folder) Revert(ctx context.Context, patch penumbra.Patch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var written []int
	paths := make([]string, len(patch.Files))
	for n, f := range patch.Files {
		path, err := c.inside(f.Path)
		if err != nil {
			return err
		}
		paths[n] = path
		switch hash, err := HashFile(path); {
		case err == nil && hash == f.Base:
		case err == nil && hash == HashText(f.After):
			written = append(written, n)
		default:
			return c.edited(f.Path)
		}
	}
	for _, n := range written {
		f := patch.Files[n]
		if HashText(f.Before) != f.Base {
			return &penumbra.Error{Kind: penumbra.Damaged, What: "put back " + f.Path + ": the patch does not hold the file as it was", Remedy: "restore the file from version control"}
		}
		if err := replaceFile(paths[n], f.Before); err != nil {
			return &penumbra.Error{Kind: penumbra.Full, What: "put back " + f.Path + " of stack " + c.Stack, Err: err, Remedy: "check the folder's permissions and its free space"}
		}
	}
	return nil
}

// base checks that each file is the one that the patch is for, and returns
// their paths.
func (c Folder) base(patch *penumbra.Patch) ([]string, error) {
	if patch.Stack != "" && patch.Stack != c.Stack {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("a patch for stack %s, given to %s", patch.Stack, c.Stack)}
	}
	paths := make([]string, len(patch.Files))
	for n, f := range patch.Files {
		path, err := c.inside(f.Path)
		if err != nil {
			return nil, err
		}
		if hash, err := HashFile(path); err != nil || hash != f.Base {
			return nil, c.edited(f.Path)
		}
		paths[n] = path
	}
	return paths, nil
}

func (c Folder) edited(name string) error {
	return &penumbra.Error{
		Kind: penumbra.Stale, What: fmt.Sprintf("%s of stack %s is no longer the file that the patch was made for", name, c.Stack),
		Remedy: "look at the new proposals and decide again",
	}
}

// inside returns the path of a file of the stack. One that is reached through
// a symbolic link is refused: it may lie outside, or belong to others too.
func (c Folder) inside(name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%q lies outside the folder of stack %s", name, c.Stack)}
	}
	path := filepath.Join(c.Dir, filepath.FromSlash(name))
	switch resolved, err := filepath.EvalSymlinks(path); {
	case err != nil:
		return "", c.edited(name)
	case resolved != path:
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s of stack %s is reached through a symbolic link", name, c.Stack), Remedy: "edit the file by hand"}
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

// HashFile returns the SHA-256, in hexadecimal, of a file.
func HashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// HashText returns the SHA-256, in hexadecimal, of a text.
func HashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Digest is a digest of what a patch does, "" for none.
func Digest(patch *penumbra.Patch) string {
	if patch == nil {
		return ""
	}
	h := sha256.New()
	for _, f := range patch.Files {
		fmt.Fprintf(h, "%q %q %q\n", f.Path, f.Base, f.After)
	}
	return hex.EncodeToString(h.Sum(nil))
}
