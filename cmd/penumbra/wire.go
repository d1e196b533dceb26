package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/files"
	"github.com/penumbra-iac/penumbra/adapter/hcl"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/proposal"
	"github.com/penumbra-iac/penumbra/remediation"
	"github.com/penumbra-iac/penumbra/store/sqlite"
	"github.com/penumbra-iac/penumbra/timeline"
)

// storeFile is the embedded store in the data directory.
const storeFile = "penumbra.db"

// loop is an engine with what it stands on.
type loop struct {
	engine *engine.Engine
	close  func(context.Context) error
}

type openOptions struct {
	log *slog.Logger
	now func() time.Time // time.Now if nil
	// hold, if not nil, keeps a daemon from watching by itself until closed.
	hold <-chan struct{}
}

func (o openOptions) clock() func() time.Time {
	if o.now == nil {
		return time.Now
	}
	return o.now
}

// open joins all parts into an engine on the configured data directory, which
// is this process's alone until close.
func (a *app) open(ctx context.Context, c *config, o openOptions) (*loop, error) {
	dir := c.dataDir()
	lock, err := lockData(dir)
	if err != nil {
		return nil, err
	}
	store, err := sqlite.Open(filepath.Join(dir, storeFile))
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	release := func() error { return errors.Join(store.Close(), lock.Unlock()) }
	cfg, err := a.engineConfig(c, store, o)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	e, err := engine.New(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &loop{engine: e, close: func(ctx context.Context) error { return errors.Join(e.Close(ctx), release()) }}, nil
}

func (a *app) engineConfig(c *config, store engine.Store, o openOptions) (engine.Config, error) {
	th, err := c.thresholds()
	if err != nil {
		return engine.Config{}, err
	}
	judge, err := drift.NewJudge(th)
	if err != nil {
		return engine.Config{}, err
	}
	rules, err := ignoreRules(c, c.folder, "")
	if err != nil {
		return engine.Config{}, err
	}
	key, err := sealingKey(c.dataDir())
	if err != nil {
		return engine.Config{}, err
	}
	cfg := engine.Config{
		Store: store, NewFamily: newFamily, Judge: &ruled{Judge: judge, fixed: rules}, Codec: codec{},
		Fold: timeline.Fold, Order: timeline.Order, Explain: explained, Key: key, Confidence: c.Confidence,
		Schedule: engine.Schedule{Every: c.Schedule.Every, Jitter: c.Schedule.Jitter, Gap: c.Schedule.Gap, Burst: c.Schedule.Burst, ReadTimeout: c.Schedule.Timeout},
		Version:  buildVersion(), ModelName: c.Model, Now: o.now, Log: o.log,
	}
	for _, s := range c.Stacks {
		stack, err := a.stack(c, s, key, o.clock())
		if err != nil {
			// One stack that cannot be read must not keep the others from being
			// watched, nor hide itself.
			stack = engine.Stack{Name: s.Name, Dir: c.path(s.Dir), Technology: "tofu", Source: unreadable{err}}
		}
		cfg.Stacks = append(cfg.Stacks, stack)
	}
	return cfg, nil
}

// thresholds are those configured for impending drift, or the defaults.
func (c *config) thresholds() (drift.Thresholds, error) {
	th := drift.DefaultThresholds()
	copy(th.Leave[:], c.Impending)
	return th, th.Check()
}

// stack joins what watches, plans and applies one stack.
func (a *app) stack(c *config, s stackConfig, key penumbra.Key, now func() time.Time) (engine.Stack, error) {
	dir := c.path(s.Dir)
	w, err := tofu.New(tofu.Config{
		Stack: s.Name, Dir: dir, Binary: s.Binary, Key: key, Parallelism: s.Parallelism, VarFiles: s.VarFiles,
		DataDir: filepath.Join(c.dataDir(), "stacks", s.Name),
	})
	if err != nil {
		return engine.Stack{}, err
	}
	code := workspace{Workspace: w, dir: dir, stack: s.Name}
	watched := []string{dir}
	for _, p := range s.Watch {
		watched = append(watched, c.path(p))
	}
	return engine.Stack{
		Name: s.Name, Dir: dir, Technology: "tofu", Source: w, Every: s.Every,
		Proposer: proposer{workspace: code, dir: dir, engine: filepath.Base(w.Binary())},
		Remediator: func(e *engine.Engine) engine.Remediator {
			return &remediation.Machine{Workspace: w, Journal: e, Rules: e, Verify: e.Verify, Now: now}
		},
		Watch: func(ctx context.Context, changed func()) error { return files.Watch(ctx, watched, changed) },
	}, nil
}

// unreadable is the source of a stack that could not be opened: each read says
// why.
type unreadable struct{ err error }

func (u unreadable) Read(context.Context) ([]penumbra.Observation, error) { return nil, u.err }

// workspace is what proposals need of OpenTofu: its plans, and patches to its
// code.
type workspace struct {
	*tofu.Workspace
	dir, stack string
}

// PatchValues makes the patch after which the code declares the settings.
func (w workspace) PatchValues(_ context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	return hcl.Values(w.dir, w.stack, address, settings)
}

// PatchInstance makes the patch after which a copy of the code gives the values
// to one instance alone.
func (w workspace) PatchInstance(_ context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	return hcl.Instance(w.dir, w.stack, address, settings)
}

// PatchIgnore makes the patch after which OpenTofu ignores changes at paths.
func (w workspace) PatchIgnore(_ context.Context, address penumbra.Address, paths []string) (penumbra.Patch, error) {
	return hcl.IgnoreChanges(w.dir, w.stack, address, paths)
}

// proposer finds proposals with one stack's workspace.
type proposer struct {
	workspace   workspace
	dir, engine string
}

func (p proposer) evidence(c engine.Case) proposal.Evidence {
	e := proposal.Evidence{Drift: c.Drift, Resource: c.Resource, Now: c.Time, Dir: p.dir, Engine: p.engine}
	for _, o := range c.Outcomes {
		e.Outcomes = append(e.Outcomes, proposal.Outcome(o))
	}
	return e
}

func (p proposer) Propose(ctx context.Context, c engine.Case) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	return proposal.For(ctx, p.evidence(c), p.workspace)
}

func (p proposer) Customize(ctx context.Context, original penumbra.Proposal, values []penumbra.Setting, c engine.Case) (penumbra.Proposal, error) {
	return proposal.Customized(ctx, original, values, p.evidence(c), p.workspace)
}

func (p proposer) Restore(ctx context.Context, run penumbra.Run, original penumbra.Proposal, c engine.Case) (penumbra.Proposal, error) {
	return proposal.Restoring(ctx, run, original, p.evidence(c), p.workspace)
}

// codec is the timeline format.
type codec struct{}

func (codec) Decode(r io.Reader, source string) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		d := timeline.NewDecoder(r, source)
		for {
			o, err := d.Next()
			var bad *timeline.LineError
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.As(err, &bad):
				if !yield(engine.Line{Bad: &penumbra.BadLine{Source: source, Line: bad.Line, Reason: bad.Reason, Text: bad.Text}}, nil) {
					return
				}
			case err != nil:
				yield(engine.Line{}, err)
				return
			default:
				if !yield(engine.Line{Observation: o}, nil) {
					return
				}
			}
		}
	}
}

func (codec) Encode(w io.Writer, o *penumbra.Observation) error {
	return timeline.NewEncoder(w).Encode(o)
}
