//go:build unix

package e2e

// This file covers the whole loop on a daemon: a hand edit is noticed by the
// watch on files, explained, and resolved in each way there is, with the way
// back; and everything that must keep an approval from being carried out.

import (
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

const queue = "shop/conffile_service.queue"

func TestLoopRevert(t *testing.T) {
	s := newSite(t)
	d := s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	found := s.drift(queue, "memory_mb")
	if f, _ := found.Finding("memory_mb"); found.Verdict != penumbra.Drifted || f.Template != penumbra.Number(768) || f.Actual != penumbra.Number(896) {
		t.Fatalf("the drift: %+v", found)
	}
	s.penumbra("drift", "list").ends(0).tells(found.ID, "memory_mb 768 → 896")
	s.penumbra("drift", "show", found.ID).ends(0).tells(queue, "memory_mb 768 → 896", "nobody in the logs")

	list := s.proposals(found.ID)
	if len(list) < 3 || list[0].Kind != penumbra.Revert {
		t.Fatalf("the proposals: %+v", list)
	}
	for i, p := range list {
		if p.Rank != i+1 || p.Hash == "" || p.Script == "" || p.Explanation == "" || p.Impact == "" || p.WayBack == "" || len(p.ScoreReasons) != 3 {
			t.Errorf("proposal %d lacks something: %+v", i, p)
		}
		for name, score := range map[string]float64{"likelihood": p.Scores.Likelihood, "risk": p.Scores.Risk, "complexity": p.Scores.Complexity} {
			if score < 0 || score > 1 {
				t.Errorf("%s of %s is %v", name, p.Kind, score)
			}
		}
	}

	// Nobody there to confirm: nothing happens.
	s.penumbra("approve", list[0].ID).ends(1).tells("nobody is there to confirm", "--yes")
	s.holds("shop/etc/queue.conf", "memory_mb = 896")

	run := s.approve(list[0])
	s.holds("shop/etc/queue.conf", "memory_mb = 768")
	s.plansNothing()
	after := s.show(found.ID)
	if after.Status != penumbra.Resolved || after.Resolution != penumbra.Returned {
		t.Fatalf("after the revert: %+v", after)
	}
	if open := s.drifts(); len(open) != 0 {
		t.Fatalf("still open: %+v", open)
	}
	s.penumbra("approve", list[0].ID, "--yes").ends(1).tells("already")

	// The way back sets the values of before again.
	back := s.rollback(run.ID)
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
	if undone := s.runOf(run.ID); undone.State != penumbra.RolledBack || undone.UndoneBy != back.ID {
		t.Fatalf("the run that was taken back: %+v", undone)
	}
	s.drift(queue, "memory_mb")
	s.penumbra("rollback", run.ID, "--yes").ends(1).tells("nothing to take back")

	// The page shows it all, to who has the token.
	for address, want := range map[string]int{d.url: http.StatusOK, strings.Split(d.url, "?")[0]: http.StatusUnauthorized} {
		jar, _ := cookiejar.New(nil) // never fails
		response, err := (&http.Client{Jar: jar}).Get(address)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", strings.Split(address, "?")[0], response.Status, want)
		}
	}
}

func TestLoopAdopt(t *testing.T) {
	s := newSite(t)
	s.watching()
	code := s.read("shop/main.tf")
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	found, run := s.resolve(queue, "tls", penumbra.Adopt)
	if got, want := s.read("shop/main.tf"), strings.Replace(code, "tls              = false #", "tls              = true #", 1); !sameButAlignment(got, want) {
		t.Fatalf("the code after the adoption:\n%s", got)
	}
	s.holds("shop/etc/queue.conf", "tls = true")
	s.plansNothing()
	if after := s.show(found.ID); after.Resolution != penumbra.TemplateChanged {
		t.Fatalf("after the adoption: %+v", after)
	}

	s.takeBack(run, code)
	s.holds("shop/etc/queue.conf", "tls = true")
}

// sameButAlignment compares code whose columns may have moved.
func sameButAlignment(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}

func TestLoopIgnoreRule(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	_, run := s.resolve(webA, "memory_mb", penumbra.IgnoreRule)
	s.holds("shop/etc/web-a.conf", "memory_mb = 2048")
	s.penumbra("shadow", "show", webA).ends(0).tells("tolerated")
	if open := s.drifts(); len(open) != 0 {
		t.Fatalf("still open: %+v", open)
	}
	s.penumbra("check", "shop").ends(0).tells("tolerated")

	// It holds for this value only.
	s.edit("shop/etc/web-a.conf", "memory_mb = 2048", "memory_mb = 4096")
	other := s.drift(webA, "memory_mb")
	if f, _ := other.Finding("memory_mb"); f.Actual != penumbra.Number(4096) {
		t.Fatalf("another value: %+v", other)
	}
	s.edit("shop/etc/web-a.conf", "memory_mb = 4096", "memory_mb = 2048")
	s.until("the ignored value is quiet again", func() bool { return len(s.drifts()) == 0 })

	// Without the rule it is drift again.
	s.rollback(run.ID)
	s.drift(webA, "memory_mb")
}

