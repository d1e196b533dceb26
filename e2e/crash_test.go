//go:build unix

package e2e

// This file covers what a daemon that is killed or stopped leaves behind: what
// was acknowledged stays, each run comes to an end and none is carried out
// twice, files are whole; and an apply is never abandoned half-way because
// somebody stops the daemon.

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// recorded puts a script before the tool that notes each apply, and holds it
// while a file named held is there.
func (s *site) recorded() *site {
	s.t.Helper()
	wrapper := s.path(filepath.Base(tool))
	s.write(filepath.Base(tool), `#!/bin/sh
if [ "$1" = apply ]; then
	echo "$$ $*" >>'`+s.path("applies")+`'
	while [ -e '`+s.path("held")+`' ]; do sleep 0.05; done
fi
exec '`+tool+`' "$@"
`)
	if err := os.Chmod(wrapper, 0o755); err != nil {
		s.t.Fatal(err)
	}
	return s.with("PENUMBRA_TOFU=" + wrapper)
}

// applies returns the process and the arguments of each apply so far.
func (s *site) applies() (pids []int, args []string) {
	s.t.Helper()
	text, err := os.ReadFile(s.path("applies"))
	if err != nil {
		return nil, nil // none yet
	}
	for line := range strings.Lines(string(text)) {
		pid, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(pid)
		if err != nil {
			s.t.Fatalf("applies: %q", line)
		}
		pids, args = append(pids, n), append(args, rest)
	}
	return pids, args
}

// kills is how often the daemon is killed.
const kills = 16

// A daemon is killed at moments that a seed chooses, in the middle of runs and
// of taking timelines in, and started again.
func TestCrash(t *testing.T) {
	s := newSite(t).recorded()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 0))
	acknowledged := 0 // observations that ingest said to have stored
	for round := range kills {
		d := s.watching()
		settled(s)
		// Another setting each time: what goes and comes back is a habit soon.
		server, setting := string("abcdef"[round%6]), []string{"memory_mb", "worker_processes", "max_connections"}[round/6]
		file := "shop/etc/web-" + server + ".conf"
		s.setTo(file, setting, 4000+round)
		found := s.drift(`shop/conffile_service.web["`+server+`"]`, setting)
		p := s.proposal(found.ID, penumbra.Revert)

		var work sync.WaitGroup
		approved := make(chan struct{})
		work.Go(func() {
			defer close(approved)
			s.penumbra("approve", p.ID, "--yes")
		})
		var report result
		work.Go(func() {
			lines := history(round)
			report = s.run(program, s.root, strings.NewReader(lines), "ingest")
		})
		select {
		case <-time.After(time.Duration(random.IntN(2500)) * time.Millisecond):
		case <-approved:
		}
		d.stop(syscall.SIGKILL)
		work.Wait()
		if report.code == 0 && strings.Contains(report.out, " new,") {
			acknowledged += historyLength
		}
		if text := s.read(file); !strings.Contains(text, "tag.tier = web\n") || !strings.Contains(text, setting+" = ") {
			t.Fatalf("round %d: the file is not whole:\n%s", round, text)
		}
	}
	s.watching()
	settled(s)
	seen := map[string]bool{}
	_, args := s.applies()
	for _, a := range args {
		if seen[a] {
			t.Errorf("applied twice: %s", a)
		}
		seen[a] = true
	}
	exported := strings.Count(s.penumbra("export", "--stack", "elsewhere").ends(0).out, "\n")
	if exported < acknowledged {
		t.Errorf("%d observations were acknowledged, %d are there", acknowledged, exported)
	}
	// All timelines once more: whatever had been taken in is known, and none is
	// there twice.
	for round := range kills {
		s.run(program, s.root, strings.NewReader(history(round)), "ingest").ends(0)
	}
	if exported = strings.Count(s.penumbra("export", "--stack", "elsewhere").ends(0).out, "\n"); exported != kills*historyLength {
		t.Errorf("%d observations after taking all in again, want %d", exported, kills*historyLength)
	}
	runs := s.runs()
	t.Logf("seed %d: %d kills, %d runs, %d applies, %d of %d timelines acknowledged", seed, kills, len(runs), len(seen), acknowledged/historyLength, kills)
	if len(runs) == 0 || len(seen) == 0 {
		t.Error("no run was hit")
	}
}

// setTo edits a number in a file by hand, whatever it is.
func (s *site) setTo(name, setting string, value int) {
	s.t.Helper()
	for line := range strings.Lines(s.read(name)) {
		if strings.HasPrefix(line, setting+" = ") {
			s.edit(name, line, fmt.Sprintf("%s = %d\n", setting, value))
			return
		}
	}
	s.t.Fatalf("%s has no %s", name, setting)
}

// settled makes sure that each run has ended in one of the ways that runs end.
// An apply that outlived its daemon is waited for.
func settled(s *site) {
	s.t.Helper()
	for _, run := range s.runs() {
		switch run.State {
		case penumbra.Done, penumbra.Failed, penumbra.Halted, penumbra.RolledBack:
		default:
			s.t.Errorf("run %s is %s after a restart: %s", run.ID, run.State, run.Outcome)
		}
		if run.Outcome == "" {
			s.t.Errorf("run %s ended %s without a word", run.ID, run.State)
		}
	}
	pids, _ := s.applies()
	for _, pid := range pids {
		s.until("an apply has ended", func() bool { return syscall.Kill(pid, 0) != nil })
	}
}

const historyLength = 3000

// history is a timeline of a stack of its own, another one each round.
func history(round int) string {
	var b strings.Builder
	start := time.Date(2026, 1, 1+round, 0, 0, 0, 0, time.UTC)
	for i := range historyLength {
		fmt.Fprintf(&b, `{"kind":"snapshot","time":"%s","resource":"elsewhere/vm.m%d","type":"vm","settings":{"size":%d},"full":true}`+"\n",
			start.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i%50, 1+i/1000)
	}
	return b.String()
}

// Stopping the daemon in the middle of an apply, with SIGTERM or as a terminal
// does with Ctrl-C, waits for the apply and lets the run come to its end.
func TestStopDuringApply(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"terminate": syscall.SIGTERM, "interrupt": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t).recorded()
			d := s.watching()
			s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
			p := s.proposal(s.drift(queue, "memory_mb").ID, penumbra.Revert)
			s.write("held", "")
			var work sync.WaitGroup
			work.Go(func() { s.penumbra("approve", p.ID, "--yes") })
			s.until("the apply has begun", func() bool {
				pids, _ := s.applies()
				return len(pids) == 1
			})
			if err := syscall.Kill(-d.cmd.Process.Pid, signal); err != nil { // the whole group
				t.Fatal(err)
			}
			s.until("nobody is served any more", func() bool {
				_, err := os.Stat(s.path(".penumbra/daemon.json"))
				return !strings.Contains(s.penumbra("status").out, "shop") || os.IsNotExist(err)
			})
			select {
			case <-d.ended:
				t.Fatalf("the daemon left in the middle of an apply: %v\n%s", d.err, d.log)
			default:
			}
			if err := os.Remove(s.path("held")); err != nil {
				t.Fatal(err)
			}
			<-d.ended
			work.Wait()
			if d.err != nil {
				t.Errorf("the daemon ended with %v\n%s", d.err, d.log)
			}
			if runs := s.runs(); len(runs) != 1 || runs[0].State != penumbra.Done {
				t.Fatalf("the run: %+v", runs)
			}
			s.holds("shop/etc/queue.conf", "memory_mb = 768")
			if _, args := s.applies(); len(args) != 1 {
				t.Fatalf("applies: %q, want one", args)
			}
		})
	}
}
