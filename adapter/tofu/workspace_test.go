package tofu

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

const cache = penumbra.Address("shop/conffile_service.cache")

// patch is one that replaces text in a file of the stack.
func (s *stack) patch(name, from, to string) *penumbra.Patch {
	s.t.Helper()
	before, err := os.ReadFile(s.path(name))
	if err != nil || !bytes.Contains(before, []byte(from)) {
		s.t.Fatalf("no %q in %s (%v)", from, name, err)
	}
	return &penumbra.Patch{Stack: "shop", Files: []penumbra.FilePatch{{
		Path: name, Base: codepatch.HashText(string(before)), Before: string(before), After: strings.Replace(string(before), from, to, 1),
	}}}
}

func (s *stack) plan(patch *penumbra.Patch, targets ...penumbra.Address) penumbra.Plan {
	s.t.Helper()
	p, err := s.w.Plan(context.Background(), targets, patch)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *stack) text(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

func TestPlanAndApplyRevertDrift(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	if p := s.plan(nil); !p.IsEmpty() {
		t.Errorf("nothing has changed, and the plan has %+v", p.Changes)
	}
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	s.edit("etc/web-a.conf", "listen_port = 8080", "listen_port = 9090")

	p := s.plan(nil)
	if len(p.Changes) != 2 || p.Changes[0].Action != penumbra.Replace || !slices.Equal(p.Changes[0].ReplacePaths, []string{"listen_port"}) {
		t.Errorf("changes %+v, want the replacement of web[\"a\"] first, by listen_port", p.Changes)
	}
	p = s.plan(nil, cache)
	want := penumbra.PathChange{Path: "memory_mb", Before: penumbra.Number(640), After: penumbra.Number(512)}
	if len(p.Changes) != 1 || !slices.Equal(p.Changes[0].Changes, []penumbra.PathChange{want}) {
		t.Errorf("changes %+v, want only %+v", p.Changes, want)
	}
	if !strings.Contains(p.Text, "memory_mb") {
		t.Errorf("text %q does not show the change", p.Text)
	}
	file := filepath.Join(s.w.data, "plans", p.File)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("plan file: %v %v, want mode 0600", info, err)
	}

	again, err := s.w.Replan(context.Background(), p, nil)
	if err != nil || again.Evidence != p.Evidence || again.Hash == "" {
		t.Errorf("planned again: %v, evidence equal %v", err, again.Evidence == p.Evidence)
	}
	s.edit("etc/cache.conf", "memory_mb = 640", "memory_mb = 641")
	if again, err = s.w.Replan(context.Background(), p, nil); err != nil || again.Evidence == p.Evidence {
		t.Errorf("the world moved: %v, evidence equal %v", err, again.Evidence == p.Evidence)
	}

	var log bytes.Buffer
	if err := s.w.Apply(context.Background(), again, &log); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.text("etc/cache.conf"), "memory_mb = 512") || !strings.Contains(log.String(), "Apply complete") {
		t.Errorf("after the apply: %s\n%s", s.text("etc/cache.conf"), &log)
	}
	if strings.Contains(s.text("etc/web-a.conf"), "8080") {
		t.Error("the apply went beyond its target")
	}
	// The state is again what it was when p was made; another apply moves it on.
	s.edit("main.tf", "memory_mb       = 512", "memory_mb       = 768")
	s.tool("apply", "-auto-approve", "-target="+cache.Local())
	if err := s.w.Apply(context.Background(), p, &log); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("a plan from before another apply: %v, want Stale", err)
	}
	if err := os.WriteFile(file, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.w.Apply(context.Background(), p, &log); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("a plan file that was changed: %v, want Stale", err)
	}
}

// A plan made with a patch in a copy of the code leaves the code as it is, and
// applies to the real state.
func TestApplyOfPlanWithPatch(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	before := fingerprint(t, s.dir)
	s.w.config.Env["TF_VAR_log_level"] = "info"
	p := s.plan(s.patch("main.tf", "memory_mb       = 512", "memory_mb       = 700"), cache)
	if len(p.Changes) != 1 || p.PatchHash == "" {
		t.Fatalf("plan %+v, want one change and the patch's hash", p)
	}
	if after := fingerprint(t, s.dir); after != before {
		t.Errorf("planning changed the stack:\n%s\nwas\n%s", after, before)
	}
	if err := s.w.Apply(context.Background(), p, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.text("etc/cache.conf"), "memory_mb = 700") || !strings.Contains(s.text("terraform.tfstate"), `"memory_mb": 700`) {
		t.Errorf("the plan was not applied to the real state: %s", s.text("etc/cache.conf"))
	}
	module := s.patch("modules/worker/main.tf", "memory_mb        = var.processes * 128", "memory_mb        = var.processes * 256")
	p = s.plan(module, "shop/module.mailer.conffile_service.this")
	if len(p.Changes) != 1 || p.Changes[0].Changes[0].After != penumbra.Number(512) {
		t.Errorf("patched module: %+v, want memory_mb 512", p.Changes)
	}
	left, _ := filepath.Glob(filepath.Join(s.w.data, "scratch-*"))
	if len(left) > 0 {
		t.Errorf("copies are left behind: %v", left)
	}
}

