package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
)

// repository is a place to run git in.
type repository struct {
	dir     string
	binary  string
	head    string   // what is read leads to it
	paths   []string // pathspecs; empty: all
	shallow bool
	wanted  func(name string) bool // which files are read
}

// blob is the content of one version of a file.
type blob struct {
	content []byte // nil: above maxFile
	absent  bool   // not in this clone
}

// maxFile bounds the files read: configuration written by hand stays far below.
const maxFile = 1 << 20

// find finds git, and the folder that it is to work in.
func find(dir, verb string) (*repository, error) {
	binary, err := exec.LookPath("git")
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: verb + " " + dir, Remedy: "install git", Err: err}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: verb + " " + dir + ": there is no such folder", Remedy: "name the folder of a git repository"}
	}
	return &repository{dir: dir, binary: binary, head: "HEAD", wanted: func(name string) bool { return kindOf(name) != otherFile }}, nil
}

// open finds the repository that dir is in.
func open(ctx context.Context, dir string, paths []string) (*repository, error) {
	r, err := find(dir, "mine")
	if err != nil {
		return nil, err
	}
	out, err := r.output(ctx, "rev-parse", "--is-shallow-repository", "--show-prefix")
	if err != nil {
		return nil, notRepository(dir, err)
	}
	shallow, prefix, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
	r.shallow = shallow == "true"
	if len(paths) == 0 && prefix != "" {
		paths = []string{"."}
	}
	for _, p := range paths {
		p = path.Join("/", prefix, p)[1:] // below the top, whatever dots it has
		if p == "" {
			r.paths = nil
			break
		}
		r.paths = append(r.paths, ":(top,literal)"+p)
	}
	if _, err := r.output(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &penumbra.Error{Kind: penumbra.NotFound, What: "the repository in " + dir + " has no commit that HEAD leads to", Remedy: "check out a branch that has a history"}
	}
	return r, nil
}

func notRepository(dir string, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) {
		return err
	}
	e := &penumbra.Error{Kind: penumbra.Invalid, What: dir + " is in no git repository", Remedy: "name a folder that `git log` works in"}
	if strings.Contains(failed.said, "dubious ownership") {
		e.What = "git does not trust the repository in " + dir + ": it belongs to another user"
		e.Remedy = "if you trust it, run `git config --global --add safe.directory` with its folder"
	}
	return e
}

// span is the part of the history that is read.
type span struct {
	base    *commit // what was there before the first commit; nil: nothing
	from    string  // or the commit before the first one, whose state is known; "": none
	commits int
}

// span finds where the history that is asked for begins: one pass over the
// commits alone, without their files.
func (r *repository) span(ctx context.Context, since time.Time, most int) (span, error) {
	out, err := r.output(ctx, append([]string{"log", "--first-parent", "--reverse", "--format=%H %ct", r.head, "--"}, r.paths...)...)
	if err != nil {
		return span{}, err
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if lines[0] == "" {
		return span{}, &penumbra.Error{Kind: penumbra.NotFound, What: "no commit of the repository in " + r.dir + " touches " + strings.Join(r.paths, ", "), Remedy: "name a folder that is under version control"}
	}
	begin, last := 0, int64(0)
	var times []int64
	for i, line := range lines {
		_, text, _ := strings.Cut(line, " ")
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return span{}, r.strange("log", line)
		}
		last = max(last, at)
		times = append(times, last)
		if !since.IsZero() && time.Unix(last, 0).Before(since) {
			begin = i + 1
		}
	}
	if begin == len(lines) {
		return span{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no commit since %s in %s", since.UTC().Format(time.RFC3339), r.dir), Remedy: "ask for an earlier time"}
	}
	if most > 0 {
		begin = max(begin, len(lines)-most)
	}
	s := span{commits: len(lines) - begin}
	if begin > 0 {
		hash, _, _ := strings.Cut(lines[begin-1], " ")
		s.base = &commit{hash: hash, time: time.Unix(times[begin-1], 0).UTC(), base: true}
		s.commits++
	}
	return s, nil
}

// ahead is how many commits may be read ahead of the one that is worked on.
const ahead = 64

// walk calls each for every commit of the span, the earliest first. Within a
// call, read returns the content of each change that is not gone, in their
// order, and has to be called for all of them.
func (r *repository) walk(ctx context.Context, s span, each func(c *commit, read func() (blob, error)) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	objects := r.command(running, "cat-file", "--batch")
	in, err := objects.StdinPipe()
	if err != nil {
		return err
	}
	out, err := objects.StdoutPipe()
	if err != nil {
		return err
	}
	if err := objects.Start(); err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "run git", Remedy: "install git", Err: err}
	}
	commits := make(chan *commit, ahead)
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(commits)
		defer in.Close() // then git ends, and so do its replies
		return r.ask(both, s, commits, in)
	})
	g.Go(func() error {
		replies := bufio.NewReaderSize(out, 1<<16)
		for c := range commits {
			c.of = s.commits
			if err := each(c, func() (blob, error) { return reply(replies) }); err != nil {
				stop() // nobody reads on, so that git would wait, and the asking with it
				return err
			}
		}
		return nil
	})
	err = g.Wait()
	ended := objects.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && ended != nil:
		return r.failed("cat-file", ended, objects)
	}
	return err
}

