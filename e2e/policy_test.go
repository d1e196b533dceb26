//go:build unix

package e2e

// This file covers who may decide and when, on a daemon and the real tool: two
// people, what a policy approves by itself, a freeze, code that a person edited in
// place of a proposal's, and a guard of what keeps coming back.

import (
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

const policies = `@id("low-risk") @reason("a worker's memory")
permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"approve", resource)
when { resource.kind == "revert" && resource.resource == "shop/conffile_service.queue" && !resource.one_way };

@id("two-people")
@approvals("2")
permit (principal, action == Penumbra::Action::"approve", resource)
when { resource.settings.contains("memory_mb") && resource.resource like "*web*" };
`

// governed is a site with policies.
func governed(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.write("rules.cedar", policies)
	s.write("penumbra.yaml", s.read("penumbra.yaml")+"policy: [rules.cedar]\n")
	s.penumbra("policy", "check").ends(0).tells("2 policies in 1 files")
	return s
}

func (s *site) decisions(drift string) []penumbra.Decision {
	s.t.Helper()
	var out []penumbra.Decision
	s.penumbra("decisions", drift, "-o", "json").ends(0).into(&out)
	return out
}

func TestTwoPeopleApprove(t *testing.T) {
	s := governed(t)
	s.watching()
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	found := s.drift(webA, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	s.penumbra("policy", "test", "--proposal", p.ID, "--as", "alice").ends(0).tells("needs 2", "two-people", "no policy that names Penumbra itself")
	var first penumbra.Approval
	s.as("alice").penumbra("approve", p.ID, "--yes", "-o", "json").ends(0).into(&first)
	if first.Run != nil || first.Needs != 2 {
		t.Fatalf("after the first of two: %+v", first)
	}
	s.as("alice").penumbra("approve", p.ID, "--yes").ends(1).tells("has approved", "2 different people")
	s.holds("shop/etc/web-a.conf", "memory_mb = 2048")
	s.penumbra("proposals", found.ID).ends(0).tells("by alice; 1 of 2")

	s.as("olga").penumbra("freeze", "--stack", "shop", "--reason", "the sale").ends(0)
	s.as("bob").penumbra("approve", p.ID, "--yes").ends(1).tells("frozen until somebody lifts it", "the sale")
	var freezes []penumbra.Freeze
	s.penumbra("freeze", "list", "-o", "json").ends(0).into(&freezes)
	s.as("olga").penumbra("unfreeze", freezes[0].ID).ends(0)

	var run penumbra.Run
	s.as("bob").penumbra("approve", p.ID, "--yes", "-o", "json").ends(0).into(&run)
	if run.State != penumbra.Done || len(run.Approvals) != 2 {
		t.Fatalf("after the second: %+v", run)
	}
	s.holds("shop/etc/web-a.conf", "memory_mb = 1024")
}

func TestPolicyApproves(t *testing.T) {
	s := governed(t)
	s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	s.until("the policy has it brought back", func() bool { return strings.Contains(s.read("shop/etc/queue.conf"), "memory_mb = 768") })
	s.until("the drift is resolved", func() bool { return len(s.drifts()) == 0 })
	all := s.decisions("")
	if len(all) != 1 || all[0].By != "policy:low-risk" || all[0].Hash == "" {
		t.Fatalf("decisions: %+v", all)
	}
	s.penumbra("approve", all[0].Proposal, "--yes").ends(1).tells("approved already")
}

func TestEditedCode(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	found := s.drift(queue, "memory_mb")
	p := s.proposal(found.ID, penumbra.Adopt)
	code := s.read("shop/main.tf")
	s.write("edited.tf", code+"\nresource \"x\" {\n")
	s.as("alice").penumbra("customize", p.ID, "--file", "main.tf="+s.path("edited.tf")).ends(1).tells("main.tf:")
	before, after, ok := strings.Cut(code, "= 768")
	if !ok {
		t.Fatal("the code has no 768")
	}
	s.write("edited.tf", before+"= 832 # as alice says"+after)
	var custom penumbra.Proposal
	s.as("alice").penumbra("customize", p.ID, "--file", "main.tf="+s.path("edited.tf"), "-o", "json").ends(0).into(&custom)
	if custom.Author != "alice" || custom.Customizes != p.ID || !strings.Contains(custom.Difference, "+  memory_mb: 896 → 832") {
		t.Fatalf("by %q, in place of %q, differs so:\n%s", custom.Author, custom.Customizes, custom.Difference)
	}
	s.holds("shop/etc/queue.conf", "memory_mb = 896") // nothing is applied until it is approved
	s.approve(custom)
	s.holds("shop/etc/queue.conf", "memory_mb = 832")
	if got := s.read("shop/main.tf"); !strings.Contains(got, "= 832 # as alice says") {
		t.Fatalf("the code:\n%s", got)
	}
	s.plansNothing()
}

// What keeps coming back can be guarded: what a policy let Penumbra adopt by itself it
// may then no longer.
func TestGuardPolicyOfWhatComesBack(t *testing.T) {
	s := newSite(t)
	s.make("policy/adopts.cedar", `@id("adopts") permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"approve", resource)
when { resource.kind == "adopt" && context.hour > 23 };
`)
	s.write("penumbra.yaml", s.read("penumbra.yaml")+"policy: [policy]\n")
	s.watching()
	var found penumbra.Drift
	for _, size := range []string{"896", "897", "898"} {
		s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = "+size)
		found = s.drift(queue, "memory_mb")
		if size == "898" {
			break
		}
		for _, p := range s.proposals(found.ID) {
			if p.Kind == penumbra.GuardPolicy {
				t.Fatalf("it is proposed before it has come back: %s", p.Title)
			}
		}
		s.edit("shop/etc/queue.conf", "memory_mb = "+size, "memory_mb = 768")
		s.until("it is gone", func() bool {
			return !slices.ContainsFunc(s.drifts(), func(d penumbra.Drift) bool { return d.Verdict.IsDrift() })
		})
	}
	s.approve(s.proposal(found.ID, penumbra.GuardPolicy))

	// Whoever wrote the policy lets Penumbra adopt by day too.
	s.edit("policy/adopts.cedar", " && context.hour > 23", "")
	s.until("the policy is in use", func() bool {
		var report penumbra.PolicyReport
		s.penumbra("policy", "test", "--proposal", s.proposal(found.ID, penumbra.Adopt).ID, "-o", "json").ends(0).into(&report)
		own := report.Answers[len(report.Answers)-1]
		if own.Allowed {
			t.Fatalf("Penumbra may adopt it: %+v", own)
		}
		return own.Needs == 2 && strings.Contains(own.Reason, "2 people have to approve it, says policy guard-")
	})
	s.holds("shop/main.tf", "memory_mb        = 768")
}
