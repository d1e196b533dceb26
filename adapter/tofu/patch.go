package tofu

import (
	"context"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

func (w *Workspace) code() codepatch.Folder {
	return codepatch.Folder{Stack: w.config.Stack, Dir: w.dir, Data: w.data}
}

// WritePatch writes the patch into the code: all files or none. It returns an
// error of kind Stale, having written nothing, if a file is not the one that the
// patch is for, and Refused if one lies outside the stack's folder.
func (w *Workspace) WritePatch(ctx context.Context, patch penumbra.Patch) error {
	return w.code().Write(ctx, patch)
}

// RevertPatch puts the files of a patch back; those that were not written
// stay. It returns an error of kind Stale, having written nothing, if a file
// is neither what the patch was for nor what it made.
func (w *Workspace) RevertPatch(ctx context.Context, patch penumbra.Patch) error {
	return w.code().Revert(ctx, patch)
}
