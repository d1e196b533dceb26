//go:build unix

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
)

// This covers several daemons on one database: whichever is asked answers, one works,
// and another goes on where it was when that one is killed, hangs or ends.

// node is a daemon that shares its database.
type node struct {
	*daemon
	name string
	http *http.Client
}

// certified writes a certificate of 127.0.0.1 with its key, and returns a client that
// trusts it.
func (s *site) certified() *http.Client {
	s.t.Helper()
	issuer := httptest.NewTLSServer(http.NotFoundHandler())
	defer issuer.Close()
	key, err := x509.MarshalPKCS8PrivateKey(issuer.TLS.Certificates[0].PrivateKey)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})))
	s.write("tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	trusted := x509.NewCertPool()
	trusted.AddCert(issuer.Certificate())
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
}

// node starts a node with a data directory of its own, on the same code as the others.
func (s *site) node(name, database, address string, trusting *http.Client) *node {
	s.t.Helper()
	return s.nodeOf(name, database, address, trusting, fmt.Sprintf("schedule: {every: 1h, gap: 20ms, burst: 1000}\nstacks:\n  - name: shop\n    dir: %s\n", s.dir))
}

// nodeOf is node with what penumbra.yaml says of stacks.
func (s *site) nodeOf(name, database, address string, trusting *http.Client, stacks string) *node {
	s.t.Helper()
	n := *s
	n.root = filepath.Join(s.root, "node-"+name)
	if err := os.MkdirAll(n.root, 0o700); err != nil {
		s.t.Fatal(err)
	}
	n.write("penumbra.yaml", fmt.Sprintf("listen: %[1]s\nstore: %[2]s\nnode: {name: %[3]s, address: https://%[1]s, reads: 1}\ntls: {cert: %[4]s/tls.crt, key: %[4]s/tls.key}\nclient: {ca: %[4]s/tls.crt}\n", address, database, name, s.root)+stacks)
	return &node{n.process("serve", "-v"), name, trusting}
}

// free returns addresses that nobody listens on, of ports that no system gives away by
// itself: a node that is not there for a while finds its own again.
func free(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for len(addresses) < n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// answers waits until the node passes on or answers itself.
func (n *node) answers() {
	n.t.Helper()
	defer func() {
		if n.t.Failed() {
			n.t.Logf("node %s:\n%s%s", n.name, n.said, n.log)
		}
	}()
	n.until("node "+n.name+" answers", func() bool { return n.ready() == http.StatusOK && n.penumbra("status").code == 0 })
}

func (n *node) ready() int {
	address := strings.Fields(n.read("penumbra.yaml"))[1]
	response, err := n.http.Get("https://" + address + "/readyz")
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// client asks the node as the machine's owner does.
func (n *node) client() *api.Client {
	n.t.Helper()
	var at struct{ URL string }
	if err := json.Unmarshal([]byte(n.read(".penumbra/daemon.json")), &at); err != nil {
		n.t.Fatal(err)
	}
	return api.NewClient(at.URL, strings.TrimSpace(n.read(".penumbra/token")), api.WithHTTPClient(n.http))
}

// leader returns the node that leads, by what the others' database says.
func leader(s *site, server *pgtest.Server, database string, nodes ...*node) *node {
	s.t.Helper()
	var found *node
	s.until("a node leads", func() bool {
		out, err := server.Run("psql", "-X", "-A", "-t", "-h", server.Folder, "-p", fmt.Sprint(pgtest.Port), "-U", "postgres", "-d", database,
			"-c", "SELECT node FROM leadership WHERE until > clock_timestamp()")
		if err != nil {
			s.t.Fatal(err)
		}
		for _, n := range nodes {
			if n.name == strings.TrimSpace(out) {
				found = n
			}
		}
		return found != nil
	})
	return found
}

// three starts three nodes, the first of which leads, and returns them once all answer. What they
// said is told if the test fails.
func three(s *site, server *pgtest.Server, database string, start func(i int) *node) (a, b, c *node) {
	s.t.Helper()
	var nodes []*node
	s.t.Cleanup(func() {
		if s.t.Failed() {
			for _, n := range nodes {
				s.t.Logf("node %s:\n%s", n.name, n.log)
			}
		}
	})
	a = start(0)
	nodes = append(nodes, a)
	a.answers()
	if n := leader(s, server, database, a); n != a {
		s.t.Fatalf("%s leads", n.name)
	}
	b, c = start(1), start(2)
	nodes = append(nodes, b, c)
	b.answers()
	c.answers()
	return a, b, c
}

// unharmed fails the test if a node has panicked, or has had a race.
func unharmed(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		if text := n.log.String(); strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") {
			t.Errorf("node %s:\n%s", n.name, text)
		}
	}
}

