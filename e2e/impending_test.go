//go:build unix

package e2e

// This file covers what is proposed before anything has drifted, on a setting that
// two people raise towards its limit: a guard in the code that a plan of the real
// tool runs into, a closer watch that survives a restart, and a message to those
// who do it.

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
// of 8, and the drift that is foreseen.
func creeping(t *testing.T) (*site, *daemon, penumbra.Drift) {
	s := newSite(t)
	s.write("penumbra.yaml", s.read("penumbra.yaml")+"limits:\n  - {setting: \""+crept+".worker_processes\", max: 8, reason: one core each}\n")
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
	s, _, found := creeping(t)
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
	s.penumbra("proposals", found.ID).ends(0).tells("not proposed: guard: the code refuses it already")
	s.rollback(run.ID)
	if got := s.read("shop/main.tf"); got != code {
		t.Fatalf("the code was not put back byte by byte:\n%s", got)
	}
}

func TestWatchCloserAndTellOwner(t *testing.T) {
	s, d, found := creeping(t)
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
