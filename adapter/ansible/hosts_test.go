package ansible

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Of a host by itself the same must be read as of all; of others nothing.
func TestReadHosts(t *testing.T) {
	t.Parallel()
	s := newStack(t, localHost+"h2 ansible_connection=local\n", `
  tasks:
  - {name: conf, copy: {content: "a\n", dest: "{{d}}/{{inventory_hostname}}.conf", mode: "0644"}}
`)
	s.write("h1.conf", "b\n", 0o600)
	s.write("h2.conf", "a\n", 0o644)
	hosts := func(names ...string) reading {
		t.Helper()
		list, err := s.w.ReadHosts(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		return index(t, list, s.target)
	}
	keys := func(r reading) string { return strings.Join(slices.Sorted(maps.Keys(r)), "; ") }
	// No host is known yet, so that all are read.
	all := hosts("h1")
	all.expect(t, "h1/file[D/h1.conf]", "mode", `"0644"`, `"0600"`)
	all.expect(t, "h2/file[D/h2.conf]", "mode", `"0644"`, `"0644"`)
	one := hosts("h1")
	one.expect(t, "h1/file[D/h1.conf]", "mode", `"0644"`, `"0600"`)
	if got, want := keys(one), "snapshot h1/file[D/h1.conf]; template h1/file[D/h1.conf]"; got != want {
		t.Errorf("of h1: %s, want %s", got, want)
	}
	for _, names := range [][]string{{"h1", "h2"}, {"h1:!h2"}} {
		if got := keys(hosts(names...)); got != keys(all) {
			t.Errorf("of %q: %s, want %s", names, got, keys(all))
		}
	}
}
