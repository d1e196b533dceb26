package wire

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/files"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/reads"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/proposal"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// mostReads bounds how many sources a node reads at once: each is a process of a tool.
const mostReads = 256

// readsAtOnce is how many sources this node reads at once. A tool waits for answers of a
// provider about as long as it works.
func (c *Config) readsAtOnce() int {
	if c.Node.Reads > 0 {
		return c.Node.Reads
	}
	return max(4, 2*runtime.GOMAXPROCS(0))
}

// newAsker is what asks the nodes for readings while this one leads.
func (c *Config) newAsker(ctx context.Context, s *postgres.Store, o Options) (*reads.Asker, error) {
	config := reads.AskerConfig{Store: s, Master: o.Turn.master, Node: c.Node.Name, AtOnce: c.readsAtOnce(), Within: c.Schedule.Timeout, Log: o.Log}
	if config.Within == 0 {
		config.Within = engine.DefaultReadTimeout
	}
	if o.Telemetry != nil {
		config.Count, config.CountPlan = o.Telemetry.Reading, o.Telemetry.Planning
	}
	return reads.NewAsker(ctx, config)
}

// spread has what reads a stack with a tool be read by any node. Servers are asked in
// milliseconds, and by the node that leads.
func (c *Config) spread(stack *engine.Stack, s StackConfig, key penumbra.Key, o Options) {
	for i := range stack.Readers {
		if r := &stack.Readers[i]; o.asker != nil && r.Name == s.kind() {
			own := r.Source
			r.Source = o.asker.Source(s.Name, r.Name, own, func() (string, error) { return c.digest(s, own, key, o.Version) })
		}
	}
}

// planner has a stack that a workspace plans be planned by any node, for proposals. What a
// run plans again it plans itself.
func (c *Config) planner(own reads.Planner, s StackConfig, key penumbra.Key, o Options) proposal.Planner {
	if o.asker == nil {
		return own
	}
	return o.asker.Planner(s.Name, s.kind(), own, func() (string, error) { return c.digest(s, own, key, o.Version) })
}

// A digester knows more that has to be the same on two nodes for both to read the same than
// the code and the configuration say.
type digester interface{ ReadDigest() (string, error) }

var _ digester = (*tofu.Workspace)(nil)

// digest is of what has to be the same on two nodes for both to read the same of a stack:
// the program, how the stack is configured, the code, and what own, which reads it, adds.
func (c *Config) digest(s StackConfig, own any, key penumbra.Key, version string) (string, error) {
	code, err := files.Digest(c.watched(s))
	if err != nil {
		return "", err
	}
	if d, ok := own.(digester); ok {
		more, err := d.ReadDigest()
		if err != nil {
			return "", err
		}
		code += " " + more
	}
	s.Kind = s.kind()
	s.Watch, s.Every, s.Gap, s.Burst, s.Environment, s.Cadence, s.WatchRuns = nil, 0, 0, 0, "", nil, nil // when it is read, and what follows
	s.Servers, s.Code, s.ApplyEnv = nil, codeConfig{}, ""
	config, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	h := hmac.New(sha256.New, []byte(key)) // variables may be secret
	fmt.Fprintf(h, "%q %q %q", version, config, code)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// keysEvery is how often a node looks whether it can read for the others.
const keysEvery = time.Second

// Read reads for the node that leads, this one included, until ctx ends.
func (n *Nodes) Read(ctx context.Context) error {
	for told := false; ctx.Err() == nil; {
		err := n.readOnce(ctx)
		if err != nil && ctx.Err() == nil && !told {
			n.o.logger().Warn("this node does not read for the one that leads; it goes on trying", "error", err)
		}
		told = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(keysEvery):
		}
	}
	return nil
}

// readOnce reads, once there are the keys to do so, until ctx ends or something is in the
// way.
func (n *Nodes) readOnce(ctx context.Context) error {
	there := false
	err := n.store.Files(ctx, func(path string, _ []byte, _ time.Time) error {
		there = there || path == keyringFile
		return nil
	})
	if err != nil || !there {
		return err // whoever leads first makes them
	}
	if err := n.fetch(ctx); err != nil {
		return err
	}
	find, err := n.finder()
	if err != nil {
		return err
	}
	// Connections of its own: those that say who leads must never wait for an answer to be
	// sent.
	config, err := databaseAt(n.c.Store)
	if err != nil {
		return err
	}
	config.Node = n.c.Node.Name
	s, err := postgres.Open(ctx, config)
	if err != nil {
		return err
	}
	r, err := reads.NewReader(ctx, reads.ReaderConfig{Store: s, Master: n.master, Node: n.c.Node.Name, AtOnce: n.c.readsAtOnce(), Find: find, Log: n.o.Log})
	if err == nil {
		err = r.Run(ctx)
	}
	return errors.Join(err, s.Close())
}

// finder finds the sources of this node's stacks, for several goroutines.
func (n *Nodes) finder() (func(stack, name string) (engine.Source, string, error), error) {
	key, err := SealingKey(n.c.DataDir())
	if err != nil {
		return nil, err
	}
	o := n.o
	keys, err := n.c.KeyringOf(n.master, o.Clock())
	if err != nil {
		return nil, err
	}
	o.cipher = keys
	var mu sync.Mutex
	found := map[string]engine.Source{}
	open := func(s StackConfig) (engine.Source, error) {
		mu.Lock()
		defer mu.Unlock()
		if found[s.Name] == nil {
			// One that cannot be opened now may be later.
			joined, err := joinStack(n.c, s, key, nil, o)
			if err != nil {
				return nil, err
			}
			for _, r := range joined.Readers {
				if r.Name == s.kind() {
					found[s.Name] = r.Source
				}
			}
		}
		return found[s.Name], nil
	}
	return func(stack, name string) (engine.Source, string, error) {
		s, ok := n.c.stack(stack)
		if !ok {
			return nil, "", fmt.Errorf("stack %s is not in this node's penumbra.yaml", stack)
		}
		source, err := open(s)
		if err != nil {
			return nil, "", err
		}
		if source == nil || name != s.kind() {
			return nil, "", fmt.Errorf("stack %s has no source %s on this node", stack, name)
		}
		digest, err := n.c.digest(s, source, key, o.Version)
		return source, digest, err
	}, nil
}

// stack returns how a stack is configured.
func (c *Config) stack(name string) (StackConfig, bool) {
	for _, s := range c.Stacks {
		if s.Name == name {
			return s, true
		}
	}
	return StackConfig{}, false
}
