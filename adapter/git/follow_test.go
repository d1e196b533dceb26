package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// following is a follower of a fixture with where it has got to.
type following struct {
	t testing.TB
	*Follower
	cursor Cursor
}

func follow(f *fixture, change ...func(*FollowOptions)) *following {
	o := FollowOptions{Dir: f.dir, Key: testKey, Stacks: func(string) ([]Code, error) {
		return []Code{{Stack: "shop", Folder: "infra/shop", VarFiles: []string{"../prod.tfvars"}}, {Stack: "site", Folder: "site", Hosts: true}}, nil
	}}
	for _, c := range change {
		c(&o)
	}
	return &following{t: f.t, Follower: NewFollower(o)}
}

// poll returns what is new, a line a touch: who, when within the day, what.
func (f *following) poll() (lines []string, note string) {
	f.t.Helper()
	news, err := f.Poll(f.t.Context(), f.cursor)
	if err != nil {
		f.t.Fatal(err)
	}
	f.cursor = news.Cursor
	for _, c := range news.Commits {
		for _, x := range c.Touches {
			line := fmt.Sprintf("%s (%s) %q: %s/%s", c.Actor, c.ActorKind, c.Message, x.Stack, x.Local)
			if x.Below {
				line += ".*"
			}
			for _, s := range x.Settings {
				line += " " + s.Path + "=" + s.Value.String()
			}
			lines = append(lines, line)
		}
	}
	return lines, news.Note
}