func TestApplyFailures(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	p := s.plan(nil, cache)

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.w.Apply(cancelled, p, &bytes.Buffer{}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("cancelled before it began: %v, want Refused", err)
	}
	other := p
	other.File = "../" + p.File
	if err := s.w.Apply(context.Background(), other, &bytes.Buffer{}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a file outside the folder of plans: %v, want Refused", err)
	}
	s.w.config.Env["CONFFILE_CRASH"] = "update"
	err := s.w.Apply(context.Background(), p, &bytes.Buffer{})
	if penumbra.KindOf(err) != penumbra.Unavailable || strings.Contains(err.Error(), "goroutine") {
		t.Errorf("provider crash: %v, want Unavailable", err)
	}
}

func TestWriteAndRevertPatch(t *testing.T) {
	t.Parallel()
	s := &stack{t: t, dir: t.TempDir()}
	s.dir, _ = filepath.EvalSymlinks(s.dir)
	s.w = &Workspace{config: Config{Stack: "shop"}, dir: s.dir}
	s.write("a.tf", "a = 1\n")
	s.write("b.tf", "b = 1\n")
	if err := os.Chmod(s.path("a.tf"), 0o640); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	patch := penumbra.Patch{Stack: "shop", Files: append(s.patch("a.tf", "1", "2").Files, s.patch("b.tf", "1", "2").Files...)}

	s.write("b.tf", "b = 3\n")
	if err := s.w.WritePatch(ctx, patch); penumbra.KindOf(err) != penumbra.Stale || s.text("a.tf") != "a = 1\n" {
		t.Errorf("one file was edited: %v, want Stale and nothing written", err)
	}
	s.write("b.tf", "b = 1\n")
	if err := s.w.WritePatch(ctx, patch); err != nil || s.text("a.tf")+s.text("b.tf") != "a = 2\nb = 2\n" {
		t.Errorf("write: %v, %q", err, s.text("a.tf")+s.text("b.tf"))
	}
	if info, err := os.Stat(s.path("a.tf")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v %v, want 0640 kept", info.Mode(), err)
	}
	s.write("b.tf", "b = 1\n") // never written, as after a crash between two files
	if err := s.w.RevertPatch(ctx, patch); err != nil || s.text("a.tf")+s.text("b.tf") != "a = 1\nb = 1\n" {
		t.Errorf("revert: %v, %q", err, s.text("a.tf")+s.text("b.tf"))
	}
	if err := s.w.WritePatch(ctx, patch); err != nil {
		t.Fatal(err)
	}
	s.write("a.tf", "a = 9\n")
	if err := s.w.RevertPatch(ctx, patch); penumbra.KindOf(err) != penumbra.Stale || s.text("b.tf") != "b = 2\n" {
		t.Errorf("revert of a file edited since: %v, want Stale and nothing written", err)
	}
	outside := filepath.Join(t.TempDir(), "x.tf")
	if err := errors.Join(os.WriteFile(outside, nil, 0o600), os.Symlink(outside, s.path("link.tf"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x.tf", outside, "link.tf"} {
		err := s.w.WritePatch(ctx, penumbra.Patch{Files: []penumbra.FilePatch{{Path: name, Base: codepatch.HashText("")}}})
		if penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%s: %v, want Refused", name, err)
		}
	}
}

// fingerprint tells every file below a folder with its time and content.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		hash := ""
		if info.Mode().IsRegular() {
			if hash, err = codepatch.HashFile(path); err != nil {
				return err
			}
		}
		name, _ := filepath.Rel(dir, path)
		b.WriteString(name + " " + info.Mode().String() + " " + info.ModTime().String() + " " + hash + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReadWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	before := fingerprint(t, s.dir)
	s.read()
	s.plan(nil, cache)
	s.read()
	if after := fingerprint(t, s.dir); after != before {
		t.Errorf("reading changed the stack:\n%s\nwas\n%s", after, before)
	}
}

// remoteState is a server of the http backend that remembers what was asked.
type remoteState struct {
	mu      sync.Mutex
	state   []byte
	lock    string
	methods []string
}

func (r *remoteState) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.methods = append(r.methods, req.Method)
	switch req.Method {
	case http.MethodGet:
		if r.state == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = w.Write(r.state)
	case http.MethodPost:
		var body bytes.Buffer
		_, _ = body.ReadFrom(req.Body)
		r.state = body.Bytes()
	case "LOCK":
		if r.lock != "" {
			w.WriteHeader(http.StatusLocked)
			_, _ = w.Write([]byte(r.lock))
		}
	}
}

func (r *remoteState) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.methods
	r.methods = nil
	slices.Sort(out)
	return slices.Compact(out)
}

