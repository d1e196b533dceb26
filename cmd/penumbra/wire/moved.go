package wire

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/hcl"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/proposal"
)

// Mover finds renames in the code of the configured stacks, one stack at a time: each
// costs two plans.
type Mover struct {
	c        *Config
	planning sync.Mutex
}

var _ api.Mover = (*Mover)(nil)

// Moved implements [api.Mover].
func (m *Mover) Moved(ctx context.Context, stack string) (penumbra.Renames, error) {
	i := slices.IndexFunc(m.c.Stacks, func(s StackConfig) bool { return s.Name == stack })
	if i < 0 {
		return penumbra.Renames{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no stack %q", stack), Remedy: "name one that `penumbra status` shows"}
	}
	s := &m.c.Stacks[i]
	if s.kind() != tofuStack {
		return penumbra.Renames{}, &penumbra.Error{Kind: penumbra.Invalid, What: "stack " + stack + " has no moved blocks", Remedy: "name a stack of OpenTofu or Terraform"}
	}
	m.planning.Lock()
	defer m.planning.Unlock()
	dir := m.c.path(s.Dir)
	return Moved(ctx, dir, tofu.Config{Stack: s.Name, Dir: dir, Binary: s.Binary, Parallelism: s.Parallelism, VarFiles: s.VarFiles, ReadEnv: m.c.path(s.ReadEnv)})
}

// Moved plans the code in a folder and returns its renames, and the patch that another
// plan has proved. It writes nothing there.
func Moved(ctx context.Context, dir string, cfg tofu.Config) (penumbra.Renames, error) {
	var out penumbra.Renames
	work, err := os.MkdirTemp("", "penumbra-moved-")
	if err != nil {
		return out, &penumbra.Error{Kind: penumbra.Full, What: "make a folder for the plan", Remedy: "make room in the temporary folder", Err: err}
	}
	defer os.RemoveAll(work)
	cfg.DataDir, cfg.Key = work, PassingKey()
	w, err := tofu.New(cfg)
	if err != nil {
		return out, err
	}
	plan, err := w.Plan(ctx, nil, nil)
	if err != nil {
		return out, err
	}
	found := proposal.Renames(&plan)
	if len(found) == 0 {
		return out, nil
	}
	var list []hcl.Move
	for _, r := range found {
		list = append(list, hcl.Move(r))
	}
	patch, err := hcl.Moved(dir, cfg.Stack, list)
	if err != nil {
		return out, err
	}
	after, err := w.Plan(ctx, nil, &patch)
	if err != nil {
		return out, err
	}
	// What is still made or destroyed was so before, and is none of these.
	for _, c := range after.Changes {
		made := c.Action == penumbra.Create || c.Action.Disrupts()
		if made && slices.ContainsFunc(found, func(r proposal.Rename) bool { return r.Covers(c.Resource) }) {
			return out, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("with the moved blocks a plan would still %s %s", c.Action, c.Resource), Remedy: "write the moved blocks by hand"}
		}
	}
	out.Patch = &patch
	for _, r := range found {
		out.Moves = append(out.Moves, penumbra.Rename(r))
	}
	return out, nil
}
