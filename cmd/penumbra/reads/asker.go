package reads

import (
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
	// Count counts what became of readings, by the node that had them, if it is not nil.
	Count func(node, outcome string)
	Log   *slog.Logger
}

// Asker asks the nodes for readings during a term.
type Asker struct {
	c     AskerConfig
	queue *river.Readings
	woken chan struct{}
	here  chan struct{} // holds who reads here

	mu      sync.Mutex
	waiting map[string]*attempt
	told    map[string]string // by stack, source and node: why it did not read last
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
	if c.Count == nil {
		c.Count = func(string, string) {}
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
		waiting: map[string]*attempt{}, told: map[string]string{},
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
	digest, err := d.digest()
	if err != nil {
		return a.readHere(ctx, d, some) // which says what is wrong
	}
	for range tries {
		got, node, err := a.ask(ctx, river.Reading{Stack: d.stack, Source: d.name, Digest: digest, Some: some, Within: a.c.Within})
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			a.c.Log.Warn("no node could be asked to read; this one reads", "stack", d.stack, "source", d.name, "error", err)
			return a.readHere(ctx, d, some)
		case got == nil && node == "":
			a.c.Log.Warn("no node has begun to read; this one reads", "stack", d.stack, "source", d.name)
			return a.readHere(ctx, d, some)
		case got == nil:
			a.c.Count(node, Lost)
			a.c.Log.Warn("a node was lost while it read; it is read again", "stack", d.stack, "source", d.name, "reader", node)
			continue
		case got.Again:
			a.c.Count(node, GivenBack)
			continue
		case got.Back != "":
			a.c.Count(node, GivenBack)
			a.tell(d, node, "it has given the reading back: "+got.Back)
			return a.readHere(ctx, d, some)
		}
		if err := got.err(); err != nil {
			a.c.Count(node, Failed)
			if node == a.c.Node {
				return nil, err
			}
			// It may be for want of something that this node has.
			a.tell(d, node, err.Error())
			return a.readHere(ctx, d, some)
		}
		a.tell(d, node, "")
		a.c.Count(node, Done)
		return got.Observations, nil
	}
	return a.readHere(ctx, d, some)
}

// tell says once why a node has not read for this one, "" if it has.
func (a *Asker) tell(d distant, node, why string) {
	key := d.stack + "\x00" + d.name + "\x00" + node
	a.mu.Lock()
	before := a.told[key]
	a.told[key] = why
	a.mu.Unlock()
	if why != "" && why != before {
		a.c.Log.Warn("a node has not read what it was asked for; this one reads", "stack", d.stack, "source", d.name, "reader", node, "why", why)
	}
}

// readHere reads in this process, in its turn.
func (a *Asker) readHere(ctx context.Context, d distant, some []penumbra.Address) ([]penumbra.Observation, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a.here <- struct{}{}:
	}
	defer func() { <-a.here }()
	out, err := read(ctx, d.own, some)
	outcome := Done
	if err != nil {
		outcome = Failed
	}
	a.c.Count(a.c.Node, outcome)
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
	opened, err := open(sealed, a.c.Master)
	if err != nil {
		return nil, node, fmt.Errorf("read what node %s has read: %w", node, err)
	}
	return &opened, node, nil
}
