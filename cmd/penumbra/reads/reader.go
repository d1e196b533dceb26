package reads

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// ReaderConfig is what a node reads with.
type ReaderConfig struct {
	// Store is of no term: a node reads whoever leads.
	Store  *postgres.Store
	Master atrest.Master
	Node   string
	// AtOnce is how many sources it reads at once.
	AtOnce int
	// Find returns a source of a stack as this node has it, with its digest, see
	// [Asker.Source]. The error says why it cannot be read here.
	Find func(stack, name string) (source engine.Source, digest string, err error)
	Log  *slog.Logger
}

// Reader reads for the node that leads. It writes nothing but its answers.
type Reader struct {
	c    ReaderConfig
	jobs *river.Reader

	mu sync.Mutex
	at map[string]context.CancelCauseFunc // the readings that it is at

	told told // by stack, readings and plans apart: why it gave one back
}

// NewReader makes a node one that reads, from [Reader.Run] on.
func NewReader(ctx context.Context, c ReaderConfig) (*Reader, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Reader{c: c, at: map[string]context.CancelCauseFunc{}}
	jobs, err := river.NewReader(ctx, c.Store.Pool(), c.AtOnce, r.do, river.Options{Log: c.Log})
	if err != nil {
		return nil, err
	}
	r.jobs = jobs
	return r, nil
}

// Run reads until ctx ends. What it is at then it gives back.
func (r *Reader) Run(ctx context.Context) error {
	if err := r.jobs.Start(ctx); err != nil {
		return err
	}
	beating, still := context.WithCancel(context.WithoutCancel(ctx))
	var g errgroup.Group
	g.Go(func() error { return r.beat(beating) })
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), lost)
	defer cancel()
	if err := r.jobs.Stop(stopping); err != nil {
		r.c.Log.Warn("a reading for the node that leads has not ended; what it finds is dropped", "error", err)
	}
	still()
	return g.Wait()
}

// errUnwanted is why a reading is cancelled that nobody waits for.
var errUnwanted = errors.New("nobody waits for the reading")

// do does one reading.
func (r *Reader) do(ctx context.Context, asked river.Reading) {
	log := r.c.Log.With("stack", asked.Stack, "source", asked.Source, "plan", asked.Plan != nil)
	mine, err := r.c.Store.BeginReading(ctx, asked.ID, r.c.Node)
	if err != nil {
		log.Warn("a reading for the node that leads was not begun; it asks again", "error", err)
	}
	if err != nil || !mine {
		return
	}
	began := time.Now()
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.mu.Lock()
	r.at[asked.ID] = cancel
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.at, asked.ID)
	}()
	a := r.read(reading, asked)
	if errors.Is(context.Cause(reading), errUnwanted) {
		log.Debug("nobody waits for what this node read", "took", time.Since(began).String())
		return
	}
	sealed, err := seal(&a, r.c.Master)
	switch {
	case err != nil:
		a = failed(err)
		sealed, err = seal(&a, r.c.Master)
	case a.Plan != nil && len(sealed) > mostPlan:
		a = answer{Back: fmt.Sprintf("its plan takes %d MiB, and %d MiB are sent at most", (len(sealed)+1<<20-1)>>20, mostPlan>>20), Large: true}
		sealed, err = seal(&a, r.c.Master)
	}
	var waited bool
	if err == nil {
		giving, cancel := context.WithTimeout(context.WithoutCancel(ctx), lost)
		defer cancel()
		waited, err = r.c.Store.AnswerReading(giving, asked.ID, r.c.Node, sealed)
	}
	switch {
	case err != nil:
		log.Warn("what this node read was not given to the one that leads, which asks again", "error", err)
	case !waited:
		log.Debug("nobody waits for what this node read", "took", time.Since(began).String())
	case !r.told.changed(fmt.Sprintf("%s\x00%t", asked.Stack, asked.Plan != nil), a.Back) && a.Back != "":
	case a.Back != "":
		log.Warn("this node has given a reading back to the one that leads", "why", a.Back)
	case a.Plan != nil:
		log.Debug("this node has planned for the one that leads", "took", time.Since(began).String(), "bytes", len(a.Saved))
	default:
		log.Debug("this node has read for the one that leads", "took", time.Since(began).String(), "observations", len(a.Observations))
	}
}

func (r *Reader) read(ctx context.Context, asked river.Reading) answer {
	source, digest, err := r.c.Find(asked.Stack, asked.Source)
	planner, plans := source.(Planner)
	switch {
	case err != nil || len(asked.Plan) == 0:
	case !plans:
		err = errors.New("this node does not plan such a stack for others")
	default:
		digest, err = planDigest(ctx, digest, planner)
	}
	switch {
	case ended(ctx):
		return answer{Back: "the node ends", Again: true}
	case err != nil:
		return answer{Back: penumbra.Redact(err.Error())}
	case digest != asked.Digest:
		return answer{Back: "this node's version, configuration or code of the stack is not that of the node that leads"}
	}
	var a answer
	if len(asked.Plan) > 0 {
		a, err = r.plan(ctx, planner, asked.Plan)
	} else {
		a.Observations, err = read(ctx, source, asked.Some)
	}
	switch {
	case err == nil:
		return a
	case ended(ctx):
		return answer{Back: "the node ends", Again: true}
	}
	return failed(err)
}

// ended reports whether a reading was ended for another reason than its time.
func ended(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded)
}

// plan plans for the node that leads. Nothing of it stays here.
func (r *Reader) plan(ctx context.Context, planner Planner, sealed []byte) (a answer, err error) {
	var of order
	if err := open(sealed, r.c.Master, &of); err != nil {
		return a, err
	}
	p, err := planner.Plan(ctx, of.Targets, of.Patch)
	if err != nil {
		return a, err
	}
	a.Plan, a.Order = &p, orderOf(sealed)
	a.Saved, err = planner.TakePlan(p)
	return a, err
}

// beat says that the readings go on, until ctx ends, and ends those that nobody waits for:
// whoever waited has given up a node that cannot say so.
func (r *Reader) beat(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for heard := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		r.mu.Lock()
		at := maps.Clone(r.at)
		r.mu.Unlock()
		if len(at) == 0 {
			heard = time.Now()
			continue
		}
		asked := time.Now()
		asking, cancel := context.WithTimeout(ctx, beat)
		kept, err := r.c.Store.KeepReadings(asking, r.c.Node, slices.Collect(maps.Keys(at)))
		cancel()
		if err == nil {
			heard = asked
		} else if time.Since(heard) < lost {
			continue
		}
		for id, end := range at {
			if err != nil || !slices.Contains(kept, id) {
				end(errUnwanted)
			}
		}
	}
}
