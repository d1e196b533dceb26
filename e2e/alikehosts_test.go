//go:build unix

package e2e

// This file covers several hosts that left the code alike, through the real
// ansible-playbook: one proposal brings all of them back in one run, and one way back
// takes them where they were.

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// newWebServers makes a site whose stack is a playbook that was run: three web servers,
// which are files below hosts, each with a file that its handler leaves.
func newWebServers(t *testing.T) *site {
	t.Helper()
	t.Parallel()
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip("ansible-playbook is needed: ", err)
	}
	root := t.TempDir()
	s := &site{t: t, root: root, dir: filepath.Join(root, "shop"), env: environment(t.TempDir())}
	s.slow = 10 * time.Minute // Ansible is started a dozen times for all proposals
	t.Cleanup(s.reap)
	for _, dir := range []string{"shop/group_vars", "hosts"} {
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("shop/hosts", "[web]\nweb1\nweb2\nweb3\n\n[all:vars]\nansible_connection=local\n")
	s.write("shop/group_vars/web.yml", "workers: 4 # for all\n")
	s.write("shop/site.yml", strings.ReplaceAll(`- hosts: web
  gather_facts: false
  tasks:
    - name: Workers
      community.general.ini_file:
        path: "D/{{ inventory_hostname }}.ini"
        section: web
        option: workers
        value: "{{ workers }}"
        mode: "0644"
      notify: Reload
      tags: web
  handlers:
    - name: Reload
      ansible.builtin.shell: "echo reloaded >>D/{{ inventory_hostname }}.log"
`, "D/", s.path("hosts")+"/"))
	s.write("penumbra.yaml", "schedule: {every: 1h, gap: 20ms, burst: 1000}\nstacks:\n  - {name: shop, kind: ansible, dir: shop, playbook: site.yml, inventory: [hosts], watch: [hosts], gap: 20ms, burst: 1000}\n")
	s.run("ansible-playbook", s.dir, nil, "site.yml", "-i", "hosts").ends(0)
	return s
}

func (s *site) workers(host, want string) {
	s.t.Helper()
	s.holds("hosts/"+host+".ini", "workers = "+want)
}

// reloads counts how often the handler of a host ran.
func (s *site) reloads(host string) int {
	s.t.Helper()
	return strings.Count(s.read("hosts/"+host+".log"), "reloaded\n")
}

// left are the drifts that are there. What two of three have done is foreseen of the third.
func (s *site) left() []penumbra.Drift {
	s.t.Helper()
	return slices.DeleteFunc(s.drifts(), func(d penumbra.Drift) bool { return !d.Verdict.IsDrift() })
}

func TestRevertAlikeHosts(t *testing.T) {
	s := newWebServers(t)
	for _, host := range []string{"web1", "web2"} {
		s.edit("hosts/"+host+".ini", "workers = 4", "workers = 16")
	}
	s.watching()
	s.until("both have drifted", func() bool { return len(s.left()) == 2 })
	first := "shop/web1/file[" + s.path("hosts/web1.ini") + "]"
	found := s.drift(first, "ini.web.workers")
	third := s.files(s.path("hosts"))[s.path("hosts/web3.ini")]
	list := s.proposals(found.ID)
	i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return p.Kind == penumbra.Revert && len(p.Also) == 1 })
	if i < 0 {
		t.Fatalf("no revert of both: %+v", list)
	}
	p := list[i]
	if !strings.Contains(p.Script, "ansible-playbook site.yml -i hosts --limit web1,web2 --tags web\n") || !strings.Contains(p.Title, "all 2 resources") ||
		p.Plan.Back == nil || p.Plan.Back.Checked == "" || len(p.Plan.Back.Lost) > 0 {
		t.Errorf("the proposal: %s\n%s\n%+v", p.Title, p.Script, p.Plan.Back)
	}

	run := s.approve(p)
	for _, host := range []string{"web1", "web2"} {
		s.workers(host, "4")
		if n := s.reloads(host); n != 2 {
			t.Errorf("%s was reloaded %d times, want 2", host, n)
		}
	}
	if open := s.left(); len(open) != 0 {
		t.Fatalf("still open: %+v", open)
	}
	if all := s.runs(); !slices.ContainsFunc(all, func(r penumbra.Run) bool { return r.ID == run.ID && len(r.Before) == 2 }) {
		t.Errorf("the run does not say what was there before: %+v", all)
	}

	back := s.rollback(run.ID)
	if back.State != penumbra.Done {
		t.Fatalf("the way back ended %s: %s\n%s", back.State, back.Outcome, back.Log)
	}
	for _, host := range []string{"web1", "web2"} {
		s.workers(host, "16")
		if n := s.reloads(host); n != 3 {
			t.Errorf("%s was reloaded %d times, want 3", host, n)
		}
	}
	s.until("both have drifted again", func() bool { return len(s.left()) == 2 })
	if now := s.files(s.path("hosts"))[s.path("hosts/web3.ini")]; now != third || s.reloads("web3") != 1 {
		t.Errorf("the third server was touched: %s, was %s", now, third)
	}
}
