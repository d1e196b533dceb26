package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/catalogue"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// Config is what an engine is made of. All fields are needed unless a comment
// says otherwise.
type Config struct {
	Store     Store
	NewShadow func() Shadow
	// Past is what the store's timelines say, if that is at hand; nil if they are to be
	// read. It is the engine's from then on, its Network and Diagnosis with it.
	Past *Past
	// NewFamily makes the shadow of a family from what a version of it starts
	// from, nil if from nothing. It returns an error of kind Damaged if that is
	// not the family's. If it is nil there is the one family that NewShadow makes.
	NewFamily func(family string, body []byte) (Shadow, error)
	Judge     Judge
	Codec     Codec
	Fold      func(*penumbra.Resource, *penumbra.Observation)
	Order     func([]penumbra.Observation) []penumbra.Observation
	// Explain says why the shadow answers as it does; nil if nobody can say.
	Explain Explain

	// Mapper gives log records and metrics to resources; nil if none are taken in.
	Mapper Mapper
	// Namer, Monitor and NewRate are what metrics need; Monitor nil if none are.
	Namer   inputs.Namer
	Monitor Monitor
	NewRate func() inputs.Rate
	// Diagnosis joins drifts and anomalies; nil if nothing does.
	Diagnosis Diagnosis
	// Network is beside the shadow and sees what has metrics; nil if there is none.
	Network Network
	Inputs  []inputs.Input
	// NewLimits makes what follows settings whose template is bounds; nil if there
	// are none.
	NewLimits func() Limits

	// Files says which files of people's are in use, and why newer ones are not; nil if
	// nobody reads them again.
	Files func() []penumbra.FilesStatus
	// Queue has runs carried out; nil if none are. It is the engine's until it is closed.
	Queue decisions.Queue
	// Policy says who may decide and when runs may start. If it is nil, people may
	// do everything at any time, one of them being enough, and Penumbra nothing.
	Policy decisions.Policy
	// Freezes are those of the configuration, beside those that people set.
	Freezes []penumbra.Freeze

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
	// Begin is told that an operation on a stack begins, "loop", "read", "turn",
	// "propose" or "run", with names and values about it, and returns what is told of
	// its end. Nil if nobody measures.
	Begin func(ctx context.Context, operation, stack string, about ...string) (context.Context, func(error))
	// Ran is told of each run that has ended, within its operation; nil if nobody is.
	Ran func(ctx context.Context, run *penumbra.Run)
}

// Stack is one set of resources under one code.
type Stack struct {
	Name string
	Dir  string
	// Readers are what reads it; none if it is known from ingested timelines only.
	// Several may read the same resource: one what the code declares, another
	// what is really there.
	Readers  []Reader
	Proposer decisions.Proposer // nil if nothing can be proposed for it
	// Remediator makes what carries out runs on it. The engine given is the
	// journal, the rule book and the verifier of the runs. Nil if nothing can
	// be carried out.
	Remediator func(*Engine) decisions.Remediator
}

// Reader is a source of a stack with its period and its budget.
type Reader struct {
	// Name is the technology, with more behind it if the stack has several of it;
	// it becomes the Source of the observations that it reads.
	Name   string
	Source Source
	// Every is the period of its snapshots, Gap and Burst are its budget: the
	// schedule's if zero.
	Every time.Duration
	Gap   time.Duration
	Burst int
	// Cadence gives resources another period than Every; the first that matches
	// counts. Of a [Targeted] source only those are read that are due; of any other
	// the whole, as often as the most frequent of its resources wants.
	Cadence []Cadence
	// Watch reports that something that it reads changed, by calling changed,
	// until ctx ends. Nil if nothing is watched.
	Watch func(ctx context.Context, changed func()) error
}

// Engine turns the loop over all stacks.
type Engine struct {
	cfg   Config
	clock *clock
	log   *slog.Logger
	news  *feed
	// catalogue is what lists are answered from, so that they need no other lock.
	catalogue *catalogue.Catalogue

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
	// closer are the resources that are read more often for a time; guarded by mu.
	closer map[penumbra.Address]penumbra.Attention
	stacks map[string]*stack
	model  serving
	late   bool                      // an observation came behind others: the shadow must be rebuilt
	behind map[penumbra.Address]bool // the resources of which some did
	// restored counts how often everything was built anew, and dropped says that the
	// shadow's checkpoint is no more.
	restored int
	dropped  bool
	// closed is the sequence that the shadow had when it was saved at the end, 0 before.
	closed int64
	scores scores

	// running says that Run is there to do what is put off: peers of what drifted, and
	// replays of the timeline, of which there is one at a time.
	running   atomic.Bool
	peers     *peers
	toReplay  chan struct{}
	replaying sync.Mutex
	// replayedAtOnce is the constant of its name, but for tests.
	replayedAtOnce int64

	saving sync.Mutex // guards the order in which drifts are stored

	// Board is where drifts are decided on.
	*decisions.Board

	// Intake is where logs and metrics come in.
	*inputs.Intake

	changes []Change // of late, oldest first; guarded by mu
	limits  Limits   // guarded by mu
	// took are the events of Penumbra's own that tell of what took a while, and when that
	// began; guarded by mu.
	took map[touchKey]time.Time
	// begun are anomalies whose suspects have yet to be ranked; guarded by mu.
	begun map[string]bool
	// anomalous is when an anomaly was last noticed, in nanoseconds since 1970:
	// while none was of late, nothing has to be joined with any.
	anomalous atomic.Int64
}