func TestNodes(t *testing.T) {
	s := newSite(t)
	server := pgtest.Shared(t, pgtest.Options{})
	database := server.Database(t)
	url := server.Connection("postgres", database)
	s = s.with("PENUMBRA_MASTER_KEY=" + strings.TrimSpace(s.penumbra("key", "new").ends(0).out))

	ports, trusting := free(t, 3), s.certified()
	a, b, c := three(s, server, database, func(i int) *node { return s.node(string(rune('a'+i)), url, ports[i], trusting) })
	if _, err := os.Stat(b.path(".penumbra/keyring.age")); err != nil {
		t.Errorf("b has not got what the nodes share: %v", err)
	}

	c.until("all nodes are known, and that a leads", func() bool {
		known, err := c.client().Nodes(t.Context())
		return err == nil && len(known.Nodes) == 3 && known.Nodes[0].Name == "a" && known.Nodes[0].Leads && !known.Nodes[1].Leads && !known.Gone(&known.Nodes[2])
	})

	// News reach who listens at another node than the one that works.
	heard := make(chan penumbra.News, 64)
	listening, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for n, err := range c.client().Watch(listening, api.NewsQuery{}) {
			if err != nil {
				return
			}
			heard <- n
		}
	}()
	b.until("the first look", b.hasRead)
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	first := b.drift(queue, "memory_mb")
	for told := false; !told; {
		select {
		case n := <-heard:
			told = n.ID == first.ID
		case <-time.After(patience):
			t.Fatal("who listens at c has not heard of the drift")
		}
	}
	stop()

	// What one planned another carries out.
	p := b.proposal(first.ID, penumbra.Revert)
	if leader(s, server, database, a, b, c) != a {
		t.Fatal("a leads no longer, though nothing ended it")
	}
	a.kill()
	next := leader(s, server, database, b, c)
	other := map[*node]*node{b: c, c: b}[next]
	if run := other.approve(p); run.Proposal != p.ID {
		t.Errorf("the run: %+v", run)
	}
	s.holds("shop/etc/queue.conf", "memory_mb = 768")

	// A leader that hangs has its turn taken. When it wakes up it stands by, and answers.
	a = s.node("a", url, ports[0], trusting)
	a.answers()
	if err := next.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	third := leader(s, server, database, a, other)
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	second := third.drift(queue, "tls")
	if err := next.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	next.until("the one that hung passes on", func() bool {
		var out []penumbra.Drift
		r := next.penumbra("drift", "list", "-o", "json")
		return r.code == 0 && json.Unmarshal([]byte(r.out), &out) == nil && len(out) == 1 && out[0].ID == second.ID
	})

	// Killed as soon as a decision was acknowledged: it is carried out once, or known not
	// to be whole, by another.
	p = next.proposal(second.ID, penumbra.Revert)
	now := leader(s, server, database, a, b, c)
	asked := map[*node]*node{a: b, b: c, c: a}[now]
	made, err := asked.client().Approve(t.Context(), p.ID, p.Hash, "")
	if err != nil {
		t.Fatal(err)
	}
	now.kill()
	var runs []penumbra.Run
	defer func() {
		if t.Failed() {
			t.Logf("%v: %+v", err, runs)
			for _, n := range []*node{a, b, c} {
				t.Logf("node %s:\n%s", n.name, n.log)
			}
		}
	}()
	asked.until("the run has ended", func() bool {
		runs, err = asked.client().Runs(t.Context(), penumbra.RunQuery{Proposal: p.ID})
		return err == nil && len(runs) > 0 && runs[0].State.Ended()
	})
	if len(runs) != 1 || runs[0].ID != made.Run.ID {
		t.Errorf("%d runs of one decision: %+v", len(runs), runs)
	}

	// One that ends in good order is followed at once.
	left := []*node{}
	for _, n := range []*node{a, b, c} {
		if n != now {
			left = append(left, n)
		}
	}
	last := leader(s, server, database, left...)
	last.stop(syscall.SIGTERM)
	for _, n := range left {
		if n != last {
			n.answers()
			if leader(s, server, database, left...) != n {
				t.Errorf("%s does not lead, though it is the last", n.name)
			}
			n.stop(syscall.SIGTERM)
		}
	}
	unharmed(t, a, b, c)
}
