// Package wire joins configuration, adapters, stages and store into an engine. It
// answers one question: given penumbra.yaml, what watches, judges, proposes and
// applies? The verbs open an engine with [Open], or take one look with [Look];
// what they print is theirs. It is a package of its own so that nothing in it can
// ask for a flag or a terminal.
package wire

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/adapter/ansible"
	"github.com/penumbra-iac/penumbra/adapter/hcl"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/reads"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
	"github.com/penumbra-iac/penumbra/notify"
	"github.com/penumbra-iac/penumbra/policy"
	"github.com/penumbra-iac/penumbra/proposal"
	"github.com/penumbra-iac/penumbra/store/contract"
	"github.com/penumbra-iac/penumbra/telemetry"
	"github.com/penumbra-iac/penumbra/timeline"
	"github.com/penumbra-iac/penumbra/web"
)

// Loop is an engine with what it stands on.
type Loop struct {
	Engine *engine.Engine
	Audit  *audit.Log
	Access *access.Keeper
	Teller *notify.Teller
	rights *policy.Access // what whoever asks may; set by Open
	store  contract.Store
	// Sessions keeps browsers that have signed in.
	Sessions web.SessionStore
	// Tasks does work on the model that takes long: a daemon's, otherwise it says that
	// none runs.
	Tasks api.Tasker
	mover *Mover
	// roster says which nodes share the store.
	roster Roster
	// Manuals is the knowledge in use.
	Manuals Manuals
	// Files says which policies and which knowledge are in use.
	Files func() []penumbra.FilesStatus
	// Reread reads policies and knowledge again whenever they change, until ctx ends.
	Reread func(ctx context.Context) error
	// Upkeep sees that the store stays this process's alone, and keeps no more of it than
	// is configured, until ctx ends. Its error is of kind Locked if another process has
	// taken the store over.
	Upkeep func(ctx context.Context) error
	Close  func(context.Context) error
}

// Answers keeps what requests with a key of their own were answered.
func (l *Loop) Answers() api.Answers { return l.store }

// Tell tells people of what is new, changed or over until ctx ends.
func (l *Loop) Tell(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for range l.Engine.Subscribe(ctx) {
			l.Teller.Wake()
		}
		return nil
	})
	g.Go(func() error { return l.Teller.Run(ctx) })
	return g.Wait()
}

// Options are what an engine needs that no configuration says.
type Options struct {
	Log *slog.Logger
	// Version is that of the program, which reports and forges are told.
	Version string
	Now     func() time.Time // time.Now if nil
	// Shift is added to the times of log lines read, if not nil: a clock that Now
	// is ahead of the machine's by as much sees them happen in its own time.
	Shift func() time.Duration
	// Telemetry measures the loop; nil if nobody does.
	Telemetry *telemetry.Telemetry
	// Turn is for which this process leads others that share its store; nil if there
	// are none.
	Turn *Turn
	// Hold, if not nil, keeps a daemon from watching by itself until closed.
	Hold <-chan struct{}

	cipher    savedplan.Cipher // of plans and logs; set by Open
	messenger *messenger       // set by Open
	laws      lawbook          // set by Open
	asker     *reads.Asker     // set by Open; nil if this process reads alone
}

// Clock is the clock of the engine.
func (o Options) Clock() func() time.Time {
	if o.Now == nil {
		return time.Now
	}
	return o.Now
}

