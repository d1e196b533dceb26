package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Change is what is put on a branch.
type Change struct {
	Branch string
	Patch  penumbra.Patch
	// Message is the commit's, with Drift and Proposal as the trailers
	// Penumbra-Drift and Penumbra-Proposal: by them a commit is known again.
	Message         string
	Drift, Proposal string
	Time            time.Time // of the commit: the same change gives the same commit
}

// tips are where branches are now.
type tips struct {
	base     string // the branch that the change is for
	commit   string // its tip
	branch   string // the tip of the change's branch on the remote, "" if it has none
	upstream bool   // they are the remote's
}

// treeEntry is a file of a commit.
type treeEntry struct{ path, mode, oid string }

// Commit puts a patch on its branch and returns where it is. A commit of the same
// proposal that is there already, in the checkout or on the remote, is kept; one
// of an earlier proposal for the same drift gives way. It returns an error of
// kind Stale if the base has another file than the patch is for, and Refused if
// the branch holds what Penumbra did not make, or if a file is in a submodule or
// is a link.
func (c *Checkout) Commit(ctx context.Context, ch Change) (penumbra.CodeChange, error) {
	w, err := c.open(ctx)
	if err != nil {
		return penumbra.CodeChange{}, err
	}
	t, err := w.tips(ctx, ch.Branch)
	if err != nil {
		return penumbra.CodeChange{}, err
	}
	out := penumbra.CodeChange{Way: penumbra.BranchWay, Branch: ch.Branch, Base: t.base, Remote: w.config.Remote}
	local, err := w.resolve(ctx, "refs/heads/"+ch.Branch)
	if err != nil {
		return out, err
	}
	for _, oid := range []string{t.branch, local} {
		same, err := w.same(ctx, oid, &ch)
		if err != nil {
			return out, err
		}
		if same {
			out.Commit, out.Pushed = oid, oid == t.branch
			return out, w.point(ctx, ch.Branch, local, oid)
		}
	}
	if out.Commit, err = w.commit(ctx, &t, &ch); err != nil {
		return out, err
	}
	return out, w.point(ctx, ch.Branch, local, out.Commit)
}

// tips asks the remote, or the checkout without one, where the branches are.
func (w *worktree) tips(ctx context.Context, branch string) (tips, error) {
	if w.config.Remote == "" {
		return w.localTips(ctx)
	}
	t := tips{base: w.config.Base, upstream: true}
	refs, err := w.remoteRefs(ctx, "HEAD", "refs/heads/"+branch)
	if err != nil {
		return t, err
	}
	if t.base == "" {
		t.base = strings.TrimPrefix(refs["ref: HEAD"], "refs/heads/")
		if t.base == "" {
			return t, &penumbra.Error{Kind: penumbra.Invalid, What: "remote " + w.config.Remote + " of stack " + w.config.Stack + " names no default branch", Remedy: "set `base` of the stack's `code`"}
		}
	}
	t.branch = refs["refs/heads/"+branch]
	of, err := w.remoteRefs(ctx, "refs/heads/"+t.base)
	if err != nil {
		return t, err
	}
	if t.commit = of["refs/heads/"+t.base]; t.commit == "" {
		return t, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("remote %s of stack %s has no branch %q", w.config.Remote, w.config.Stack, t.base), Remedy: "correct `base` of the stack's `code`"}
	}
	if err := w.need(ctx, t.commit, "refs/heads/"+t.base); err != nil {
		return t, err
	}
	if t.branch != "" {
		return t, w.need(ctx, t.branch, "refs/heads/"+branch)
	}
	return t, nil
}

func (w *worktree) localTips(ctx context.Context) (tips, error) {
	t := tips{base: w.config.Base}
	ref := "HEAD"
	if t.base != "" {
		ref = "refs/heads/" + t.base
	} else if name, err := w.line(ctx, call{args: []string{"symbolic-ref", "--quiet", "--short", "HEAD"}}); err == nil {
		t.base = name
	}
	commit, err := w.resolve(ctx, ref)
	if err == nil && commit == "" {
		err = &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("the repository of stack %s has no commit that %s leads to", w.config.Stack, ref), Remedy: "commit the code, or correct `base` of the stack's `code`"}
	}
	t.commit = commit
	return t, err
}

// resolve returns the commit that a reference leads to, "" if it does not.
func (w *worktree) resolve(ctx context.Context, ref string) (string, error) {
	oid, err := w.line(ctx, call{args: []string{"rev-parse", "--verify", "--quiet", ref + "^{commit}"}})
	var ended *commandError
	if errors.As(err, &ended) {
		return "", nil
	}
	return oid, err
}

