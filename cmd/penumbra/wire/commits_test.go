package wire

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/git"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

// checkout is a real repository beside a data directory, and an engine on both.
type checkout struct {
	t    *testing.T
	dir  string
	conf *Config
	now  time.Time
	loop *Loop
	feed *commitFeed
}

func newCheckout(t *testing.T, more string) *checkout {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	k := &checkout{t: t, dir: t.TempDir(), now: time.Now().UTC().Add(-time.Hour).Truncate(time.Second)}
	k.git("init", "--quiet", "--initial-branch=main")
	k.write("penumbra.yaml", `
data: `+filepath.Join(t.TempDir(), "data")+`
stacks:
  - name: shop
    dir: infra
inputs:
  - name: code
    kind: git
    repository: .
`+more)
	var err error
	if k.conf, err = LoadConfig(filepath.Join(k.dir, "penumbra.yaml")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.close() })
	return k
}

func (k *checkout) git(args ...string) string { return k.gitAs("Ada", args...) }

func (k *checkout) gitAs(author string, args ...string) string {
	k.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = k.dir
	at := k.now.Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME="+author, "GIT_AUTHOR_EMAIL=x@example.com", "GIT_AUTHOR_DATE="+at,
		"GIT_COMMITTER_NAME=Forge", "GIT_COMMITTER_EMAIL=f@example.com", "GIT_COMMITTER_DATE="+at)
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (k *checkout) write(name, text string) {
	k.t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// commit writes the code of two virtual machines, and returns the source.
func (k *checkout) commit(author, message string, memory int) string {
	k.t.Helper()
	k.write("infra/main.tf", fmt.Sprintf("resource \"vm\" \"db\" {\n  memory = %d\n  size = \"s\"\n}\nresource \"vm\" \"web\" {\n  for_each = toset([\"a\", \"b\"])\n  memory = 1\n}\n", memory))
	k.git("add", "infra")
	k.now = k.now.Add(time.Minute)
	k.gitAs(author, "commit", "--quiet", "-m", message)
	return "git:" + k.git("rev-parse", "HEAD")[:12]
}

// open starts the engine, and the input from what was kept.
func (k *checkout) open() {
	k.t.Helper()
	var err error
	if k.loop, err = Open(k.t.Context(), k.conf, Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
		k.t.Fatal(err)
	}
	in := k.conf.Inputs[0]
	key, err := SealingKey(k.conf.DataDir())
	if err != nil {
		k.t.Fatal(err)
	}
	since, err := words.ParseSince(in.since(), time.Now())
	if err != nil {
		k.t.Fatal(err)
	}
	k.feed = &commitFeed{in: in, feed: k.loop.Engine.Feed("code"), follower: git.NewFollower(git.FollowOptions{
		Dir: k.dir, Key: key, Since: since, Stacks: func(top string) ([]git.Code, error) { return in.codes(k.conf, top) },
	})}
	if err := k.feed.load(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
}

func (k *checkout) close() {
	if k.loop != nil {
		if err := k.loop.Close(context.WithoutCancel(k.t.Context())); err != nil {
			k.t.Error(err)
		}
	}
	k.loop = nil
}

// read takes in what a source would have read.
func (k *checkout) read(lines ...string) {
	k.t.Helper()
	k.now = k.now.Add(time.Minute)
	var text strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&text, `{"time":%q,"type":"vm",%s}`+"\n", k.now.Format(time.RFC3339), line)
	}
	report, err := k.loop.Engine.Ingest(k.t.Context(), strings.NewReader(text.String()), "test")
	if err != nil || report.Bad > 0 {
		k.t.Fatal(err, report)
	}
}

func (k *checkout) poll() {
	k.t.Helper()
	if err := k.feed.poll(k.t.Context(), k.now); err != nil {
		k.t.Fatal(err)
	}
}

// commits are the events of a resource that tell of commits.
func (k *checkout) commits(a penumbra.Address) string {
	k.t.Helper()
	view, err := k.loop.Engine.Shadow(k.t.Context(), a)
	if err != nil {
		k.t.Fatal(err)
	}
	var out []string
	for _, c := range view.Resource.Commits {
		out = append(out, fmt.Sprint(c.Actor, " ", c.ActorKind, " ", c.Action, " ", c.Source, " ", c.Paths))
	}
	return strings.Join(out, "\n")
}

