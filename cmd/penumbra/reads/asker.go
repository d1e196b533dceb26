package reads

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

const (
	// lookEvery is how often it is looked for answers, and for nodes that are gone. An
	// answer is told of too.
	lookEvery = time.Second
	// sweepEvery is how often it is looked for what nobody waits for.
	sweepEvery = time.Minute
	// begins is how long a node may take between taking a job and beginning to read, and how
	// long a job waits while no node reads anything before it is clear that none does.
	begins = 10 * time.Second
	// tries is how often nodes are asked before the one that leads reads itself.
	tries = 3
	// parting bounds what is done for a reading that nobody waits for any more.
	parting = 2 * time.Second
)

// What becomes of a reading that a node was asked for.
const (
	Done      = "ok"
	Failed    = "error" // the node could not read
	GivenBack = "given_back"
	Lost      = "lost" // with its node
)

// AskerConfig is what the node that leads asks with.
type AskerConfig struct {
	Store  *postgres.Store // of the term
	Master atrest.Master
	// Node is the one that leads, and AtOnce how much it reads itself at once of what
	// others could not.
	Node   string
	AtOnce int
	// Within is how long a reading may take.
	Within time.Duration
	// Count counts what became of readings, by the node that had them, and CountPlan of
	// plans, if they are not nil.
	Count, CountPlan func(node, outcome string)
	Log              *slog.Logger
}

// Asker asks the nodes for readings during a term.
type Asker struct {
	c     AskerConfig
	queue *river.Readings
	woken chan struct{}
	here  chan struct{} // holds who reads here

	mu      sync.Mutex
	waiting map[string]*attempt
	large   map[string]bool // the stacks whose plans are too large to be sent

	told told // by stack, source and node, readings and plans apart: why it did not read
}

// attempt is a reading that somebody waits for.
type attempt struct {
	job   int64
	asked time.Time // when it was stored, zero before
	taken time.Time // when it was first seen that a node has its job and does not read
	over  chan end  // has room for it
}

// end is what became of an attempt.
type end int

const (
	answered end = iota + 1
	gone         // with the node that had it
	nobody       // reads at all
)

// NewAsker begins to ask: what earlier leaders have asked for is given up. The database has
// River's tables.
func NewAsker(ctx context.Context, c AskerConfig) (*Asker, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, count := range []*func(string, string){&c.Count, &c.CountPlan} {
		if *count == nil {
			*count = func(string, string) {}
		}
	}
	queue, err := river.NewReadings(c.Store.Pool(), river.Options{Log: c.Log})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.Store.DropReadings(ctx), queue.Clear(ctx)); err != nil {
		return nil, err
	}
	return &Asker{
		c: c, queue: queue, woken: make(chan struct{}, 1), here: make(chan struct{}, max(1, c.AtOnce)),
		waiting: map[string]*attempt{}, large: map[string]bool{},
	}, nil
}

// Run looks for answers until ctx ends. Who asks before waits.
func (a *Asker) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		a.c.Store.Answers(ctx, func() {
			select {
			case a.woken <- struct{}{}:
			default: // one that is not yet looked for is enough
			}
		})
		return nil
	})
	g.Go(func() error {
		look, sweep := time.NewTicker(lookEvery), time.NewTicker(sweepEvery)
		defer look.Stop()
		defer sweep.Stop()
		for {
			var err error
			select {
			case <-ctx.Done():
				return nil
			case <-a.woken:
				err = a.look(ctx)
			case <-look.C:
				err = a.look(ctx)
			case <-sweep.C:
				err = a.sweep(ctx)
			}
			if err != nil && ctx.Err() == nil {
				a.c.Log.Debug("the readings that nodes were asked for could not be looked at; that is tried again", "error", err)
			}
		}
	})
	return g.Wait()
}

