package wire

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/git"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// gitInput is the kind of input that follows a repository.
const gitInput = "git"

const (
	// commitsEvery is how often a repository is asked for new commits: that costs a
	// few milliseconds while there is none.
	commitsEvery = 15 * time.Second
	// commitsSince is how far back commits are told when a repository is first read:
	// what waits to be applied is seldom older.
	commitsSince = "30d"
	// commitsHeld is for how long a commit waits for the first read of a resource
	// whose code is new.
	commitsHeld = 10 * time.Minute
)

// checkGit returns what is wrong with an input of kind git and what to do about it,
// "" if nothing.
func (in *inputConfig) checkGit() (what, remedy string) {
	_, since := words.ParseSince(in.since(), time.Now())
	switch {
	case in.Kind != gitInput:
		return "has repository", "give it kind: git, or leave repository out"
	case in.Repository == "":
		return "has no repository", "name the folder of a checkout, or a bare repository"
	case in.From != "":
		return "has from", "write since: 90d for commits of that time too, or since: all"
	case in.Resource != "":
		return "has resource", "leave it out: the code tells which resources a commit is about"
	case since != nil:
		return fmt.Sprintf("has since %q", in.Since), "write a time, a day such as 2026-03-01, how long ago such as 90d, or all"
	case in.Every != 0 && in.Every < time.Second:
		return fmt.Sprintf("has every %v", in.Every), "give 1s or more"
	case strings.HasPrefix(in.Branch, "-"):
		return fmt.Sprintf("has branch %q", in.Branch), "name a branch, such as main or origin/main"
	}
	for _, text := range in.Bots {
		if _, err := regexp.Compile(text); err != nil {
			return fmt.Sprintf("has bots with %q", text), "give regular expressions, such as '^deploy-'"
		}
	}
	return "", ""
}

// since is how far back the first read goes, "" for all.
func (in *inputConfig) since() string {
	if in.Since == "all" {
		return ""
	}
	return cmp.Or(in.Since, commitsSince)
}

