//go:build unix

package reads_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/reads"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// stack is what a node plans: it saves what a test says as the plan's file, as workspaces do.
type stack struct {
	source
	node   string
	tool   string // what plans of two nodes have to have in common
	folder savedplan.Folder
	file   func(ctx context.Context) ([]byte, error)
}

var (
	targets = []penumbra.Address{"shop/vm.web[0]"}
	patch   = &penumbra.Patch{Stack: "shop", Files: []penumbra.FilePatch{{Path: "main.tf", Base: "b", Before: "size = 1", After: "size = patched-size"}}}
)

func (s *stack) Plan(ctx context.Context, of []penumbra.Address, with *penumbra.Patch) (penumbra.Plan, error) {
	file, err := s.file(ctx)
	if err != nil {
		return penumbra.Plan{}, err
	}
	path, err := s.folder.New()
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err == nil {
		err = s.folder.Lock(path)
	}
	return penumbra.Plan{
		Hash: codepatch.HashText(string(file)), File: filepath.Base(path), Stack: "shop", Targets: of, PatchHash: codepatch.Digest(with), Evidence: s.node,
		Text: "planned by " + s.node, Created: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Changes: []penumbra.PlannedChange{{Resource: "shop/vm.web[0]", Action: penumbra.Update, Changes: []penumbra.PathChange{
			{Path: "size", Before: penumbra.Number(1), After: penumbra.Unknown(), Unknown: true}}}},
	}, err
}

func (s *stack) TakePlan(p penumbra.Plan) ([]byte, error) { return s.folder.Take(p) }

func (s *stack) KeepPlan(p penumbra.Plan, saved []byte) (penumbra.Plan, error) {
	return p, s.folder.Keep(p, saved)
}

func (s *stack) PlanDigest(context.Context) (string, error) { return s.tool, nil }

// stacks makes stacks of nodes that have the same keys and folders of their own.
func (f *fleet) stacks(nodes ...string) map[string]*stack {
	f.t.Helper()
	out := map[string]*stack{}
	keys, err := atrest.Open(filepath.Join(f.t.TempDir(), "keyring.age"), f.master, time.Now)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, node := range nodes {
		out[node] = &stack{
			source: never, node: node, tool: "tofu 1", folder: savedplan.Folder{Stack: "shop", Data: f.t.TempDir(), Now: time.Now, Cipher: keys},
			file: func(context.Context) ([]byte, error) { return []byte("secret of the plan"), nil },
		}
	}
	return out
}

// files are the plans that a node keeps.
func (s *stack) files(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.folder.Plans(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

type planned struct {
	plan penumbra.Plan
	err  error
}

// plan plans in the background.
func plan(t *testing.T, asker *reads.Asker, own *stack) chan planned {
	out := make(chan planned, 1)
	go func() {
		p, err := asker.Planner("shop", "tofu", own, theSame).Plan(t.Context(), targets, patch)
		out <- planned{p, err}
	}()
	return out
}

func madeBy(t *testing.T, node string, out chan planned) penumbra.Plan {
	t.Helper()
	select {
	case got := <-out:
		if got.err != nil {
			t.Fatal(got.err)
		}
		if got.plan.Evidence != node {
			t.Errorf("%s has planned, want %s", got.plan.Evidence, node)
		}
		return got.plan
	case <-time.After(patience):
		t.Fatal("nobody has planned")
	}
	return penumbra.Plan{}
}

func busy(context.Context) ([]byte, error) {
	return nil, errors.New("the node that leads has planned itself")
}

// TestAnotherNodePlans has a node that stands by plan: what comes back is its plan, whose file
// is kept by the one that leads alone. What is asked and answered lies encrypted in between.
func TestAnotherNodePlans(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	s := f.stacks("a", "b")
	s["a"].file = busy
	f.reader("b", 1, digest, s["b"])
	out := plan(t, asker, s["a"])
	until(t, "b has planned", func() bool { return number(t, store, `SELECT count(answer) FROM readings`) == 1 })
	var lies, asked []byte
	if err := store.Pool().QueryRow(t.Context(), `SELECT answer, args::text::bytea FROM readings JOIN river_job ON river_job.id = job`).Scan(&lies, &asked); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(lies, []byte("age-encryption.org/")) || bytes.Contains(lies, []byte("secret")) || bytes.Contains(asked, []byte("patched-size")) || bytes.Contains(asked, []byte("web[0]")) {
		t.Errorf("what is asked, or the answer, is not encrypted: %q, %.40q", asked, lies)
	}
	if left := s["b"].files(t); len(left) != 0 {
		t.Errorf("b keeps %v", left)
	}
	f.run(asker.Run) // until now nobody looked for answers
	p := madeBy(t, "b", out)
	want, err := s["b"].Plan(t.Context(), targets, patch)
	want.File = p.File
	if diff := cmp.Diff(want, p, cmp.AllowUnexported(penumbra.Value{})); err != nil || diff != "" {
		t.Errorf("the plan is another (-want +got):\n%s%v", diff, err)
	}
	if text, err := s["a"].folder.Read(p); err != nil || string(text) != "secret of the plan" {
		t.Errorf("kept here: %q, %v", text, err)
	}
	if f.counted("plan b", reads.Done) != 1 || f.counted("b", reads.Done) != 0 {
		t.Errorf("counted: %v", f.counts)
	}
}

// TestNodeThatPlansIsLost has the node that plans be not heard of any more: another one plans.
// What the one that ends in good order had begun another one plans at once.
func TestNodeThatPlansIsLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, _ := f.leader("a")
	f.run(asker.Run)
	s := f.stacks("a", "b", "c", "d")
	s["a"].file = busy
	hang := func(at *stack) (began chan struct{}) {
		began = make(chan struct{})
		at.file = func(ctx context.Context) ([]byte, error) {
			close(began)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return began
	}
	began := hang(s["b"])
	_, cut := f.reader("b", 1, digest, s["b"])
	out := plan(t, asker, s["a"])
	<-began
	began = hang(s["c"])
	stop, _ := f.reader("c", 1, digest, s["c"])
	go cut.Close() // it waits for connections that are in use, and gives out none
	<-began
	if f.counted("plan b", reads.Lost) != 1 {
		t.Errorf("counted: %v", f.counts)
	}
	f.reader("d", 1, digest, s["d"])
	stop()
	p := madeBy(t, "d", out)
	if _, err := s["a"].folder.Read(p); err != nil {
		t.Error(err)
	}
	if f.counted("plan c", reads.GivenBack) != 1 || f.counted("plan d", reads.Done) != 1 {
		t.Errorf("counted: %v", f.counts)
	}
}

// TestNodeWhosePlanIsNotApplicable has nodes with another tool, other code, or no plans at all:
// the one that leads plans. One that only plans with another tool still reads.
func TestNodeWhosePlanIsNotApplicable(t *testing.T) {
	t.Parallel()
	for what, of := range map[string]func(b *stack) (code string, as engine.Source){
		"another tool": func(b *stack) (string, engine.Source) { b.tool = "tofu 2"; return digest, b },
		"other code":   func(b *stack) (string, engine.Source) { return "d2", b },
		"no plans":     func(b *stack) (string, engine.Source) { return digest, b.source },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			asker, _ := f.leader("a")
			f.run(asker.Run)
			s := f.stacks("a", "b")
			s["b"].source = one("b")
			code, b := of(s["b"])
			f.reader("b", 1, code, b)
			p := madeBy(t, "a", plan(t, asker, s["a"]))
			if _, err := s["a"].folder.Read(p); err != nil {
				t.Error(err)
			}
			if f.counted("plan b", reads.GivenBack) != 1 || f.counted("plan a", reads.Done) != 1 {
				t.Errorf("counted: %v", f.counts)
			}
			if code == digest {
				out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
				if who := by(t, got(t, out, failed)); who != "b" {
					t.Errorf("%s has read", who)
				}
			}
		})
	}
}