func (k *checkout) input() penumbra.InputStatus {
	k.t.Helper()
	list, err := k.loop.Engine.Inputs(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	return list[0]
}

const (
	front = `shop/vm.web["a"]`
	db    = "shop/vm.db"
)

func seen(kind, address string, memory int) string {
	return fmt.Sprintf(`"kind":%q,"resource":%q,"source":"tofu","settings":{"memory":%d,"size":"s"}`, kind, address, memory)
}

// A setting that waits to be applied says who moved it; a drift does not blame
// whoever wrote the code.
func TestCommitTellsWhoMovedWhatIsPending(t *testing.T) {
	t.Parallel()
	k := newCheckout(t, "events:\n  actors:\n    - {actor: Shipper, kind: automation}\n")
	first := k.commit("Ada", "Begin", 512)
	k.open()
	k.poll() // no resource is known yet
	if st := k.input(); st.Records != 0 || k.feed.saved.Commit != "" {
		t.Fatalf("told of what nobody has read: %+v, cursor %v", st, k.feed.saved)
	}
	k.read(seen("template", db, 512), seen("snapshot", db, 512), seen("template", front, 1), seen("snapshot", front, 1))
	k.poll()
	if got, want := k.commits(db), "Ada user commit "+first+" []"; got != want {
		t.Fatalf("commits of %s:\n%s\nwant\n%s", db, got, want)
	}
	if got := k.commits(front); !strings.Contains(got, first) {
		t.Fatalf("an instance by its key has %q", got)
	}

	second := k.commit("Shipper", "Grow", 1024)
	k.read(seen("template", db, 1024), seen("snapshot", db, 512))
	k.poll()
	view, err := k.loop.Engine.Shadow(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	var memory penumbra.SettingView
	for _, s := range view.Settings {
		if s.Path == "memory" {
			memory = s
		}
	}
	if memory.Verdict != penumbra.Pending || memory.Moved == nil || memory.Moved.Actor != "Shipper" || memory.Moved.ActorKind != penumbra.Automation || memory.Moved.Source != second {
		t.Fatalf("memory is %v, moved by %+v", memory.Verdict, memory.Moved)
	}
	why, err := k.loop.Engine.Explain(t.Context(), db, "memory")
	if err != nil || len(why) != 1 || !strings.Contains(why[0].Sentence, "by Shipper (automation), in commit "+strings.TrimPrefix(second, "git:")) {
		t.Errorf("the explanation is %+v (%v)", why, err)
	}

	// Somebody changes what is really there just after a commit on the same setting.
	k.read(seen("template", db, 1024), seen("snapshot", db, 1024))
	k.commit("Ada", "Again", 2048)
	k.commit("Ada", "And back", 1024)
	k.poll()
	k.read(seen("snapshot", db, 4096))
	drifts, err := k.loop.Engine.Drifts(t.Context(), penumbra.DriftQuery{Active: true})
	if err != nil || len(drifts) != 1 || drifts[0].Verdict != penumbra.Drifted || drifts[0].Cause.Actor != "" {
		t.Errorf("drifts %+v (%v): a commit is no act on a resource", drifts, err)
	}
	if got := k.commits(front); strings.Contains(got, second) {
		t.Errorf("%s has the commits of %s: %s", front, db, got)
	}
}

// After a restart nothing is told twice and nothing is lost, whether the engine
// stopped before or after the cursor was kept.
func TestCommitsAcrossARestart(t *testing.T) {
	t.Parallel()
	k := newCheckout(t, "")
	first := k.commit("Ada", "Begin", 1)
	k.open()
	k.read(seen("template", db, 1), seen("snapshot", db, 1))
	k.poll()
	cursor := k.feed.saved
	if cursor.Commit == "" {
		// vm.web is in the code and was not read: the commit is held.
		k.read(seen("template", front, 1))
		k.poll()
		cursor = k.feed.saved
	}
	if cursor.Commit == "" {
		t.Fatal("no cursor was kept")
	}
	second := k.commit("Bob", "Two", 2)
	k.poll()
	k.close()
	third := k.commit("Eve", "Three", 3)
	k.open() // as if it had gone on
	k.poll()
	want := "Ada user commit " + first + " []\nBob user commit " + second + " [memory]\nEve user commit " + third + " [memory]"
	if got := k.commits(db); got != want {
		t.Fatalf("commits\n%s\nwant\n%s", got, want)
	}
	k.feed.cursor = cursor // as if it had been killed before it kept the last one
	before := k.stored()
	k.poll()
	if got := k.commits(db); got != want || k.stored() != before {
		t.Errorf("told again: %d more observations, commits\n%s", k.stored()-before, got)
	}
	if st := k.input(); st.Error != "" || st.Note != "" {
		t.Errorf("input %+v", st)
	}

	// Rewritten: the new one is told, and that it was is shown.
	k.git("reset", "--quiet", "--hard", "HEAD~1")
	instead := k.commit("Mallory", "Instead", 4)
	k.poll()
	if got := k.commits(db); got != want+"\nMallory user commit "+instead+" [memory]" {
		t.Errorf("after a force-push: commits\n%s", got)
	}
	if st := k.input(); !strings.Contains(st.Note, "rewritten") || !strings.Contains(st.Note, "1 new commits are told") {
		t.Errorf("input %+v", st)
	}
}

func (k *checkout) stored() int64 {
	st, err := k.loop.Engine.Status(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	return st.Observations
}

// What nobody comes to read is kept aside in the end, and holds up nothing.
func TestCommitOfAResourceThatNobodyReads(t *testing.T) {
	t.Parallel()
	k := newCheckout(t, "")
	k.commit("Ada", "Begin", 1)
	k.open()
	k.read(seen("template", db, 1), seen("snapshot", db, 1))
	k.poll()
	if k.commits(db) == "" || len(k.feed.held) != 1 {
		t.Fatalf("the one that is known has %q; held %d", k.commits(db), len(k.feed.held))
	}
	if k.feed.saved.Commit != "" {
		t.Error("the cursor passed what is held")
	}
	k.now = k.now.Add(commitsHeld)
	k.poll()
	un, err := k.loop.Engine.Unmapped(t.Context(), 10)
	if err != nil || un.Records != 1 || un.Kinds[0].Target != "shop/vm.web" || len(k.feed.held) != 0 {
		t.Errorf("kept aside: %+v (%v), held %d", un, err, len(k.feed.held))
	}
	if k.feed.saved.Commit == "" {
		t.Error("no cursor was kept")
	}
	// Its block goes: of that nobody is told who has not read it.
	k.write("infra/main.tf", "resource \"vm\" \"db\" {\n  memory = 1\n  size = \"s\"\n}\n")
	k.git("commit", "--quiet", "--all", "-m", "Drop web")
	k.poll()
	if un, _ := k.loop.Engine.Unmapped(t.Context(), 10); un.Records != 1 || len(k.feed.held) != 0 {
		t.Errorf("kept aside: %+v, held %d", un, len(k.feed.held))
	}
}

// Whose code is where in a bare repository is said by the configuration.
func TestCommitFolders(t *testing.T) {
	t.Parallel()
	k := newCheckout(t, "    folders: {deploy/v1.2/shop: shop}\n    bots: ['^deploy']\n    since: all\n")
	in := k.conf.Inputs[0]
	got, err := in.codes(k.conf, "")
	if err != nil || len(got) != 1 || got[0].Stack != "shop" || got[0].Folder != "deploy/v1.2/shop" {
		t.Errorf("code is at %+v (%v)", got, err)
	}
	if in.since() != "" || len(in.Bots) != 1 {
		t.Errorf("since %q, bots %q", in.since(), in.Bots)
	}
	in.Folders = nil
	if _, err := in.codes(k.conf, ""); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("no stack has its code there: %v", err)
	}
}

// As a part of the running engine: a bad repository is shown with the reason, and
// the input begins once it is there.
func TestCommitInputRuns(t *testing.T) {
	t.Parallel()
	k := newCheckout(t, "")
	k.conf.Stacks = nil // of this test only the input is to run
	k.conf.Inputs[0].Folders = map[string]string{"infra": "nobody"}
	in, err := newInput(k.conf, k.conf.Inputs[0], penumbra.Key("a key of the tests only"), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	k.open()
	feed := k.loop.Engine.Feed("code")
	if err := in.Run(t.Context(), feed); penumbra.KindOf(err) != penumbra.NotFound || !strings.Contains(err.Error(), "no branch HEAD with a commit") {
		t.Errorf("without a commit: %v", err)
	}
	k.commit("Ada", "Begin", 1)
	if err := in.Run(t.Context(), feed); penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), `stack "nobody"`) {
		t.Errorf("with a stack that is not there: %v", err)
	}
	k.conf.Inputs[0].Repository = t.TempDir()
	bad, err := newInput(k.conf, k.conf.Inputs[0], nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Run(t.Context(), feed); err == nil {
		t.Error("no repository and no error")
	}
}
