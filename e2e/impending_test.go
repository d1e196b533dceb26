//go:build unix

package e2e

// This file covers what is proposed before anything has drifted, on a setting that
// two people raise towards its limit: a guard in the code that a plan of the real
// tool runs into, a policy that has two people decide on it, a closer watch that
// survives a restart, and a message to those who do it.

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const crept = "shop/conffile_service.cache"

// creeping is a site whose cache gets a worker more each day, by hand, with a limit
// of 8, and the drift that is foreseen. configured is put into its configuration
// besides.
func creeping(t *testing.T, configured string) (*site, *daemon, penumbra.Drift) {
	s := newSite(t)
	if err := os.Mkdir(s.path("policy"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("penumbra.yaml", s.read("penumbra.yaml")+configured+"limits:\n  - {setting: \""+crept+".worker_processes\", max: 8, reason: one core each}\n")
	var history strings.Builder
	from := time.Now().UTC().Add(-7 * 24 * time.Hour).Truncate(time.Hour)
	snapshot := func(at time.Time, workers int) {
		fmt.Fprintf(&history, `{"kind":"snapshot","time":%q,"resource":%q,"type":"conffile_service","settings":{"worker_processes":%d},"source":"tofu"}`+"\n", at.Format(time.RFC3339), crept, workers)
	}
	for hour := range 4 * 24 {
		snapshot(from.Add(time.Duration(hour)*time.Hour), 4)
	}
	for i, who := range []string{"alice", "bob", "alice"} {
		at := from.Add(time.Duration(96+i*24) * time.Hour)
		fmt.Fprintf(&history, `{"kind":"event","time":%q,"resource":%q,"type":"conffile_service","actor":%q,"actor_kind":"user","action":"edit","settings":{"worker_processes":%d},"source":"audit","id":"e-%d"}`+"\n",
			at.Add(time.Minute).Format(time.RFC3339), crept, who, 5+i, i)
		for hour := range 23 {
			snapshot(at.Add(time.Duration(hour)*time.Hour+2*time.Minute), 5+i)
		}
	}
	s.run(program, s.root, strings.NewReader(history.String()), "ingest").ends(0)
	s.byHand("etc/cache.conf", "worker_processes", "7")
	d := s.watching()
	var found penumbra.Drift
	s.until("an impending drift", func() bool {
		for _, x := range s.drifts() {
			if string(x.Resource) == crept && x.Verdict == penumbra.Impending {
				found = x
			}
		}
		return found.ID != ""
	})
	return s, d, found
}

func TestGuardOfImpendingDrift(t *testing.T) {
	s, _, found := creeping(t, "")
	code := s.read("shop/main.tf")
	p := s.proposal(found.ID, penumbra.Guard)
	if len(p.Bounds) != 1 || p.Bounds[0].String() != "worker_processes is at most 8" || !strings.Contains(p.Otherwise, "foresees") {
		t.Fatalf("%+v\n%s", p.Bounds, p.Otherwise)
	}
	run := s.approve(p)
	guarded := s.read("shop/main.tf")
	if !strings.Contains(guarded, "condition     = self.worker_processes <= 8") {
		t.Fatalf("the code:\n%s", guarded)
	}
	s.plansNothing()
	copied := s.path("copy") // so that the program does not see what is tried
	if err := os.CopyFS(copied, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	for workers, fails := range map[int]bool{8: false, 9: true} {
		s.write("copy/main.tf", strings.Replace(guarded, "max_connections = 2048\n", fmt.Sprintf("max_connections = 2048\n  worker_processes = %d\n", workers), 1))
		plan := s.run(tool, copied, nil, "plan", "-input=false", "-no-color")
		if said := strings.Contains(strings.Join(strings.Fields(plan.err), " "), "Guard "+found.ID); fails != said || fails != (plan.code != 0) {
			t.Errorf("with %d workers the plan ended with %d:\n%s%s", workers, plan.code, plan.out, plan.err)
		}
	}
	s.penumbra("proposals", found.ID).ends(0).tells("not proposed: guard: the code refuses it already", "not proposed: guard-policy: no folder of policies is configured")
	s.takeBack(run, code)
}

func TestGuardPolicyOfImpendingDrift(t *testing.T) {
	s, d, found := creeping(t, "policy: [policy]\n")
	p := s.proposal(found.ID, penumbra.GuardPolicy)
	if p.Policy == nil || p.Policy.Path() != "policy/guard-"+found.ID+".cedar" || !strings.Contains(p.Script, p.Policy.Text) || strings.Contains(p.Policy.Text, " 9") {
		t.Fatalf("%+v\n%s", p.Policy, p.Script)
	}
	file := p.Policy.Path()
	carol := s.granted("carol", penumbra.Grant{Role: penumbra.Approver, Values: true, Logs: true})
	carol.penumbra("approve", p.ID, "--yes").ends(1).tells("carol may not policy.change", "it takes the role admin")
	if len(s.files(s.path("policy"))) != 1 {
		t.Fatal("something is in the folder of policies")
	}
	guarded := s.approve(p)
	if s.read(file) != p.Policy.Text || !strings.Contains(guarded.Outcome, "two people decide on worker_processes of conffile_service.cache") {
		t.Fatalf("%s\n%s", guarded.Outcome, s.read(file))
	}
	s.penumbra("policy", "check").ends(0).tells("2 policies in 1 files")
	s.penumbra("audit", "list").ends(0).tells("policy.change")
	s.penumbra("proposals", found.ID).ends(0).tells("not proposed: guard-policy: policy/guard-" + found.ID + ".cedar is there already")

	// It comes, and is adopted by two.
	s.byHand("etc/cache.conf", "worker_processes", "9")
	came := s.drift(crept, "worker_processes")
	code := s.read("shop/main.tf")
	adopt := s.proposal(came.ID, penumbra.Adopt)
	s.penumbra("policy", "test", "--proposal", adopt.ID, "--as", "alice").ends(0).tells("needs 2", "worker_processes of conffile_service.cache is guarded")
	s.as("alice").penumbra("drift", "accept", came.ID).ends(1).tells("nobody accepts it alone")
	var first penumbra.Approval
	s.as("alice").penumbra("approve", adopt.ID, "--yes", "-o", "json").ends(0).into(&first)
	if first.Run != nil || first.Needs != 2 || s.read("shop/main.tf") != code {
		t.Fatalf("after the first of two: %+v", first)
	}
	d.stop(syscall.SIGTERM)
	d = s.watching() // it holds after a restart
	var run penumbra.Run
	s.as("bob").penumbra("approve", adopt.ID, "--yes", "-o", "json").ends(0).into(&run)
	if run.State != penumbra.Done || run.Needs != 2 || len(run.Approvals) != 2 || s.read("shop/main.tf") == code {
		t.Fatalf("after the second: %+v", run)
	}

	// Without it one is enough again.
	carol.penumbra("rollback", guarded.ID, "--yes").ends(1).tells("carol may not policy.change")
	s.rollback(guarded.ID)
	if _, err := os.Stat(s.path(file)); !os.IsNotExist(err) {
		t.Fatalf("the file is there still: %v", err)
	}
	s.penumbra("policy", "check").ends(0).tells("0 policies in 0 files")
	s.byHand("etc/cache.conf", "worker_processes", "10")
	came = s.drift(crept, "worker_processes")
	adopt = s.proposal(came.ID, penumbra.Adopt)
	s.as("alice").penumbra("approve", adopt.ID, "--yes", "-o", "json").ends(0).into(&run)
	if run.State != penumbra.Done || run.Needs != 1 {
		t.Fatalf("by one, without the guard: %+v", run)
	}
	d.stop(syscall.SIGTERM)
}

func TestWatchCloserAndTellOwner(t *testing.T) {
	s, d, found := creeping(t, "")
	d.stop(syscall.SIGTERM)
	s.write("penumbra.yaml", s.read("penumbra.yaml")+"notify:\n  channels:\n    - {name: ops, kind: webhook, url: \"http://127.0.0.1:9/\", secret_file: webhook}\n") // nobody listens: it waits there
	s.write("webhook", "whsec_"+base64.StdEncoding.EncodeToString([]byte("of this test alone, 24 by"))+"\n")
	d = s.watching()
	p := s.proposal(found.ID, penumbra.WatchCloser)
	if p.Attention == nil || p.Attention.Every != 12*time.Minute || p.Attention.Usually != time.Hour {
		t.Fatalf("%+v", p.Attention)
	}
	run := s.approve(p)
	s.penumbra("status").ends(0).tells("Watched closer: " + crept + " every 12m")
	s.penumbra("shadow", "show", crept).ends(0).tells("Watched closer: ", found.ID)
	d.stop(syscall.SIGTERM)
	d = s.watching()
	s.penumbra("status").ends(0).tells("Watched closer: " + crept)
	var view penumbra.ShadowView
	s.penumbra("shadow", "show", crept, "-o", "json").ends(0).into(&view)
	if view.Closer == nil || view.NextRead.Sub(view.Time) > 15*time.Minute {
		t.Errorf("read next in %s: %+v", view.NextRead.Sub(view.Time), view.Closer)
	}
	s.penumbra("proposals", found.ID).ends(0).tells("not proposed: watch-closer: it is read every 12m already")
	s.rollback(run.ID)
	var status penumbra.Status
	s.penumbra("status", "-o", "json").ends(0).into(&status)
	if len(status.Closer) != 0 {
		t.Errorf("still watched closer: %+v", status.Closer)
	}

	p = s.proposal(found.ID, penumbra.TellOwner)
	for _, word := range []string{"Hello alice and bob", "alice (user) made 2 changes", "by edit", "raised 3 times"} {
		if p.Message == nil || !strings.Contains(strings.Join(strings.Fields(p.Message.Text), " "), word) {
			t.Fatalf("the message does not say %q: %+v", word, p.Message)
		}
	}
	if run := s.approve(p); run.Told != "the message for alice, bob goes out through ops" || !strings.Contains(run.Outcome, "within a week") {
		t.Errorf("told: %q; %s", run.Told, run.Outcome)
	}
	s.penumbra("proposals", found.ID).ends(0).tells("not proposed: tell-owner: that was done on")
	s.penumbra("notify", "list").ends(0).tells("worker_processes of conffile_service.cache is about to leave")
	d.stop(syscall.SIGTERM)
}
