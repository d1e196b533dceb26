//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
)

// This covers plans made by nodes that stand by: what one of them has planned is approved and
// applied by the one that leads, and when one is killed while it plans another does.

// held puts a script before the tool of a node that notes each plan made for a proposal or a
// run, and holds those while a file named hold-plans-NAME is there, and readings of the stack
// other while hold-reads-NAME is.
func (s *site) held(node string) *site {
	s.t.Helper()
	if err := os.MkdirAll(s.path("tool-"+node), 0o755); err != nil {
		s.t.Fatal(err)
	}
	name := filepath.Join("tool-"+node, filepath.Base(tool)) // nodes tell tools apart by it
	s.write(name, strings.NewReplacer("ROOT", s.root, "NODE", node, "TOOL", tool).Replace(`#!/bin/sh
case "$*" in
*-out=*/stacks/*/plans/*)
	echo "$*" >>'ROOT/plans-NODE'
	while [ -e 'ROOT/hold-plans-NODE' ]; do sleep 0.1; done ;;
*-out=*/stacks/other/*)
	if [ -e 'ROOT/hold-reads-NODE' ]; then echo >>'ROOT/reads-NODE'; fi
	while [ -e 'ROOT/hold-reads-NODE' ]; do sleep 0.1; done ;;
esac
exec 'TOOL' "$@"
`))
	if err := os.Chmod(s.path(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return s.with("PENUMBRA_TOFU=" + s.path(name))
}

// noted is how many lines a file has, none if it is not there.
func (s *site) noted(name string) int {
	text, _ := os.ReadFile(s.path(name))
	return strings.Count(string(text), "\n")
}

func (s *site) release(name string) {
	s.t.Helper()
	if err := os.Remove(s.path(name)); err != nil {
		s.t.Fatal(err)
	}
}

func TestNodesPlan(t *testing.T) {
	s := newSite(t)
	server := pgtest.Shared(t, pgtest.Options{})
	database := server.Database(t)
	url := server.Connection("postgres", database)
	s = s.with("PENUMBRA_MASTER_KEY=" + strings.TrimSpace(s.penumbra("key", "new").ends(0).out))
	if err := os.CopyFS(s.path("other"), os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	stacks := fmt.Sprintf("log: {level: debug}\nschedule: {every: 1h, gap: 20ms, burst: 1000}\nstacks:\n  - {name: shop, dir: %s}\n  - {name: other, dir: %s, every: 2s}\n", s.dir, s.path("other"))
	ports, trusting := free(t, 3), s.certified()
	start := func(i int) *node {
		name := string(rune('a' + i))
		return s.held(name).nodeOf(name, url, ports[i], trusting, stacks)
	}
	a, b, c := three(s, server, database, start)
	a.until("the first look", a.hasRead)

	// The one that leads has room for one reading, and that hangs: from now on all else is
	// done by the two that stand by.
	s.write("hold-reads-a", "")
	a.until("a is at work", func() bool { return s.noted("reads-a") > 0 })
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	drift := a.drift(queue, "memory_mb")
	p := a.proposal(drift.ID, penumbra.Revert)
	made := a.counts("plans", "ok")
	if made["a"] != 0 || made["b"]+made["c"] == 0 || s.noted("plans-a") != 0 || s.noted("plans-b")+s.noted("plans-c") == 0 {
		t.Errorf("plans made: %v; a has started %d, b %d, c %d", made, s.noted("plans-a"), s.noted("plans-b"), s.noted("plans-c"))
	}
	if _, err := os.Stat(a.path(".penumbra/stacks/shop/plans/" + p.Plan.File)); err != nil {
		t.Errorf("the one that leads does not have the plan: %v", err)
	}
	for _, n := range []*node{b, c} {
		if left, _ := filepath.Glob(n.path(".penumbra/stacks/shop/plans/*")); len(left) != 0 {
			t.Errorf("node %s keeps %v", n.name, left)
		}
	}
	run := b.approve(p)
	if run.Proposal != p.ID || s.noted("plans-a") == 0 {
		t.Errorf("the run: %+v; the one that leads has planned again %d times", run, s.noted("plans-a"))
	}
	s.holds("shop/etc/queue.conf", "memory_mb = 768")

	// Whichever of the two plans next is killed meanwhile: the other one plans.
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	drift = a.drift(queue, "tls")
	s.write("hold-plans-b", "")
	s.write("hold-plans-c", "")
	before := map[*node]int{b: s.noted("plans-b"), c: s.noted("plans-c")}
	mine := s.noted("plans-a")
	planned := make(chan error, 1)
	go func() {
		_, _, err := a.client().Proposals(t.Context(), drift.ID)
		planned <- err
	}()
	var killed, other *node
	a.until("one of the two plans", func() bool {
		for n, x := range map[*node]*node{b: c, c: b} {
			if s.noted("plans-"+n.name) > before[n] {
				killed, other = n, x
			}
		}
		return killed != nil
	})
	killed.kill()
	s.release("hold-plans-" + other.name)
	if err := <-planned; err != nil {
		t.Fatal(err)
	}
	if a.counts("plans", "lost")[killed.name] == 0 {
		t.Errorf("no plan was lost with %s", killed.name)
	}
	if s.noted("plans-a") != mine || s.noted("plans-"+other.name) <= before[other] {
		t.Errorf("%s has planned %d times, the one that leads %d", other.name, s.noted("plans-"+other.name)-before[other], s.noted("plans-a")-mine)
	}
	a.approve(a.proposal(drift.ID, penumbra.Revert))
	s.holds("shop/etc/queue.conf", "tls = false")
	s.release("hold-reads-a")
	if n := leader(s, server, database, a, other); n != a {
		t.Errorf("%s leads, though nothing ended a", n.name)
	}
	unharmed(t, a, b, c)
}
