package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// sharedKeys are the files of the data directory that are the same on all nodes. They
// lie in the database encrypted under the master key, which each node is given.
var sharedKeys = [...]string{sealingFile, keyringFile, auditKeyFile, TokenFile}

// plansOf is the folder below which saved plans lie, by stack.
const plansOf = "stacks"

// fetch writes the files that the nodes share into the data directory. One of another
// content stays, and is an error of kind Refused; but a keyring gives way, as others may
// have rotated it, the token, and plans.
func (n *Nodes) fetch(ctx context.Context) error {
	dir := n.c.DataDir()
	return n.store.Files(ctx, func(path string, sealed []byte, changed time.Time) error {
		body, err := n.master.Open(sealed)
		if err != nil {
			return err
		}
		if !filepath.IsLocal(path) {
			return &penumbra.Error{Kind: penumbra.Damaged, What: fmt.Sprintf("the nodes share a file %q", path), Remedy: "restore the database from a backup"}
		}
		local := filepath.Join(dir, filepath.FromSlash(path))
		is, err := os.ReadFile(local)
		switch {
		case err == nil && bytes.Equal(is, body):
			return nil
		case err == nil && path == keyringFile:
			if err := renameio.WriteFile(local+".before", is, 0o600, renameio.IgnoreUmask()); err != nil {
				return &penumbra.Error{Kind: penumbra.Full, What: "keep the keyring of before", Remedy: "make room in the data directory", Err: err}
			}
		case err == nil && path != TokenFile && !strings.HasPrefix(path, plansOf+"/"):
			return &penumbra.Error{Kind: penumbra.Refused, What: local + " is not the one that the nodes share", Remedy: "move it away, and start again: this node gets the one of the others"}
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return &penumbra.Error{Kind: penumbra.Refused, What: "read " + local, Remedy: "run as the user who owns the data directory", Err: err}
		}
		err = os.MkdirAll(filepath.Dir(local), 0o700)
		if err == nil {
			err = renameio.WriteFile(local, body, 0o600, renameio.IgnoreUmask())
		}
		if err != nil {
			return &penumbra.Error{Kind: penumbra.Full, What: "write " + local, Remedy: "make room in the data directory", Err: err}
		}
		return os.Chtimes(local, changed, changed)
	})
}

// share makes the keys that are not there yet, and sees that all nodes have the same.
// Nothing is hashed, encrypted or recorded before.
func (n *Nodes) share(ctx context.Context) error {
	if err := n.fetch(ctx); err != nil {
		return err
	}
	dir := n.c.DataDir()
	if err := n.right(ctx); err != nil {
		return err
	}
	if _, err := SealingKey(dir); err != nil {
		return err
	}
	if _, err := n.c.Keyring(n.o.Clock()); err != nil {
		return err
	}
	if _, err := n.c.AuditKeys(true); err != nil {
		return err
	}
	if _, err := SecretFile(dir, TokenFile); err != nil {
		return err
	}
	err := eachKey(dir, n.master, func(name string, sealed []byte) error {
		_, err := n.store.AddFile(ctx, name, sealed)
		return err
	})
	if err != nil {
		return err
	}
	return n.fetch(ctx) // another node may have been first
}

// eachKey calls keep with each of the shared keys that a data directory has, encrypted.
// One that it lacks comes from elsewhere.
func eachKey(dir string, master atrest.Master, keep func(name string, sealed []byte) error) error {
	for _, name := range sharedKeys {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var sealed []byte
		if err == nil {
			sealed, err = master.Seal(body)
		}
		if err == nil {
			err = keep(name, sealed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// right returns an error unless this node has the keys of a database that was worked on
// before: with new ones nothing could be compared, read or verified.
func (n *Nodes) right(ctx context.Context) error {
	id, err := n.store.HashKey(ctx)
	if err != nil || id == "" {
		return err
	}
	for name, given := range map[string]bool{
		sealingFile: os.Getenv("PENUMBRA_KEY")+os.Getenv("PENUMBRA_KEY_FILE") != "", auditKeyFile: os.Getenv(auditKeyVariable)+n.c.Audit.KeyFile != "", keyringFile: false,
	} {
		if _, err := os.Stat(filepath.Join(n.c.DataDir(), name)); err != nil && !given {
			return &penumbra.Error{Kind: penumbra.Missing, What: "read " + filepath.Join(n.c.DataDir(), name), Err: err,
				Remedy: "start the node first whose data directory worked on this database before: the others get it from that one"}
		}
	}
	key, err := SealingKey(n.c.DataDir())
	if err == nil {
		_, err = keysSince(key, id)
	}
	return err
}

// ShareKeys gives the nodes the keys of this data directory in the place of those that
// they share: after a rotation, while none of them runs.
func (c *Config) ShareKeys(ctx context.Context) error {
	if !c.Shared() {
		return nil
	}
	master, err := c.MasterKey()
	if err != nil {
		return err
	}
	config, err := databaseAt(c.Store)
	if err != nil {
		return err
	}
	s, err := postgres.Open(ctx, config)
	if err != nil {
		return err
	}
	err = eachKey(c.DataDir(), master, func(name string, sealed []byte) error { return s.SaveFile(ctx, name, sealed) })
	return errors.Join(err, s.Close())
}

// planSharer is a store that has proposals kept only once all nodes can get at their
// saved plans: whichever leads when they are approved can carry them out.
type planSharer struct {
	engine.Store
	store  *postgres.Store // of the term
	master atrest.Master
	dir    string

	mu   sync.Mutex
	sent map[string]time.Time // the plans that are shared, by path, with the time of their file
}

func (s *planSharer) SaveProposals(ctx context.Context, proposals []penumbra.Proposal) error {
	for i := range proposals {
		if err := s.share(ctx, proposals[i].Plan); err != nil {
			return err
		}
	}
	return s.Store.SaveProposals(ctx, proposals)
}

// share sends a plan and what its way back needs. A plan that is gone is shared no
// more: who carries it out will say so.
func (s *planSharer) share(ctx context.Context, plan *penumbra.Plan) error {
	if plan == nil || plan.File == "" || plan.File != filepath.Base(plan.File) || !penumbra.ValidStackName(plan.Stack) {
		return nil
	}
	first := filepath.Join(s.dir, plansOf, plan.Stack, "plans", plan.File)
	for _, root := range [...]string{first + ".back", first} { // the plan last: one that is there has its way back
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			return s.send(ctx, path, d)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *planSharer) send(ctx context.Context, path string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	s.mu.Lock()
	known := s.sent[path].Equal(info.ModTime())
	s.mu.Unlock()
	if known {
		return nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	sealed, err := s.master.Seal(body)
	if err != nil {
		return err
	}
	below, err := filepath.Rel(s.dir, path)
	if err == nil {
		err = s.store.SaveFile(ctx, filepath.ToSlash(below), sealed)
	}
	if err == nil {
		s.mu.Lock()
		s.sent[path] = info.ModTime()
		s.mu.Unlock()
	}
	return err
}

// drop drops, until ctx ends, plans that are too old to be carried out.
func (s *planSharer) drop(ctx context.Context, o Options) error {
	tick := time.NewTicker(dropEvery)
	defer tick.Stop()
	for {
		if err := s.store.DropFiles(ctx, plansOf, time.Now().Add(-savedplan.Keep)); err != nil && ctx.Err() == nil {
			o.logger().Warn("old plans were not dropped; that is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
