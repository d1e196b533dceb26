package git

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// FollowOptions say which branch is followed, and whose code is in it.
type FollowOptions struct {
	// Dir is a folder of a checkout, or a bare repository.
	Dir string
	// Branch is a branch, or anything else that names a commit, such as
	// origin/main; "" is HEAD.
	Branch string
	// Key hashes sensitive values; it must not be empty.
	Key penumbra.Key
	// Since leaves out what happened before when the branch is read for the first
	// time; zero leaves out nothing.
	Since time.Time
	// Bots are those of [Options].
	Bots []*regexp.Regexp
	// Stacks says where stacks have their code, given the folder of the checkout,
	// "" for a bare repository.
	Stacks func(top string) ([]Code, error)
}

// Commit is one commit with what it did to the code of stacks.
type Commit struct {
	Hash      string // as sources are named
	Time      time.Time
	Actor     string
	ActorKind penumbra.ActorKind
	Message   string // the subject, redacted
	Touches   []Touch
}

// Cursor is where a branch was read to; the zero cursor is before its begin.
type Cursor struct {
	Commit string    `json:"commit"`
	Time   time.Time `json:"time"`
}

// News is what a branch has gained.
type News struct {
	Commits []Commit // those that touched a stack, the earliest first
	Read    int      // how many there were in all
	Cursor  Cursor   // to go on from
	// Note tells what keeps the news from being whole or new, "" if nothing does:
	// history that was rewritten, a clone that lacks some.
	Note string
}

// Follower tells of the commits that a branch gains. It is for one goroutine.
type Follower struct {
	o FollowOptions
	// m has the code as it was at the commit at, so that a commit is read and not
	// the whole tree.
	m    *miner
	at   string
	told []*penumbra.Observation

	stacks   []Code
	declared map[[2]string]bool // blocks, by stack and address; nil: not looked for yet
}

// NewFollower returns a follower. It reads nothing yet.
func NewFollower(o FollowOptions) *Follower { return &Follower{o: o} }

// Poll returns what the branch has gained since a cursor: of the first-parent
// history, as [Mine] reads it. Nothing is fetched and nothing written.
//
// A history that was rewritten brings the commits that are new: one that only has
// another parent now is not told again. Where the commit of the cursor is not
// there any more, those that are later are told.
//
// Errors are those of [Mine]; NotFound also says that there is no such branch. The
// follower can be asked again after each.
func (f *Follower) Poll(ctx context.Context, from Cursor) (News, error) {
	news, err := f.poll(ctx, from)
	if err != nil {
		f.m, f.at = nil, ""
	}
	return news, err
}

// Declares reports whether the code has a block at an address that a [Touch] of the
// last Poll named, as the branch was then.
func (f *Follower) Declares(x Touch) bool {
	if f.m == nil {
		return false
	}
	if f.declared == nil {
		f.declared = newTracer(f.m, f.stacks).blocks()
	}
	return x.Below && !strings.Contains(x.Local, "module.") || f.declared[[2]string{x.Stack, x.Local}]
}

func (f *Follower) poll(ctx context.Context, from Cursor) (News, error) {
	repo, top, err := f.open(ctx)
	if err != nil {
		return News{}, err
	}
	if repo.head == from.Commit {
		return News{Cursor: from}, nil
	}
	stacks, err := f.o.Stacks(top)
	if err != nil {
		return News{}, err
	}
	repo.wanted = func(name string) bool { return follows(name, stacks) }
	var r reach
	if from.Commit == "" {
		r, err = repo.reachSince(ctx, f.o.Since)
	} else {
		r, err = repo.reachFrom(ctx, from)
	}
	if err != nil {
		return News{}, err
	}
	news := News{Cursor: Cursor{Commit: repo.head, Time: from.Time}, Note: r.note}
	if r.commits > 0 {
		if err := f.read(ctx, repo, r, stacks, &news); err != nil {
			return News{}, err
		}
	}
	return news, nil
}

// open finds the repository and the commit that the branch is at.
func (f *Follower) open(ctx context.Context) (repo *repository, top string, err error) {
	if len(f.o.Key) == 0 {
		return nil, "", &penumbra.Error{Kind: penumbra.Invalid, What: "follow " + f.o.Dir + " without a key to hash secrets with", Remedy: "give FollowOptions.Key"}
	}
	if repo, err = find(f.o.Dir, "follow"); err != nil {
		return nil, "", err
	}
	out, err := repo.output(ctx, "rev-parse", "--is-shallow-repository", "--is-bare-repository")
	if err != nil {
		return nil, "", notRepository(f.o.Dir, err)
	}
	is := strings.Fields(string(out))
	repo.shallow = is[0] == "true"
	if len(is) > 1 && is[1] == "false" {
		if out, err = repo.output(ctx, "rev-parse", "--show-toplevel"); err != nil {
			return nil, "", notRepository(f.o.Dir, err)
		}
		top = filepath.FromSlash(strings.TrimSuffix(string(out), "\n"))
		repo.dir = top
	}
	branch := f.o.Branch
	if strings.HasPrefix(branch, "-") {
		return nil, "", &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("branch %q", branch), Remedy: "name one that `git branch --all` lists, such as main or origin/main"}
	}
	if branch == "" {
		branch = "HEAD"
	}
	out, err = repo.output(ctx, "rev-parse", "--verify", "--quiet", branch+"^{commit}")
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if err != nil {
		return nil, "", &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("the repository in %s has no branch %s with a commit", f.o.Dir, branch), Remedy: "name one that `git branch --all` lists there, such as main or origin/main"}
	}
	repo.head = strings.TrimSpace(string(out))
	return repo, top, nil
}

