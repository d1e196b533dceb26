//go:build unix

package wire

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// masterKey makes a master key, and gives it to all nodes.
func masterKey(t *testing.T) string {
	t.Helper()
	key, err := atrest.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PENUMBRA_MASTER_KEY", key)
	return key
}

// TestNodesAreConfiguredWhole holds what has to be there for a node.
func TestNodesAreConfiguredWhole(t *testing.T) {
	key := masterKey(t)
	const store = "store: postgres://db/x\n"
	for text, want := range map[string]string{
		store + "node: {name: a, address: 'http://127.0.0.1:1'}":                             "",
		store + "node: {address: 'https://a.internal:7676'}":                                 "",
		store + "node: {name: a, address: 'http://a.internal:1'}\ntls: {behind_proxy: true}": "",
		store + "node: {name: a}":                                                 "a name and no address",
		store + "node: {name: 'a b', address: 'http://127.0.0.1:1'}":              "node.name",
		store + "node: {name: a, address: 'a.internal:7676'}":                     "not the URL of a daemon",
		store + "node: {name: a, address: 'https://a.internal/x'}":                "not the URL of a daemon",
		store + "node: {name: a, address: 'http://a.internal:1'}":                 "without TLS",
		"node: {name: a, address: 'http://127.0.0.1:1'}":                          "a file of this machine",
		store + "node: {name: a, address: 'http://127.0.0.1:1'}\n" + certificates: "tls.clients",
		store + "node: {name: a, address: 'http://127.0.0.1:1', leader: yes}":     "node.leader",
		store + "node: {name: a, address: 'http://127.0.0.1:1', reads: 8}":        "",
		store + "node: {name: a, address: 'http://127.0.0.1:1', reads: -1}":       "node.reads",
		store + "node: {name: a, address: 'http://127.0.0.1:1', reads: 1000}":     "node.reads",
	} {
		t.Setenv("PENUMBRA_MASTER_KEY", key)
		_, err := configured(t, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if want != "" {
			continue
		}
		t.Setenv("PENUMBRA_MASTER_KEY", "")
		if _, err := configured(t, text); err == nil || !strings.Contains(err.Error(), "without a master key") {
			t.Errorf("%s, and no master key: %v", text, err)
		}
	}
}

const certificates = "tls: {cert: a, key: b, client_ca: c, clients: [{name: x, subject: y, kind: service, grants: [{role: viewer}]}]}"

// forgetful is a store of proposals that keeps none.
type forgetful struct{ engine.Store }

func (forgetful) SaveProposals(context.Context, []penumbra.Proposal) error { return nil }

// TestNodesShareKeysAndPlans has one node make the keys and a plan, and others get them;
// one that has keys of its own is refused, and keeps them.
func TestNodesShareKeysAndPlans(t *testing.T) {
	url := databaseOf(t)
	masterKey(t)
	node := func(name string) (*Config, *Nodes, error) {
		c, err := configured(t, fmt.Sprintf("store: %s\nnode: {name: %s, address: 'http://127.0.0.1:1'}\n", url, name))
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.Join(t.Context(), Options{})
		if err == nil {
			t.Cleanup(func() { n.Close() })
		}
		return c, n, err
	}
	in := func(c *Config, path string) string {
		text, err := os.ReadFile(filepath.Join(c.DataDir(), path))
		if err != nil {
			return ""
		}
		return string(text)
	}

	a, first, err := node("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := a.Keyring(Options{}.Clock())
	if err != nil {
		t.Fatal(err)
	}
	folder := savedplan.Folder{Stack: "shop", Data: filepath.Join(a.DataDir(), plansOf, "shop"), Now: Options{}.Clock(), Cipher: keys}
	file, err := folder.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("the plan"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(file+".back", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(file+".back", "1"), []byte("as it was, not yet encrypted"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := folder.Lock(file); err != nil {
		t.Fatal(err)
	}
	sharer := &planSharer{Store: forgetful{}, store: first.store, master: first.master, dir: a.DataDir(), sent: map[string]time.Time{}}
	plan := &penumbra.Plan{Stack: "shop", File: filepath.Base(file)}
	for range 2 { // once shared it is not sent again
		if err := sharer.SaveProposals(t.Context(), []penumbra.Proposal{{ID: "p-1", Plan: plan}, {ID: "p-2"}, {ID: "p-3", Plan: &penumbra.Plan{Stack: "shop", File: "../token"}}}); err != nil {
			t.Fatal(err)
		}
	}
	var count int
	err = first.store.Files(t.Context(), func(path string, body []byte, _ time.Time) error {
		count++
		for _, secret := range []string{in(a, path), "the plan", "as it was"} {
			if secret == "" || bytes.Contains(body, []byte(secret)) {
				t.Errorf("%s lies in the database as it is", path)
			}
		}
		return nil
	})
	if err != nil || count != len(sharedKeys)+2 {
		t.Errorf("%d files are shared, %v", count, err)
	}

	b, _, err := node("b")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(sharedKeys[:], "stacks/shop/plans/"+plan.File, "stacks/shop/plans/"+plan.File+".back/1") {
		if text := in(b, path); text == "" || text != in(a, path) {
			t.Errorf("b has %q as %s, and a %q", text, path, in(a, path))
		}
	}
	theirs, err := b.Keyring(Options{}.Clock())
	if err != nil {
		t.Fatal(err)
	}
	data, err := savedplan.Folder{Stack: "shop", Data: filepath.Join(b.DataDir(), plansOf, "shop"), Cipher: theirs}.HashFile(filepath.Join(b.DataDir(), "stacks/shop/plans", plan.File))
	if want, _ := folder.HashFile(file); err != nil || data != want {
		t.Errorf("what b reads of the plan: %s, %v; want %s", data, err, want)
	}

	c, err := configured(t, fmt.Sprintf("store: %s\nnode: {name: c, address: 'http://127.0.0.1:1'}\n", url))
	if err != nil {
		t.Fatal(err)
	}
	own, err := SecretFile(c.DataDir(), sealingFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Join(t.Context(), Options{}); penumbra.KindOf(err) != penumbra.Refused || strings.TrimSpace(in(c, sealingFile)) != own {
		t.Errorf("a node with another key: %v, and its key is %q", err, in(c, sealingFile))
	}
	masterKey(t) // another one
	if _, _, err := node("d"); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "master key") {
		t.Errorf("a node with another master key: %v", err)
	}
}

// TestFirstNodeHasTheKeys lets nobody begin who would make new keys for what is stored
// under old ones.
func TestFirstNodeHasTheKeys(t *testing.T) {
	url := databaseOf(t)
	masterKey(t)
	single, err := configured(t, "store: "+url)
	if err != nil {
		t.Fatal(err)
	}
	loop, err := Open(t.Context(), single, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := loop.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	begin := func(data string) error {
		text := fmt.Sprintf("store: %s\nnode: {name: a, address: 'http://127.0.0.1:1'}\n", url)
		if data != "" {
			text += "data: " + data + "\n"
		}
		c, err := configured(t, text)
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.Join(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		return n.Ready(t.Context())
	}
	if err := begin(""); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("a node without the keys begins: %v", err)
	}
	if err := begin(single.DataDir()); err != nil {
		t.Errorf("the node that has the keys: %v", err)
	}
	if err := begin(""); err != nil {
		t.Errorf("another, once they are shared: %v", err)
	}
}
