package atrest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var now = func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

func open(t testing.TB, dir string) (*Keyring, Master) {
	t.Helper()
	m, err := MasterFile(filepath.Join(dir, "master.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(filepath.Join(dir, "keyring.age"), m, now)
	if err != nil {
		t.Fatal(err)
	}
	return k, m
}

func TestWhatIsEncryptedComesBack(t *testing.T) {
	t.Parallel()
	k, _ := open(t, t.TempDir())
	for _, plain := range []string{"", "hunter2", strings.Repeat("x", 1<<20)} {
		data, err := k.Encrypt("run:1", []byte(plain))
		if err != nil || len(plain) > 0 && bytes.Contains(data, []byte(plain)) {
			t.Fatalf("%.20q: %v", data, err)
		}
		if got, err := k.Decrypt("run:1", data); err != nil || string(got) != plain {
			t.Errorf("%.20q, %v", got, err)
		}
		if again, _ := k.Encrypt("run:1", []byte(plain)); !bytes.Equal(again, data) {
			t.Error("the same content gives other bytes")
		}
		if _, err := k.Decrypt("run:2", data); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("read under another label: %v", err)
		}
		for _, i := range []int{len(magic), len(magic) + 5, len(data) - 1} {
			bad := bytes.Clone(data)
			bad[i] ^= 1
			if got, err := k.Decrypt("run:1", bad); err == nil {
				t.Errorf("byte %d changed gives %.20q", i, got)
			}
		}
		if _, err := k.Decrypt("run:1", data[:len(magic)+3]); penumbra.KindOf(err) != penumbra.Damaged {
			t.Error(err)
		}
	}
	if got, err := k.Decrypt("run:1", []byte("of before")); err != nil || string(got) != "of before" {
		t.Errorf("%q, %v", got, err)
	}
	text, err := k.EncryptText("log", "hunter2")
	if err != nil || strings.Contains(text, "hunter2") {
		t.Fatal(text, err)
	}
	if got, err := k.DecryptText("log", text); err != nil || got != "hunter2" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRotationLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, m := open(t, dir)
	daemon, _ := open(t, dir) // another process, which does not know of the rotation
	old, _ := k.Encrypt("a", []byte("before"))
	oldMaster, _ := os.ReadFile(filepath.Join(dir, "master.key"))

	renewed, err := m.Renew()
	if err != nil {
		t.Fatal(err)
	}
	if k, err = Open(filepath.Join(dir, "keyring.age"), renewed, now); err != nil {
		t.Fatal(err)
	}
	if id, err := k.Rotate(now()); err != nil || id != 2 {
		t.Fatal(id, err)
	}
	if _, err := renewed.Forget(); err != nil {
		t.Fatal(err)
	}
	k, _ = open(t, dir)
	if got, err := k.Decrypt("a", old); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	fresh, _ := k.Encrypt("a", []byte("before"))
	if bytes.Equal(fresh, old) {
		t.Error("the new data key gives the old bytes")
	}
	// The thrown away master opens nothing any more.
	gone, err := MasterFrom(string(oldMaster), "the old key")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "keyring.age"), gone, now); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("the old master opens the keyring: %v", err)
	}
	// A process that still has the old master says so and changes nothing.
	before, _ := os.ReadFile(filepath.Join(dir, "keyring.age"))
	if _, err := daemon.Decrypt("a", fresh); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("%v", err)
	}
	if got, err := daemon.Decrypt("a", old); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "keyring.age")); !bytes.Equal(before, after) {
		t.Error("the keyring was changed")
	}
}

func TestMissingAndDamagedKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, m := open(t, dir)
	data, _ := k.Encrypt("a", []byte("x"))
	path := filepath.Join(dir, "keyring.age")
	whole, _ := os.ReadFile(path)

	if _, err := MasterFile(filepath.Join(dir, "other.key"), false); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("no master: %v", err)
	}
	for name, broken := range map[string][]byte{"cut": whole[:len(whole)-9], "empty": {}, "text": []byte("hello"), "flipped": append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1)} {
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, m, now); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
		if is, _ := os.ReadFile(path); !bytes.Equal(is, broken) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	// A keyring that was lost and made anew says what is missing.
	os.Remove(path)
	k, err := Open(path, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Decrypt("a", data); err == nil {
		t.Error("another keyring reads it")
	}
	for _, text := range []string{"", "# nothing\n", "hunter2"} {
		_, err := MasterFrom(text, "PENUMBRA_MASTER_KEY")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", m, m, m); strings.Contains(s, "SECRET") {
		t.Error("a master shows its key: " + s)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
}