func TestLoopIgnoreChanges(t *testing.T) {
	s := newSite(t)
	s.watching()
	code := s.read("shop/main.tf")
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	_, run := s.resolve(queue, "memory_mb", penumbra.IgnoreChanges)
	if got := s.read("shop/main.tf"); !strings.Contains(got, "ignore_changes = [memory_mb]") || !strings.Contains(got, "# inside the private network only") {
		t.Fatalf("the code:\n%s", got)
	}
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
	s.settled()
	s.takeBack(run, code)
}

func TestLoopCustomize(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	found := s.drift(queue, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	s.penumbra("customize", p.ID, "--set", "memory_mb").ends(1).tells("PATH=VALUE")
	s.penumbra("customize", p.ID, "--set", "admin_password=hunter2").ends(1).hides("hunter2")
	var custom penumbra.Proposal
	s.as("alice").penumbra("customize", p.ID, "--set", "memory_mb=832", "-o", "json").ends(0).into(&custom)
	s.holds("shop/etc/queue.conf", "memory_mb = 896") // nothing is applied until it is approved
	s.approve(custom)
	s.holds("shop/etc/queue.conf", "memory_mb = 832")
	if got := s.read("shop/main.tf"); !strings.Contains(got, "= 832") || strings.Contains(got, "= 768") {
		t.Fatalf("the code:\n%s", got)
	}
	s.settled()
}

// TestLoopBestPractice has an entry of the user's recommend a value that neither
// the code nor the file has: it is proposed, planned, applied, and taken back.
func TestLoopBestPractice(t *testing.T) {
	s := newSite(t)
	if err := os.Mkdir(s.path("knowledge"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("knowledge/own.yaml", `format: 1
entries:
  - id: acme.queue-memory
    title: The queue reads its memory when it starts
    types: [conffile_service]
    paths: [memory_mb]
    when: address.contains("queue")
    effect: restart
    best: {min: 1024, max: 4096, why: the end of the month fills the queue}
    sources: [{title: Runbook, url: "https://wiki.example/queue"}]
    checked: 2026-11-30
    examples: [{value: 768, address: shop/conffile_service.queue}]
`)
	s.edit("penumbra.yaml", "stacks:", "knowledge: [knowledge]\nstacks:")
	code := s.read("shop/main.tf")
	s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	found := s.drift(queue, "memory_mb")
	if revert := s.proposal(found.ID, penumbra.Revert); !strings.Contains(revert.Impact, "needs a RESTART") ||
		!strings.Contains(revert.Explanation, "Good practice for memory_mb is another value, 1024 to 4096: the end of the month fills the queue (Runbook, https://wiki.example/queue)") {
		t.Fatalf("the revert says nothing of the manual:\n%s\n%s", revert.Explanation, revert.Impact)
	}
	run := s.approve(s.proposal(found.ID, penumbra.BestPractice))
	s.holds("shop/etc/queue.conf", "memory_mb = 1024")
	if got := s.read("shop/main.tf"); !strings.Contains(got, "= 1024") || strings.Contains(got, "= 768") {
		t.Fatalf("the code:\n%s", got)
	}
	s.plansNothing()
	s.takeBack(run, code)
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
}

func TestLoopReplacement(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/web-b.conf", "listen_port = 8080", "listen_port = 8081")
	found := s.drift(`shop/conffile_service.web["b"]`, "listen_port")
	p := s.proposal(found.ID, penumbra.Revert)
	if p.Plan == nil || len(p.Plan.Changes) == 0 || p.Plan.Changes[0].Action != penumbra.Replace {
		t.Fatalf("the plan: %+v", p.Plan)
	}
	if first, _, _ := strings.Cut(p.Impact, "\n"); !strings.Contains(strings.ToLower(first), "replace") && !strings.Contains(strings.ToLower(first), "destroy") {
		t.Fatalf("the impact does not start with what is destroyed:\n%s", p.Impact)
	}
	s.penumbra("proposals", found.ID).ends(0).tells("DESTROYS OR REPLACES")
	for _, other := range s.proposals(found.ID) {
		if other.Kind != penumbra.Revert && other.Scores.Risk >= p.Scores.Risk {
			t.Errorf("the risk of %s is %v, that of a replacement %v", other.Kind, other.Scores.Risk, p.Scores.Risk)
		}
	}
	s.approve(p)
	s.holds("shop/etc/web-b.conf", "listen_port = 8080")
}

func TestLoopWorldMoved(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	found := s.drift(webA, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	state := s.read("shop/terraform.tfstate")
	s.edit("shop/etc/web-a.conf", "memory_mb = 2048", "memory_mb = 4096")
	r := s.penumbra("approve", p.ID, "--yes").ends(1)
	if runs := s.runs(); len(runs) > 0 {
		r.tells("the world has moved")
		if runs[0].State != penumbra.Failed {
			t.Fatalf("the run ended %s: %s", runs[0].State, runs[0].Outcome)
		}
	}
	s.holds("shop/etc/web-a.conf", "memory_mb = 4096")
	if s.read("shop/terraform.tfstate") != state {
		t.Fatal("the state was written")
	}

	// Once the edit is seen, fresh proposals are there for the world as it is.
	s.until("the second edit is seen", func() bool {
		now := s.drift(webA, "memory_mb")
		f, _ := now.Finding("memory_mb")
		return f.Actual == penumbra.Number(4096)
	})
	fresh := s.proposal(s.drift(webA, "memory_mb").ID, penumbra.Revert)
	if fresh.ID == p.ID || fresh.Hash == p.Hash {
		t.Fatalf("the proposal is the old one: %+v", fresh)
	}
	s.approve(fresh)
	s.holds("shop/etc/web-a.conf", "memory_mb = 1024")
}

func TestLoopWrongHash(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	found := s.drift(webA, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	for _, hash := range []string{"0123456789abcdef", p.Hash[:11], p.Hash + "0"} {
		s.penumbra("approve", p.ID, "--yes", "--hash", hash).ends(1).tells("hash", "What to do:")
	}
	s.holds("shop/etc/web-a.conf", "memory_mb = 2048")
	if runs := s.runs(); len(runs) != 0 {
		t.Fatalf("runs: %+v", runs)
	}
}

func TestLoopReject(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048")
	found := s.drift(webA, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	s.as("alice").penumbra("reject", p.ID, "--reason", "the hot fix stays until Friday").ends(0).tells("rejected")
	s.penumbra("approve", p.ID, "--yes").ends(1).tells("rejected already")
	s.holds("shop/etc/web-a.conf", "memory_mb = 2048")
	s.penumbra("export", "--kind", "event").ends(0).tells("alice", "the hot fix stays until Friday")
	if d := s.show(found.ID); !d.Active() {
		t.Fatalf("a rejected proposal ended the drift: %+v", d)
	}
}

func TestLoopSecret(t *testing.T) {
	s := newSite(t)
	d := s.watching()
	s.edit("shop/etc/database.conf", "admin_password = correct-horse-battery-staple", "admin_password = moved-horse-battery")
	found := s.drift(database, "admin_password")
	s.penumbra("drift", "show", found.ID, "-o", "json").ends(0).hides("horse")
	s.penumbra("proposals", found.ID, "-o", "json").ends(0).hides("horse")
	run := s.approve(s.proposal(found.ID, penumbra.Revert))
	s.holds("shop/etc/database.conf", "admin_password = correct-horse-battery-staple")
	s.penumbra("run", "show", run.ID, "-o", "json").ends(0).hides("horse")
	s.penumbra("rollback", run.ID, "--yes").ends(1).hides("horse").tells("What to do:")
	d.stop(15)
	for name, text := range s.files(s.path(".penumbra")) {
		if strings.Contains(text, "horse") && !strings.HasSuffix(name, ".plan") {
			t.Errorf("%s has a password", name)
		}
	}
	if strings.Contains(d.log.String(), "horse") {
		t.Errorf("the log has a password:\n%s", d.log)
	}
}

// The world of a provider that crashes is not checked, and is seen again later.
func TestLoopSourceComesBack(t *testing.T) {
	s := newSite(t)
	s.watching()
	s.edit("shop/etc/web-b.conf", "listen_port = 8080", "nonsense = \nlisten_port 8080")
	s.until("the resource is not checked", func() bool {
		return strings.Contains(s.penumbra("status", "--resources").ends(0).out, "not checked")
	})
	s.edit("shop/etc/web-b.conf", "nonsense = \nlisten_port 8080", "listen_port = 8080")
	s.until("everything is checked again", func() bool {
		return !strings.Contains(s.penumbra("status", "--resources").ends(0).out, "not checked")
	})
	if open := s.drifts("--all"); len(open) != 0 {
		t.Fatalf("what could not be read has become a drift: %+v", open)
	}
}
