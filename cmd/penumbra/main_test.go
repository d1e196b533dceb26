package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
)

var update = flag.Bool("update", false, "write what was printed into the golden files of the scripts")

// TestMain makes the program available to the scripts under its own name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"penumbra": main})
}

// TestScripts runs the scripts in testdata/script, one for each behaviour. None
// needs an outside tool.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			program, err := exec.LookPath("penumbra")
			if err != nil {
				return err
			}
			env.Setenv("PENUMBRA", program)
			lab, err := filepath.Abs(filepath.Join("..", "..", "lab"))
			if err != nil {
				return err
			}
			env.Setenv("LAB", lab)
			deploy, err := filepath.Abs(filepath.Join("..", "..", "deploy"))
			if err != nil {
				return err
			}
			env.Setenv("DEPLOY", deploy)
			return os.CopyFS(filepath.Join(env.WorkDir, "recorded"), os.DirFS(filepath.Join("testdata", "recorded")))
		},
		Condition: func(name string) (bool, error) {
			if name != "postgres" {
				return false, fmt.Errorf("condition %s is not known", name)
			}
			_, err := postgres()
			if errors.Is(err, pgtest.ErrNone) && os.Getenv("REQUIRE_TOOLS") != "1" {
				return false, nil
			}
			return err == nil, err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"database": database,
			"exits":    exits,
			"nowhere":  nowhere,
			"await":    await,
			"hold":     hold,
			"twisted":  twisted,
			"sarif":    validSARIF,
			"junit":    validJUnit,
			"shortcut": shortcut,
			"weekly":   weekly,
			"told":     told,
			"as":       as,
			"remote":   remote,
			"hook":     hook,
			"heard":    heard,
			"until":    until,
			"fetch":    fetch,
			"queried":  queried,
			"promtool": promtool,
		},
	})
}

// postgres is a server for the scripts, which ends with the process.
var postgres = sync.OnceValues(func() (*pgtest.Server, error) { return pgtest.Start(pgtest.Options{}) })

// database VARIABLE makes an empty PostgreSQL database, and sets the variable to its URL.
func database(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: database VARIABLE")
	}
	server, err := postgres()
	ts.Check(err)
	name, err := server.New()
	ts.Check(err)
	ts.Setenv(args[0], server.Connection("postgres", name))
}

// exits CODE PROGRAM ARGS... runs a program that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// nowhere TEXT PATH fails if a file, or one below a folder, has the text;
// negated, it fails if none has.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: nowhere TEXT PATH")
	}
	var found []string
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(args[0])) {
			found = append(found, path)
		}
		return err
	}))
	if neg == (len(found) == 0) {
		ts.Fatalf("files with %q: %q", args[0], found)
	}
}

// await [-size] FILE waits until another process has made the file, and with
// -size written something to it.
func await(ts *testscript.TestScript, _ bool, args []string) {
	least := int64(0)
	if args[0] == "-size" {
		least, args = 1, args[1:]
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		if info, err := os.Stat(ts.MkAbs(args[0])); err == nil && info.Size() >= least {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("%s is still not there", args[0])
		}
	}
}

// hold DIR works on a data directory, as another process would, until the
// script ends.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	lock, err := wire.LockData(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { ts.Check(lock.Unlock()) })
}

// twisted FROM TO FILE NEW writes a copy of a file with some text replaced; the
// file must have it.
func twisted(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: twisted FROM TO FILE NEW")
	}
	data := []byte(ts.ReadFile(args[2]))
	if !bytes.Contains(data, []byte(args[0])) {
		ts.Fatalf("%s has no %q", args[2], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), bytes.ReplaceAll(data, []byte(args[0]), []byte(args[1])), 0o600))
}

// weekly DAYS FILE writes a history of so many days, in which a third of the
// services change their image about once a week, each in production a day after
// development, and the others never do.
func weekly(ts *testscript.TestScript, _ bool, args []string) {
	days, err := strconv.Atoi(args[0])
	ts.Check(err)
	var b bytes.Buffer
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	line := func(day float64, i int, env, action string, image int) {
		fmt.Fprintf(&b, `{"kind":"event","time":%q,"resource":"shop/%s|service.s%d","type":"service","source":"git:0","actor":"bot","actor_kind":"automation","action":%q,"settings":{"image":"v%d","size":1}}`+"\n",
			begin.Add(time.Duration(day*24*float64(time.Hour))).Format(time.RFC3339), env, i, action, image)
	}
	random := rand.New(rand.NewPCG(3, 1))
	for i := range 30 {
		line(0, i, "dev", "create", 0)
		line(0, i, "prod", "create", 0)
	}
	var moved []int
	for d := 1; d < days; d++ {
		for _, i := range moved {
			line(float64(d), i, "prod", "update", d-1)
		}
		moved = moved[:0]
		for i := range 30 {
			if i%3 == 0 && random.Float64() < 1.0/7 {
				line(float64(d)+0.5, i, "dev", "update", d)
				moved = append(moved, i)
			}
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

// shortcut N FILE NEW writes the first N bytes of a file.
func shortcut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(ts.ReadFile(args[1]))[:n], 0o600))
}

// validSARIF FILE RESULTS holds a report against the schema of SARIF 2.1.0.
func validSARIF(ts *testscript.TestScript, _ bool, args []string) {
	doc, err := sarif.FromString(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(doc.Validate())
	if len(doc.Runs) != 1 {
		ts.Fatalf("%d runs in the report, want 1", len(doc.Runs))
	}
	if got := strconv.Itoa(len(doc.Runs[0].Results)); got != args[1] {
		ts.Fatalf("%s results in the report, want %s", got, args[1])
	}
}

// validJUnit FILE TESTS FAILURES ERRORS reads a JUnit report and holds its
// counts against its cases.
func validJUnit(ts *testscript.TestScript, _ bool, args []string) {
	var suite junitSuite
	ts.Check(xml.Unmarshal([]byte(ts.ReadFile(args[0])), &suite))
	failures, faults := 0, 0
	for _, c := range suite.Cases {
		if c.Failure != nil {
			failures++
		}
		if c.Error != nil {
			faults++
		}
	}
	counted := []int{len(suite.Cases), failures, faults}
	for i, told := range []int{suite.Tests, suite.Failures, suite.Errors} {
		if want := args[i+1]; strconv.Itoa(told) != want || told != counted[i] {
			ts.Fatalf("count %d: told %d, counted %d, want %s", i, told, counted[i], want)
		}
	}
}
