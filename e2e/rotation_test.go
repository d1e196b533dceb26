//go:build unix

package e2e

// This file rotates the key of hashes on the data of a real daemon: nothing looks
// changed after it, a secret that does change is found, no hash of the old key is left
// in the data directory, and a key that is lost is told of.

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestRotatingTheKeyOfHashesIsNoDrift(t *testing.T) {
	s := newSite(t)
	// Secrets that are declared, and some that only the shadow expects.
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 1024\nsmtp_password = only-on-the-host-77\ncommand = run --token only-in-text-77")
	d := s.watching()
	s.edit("shop/etc/database.conf", "admin_password = correct-horse-battery-staple", "admin_password = moved-horse-battery")
	open := s.drift(database, "admin_password")
	s.penumbra("shadow", "show", webA).ends(0).tells("smtp_password")
	s.penumbra("key", "rotate", "--hash").ends(1).tells("another penumbra works")
	d.stop(syscall.SIGTERM)

	export := func() map[string]bool {
		out := map[string]bool{}
		for _, word := range strings.FieldsFunc(s.penumbra("export").ends(0).out, func(r rune) bool { return r == '"' }) {
			if strings.HasPrefix(word, penumbra.SecretPrefix) {
				out[word] = true
			}
		}
		return out
	}
	before := export()
	if len(before) < 4 {
		t.Fatalf("only %d hashes are stored", len(before))
	}
	checked := s.penumbra("check", "shop").tells("admin_password").out
	old := penumbra.Key(strings.TrimSpace(s.read(".penumbra/sealing.key")))
	guess := old.Seal(penumbra.String("moved-horse-battery")).Text()
	if !before[guess] {
		t.Fatal("the old key does not find the secret: the test would see nothing")
	}

	s.penumbra("key", "rotate", "--hash", "--given").ends(0) // none is: nothing to do
	s.penumbra("key", "rotate", "--given").ends(1)
	s.penumbra("key", "rotate", "--hash").ends(0).tells("Hashes are made with key").hides(string(old))
	s.penumbra("audit", "list", "--act", "key.rotate").ends(0).tells("key.rotate")
	s.penumbra("audit", "verify").ends(0)
	lines := strings.Fields(s.read(".penumbra/sealing.key"))
	if len(lines) != 2 || lines[1] != string(old) || lines[0] == lines[1] {
		t.Errorf("the file has %d keys", len(lines))
	}
	// The old key finds nothing any more: it is retired.
	err := filepath.WalkDir(s.path(".penumbra"), func(path string, f fs.DirEntry, err error) error {
		if err != nil || !f.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for hash := range before {
			if bytes.Contains(data, []byte(strings.TrimPrefix(hash, penumbra.SecretPrefix))) {
				t.Errorf("%s has a hash of the old key", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	after := export()
	if len(after) != len(before) {
		t.Errorf("%d hashes were %d", len(after), len(before))
	}
	for hash := range after {
		if before[hash] {
			t.Errorf("%s is as before", hash)
		}
	}

	// No false drift, and the open one is the same. A check that is held against the
	// record says so too.
	if again := s.penumbra("check", "shop").out; again != checked {
		t.Errorf("a check said\n%s\nand says now\n%s", checked, again)
	}
	d = s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896") // something real, to wait for
	s.drift(queue, "memory_mb")
	for _, x := range s.drifts() {
		if x.Resource != queue && x.ID != open.ID {
			t.Errorf("a false drift: %+v", x)
		}
	}
	if now := s.show(open.ID); !now.Active() || !now.Changed.Equal(open.Changed) {
		t.Errorf("the drift of before the rotation: %+v", now)
	}
	if text := s.penumbra("export", "--kind", "event").ends(0).out; strings.Contains(text, "smtp_password") {
		t.Errorf("a change is recorded that was none:\n%s", text)
	}

	// Secrets that change are found, declared or not, and the old drift can be resolved.
	s.edit("shop/etc/web-a.conf", "smtp_password = only-on-the-host-77", "smtp_password = another-on-the-host-77")
	now := penumbra.Key(strings.Join(lines, "\n"))
	s.until("the other password is recorded", func() bool {
		return export()[now.Seal(penumbra.String("another-on-the-host-77")).Text()]
	})
	s.approve(s.proposal(open.ID, penumbra.Revert))
	s.holds("shop/etc/database.conf", "admin_password = correct-horse-battery-staple")
	s.until("the drift is over", func() bool { now := s.show(open.ID); return !now.Active() })
	s.edit("shop/etc/database.conf", "admin_password = correct-horse-battery-staple", "admin_password = again-another-horse")
	s.drift(database, "admin_password")
	d.stop(syscall.SIGTERM)

	// A second rotation, by a key that is given; then one that is lost.
	s.with("PENUMBRA_KEY="+strings.Join(lines, "\n")).penumbra("key", "rotate", "--hash").ends(1).tells("yours to renew", "--given")
	three := append([]string{"a third key, given from outside"}, lines...)
	given := s.with("PENUMBRA_KEY=" + strings.Join(three, "\n"))
	given.penumbra("check", "shop").ends(1).tells("key rotate --hash --given")
	given.penumbra("key", "rotate", "--hash", "--given").ends(0)
	given.penumbra("check", "shop").tells("admin_password")
	state := s.files(s.path(".penumbra/sealing.key"))
	s.penumbra("status").ends(1).tells("restore the key")
	given.with("PENUMBRA_KEY=a key that nobody knows of").penumbra("status").ends(1).tells("restore the key")
	s.same(s.path(".penumbra/sealing.key"), state)
	given.penumbra("status").ends(0)
}
