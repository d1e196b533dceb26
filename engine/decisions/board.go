// Package decisions is the engine's room where drifts are decided on. It answers:
// what can be done about a drift, who may have it done and when, and what becomes of
// it? It keeps proposals, asks policies, records decisions, has runs carried out, and
// looks after what they did. What is known of the world it is told by the loop, to
// which it tells what it has done in turn.
//
// It guarantees that nothing is carried out without a recorded decision on the very
// plan, that a stack has one run at a time, and that what a kill left half done is
// ended, or left for a person, at the next start.
package decisions

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Config is what a board needs. All fields are needed unless a comment says
// otherwise.
type Config struct {
	Store       Store
	World       World
	Performance Performance
	// Effects returns what a setting's having a value does to the metrics of
	// resources of a type; nil if that is not known of any.
	Effects func(typ, path string, v penumbra.Value) []penumbra.Effect

	// Queue has runs carried out; nil if none are.
	Queue Queue
	// Policy says who may decide and when runs may start. If it is nil, people may
	// do everything at any time, one of them being enough, and Penumbra nothing.
	Policy Policy
	// Freezes are those of the configuration, beside those that people set.
	Freezes []penumbra.Freeze
	// Stacks are those on which something can be proposed or carried out, by name.
	// They may be put in until the board is used.
	Stacks map[string]*Stack

	Now func() time.Time
	// Clock gives times later than all that it gave before.
	Clock func() time.Time
	Log   *slog.Logger
	// ReadOnly starts no run and changes nothing that is due.
	ReadOnly bool
	// Begin is told that an operation on a stack begins, "propose" or "run", with names
	// and values about it, and returns what is told of its end; Ran is told of a run
	// that has ended before that. Nil if nobody measures.
	Begin func(ctx context.Context, operation, stack string, about ...string) (context.Context, func(error))
	Ran   func(ctx context.Context, run *penumbra.Run)
}

// Stack is a stack, as decisions see it.
type Stack struct {
	Name string
	// Watched says that sources read it.
	Watched    bool
	Proposer   Proposer   // nil if nothing can be proposed for it
	Remediator Remediator // nil if nothing can be carried out
	// Work is held by whoever plans or applies: one tool at a time works on a stack.
	Work sync.Locker
}

// Board is where drifts are decided on.
type Board struct {
	cfg Config

	// working guards what follows.
	working  sync.Mutex
	stopping bool            // no new run may start
	counted  map[string]bool // runs that this process has put in → whether it was decided on in it
	atWork   map[string]bool // runs at work
	executed map[string]bool // runs that this process has begun and that have not ended
	idle     *sync.Cond      // told when none is counted any more

	// deciding is held while a decision is taken: who counts approvals must not
	// be overtaken by another.
	deciding sync.Mutex
	tried    map[string]time.Time // drift's identifier → its last change that policies were tried on; guarded by deciding

	// watching guards underWatch, and is held while the watch of a run, or that it
	// was taken back, is read, changed and saved: one would undo the other.
	watching   sync.Mutex
	underWatch map[string]bool // identifiers of runs

	// attending guards attentions: what is read more often, as it is stored.
	attending  sync.Mutex
	attentions []penumbra.Attention

	omitted sync.Map // drift's identifier → []penumbra.Omitted, of the last proposing
}

// New makes a board. Nothing is done before [Board.Recover].
func New(cfg Config) *Board {
	if cfg.Policy == nil {
		cfg.Policy = everybody{}
	}
	if cfg.Begin == nil {
		cfg.Begin = func(ctx context.Context, _, _ string, _ ...string) (context.Context, func(error)) {
			return ctx, func(error) {}
		}
	}
	if cfg.Ran == nil {
		cfg.Ran = func(context.Context, *penumbra.Run) {}
	}
	b := &Board{
		cfg: cfg, stopping: cfg.ReadOnly || cfg.Queue == nil, counted: map[string]bool{}, atWork: map[string]bool{}, executed: map[string]bool{},
		tried: map[string]time.Time{}, underWatch: map[string]bool{},
	}
	b.idle = sync.NewCond(&b.working)
	return b
}

// Start has jobs done from now on, first of all what a stop or a kill has left: runs
// that have not ended go on, or are ended, and runs that are watched are watched on.
func (b *Board) Start(ctx context.Context) error {
	if err := b.resume(ctx); err != nil {
		return err
	}
	if b.cfg.Queue == nil {
		return nil
	}
	if err := b.leftover(ctx); err != nil {
		return err
	}
	return b.cfg.Queue.Start(ctx, b.do)
}

// Due does what is due now: it watches what runs did, and approves what policies let
// Penumbra approve.
func (b *Board) Due(ctx context.Context) error {
	if b.cfg.ReadOnly {
		return nil
	}
	return errors.Join(b.watchDue(ctx), b.attentionsDue(ctx), b.approveByPolicy(ctx))
}

// Stop starts no new run and waits for those at work, however long they take.
func (b *Board) Stop(ctx context.Context) error {
	b.working.Lock()
	b.stopping = true
	b.working.Unlock()
	if b.cfg.Queue == nil {
		return nil
	}
	return b.cfg.Queue.Stop(ctx)
}

// Wait waits until the runs that were put in have ended and what follows from them is
// recorded. It is of no use once the board was stopped.
func (b *Board) Wait() {
	b.working.Lock()
	defer b.working.Unlock()
	for len(b.counted) > 0 {
		b.idle.Wait()
	}
}

// SaveRun keeps a run's state.
func (b *Board) SaveRun(ctx context.Context, run penumbra.Run) error {
	return b.cfg.Store.SaveRun(ctx, run)
}