// TestPlanThatIsTooLarge has a plan that is not sent: the one that leads plans, says so, and
// asks nobody else for plans of the stack again.
func TestPlanThatIsTooLarge(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var said bytes.Buffer
	f.log = slog.New(slog.NewTextHandler(&said, nil))
	asker, _ := f.leader("a")
	stop := f.run(asker.Run)
	s := f.stacks("a", "b")
	large := make([]byte, 16<<20)
	_, _ = rand.Read(large)
	s["b"].file = func(context.Context) ([]byte, error) { return large, nil }
	f.reader("b", 1, digest, s["b"])
	for range 2 {
		madeBy(t, "a", plan(t, asker, s["a"]))
	}
	if f.counted("plan b", reads.GivenBack) != 1 || f.counted("plan a", reads.Done) != 2 {
		t.Errorf("counted: %v", f.counts)
	}
	if left := s["b"].files(t); len(left) != 0 {
		t.Errorf("b keeps %v", left)
	}
	stop()
	if !strings.Contains(said.String(), "its plan takes 17 MiB, and 16 MiB are sent at most") {
		t.Errorf("said: %s", &said)
	}
}

// TestPlanFailures has a plan fail where another node makes it, and what comes back be no plan
// that can be kept: the one that leads plans itself, and says what it finds.
func TestPlanFailures(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, _ := f.leader("a")
	f.run(asker.Run)
	s := f.stacks("a", "b")
	s["b"].file = func(context.Context) ([]byte, error) {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "run tofu", Remedy: "run tofu init"}
	}
	stop, _ := f.reader("b", 1, digest, s["b"])
	madeBy(t, "a", plan(t, asker, s["a"]))
	s["a"].file = busy
	if got := <-plan(t, asker, s["a"]); got.err == nil || !strings.Contains(got.err.Error(), "has planned itself") {
		t.Errorf("what neither can plan: %v", got.err)
	}
	if f.counted("plan b", reads.Failed) != 2 || f.counted("plan a", reads.Failed) != 1 {
		t.Errorf("counted: %v", f.counts)
	}
	stop()

	// Another node's keys are others: it gives a file that does not open here.
	s["a"].file = func(context.Context) ([]byte, error) { return []byte("mine"), nil }
	strange := f.stacks("b")["b"]
	f.reader("b", 1, digest, strange)
	p := madeBy(t, "a", plan(t, asker, s["a"]))
	if text, err := s["a"].folder.Read(p); err != nil || string(text) != "mine" {
		t.Errorf("kept here: %q, %v", text, err)
	}
}

// TestAnswerToAnotherOrder has the answer to one order put in the place of another's in the
// database: it is not taken for it, and the one that leads plans.
func TestAnswerToAnotherOrder(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	s := f.stacks("a", "b")
	f.reader("b", 1, digest, s["b"])
	first := plan(t, asker, s["a"])
	until(t, "b has planned", func() bool { return number(t, store, `SELECT count(answer) FROM readings`) == 1 })
	second := plan(t, asker, s["a"])
	until(t, "b has planned again", func() bool { return number(t, store, `SELECT count(answer) FROM readings`) == 2 })
	if _, err := store.Pool().Exec(t.Context(), `UPDATE readings SET answer = (SELECT answer FROM readings ORDER BY job LIMIT 1)`); err != nil {
		t.Fatal(err)
	}
	f.run(asker.Run)
	madeBy(t, "b", first)
	madeBy(t, "a", second)
}
