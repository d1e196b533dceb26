//go:build unix

package e2e

// This file covers what one look at a stack without any history must tell from
// the state alone: settings that nobody declared, resources that are gone, those
// that were never made; and code that cannot even be parsed.

import (
	"os"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestCheckUndeclared(t *testing.T) {
	s := newSite(t)
	s.edit("shop/etc/cache.conf", "listen_port", "log_level = debug\nlisten_port")
	s.edit("shop/etc/web-a.conf", "listen_port", "gzip = on\nlisten_port")
	got := s.look(2)
	for address, path := range map[string]string{cache: "log_level", webA: "unmanaged.gzip"} {
		if f, n := verdictOn(got.Assessments, address, path); n != 2 || f.Verdict != penumbra.Unexpected || f.Declared {
			t.Errorf("%s of %s, which nobody declared: %+v", path, address, got)
		}
	}
}

func TestCheckDeletedFile(t *testing.T) {
	s := newSite(t)
	if err := os.Remove(s.path("shop/etc/mailer.conf")); err != nil {
		t.Fatal(err)
	}
	s.penumbra("check", "shop").ends(2).tells(mailer, "the resource is gone")
	if f, n := verdictOn(s.look(2).Assessments, mailer, ""); n != 1 || f.Verdict != penumbra.Drifted {
		t.Fatalf("a file that is gone: %+v", f)
	}
}

func TestCheckNeverMade(t *testing.T) {
	s := newSite(t)
	s.edit("shop/variables.tf", `["a", "b", "c", "d", "e", "f"]`, `["a", "b", "c", "d", "e", "f", "g"]`)
	s.penumbra("check", "shop").ends(0).tells(`web["g"]`, "pending", "no drift")
	if f, _ := verdictOn(s.look(0).Assessments, `shop/conffile_service.web["g"]`, ""); f.Verdict != penumbra.Pending {
		t.Fatalf("a resource that was never made: %+v", f)
	}
}

func TestCheckSyntax(t *testing.T) {
	s := newSite(t)
	s.edit("shop/main.tf", "memory_mb        = 768", "memory_mb        = {")
	s.penumbra("check", "shop").ends(1).tells("main.tf:", "What to do:").hides("no drift.")
}
