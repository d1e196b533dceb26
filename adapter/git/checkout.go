package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/procgroup"
)

// CheckoutConfig says which repository changes are put in, and how.
type CheckoutConfig struct {
	Stack string // named in errors
	Dir   string // the stack's folder, somewhere in a working tree
	// Remote is the name of the repository that branches are pushed to; "" keeps
	// them in the checkout.
	Remote string
	// Base is the branch that changes start from and are for; "" is the remote's
	// default branch, or without a remote the branch that is checked out.
	Base string
	// Author is "Name <email>"; "" takes user.name and user.email of git.
	Author string
	// Token returns what a remote reached by HTTP asks for, and Username goes with
	// it. If Token is nil, git's own credential helpers answer.
	Token    func() (string, error)
	Username string
	// CAFile holds certificates that the remote's is signed by, "" for the system's.
	CAFile string
}

// Checkout is the repository that a stack's folder is in, as a place to put
// changes on branches of their own. The working tree, the index, what is checked
// out and what was fetched stay as they are: a commit is made from the objects
// alone, and hooks, which work on a working tree, are not run.
type Checkout struct{ config CheckoutConfig }

// NewCheckout returns the checkout. Nothing is run yet.
func NewCheckout(c CheckoutConfig) *Checkout { return &Checkout{config: c} }

// worktree is an opened checkout.
type worktree struct {
	*Checkout
	binary string
	top    string // of the working tree; git runs in it
	prefix string // of the stack's folder below it, "" or with a slash at its end
	remote string // the address that is pushed to, "" without a remote
	token  string
	batch  bool // ssh is git's own choice, and must not ask anybody anything
}

// open finds the working tree that the stack is in.
func (c *Checkout) open(ctx context.Context) (*worktree, error) {
	binary, err := exec.LookPath("git")
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "change the code of stack " + c.config.Stack, Remedy: "install git", Err: err}
	}
	w := &worktree{Checkout: c, binary: binary, top: c.config.Dir}
	out, err := w.git(ctx, call{args: []string{"rev-parse", "--show-toplevel", "--show-prefix", "--show-superproject-working-tree"}})
	if err != nil {
		return nil, notRepository(c.config.Dir, err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) < 2 {
		return nil, w.refused("the folder "+c.config.Dir+" is in a repository without a working tree", "name a checkout")
	}
	w.top, w.prefix = filepath.FromSlash(lines[0]), lines[1]
	if len(lines) > 2 && lines[2] != "" {
		return nil, w.refused(
			fmt.Sprintf("the folder %s is in a submodule of %s: a change would be needed in both repositories", c.config.Dir, lines[2]),
			"use a checkout of the submodule's own repository as the stack's folder, or `way: direct`")
	}
	return w, w.findRemote(ctx)
}

func (w *worktree) findRemote(ctx context.Context) error {
	name := w.config.Remote
	if name == "" {
		return nil
	}
	out, err := w.git(ctx, call{args: []string{"remote", "get-url", "--push", "--", name}})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the repository of stack %s has no remote %q", w.config.Stack, name), Remedy: "name one that `git remote` lists as `remote`"}
	}
	w.remote = strings.TrimSpace(string(out))
	if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		chosen, err := w.quiet(ctx, "config", "--get", "core.sshCommand")
		if err != nil {
			return err
		}
		w.batch = !chosen
	}
	return nil
}

func (w *worktree) refused(what, remedy string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: "change the code of stack " + w.config.Stack + ": " + what, Remedy: remedy}
}

// RemoteURL returns the address of the remote without a user and a password, ""
// without a remote.
func (c *Checkout) RemoteURL(ctx context.Context) (string, error) {
	w, err := c.open(ctx)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(w.remote); err == nil && u.Host != "" {
		u.User = nil
		return u.String(), nil
	}
	return w.remote, nil
}

// call is one run of git.
type call struct {
	args    []string
	in      []byte
	env     []string
	network bool // it talks to the remote
}

// networkTimeout bounds one talk with a remote: a push of one commit takes
// seconds.
const networkTimeout = 2 * time.Minute

func (w *worktree) git(ctx context.Context, c call) ([]byte, error) {
	flags := []string{
		"-C", w.top, "--no-pager", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
		"-c", "i18n.commitEncoding=UTF-8", "-c", "i18n.logOutputEncoding=UTF-8", "-c", "core.splitIndex=false", "-c", "log.showSignature=false",
	}
	env := append(environment("GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"), c.env...)
	if c.network {
		more, secrets, err := w.credentials()
		if err != nil {
			return nil, err
		}
		flags, env = append(flags, more...), append(env, secrets...)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, networkTimeout)
		defer cancel()
	}
	cmd := procgroup.CommandContext(ctx, w.binary, append(flags, c.args...)...)
	cmd.WaitDelay = 5 * time.Second
	var out, said bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, bytes.NewReader(c.in), &out, &said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil && c.network:
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("git %s with remote %s", c.args[0], w.config.Remote), Remedy: "see whether it can be reached, and approve again: what is done already stays", Err: ctx.Err()}
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, w.failure(c, err, said.String())
	}
	return out.Bytes(), nil
}