// same reports whether a commit is one that was made of this very change. A
// commit of the branch that is neither this nor of the same drift is refused.
func (w *worktree) same(ctx context.Context, oid string, ch *Change) (bool, error) {
	if oid == "" {
		return false, nil
	}
	proposal, err := w.owned(ctx, oid, ch.Branch, ch.Drift)
	if err != nil || proposal != ch.Proposal {
		return false, err
	}
	for _, f := range ch.Patch.Files {
		name, err := w.inside(f.Path)
		if err != nil {
			return false, err
		}
		e, err := w.entry(ctx, oid, name)
		if err != nil {
			return false, err
		}
		if is, _, err := w.blobOf(ctx, e, f.After); !is || err != nil {
			return false, err
		}
	}
	return true, nil
}

// owned returns the proposal that a commit was made for. It returns an error of
// kind Refused if Penumbra did not make it for the drift.
func (w *worktree) owned(ctx context.Context, oid, branch, drift string) (string, error) {
	trailer := func(key string) string { return "%(trailers:key=" + key + ",valueonly,separator=%x2C)" }
	line, err := w.line(ctx, call{args: []string{"log", "-1", "--no-notes", "--format=" + trailer("Penumbra-Drift") + "%x00" + trailer("Penumbra-Proposal"), oid, "--"}})
	if err != nil {
		return "", err
	}
	of, proposal, _ := strings.Cut(line, "\x00")
	if of != drift {
		return "", w.refused(fmt.Sprintf("branch %s ends with commit %.12s, which Penumbra did not make", branch, oid), "merge or rename that branch: nothing of it is overwritten")
	}
	return proposal, nil
}

// entry returns a file of a commit. It returns an error of kind Stale if it is
// not there, and Refused if it is no file of this repository.
func (w *worktree) entry(ctx context.Context, commit, name string) (treeEntry, error) {
	for at := name; at != "."; at = path.Dir(at) {
		out, err := w.line(ctx, call{args: []string{"ls-tree", "-z", "--full-tree", commit, "--", at}})
		if err != nil {
			return treeEntry{}, err
		}
		if out == "" {
			continue
		}
		meta, _, _ := strings.Cut(out, "\t")
		f := strings.Fields(meta)
		switch {
		case len(f) != 3:
			return treeEntry{}, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("git ls-tree answered %.40q", out), Remedy: "use git 2.20 or newer"}
		case f[0] == "160000":
			return treeEntry{}, w.refused(fmt.Sprintf("%s is in the submodule %s: a change would be needed in both repositories", name, at), "change it in the submodule's own repository")
		case f[0] == "120000":
			return treeEntry{}, w.refused(name+" is reached through a symbolic link", "edit the file by hand")
		case at != name:
			return treeEntry{}, w.moved(name)
		}
		return treeEntry{path: name, mode: f[0], oid: f[2]}, nil
	}
	return treeEntry{}, w.moved(name)
}

func (w *worktree) moved(name string) error {
	where, remedy := "the branch to change", "commit the working tree, or bring it to what is committed, and decide again"
	if w.config.Remote != "" {
		where, remedy = "the branch to change on "+w.config.Remote, "push or pull so that the checkout has what the remote has, and decide again"
	}
	return &penumbra.Error{
		Kind: penumbra.Stale, What: fmt.Sprintf("%s of stack %s is another file on %s than the patch was made for", name, w.config.Stack, where),
		Remedy: remedy,
	}
}

// How a text of the working tree becomes a blob.
const (
	asFiltered = "filtered" // by the attributes of its path: line ends, clean filters
	asIs       = "as it is"
)

// blobOf reports whether an entry is what a text of the working tree is stored
// as, and how it is stored. A file that was committed before its attributes were
// is stored as it is.
func (w *worktree) blobOf(ctx context.Context, e treeEntry, text string) (bool, string, error) {
	for _, how := range []string{asFiltered, asIs} {
		oid, err := w.hash(ctx, e.path, text, how)
		if err != nil {
			return false, "", err
		}
		if oid == e.oid {
			return true, how, nil
		}
	}
	return false, "", nil
}

func (w *worktree) hash(ctx context.Context, name, text, how string, flags ...string) (string, error) {
	as := "--path=" + name
	if how == asIs {
		as = "--no-filters"
	}
	return w.line(ctx, call{args: append([]string{"hash-object", "--stdin", as}, flags...), in: []byte(text)})
}

