package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
)

// chosen says what a source is to read beside what the code and the configuration say.
type chosen string

func (c chosen) ReadDigest() (string, error) { return string(c), nil }

// TestDigestTellsNodesApart has two nodes configured: what would have them read differently
// tells them apart, and when or how often they read does not.
func TestDigestTellsNodesApart(t *testing.T) {
	key := penumbra.Key("0123456789abcdef")
	code := func(text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	digest := func(version, folder, stack, state string) string {
		t.Helper()
		c, err := configured(t, "stacks:\n  - {name: shop, dir: shop, "+stack+"}\n")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(folder, filepath.Join(c.Folder, "shop")); err != nil {
			t.Fatal(err)
		}
		s, ok := c.stack("shop")
		if !ok {
			t.Fatal("the stack is not found")
		}
		of, err := c.digest(s, chosen(state), key, version)
		if err != nil {
			t.Fatal(err)
		}
		return of
	}
	const plain = "parallelism: 3"
	same := digest("v1", code("a"), plain, "blue")
	for what, other := range map[string]string{
		"how often it is read": digest("v1", code("a"), plain+", every: 1h, gap: 2s, burst: 9", "blue"),
		"the kind in words":    digest("v1", code("a"), plain+", kind: tofu", "blue"),
		"another folder":       digest("v1", code("a"), plain, "blue"),
	} {
		if other != same {
			t.Errorf("%s tells nodes apart", what)
		}
	}
	for what, other := range map[string]string{
		"the code":     digest("v1", code("b"), plain, "blue"),
		"the version":  digest("v2", code("a"), plain, "blue"),
		"variables":    digest("v1", code("a"), plain+", var_files: [x.tfvars]", "blue"),
		"what is read": digest("v1", code("a"), plain, "green"),
		"the binary":   digest("v1", code("a"), plain+", binary: /opt/tofu", "blue"),
	} {
		if other == same {
			t.Errorf("%s does not tell nodes apart", what)
		}
	}
}

// TestFinderSaysWhyNot asks a node for stacks that it cannot read.
func TestFinderSaysWhyNot(t *testing.T) {
	masterKey(t)
	c, err := configured(t, "store: postgres://db/x\nnode: {name: b, address: 'http://127.0.0.1:1'}\nstacks:\n  - {name: gone, dir: gone}\n  - name: db\n    kind: servers\n    dir: .\n    servers: [{address: db1/postgresql, connection: 'postgres://db1/x'}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.DataDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	master, err := c.MasterKey()
	if err != nil {
		t.Fatal(err)
	}
	find, err := (&Nodes{c: c, master: master}).finder()
	if err != nil {
		t.Fatal(err)
	}
	for stack, want := range map[string]string{"other": "not in this node's penumbra.yaml", "gone": "gone", "db": "no source tofu"} {
		var source engine.Source
		source, _, err = find(stack, tofuStack)
		if source != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", stack, source, err, want)
		}
	}
}
