package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
)

// Config is what an engine is made of. All fields are needed unless a comment
// says otherwise.
type Config struct {
	Store     Store
	NewShadow func() Shadow
	// NewFamily makes the shadow of a family from what a version of it starts
	// from, nil if from nothing. It returns an error of kind Damaged if that is
	// not the family's. If it is nil there is the one family that NewShadow makes.
	NewFamily func(family string, body []byte) (Shadow, error)
	Judge     Judge
	Codec     Codec
	Fold      func(*penumbra.Resource, *penumbra.Observation)
	Order     func([]penumbra.Observation) []penumbra.Observation
	// Explain says why the shadow answers as it does; nil if nobody can say.
	Explain  Explain
	Stacks   []Stack
	Key      penumbra.Key
	Schedule Schedule

	// Confidence of the expectations that verdicts rest on, 0.95 if zero.
	Confidence float64
	// Heartbeat is how often an unchanged snapshot is stored all the same, a
	// day if zero: evidence that the resource was looked at.
	Heartbeat time.Duration
	// CheckpointEvery is how often the shadow is saved, 10 minutes if zero.
	CheckpointEvery time.Duration
	// ReadOnly leaves the store as it is: no run is recovered or started, no
	// checkpoint is saved.
	ReadOnly bool
	Version  string
	// ModelName is the family that keeps the shadow, or [AutoModel].
	ModelName string
	Now       func() time.Time // time.Now if nil
	Log       *slog.Logger     // discarded if nil
}

// Stack is one set of resources under one code.
type Stack struct {
	Name       string
	Dir        string
	Technology string
	Every      time.Duration // the period of its snapshots, the schedule's if zero
	Source     Source        // nil if the stack is known from ingested timelines only
	Proposer   Proposer      // nil if nothing can be proposed for it
	// Remediator makes what carries out runs on it. The engine given is the
	// journal, the rule book and the verifier of the runs. Nil if nothing can
	// be carried out.
	Remediator func(*Engine) Remediator
	// Watch reports that something under the stack's folder changed, by
	// calling changed, until ctx ends. Nil if nothing is watched.
	Watch func(ctx context.Context, changed func()) error
}

// Engine turns the loop over all stacks.
type Engine struct {
	cfg   Config
	clock *clock
	log   *slog.Logger

	// Observations pass two locks, hand over hand, so that they are folded in
	// the order in which they were stored while the next ones are being stored
	// already: door is held while storing, turns is taken before door is given
	// up and held while folding. Who holds both has seen everything folded that
	// is stored.
	door, turns sync.Mutex

	// mu guards what is known.
	mu        sync.RWMutex
	shadow    Shadow
	resources map[penumbra.Address]*tracked
	stacks    map[string]*stack
	model     serving
	late      bool // an observation came behind others: the shadow must be rebuilt

	working  sync.Mutex     // guards stopping against the start of a run
	stopping bool           // no new run may start
	runs     sync.WaitGroup // runs at work; a stop waits for them

	omitted sync.Map // drift's identifier → []penumbra.Omitted, of the last proposing
}

// tracked is a resource with what the engine remembers of it between turns.
type tracked struct {
	penumbra.Resource
	active  []penumbra.Drift
	verdict penumbra.Verdict
	last    time.Time // of the newest observation folded in
	stored  time.Time // of the newest snapshot stored
	code    string    // digest of the last template observation
}