// ask sends on each commit, and asks for its files behind it: the reader of the
// replies then knows of them before they come, so that neither waits for the
// other.
func (r *repository) ask(ctx context.Context, s span, commits chan<- *commit, in io.Writer) error {
	w := bufio.NewWriter(in)
	return r.changes(ctx, s, func(c *commit) error {
		select {
		case commits <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, ch := range c.changes {
			if !ch.gone {
				w.WriteString(ch.oid)
				w.WriteByte('\n')
			}
		}
		if err := w.Flush(); err != nil {
			return &penumbra.Error{Kind: penumbra.Unavailable, What: "ask git for a file", Remedy: "run `git fsck` in " + r.dir, Err: err}
		}
		return nil
	})
}

// reply reads one answer of cat-file --batch: "<oid> blob <size>", the content,
// a line feed; or "<oid> missing".
func reply(r *bufio.Reader) (blob, error) {
	lost := func(err error) error {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "read a file's content from git", Remedy: "run `git fsck` in the repository", Err: err}
	}
	head, err := r.ReadString('\n')
	if err != nil {
		return blob{}, lost(err)
	}
	fields := strings.Fields(head)
	if len(fields) == 2 && fields[1] == "missing" {
		return blob{absent: true}, nil
	}
	size := -1
	if len(fields) == 3 {
		if size, err = strconv.Atoi(fields[2]); err != nil {
			size = -1
		}
	}
	if size < 0 {
		return blob{}, lost(fmt.Errorf("answered %q", strings.TrimSpace(head)))
	}
	if size > maxFile {
		if _, err := r.Discard(size + 1); err != nil {
			return blob{}, lost(err)
		}
		return blob{}, nil
	}
	content := make([]byte, size+1)
	if _, err := io.ReadFull(r, content); err != nil {
		return blob{}, lost(err)
	}
	return blob{content: content[:size]}, nil
}

// changes calls each for every commit of the span with the files that it
// changed: those of the base are all its files.
func (r *repository) changes(ctx context.Context, s span, each func(*commit) error) error {
	from := r.head
	if s.from != "" {
		from = s.from + ".." + r.head
	}
	if s.base != nil {
		from = s.base.hash + ".." + r.head
		// Pathspecs of ls-tree have no magic, so the files are sorted out here.
		err := r.tokens(ctx, func(next func() (string, error)) error {
			for {
				line, err := next()
				if errors.Is(err, io.EOF) {
					return each(s.base)
				}
				if err != nil {
					return err
				}
				meta, name, _ := strings.Cut(line, "\t")
				if f := strings.Fields(meta); len(f) == 3 && regular(f[0]) && r.within(name) && r.wanted(name) {
					s.base.changes = append(s.base.changes, change{path: name, oid: f[2]})
				}
			}
		}, "ls-tree", "-r", "-z", "--full-tree", s.base.hash)
		if err != nil {
			return err
		}
	}
	args := []string{
		"log", "--first-parent", "-m", "--raw", "--reverse", "-z", "--root", "--no-renames", "--no-abbrev", "--no-show-signature",
		"--no-notes", "--no-color", "--format=%x01%H%x00%P%x00%ct%x00%aN%x00%aE%x00%s", from, "--",
	}
	return r.tokens(ctx, func(next func() (string, error)) error { return r.log(next, each) }, append(args, r.paths...)...)
}

