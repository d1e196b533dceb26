package ansible

import (
	"context"
	"regexp"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// ReadHosts is [Workspace.Read] of some hosts, by --limit. Where hosts were not in
// an earlier read, or have names that Ansible takes for patterns, it reads all.
//
// It is right only for a playbook whose hosts know nothing of each other: a task
// that uses the facts of another host finds none, and declares something else.
func (w *Workspace) ReadHosts(ctx context.Context, hosts []string) ([]penumbra.Observation, error) {
	known := map[string]bool{}
	w.mu.Lock()
	for address := range w.known {
		host, _, _ := strings.Cut(address.Local(), "/")
		known[host] = true
	}
	w.mu.Unlock()
	for _, host := range hosts {
		if !known[host] || !hostName.MatchString(host) {
			return w.Read(ctx)
		}
	}
	if len(hosts) == 0 {
		return w.Read(ctx)
	}
	return w.read(ctx, strings.Join(hosts, ","))
}

// hostName matches names that are no patterns of hosts.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