// New opens an engine on what its store holds: the timelines are folded, the
// shadow is read from its last checkpoint and brought up to date, and runs that
// a crash left unended are recovered.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Confidence == 0 {
		cfg.Confidence = 0.95
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 24 * time.Hour
	}
	if cfg.CheckpointEvery == 0 {
		cfg.CheckpointEvery = 10 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Schedule = cfg.Schedule.withDefaults()
	e := &Engine{
		cfg: cfg, log: cfg.Log, clock: newClock(cfg.Now, cfg.Log),
		resources: map[penumbra.Address]*tracked{},
		stacks:    map[string]*stack{},
	}
	for _, s := range cfg.Stacks {
		if !penumbra.ValidStackName(s.Name) {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("stack name %q", s.Name), Remedy: "use letters, digits, '.', '_' and '-'"}
		}
		if e.stacks[s.Name] != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("two stacks are named %q", s.Name), Remedy: "give each a name of its own"}
		}
		e.stacks[s.Name] = newStack(s, cfg.Schedule)
		if s.Remediator != nil {
			e.stacks[s.Name].remediator = s.Remediator(e)
		}
	}
	if err := e.loadRules(ctx); err != nil {
		return nil, err
	}
	if err := e.loadModel(ctx); err != nil {
		return nil, err
	}
	if err := e.restore(ctx); err != nil {
		return nil, err
	}
	if cfg.ReadOnly {
		e.stopping = true
		return e, nil
	}
	return e, e.recoverRuns(ctx)
}

// Run watches all stacks until ctx ends. It then stops in this order: no new
// read and no new run starts; reads at work are interrupted, they change
// nothing; runs at work are waited for, however long they take; the shadow is
// saved.
func (e *Engine) Run(ctx context.Context) error {
	g, running := errgroup.WithContext(ctx)
	for _, s := range e.stacks {
		if s.Source == nil {
			continue
		}
		g.Go(func() error { return e.watch(running, s) })
		if s.Watch != nil {
			g.Go(func() error { return e.watchFiles(running, s) })
		}
	}
	g.Go(func() error { return e.checkpoints(running) })
	g.Go(func() error { return e.learn(running) })
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, e.Close(context.WithoutCancel(ctx)))
}

// Close waits for runs at work and saves the shadow. The store stays open.
func (e *Engine) Close(ctx context.Context) error {
	e.working.Lock()
	e.stopping = true
	e.working.Unlock()
	e.runs.Wait()
	if e.cfg.ReadOnly {
		return nil
	}
	return e.checkpoint(ctx)
}

func (e *Engine) watchFiles(ctx context.Context, s *stack) error {
	if err := s.Watch(ctx, s.wake); err != nil && ctx.Err() == nil {
		// The clock still triggers reads, so this is worth a warning, no more.
		e.log.Warn("files are not watched; snapshots go on by the clock", "stack", s.Name, "error", err)
	}
	return nil
}

func (e *Engine) checkpoints(ctx context.Context) error {
	tick := time.NewTicker(e.cfg.CheckpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := e.checkpoint(ctx); err != nil {
				e.log.Error("the shadow was not saved; it will be rebuilt from the timeline if need be", "error", err)
			}
		}
	}
}

// settled waits until all that is stored is folded in, and keeps it so until
// the function returned is called.
func (e *Engine) settled() (release func()) {
	e.door.Lock()
	e.turns.Lock()
	return func() {
		e.turns.Unlock()
		e.door.Unlock()
	}
}

// checkpoint saves the shadow with the sequence that is folded into it, and what
// it has learnt of late.
func (e *Engine) checkpoint(ctx context.Context) error {
	defer e.settled()()
	return e.save(ctx)
}

// save is checkpoint while everything stored is folded in.
func (e *Engine) save(ctx context.Context) error {
	if err := e.recordLearnt(ctx); err != nil {
		return err
	}
	saver, ok := e.shadow.(Checkpointer)
	if !ok || e.late {
		return nil
	}
	sequence, err := e.cfg.Store.Sequence(ctx)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	e.mu.Lock() // writing may first learn what was put off
	_, err = saver.WriteTo(&buf)
	e.mu.Unlock()
	if err != nil {
		return fmt.Errorf("save the shadow: %w", err)
	}
	return e.cfg.Store.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: e.model.checkpoint(), Sequence: sequence, Time: e.clock.now(), Data: buf.Bytes()})
}
