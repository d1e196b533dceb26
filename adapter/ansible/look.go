package ansible

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// secondLook reads mode, owner, group and digest of each file that the tasks
// name, because a diff of content hides the rest. If it fails, what it would
// have told stays unseen.
func (w *Workspace) secondLook(ctx context.Context, dir, scratch string, b *book) {
	paths := map[string][]look{}
	items := map[[2]string]*item{}
	for _, it := range b.items {
		if it.path != "" && it.notChecked == "" && b.lost[it.host] == "" {
			follow := it.pairs["state"].want.Text() != "link"
			paths[it.host] = append(paths[it.host], look{it.path, follow, "sha256"})
			if it.sameContent && len(it.found) == sha1Length {
				paths[it.host] = append(paths[it.host], look{it.path, follow, "sha1"})
			}
			items[[2]string{it.host, it.path}] = it
		}
	}
	if len(paths) == 0 {
		return
	}
	play := filepath.Join(scratch, "look.yml")
	if os.WriteFile(play, lookPlay(paths, w.config.Become), 0o600) != nil {
		return
	}
	limit := w.config.Limit
	if len(paths) <= fewHosts {
		limit = strings.Join(slices.Sorted(maps.Keys(paths)), ",")
	}
	args := append([]string{play, "--check"}, w.hostArgs(limit)...)
	_ = w.run(ctx, dir, "ansible-playbook", args, []string{"ANSIBLE_CALLBACKS_ENABLED="}, func(r io.Reader) error {
		_, err := readOutput(r, func(t *task) {
			for host, r := range t.Hosts {
				for _, each := range r.Results {
					if each == nil {
						continue
					}
					item, _ := each.Item.(map[string]any)
					if it := items[[2]string{host, text(item["path"])}]; it != nil && each.Stat != nil && !each.Failed {
						if text(item["algorithm"]) == "sha1" {
							b.verify(it, each.Stat)
						} else {
							b.look(it, each.Stat)
						}
					}
				}
			}
		})
		return err
	})
}

// fewHosts is how many may be named on a command line.
const fewHosts = 200

// sha1Length is that of a digest in hexadecimal.
const sha1Length = 40

// look is a file to look at: through a link, unless the link is what is declared.
type look struct {
	path      string
	follow    bool
	algorithm string // of the digest
}

// lookPlay writes the play of the second look. JSON's strings are YAML's, and
// !unsafe keeps Ansible from evaluating what stands in a path.
func lookPlay(paths map[string][]look, become bool) []byte {
	var out bytes.Buffer
	quote := func(s string) string {
		q, _ := json.Marshal(s)
		return string(q)
	}
	fmt.Fprintf(&out, "- hosts: all\n  gather_facts: false\n  become: %t\n  vars:\n    penumbra_paths:\n", become)
	for host, list := range paths {
		fmt.Fprintf(&out, "      %s:\n", quote(host))
		for _, p := range list {
			fmt.Fprintf(&out, "      - {path: !unsafe %s, follow: %t, algorithm: %s}\n", quote(p.path), p.follow, p.algorithm)
		}
	}
	out.WriteString(`  tasks:
  - ansible.builtin.stat:
      path: "{{ item.path }}"
      follow: "{{ item.follow }}"
      checksum_algorithm: "{{ item.algorithm }}"
      get_mime: false
      get_attributes: false
    loop: "{{ penumbra_paths[inventory_hostname] | default([]) }}"
    ignore_errors: true
`)
	return out.Bytes()
}