// commit makes the commit, which nothing leads to yet.
func (w *worktree) commit(ctx context.Context, t *tips, ch *Change) (string, error) {
	var index strings.Builder
	for _, f := range ch.Patch.Files {
		sum := sha256.Sum256([]byte(f.Before))
		if hex.EncodeToString(sum[:]) != f.Base {
			return "", &penumbra.Error{Kind: penumbra.Damaged, What: "change " + f.Path + " of stack " + w.config.Stack + ": the patch does not hold the file as it was", Remedy: "look at the new proposals and decide again"}
		}
		name, err := w.inside(f.Path)
		if err != nil {
			return "", err
		}
		e, err := w.entry(ctx, t.commit, name)
		if err != nil {
			return "", err
		}
		is, how, err := w.blobOf(ctx, e, f.Before)
		if err != nil {
			return "", err
		}
		if !is {
			return "", w.moved(name)
		}
		oid, err := w.hash(ctx, name, f.After, how, "-w")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&index, "%s %s\t%s\x00", e.mode, oid, name)
	}
	tree, err := w.tree(ctx, t.commit, index.String())
	if err != nil {
		return "", err
	}
	env, err := w.identity(ctx, ch.Time)
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", "-p", t.commit, "-F", "-"}
	if sign, err := w.line(ctx, call{args: []string{"config", "--type=bool", "--get", "commit.gpgSign"}}); err == nil && sign == "true" {
		args = append(args, "-S") // commit-tree does not look at the setting itself
	}
	oid, err := w.line(ctx, call{args: append(args, tree), in: []byte(ch.Message), env: env})
	var failed *penumbra.Error
	if errors.As(err, &failed) && len(args) > 5 {
		failed.Kind, failed.Remedy = penumbra.Refused, "git signs commits here (commit.gpgSign): let the user who runs Penumbra sign without being asked"
	}
	return oid, err
}

// tree writes the tree of a commit with some files replaced, by an index of its
// own: the user's is not looked at.
func (w *worktree) tree(ctx context.Context, commit, files string) (string, error) {
	temp, err := os.MkdirTemp("", "penumbra-index-")
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Full, What: "make a temporary index", Remedy: "make room in " + os.TempDir(), Err: err}
	}
	defer os.RemoveAll(temp)
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(temp, "index")}
	if _, err := w.git(ctx, call{args: []string{"read-tree", commit}, env: env}); err != nil {
		return "", err
	}
	if _, err := w.git(ctx, call{args: []string{"update-index", "-z", "--index-info"}, in: []byte(files), env: env}); err != nil {
		return "", err
	}
	return w.line(ctx, call{args: []string{"write-tree"}, env: env})
}

// identity is who the author and the committer are.
func (w *worktree) identity(ctx context.Context, at time.Time) ([]string, error) {
	name, email := "", ""
	if a := w.config.Author; a != "" {
		before, rest, _ := strings.Cut(a, "<")
		name, email = strings.TrimSpace(before), strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), ">"))
	} else {
		// Without a value git ends with an error: then it stays "".
		name, _ = w.line(ctx, call{args: []string{"config", "--get", "user.name"}})
		email, _ = w.line(ctx, call{args: []string{"config", "--get", "user.email"}})
	}
	if name == "" || email == "" {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, w.refused("nobody is known whom the commit is by", "set `author: Name <email>` of the stack's `code`, or git's user.name and user.email")
	}
	date := fmt.Sprintf("%d +0000", at.Unix())
	return []string{
		"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + email, "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + email, "GIT_COMMITTER_DATE=" + date,
	}, nil
}

// point has the branch lead to a commit, if nobody has moved it meanwhile.
func (w *worktree) point(ctx context.Context, branch, from, to string) error {
	if from == to {
		return nil
	}
	if from != "" {
		used, err := w.line(ctx, call{args: []string{"worktree", "list", "--porcelain"}})
		if err != nil {
			return err
		}
		if strings.Contains(used+"\n", "branch refs/heads/"+branch+"\n") {
			return w.refused("branch "+branch+" is checked out, and would change under whoever works on it", "check out another branch there, and approve again")
		}
	}
	_, err := w.git(ctx, call{args: []string{"update-ref", "--create-reflog", "-m", "penumbra: propose a change", "refs/heads/" + branch, to, from}})
	var ended *commandError
	if !errors.As(err, &ended) {
		return err
	}
	return &penumbra.Error{Kind: penumbra.Locked, What: fmt.Sprintf("point branch %s of stack %s to %.12s", branch, w.config.Stack, to), Remedy: "see whether another git is at work there, or a branch is named penumbra, and approve again", Err: ended}
}
