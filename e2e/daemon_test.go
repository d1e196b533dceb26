//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// daemon is a `penumbra serve` at work.
type daemon struct {
	*site
	cmd   *exec.Cmd
	url   string // of the page, with the token
	log   *safeBuffer
	said  *safeBuffer   // its output
	page  chan string   // what it said to be the page's address
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended
}

// safeBuffer takes what a process writes while a test reads it.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// serve starts a daemon on a port of the system's choice and waits until it
// says that it answers.
func (s *site) serve(args ...string) *daemon {
	s.t.Helper()
	d := s.process(append([]string{"serve", "--listen", "127.0.0.1:0", "-v"}, args...)...)
	select {
	case d.url = <-d.page:
	case <-d.ended:
		s.t.Fatalf("serve ended: %v\n%s", d.err, d.log)
	case <-time.After(patience):
		s.t.Fatalf("serve says no address\n%s", d.log)
	}
	return d
}

// process starts the program to go on until it is stopped, at the latest by the test's
// end.
func (s *site) process(args ...string) *daemon {
	s.t.Helper()
	d := &daemon{site: s, cmd: exec.Command(program, args...), log: &safeBuffer{}, said: &safeBuffer{}, page: make(chan string, 8), ended: make(chan struct{})}
	d.cmd.Dir, d.cmd.Env, d.cmd.Stderr = s.root, s.env, d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal starts it
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			_, _ = d.said.Write(append(lines.Bytes(), '\n'))
			if _, url, found := strings.Cut(lines.Text(), "The page: "); found {
				d.page <- url
			}
		}
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	s.t.Cleanup(func() { d.stop(syscall.SIGTERM) })
	return d
}

// kill ends the daemon as a crash does.
func (d *daemon) kill() {
	d.t.Helper()
	d.stop(syscall.SIGKILL)
}

// stop signals the daemon and waits for its end.
func (d *daemon) stop(signal syscall.Signal) {
	d.t.Helper()
	select {
	case <-d.ended:
		return
	default:
	}
	_ = d.cmd.Process.Signal(signal)
	select {
	case <-d.ended:
	case <-time.After(patience):
		_ = d.cmd.Process.Kill()
		d.t.Fatalf("serve has not ended after %s\n%s", signal, d.log)
	}
}

// hasRead reports whether the daemon has looked at the stack.
func (s *site) hasRead() bool {
	var status penumbra.Status
	s.penumbra("status", "-o", "json").ends(0).into(&status)
	return slices.ContainsFunc(status.Stacks, func(x penumbra.StackStatus) bool {
		return x.Name == "shop" && !x.LastRead.IsZero() && !x.Reading
	})
}

// watching starts a daemon and waits for its first look.
func (s *site) watching(args ...string) *daemon {
	s.t.Helper()
	d := s.serve(args...)
	s.until("the first look", s.hasRead)
	return d
}

func (s *site) drifts(args ...string) []penumbra.Drift {
	s.t.Helper()
	var out []penumbra.Drift
	s.penumbra(append([]string{"drift", "list", "-o", "json"}, args...)...).ends(0).into(&out)
	return out
}

// drift waits for an open drift of a setting.
func (s *site) drift(address, path string) penumbra.Drift {
	s.t.Helper()
	var found penumbra.Drift
	defer func() {
		if found.ID == "" {
			s.t.Log(s.penumbra("status", "--resources").out, s.penumbra("shadow", "show", address).out)
		}
	}()
	s.until("a drift of "+path+" of "+address, func() bool {
		for _, d := range s.drifts() {
			if _, ok := d.Finding(path); ok && string(d.Resource) == address && d.Verdict.IsDrift() {
				found = d
				return true
			}
		}
		return false
	})
	return found
}

func (s *site) show(drift string) penumbra.Drift {
	s.t.Helper()
	var out penumbra.Drift
	s.penumbra("drift", "show", drift, "-o", "json").ends(0).into(&out)
	return out
}

func (s *site) proposals(drift string) []penumbra.Proposal {
	s.t.Helper()
	var out struct {
		Proposals []penumbra.Proposal `json:"proposals"`
	}
	s.penumbra("proposals", drift, "-o", "json").ends(0).into(&out)
	return out.Proposals
}

// proposal returns the proposal of a kind; there must be one.
func (s *site) proposal(drift string, kind penumbra.ProposalKind) penumbra.Proposal {
	s.t.Helper()
	list := s.proposals(drift)
	for _, p := range list {
		if p.Kind == kind {
			return p
		}
	}
	var there []string
	for _, p := range list {
		there = append(there, fmt.Sprintf("%s %s", p.ID, p.Kind))
	}
	s.t.Fatalf("drift %s has no proposal to %s, but %q", drift, kind, there)
	return penumbra.Proposal{}
}

// approve approves a proposal as it was shown and returns the run, which must
// end done.
func (s *site) approve(p penumbra.Proposal) penumbra.Run {
	s.t.Helper()
	var run penumbra.Run
	s.penumbra("approve", p.ID, "--hash", p.Hash[:12], "--yes", "-o", "json").ends(0).into(&run)
	if run.State != penumbra.Done {
		s.t.Fatalf("the run ended %s: %s\n%s", run.State, run.Outcome, run.Log)
	}
	return run
}

// resolve waits for an open drift of a setting and has it resolved by the proposal of a
// kind, whose run must end done.
func (s *site) resolve(address, path string, kind penumbra.ProposalKind) (penumbra.Drift, penumbra.Run) {
	s.t.Helper()
	found := s.drift(address, path)
	return found, s.approve(s.proposal(found.ID, kind))
}

// settled makes sure that code and world agree, and that nothing is open.
func (s *site) settled() {
	s.t.Helper()
	s.plansNothing()
	if open := s.drifts(); len(open) != 0 {
		s.t.Fatalf("still open: %+v", open)
	}
}

// takeBack takes a run back, after which the code must be what it was.
func (s *site) takeBack(run penumbra.Run, code string) {
	s.t.Helper()
	s.rollback(run.ID)
	if got := s.read("shop/main.tf"); got != code {
		s.t.Fatalf("the code was not put back byte by byte:\n%s", got)
	}
}

// rollback takes a run back and returns the run that did.
func (s *site) rollback(id string) penumbra.Run {
	s.t.Helper()
	var run penumbra.Run
	s.penumbra("rollback", id, "--yes", "-o", "json").ends(0).into(&run)
	return run
}

func (s *site) runs() []penumbra.Run {
	s.t.Helper()
	var out []penumbra.Run
	s.penumbra("run", "list", "-o", "json").ends(0).into(&out)
	return out
}

func (s *site) runOf(id string) penumbra.Run {
	s.t.Helper()
	var out penumbra.Run
	s.penumbra("run", "show", id, "-o", "json").ends(0).into(&out)
	return out
}

// holds makes sure that a file has a line.
func (s *site) holds(name, line string) {
	s.t.Helper()
	for have := range strings.Lines(s.read(name)) {
		if strings.TrimSpace(have) == line {
			return
		}
	}
	s.t.Fatalf("%s has no line %q:\n%s", name, line, s.read(name))
}

// plansNothing makes sure that the tool itself wants no change.
func (s *site) plansNothing() {
	s.t.Helper()
	s.run(tool, s.dir, nil, "plan", "-input=false", "-no-color", "-detailed-exitcode").ends(0)
}
