package ansible

import (
	"context"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// The playbook with a guard changes nothing, and a run with the value that it refuses
// ends at it before anything is written.
func TestGuardByAnsible(t *testing.T) {
	t.Parallel()
	s := newCode(t, localHost, map[string]string{
		"site.yml": "- hosts: h1\n  gather_facts: false\n  vars:\n    workers: 4\n    level: info\n  tasks:\n" +
			"    # How much the service may take.\n    - name: workers\n      ini_file: {path: D/web.ini, section: web, option: workers, value: '{{ workers }}', mode: '0600'}\n      tags: [web]\n" +
			"    - {name: level, ini_file: {path: D/web.ini, section: web, option: level, value: 'info', mode: '0600'}, tags: [web]}\n",
	})
	s.write("web.ini", "[web]\nworkers = 4\nlevel = info\n", 0o600)
	address := s.address("h1", "web.ini")
	ctx := context.Background()
	bounds := []penumbra.Bound{{Path: "ini.web.workers", Is: penumbra.Unequal, Value: penumbra.String("16"), Message: "Guard d-7: it is to stay."}}
	patch, err := s.w.PatchGuard(ctx, address, bounds, nil)
	if err != nil || len(patch.Files) != 1 {
		t.Fatalf("%+v, %v", patch, err)
	}
	if plan := s.plan(address, &patch); !plan.IsEmpty() {
		t.Fatalf("with the guard the playbook changes something: %+v", plan.Changes)
	}
	with, err := s.w.PatchGuard(ctx, address, bounds, []penumbra.Setting{{Path: "ini.web.workers", Value: penumbra.String("16")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.Plan(ctx, []penumbra.Address{address}, &with); err == nil || !strings.Contains(err.Error(), "Guard d-7") {
		t.Fatalf("with 16 workers in a copy: %v", err)
	}
	added := patch.Files[0].After
	want := "    - name: \"Guard of workers\"\n      ansible.builtin.assert:\n        that:\n          - \"(workers) | string != '16'\"\n"
	if !strings.Contains(added, want) || !strings.Contains(added, "when: \"inventory_hostname in ['h1']\"") || !strings.Contains(added, "tags: [\"web\"]") ||
		strings.Index(added, "Guard of") > strings.Index(added, "# How much") {
		t.Fatalf("%s", added)
	}

	// For real: with the guard the play runs, and with the value it ends there.
	if err := s.w.WritePatch(ctx, patch); err != nil {
		t.Fatal(err)
	}
	again, err := s.w.PatchGuard(ctx, address, bounds, nil)
	if err != nil || len(again.Files) != 0 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	s.code("site.yml", strings.Replace(strings.Replace(added, "workers: 4", "workers: 16", 1), "D/", s.target+"/", -1))
	var said []string
	seen, err := s.w.Read(ctx)
	for _, o := range seen {
		said = append(said, o.NotChecked)
	}
	if err != nil || !strings.Contains(strings.Join(said, "\n"), "Guard d-7: it is to stay") {
		t.Errorf("with 16 workers: %q, %v", said, err)
	}
	s.holds("web.ini", "[web]\nworkers = 4\nlevel = info\n")

	s.code("site.yml", added)

	// What stands in the task itself has no variable to assert.
	if _, err := s.w.PatchGuard(ctx, address, []penumbra.Bound{{Path: "ini.web.level", Is: penumbra.Unequal, Value: penumbra.String("debug")}}, nil); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a literal: %v", err)
	}
}
