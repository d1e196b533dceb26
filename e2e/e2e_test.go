//go:build unix

// Package e2e runs the whole program with the real tools, on loopback and in
// temporary folders only: the penumbra binary, OpenTofu or Terraform, and the
// example provider on copies of examples/shop. What each file covers is said at
// its top; this one has what they share.
//
// What needs OpenTofu or Terraform is skipped without them, or fails where
// REQUIRE_TOOLS=1.
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
)

// What all tests use; TestMain makes it once.
var (
	program string // the penumbra binary
	tool    string // OpenTofu or Terraform, "" if there is none
	noTool  error  // why
	cli     string // the CLI configuration that knows the example provider
	applied string // a copy of examples/shop on which init and apply were run
)

// Within its namespace TestNodesUnderFaults finds the program and the database in these.
const (
	insideProgram = "PENUMBRA_E2E_INSIDE"
	insideServer  = "PENUMBRA_E2E_SERVER"
)

func TestMain(m *testing.M) {
	if os.Getenv(insideProgram) != "" { // within the namespace of TestNodesUnderFaults
		os.Exit(m.Run())
	}
	work, err := os.MkdirTemp("", "penumbra-e2e-")
	if err == nil {
		err = prepare(work)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := pgtest.Main(m)
	os.RemoveAll(work)
	os.Exit(code)
}

func prepare(work string) (err error) {
	program = filepath.Join(work, "bin", "penumbra")
	if _, err := output(exec.Command("go", "build", "-o", program, "../cmd/penumbra")); err != nil {
		return err
	}
	if tool, noTool = tofu.FindBinary(""); noTool != nil {
		return nil
	}
	if tool, err = filepath.Abs(tool); err != nil {
		return err
	}
	if cli, err = provider(work); err != nil {
		return err
	}
	applied = filepath.Join(work, "applied")
	if err := os.CopyFS(applied, os.DirFS("../examples/shop")); err != nil {
		return err
	}
	for _, args := range [][]string{{"init", "-input=false"}, {"apply", "-input=false", "-auto-approve"}} {
		cmd := exec.Command(tool, args...)
		cmd.Dir, cmd.Env = applied, environment(work)
		if _, err := output(cmd); err != nil {
			return err
		}
	}
	return nil
}

// provider returns the CLI configuration that scripts/provider.sh wrote: the
// one that is set already, or one of our own.
func provider(work string) (string, error) {
	name := os.Getenv("TF_CLI_CONFIG_FILE")
	if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte("penumbra.example")) {
		return filepath.Abs(name)
	}
	out, err := output(exec.Command("sh", "../scripts/provider.sh", filepath.Join(work, "mirror")))
	return strings.TrimSpace(string(out)), err
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out, &errs)
	}
	return out, err
}

// environment is what the programs of a test see: nothing of this machine's but
// where its programs are. OpenTofu makes a folder in the home, which is
// therefore not the site.
func environment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + os.TempDir(), "LANG=C.UTF-8",
		"PENUMBRA_TOFU=" + tool, "TF_CLI_CONFIG_FILE=" + cli, "CHECKPOINT_DISABLE=1",
	}
}

// site is a place where penumbra works: a configuration, its data directory and
// one stack named shop.
type site struct {
	t    *testing.T
	root string
	dir  string // the stack's folder
	env  []string
	slow time.Duration // takes the place of patience where the tools are slow
}

// newSite makes a site on a stack that is applied and in sync.
func newSite(t *testing.T) *site {
	t.Helper()
	t.Parallel()
	needTool(t)
	root := t.TempDir()
	s := &site{t: t, root: root, dir: filepath.Join(root, "shop"), env: environment(t.TempDir())}
	t.Cleanup(s.reap)
	if err := os.CopyFS(s.dir, os.DirFS(applied)); err != nil {
		t.Fatal(err)
	}
	// Without waiting between reads and by the clock only after an hour: what
	// happens does so because of the test.
	s.write("penumbra.yaml", "schedule: {every: 1h, gap: 20ms, burst: 1000}\nstacks:\n  - name: shop\n    dir: shop\n")
	return s
}

