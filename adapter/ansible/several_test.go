//go:build unix

package ansible

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// Resources on several hosts come back in one run that is limited to these, and its way
// back, prepared with it, puts all of them back, handlers included; it is bound to what
// each of the hosts was found with.
func TestPlanSeveral(t *testing.T) {
	t.Parallel()
	inventory := ""
	for _, host := range []string{"h1", "h2", "h3"} {
		inventory += host + " ansible_connection=local\n"
	}
	s := newCode(t, inventory, map[string]string{
		"site.yml": "- hosts: all\n  gather_facts: false\n  tasks:\n" +
			"  - {name: conf, template: {src: web.conf.j2, dest: 'D/{{ inventory_hostname }}.conf', mode: '0640'}, notify: Reload web, tags: [web, conf]}\n" +
			"  - {name: other, copy: {content: o, dest: 'D/{{ inventory_hostname }}.other'}, tags: web}\n" +
			"  handlers:\n  - {name: Reload web, shell: 'echo {{ inventory_hostname }} >>D/{{ inventory_hostname }}.reloads'}\n",
		"web.conf.j2": "port 80\n",
	})
	for _, host := range []string{"h1", "h2", "h3"} {
		s.write(host+".conf", "port 8080 # "+host+"\n", 0o600)
	}
	both := []penumbra.Address{s.address("h1", "h1.conf"), s.address("h2", "h2.conf")}
	ctx := t.Context()
	if _, err := s.w.Plan(ctx, append(slices.Clone(both), s.address("h1", "none")), nil); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("one of them is nothing: %v", err)
	}
	p, err := s.w.Plan(ctx, both, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"execute h1/shell[Reload web]", "execute h2/shell[Reload web]",
		"update h1/file[D/h1.conf] content mode", "update h2/file[D/h2.conf] content mode",
	}
	if got := actions(p, s.target); !slices.Equal(got, want) {
		t.Errorf("the plan: %q, want %q", got, want)
	}
	if p.Command != "ansible-playbook site.yml -i hosts --limit h1,h2 --tags conf" || !slices.Equal(p.Targets, both) || len(p.Notes) > 0 {
		t.Errorf("by hand: %q, targets %q, notes %q", p.Command, p.Targets, p.Notes)
	}
	if p.Back == nil || p.Back.Checked == "" || len(p.Back.Lost) > 0 {
		t.Fatalf("the way back: %+v", p.Back)
	}

	s.write("h2.conf", "port 9090\n", 0o600)
	if again, err := s.w.Replan(ctx, p, nil); err != nil || again.Evidence == p.Evidence {
		t.Errorf("with the second host moved: %v, the same evidence %t", err, again.Evidence == p.Evidence)
	}
	s.write("h2.conf", "port 8080 # h2\n", 0o600)
	if again, err := s.w.Replan(ctx, p, nil); err != nil || again.Evidence != p.Evidence {
		t.Errorf("planned again: %v, the same evidence %t", err, again.Evidence == p.Evidence)
	}

	s.apply(p)
	for host, holds := range map[string]string{"h1": "port 80\n", "h2": "port 80\n", "h3": "port 8080 # h3\n"} {
		s.holds(host+".conf", holds)
		s.holds(host+".other", "")
	}
	s.reopen()
	back, err := s.w.PlanBack(ctx, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(back)
	for _, host := range []string{"h1", "h2"} {
		s.holds(host+".conf", "port 8080 # "+host+"\n")
		s.holds(host+".reloads", host+"\n"+host+"\n")
		if info, err := os.Stat(filepath.Join(s.target, host+".conf")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the mode of before on %s: %v, %v", host, info.Mode(), err)
		}
	}
	s.holds("h3.reloads", "")
}

// A host that cannot be reached is no part of any plan: what would be done on it is not
// known.
func TestPlanSeveralWithoutOne(t *testing.T) {
	t.Parallel()
	s := newCode(t, localHost+"h2 ansible_connection=local\n", map[string]string{
		"site.yml": "- hosts: all\n  gather_facts: false\n  tasks:\n  - {name: conf, copy: {content: \"c\\n\", dest: 'D/{{ inventory_hostname }}.conf'}}\n",
	})
	both := []penumbra.Address{s.address("h1", "h1.conf"), s.address("h2", "h2.conf")}
	p, err := s.w.Plan(t.Context(), both, nil)
	if err != nil || !strings.Contains(strings.Join(p.Notes, " "), "the whole playbook runs on h1,h2") {
		t.Fatalf("without tags: %v, %q", err, p.Notes)
	}
	s.code("hosts", localHost+strings.Replace(deadHost, "dead", "h2", 1))
	var log bytes.Buffer
	if _, err := s.w.Plan(t.Context(), both, nil); err == nil {
		t.Error("planned with a host that is not there")
	}
	if err := s.w.Apply(t.Context(), p, &log); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("applied: %v\n%s", err, &log)
	}
	s.holds("h1.conf", "")
}

// Servers whose setting left alike come back in one run, and their way back is one play
// for all of them.
func TestPlanSeveralServers(t *testing.T) {
	t.Parallel()
	needAnsible(t)
	const servers = 2
	inventory := ""
	sql := make([]func(string) string, servers)
	var all []penumbra.Address
	for i := range servers {
		var socket string
		socket, sql[i] = startPostgres(t)
		inventory += fmt.Sprintf("db%d ansible_connection=local socket=%s\n", i+1, socket)
		all = append(all, penumbra.Address(fmt.Sprintf("lab/db%d/postgresql", i+1)))
	}
	s := newCode(t, inventory, map[string]string{
		"site.yml": "- hosts: all\n  gather_facts: false\n  tasks:\n" +
			"  - {name: memory, community.postgresql.postgresql_set: {name: work_mem, value: '{{ memory }}', login_unix_socket: '{{ socket }}', login_user: postgres, db: postgres}, tags: memory}\n",
		"group_vars/all.yml": "memory: 8MB\n",
	})
	current := func(want string) {
		t.Helper()
		for i, ask := range sql {
			is := ""
			for range 1000 { // a reload is asked for, and comes when the server gets round to it
				if is = ask("show work_mem"); is == want {
					break
				}
			}
			if is != want {
				t.Errorf("work_mem of server %d is %s, want %s", i+1, is, want)
			}
		}
	}
	for _, do := range sql {
		do("alter system set work_mem = '64kB'")
		do("select pg_reload_conf()")
	}
	current("64kB")
	p, err := s.w.Plan(t.Context(), all, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Command != "ansible-playbook site.yml -i hosts --limit db1,db2 --tags memory" || len(p.Changes) != servers {
		t.Errorf("the plan: %q, %+v", p.Command, p.Changes)
	}
	if b := p.Back; b == nil || b.Checked == "" || len(b.Lost) > 0 || !strings.Contains(b.Command, "hosts: [db1, db2]") || strings.Count(b.Command, `value: "64kB"`) != 1 {
		t.Fatalf("the way back: %+v", p.Back)
	}
	current("64kB")
	s.apply(p)
	current("8MB")
	back, err := s.w.PlanBack(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(back)
	current("64kB")
}