// tracked is a resource with what the engine remembers of it between turns.
type tracked struct {
	penumbra.Resource
	active []penumbra.Drift
	// accepted are resolved drifts that are open again when their acceptance ends.
	accepted []penumbra.Drift
	verdict  penumbra.Verdict
	last     time.Time                           // of the newest observation folded in
	stored   time.Time                           // of the newest snapshot stored
	code     string                              // digest of the last template observation
	claims   []string                            // the sources that read it
	looks    []look                              // the last one of each of them, if there are several
	metered  bool                                // has metrics, so that the network sees it
	held     map[string][]penumbra.ExpectedPoint // what was expected, by path
}

// note takes down what the engine itself has to know of an observation.
func (r *tracked) note(o *penumbra.Observation) {
	if ordered(o) {
		r.last = o.Time
	}
	switch o.Kind {
	case penumbra.TemplateKind:
		r.code = codeDigest(o)
	case penumbra.SnapshotKind:
		r.stored = o.Time
	default:
		return
	}
	if !slices.Contains(r.claims, o.Source) {
		r.claims = append(r.claims, o.Source)
	}
	r.looked(o)
}

// look is what a source saw last of a resource.
type look struct {
	source   string
	at       time.Time
	settings penumbra.Settings
	full     bool
}

// looked remembers what a source saw of a resource that others read too.
func (r *tracked) looked(o *penumbra.Observation) {
	if o.Kind != penumbra.SnapshotKind || o.NotChecked != "" || len(r.claims) < 2 {
		return
	}
	now := look{o.Source, o.Time, o.Settings, o.Full}
	if i := slices.IndexFunc(r.looks, func(l look) bool { return l.source == o.Source }); i >= 0 {
		r.looks[i] = now
		return
	}
	r.looks = append(r.looks, now)
}

// New opens an engine on what its store holds: the timelines are folded, the
// shadow is read from its last checkpoint and brought up to date, and runs that
// a crash left unended are recovered.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	e := blank(cfg)
	cfg = e.cfg
	if err := e.openIntake(); err != nil {
		return nil, err
	}
	for _, s := range cfg.Stacks {
		if !penumbra.ValidStackName(s.Name) {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("stack name %q", s.Name), Remedy: "use letters, digits, '.', '_' and '-'"}
		}
		if e.stacks[s.Name] != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("two stacks are named %q", s.Name), Remedy: "give each a name of its own"}
		}
		e.stacks[s.Name] = newStack(s, cfg.Schedule)
	}
	e.openBoard()
	if err := e.loadRules(ctx); err != nil {
		return nil, err
	}
	if err := e.loadModel(ctx); err != nil {
		return nil, err
	}
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	if err := e.recallFreezes(ctx); err != nil {
		return nil, err
	}
	if err := e.loadEyes(ctx); err != nil {
		return nil, err
	}
	if err := e.RecallAttentions(ctx); err != nil {
		return nil, err
	}
	if cfg.ReadOnly {
		return e, nil
	}
	return e, e.Start(ctx)
}

// blank returns an engine that knows nothing yet.
func blank(cfg Config) *Engine {
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
	if cfg.Begin == nil {
		cfg.Begin = func(ctx context.Context, _, _ string, _ ...string) (context.Context, func(error)) {
			return ctx, func(error) {}
		}
	}
	cfg.Schedule = cfg.Schedule.withDefaults()
	news, shown := newFeed(cfg.Now), catalogue.New()
	cfg.Store = tellingStore{cfg.Store, news, shown}
	return &Engine{
		cfg: cfg, log: cfg.Log, clock: newClock(cfg.Now, cfg.Log), news: news, catalogue: shown, peers: newPeers(),
		toReplay: make(chan struct{}, 1), replayedAtOnce: replayedAtOnce, behind: map[penumbra.Address]bool{},
		resources: map[penumbra.Address]*tracked{},
		stacks:    map[string]*stack{},
		begun:     map[string]bool{},
		took:      map[touchKey]time.Time{},
	}
}

