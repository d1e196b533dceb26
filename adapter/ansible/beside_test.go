package ansible

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// A role and a collection that are installed elsewhere belong to the code that was
// approved: one that was changed since is neither planned again nor run.
func TestPlanIsBoundToRolesAndCollectionsElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(elsewhere, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const module = "collections/ansible_collections/acme/site/plugins/modules/note.py"
	put(module, "#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\nAnsibleModule(argument_spec={}, supports_check_mode=True).exit_json(changed=False)\n")
	s := newCode(t, localHost, map[string]string{"site.yml": "- hosts: h1\n  gather_facts: false\n  roles: [web]\n"})
	put("roles/web/tasks/main.yml", "- acme.site.note:\n- {name: conf, copy: {content: \"port 80\\n\", dest: "+s.target+"/web.conf}}\n")
	s.code("ansible.cfg", "[defaults]\nroles_path = "+elsewhere+"/roles\ncollections_paths = "+elsewhere+"/collections\n")
	ctx, address := context.Background(), s.address("h1", "web.conf")
	for _, changed := range []string{"roles/web/tasks/main.yml", module} {
		plan := s.plan(address, nil)
		path := filepath.Join(elsewhere, changed)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put(changed, string(before)+"# changed\n")
		_, again := s.w.Replan(ctx, plan, nil)
		apply := s.w.Apply(ctx, plan, &bytes.Buffer{})
		for what, err := range map[string]error{"planned again": again, "run": apply} {
			if penumbra.KindOf(err) != penumbra.Stale || !strings.Contains(err.Error(), elsewhere) {
				t.Errorf("with another %s it is %s: %v", changed, what, err)
			}
		}
		s.holds("web.conf", "")
		put(changed, string(before))
	}
	s.apply(s.plan(address, nil))
	s.holds("web.conf", "port 80\n")
}