// follows reports whether a file may be code of one of the stacks.
func follows(name string, stacks []Code) bool {
	switch kindOf(name) {
	case blocksFile, variablesFile:
		return true
	case yamlFile:
		return slices.ContainsFunc(stacks, func(c Code) bool {
			return c.Hosts && hostOf(path.Clean(c.Folder), path.Dir(name), path.Base(name)) != ""
		})
	default:
		return false
	}
}

// reach is the part of a history that is new.
type reach struct {
	span
	known map[string]bool // commits of it that were told in another place
	note  string
}

// reachSince is the first reach: what happened since a time.
func (r *repository) reachSince(ctx context.Context, since time.Time) (reach, error) {
	s, err := r.span(ctx, since, 0)
	if penumbra.KindOf(err) == penumbra.NotFound {
		return reach{}, nil
	}
	if s.base != nil {
		s.commits--
	}
	out := reach{span: s}
	if r.shallow {
		out.note = shallowNote
	}
	return out, err
}

const shallowNote = "the clone is shallow: who changed what before its first commit is not known (`git fetch --unshallow` brings it)"

// reachFrom is what leads to the head and does not lead to a cursor.
func (r *repository) reachFrom(ctx context.Context, from Cursor) (reach, error) {
	if _, err := r.output(ctx, "cat-file", "-e", from.Commit+"^{commit}"); err != nil {
		if ctx.Err() != nil {
			return reach{}, ctx.Err()
		}
		out, err := r.reachSince(ctx, from.Time.Add(time.Second))
		out.note = fmt.Sprintf("the history was rewritten, and commit %.12s, which it was read to, is gone: the %d commits since %s are told", from.Commit, out.commits, from.Time.UTC().Format(time.RFC3339))
		return out, err
	}
	list, err := r.lines(ctx, "rev-list", "--first-parent", "--reverse", from.Commit+".."+r.head)
	if err != nil {
		return reach{}, err
	}
	var out reach
	grown, err := r.leadsTo(ctx, from.Commit)
	if err != nil {
		return reach{}, err
	}
	if !grown {
		// Of the commits on either side those that change the same are one.
		right, err := r.lines(ctx, "rev-list", "--cherry-pick", "--right-only", from.Commit+"..."+r.head)
		if err != nil {
			return reach{}, err
		}
		out.known = map[string]bool{}
		for _, hash := range list {
			out.known[hash] = true
		}
		fresh := 0
		for _, hash := range right {
			if out.known[hash] {
				out.known[hash] = false
				fresh++
			}
		}
		out.note = fmt.Sprintf("the history was rewritten after commit %.12s: %d new commits are told, %d that only moved are not", from.Commit, fresh, len(list)-fresh)
	}
	if out.commits = len(list); out.commits == 0 {
		return out, nil
	}
	parent, err := r.lines(ctx, "log", "-1", "--format=%P %ct", list[0])
	if err != nil || len(parent) == 0 {
		return reach{}, err
	}
	fields := strings.Fields(parent[0])
	if len(fields) < 2 { // it has no parent, or the clone has not
		if r.shallow {
			out.note = strings.TrimPrefix(out.note+"; "+shallowNote, "; ")
		}
		return out, nil
	}
	base := &commit{hash: fields[0], base: true}
	if at, err := strconv.ParseInt(fields[len(fields)-1], 10, 64); err == nil {
		base.time = time.Unix(at, 0).UTC().Add(-time.Second) // for the times that follow only
	}
	out.base = base
	return out, nil
}

// leadsTo reports whether a commit leads to the head.
func (r *repository) leadsTo(ctx context.Context, hash string) (bool, error) {
	_, err := r.output(ctx, "merge-base", "--is-ancestor", hash, r.head)
	var failed *commandError
	if errors.As(err, &failed) && failed.code == 1 {
		return false, nil
	}
	return err == nil, err
}

func (r *repository) lines(ctx context.Context, args ...string) ([]string, error) {
	out, err := r.output(ctx, append(args, "--")...)
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == '\n' }), nil
}

// read takes the commits of a reach in.
func (f *Follower) read(ctx context.Context, repo *repository, r reach, stacks []Code, news *News) error {
	if f.m != nil && r.base != nil && r.base.hash == f.at {
		r.from, r.base = f.at, nil
	} else {
		f.m = &miner{
			o: &Options{Bots: f.o.Bots}, parse: parser{key: f.o.Key, symbols: true},
			files: map[string][]*resource{}, at: map[penumbra.Address]*entry{}, actors: map[string]penumbra.ActorKind{},
		}
		f.m.yield = func(o *penumbra.Observation) error {
			f.told = append(f.told, o)
			return nil
		}
	}
	f.m.report = Report{leftOut: map[string]LeftOut{}} // it would grow for ever
	err := repo.walk(ctx, r.span, func(c *commit, read func() (blob, error)) error {
		f.told = f.told[:0]
		if err := f.m.commit(c, read); err != nil {
			return err
		}
		if c.hash == repo.head {
			news.Cursor.Time = f.m.last
		}
		if c.base {
			return nil
		}
		news.Read++
		if r.known[c.hash] || len(f.told) == 0 {
			return nil
		}
		t := newTracer(f.m, stacks)
		for _, o := range f.told {
			t.change(o)
		}
		if len(t.touches) > 0 {
			actor, kind := c.actor(f.o.Bots)
			news.Commits = append(news.Commits, Commit{Hash: c.short(), Time: f.m.last, Actor: actor, ActorKind: kind, Message: c.message(), Touches: t.found()})
		}
		return nil
	})
	f.at, f.stacks, f.declared = repo.head, stacks, nil
	return err
}