// failure says what became of a run of git that ended with an error.
func (w *worktree) failure(c call, err error, said string) error {
	said = strings.TrimSpace(said)
	if said == "" {
		said = err.Error()
	}
	if w.token != "" {
		said = strings.ReplaceAll(said, w.token, "[redacted]")
	}
	out := &penumbra.Error{
		Kind: penumbra.Unavailable, What: fmt.Sprintf("git %s in the repository of stack %s", c.args[0], w.config.Stack),
		Err: &commandError{said: penumbra.Redact(said)},
	}
	if !c.network {
		return out
	}
	out.What += " with remote " + w.config.Remote
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(said, word) })
	}
	switch {
	case has("Authentication failed", "could not read Username", "could not read Password", "Permission denied", "returned error: 401", "returned error: 403", "access denied", "Access denied"):
		out.Kind, out.Remedy = penumbra.Refused, "give a token that may push there with `token_env` or `token_file` of the stack's `code`, or let git itself do so"
	case has("stale info", "non-fast-forward", "fetch first", "cannot lock ref"):
		out.Kind, out.Remedy = penumbra.Stale, "somebody else moved the branch: look at it, and approve again"
	case has("protected branch", "hook declined", "[remote rejected]"):
		out.Kind, out.Remedy = penumbra.Refused, "let the token's user push branches below penumbra/"
	case has("not found", "does not exist", "does not appear to be a git repository"):
		out.Kind, out.Remedy = penumbra.NotFound, "see `git remote -v`, and whether the token's user may see the repository"
	default:
		out.Remedy = "see whether it can be reached, and approve again: what is done already stays"
	}
	return out
}

// environment is what git sees: a hook's variables name another repository than
// the one in the folder, and others change what a path means.
func environment(kept ...string) []string {
	var out []string
	for _, x := range procgroup.Environ() {
		name, _, _ := strings.Cut(x, "=")
		switch {
		case name == "SSH_ASKPASS":
		case !strings.HasPrefix(name, "GIT_"), strings.HasPrefix(name, "GIT_CONFIG_"), slices.Contains(keptVariables[:], name), slices.Contains(kept, name):
			out = append(out, x)
		}
	}
	return append(out, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "SSH_ASKPASS_REQUIRE=never")
}

// helper answers git's question for a user and a password from the environment:
// neither is in the arguments, which every user of the machine can list.
const helper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$PENUMBRA_GIT_USER" "$PENUMBRA_GIT_TOKEN"; }; f`

// credentials returns the flags and variables with which git may talk to the
// remote. The token is for the remote's own host.
func (w *worktree) credentials() (flags, env []string, err error) {
	if w.config.CAFile != "" {
		flags = append(flags, "-c", "http.sslCAInfo="+w.config.CAFile)
	}
	if w.batch {
		env = append(env, "GIT_SSH_COMMAND=ssh -o BatchMode=yes")
	}
	u, err := url.Parse(w.remote)
	if err != nil || w.config.Token == nil || u.Scheme != "https" && u.Scheme != "http" {
		return flags, env, nil
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, nil, w.refused(fmt.Sprintf("the remote %s is reached by HTTP, on which anybody could read the token", w.config.Remote), "use its https:// address")
	}
	if w.token, err = w.config.Token(); err != nil {
		return nil, nil, err
	}
	user := w.config.Username
	if user == "" {
		user = "penumbra"
	}
	flags = append(flags, "-c", "credential.helper=", "-c", "credential."+u.Scheme+"://"+u.Host+".helper="+helper)
	return flags, append(env, "PENUMBRA_GIT_USER="+user, "PENUMBRA_GIT_TOKEN="+w.token), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// inside returns the path of a file of the stack below the top of the working
// tree.
func (w *worktree) inside(name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", w.refused(fmt.Sprintf("%q lies outside the folder of the stack", name), "")
	}
	return path.Join(w.prefix, filepath.ToSlash(name)), nil
}

// quiet reports whether git ended well, for questions that it answers by that.
func (w *worktree) quiet(ctx context.Context, args ...string) (bool, error) {
	_, err := w.git(ctx, call{args: args})
	var ended *commandError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &ended):
		return false, nil
	}
	return false, err
}

// line returns what git prints, without the end of its line.
func (w *worktree) line(ctx context.Context, c call) (string, error) {
	out, err := w.git(ctx, c)
	return strings.TrimSuffix(string(out), "\n"), err
}