// look tells those who wait what has become of their readings.
func (a *Asker) look(ctx context.Context) error {
	// A node may answer before this one knows that what it asked is stored.
	a.mu.Lock()
	pending, asked := maps.Clone(a.waiting), make(map[string]time.Time, len(a.waiting))
	for id, w := range a.waiting {
		if !w.asked.IsZero() {
			asked[id] = w.asked
		}
	}
	a.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	all, err := a.c.Store.Readings(ctx)
	if err != nil {
		return err
	}
	var jobs []int64 // of what nobody reads yet
	var idle []*attempt
	there, busy := make(map[string]bool, len(all)), false
	for i := range all {
		r := &all[i]
		there[r.ID] = true
		busy = busy || r.Node != "" && !r.Lost
		switch w := pending[r.ID]; {
		case w == nil:
		case r.Answered:
			w.end(answered)
		case r.Lost:
			w.end(gone)
		case r.Node == "" && !asked[r.ID].IsZero() && time.Since(asked[r.ID]) > lookEvery:
			jobs, idle = append(jobs, r.Job), append(idle, w)
		}
	}
	for id := range asked {
		if !there[id] {
			pending[id].end(gone)
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	taken, err := a.queue.Taken(ctx, jobs)
	if err != nil {
		return err
	}
	for _, w := range idle {
		switch {
		case taken[w.job] && w.taken.IsZero():
			w.taken = time.Now() // only here
		case taken[w.job] && time.Since(w.taken) > begins:
			w.end(gone)
		case !taken[w.job] && !busy && time.Since(w.asked) > begins:
			w.end(nobody)
		}
	}
	return nil
}

func (w *attempt) end(how end) {
	select {
	case w.over <- how:
	default: // it was told already
	}
}

// sweep gives up what nobody waits for, as its end could not be stored, and deletes jobs
// that are over.
func (a *Asker) sweep(ctx context.Context) error {
	all, err := a.c.Store.Readings(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		a.mu.Lock()
		waited := a.waiting[all[i].ID] != nil
		a.mu.Unlock()
		if waited {
			continue
		}
		if _, _, err := a.c.Store.TakeAnswer(ctx, all[i].ID); err != nil && penumbra.KindOf(err) != penumbra.NotFound {
			return err
		}
		if err := a.queue.GiveUp(ctx, all[i].Job); err != nil {
			return err
		}
	}
	return a.queue.Sweep(ctx)
}

// Source returns a source that is read by any node. It is named as the nodes know it, by
// its stack and name. digest is of what has to be the same on two nodes for both to read
// the same.
func (a *Asker) Source(stack, name string, own engine.Source, digest func() (string, error)) engine.Source {
	d := distant{asker: a, stack: stack, name: name, own: own, digest: digest}
	if targeted, ok := own.(engine.Targeted); ok {
		return distantSome{d, targeted}
	}
	return d
}

// distant is a source that any node reads.
type distant struct {
	asker       *Asker
	stack, name string
	own         engine.Source
	digest      func() (string, error)
}

var (
	_ engine.Distant  = distant{}
	_ engine.Distant  = distantSome{}
	_ engine.Targeted = distantSome{}
)

// Read implements [engine.Source].
func (d distant) Read(ctx context.Context) ([]penumbra.Observation, error) {
	return d.asker.read(ctx, d, nil)
}

// ReadHere implements [engine.Distant].
func (d distant) ReadHere(ctx context.Context) ([]penumbra.Observation, error) {
	return d.own.Read(ctx)
}

// distantSome is one of which some resources can be read.
type distantSome struct {
	distant
	some engine.Targeted
}

// ReadSome implements [engine.Targeted].
func (d distantSome) ReadSome(ctx context.Context, addresses []penumbra.Address) ([]penumbra.Observation, error) {
	return d.asker.read(ctx, d.distant, addresses)
}

// read has a node read, or reads here where none can.
func (a *Asker) read(ctx context.Context, d distant, some []penumbra.Address) ([]penumbra.Observation, error) {
	got, err := a.have(ctx, errand{
		asked:  river.Reading{Stack: d.stack, Source: d.name, Some: some},
		digest: func(context.Context) (string, error) { return d.digest() },
		here: func(ctx context.Context) (out answer, err error) {
			out.Observations, err = read(ctx, d.own, some)
			return out, err
		},
		count: a.c.Count,
	})
	return got.Observations, err
}

// Planner returns a planner whose plans are made by any node, and kept by this one. It is
// named as [Asker.Source] is, and digest is the same.
func (a *Asker) Planner(stack, name string, own Planner, digest func() (string, error)) *DistantPlanner {
	return &DistantPlanner{asker: a, stack: stack, name: name, own: own, digest: digest}
}

// DistantPlanner is a planner whose plans any node makes.
type DistantPlanner struct {
	asker       *Asker
	stack, name string
	own         Planner
	digest      func() (string, error)
}

// Plan is [Planner.Plan] of whichever node has room. The plan is kept here in either case.
func (d *DistantPlanner) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	e := errand{
		asked: river.Reading{Stack: d.stack, Source: d.name},
		digest: func(ctx context.Context) (string, error) {
			code, err := d.digest()
			if err != nil {
				return "", err
			}
			return planDigest(ctx, code, d.own)
		},
		here: func(ctx context.Context) (answer, error) {
			p, err := d.own.Plan(ctx, targets, patch)
			return answer{Plan: &p}, err
		},
		count: d.asker.c.CountPlan,
	}
	var err error
	if e.asked.Plan, err = seal(order{targets, patch}, d.asker.c.Master); err != nil {
		return penumbra.Plan{}, err
	}
	got, err := d.asker.have(ctx, e)
	if err != nil {
		return penumbra.Plan{}, err
	}
	if !got.here {
		kept, err := d.keep(got, e.asked.Plan)
		if err == nil {
			return kept, nil
		}
		d.asker.c.Log.Warn("what another node has planned cannot be kept here; this one plans", "stack", d.stack, "error", err)
		if got, err = d.asker.doHere(ctx, e); err != nil {
			return penumbra.Plan{}, err
		}
	}
	return *got.Plan, nil
}

// keep keeps what another node has planned, if it is what was ordered.
func (d *DistantPlanner) keep(got answer, order []byte) (penumbra.Plan, error) {
	if got.Plan == nil || !bytes.Equal(got.Order, orderOf(order)) {
		return penumbra.Plan{}, errors.New("it is of something else")
	}
	return d.own.KeepPlan(*got.Plan, got.Saved)
}

// planDigest joins the digest of what has to be the same to read with that of what has to be
// for a plan to be applied by another node.
func planDigest(ctx context.Context, code string, p Planner) (string, error) {
	tool, err := p.PlanDigest(ctx)
	return code + " " + tool, err
}

// errand is what any node is asked for.
type errand struct {
	asked  river.Reading // but for its identity, digest and time
	digest func(context.Context) (string, error)
	here   func(context.Context) (answer, error) // does it in this process
	count  func(node, outcome string)
}

// have has a node do an errand, or does it here where none can.
func (a *Asker) have(ctx context.Context, e errand) (answer, error) {
	if e.asked.Plan != nil && a.tooLarge(e.asked.Stack) {
		return a.doHere(ctx, e)
	}
	digest, err := e.digest(ctx)
	if err != nil {
		return a.doHere(ctx, e) // which says what is wrong
	}
	e.asked.Digest, e.asked.Within = digest, a.c.Within
	log := a.c.Log.With("stack", e.asked.Stack, "source", e.asked.Source, "plan", e.asked.Plan != nil)
	for range tries {
		got, node, err := a.ask(ctx, e.asked)
		switch {
		case ctx.Err() != nil:
			return answer{}, ctx.Err()
		case err != nil:
			log.Warn("no node could be asked to read; this one reads", "error", err)
			return a.doHere(ctx, e)
		case got == nil && node == "":
			log.Warn("no node has begun to read; this one reads")
			return a.doHere(ctx, e)
		case got == nil:
			e.count(node, Lost)
			log.Warn("a node was lost while it read; it is read again", "reader", node)
			continue
		case got.Again:
			e.count(node, GivenBack)
			continue
		case got.Back != "":
			e.count(node, GivenBack)
			a.tell(e, node, "it has given the reading back: "+got.Back)
			if got.Large {
				a.mu.Lock()
				a.large[e.asked.Stack] = true
				a.mu.Unlock()
			}
			return a.doHere(ctx, e)
		}
		if err := got.err(); err != nil {
			e.count(node, Failed)
			if node == a.c.Node {
				return answer{}, err
			}
			// It may be for want of something that this node has.
			a.tell(e, node, err.Error())
			return a.doHere(ctx, e)
		}
		a.tell(e, node, "")
		e.count(node, Done)
		return *got, nil
	}
	return a.doHere(ctx, e)
}

// tooLarge reports whether plans of a stack were too large to be sent in this term.
func (a *Asker) tooLarge(stack string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.large[stack]
}

// tell says once why a node has not read for this one, "" if it has.
func (a *Asker) tell(e errand, node, why string) {
	if a.told.changed(fmt.Sprintf("%s\x00%s\x00%s\x00%t", e.asked.Stack, e.asked.Source, node, e.asked.Plan != nil), why) && why != "" {
		a.c.Log.Warn("a node has not read what it was asked for; this one reads",
			"stack", e.asked.Stack, "source", e.asked.Source, "plan", e.asked.Plan != nil, "reader", node, "why", why)
	}
}

// doHere does an errand in this process, in its turn.
func (a *Asker) doHere(ctx context.Context, e errand) (answer, error) {
	select {
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case a.here <- struct{}{}:
	}
	defer func() { <-a.here }()
	out, err := e.here(ctx)
	outcome := Done
	if err != nil {
		outcome = Failed
	}
	e.count(a.c.Node, outcome)
	out.here = true
	return out, err
}

// ask asks for one attempt, and waits for its answer: nil if it was lost, with the node
// that had it, "" if none had.
func (a *Asker) ask(ctx context.Context, r river.Reading) (got *answer, node string, err error) {
	w := &attempt{over: make(chan end, 1)}
	in, err := a.c.Store.AskReading(ctx, func(ctx context.Context, tx pgx.Tx, id string) (int64, error) {
		a.mu.Lock()
		delete(a.waiting, r.ID) // of a transaction that was tried before
		r.ID = id
		a.waiting[id] = w // before anybody can find that nobody waits for it
		a.mu.Unlock()
		return a.queue.Ask(ctx, tx, r)
	})
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, r.ID)
	}()
	if err != nil {
		return nil, "", err
	}
	a.mu.Lock()
	w.job, w.asked = in.Job, time.Now()
	a.mu.Unlock()
	var how end
	select {
	case <-ctx.Done():
	case how = <-w.over:
	}
	// What is taken is gone: an answer that comes later finds nobody.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	taking := ending
	if how == answered {
		taking = ctx // it may be large
	}
	node, sealed, err := a.c.Store.TakeAnswer(taking, r.ID)
	if len(sealed) == 0 { // given up, whatever else
		if err := a.queue.GiveUp(ending, in.Job); err != nil && ctx.Err() == nil {
			a.c.Log.Debug("a job that nobody waits for was not given up; that is tried again", "error", err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, node, ctx.Err()
	case penumbra.KindOf(err) == penumbra.NotFound || err == nil && len(sealed) == 0:
		return nil, node, nil
	case err != nil:
		return nil, node, err
	}
	var opened answer
	if err := open(sealed, a.c.Master, &opened); err != nil {
		return nil, node, fmt.Errorf("read what node %s has read: %w", node, err)
	}
	return &opened, node, nil
}