// open joins all parts into an engine on the configured data directory, which
// is this process's alone until it is closed.
func open(ctx context.Context, c *Config, o Options) (*Loop, error) {
	dir := c.DataDir()
	lock, err := LockData(dir)
	if err != nil {
		return nil, err
	}
	store, err := c.openStore(ctx, o)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	release := func() error { return errors.Join(store.close(context.WithoutCancel(ctx)), lock.Unlock()) }
	keys, err := c.Keyring(o.Clock())
	if err != nil {
		return nil, errors.Join(err, release())
	}
	o.cipher, o.messenger, o.asker = keys, &messenger{}, store.asker
	log, audited, err := openAudit(ctx, c, store.sealed(keys), store, o)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	if _, err := bringUp(ctx, c, store, log); err != nil {
		return nil, errors.Join(err, release())
	}
	reread, err := startReading(c, groupsOf(store), o)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	reread.recorded = func(ctx context.Context) error { return c.recordConfig(ctx, log) }
	o.laws = lawbook{reread, log}
	cfg, err := engineConfig(c, audited, reread, o)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	if o.Telemetry != nil {
		cfg.Begin, cfg.Ran = o.Telemetry.Begin, o.Telemetry.Steps
	}
	who, err := openAccess(c, store, log)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	cfg.Queue = store.queue
	var roster Roster
	if o.Turn != nil {
		cfg.Past = o.Turn.past
		roster.election = o.Turn.election
	}
	e, err := engine.New(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	teller, err := c.teller(store, e, store, o)
	if err != nil {
		return nil, errors.Join(err, e.Close(ctx), release())
	}
	o.messenger.teller.Store(teller)
	return &Loop{
		Engine: e, Audit: log, Access: who, Teller: teller, store: store, Sessions: store, Tasks: noTasks{}, mover: &Mover{c: c}, roster: roster,
		Manuals: reread.base, Files: reread.status, Reread: reread.run,
		Upkeep: func(ctx context.Context) error { return store.upkeep(ctx, log) },
		Close: func(ctx context.Context) error {
			return errors.Join(e.Close(ctx), log.Checkpoint(ctx, c.AuditHeads()), release())
		},
	}, nil
}

func engineConfig(c *Config, store engine.Store, reread *rereading, o Options) (engine.Config, error) {
	th, err := c.Thresholds()
	if err != nil {
		return engine.Config{}, err
	}
	judge, err := drift.NewJudge(th)
	if err != nil {
		return engine.Config{}, err
	}
	rules, err := ignoreRules(c, c.Folder, "")
	if err != nil {
		return engine.Config{}, err
	}
	m := Manuals(reread.base)
	key, err := SealingKey(c.DataDir())
	if err != nil {
		return engine.Config{}, err
	}
	cfg := engine.Config{
		Store: store, NewFamily: NewFamily, Judge: &ruled{Judge: judge, fixed: rules, Manuals: m}, Codec: Codec{},
		Fold: timeline.Fold, Order: timeline.Order, Explain: explained, Key: key, Confidence: c.Confidence,
		Schedule: engine.Schedule{Every: c.Schedule.Every, Jitter: c.Schedule.Jitter, Gap: c.Schedule.Gap, Burst: c.Schedule.Burst, ReadTimeout: c.Schedule.Timeout},
		Version:  o.Version, ModelName: c.Model, Now: o.Now, Log: o.Log,
		NewLimits: c.limits(o.Log),
	}
	cfg.Policy, cfg.Files = governing{reread}, reread.status
	if cfg.Freezes, err = c.freezes(); err != nil {
		return engine.Config{}, err
	}
	for _, s := range c.Stacks {
		stack, err := joinStack(c, s, key, m, o)
		if err == nil {
			c.spread(&stack, s, key, o)
		} else {
			// One stack that cannot be read must not keep the others from being
			// watched, nor hide itself.
			stack = engine.Stack{Name: s.Name, Dir: c.path(s.Dir), Readers: []engine.Reader{{Name: s.kind(), Source: unreadable{err}}}}
		}
		cfg.Stacks = append(cfg.Stacks, stack)
	}
	return cfg, addEyes(c, &cfg, key, o)
}

// Thresholds are those configured for impending drift, or the defaults.
func (c *Config) Thresholds() (drift.Thresholds, error) {
	th := drift.DefaultThresholds()
	copy(th.Leave[:], c.Impending)
	return th, th.Check()
}

// workspace is what proposals need of OpenTofu: its plans, and patches to its
// code.
type workspace struct {
	*tofu.Workspace
	planner    proposal.Planner
	dir, stack string
	varFiles   []string
}

// Plan has any node plan, where there are several.
func (w workspace) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	return w.planner.Plan(ctx, targets, patch)
}

