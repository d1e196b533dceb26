package wire

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/files"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/policy"
	"github.com/penumbra-iac/penumbra/proposal/knowledge"
)

// The kinds of files that are read again when they change, as status names them.
const (
	PolicyFiles    = "policies"
	KnowledgeFiles = "knowledge"
)

// rereading keeps the policies and the knowledge in use. A version that has mistakes
// does not take the place of the one before it: half a set of policies would allow what
// the other half forbids.
type rereading struct {
	c     *Config
	log   *slog.Logger
	clock func() time.Time
	// recorded is called with each new version of the policies before it is in use.
	recorded func(context.Context) error
	// groups are those of somebody's account.
	groups func(name string) ([]string, error)

	guard   atomic.Pointer[policy.Guard]
	manuals atomic.Pointer[Manuals]

	reading sync.Mutex // one at a time
	mu      sync.Mutex
	state   []penumbra.FilesStatus
	seen    map[string][sha256.Size]byte
}

// startReading reads both for the first time: then what has mistakes is an error.
func startReading(c *Config, groups func(string) ([]string, error), o Options) (*rereading, error) {
	r := &rereading{c: c, log: o.Log, clock: o.Clock(), groups: groups, seen: map[string][sha256.Size]byte{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	guard, err := c.guard(groups)
	if err != nil {
		return nil, err
	}
	manuals, err := c.Manuals()
	if err != nil {
		return nil, err
	}
	r.guard.Store(guard)
	r.manuals.Store(&manuals)
	for name, paths := range r.paths() {
		if len(paths) > 0 {
			r.seen[name] = looks(paths)
			r.state = append(r.state, penumbra.FilesStatus{Name: name, Read: r.clock().UTC()})
		}
	}
	return r, nil
}

func (r *rereading) paths() map[string][]string {
	return map[string][]string{PolicyFiles: r.c.PolicyPaths(), KnowledgeFiles: r.c.KnowledgeDirs()}
}

// run reads what has changed, as soon as it has, until ctx ends.
func (r *rereading) run(ctx context.Context) error {
	var all []string
	for _, paths := range r.paths() {
		all = append(all, paths...)
	}
	if len(all) == 0 {
		return nil
	}
	r.again(ctx) // it may have changed since the start
	if err := files.Watch(ctx, all, func() { r.again(ctx) }); err != nil && ctx.Err() == nil {
		r.log.Warn("policies and knowledge are not watched; a restart reads them", "error", err)
	}
	return nil
}

// again reads what has changed.
func (r *rereading) again(ctx context.Context) {
	r.reading.Lock()
	defer r.reading.Unlock()
	for name, paths := range r.paths() {
		if now := looks(paths); len(paths) > 0 && now != r.seen[name] {
			r.seen[name] = now
			r.note(name, r.read(ctx, name))
		}
	}
}

func (r *rereading) read(ctx context.Context, name string) error {
	if name == KnowledgeFiles {
		manuals, err := r.c.Manuals()
		if err == nil {
			r.manuals.Store(&manuals)
		}
		return err
	}
	guard, err := r.c.guard(r.groups)
	if err == nil && r.recorded != nil {
		err = r.recorded(ctx)
	}
	if err == nil {
		r.guard.Store(guard)
	}
	return err
}

func (r *rereading) note(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.state {
		if x := &r.state[i]; x.Name == name {
			if x.Error = ""; err != nil {
				x.Error = penumbra.Redact(err.Error())
				r.log.Warn("a new version has mistakes, and the one before it stays in use", "files", name, "error", x.Error)
				continue
			}
			x.Read = r.clock().UTC()
			r.log.Info("a new version is in use", "files", name)
		}
	}
}

// status is what is in use, and why something newer is not.
func (r *rereading) status() []penumbra.FilesStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]penumbra.FilesStatus(nil), r.state...)
}

// looks tells versions of files and folders apart without reading them.
func looks(paths []string) (out [sha256.Size]byte) {
	h := sha256.New()
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				fmt.Fprintf(h, "%q %v\n", path, err)
				return nil
			}
			if info, err := d.Info(); err == nil {
				fmt.Fprintf(h, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
			}
			return nil
		})
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// base is the knowledge in use.
func (r *rereading) base() *knowledge.Base { return (*r.manuals.Load())() }

// governing asks the policies in use.
type governing struct{ *rereading }

var _ decisions.Policy = governing{}

func (g governing) Ask(q *penumbra.PolicyQuestion) penumbra.PolicyAnswer {
	return g.guard.Load().Ask(q)
}

func (g governing) Automatic() bool { return g.guard.Load().Automatic() }

func (g governing) Window(stack string, at time.Time) penumbra.Window {
	return g.guard.Load().Window(stack, at)
}

func (g governing) Waits() bool { return g.guard.Load().Waits() }
