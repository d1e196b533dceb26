package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShowHasNoSecret plants secrets in a configuration and looks for them in what
// is shown of it.
func TestShowHasNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "penumbra.yaml")
	text := `
confidence: 0.9
stacks:
  - name: lab
    kind: ansible
    dir: .
    playbook: site.yml
    extra_vars: ["db_password=planted-1"]
    every: 2m
    servers:
      - {address: db1/postgresql, connection: "host=db1 user=w password=planted-2"}
inputs:
  - {name: prom, kind: prometheus, url: "http://me:planted-3@127.0.0.1:9090", queries: [{name: up, expr: up}]}
`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(name)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range c.Show() {
		got[s.Key] = s.Value
		if strings.Contains(s.Value, "planted") {
			t.Errorf("%s shows %s", s.Key, s.Value)
		}
	}
	for key, want := range map[string]string{"confidence": "0.9", "stacks[0].name": "lab", "stacks[0].every": "2m0s", "stacks[0].servers[0].connection": "(set, not shown)", "inputs[0].queries[0].expr": "up", "listen": "127.0.0.1:7676"} {
		if got[key] != want {
			t.Errorf("%s is shown as %q, want %q", key, got[key], want)
		}
	}
}
