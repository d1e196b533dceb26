package savedplan

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

func folder(t testing.TB) Folder {
	t.Helper()
	dir := t.TempDir()
	m, err := atrest.MasterFile(filepath.Join(dir, "master.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	k, err := atrest.Open(filepath.Join(dir, "keyring.age"), m, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return Folder{Stack: "shop", Data: dir, Now: time.Now, Cipher: k}
}

func save(t testing.TB, f Folder, text string) (string, penumbra.Plan) {
	t.Helper()
	path, err := f.New()
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err == nil {
		err = f.Lock(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path, penumbra.Plan{Stack: "shop", File: filepath.Base(path), Hash: codepatch.HashText(text)}
}

func has(t testing.TB, path, text string) bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(data, []byte(text))
}

func TestPlansLieEncrypted(t *testing.T) {
	t.Parallel()
	f := folder(t)
	path, p := save(t, f, "password hunter2")
	if has(t, path, "hunter2") {
		t.Fatal("the plan can be read")
	}
	open, remove, err := f.Open(p)
	if err != nil || !has(t, open, "hunter2") {
		t.Fatal(err)
	}
	if info, _ := os.Stat(open); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
	remove()
	if _, err := os.Stat(filepath.Dir(open)); !os.IsNotExist(err) {
		t.Error("the readable copy stays")
	}
	// A plan put in another's place is not read, nor one that was changed.
	other, q := save(t, f, "another")
	data, _ := os.ReadFile(other)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Hash = q.Hash
	if _, err := f.Read(p); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("%v", err)
	}
	q.Hash = p.Hash + "0"
	if _, err := f.Read(q); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"../master.key", ".hidden", "", "a/b"} {
		if _, err := f.Read(penumbra.Plan{Stack: "shop", File: name}); penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestUnlockedFilesAreLockedAgain(t *testing.T) {
	t.Parallel()
	f := folder(t)
	path, _ := save(t, f, "hunter2")
	lock, err := f.Unlock(path)
	if err != nil || !has(t, path, "hunter2") {
		t.Fatal(err)
	}
	if hash, err := f.HashFile(path); err != nil || hash != codepatch.HashText("hunter2") {
		t.Error(hash, err)
	}
	if err := lock(); err != nil || has(t, path, "hunter2") {
		t.Fatal("it stays readable", err)
	}
	before, _ := os.ReadFile(path)
	if err := f.Lock(path); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("it was encrypted twice")
	}
	if hash, err := f.HashFile(path); err != nil || hash != codepatch.HashText("hunter2") {
		t.Error(hash, err)
	}
}

// TestPlanGoesToAnotherMachine holds that a plan that is handed over stays encrypted under its
// name, is gone where it was, and that nothing else is kept in its place.
func TestPlanGoesToAnotherMachine(t *testing.T) {
	t.Parallel()
	from := folder(t)
	to := from
	to.Data = t.TempDir()
	path, p := save(t, from, "password hunter2")
	_, other := save(t, from, "another")
	data, err := from.Take(p)
	if err != nil || bytes.Contains(data, []byte("hunter2")) {
		t.Fatalf("taken: %q, %v", data, err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the plan stays where it was made")
	}
	renamed, elsewhere := p, p
	renamed.File = other.File
	elsewhere.File = "../" + p.File
	changed := p
	changed.Hash = other.Hash
	for what, bad := range map[string]struct {
		p    penumbra.Plan
		data []byte
		kind penumbra.ErrorKind
	}{
		"another name":   {renamed, data, penumbra.Damaged},
		"another hash":   {changed, data, penumbra.Stale},
		"another folder": {elsewhere, data, penumbra.Refused},
		"readable":       {p, []byte("password hunter2"), penumbra.Damaged},
	} {
		if err := to.Keep(bad.p, bad.data); penumbra.KindOf(err) != bad.kind {
			t.Errorf("%s: %v, want %s", what, err, bad.kind)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(to.Plans(), "*")); len(left) != 0 {
		t.Errorf("kept: %v", left)
	}
	if err := to.Keep(p, data); err != nil {
		t.Fatal(err)
	}
	if plain, err := to.Read(p); err != nil || string(plain) != "password hunter2" || has(t, filepath.Join(to.Plans(), p.File), "hunter2") {
		t.Errorf("kept as %q, %v", plain, err)
	}
	if err := to.Keep(p, data); penumbra.KindOf(err) != penumbra.Full {
		t.Errorf("a plan was replaced: %v", err)
	}
}

// What a Penumbra that was killed left readable is encrypted, and its copies removed.
func TestWhatWasLeftReadableIsLocked(t *testing.T) {
	t.Parallel()
	f := folder(t)
	path, p := save(t, f, "hunter2")
	open, _, err := f.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Unlock(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".log", []byte("token hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Now = func() time.Time { return time.Now().Add(2 * abandoned) }
	if _, err := f.New(); err != nil {
		t.Fatal(err)
	}
	if has(t, path, "hunter2") || has(t, path+".log", "hunter2") {
		t.Error("what was left behind stays readable")
	}
	if _, err := os.Stat(open); !os.IsNotExist(err) {
		t.Error("the readable copy stays")
	}
	f.Now = func() time.Time { return time.Now().Add(2 * Keep) }
	if _, err := f.New(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("a plan outlives its time")
	}
}