// log reads what git log writes: for each commit \x01 and the fields of the
// format, then for each file ":<mode> <mode> <oid> <oid> <status>" and its
// name, all ended by NUL.
func (r *repository) log(next func() (string, error), each func(*commit) error) error {
	var c *commit
	for {
		token, err := next()
		if errors.Is(err, io.EOF) {
			if c == nil {
				return nil
			}
			return each(c)
		}
		if err != nil {
			return err
		}
		token = strings.TrimPrefix(token, "\n")
		switch {
		case token == "":
		case token[0] == '\x01':
			if c != nil {
				if err := each(c); err != nil {
					return err
				}
			}
			if c, err = r.header(token[1:], next); err != nil {
				return err
			}
		case token[0] == ':' && c != nil:
			name, err := next()
			if err != nil {
				return r.strange("log", token)
			}
			f := strings.Fields(token)
			if len(f) != 5 {
				return r.strange("log", token)
			}
			if !r.wanted(name) || !regular(f[1]) && !regular(strings.TrimPrefix(f[0], ":")) {
				continue
			}
			// What became a link or a submodule is no file any more.
			c.changes = append(c.changes, change{path: name, oid: f[3], gone: !regular(f[1])})
		default:
			return r.strange("log", token)
		}
	}
}

func (r *repository) header(hash string, next func() (string, error)) (*commit, error) {
	var fields [5]string
	for i := range fields {
		var err error
		if fields[i], err = next(); err != nil {
			return nil, r.strange("log", hash)
		}
	}
	at, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return nil, r.strange("log", fields[1])
	}
	return &commit{
		hash: hash, time: time.Unix(at, 0).UTC(), name: fields[2], email: fields[3], subject: fields[4],
		base: r.shallow && fields[0] == "",
	}, nil
}

// regular reports whether a mode is that of a file.
func regular(mode string) bool { return strings.HasPrefix(mode, "100") }

// within reports whether a file is below the paths asked for.
func (r *repository) within(name string) bool {
	for _, spec := range r.paths {
		p := strings.TrimPrefix(spec, ":(top,literal)")
		if name == p || strings.HasPrefix(name, p+"/") {
			return true
		}
	}
	return len(r.paths) == 0
}

// command returns git with what makes it read only and the same everywhere.
func (r *repository) command(ctx context.Context, args ...string) *exec.Cmd {
	all := []string{"-C", r.dir, "--no-pager"}
	for _, setting := range [...]string{
		"log.showSignature=false", "log.showRoot=true", "log.follow=false", "log.diffMerges=separate",
		"core.fsmonitor=false", "i18n.logOutputEncoding=UTF-8",
	} {
		all = append(all, "-c", setting)
	}
	cmd := exec.CommandContext(ctx, r.binary, append(all, args...)...)
	cmd.Env = append(environment(), "GIT_NO_LAZY_FETCH=1")
	cmd.Stderr = &bytes.Buffer{}
	return cmd
}

// keptVariables say where git itself is and where it may look.
var keptVariables = [...]string{"GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"}

// commandError is git that ended with an error.
type commandError struct {
	said string
	code int // its exit code
}

func (e *commandError) Error() string { return e.said }

func (r *repository) failed(verb string, err error, cmd *exec.Cmd) error {
	said := strings.TrimSpace(cmd.Stderr.(*bytes.Buffer).String())
	if said == "" {
		said = err.Error()
	}
	return &penumbra.Error{
		Kind: penumbra.Unavailable, What: "git " + verb + " in " + r.dir, Remedy: "run `git fsck` there, and try again",
		Err: &commandError{penumbra.Redact(said), cmd.ProcessState.ExitCode()},
	}
}

func (r *repository) strange(verb, said string) error {
	return &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("git %s answered %.40q", verb, said), Remedy: "use git 2.20 or newer"}
}

func (r *repository) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args...)
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, r.failed(args[0], err, cmd)
	}
	return out, nil
}

// tokens runs git and has f read its output, cut at each NUL, to the end.
func (r *repository) tokens(ctx context.Context, f func(next func() (string, error)) error, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := r.command(ctx, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "run git", Remedy: "install git", Err: err}
	}
	lines := bufio.NewReaderSize(out, 1<<16)
	err = f(func() (string, error) {
		token, err := lines.ReadString(0)
		if err != nil && token != "" && errors.Is(err, io.EOF) {
			return token, nil // the last one may lack its end
		}
		return strings.TrimSuffix(token, "\x00"), err
	})
	over := ctx.Err()
	if err != nil {
		cancel()
	}
	ended := cmd.Wait()
	switch {
	case err != nil:
		return err
	case over != nil:
		return over
	case ended != nil:
		return r.failed(args[0], ended, cmd)
	}
	return nil
}
