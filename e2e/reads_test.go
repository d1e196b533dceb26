//go:build unix

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra/internal/pgtest"
)

// This covers the reading of several stacks by several nodes: those that stand by run the
// tool too, what one of them finds becomes a drift, and the others go on when one is killed.

// readings is how often each node has read well, as the one that leads counts.
func (n *node) readings() map[string]int { n.t.Helper(); return n.counts("readings", "ok") }

// counts is how often what each node was asked for, readings or plans, had an outcome.
func (n *node) counts(of, outcome string) map[string]int {
	n.t.Helper()
	address := strings.Fields(n.read("penumbra.yaml"))[1]
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, "https://"+address+"/metrics", http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(n.read(".penumbra/token")))
	response, err := n.http.Do(request)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		n.t.Fatalf("the metrics: %s, %v\n%s", response.Status, err, body)
	}
	counts := map[string]int{}
	for _, m := range regexp.MustCompile(`penumbra_`+of+`_total\{node="(\w+)",outcome="`+outcome+`"\} (\d+)`).FindAllStringSubmatch(string(body), -1) {
		counts[m[1]], _ = strconv.Atoi(m[2])
	}
	return counts
}

// hasReadFor is how often a node has read a stack for the one that leads, by its own log.
func (n *node) hasReadFor(stack string) int {
	return len(regexp.MustCompile(`this node has read for the one that leads.* stack=`+stack+` `).FindAllString(n.log.String(), -1))
}

func TestNodesRead(t *testing.T) {
	s := newSite(t)
	server := pgtest.Shared(t, pgtest.Options{})
	database := server.Database(t)
	url := server.Connection("postgres", database)
	s = s.with("PENUMBRA_MASTER_KEY=" + strings.TrimSpace(s.penumbra("key", "new").ends(0).out))
	stacks := "log: {level: debug}\nschedule: {every: 3s, gap: 20ms, burst: 1000}\nstacks:\n"
	var names []string
	for i := range 3 {
		name := fmt.Sprint("shop", i)
		names = append(names, name)
		if err := os.CopyFS(s.path(name), os.DirFS(s.dir)); err != nil {
			t.Fatal(err)
		}
		stacks += fmt.Sprintf("  - {name: %s, dir: %s}\n", name, filepath.Join(s.root, name))
	}
	ports, trusting := free(t, 3), s.certified()
	start := func(i int) *node { return s.nodeOf(string(rune('a'+i)), url, ports[i], trusting, stacks) }
	a, b, c := three(s, server, database, start)
	a.until("all three nodes read", func() bool {
		counts := a.readings()
		return counts["a"] > 0 && counts["b"] > 0 && counts["c"] > 0
	})
	for _, n := range []*node{b, c} {
		total := 0
		for _, name := range names {
			total += n.hasReadFor(name)
		}
		if total == 0 {
			t.Errorf("node %s has read, and does not say so", n.name)
		}
	}

	// Drifts made by hand, until one was found though the node that leads has not looked.
	found := false
	for i := 0; !found && i < 12; i++ {
		name := names[i%len(names)]
		here, elsewhere := a.hasReadFor(name), b.hasReadFor(name)+c.hasReadFor(name)
		from, to := 768+i/len(names), 769+i/len(names)
		s.edit(name+"/etc/queue.conf", fmt.Sprint("memory_mb = ", from), fmt.Sprint("memory_mb = ", to))
		a.until("a drift of "+name, func() bool {
			for _, d := range a.drifts() {
				if f, ok := d.Finding("memory_mb"); ok && d.Resource.Stack() == name && f.Actual.Text() == fmt.Sprint(to) {
					return true
				}
			}
			return false
		})
		found = a.hasReadFor(name) == here && b.hasReadFor(name)+c.hasReadFor(name) > elsewhere
	}
	if !found {
		t.Error("in 12 tries none of the two nodes that stand by has found a drift")
	}

	// One that stands by is killed, in whatever it does: the others read its part.
	before := a.readings()
	b.kill()
	a.until("the nodes that are left go on", func() bool {
		counts := a.readings()
		return counts["a"] > before["a"]+1 && counts["c"] > before["c"]+1
	})
	for _, name := range names {
		s.edit(name+"/etc/queue.conf", "tls = false", "tls = true")
	}
	a.until("a drift of each stack", func() bool {
		drifted := map[string]bool{}
		for _, d := range a.drifts() {
			if _, ok := d.Finding("tls"); ok {
				drifted[d.Resource.Stack()] = true
			}
		}
		return len(drifted) == len(names)
	})
	if n := leader(s, server, database, a, c); n != a {
		t.Errorf("%s leads, though nothing ended a", n.name)
	}
	unharmed(t, a, b, c)
}
