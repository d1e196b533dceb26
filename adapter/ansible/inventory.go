package ansible

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// inventory is which hosts and groups there are.
type inventory struct {
	names  map[string]string // the inventory's name of each ansible_host
	groups map[string]group
}

type group struct {
	Hosts    []string `json:"hosts"`
	Children []string `json:"children"`
}

func (w *Workspace) inventory(ctx context.Context) (*inventory, error) {
	args := []string{"--list"}
	for _, i := range w.config.Inventory {
		args = append(args, "-i", i)
	}
	if w.config.VaultPasswordFile != "" {
		args = append(args, "--vault-password-file", w.config.VaultPasswordFile)
	}
	inv := &inventory{names: map[string]string{}, groups: map[string]group{}}
	var meta struct {
		Vars map[string]map[string]any `json:"hostvars"`
	}
	hosts := 0
	err := w.run(ctx, w.dir, "ansible-inventory", args, nil, func(r io.Reader) error {
		var all map[string]json.RawMessage
		if err := json.NewDecoder(io.LimitReader(r, MaxOutput)).Decode(&all); err != nil {
			return err
		}
		for name, raw := range all {
			if name == "_meta" {
				if err := json.Unmarshal(raw, &meta); err != nil {
					return err
				}
				continue
			}
			var g group
			if json.Unmarshal(raw, &g) == nil {
				inv.groups[name] = g
				hosts += len(g.Hosts)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if hosts == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("stack %s: the inventory %s has no hosts", w.config.Stack, strings.Join(w.config.Inventory, " ")), Remedy: "look at `ansible-inventory --list`"}
	}
	for host, vars := range meta.Vars {
		address := text(vars["ansible_host"])
		if _, shared := inv.names[address]; shared {
			host = "" // the address does not tell which of them it is
		}
		if address != "" {
			inv.names[address] = host
		}
	}
	return inv, nil
}

// members returns the hosts of a group and of those below it.
func (inv *inventory) members(name string) []string {
	found := map[string]bool{}
	inv.walk(name, 0, func(g string, _ int) {
		for _, h := range inv.groups[g].Hosts {
			found[h] = true
		}
	})
	return slices.Sorted(maps.Keys(found))
}

func (inv *inventory) walk(name string, depth int, each func(group string, depth int)) {
	if depth > len(inv.groups) {
		return
	}
	each(name, depth)
	for _, child := range inv.groups[name].Children {
		inv.walk(child, depth+1, each)
	}
}

// of returns the groups of a host without "all", the one whose variables win
// first: the deeper, then the later by name, which is Ansible's order. An
// ansible_group_priority is not known here; the check of a patch would show it.
func (inv *inventory) of(host string) []string {
	depth := map[string]int{}
	inv.walk("all", 0, func(g string, d int) {
		if g != "all" && slices.Contains(inv.members(g), host) {
			depth[g] = max(depth[g], d)
		}
	})
	return slices.SortedFunc(maps.Keys(depth), func(a, b string) int {
		return cmp.Or(cmp.Compare(depth[b], depth[a]), cmp.Compare(b, a))
	})
}