// recallFreezes sees to it that the clock does not begin before the freezes that are
// recorded: they would not hold yet.
func (e *Engine) recallFreezes(ctx context.Context) error {
	set, err := e.cfg.Store.Freezes(ctx)
	for _, f := range set {
		e.clock.notBefore(f.Created)
	}
	return err
}

// Run watches all stacks until ctx ends. It then stops in this order: no new
// read and no new run starts; reads at work are interrupted, they change
// nothing; runs at work are waited for, however long they take; the shadow is
// saved.
func (e *Engine) Run(ctx context.Context) error {
	g, running := errgroup.WithContext(ctx)
	for _, s := range e.stacks {
		for _, src := range s.sources {
			g.Go(func() error { return e.watch(running, s, src) })
			if src.Watch != nil {
				g.Go(func() error { return e.watchFiles(running, s, src) })
			}
		}
	}
	g.Go(func() error { return e.Intake.Run(running) })
	g.Go(func() error { return e.tendDue(running) })
	g.Go(func() error { return e.checkpoints(running) })
	g.Go(func() error { return e.learn(running) })
	e.running.Store(true)
	g.Go(func() error { return e.lookAtPeers(running) })
	g.Go(func() error { return e.replayLate(running) })
	g.Go(func() error { return e.Reviews(running) })
	err := g.Wait()
	e.running.Store(false)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, e.Close(context.WithoutCancel(ctx)))
}

// Close waits for runs at work and saves the shadow, once more only if something was
// stored since. The store stays open.
func (e *Engine) Close(ctx context.Context) error {
	stopped := e.Stop(ctx)
	e.EndRecordings()
	if e.cfg.ReadOnly {
		return stopped
	}
	return errors.Join(stopped, e.saveLast(ctx), e.saveEyes(ctx))
}

// saveLast saves the shadow at the end. Whoever closes an engine that ran does it a second
// time, and a large shadow takes minutes.
func (e *Engine) saveLast(ctx context.Context) error {
	defer e.settled()()
	sequence, err := e.cfg.Store.Sequence(ctx)
	if err != nil || e.closed > 0 && e.closed == sequence {
		return err
	}
	if err := e.save(ctx); err != nil {
		return err
	}
	e.closed = sequence
	return nil
}

func (e *Engine) watchFiles(ctx context.Context, s *stack, src *source) error {
	if err := src.Watch(ctx, src.wake); err != nil && ctx.Err() == nil {
		// The clock still triggers reads, so this is worth a warning, no more.
		e.log.Warn("files are not watched; snapshots go on by the clock", "stack", s.Name, "source", src.Name, "error", err)
	}
	return nil
}

// every calls a function at the end of each period until ctx ends.
func every(ctx context.Context, period time.Duration, do func()) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			do()
		}
	}
}

func (e *Engine) checkpoints(ctx context.Context) error {
	return every(ctx, e.cfg.CheckpointEvery, func() {
		if err := e.checkpoint(ctx); err != nil {
			e.log.Error("the shadow was not saved; it will be rebuilt from the timeline if need be", "error", err)
		}
		if err := e.saveEyes(ctx); err != nil {
			e.log.Error("what is known of logs and metrics was not saved; it is learnt again after a restart", "error", err)
		}
		if err := e.Trim(ctx); err != nil {
			e.log.Error("old records kept aside were not dropped; they are tried again", "error", err)
		}
	})
}

// dueEvery is how often it is looked what is due.
const dueEvery = 15 * time.Second

// tendDue does what is due until ctx ends.
func (e *Engine) tendDue(ctx context.Context) error {
	return every(ctx, dueEvery, func() {
		if err := e.Due(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("not all that is due could be done; it is tried again", "error", penumbra.Redact(err.Error()))
		}
	})
}

// Due does what is due now: it ends snoozes and acceptances, watches what runs did, and approves what policies let Penumbra
// approve. Run calls it every few seconds.
func (e *Engine) Due(ctx context.Context) error {
	if e.cfg.ReadOnly {
		return nil
	}
	return errors.Join(e.wakeDue(ctx), e.reviveDue(ctx), e.Board.Due(ctx))
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
	if err := e.cfg.Store.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: e.model.checkpoint(), Sequence: sequence, Time: e.clock.now(), Data: buf.Bytes()}); err != nil {
		return err
	}
	e.mu.Lock()
	e.dropped = false
	e.mu.Unlock()
	return nil
}
