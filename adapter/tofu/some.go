package tofu

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// mostTargets is up to how many resources a plan of them alone is made: the tools
// take each target apart, and a command line has an end.
const mostTargets = 200

// ReadSome is [Workspace.Read] of some resources: a plan with -target, which
// refreshes them and what they depend on, and nothing else. It returns what Read
// would of them; one that is neither in the code nor in the state is left out.
// Where the tools cannot plan them alone, as while a moved block is not applied,
// or too many are asked for, the whole is read and returned.
func (w *Workspace) ReadSome(ctx context.Context, addresses []penumbra.Address) ([]penumbra.Observation, error) {
	targets, err := w.targetFlags(addresses)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 || len(targets) > mostTargets {
		return w.Read(ctx)
	}
	from := reading{w.config.Stack, w.config.Now()}
	version, err := w.checkVersion(ctx)
	if err != nil {
		return nil, err
	}
	temp, err := w.readFolder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	known, err := w.schemas(ctx)
	if err != nil {
		return nil, err
	}
	found, err := w.readPlan(ctx, filepath.Join(temp, "some"), known, targets...)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || found.errored {
		return w.Read(ctx) // which says what is wrong, and with which of them
	}
	w.readCode(version).amend(found.declared)
	return slices.DeleteFunc(found.observations(from), func(o penumbra.Observation) bool {
		return !slices.Contains(addresses, o.Resource) // what they depend on
	}), nil
}
