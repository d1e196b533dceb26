package tofu

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// Of each resource by itself, and of several, the same must be read as of all.
func TestReadSomeIsPartOfRead(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	plans := s.watch()
	s.edit("etc/web-a.conf", "log_level = info", "log_level = debug")   // drifted
	s.edit("main.tf", "memory_mb       = 512", "memory_mb       = 768") // pending
	if err := os.Remove(s.path("etc/mailer.conf")); err != nil {        // gone
		t.Fatal(err)
	}
	s.write("more.tf", "resource \"conffile_service\" \"extra\" {\n  directory = var.directory\n  name = \"extra\"\n}\n")
	all := s.read()
	names := map[penumbra.Address]bool{}
	for _, o := range all {
		names[o.Resource] = true
	}
	if len(names) < 5 {
		t.Fatalf("only %d resources", len(names))
	}
	some := func(addresses ...penumbra.Address) observed {
		t.Helper()
		plans()
		list, err := s.w.ReadSome(t.Context(), addresses)
		if err != nil {
			t.Fatal(err)
		}
		if p := plans(); p != "some" {
			t.Errorf("%v: planned %q", addresses, p)
		}
		return index(t, list)
	}
	var asked []penumbra.Address
	for name := range names {
		asked = append(asked, name)
		want := observed{}
		for key, o := range all {
			if o.Resource == name {
				want[key] = o
			}
		}
		if diff := cmp.Diff(want, some(name), cmp.AllowUnexported(penumbra.Value{})); diff != "" {
			t.Errorf("%s by itself (+) and with all (-):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(all, some(asked...), cmp.AllowUnexported(penumbra.Value{})); diff != "" {
		t.Errorf("all by name (+) and without (-):\n%s", diff)
	}
	if got := some("shop/conffile_service.nowhere"); len(got) != 0 {
		t.Errorf("of a resource that is not there: %v", got)
	}
	if _, err := s.w.ReadSome(t.Context(), []penumbra.Address{"other/conffile_service.a"}); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("of another stack: %v", err)
	}
}

// The tools refuse to plan others alone while something is being renamed.
func TestReadSomeWhileSomethingMoves(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	plans := s.watch()
	s.edit("main.tf", `resource "conffile_service" "cache"`, `resource "conffile_service" "store"`)
	s.edit("outputs.tf", "conffile_service.cache.path", "conffile_service.store.path")
	s.write("moved.tf", "moved {\n  from = conffile_service.cache\n  to = conffile_service.store\n}\n")
	plans()
	list, err := s.w.ReadSome(t.Context(), []penumbra.Address{"shop/conffile_service.queue"})
	if err != nil {
		t.Fatal(err)
	}
	if p := plans(); p != "some all" {
		t.Errorf("planned %q, want some and then, as that is refused, all", p)
	}
	if diff := cmp.Diff(s.read(), index(t, list), cmp.AllowUnexported(penumbra.Value{})); diff != "" {
		t.Errorf("read whole (-) and by one name (+):\n%s", diff)
	}
}
