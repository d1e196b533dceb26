//go:build unix

package e2e

// This file covers what is about addresses rather than settings: a resource that
// is gone from the state and still there, and code that was renamed without a
// moved block.

import (
	"os"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestImportAgain(t *testing.T) {
	s := newSite(t)
	s.watching()
	code := s.read("shop/main.tf")
	s.tofu("state", "rm", "conffile_service.queue", "module.mailer.conffile_service.this")
	found := s.drift(queue, "")
	list := s.proposals(found.ID)
	if list[0].Kind != penumbra.Import || !strings.Contains(list[0].Impact, "Imports "+queue) {
		t.Fatalf("the proposals: %+v", list)
	}
	s.approve(list[0])
	if got := s.read("shop/main.tf"); !strings.Contains(got, "import {\n  to = conffile_service.queue\n  id = \"etc/queue.conf\"\n}\n") || len(got) < len(code) {
		t.Fatalf("the code:\n%s", got)
	}
	if d := s.show(found.ID); d.Active() {
		t.Fatalf("still open: %+v", d)
	}
	// One in a module is imported by the stack's own code.
	mailer := s.drift("shop/module.mailer.conffile_service.this", "")
	s.approve(s.proposal(mailer.ID, penumbra.Import))
	s.plansNothing()

	// What is really gone is not imported.
	if err := os.Remove(s.path("shop/etc/cache.conf")); err != nil {
		t.Fatal(err)
	}
	gone := s.drift("shop/conffile_service.cache", "")
	for _, p := range s.proposals(gone.ID) {
		if p.Kind == penumbra.Import {
			t.Fatalf("an object that is not there is imported: %+v", p)
		}
	}
	s.penumbra("proposals", gone.ID).ends(0).tells("not proposed: import", "could not be found under the identity")
}

func TestMoved(t *testing.T) {
	s := newSite(t)
	s.penumbra("moved", "shop").ends(0).tells("No rename")
	s.edit("shop/main.tf", `resource "conffile_service" "web"`, `resource "conffile_service" "front"`)
	s.edit("shop/main.tf", `resource "conffile_service" "cache"`, `resource "conffile_service" "store"`)
	s.edit("shop/modules/worker/main.tf", `resource "conffile_service" "this"`, `resource "conffile_service" "worker"`)
	s.edit("shop/outputs.tf", "in conffile_service.web", "in conffile_service.front")
	s.edit("shop/outputs.tf", "conffile_service.cache", "conffile_service.store")
	worker := s.read("shop/modules/worker/main.tf")
	s.write("shop/modules/worker/main.tf", strings.ReplaceAll(worker, "conffile_service.this", "conffile_service.worker"))
	diff := s.penumbra("moved", "shop").ends(0).tells("conffile_service.web is conffile_service.front now").out
	if of := s.penumbra("moved", "--stack", "shop").ends(0).tells("conffile_service.web is conffile_service.front now").out; of != diff {
		t.Errorf("of the stack it says another than of its folder:\n%s\n%s", of, diff)
	}
	if n := strings.Count(diff, "+moved {"); n != 3 {
		t.Fatalf("%d moved blocks:\n%s", n, diff)
	}
	s.run("git", s.dir, strings.NewReader(diff), "apply", "-").ends(0)
	plan := s.tofu("plan", "-input=false", "-no-color")
	if !strings.Contains(plan, "0 to add, 0 to change, 0 to destroy") {
		t.Fatalf("the plan:\n%s", plan)
	}
	s.tofu("apply", "-input=false", "-auto-approve")
	s.plansNothing()
}
