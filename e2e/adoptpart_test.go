//go:build unix

package e2e

// This file covers adoption of a part of a drift, with the rest left open or
// brought back, and one adoption for several resources that left alike.

import (
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// twoDrifted edits two settings of the queue with one stroke.
func (s *site) twoDrifted() penumbra.Drift {
	s.t.Helper()
	text := strings.Replace(s.read("shop/etc/queue.conf"), "memory_mb = 768", "memory_mb = 896", 1)
	s.write("shop/etc/queue.conf", strings.Replace(text, "log_level = info", "log_level = debug", 1))
	found := s.drift(queue, "log_level")
	if _, both := found.Finding("memory_mb"); !both {
		s.t.Fatalf("the drift: %+v", found)
	}
	return found
}

func TestAdoptPart(t *testing.T) {
	s := newSite(t)
	s.watching()
	found := s.twoDrifted()
	s.penumbra("adopt", found.ID, "--only", "nothing").ends(1).tells("has no setting", "memory_mb")

	var part penumbra.Proposal
	s.penumbra("adopt", found.ID, "--only", "memory_mb", "-o", "json").ends(0).into(&part)
	if part.Kind != penumbra.Adopt || part.Plan.IsEmpty() || !strings.Contains(part.Impact, "log_level") {
		t.Fatalf("the rest is not shown: %+v", part)
	}
	code := s.read("shop/main.tf")
	run := s.approve(part)
	if got := s.read("shop/main.tf"); got != strings.Replace(code, "memory_mb        = 768", "memory_mb        = 896", 1) {
		t.Fatalf("the code:\n%s", got)
	}
	s.holds("shop/etc/queue.conf", "log_level = debug") // not applied
	after := s.drift(queue, "log_level")
	if _, still := after.Finding("memory_mb"); still || !after.Active() {
		t.Fatalf("after the part: %+v", after)
	}
	s.takeBack(run, code)
}

func TestAdoptPartRevertRest(t *testing.T) {
	s := newSite(t)
	s.watching()
	code := s.read("shop/main.tf")
	found := s.twoDrifted()
	var part penumbra.Proposal
	s.penumbra("adopt", found.ID, "--only", "memory_mb", "--revert-rest", "-o", "json").ends(0).into(&part)
	run := s.approve(part)
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
	s.holds("shop/etc/queue.conf", "log_level = info")
	s.settled()
	s.takeBack(run, code)
	s.holds("shop/etc/queue.conf", "log_level = debug")
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
}

// Six web servers share a literal: all of them raised is one change of it.
func TestAdoptAlike(t *testing.T) {
	s := newSite(t)
	s.watching()
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		s.edit("shop/etc/web-"+name+".conf", "memory_mb = 1024", "memory_mb = 2048")
	}
	s.until("all have drifted", func() bool { return len(s.drifts()) == 6 })
	found := s.drift(webA, "memory_mb")
	list := s.proposals(found.ID)
	i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return len(p.Also) == 5 })
	if i < 0 {
		t.Fatalf("no proposal for all: %+v", list)
	}
	code := s.read("shop/main.tf")
	run := s.approve(list[i])
	if got := s.read("shop/main.tf"); got != strings.Replace(code, "= 1024 # a literal", "= 2048 # a literal", 1) {
		t.Fatalf("the code:\n%s", got)
	}
	s.settled()
	s.takeBack(run, code)
}

// Six web servers that left alike come back in one run, and go in one again.
func TestRevertAlike(t *testing.T) {
	s := newSite(t)
	s.watching()
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range names {
		s.edit("shop/etc/web-"+name+".conf", "memory_mb = 1024", "memory_mb = 2048")
	}
	s.until("all have drifted", func() bool { return len(s.drifts()) == 6 })
	list := s.proposals(s.drift(webA, "memory_mb").ID)
	i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return p.Kind == penumbra.Revert && len(p.Also) == 5 })
	if i < 0 {
		t.Fatalf("no revert of all: %+v", list)
	}
	run := s.approve(list[i])
	for _, name := range names {
		s.holds("shop/etc/web-"+name+".conf", "memory_mb = 1024")
	}
	s.plansNothing()
	// What all of them did at once may well happen again: that is foreseen, and no drift.
	if open := slices.DeleteFunc(s.drifts(), func(d penumbra.Drift) bool { return !d.Verdict.IsDrift() }); len(open) != 0 {
		t.Fatalf("still open: %+v", open)
	}
	back := s.rollback(run.ID)
	if back.State != penumbra.Done {
		t.Fatalf("the way back ended %s: %s", back.State, back.Outcome)
	}
	for _, name := range names {
		s.holds("shop/etc/web-"+name+".conf", "memory_mb = 2048")
	}
}