// followCommits tells of the commits of a repository until ctx ends or it cannot be
// read.
func followCommits(ctx context.Context, c *Config, in inputConfig, key penumbra.Key, o Options, feed *inputs.Feed) error {
	since, err := words.ParseSince(in.since(), o.Clock()())
	if err != nil {
		return err
	}
	options := git.FollowOptions{
		Dir: c.path(in.Repository), Branch: in.Branch, Key: key, Since: since,
		Stacks: func(top string) ([]git.Code, error) { return in.codes(c, top) },
	}
	for _, text := range in.Bots {
		if p, err := regexp.Compile(text); err == nil {
			options.Bots = append(options.Bots, p)
		}
	}
	f := &commitFeed{in: in, feed: feed, follower: git.NewFollower(options), shift: o.Shift}
	if err := f.load(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(cmp.Or(in.Every, commitsEvery))
	defer tick.Stop()
	for {
		if err := f.poll(ctx, time.Now()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// codes returns the stacks whose code is in the repository: those whose folder is
// below the top of the checkout, and those that folders names.
func (in *inputConfig) codes(c *Config, top string) ([]git.Code, error) {
	var out []git.Code
	add := func(s *StackConfig, folder string) {
		out = append(out, git.Code{Stack: s.Name, Folder: folder, VarFiles: s.VarFiles, Hosts: s.kind() == ansibleStack})
	}
	named := map[string]bool{}
	for folder, stack := range in.Folders {
		i := slices.IndexFunc(c.Stacks, func(s StackConfig) bool { return s.Name == stack })
		if i < 0 {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("input %s: folders gives %s to stack %q, which is not configured", in.Name, folder, stack), Remedy: "name a stack of penumbra.yaml"}
		}
		add(&c.Stacks[i], filepath.ToSlash(folder))
		named[stack] = true
	}
	for i := range c.Stacks {
		s := &c.Stacks[i]
		if named[s.Name] || s.Dir == "" || top == "" || in.Stack != "" && in.Stack != s.Name {
			continue
		}
		dir, err := filepath.EvalSymlinks(c.path(s.Dir))
		if err != nil {
			continue // its own source says so
		}
		if folder, err := filepath.Rel(top, dir); err == nil && filepath.IsLocal(folder) {
			add(s, filepath.ToSlash(folder))
		}
	}
	if len(out) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("input %s: no stack has its code in the repository %s", in.Name, in.Repository), Remedy: "name the repository that a stack's dir is in, or say which folder is whose: folders: {infra/shop: shop}"}
	}
	slices.SortFunc(out, func(a, b git.Code) int { return cmp.Compare(a.Stack, b.Stack) })
	return out, nil
}

// commitFeed gives commits to a feed as records, one for each resource.
type commitFeed struct {
	in       inputConfig
	feed     *inputs.Feed
	follower *git.Follower
	shift    func() time.Duration

	cursor git.Cursor // read to here
	saved  git.Cursor // and to go on from here after a restart
	held   []heldCommit
	begun  bool
}

// heldCommit is a touch whose resource nobody has read yet. Until it has, the
// cursor of before is what is kept: a record has the same identity each time.
type heldCommit struct {
	before git.Cursor
	since  time.Time
	commit *git.Commit
	touch  git.Touch
}

func (f *commitFeed) load(ctx context.Context) error {
	data, err := f.feed.Load(ctx, f.in.Name)
	if err != nil || len(data) == 0 {
		return err
	}
	if err := json.Unmarshal(data, &f.cursor); err != nil {
		return &penumbra.Error{Kind: penumbra.Damaged, What: "read how far input " + f.in.Name + " was read", Remedy: "give the input another name; it then begins anew", Err: err}
	}
	f.saved = f.cursor
	return nil
}

// poll takes in what is new, and what was held for want of its resource.
func (f *commitFeed) poll(ctx context.Context, now time.Time) error {
	news, err := f.follower.Poll(ctx, f.cursor)
	if err != nil {
		return err
	}
	for i := range news.Commits {
		for _, x := range news.Commits[i].Touches {
			f.held = append(f.held, heldCommit{f.cursor, now, &news.Commits[i], x})
		}
	}
	known := map[string]map[string][]penumbra.Address{}
	var records []penumbra.Record
	f.held = slices.DeleteFunc(f.held, func(h heldCommit) bool {
		stack := h.touch.Stack
		if known[stack] == nil {
			known[stack] = f.byBlock(stack)
		}
		addresses := blocksOf(known[stack], h.touch)
		switch {
		case len(addresses) > 0:
		case !f.follower.Declares(h.touch): // the code has no such resource any more
			return true
		case now.Sub(h.since) < commitsHeld:
			return false
		default:
			addresses = []penumbra.Address{penumbra.NewAddress(stack, h.touch.Local)} // kept aside
		}
		for _, a := range addresses {
			records = append(records, f.record(h.commit, h.touch, a))
		}
		return true
	})
	if len(records) > 0 || !f.begun {
		if err := f.feed.Records(ctx, records, nil); err != nil { // also says that all is well again
			return err
		}
		f.begun = true
	}
	if news.Note != "" {
		f.feed.Note(now.UTC().Format(time.DateTime) + ": " + news.Note)
	}
	f.cursor = news.Cursor
	return f.save(ctx)
}

// save keeps the cursor from which nothing is lost.
func (f *commitFeed) save(ctx context.Context) error {
	next := f.cursor
	if len(f.held) > 0 {
		next = f.held[0].before
	}
	if next == f.saved || next.Commit == "" {
		return nil
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := f.feed.Save(ctx, f.in.Name, data); err != nil {
		return err
	}
	f.saved = next
	return nil
}

// byBlock returns the resources of a stack by their place in the code.
func (f *commitFeed) byBlock(stack string) map[string][]penumbra.Address {
	out := map[string][]penumbra.Address{}
	for _, a := range f.feed.Known(stack) {
		block := tofu.ConfigAddress(a.Local())
		out[block] = append(out[block], a)
	}
	return out
}

// blocksOf returns the resources whose code a commit touched.
func blocksOf(known map[string][]penumbra.Address, x git.Touch) []penumbra.Address {
	if !x.Below {
		return known[x.Local]
	}
	var out []penumbra.Address
	for block, list := range known {
		if rest, ok := strings.CutPrefix(block, x.Local); ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/")) {
			out = append(out, list...)
		}
	}
	slices.Sort(out)
	return out
}

func (f *commitFeed) record(c *git.Commit, x git.Touch, a penumbra.Address) penumbra.Record {
	out := penumbra.Record{
		Time: c.Time, Format: penumbra.CommitFormat, ID: c.Hash + " " + string(a),
		Actor: c.Actor, ActorKind: c.ActorKind, Action: penumbra.ActionCommit,
		Targets: []string{string(a)}, Settings: slices.Clone(x.Settings), Message: c.Message,
		Attributes: map[string]string{"commit": c.Hash},
	}
	if f.in.Branch != "" {
		out.Attributes["branch"] = f.in.Branch
	}
	if f.shift != nil {
		out.Time = out.Time.Add(f.shift())
	}
	return out
}
