package wire

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/timeline"
)

// nodeConfig makes a daemon one of several that share a store: one leads, the others
// stand by and pass on to it what they are asked.
type nodeConfig struct {
	// Name tells the nodes apart; the host's if empty.
	Name string `koanf:"name"`
	// Address is the URL at which the other nodes reach this one.
	Address string `koanf:"address"`
	// Reads is how many sources the node reads at once; as many as suit its processors
	// if zero.
	Reads int `koanf:"reads"`
}

// Shared reports whether the daemon is one of several nodes.
func (c *Config) Shared() bool { return c.Node.Address != "" }

// checkNode returns what is wrong with how the daemon is a node.
func (c *Config) checkNode() (what, remedy string) {
	if c.Node.Name == "" && c.Shared() {
		c.Node.Name, _ = os.Hostname()
	}
	u, err := url.Parse(c.Node.Address)
	switch {
	case c.Node.Name != "" && !c.Shared():
		return "node has a name and no address", "give the URL at which the other nodes reach this one, such as https://a.internal:7676"
	case !c.Shared():
		return "", ""
	case !postgres.NodeName.MatchString(c.Node.Name):
		return fmt.Sprintf("node.name %.80q", c.Node.Name), "use up to 63 letters, digits, '.', '_' and '-'"
	case err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https":
		return "node.address is not the URL of a daemon", "write https://host:port"
	case c.Node.Reads < 0 || c.Node.Reads > mostReads:
		return fmt.Sprintf("node.reads is %d", c.Node.Reads), fmt.Sprintf("give how many stacks the node reads at once, up to %d", mostReads)
	case u.Scheme == "http" && !loopbackHost(u.Hostname()) && !c.TLS.BehindProxy:
		return "node.address is reached without TLS", "give tls.cert and tls.key, and write https"
	case c.Store == "":
		return "node is given, and the store is a file of this machine", "name the PostgreSQL database that the nodes share with store (docs/nodes.md)"
	case len(c.TLS.Clients) > 0:
		return "node and tls.clients are given: whose certificate it is cannot be passed on between nodes", "give programs tokens (`penumbra token create`), or leave one node"
	case os.Getenv("PENUMBRA_MASTER_KEY") == "" && os.Getenv("PENUMBRA_MASTER_KEY_FILE") == "":
		return "node is given without a master key", "make one with `penumbra key new`, and name it on every node in PENUMBRA_MASTER_KEY_FILE"
	}
	return "", ""
}

func loopbackHost(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// Turn is a time for which this node leads.
type Turn struct {
	Term postgres.Term
	past *engine.Past // nil if the timelines have to be read

	master   atrest.Master
	election *postgres.Election
	// spread says that nodes read, of which this process is one.
	spread bool
}

// Roster says which nodes share the store: none where one process has it to itself.
type Roster struct{ election *postgres.Election }

// Nodes implements [api.Watcher].
func (r Roster) Nodes(ctx context.Context) (penumbra.Nodes, error) {
	if r.election == nil {
		return penumbra.Nodes{}, nil
	}
	return r.election.Nodes(ctx)
}

// Nodes is this process among those that share a store.
type Nodes struct {
	*postgres.Election
	c      *Config
	o      Options
	store  *postgres.Store // of no term
	master atrest.Master
}

// Join makes this process a node, and gets it the files that the nodes share. It
// returns what opening the database returns, and an error of kind Refused if the data
// directory has keys of its own that are not those of the others.
func (c *Config) Join(ctx context.Context, o Options) (*Nodes, error) {
	master, err := c.MasterKey()
	if err != nil {
		return nil, err
	}
	config, err := databaseAt(c.Store)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.DataDir(), 0o700); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "make the data directory " + c.DataDir(), Remedy: "choose another with --data", Err: err}
	}
	config.Node = c.Node.Name
	s, err := postgres.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	n := &Nodes{c: c, o: o, store: s, master: master,
		Election: s.Election(postgres.Node{Name: c.Node.Name, Address: c.Node.Address, Version: o.Version})}
	if err := n.fetch(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return n, nil
}

// Close closes the connection to the others.
func (n *Nodes) Close() error { return n.store.Close() }

// standEvery is how often it is tried to lead, followEvery how often what the leader
// has stored is followed.
const (
	standEvery  = 500 * time.Millisecond
	followEvery = time.Second
)