// expect polls and wants these lines, in any case all of them.
func (f *following) expect(what string, want ...string) {
	f.t.Helper()
	got, note := f.poll()
	if strings.Join(got, "\n") != strings.Join(want, "\n") || note != "" {
		f.t.Errorf("%s: note %q, told\n  %s\nwant\n  %s", what, note, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// shopCode is a stack with a module, variables and local values.
func shopCode(t testing.TB) *fixture {
	f := newFixture(t)
	f.write("infra/shop/main.tf", `
variable "size" { default = "small" }
variable "tags" { default = {} }
locals {
  size   = var.size
  prefix = "shop"
  sites  = { a = 1, b = 2 }
}
resource "vm" "db" {
  size   = local.size
  memory = 512
  name   = "${local.prefix}-db"
}
resource "vm" "web" {
  for_each = local.sites
  name     = each.key
  weight   = each.value
  disk { size = 10 }
}
module "net" {
  source = "../modules/net"
  cidr   = "10.0.0.0/16"
  tags   = var.tags
}
module "cloud" {
  source  = "registry.example.com/x/cloud/aws"
  version = "1.0.0"
}
`)
	f.write("infra/modules/net/main.tf", `
variable "cidr" {}
variable "tags" {}
resource "vpc" "main" {
  cidr = var.cidr
  mtu  = 1500
}
resource "subnet" "a" {
  vpc  = vpc.main.id
  tags = merge(var.tags, { a = "b" })
}
`)
	f.write("infra/other/main.tf", `resource "vm" "db" { memory = 1 }`+"\n")
	f.write("site/host_vars/db1.yml", "work_mem: 4MB\n")
	f.write("site/site.yml", "- hosts: all\n")
	f.commit(ada, "Begin")
	return f
}

func (f *fixture) replace(name, from, to string) *fixture {
	f.t.Helper()
	text := read(f.t, f, name)
	if !strings.Contains(text, from) {
		f.t.Fatalf("%s has no %q", name, from)
	}
	return f.write(name, strings.Replace(text, from, to, 1))
}

func TestFollowTellsWhoMovedWhat(t *testing.T) {
	t.Parallel()
	f := shopCode(t)
	n := follow(f, func(o *FollowOptions) { o.Since = f.now })
	n.expect("nothing is new yet")
	n.expect("still nothing")

	main, net := "infra/shop/main.tf", "infra/modules/net/main.tf"
	f.replace(main, "memory = 512", "memory = 1024").commit(emma, "Give the database more")
	n.expect("a setting", `emma (user) "Give the database more": shop/vm.db memory=1024`)

	f.replace(main, `default = "small"`, `default = "large"`).commit(bot, "Larger")
	n.expect("a variable, by way of a local value", `renovate[bot] (automation) "Larger": shop/vm.db size=(known after apply)`)

	f.replace(main, "b = 2", "b = 3").commit(ada, "Weigh")
	n.expect("what a block is repeated for", `Ada Lovelace (user) "Weigh": shop/vm.web name=(known after apply) weight=(known after apply)`)

	f.replace(net, "mtu  = 1500", "mtu  = 9000").commit(ada, "Jumbo")
	n.expect("code of a module", `Ada Lovelace (user) "Jumbo": shop/module.net.vpc.main mtu=9000`)

	f.replace(main, "10.0.0.0/16", "10.1.0.0/16").commit(ada, "Move")
	n.expect("an argument of a module", `Ada Lovelace (user) "Move": shop/module.net.vpc.main cidr=(known after apply)`)

	f.write("infra/shop/terraform.tfvars", "tags = { x = 1 }\n").commit(ada, "Tag")
	n.expect("a file of variables, through a module", `Ada Lovelace (user) "Tag": shop/module.net.subnet.a tags=(known after apply)`)
	f.write("infra/shop/staging.tfvars", "size = \"x\"\n").commit(ada, "Not read by this stack")
	n.expect("another file of variables")
	f.write("infra/prod.tfvars", "size = \"x\"\n").commit(ada, "Named by the stack")
	n.expect("one that the stack names", `Ada Lovelace (user) "Named by the stack": shop/vm.db size=(known after apply)`)

	f.replace(main, `"1.0.0"`, `"1.1.0"`).commit(ada, "Bump")
	n.expect("a module whose code is elsewhere", `Ada Lovelace (user) "Bump": shop/module.cloud.*`)

	f.replace("site/host_vars/db1.yml", "4MB", "8MB").commit(ada, "More")
	n.expect("variables of a host", `Ada Lovelace (user) "More": site/db1.*`)

	f.replace("infra/other/main.tf", "memory = 1", "memory = 2").write("README.md", "x").commit(ada, "Elsewhere")
	n.expect("code of no stack")

	f.replace(main, "  memory = 1024\n", "").replace(main, `resource "vm" "web" {`, `resource "vm" "front" {`).commit(ada, "Rename")
	n.expect("a setting removed, a block renamed",
		`Ada Lovelace (user) "Rename": shop/vm.db memory=(absent)`, `Ada Lovelace (user) "Rename": shop/vm.front`, `Ada Lovelace (user) "Rename": shop/vm.web`)
}

// What is told does not depend on whether the follower was started anew, and two
// commits at once are told one by one.
func TestFollowFromACursor(t *testing.T) {
	t.Parallel()
	f := shopCode(t)
	n := follow(f)
	if first, _ := n.poll(); len(first) == 0 || !strings.Contains(first[0], "Begin") {
		t.Fatalf("without a limit the whole history is told; was %q", first)
	}
	f.replace("infra/shop/main.tf", "memory = 512", "memory = 600").commit(ada, "One")
	f.replace("infra/shop/main.tf", "memory = 600", "memory = 700").commit(emma, "Two")
	again := follow(f)
	again.cursor = n.cursor
	want := []string{`Ada Lovelace (user) "One": shop/vm.db memory=600`, `emma (user) "Two": shop/vm.db memory=700`}
	n.expect("by the one that was there", want...)
	again.expect("by one that was started anew", want...)
	if n.cursor != again.cursor {
		t.Errorf("cursors %v and %v", n.cursor, again.cursor)
	}
}

func TestFollowRewrittenHistory(t *testing.T) {
	t.Parallel()
	f := shopCode(t)
	main := "infra/shop/main.tf"
	n := follow(f, func(o *FollowOptions) { o.Since = f.now })
	n.expect("the begin")
	begin := f.git("rev-parse", "HEAD")
	f.replace(main, "memory = 512", "memory = 600").commit(ada, "Kept")
	f.replace(main, "disk { size = 10 }", "disk { size = 20 }").commit(ada, "Dropped")
	if got, _ := n.poll(); len(got) != 2 {
		t.Fatal(got)
	}
	old := n.cursor
	// A commit is put below the one that is kept, and another in the place of the
	// one that is not: only those two are new.
	kept := f.git("rev-parse", "HEAD~1")
	f.git("reset", "--quiet", "--hard", begin)
	f.replace(main, `prefix = "shop"`, `prefix = "store"`).commit(emma, "Slipped in")
	f.git("cherry-pick", "--quiet", kept)
	f.now = f.now.Add(time.Hour)
	f.replace(main, "disk { size = 10 }", "disk { size = 30 }").commit(emma, "Instead")
	got, note := n.poll()
	want := []string{`emma (user) "Slipped in": shop/vm.db name=(known after apply)`, `emma (user) "Instead": shop/vm.web disk.size=30`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || !strings.Contains(note, "rewritten") || !strings.Contains(note, "2 new commits are told, 1 that only moved") {
		t.Errorf("told %q, note %q", got, note)
	}
	n.expect("after that")

	// The commit that it was read to may be gone for good.
	f.git("reflog", "expire", "--expire=now", "--all")
	f.git("gc", "--quiet", "--prune=now")
	lost := follow(f)
	lost.cursor = Cursor{Commit: old.Commit, Time: old.Time}
	got, note = lost.poll()
	if len(got) != 3 || !strings.Contains(got[2], "Instead") || !strings.Contains(note, "is gone") || !strings.Contains(note, "the 3 commits since") {
		t.Errorf("told %q, note %q: want what is later than the cursor", got, note)
	}

	// Back to an earlier commit: nothing is new, and forth again is not either for
	// whoever keeps what was told by the commit's hash.
	f.git("reset", "--quiet", "--hard", "HEAD~1")
	if got, note := n.poll(); len(got) != 0 || !strings.Contains(note, "0 new commits") {
		t.Errorf("set back: told %q, note %q", got, note)
	}
}

func TestFollowMerges(t *testing.T) {
	t.Parallel()
	f := shopCode(t)
	n := follow(f, func(o *FollowOptions) { o.Since = f.now })
	n.expect("the begin")
	f.git("checkout", "--quiet", "-b", "change")
	f.replace("infra/shop/main.tf", "memory = 512", "memory = 600").commit(emma, "On a branch")
	f.git("checkout", "--quiet", "main")
	n.expect("what is on another branch is not told")
	f.write("README.md", "x").commit(ada, "Meanwhile")
	f.gitAs(ada, "merge", "--quiet", "--no-ff", "-m", "Merge the change", "change")
	f.now = f.now.Add(time.Hour)
	n.expect("the merge is the commit of this branch", `Ada Lovelace (user) "Merge the change": shop/vm.db memory=600`)
}

func TestFollowBareAndShallow(t *testing.T) {
	t.Parallel()
	f := shopCode(t)
	main := "infra/shop/main.tf"
	f.replace(main, "memory = 512", "memory = 600").commit(ada, "One")
	clone := func(args ...string) *fixture {
		dir := filepath.Join(t.TempDir(), "clone")
		f.git(append(append([]string{"clone", "--quiet"}, args...), "file://"+filepath.ToSlash(f.dir), dir)...)
		return &fixture{t: t, dir: dir, now: f.now}
	}
	bare := clone("--bare")
	of := follow(bare, func(o *FollowOptions) { o.Branch = "main"; o.Since = f.now.Add(-time.Hour) })
	of.expect("a bare repository", `Ada Lovelace (user) "One": shop/vm.db memory=600`)

	shallow := clone("--depth=1")
	n := follow(shallow, func(o *FollowOptions) { o.Branch = "origin/main" })
	if got, note := n.poll(); len(got) != 0 || !strings.Contains(note, "shallow") {
		t.Errorf("at the edge of a shallow clone nobody is known; told %q, note %q", got, note)
	}
	f.replace(main, "memory = 600", "memory = 700").commit(emma, "Two")
	shallow.git("fetch", "--quiet")
	n.expect("fetched beyond the edge", `emma (user) "Two": shop/vm.db memory=700`)
	bare.git("fetch", "--quiet", "origin", "main:main")
	of.expect("and into the bare one", `emma (user) "Two": shop/vm.db memory=700`)
	f.replace(main, "memory = 700", "memory = 800").commit(ada, "Three")
	f.replace(main, "memory = 800", "memory = 900").commit(emma, "Four")
	shallow.git("fetch", "--quiet", "--depth=1")
	got, note := n.poll()
	if len(got) != 0 || !strings.Contains(note, "shallow") {
		t.Errorf("with a gap in what was fetched: told %q, note %q", got, note)
	}
}

func TestFollowBadRepository(t *testing.T) {
	t.Parallel()
	requireGit(t)
	f := newFixture(t)
	plain := t.TempDir()
	for _, c := range []struct {
		dir, branch string
		kind        penumbra.ErrorKind
		says        string
	}{
		{filepath.Join(plain, "nowhere"), "", penumbra.Missing, "no such folder"},
		{plain, "", penumbra.Invalid, "is in no git repository"},
		{f.dir, "", penumbra.NotFound, "no branch HEAD with a commit"},
		{f.dir, "release", penumbra.NotFound, "no branch release"},
		{f.dir, "--all", penumbra.Invalid, "--all"},
	} {
		n := follow(f, func(o *FollowOptions) { o.Dir, o.Branch = c.dir, c.branch })
		_, err := n.Poll(t.Context(), Cursor{})
		if penumbra.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s %s: %v", c.dir, c.branch, err)
		}
	}
	// It goes on once the repository is as it should be, and after one that broke.
	n := follow(f)
	if _, err := n.Poll(t.Context(), n.cursor); err == nil {
		t.Fatal("no commit, and no error")
	}
	f.write("infra/shop/main.tf", "resource \"vm\" \"db\" { memory = 1 }\n").commit(ada, "Begin")
	n.expect("the first commit", `Ada Lovelace (user) "Begin": shop/vm.db`)
	if err := os.Rename(filepath.Join(f.dir, ".git"), filepath.Join(f.dir, "hidden")); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Poll(t.Context(), n.cursor); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("without .git: %v", err)
	}
	if err := os.Rename(filepath.Join(f.dir, "hidden"), filepath.Join(f.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	f.write("infra/shop/main.tf", "resource \"vm\" \"db\" { memory = 2 }\n").commit(ada, "Go on")
	n.expect("after it came back", `Ada Lovelace (user) "Go on": shop/vm.db memory=2`)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Poll(ended, n.cursor); err != context.Canceled {
		t.Errorf("after the end: %v", err)
	}
}

// A secret in the code is never handed over, and a file that does not parse
// leaves what was known.
func TestFollowSecretsAndBrokenFiles(t *testing.T) {
	t.Parallel()
	f := shopCode(t)
	main := "infra/shop/main.tf"
	n := follow(f, func(o *FollowOptions) { o.Since = f.now })
	n.expect("the begin")
	f.replace(main, "memory = 512", "memory = 512\n  password = \"hunter2hunter2\"").commit(ada, "Set password=hunter2hunter2")
	got, _ := n.poll()
	if len(got) != 1 || strings.Contains(got[0], "hunter2") || !strings.Contains(got[0], "password=") {
		t.Errorf("told %q", got)
	}
	good := read(t, f, main)
	f.write(main, "resource {").commit(ada, "Break")
	n.expect("code that does not parse")
	f.write(main, strings.Replace(good, "memory = 512", "memory = 513", 1)).commit(ada, "Mend")
	n.expect("and what became of it", `Ada Lovelace (user) "Mend": shop/vm.db memory=513`)
}