// PatchValues makes the patch after which the code declares the settings.
func (w workspace) PatchValues(_ context.Context, addresses []penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	if len(addresses) == 1 {
		return hcl.Values(w.dir, w.stack, addresses[0], settings, w.varFiles...)
	}
	return hcl.Together(w.dir, w.stack, addresses, settings, w.varFiles...)
}

// PatchInstance makes the patch after which a copy of the code gives the values
// to one instance alone.
func (w workspace) PatchInstance(_ context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	return hcl.Instance(w.dir, w.stack, address, settings, w.varFiles...)
}

// PatchIgnore makes the patch after which OpenTofu ignores changes at paths.
func (w workspace) PatchIgnore(_ context.Context, address penumbra.Address, paths []string, why string) (penumbra.Patch, error) {
	return hcl.IgnoreChanges(w.dir, w.stack, address, paths, why)
}

var _, _ proposal.Guarder = workspace{}, (*ansible.Workspace)(nil)

// PatchGuard makes the patch after which OpenTofu refuses values.
func (w workspace) PatchGuard(_ context.Context, address penumbra.Address, bounds []penumbra.Bound, trial []penumbra.Setting) (penumbra.Patch, error) {
	return hcl.Guard(w.dir, w.stack, address, bounds, trial, w.varFiles...)
}

// PatchImport makes the patch after which OpenTofu imports the resource.
func (w workspace) PatchImport(_ context.Context, address penumbra.Address, id string) (penumbra.Patch, error) {
	return hcl.Import(w.dir, w.stack, address, id)
}

// PatchFiles makes the patch after which files of the code are as given.
func (w workspace) PatchFiles(_ context.Context, files []penumbra.FileEdit) (penumbra.Patch, error) {
	return hcl.Files(w.dir, w.stack, files)
}

// proposer finds proposals with one stack's workspace.
type proposer struct {
	workspace   proposal.Workspace
	manuals     Manuals
	dir, engine string
	way         penumbra.CodeWay
	ranking     *rankingConfig
	laws        lawbook
}

func (p proposer) evidence(c decisions.Case) proposal.Evidence {
	e := proposal.Evidence{Drift: c.Drift, Resource: c.Resource, Alike: c.Alike, Was: c.Was, Now: c.Time, Effects: c.Effects, Load: c.Load, Knowledge: p.manuals, Dir: p.dir, Engine: p.engine, Way: p.way, Policies: p.laws}
	e.Doers, e.Every, e.Gap, e.Attention, e.Told = c.Doers, c.Every, c.Gap, c.Attention, c.Told
	e.Returns = c.Returns
	for _, o := range c.Outcomes {
		e.Outcomes = append(e.Outcomes, proposal.Outcome(o))
	}
	p.ranking.weigh(&e)
	return e
}

func (p proposer) Propose(ctx context.Context, c decisions.Case) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	return proposal.For(ctx, p.evidence(c), p.workspace)
}

func (p proposer) Customize(ctx context.Context, original penumbra.Proposal, edit penumbra.Edit, c decisions.Case) (penumbra.Proposal, error) {
	return proposal.Customized(ctx, original, edit, p.evidence(c), p.workspace)
}

func (p proposer) Part(ctx context.Context, only []string, revert bool, c decisions.Case) (penumbra.Proposal, error) {
	return proposal.Part(ctx, only, revert, p.evidence(c), p.workspace)
}

func (p proposer) Restore(ctx context.Context, run penumbra.Run, original penumbra.Proposal, c decisions.Case) (penumbra.Proposal, error) {
	return proposal.Restoring(ctx, run, original, p.evidence(c), p.workspace)
}

// Codec is the timeline format.
type Codec struct{}

// Decode reads a timeline; a line that cannot be read is given as bad.
func (Codec) Decode(r io.Reader, source string) iter.Seq2[engine.Line, error] {
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

// Encode writes an observation as a line.
func (Codec) Encode(w io.Writer, o *penumbra.Observation) error {
	return timeline.NewEncoder(w).Encode(o)
}
