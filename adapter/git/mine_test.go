package git

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/timeline"
)

var update = flag.Bool("update", false, "write the golden timeline")

// TestMain makes sure that nothing that was started goes on behind a walk.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada  = "Ada Lovelace <ada@example.com>"
	emma = "emma@example.org <emma@example.org>"
	bot  = "renovate[bot] <29139614+renovate[bot]@users.noreply.github.com>"
)

// story makes a repository with all that a history has.
func story(t testing.TB) *fixture {
	f := newFixture(t)
	f.write("infra/main.tf", `
resource "aws_db_instance" "main" {
  instance_class = "db.t3.small"
  password       = "correct horse"
  port           = 5432
  name           = "${var.env}-main"
  subnet_ids     = [aws_subnet.a.id, "subnet-1"]
  tags = {
    team = "pay"
    "cost/centre" = 12
  }
  lifecycle { ignore_changes = [tags] }
}

module "vpc" {
  source = "git::https://git.example.com/modules/vpc.git?ref=v1.2.0"
  cidr   = "10.0.0.0/16"
  azs    = ["a", "b"]
}

module "registry" {
  source  = "terraform-aws-modules/rds/aws"
  version = "~> 5.0"
}

variable "env" {}
`)
	f.write("apps/web.yaml", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: app
          image: web:1.0
          args: [--port, "80"]
          env:
            - name: DB_PASSWORD
              value: hunter2hunter2
            - name: MODE
              value: fast
---
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: shop}
stringData: {password: swordfish, user: web-user-name}
`)
	f.commit(ada, "Begin; ask ada@example.com, password=opensesame")

	f.write("infra/main.tf", strings.NewReplacer("db.t3.small", "db.t3.large", "correct horse", "battery staple", "v1.2.0", "v1.3.0").Replace(read(t, f, "infra/main.tf")))
	f.commit(emma, "Grow the database\n\nCo-authored-by: Ada <ada@example.com>")

	f.write("apps/web.yaml", strings.Replace(read(t, f, "apps/web.yaml"), "web:1.0", "web:1.1", 1))
	f.commit(bot, "Update image web to 1.1")

	// Moved within the folder: the resource goes on. Moved elsewhere: another.
	f.git("mv", "infra/main.tf", "infra/database.tf")
	f.git("mv", "apps/web.yaml", "web.yml")
	f.commit(ada, "Move")

	f.write("infra/database.tf", "resource {{{")
	f.commit(ada, "Break")
	f.write("infra/broken.tf", `resource "aws_s3_bucket" "logs" {`)
	f.commit(ada, "Break more")

	f.write("infra/database.tf", `
resource "aws_db_instance" "main" {
  instance_class = "db.t3.large"
}
module "vpc" {
  source = "../modules/network"
  cidr   = "10.0.0.0/16"
}
`)
	f.remove("infra/broken.tf")
	f.commit(ada, "Repair; the module is our own")

	// A branch that is merged counts as the merge, by who merged it.
	f.git("checkout", "--quiet", "-b", "side")
	f.write("infra/prod.tfvars", "env = \"prod\"\nlimits = { cpu = 2, memory = \"4Gi\" }\ndb_password = 12345678\n")
	f.commit(emma, "On the side")
	f.write("infra/prod.tfvars", "env = \"prod\"\nlimits = { cpu = 4, memory = \"4Gi\" }\n")
	f.commit(emma, "On the side again")
	f.git("checkout", "--quiet", "main")
	f.write("README.md", "Nothing of infrastructure.")
	f.commit(ada, "Read me")
	f.gitAs(ada, "merge", "--quiet", "--no-ff", "-m", "Merge side", "side")
	f.now = f.now.Add(time.Hour)

	f.remove("web.yml")
	f.write("chart/templates/x.yaml", "kind: {{ .Values.kind }}\n{{ if }}\n")
	f.write("other.yaml", "a: 1\n")
	f.commit(ada, "Away with it")
	return f
}

func read(t testing.TB, f *fixture, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTimeline holds all that is made of a history against a golden file.
func TestTimeline(t *testing.T) {
	t.Parallel()
	f := story(t)
	all, report := mine(t, f.dir, Options{})
	got := lines(t, all)

	for _, secret := range []string{"horse", "staple", "hunter2", "swordfish", "web-user-name", "12345678", "opensesame", "@example", "users.noreply"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is in the timeline", secret)
		}
	}
	golden := filepath.Join("testdata", "story.jsonl")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Error(diff)
	}

	// A reader of timelines takes it, in the order that it has.
	dec := timeline.NewDecoder(strings.NewReader(got), "mined")
	for i := range all {
		o, err := dec.Next()
		if err != nil {
			t.Fatal(err)
		}
		if o.Identity() != all[i].Identity() {
			t.Errorf("line %d reads back as another: %v", i+1, o)
		}
	}
	if report.Commits != 10 || report.Live != 3 || report.Resources != 8 || report.Shallow {
		t.Errorf("report %+v", report)
	}
	actors := []ActorKindCount{{penumbra.User, 2, report.Creates + report.Updates + report.Deletes - 1}, {penumbra.Automation, 1, 1}}
	if diff := cmp.Diff(actors, report.Actors); diff != "" {
		t.Error(diff)
	}
	left := map[string]Reason{}
	for _, l := range report.LeftOut {
		left[l.Path] = l.Reason
	}
	if diff := cmp.Diff(map[string]Reason{"infra/database.tf": Unparsed, "infra/broken.tf": Unparsed, "chart/templates/x.yaml": Templated, "other.yaml": Unrecognized}, left); diff != "" {
		t.Error(diff)
	}

	// Again, and from a bare clone, the same.
	again, _ := mine(t, f.dir, Options{})
	if diff := cmp.Diff(got, lines(t, again)); diff != "" {
		t.Errorf("mined again: %s", diff)
	}
	bare := filepath.Join(t.TempDir(), "bare.git")
	f.git("clone", "--quiet", "--bare", f.dir, bare)
	again, _ = mine(t, bare, Options{})
	if diff := cmp.Diff(got, lines(t, again)); diff != "" {
		t.Errorf("mined from a bare clone: %s", diff)
	}
}

// folded returns each resource's settings after all events.
func folded(t testing.TB, all []penumbra.Observation) map[penumbra.Address]string {
	t.Helper()
	state := map[penumbra.Address]penumbra.Settings{}
	for _, o := range timeline.Order(all) {
		switch o.Action {
		case "create":
			if _, there := state[o.Resource]; there {
				t.Errorf("%s is created twice", o.Resource)
			}
			state[o.Resource] = o.Settings
		case "update":
			state[o.Resource] = state[o.Resource].Merge(o.Settings)
		case "delete":
			if _, there := state[o.Resource]; !there {
				t.Errorf("%s is deleted and was not there", o.Resource)
			}
			delete(state, o.Resource)
		}
	}
	out := map[penumbra.Address]string{}
	for a, s := range state {
		out[a] = s.Digest()
	}
	return out
}

// TestPartsOfHistory begins later, in a shallow clone, in a folder: in the end
// the resources are the same.
func TestPartsOfHistory(t *testing.T) {
	t.Parallel()
	f := story(t)
	all, _ := mine(t, f.dir, Options{})
	want := folded(t, all)

	shallow := filepath.Join(t.TempDir(), "shallow")
	f.git("clone", "--quiet", "--depth=3", "file://"+f.dir, shallow)
	for name, c := range map[string]struct {
		dir string
		o   Options
	}{
		"commits": {f.dir, Options{MaxCommits: 2}},
		"since":   {f.dir, Options{Since: f.now.Add(-3 * time.Hour)}},
		"shallow": {shallow, Options{}},
	} {
		some, report := mine(t, c.dir, c.o)
		if diff := cmp.Diff(want, folded(t, some)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(some) >= len(all) || some[0].Actor != "" || some[0].ActorKind != penumbra.UnknownActor || some[0].Action != "create" {
			t.Errorf("%s: %d of %d events, the first %+v", name, len(some), len(all), some[0])
		}
		if report.Shallow != (name == "shallow") {
			t.Errorf("%s: shallow %v", name, report.Shallow)
		}
	}
	for name, c := range map[string]struct {
		dir string
		o   Options
	}{
		"folder": {filepath.Join(f.dir, "infra"), Options{}},
		"path":   {f.dir, Options{Paths: []string{"infra/"}}},
		"later":  {filepath.Join(f.dir, "infra"), Options{MaxCommits: 1}},
	} {
		some, _ := mine(t, c.dir, c.o)
		got := folded(t, some)
		for a := range want {
			if inside := strings.HasPrefix(string(a), "infra|"); inside != (got[a] == want[a]) {
				t.Errorf("%s: %s", name, a)
			}
		}
	}
}

// TestRandomHistories holds that what the events add up to is what the last
// commit declares, whatever was written, moved, removed and merged before.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		files := map[string]string{}
		var in strings.Builder
		names := []string{"a.tf", "x/a.tf", "x/b.tf", "x/a.yaml", "y/a.yaml", "y/b.yml", "y/c.tfvars"}
		content := func(name string) string {
			var b strings.Builder
			for i := range 1 + r.IntN(3) {
				switch filepath.Ext(name) {
				case ".tf":
					fmt.Fprintf(&b, "resource \"t\" \"n%d\" {\n  v = %d\n  w%d = true\n}\n", (i+r.IntN(2))%3, r.IntN(3), r.IntN(2))
				case ".tfvars":
					fmt.Fprintf(&b, "v%d = %d\n", i, r.IntN(3))
				default:
					fmt.Fprintf(&b, "---\napiVersion: v1\nkind: X\nmetadata: {name: n%d}\nspec: {v: %d}\n", (i+r.IntN(2))%3, r.IntN(3))
				}
			}
			return b.String()
		}
		for i := range 30 {
			head := fmt.Sprintf("author A <a@b> %d +0000\ncommitter A <a@b> %d +0000\ndata 1\nx\n", 1e9+i*3600, 1e9+i*3600)
			var changes strings.Builder
			for range 1 + r.IntN(3) {
				name := names[r.IntN(len(names))]
				switch _, there := files[name]; {
				case there && r.IntN(4) == 0:
					delete(files, name)
					fmt.Fprintf(&changes, "D %s\n", name)
				case there && r.IntN(3) == 0:
					to := names[r.IntN(len(names))]
					if filepath.Ext(to) != filepath.Ext(name) || to == name {
						continue
					}
					files[to] = files[name]
					delete(files, name)
					fmt.Fprintf(&changes, "R %s %s\n", name, to)
				default:
					files[name] = content(name)
					fmt.Fprintf(&changes, "M 100644 inline %s\ndata %d\n%s\n", name, len(files[name]), files[name])
				}
			}
			if i > 0 && r.IntN(4) == 0 {
				fmt.Fprintf(&in, "commit refs/heads/side\n%sfrom refs/heads/main\n%s\n", head, changes.String())
				fmt.Fprintf(&in, "commit refs/heads/main\n%smerge refs/heads/side\n%s\n", head, changes.String())
				continue
			}
			fmt.Fprintf(&in, "commit refs/heads/main\n%s%s\n", head, changes.String())
		}
		f := newFixture(t)
		imported := exec.Command("git", "-C", f.dir, "fast-import", "--quiet")
		imported.Stdin = strings.NewReader(in.String())
		if out, err := imported.CombinedOutput(); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, out)
		}
		all, _ := mine(t, f.dir, Options{})
		last, _ := mine(t, f.dir, Options{MaxCommits: 1})
		if diff := cmp.Diff(folded(t, last), folded(t, all)); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

// TestClocks keeps the order of commits whose clocks were wrong.
func TestClocks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, ahead := range []time.Duration{0, 5 * time.Hour, -9 * time.Hour, 0, 0} {
		f.now = f.now.Add(ahead)
		f.write("a.tf", `resource "t" "n" { v = `+string(rune('0'+i))+" }")
		f.commit(ada, "Edit")
		if i >= 3 {
			f.now = f.now.Add(-time.Hour) // the same second again
		}
	}
	all, _ := mine(t, f.dir, Options{})
	ordered := timeline.Order(all)
	for i, o := range ordered {
		if got := o.Settings.Get("v").Text(); got != string(rune('0'+i)) {
			t.Errorf("place %d has value %s", i, got)
		}
		if i > 0 && !o.Time.After(ordered[i-1].Time) {
			t.Errorf("commit %d is at %v, the one before at %v", i, o.Time, ordered[i-1].Time)
		}
	}
}

// TestRepeatedResource has two files say the same resource: the first file
// counts, and when it goes the other's takes its place.
func TestRepeatedResource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.write("b.tf", `resource "t" "n" { v = "b" }`).commit(ada, "1")
	f.write("a.tf", `resource "t" "n" { v = "a" }`).commit(ada, "2")
	f.remove("a.tf").commit(ada, "3")
	f.remove("b.tf").commit(ada, "4")
	all, report := mine(t, f.dir, Options{})
	var got []string
	for _, o := range all {
		got = append(got, o.Action+" "+o.Settings.Get("v").Text())
	}
	if diff := cmp.Diff([]string{"create b", "update a", "update b", "delete "}, got); diff != "" {
		t.Error(diff)
	}
	if report.Resources != 1 || report.Live != 0 {
		t.Errorf("report %+v", report)
	}
}

func TestBots(t *testing.T) {
	t.Parallel()
	for author, want := range map[string]bool{
		ada: false, emma: false, bot: true,
		"dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>": true,
		"Renovate Bot <bot@renovateapp.com>":                                  true,
		"fluxcdbot <fluxcdbot@users.noreply.github.com>":                      true,
		"Flux <flux@example.com>":                                             true,
		"argocd-image-updater <noreply@argoproj.io>":                          true,
		"github-actions <actions@github.com>":                                 true,
		"GitHub <noreply@github.com>":                                         true,
		"deploy-bot <x@example.com>":                                          true,
		"ci <ci@example.com>":                                                 true,
		"Abbot Costello <abbot@example.com>":                                  false,
		"Robotham, Jo <jo.robotham@example.com>":                              false,
		"Francis Ci <francis.ci@example.com>":                                 false,
		"Jo <123+jo@users.noreply.github.com>":                                false,
		"Jo Talbot <talbot@example.com>":                                      false,
	} {
		name, email, _ := strings.Cut(strings.TrimSuffix(author, ">"), " <")
		if got := isBot(name, email, nil); got != want {
			t.Errorf("%s: a bot: %v", author, got)
		}
	}
	if !isBot("Deployer", "d@example.com", []*regexp.Regexp{regexp.MustCompile("^Deploy")}) {
		t.Error("an own pattern does not match")
	}
}

// TestErrors holds that each error says what to do, by its kind.
func TestErrors(t *testing.T) {
	t.Parallel()
	empty, foreign := newFixture(t), newFixture(t)
	foreign.write("main.go", "package main").write("x.yaml", "a: 1").commit(ada, "Begin")
	kept := newFixture(t)
	kept.write("a.tf", `resource "t" "n" {}`).commit(ada, "Begin")
	for name, c := range map[string]struct {
		dir  string
		o    Options
		kind penumbra.ErrorKind
	}{
		"no folder":      {filepath.Join(t.TempDir(), "none"), Options{Key: testKey}, penumbra.Missing},
		"no repository":  {t.TempDir(), Options{Key: testKey}, penumbra.Invalid},
		"no commit":      {empty.dir, Options{Key: testKey}, penumbra.NotFound},
		"nothing known":  {foreign.dir, Options{Key: testKey}, penumbra.NotFound},
		"no such path":   {kept.dir, Options{Key: testKey, Paths: []string{"none"}}, penumbra.NotFound},
		"nothing so new": {kept.dir, Options{Key: testKey, Since: kept.now}, penumbra.NotFound},
		"no key":         {kept.dir, Options{}, penumbra.Invalid},
	} {
		_, err := Mine(t.Context(), c.dir, c.o, func(*penumbra.Observation) error { return nil })
		var e *penumbra.Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}

	stop := errors.New("enough")
	if _, err := Mine(t.Context(), kept.dir, Options{Key: testKey}, func(*penumbra.Observation) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("yield's error came back as %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Mine(ctx, kept.dir, Options{Key: testKey}, func(*penumbra.Observation) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled walk ended with %v", err)
	}
}

// TestConfiguration holds that the user's own settings of git change nothing.
func TestConfiguration(t *testing.T) {
	f := newFixture(t)
	f.write("a.tf", `resource "t" "n" { v = "é" }`).commit("Jö <jo@example.com>", "Bégin")
	f.git("checkout", "--quiet", "-b", "side")
	f.git("mv", "a.tf", "b.tf")
	f.commit(ada, "Move")
	f.git("checkout", "--quiet", "main")
	f.write("c.tf", `resource "t" "c" {}`).commit(ada, "Other")
	f.git("merge", "--quiet", "--no-ff", "-m", "Merge", "side")
	before, _ := mine(t, f.dir, Options{})
	if len(before) != 2 || before[0].Actor != "Jö" || before[0].Message != "Bégin" {
		t.Errorf("%+v", before)
	}
	for _, x := range []string{
		"log.showSignature true", "log.showRoot false", "log.follow true", "log.diffMerges combined", "diff.renames copies", "i18n.logOutputEncoding latin1",
		"core.quotePath true", "diff.external /bin/false", "core.pager /bin/false", "color.ui always", "diff.noPrefix true", "core.abbrev 5",
		"format.pretty oneline", "log.decorate full", "diff.algorithm patience", "core.fsmonitor /bin/false", "log.date relative",
	} {
		name, value, _ := strings.Cut(x, " ")
		f.git("config", name, value)
	}
	t.Setenv("GIT_DIR", t.TempDir())
	t.Setenv("GIT_LITERAL_PATHSPECS", "1")
	after, _ := mine(t, f.dir, Options{Paths: []string{"a.tf", "b.tf", "c.tf"}})
	if diff := cmp.Diff(lines(t, before), lines(t, after)); diff != "" {
		t.Error(diff)
	}
}

// TestDamaged has a file's content lost: it is listed, and nothing else stops.
func TestDamaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.write("a.tf", `resource "t" "a" {}`).write("b.tf", `resource "t" "b" {}`).commit(ada, "Begin")
	oid := f.git("rev-parse", "HEAD:a.tf")
	if err := os.Remove(filepath.Join(f.dir, ".git", "objects", oid[:2], oid[2:])); err != nil {
		t.Fatal(err)
	}
	all, report := mine(t, f.dir, Options{})
	if len(all) != 1 || all[0].Resource != ".|t.b" || report.Reasons[Absent] != 1 {
		t.Errorf("%d events, report %+v", len(all), report)
	}
}