func TestRemoteStateIsOnlyRead(t *testing.T) {
	t.Parallel()
	remote := &remoteState{}
	server := httptest.NewServer(remote)
	t.Cleanup(server.Close)
	backend := "terraform {\n  backend \"http\" {\n    address = \"" + server.URL + "/state\"\n    lock_address = \"" + server.URL + "/state\"\n    unlock_address = \"" + server.URL + "/state\"\n  }\n}\n"
	s := newStack(t, map[string]string{"backend.tf": backend})
	if !slices.Contains(remote.asked(), "LOCK") {
		t.Fatal("the apply took no lock: the server would not notice one")
	}
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	before := fingerprint(t, s.dir)
	s.read()
	s.read()
	p := s.plan(nil, cache)
	patched := s.plan(s.patch("main.tf", "memory_mb       = 512", "memory_mb       = 700"), cache)
	if methods := remote.asked(); !slices.Equal(methods, []string{http.MethodGet}) {
		t.Errorf("reading and planning asked the backend to %v, want only GET", methods)
	}
	if after := fingerprint(t, s.dir); after != before {
		t.Errorf("reading changed the stack:\n%s\nwas\n%s", after, before)
	}

	remote.mu.Lock()
	remote.lock = `{"ID":"held-7","Operation":"OperationTypeApply","Who":"alice@build-7","Created":"2026-03-01T08:59:00Z"}`
	remote.mu.Unlock()
	s.read() // the lock keeps nobody from reading
	err := s.w.Apply(context.Background(), p, &bytes.Buffer{})
	// OpenTofu passes on who holds it, Terraform only the lock.
	if penumbra.KindOf(err) != penumbra.Locked || !strings.Contains(err.Error(), "locked under the lock held-7") && !strings.Contains(err.Error(), "locked by alice@build-7") {
		t.Errorf("apply to a locked state: %v, want Locked, with the holder's lock", err)
	}
	remote.mu.Lock()
	remote.lock = ""
	remote.mu.Unlock()
	if err := s.w.Apply(context.Background(), patched, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.text("etc/cache.conf"), "memory_mb = 700") {
		t.Error("a plan made with a patch was not applied to the remote state")
	}
}

// The data folder may lie beside the code: what is in it is no code, and a copy
// of the code to plan a patch in does not hold it.
func TestDataFolderInsideTheStack(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	data := s.path(".penumbra/stacks/shop")
	s.write(".penumbra/stacks/shop/stray.tf", "this is no code")
	var err error
	config := s.w.config
	config.DataDir = data
	if s.w, err = New(config); err != nil {
		t.Fatal(err)
	}
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	s.read()
	patch := s.patch("main.tf", "memory_mb       = 512", "memory_mb       = 640")
	if p := s.plan(patch, cache); !p.IsEmpty() {
		t.Errorf("the code follows the edit, and the plan has %+v", p.Changes)
	}
	dir, remove, err := s.w.code().Copy(patch, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	if _, err := os.Lstat(filepath.Join(dir, ".penumbra", "stacks", "shop")); !os.IsNotExist(err) {
		t.Errorf("the copy holds the data folder (%v)", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "main.tf")); err != nil {
		t.Error(err)
	}
}

// What reads and plans never has the credentials of what applies, and they are read
// anew each time.
func TestCredentialsForReadingAndForApplying(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	told := filepath.Join(dir, "told")
	wrapped := put("tool", "#!/bin/sh\necho \"$1 ${CLOUD_KEY-none} ${CLOUD_ADMIN-none}\" >>"+told+"\nexec "+s.w.binary+" \"$@\"\n", 0o700)
	config := s.w.config
	config.Binary = wrapped
	config.ReadEnv, config.ApplyEnv = put("read.env", "CLOUD_KEY=reader\n", 0o600), put("apply.env", "CLOUD_KEY=writer\nCLOUD_ADMIN=yes\n", 0o600)
	var err error
	if s.w, err = New(config); err != nil {
		t.Fatal(err)
	}
	s.edit("etc/cache.conf", "memory_mb = 512", "memory_mb = 640")
	if _, err := s.w.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := s.plan(nil, cache)
	put("apply.env", "CLOUD_KEY=\n", 0o644)
	if err := os.Chmod(config.ApplyEnv, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.w.Apply(t.Context(), p, io.Discard); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("credentials that all may read: %v", err)
	}
	put("apply.env", "CLOUD_KEY=renewed\nCLOUD_ADMIN=yes\n", 0o600)
	if err := os.Chmod(config.ApplyEnv, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.w.Apply(t.Context(), p, io.Discard); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	applies, others := 0, 0
	for line := range strings.Lines(string(data)) {
		verb, held, _ := strings.Cut(strings.TrimSpace(line), " ")
		want := "reader none"
		if verb == "apply" {
			applies, want = applies+1, "renewed yes"
		} else {
			others++
		}
		if held != want {
			t.Errorf("%s was started with %q, want %q", verb, held, want)
		}
	}
	if applies != 1 || others < 2 {
		t.Errorf("started %d times to apply and %d times to read and plan:\n%s", applies, others, data)
	}
}
