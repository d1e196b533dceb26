//go:build unix

package ansible

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// opening is a log that opens a gate as soon as it has a line with some text.
type opening struct {
	kept       strings.Builder
	text, gate string
}

func (o *opening) Write(p []byte) (int, error) {
	if o.gate != "" && strings.Contains(string(p), o.text) {
		if err := os.WriteFile(o.gate, []byte("opened\n"), 0o600); err != nil {
			return 0, err
		}
		o.gate = ""
	}
	return o.kept.Write(p)
}

// The log of a run comes while Ansible runs, redacted: the play waits until the
// line of its first task was written.
func TestApplyLogIsLive(t *testing.T) {
	t.Parallel()
	s := newCode(t, localHost, map[string]string{
		"site.yml": "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: said, debug: {msg: 'password=hunter2-hunter2'}}\n  - {name: conf, copy: {content: \"port 80\\n\", dest: D/web.conf}}\n  - {name: waits, shell: 'cat D/gate'}\n",
	})
	gate := filepath.Join(s.target, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	plan := s.plan(s.address("h1", "web.conf"), nil)
	log := &opening{text: "TASK [conf]", gate: gate}
	if err := s.w.Apply(context.Background(), plan, log); err != nil {
		t.Fatalf("%v\n%s", err, log.kept.String())
	}
	s.holds("web.conf", "port 80\n")
	if log.gate != "" || strings.Contains(log.kept.String(), "hunter2") || !strings.Contains(log.kept.String(), "PLAY RECAP") {
		t.Fatalf("the log:\n%s", log.kept.String())
	}
}

// What reads and plans never has the credentials of what runs a play for real.
func TestCredentialsForReadingAndForApplying(t *testing.T) {
	t.Parallel()
	s := newCode(t, localHost, map[string]string{
		"site.yml": "- hosts: h1\n  gather_facts: false\n  tasks:\n  - {name: conf, copy: {content: \"port 80\\n\", dest: D/web.conf}}\n",
	})
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	programs, err := filepath.Glob(filepath.Join(s.w.programs, "ansible*"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("%v %v", programs, err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		name := filepath.Base(program)
		text := "#!/bin/sh\nkind=other\n[ -z \"$PENUMBRA_STEPS\" ] || kind=apply\necho \"$kind ${HOST_KEY-none}\" >>" + told + "\nexec " + program + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"read.env": "HOST_KEY=reader\n", "apply.env": "HOST_KEY=writer\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.config.Binary, s.config.ReadEnv, s.config.ApplyEnv = bin, filepath.Join(dir, "read.env"), filepath.Join(dir, "apply.env")
	s.reopen()
	plan := s.plan(s.address("h1", "web.conf"), nil)
	if err := s.w.Apply(t.Context(), plan, io.Discard); err != nil {
		t.Fatal(err)
	}
	s.holds("web.conf", "port 80\n")
	data, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(data)) {
		seen[strings.TrimSpace(line)]++
	}
	if seen["apply writer"] != 1 || seen["other reader"] == 0 || len(seen) != 2 {
		t.Errorf("started with %v", seen)
	}
}
