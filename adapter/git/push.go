package git

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// remoteRefs asks the remote where references lead to. "ref: HEAD" is what HEAD
// stands for.
func (w *worktree) remoteRefs(ctx context.Context, refs ...string) (map[string]string, error) {
	out, err := w.git(ctx, call{args: append([]string{"ls-remote", "--symref", "--", w.config.Remote}, refs...), network: true})
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		value, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if target, ok := strings.CutPrefix(value, "ref: "); ok {
			name, value = "ref: "+name, target
		}
		found[name] = value
	}
	return found, nil
}

// need fetches a commit if it is not there. No reference is made for it: what the
// user fetched stays as it is.
func (w *worktree) need(ctx context.Context, oid, ref string) error {
	if there, err := w.quiet(ctx, "cat-file", "-e", oid+"^{commit}"); there || err != nil {
		return err
	}
	_, err := w.git(ctx, call{args: []string{
		"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap=", "--", w.config.Remote, ref,
	}, network: true})
	return err
}

// Push has the remote's branch lead to the commit of a change, and returns the
// change as it is then. Without a remote there is nothing to do. A branch that
// leads there already is left alone; what Penumbra did not make for the drift is
// never overwritten.
func (c *Checkout) Push(ctx context.Context, change penumbra.CodeChange, drift string) (penumbra.CodeChange, error) {
	if change.Remote == "" {
		return change, nil
	}
	w, err := c.open(ctx)
	if err != nil {
		return change, err
	}
	ref := "refs/heads/" + change.Branch
	refs, err := w.remoteRefs(ctx, ref)
	if err != nil {
		return change, err
	}
	there := refs[ref]
	if there != "" && there != change.Commit {
		if err := w.need(ctx, there, ref); err != nil {
			return change, err
		}
		if _, err := w.owned(ctx, there, change.Branch, drift); err != nil {
			return change, err
		}
	}
	if there != change.Commit {
		_, err = w.git(ctx, call{args: []string{
			"push", "--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--force-with-lease=" + ref + ":" + there, "--", w.config.Remote, change.Commit + ":" + ref,
		}, network: true})
		if err != nil {
			return change, err
		}
	}
	change.Pushed = true
	return change, nil
}

// Look returns a change with what became of it, as far as the branches tell: it
// is merged if the base has its commit, and closed if its branch is gone.
func (c *Checkout) Look(ctx context.Context, change penumbra.CodeChange) (penumbra.CodeChange, error) {
	w, err := c.open(ctx)
	if err != nil {
		return change, err
	}
	base, branch := "", ""
	if change.Remote == "" {
		ref := "HEAD"
		if change.Base != "" {
			ref = "refs/heads/" + change.Base
		}
		if base, err = w.resolve(ctx, ref); err == nil {
			branch, err = w.resolve(ctx, "refs/heads/"+change.Branch)
		}
	} else {
		var refs map[string]string
		if refs, err = w.remoteRefs(ctx, "refs/heads/"+change.Base, "refs/heads/"+change.Branch); err == nil {
			base, branch = refs["refs/heads/"+change.Base], refs["refs/heads/"+change.Branch]
			if base != "" {
				err = w.need(ctx, base, "refs/heads/"+change.Base)
			}
		}
	}
	if err != nil {
		return change, err
	}
	merged := false
	if base != "" {
		if merged, err = w.quiet(ctx, "merge-base", "--is-ancestor", change.Commit, base); err == nil && !merged {
			merged, err = w.squashed(ctx, change.Commit, base)
		}
		if err != nil {
			return change, err
		}
	}
	switch {
	case merged:
		change.State = penumbra.ReviewMerged
	case branch == "":
		change.State = penumbra.ReviewClosed
	default:
		change.State = penumbra.ReviewOpen
	}
	return change, nil
}

// squashed reports whether a base has what a commit changes by way of another
// commit: one with the same patch, as a squash or a rebase makes it, or any after
// which the files that it touches are as it left them, and not as they were where
// it left the base.
func (w *worktree) squashed(ctx context.Context, commit, base string) (bool, error) {
	var ended *commandError
	same, err := w.line(ctx, call{args: []string{"cherry", base, commit, commit + "^"}})
	switch {
	case errors.As(err, &ended):
		return false, nil // it is not kept any more, or has no parent
	case err != nil:
		return false, err
	case strings.HasPrefix(same, "- "):
		return true, nil
	}
	names, err := w.line(ctx, call{args: []string{"diff", "--name-only", "-z", "--no-renames", commit + "^", commit}})
	paths := strings.FieldsFunc(names, func(r rune) bool { return r == 0 })
	if errors.As(err, &ended) || err == nil && len(paths) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	alike, err := w.quiet(ctx, append([]string{"diff", "--quiet", commit, base, "--"}, literally(paths)...)...)
	if err != nil || !alike {
		return false, err
	}
	fork, err := w.line(ctx, call{args: []string{"merge-base", commit, base}})
	if errors.As(err, &ended) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	as, err := w.quiet(ctx, append([]string{"diff", "--quiet", fork, base, "--"}, literally(paths)...)...)
	return err == nil && !as, err
}

// literally has git take paths as they are written.
func literally(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = ":(top,literal)" + p
	}
	return out
}

// Delete deletes the branch of a change, on the remote and in the checkout. One
// that is gone is no error. A branch that leads elsewhere by now has somebody
// else's work, and is refused.
func (c *Checkout) Delete(ctx context.Context, change penumbra.CodeChange) error {
	w, err := c.open(ctx)
	if err != nil {
		return err
	}
	ref := "refs/heads/" + change.Branch
	kept := func(where, oid string) error {
		return w.refused(fmt.Sprintf("branch %s%s leads to %.12s by now, which Penumbra did not make", change.Branch, where, oid), "delete it by hand if nobody needs it")
	}
	if change.Remote != "" {
		refs, err := w.remoteRefs(ctx, ref)
		if err != nil {
			return err
		}
		switch there := refs[ref]; there {
		case "":
		case change.Commit:
			_, err = w.git(ctx, call{args: []string{"push", "--quiet", "--no-verify", "--force-with-lease=" + ref + ":" + there, "--", w.config.Remote, ":" + ref}, network: true})
			if err != nil {
				return err
			}
		default:
			return kept(" on "+change.Remote, there)
		}
	}
	local, err := w.resolve(ctx, ref)
	if err != nil || local == "" {
		return err
	}
	if local != change.Commit {
		return kept("", local)
	}
	used, err := w.line(ctx, call{args: []string{"worktree", "list", "--porcelain"}})
	if err != nil {
		return err
	}
	if strings.Contains(used+"\n", "branch "+ref+"\n") {
		return w.refused("branch "+change.Branch+" is checked out", "check out another branch there, and delete it by hand")
	}
	_, err = w.git(ctx, call{args: []string{"update-ref", "-d", ref, local}})
	return err
}
