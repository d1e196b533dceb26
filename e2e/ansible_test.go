//go:build unix

package e2e

// This file covers what is foreseen of a setting that Ansible manages: a guard in
// the playbook that the real Ansible runs into, and its way back. More of Ansible is
// in e2e/lab, on real servers.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const play = `- hosts: h1
  gather_facts: false
  tasks:
    # How many requests are served at a time.
    - name: Set the workers
      community.general.ini_file:
        path: "{{ target }}/web.ini"
        section: web
        option: workers
        value: "{{ workers }}"
        mode: "0600"
      tags: [web]
`

// newGuarded makes a site on a playbook that manages a file of this machine, which
// is as the playbook says.
func newGuarded(t *testing.T) (s *site, file penumbra.Address) {
	t.Helper()
	t.Parallel()
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("ansible-playbook is not on the PATH")
		}
		t.Skip("ansible-playbook is not on the PATH")
	}
	root := t.TempDir()
	s = &site{t: t, root: root, dir: filepath.Join(root, "shop"), env: environment(t.TempDir())}
	t.Cleanup(s.reap)
	s.make("shop/site.yml", play)
	s.make("shop/hosts", "h1 ansible_connection=local\n")
	s.make("shop/group_vars/all.yml", "target: "+s.path("host")+"\n# Four cores.\nworkers: 4\n")
	s.make("host/web.ini", "[web]\nworkers = 4\n")
	if err := os.Chmod(s.path("host/web.ini"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.write("penumbra.yaml", "schedule: {every: 1h, gap: 20ms, burst: 1000}\nstacks:\n  - {name: shop, kind: ansible, dir: shop, playbook: site.yml, inventory: [hosts], gap: 20ms}\n")
	return s, penumbra.NewAddress("shop", "h1/file["+s.path("host/web.ini")+"]")
}

// ansible runs the playbook of a folder for real.
func (s *site) ansible(dir string, args ...string) result {
	s.t.Helper()
	return s.run("ansible-playbook", s.path(dir), nil, append([]string{"-i", "hosts", "site.yml"}, args...)...)
}

func TestGuardOfImpendingDriftByAnsible(t *testing.T) {
	const path = "ini.web.workers"
	s, file := newGuarded(t)
	// Every day bob sets it to 16, and somebody takes that back.
	var history strings.Builder
	snapshot := func(at time.Time, workers int) {
		fmt.Fprintf(&history, `{"kind":"snapshot","time":%q,"resource":%q,"type":"ansible_file","settings":{%q:"%d"},"source":"ansible"}`+"\n", at.Format(time.RFC3339), file, path, workers)
	}
	const days = 10
	from := time.Now().UTC().Add(-days*24*time.Hour - time.Hour).Truncate(time.Hour)
	fmt.Fprintf(&history, `{"kind":"template","time":%q,"resource":%q,"type":"ansible_file","settings":{%q:"4"},"source":"ansible"}`+"\n", from.Format(time.RFC3339), file, path)
	for day := range days {
		at := from.Add(time.Duration(day) * 24 * time.Hour)
		for hour := range 24 {
			if hour == 9 {
				fmt.Fprintf(&history, `{"kind":"event","time":%q,"resource":%q,"type":"ansible_file","actor":"bob","actor_kind":"user","action":"edit","settings":{%q:"16"},"source":"audit","id":"e-%d"}`+"\n",
					at.Add(8*time.Hour+30*time.Minute).Format(time.RFC3339), file, path, day)
			}
			workers := 4
			if hour >= 9 && hour < 12 {
				workers = 16
			}
			snapshot(at.Add(time.Duration(hour)*time.Hour+time.Minute), workers)
		}
	}
	s.run(program, s.root, strings.NewReader(history.String()), "ingest").ends(0)
	s.watching()
	var found penumbra.Drift
	s.until("an impending drift", func() bool {
		for _, x := range s.drifts() {
			if x.Resource == file && x.Verdict == penumbra.Impending {
				found = x
			}
		}
		return found.ID != ""
	})
	p := s.proposal(found.ID, penumbra.Guard)
	if len(p.Bounds) != 1 || p.Bounds[0].String() != path+` is not "16"` || p.Patch == nil || len(p.Patch.Files) != 1 || p.Patch.Files[0].Path != "site.yml" {
		t.Fatalf("%+v\n%s", p.Bounds, p.Script)
	}
	s.holds("shop/site.yml", "- name: Set the workers") // proposing changes nothing
	if s.read("shop/site.yml") != play {
		t.Fatal("the playbook was changed before anybody approved it")
	}
	run := s.approve(p)
	if !strings.Contains(run.Outcome, "verified") {
		t.Errorf("the run: %s", run.Outcome)
	}
	guarded := s.read("shop/site.yml")
	if guarded != p.Patch.Files[0].After || !strings.Contains(guarded, "ansible.builtin.assert:") || strings.Index(guarded, "assert") > strings.Index(guarded, "ini_file") {
		t.Fatalf("the playbook:\n%s", guarded)
	}

	// The value of today passes and changes nothing, another is set, and the one that
	// was foreseen ends the run before anything is written.
	if err := os.CopyFS(s.path("copy"), os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	vars := s.read("shop/group_vars/all.yml")
	s.ansible("copy").ends(0).tells("changed=0", "failed=0")
	s.write("copy/group_vars/all.yml", strings.Replace(vars, "workers: 4", "workers: 5", 1))
	s.ansible("copy", "--check").ends(0).tells("changed=1", "failed=0")
	s.write("copy/group_vars/all.yml", strings.Replace(vars, "workers: 4", "workers: 16", 1))
	for _, args := range [][]string{{"--tags", "web"}, {"--check"}} {
		s.ansible("copy", args...).ends(2).tells("Guard "+found.ID, "changed=0", "failed=1")
	}
	if got := s.read("host/web.ini"); got != "[web]\nworkers = 4\n" {
		t.Fatalf("the file:\n%s", got)
	}
	s.penumbra("proposals", found.ID).ends(0).tells("not proposed: guard: the code refuses it already")

	s.rollback(run.ID)
	if got := s.read("shop/site.yml"); got != play {
		t.Fatalf("the playbook was not put back byte by byte:\n%s", got)
	}
	if back := s.runOf(run.ID); back.State != penumbra.RolledBack {
		t.Errorf("the run is %s", back.State)
	}
	if err := os.CopyFS(s.path("again"), os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	s.write("again/group_vars/all.yml", strings.Replace(vars, "workers: 4", "workers: 16", 1))
	s.ansible("again", "--check").ends(0).tells("changed=1", "failed=0")
}