// Lead waits until this node leads, and follows meanwhile what the one that does stores.
// The caller keeps the term ([postgres.Election.Keep]) from then on. The error is of kind
// Unavailable if ctx ended.
func (n *Nodes) Lead(ctx context.Context) (Turn, error) {
	following, stop := context.WithCancel(ctx)
	defer stop()
	h := &heir{n: n}
	go h.run(following) // who takes what it has waits for no more
	tick := time.NewTicker(standEvery)
	defer tick.Stop()
	for quiet := true; ; {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		term, err := n.Stand(asking)
		cancel()
		switch {
		case err == nil:
			return Turn{Term: term, past: h.take(), master: n.master, election: n.Election, spread: true}, nil
		case penumbra.KindOf(err) == penumbra.Locked || ctx.Err() != nil:
			quiet = true
		case quiet:
			n.o.logger().Warn("this node cannot stand for leader; it goes on trying", "error", err)
			quiet = false
		}
		select {
		case <-ctx.Done():
			return Turn{}, &penumbra.Error{Kind: penumbra.Unavailable, What: "wait until this node leads", Err: ctx.Err()}
		case <-tick.C:
		}
	}
}

// Ready has this node, which leads, have what the nodes share.
func (n *Nodes) Ready(ctx context.Context) error { return n.share(ctx) }

// openBriefly opens a loop for a verb, while no node leads: until it is closed this
// process does.
func openBriefly(ctx context.Context, c *Config, o Options) (*Loop, error) {
	n, err := c.Join(ctx, o)
	if err != nil {
		return nil, err
	}
	term, err := n.Stand(ctx)
	if penumbra.KindOf(err) == penumbra.Locked {
		err = &penumbra.Error{Kind: penumbra.Locked, What: "another node leads, and no daemon runs on this machine", Remedy: "start `penumbra serve` here, or ask another machine's by client.server in penumbra.yaml"}
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	keeping, release := context.WithCancel(context.WithoutCancel(ctx))
	kept := make(chan error, 1)
	go func() { kept <- n.Keep(keeping, term) }()
	leave := func(ctx context.Context) error {
		release()
		err := <-kept
		if err == nil {
			err = n.Resign(ctx, term)
		}
		return errors.Join(err, n.Close())
	}
	err = n.Ready(ctx)
	var l *Loop
	if err == nil {
		o.Turn = &Turn{Term: term, master: n.master, election: n.Election}
		l, err = open(ctx, c, o)
	}
	if err != nil {
		return nil, errors.Join(err, leave(context.WithoutCancel(ctx)))
	}
	closing := l.Close
	l.Close = func(ctx context.Context) error { return errors.Join(closing(ctx), leave(ctx)) }
	return l, nil
}

// heir keeps what the timelines say up to date for when this node leads.
type heir struct {
	n    *Nodes
	mu   sync.Mutex
	past *engine.Past // nil until it was built, and once it was taken
	over bool
}

func (h *heir) run(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := h.follow(ctx); err != nil && ctx.Err() == nil {
			h.n.o.logger().Debug("the timelines could not be followed; that is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h *heir) follow(ctx context.Context) error {
	h.mu.Lock()
	outdated, err := h.past == nil, error(nil)
	if h.past != nil {
		if outdated, err = h.past.Outdated(ctx); err == nil {
			err = h.past.Follow(ctx)
		}
	}
	outdated = outdated && !h.over
	h.mu.Unlock()
	if err != nil || !outdated {
		return err
	}
	// That takes as long as it takes: meanwhile there is the old one.
	fresh, err := engine.NewPast(ctx, h.n.pastConfig())
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.past = fresh
	}
	return nil
}

// take returns the past, nil if it was never read whole.
func (h *heir) take() *engine.Past {
	h.mu.Lock()
	defer h.mu.Unlock()
	past := h.past
	h.past, h.over = nil, true
	return past
}

// pastConfig is what folding timelines needs.
func (n *Nodes) pastConfig() engine.Config {
	network := newNetwork()
	return engine.Config{
		Store: n.store, NewFamily: NewFamily, ModelName: n.c.Model, Fold: timeline.Fold, NewLimits: n.c.limits(n.o.Log), Now: n.o.Now, Log: n.o.Log,
		Network: network, Diagnosis: newDiagnoses(network.Model),
	}
}

// Token is the owner's, the same on all nodes. It returns an error of kind Unavailable
// if they share none yet.
func (n *Nodes) Token() (string, error) {
	path := filepath.Join(n.c.DataDir(), TokenFile)
	if _, err := os.Stat(path); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.fetch(ctx); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(path); err != nil {
		return "", &penumbra.Error{Kind: penumbra.Unavailable, What: "the nodes share no token yet", Remedy: "try again in a few seconds", Err: err}
	}
	return SecretFile(n.c.DataDir(), TokenFile)
}

// ForwardingKey is what nodes show to each other: who holds the owner's token has it.
func (n *Nodes) ForwardingKey() (string, error) {
	token, err := n.Token()
	return forwardingKey(token), err
}

// ForwardingKey is that of the data directory's token.
func ForwardingKey(dir string) (string, error) {
	token, err := SecretFile(dir, TokenFile)
	return forwardingKey(token), err
}

func forwardingKey(token string) string {
	h := hmac.New(sha256.New, []byte(token))
	h.Write([]byte("penumbra: passed on by a node"))
	return hex.EncodeToString(h.Sum(nil))
}