// reap ends the providers that a killed tool left behind, where the system
// tells which processes work in the site's folder.
func (s *site) reap() {
	works, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range works {
		dir, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(dir, s.root+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func needTool(t *testing.T) {
	t.Helper()
	switch {
	case noTool == nil:
	case os.Getenv("REQUIRE_TOOLS") == "1":
		t.Fatal(noTool)
	default:
		t.Skip("the real tools are needed: ", noTool)
	}
}

func (s *site) with(env ...string) *site {
	c := *s
	c.env = append(slices.Clone(s.env), env...)
	return &c
}

func (s *site) path(name string) string { return filepath.Join(s.root, filepath.FromSlash(name)) }

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) read(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// edit replaces text in a file, which must have it, as an editor does: another
// file takes the place of the old one.
func (s *site) edit(name, from, to string) {
	s.t.Helper()
	text := s.read(name)
	if !strings.Contains(text, from) {
		s.t.Fatalf("%s has no %q:\n%s", name, from, text)
	}
	s.write(name+"~", strings.Replace(text, from, to, 1))
	if err := os.Rename(s.path(name+"~"), s.path(name)); err != nil {
		s.t.Fatal(err)
	}
}

// result is how a program ended.
type result struct {
	t        *testing.T
	args     string
	code     int
	out, err string
}

// penumbra runs the program to its end.
func (s *site) penumbra(args ...string) result {
	s.t.Helper()
	return s.run(program, s.root, nil, args...)
}

// tofu runs OpenTofu or Terraform in the stack's folder; it must succeed.
func (s *site) tofu(args ...string) string {
	s.t.Helper()
	return s.run(tool, s.dir, nil, args...).ends(0).out
}

// patience bounds whatever a test waits for. It is generous: nothing is asserted
// about speed.
const patience = 3 * time.Minute

func (s *site) run(name, dir string, in io.Reader, args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), cmp.Or(s.slow, patience))
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, s.env, in, &out, &errs
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		s.t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, &errs)
	}
	return result{s.t, filepath.Base(name) + " " + strings.Join(args, " "), cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// ends holds the exit code against what it must be.
func (r result) ends(code int) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("%s: exit code %d, want %d\n%s%s", r.args, r.code, code, r.out, r.err)
	}
	return r
}

// tells makes sure that the output has all the texts.
func (r result) tells(texts ...string) result {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			r.t.Fatalf("%s: no word of %q\n%s%s", r.args, text, r.out, r.err)
		}
	}
	return r
}

// hides makes sure that the output has none of the texts.
func (r result) hides(texts ...string) result {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.out+r.err, text) {
			r.t.Fatalf("%s: tells %q\n%s%s", r.args, text, r.out, r.err)
		}
	}
	return r
}

// into reads the output as JSON.
func (r result) into(x any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.out), x); err != nil {
		r.t.Fatalf("%s: %v\n%s%s", r.args, err, r.out, r.err)
	}
}

// until polls a condition to a deadline. Most polls start a program: they are as far
// apart as leaves most of the machine to what is waited for.
func (s *site) until(what string, done func() bool) {
	s.t.Helper()
	patient := cmp.Or(s.slow, patience)
	limit := time.After(patient)
	for {
		asked := time.Now()
		if done() {
			return
		}
		select {
		case <-time.After(max(25*time.Millisecond, 4*time.Since(asked))):
		case <-limit:
			s.t.Fatalf("not after %s: %s", patient, what)
		}
	}
}

// files returns what each file of a folder is: its text, and when it was last
// written. Its own hidden folder of the tools is part of it.
func (s *site) files(dir string) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(data)
		}
		out[path] = fmt.Sprintf("%s %s\n%s", info.Mode(), info.ModTime(), text)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// same fails unless a folder is as it was.
func (s *site) same(dir string, before map[string]string) {
	s.t.Helper()
	after := s.files(dir)
	for name, was := range before {
		if now, there := after[name]; !there {
			s.t.Errorf("%s is gone", name)
		} else if now != was {
			s.t.Errorf("%s was changed:\n%s", name, gocmp.Diff(strings.Split(was, "\n"), strings.Split(now, "\n")))
		}
	}
	for name := range after {
		if _, there := before[name]; !there {
			s.t.Errorf("%s is new", name)
		}
	}
}

// verdictOn returns the finding on a setting, and how many there are in all.
func verdictOn(assessments []penumbra.Assessment, address, path string) (penumbra.Finding, int) {
	var found penumbra.Finding
	n := 0
	for _, a := range assessments {
		n += len(a.Findings)
		for _, f := range a.Findings {
			if string(a.Resource) == address && f.Path == path {
				found = f
			}
		}
	}
	return found, n
}
