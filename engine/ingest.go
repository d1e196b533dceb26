package engine

import (
	"context"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
)

// batchSize is how many observations are made durable at once: one sync to disk
// each batch is what an acknowledgement costs.
const batchSize = 2000

// shownBadLines bounds the bad lines in a report; all of them are kept aside.
const shownBadLines = 20

// Ingest reads a timeline to its end. Each batch is durable before it is
// counted; an error leaves the batches before it stored, and taking the same
// timeline in again adds only what is missing.
func (e *Engine) Ingest(ctx context.Context, r io.Reader, source string) (penumbra.IngestReport, error) {
	in := &intake{engine: e, resources: map[penumbra.Address]bool{}, types: map[string]bool{}}
	batches := make(chan batch, 4)
	stored := make(chan []penumbra.Observation)
	g, working := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		return e.decode(working, r, source, batches)
	})
	g.Go(func() error {
		defer close(stored)
		for b := range batches {
			if err := in.store(working, b, stored); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		var failed error
		// What is stored is folded even if something has failed meanwhile: the
		// lock that came with it must be given up, and the model must have it.
		for added := range stored {
			failed = joinFirst(failed, in.fold(context.WithoutCancel(working), added))
		}
		return failed
	})
	err := g.Wait()
	return in.report, joinFirst(err, in.finish(ctx))
}

// joinFirst returns the first error that is not nil.
func joinFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

type batch struct {
	observations []penumbra.Observation
	bad          []penumbra.BadLine
}

func (b *batch) size() int { return len(b.observations) + len(b.bad) }

// decode reads lines into batches. Secrets are sealed here, before anything
// else sees them.
func (e *Engine) decode(ctx context.Context, r io.Reader, source string, out chan<- batch) error {
	var b batch
	flush := func() error {
		if b.size() == 0 {
			return nil
		}
		select {
		case out <- b:
			b = batch{observations: make([]penumbra.Observation, 0, batchSize)}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for line, err := range e.cfg.Codec.Decode(r, source) {
		if err != nil {
			if flushed := flush(); flushed != nil {
				return flushed
			}
			return err
		}
		if line.Bad != nil {
			line.Bad.Text = penumbra.Redact(line.Bad.Text)
			line.Bad.Reason = penumbra.Redact(line.Bad.Reason)
			line.Bad.Seen = e.cfg.Now().UTC()
			b.bad = append(b.bad, *line.Bad)
		} else {
			o := line.Observation
			e.cfg.Key.SealSettings(o.Settings)
			e.cfg.Key.SealSettings(o.Applied)
			o.Message = penumbra.Redact(o.Message)
			if o.Seen.IsZero() {
				o.Seen = e.cfg.Now().UTC()
			}
			b.observations = append(b.observations, o)
		}
		if b.size() >= batchSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// intake takes the batches of one ingest through the stages.
type intake struct {
	engine    *Engine
	report    penumbra.IngestReport
	resources map[penumbra.Address]bool // those touched
	types     map[string]bool           // of the resources whose drifts changed
	newest    time.Time
}

// store makes a batch durable and hands what was new on to be folded, with the
// lock on folding.
func (in *intake) store(ctx context.Context, b batch, stored chan<- []penumbra.Observation) error {
	e := in.engine
	in.report.Lines += b.size()
	in.report.Bad += len(b.bad)
	if len(b.bad) > 0 {
		if err := e.cfg.Store.Quarantine(ctx, b.bad); err != nil {
			return err
		}
		room := max(0, shownBadLines-len(in.report.BadLines))
		in.report.BadLines = append(in.report.BadLines, b.bad[:min(room, len(b.bad))]...)
	}
	if len(b.observations) == 0 {
		return nil
	}
	total := len(b.observations)
	ordered := e.cfg.Order(b.observations)
	e.door.Lock()
	defer e.door.Unlock()
	added, err := e.cfg.Store.Append(ctx, ordered)
	if err != nil {
		return err
	}
	in.report.Added += len(added)
	in.report.Repeated += total - len(added)
	e.turns.Lock()
	stored <- added
	return nil
}

// fold takes what was stored through the other stages, and gives up the lock on
// folding.
func (in *intake) fold(ctx context.Context, added []penumbra.Observation) error {
	defer in.engine.turns.Unlock()
	changed := in.judge(added)
	in.engine.announce(changed)
	return in.engine.saveDrifts(ctx, changed)
}

// judge folds observations of any times: each snapshot is judged as of its own.
func (in *intake) judge(added []penumbra.Observation) []penumbra.Drift {
	e := in.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	latest := map[string]penumbra.Drift{}
	var order []string
	for i := range added {
		o := &added[i]
		expected := e.take(o)
		in.resources[o.Resource] = true
		if o.Time.After(in.newest) {
			in.newest = o.Time
		}
		if o.Kind != penumbra.SnapshotKind || e.resources[o.Resource].last.After(o.Time) {
			continue
		}
		for _, d := range e.judge(e.resources[o.Resource], expected, o.Time) {
			if _, seen := latest[d.ID]; !seen {
				order = append(order, d.ID)
				in.types[d.Type] = true
			}
			latest[d.ID] = d
		}
	}
	changed := make([]penumbra.Drift, 0, len(order))
	for _, id := range order {
		changed = append(changed, latest[id])
	}
	return changed
}

// finish puts what came late into its place, looks again at what was touched
// and at the peers of what drifted, and wakes the sources of what was touched.
func (in *intake) finish(ctx context.Context) error {
	e := in.engine
	if in.newest.IsZero() {
		return nil
	}
	if err := e.rebuild(ctx); err != nil {
		return err
	}
	changed := in.lookAgain()
	e.announce(changed)
	if err := e.saveDrifts(ctx, changed); err != nil {
		return err
	}
	for stack := range in.stacks() {
		if s := e.stacks[stack]; s != nil && s.Source != nil {
			s.wake()
		}
	}
	return nil
}

// stacks returns the names of the stacks touched.
func (in *intake) stacks() map[string]bool {
	out := map[string]bool{}
	for address := range in.resources {
		out[address.Stack()] = true
	}
	return out
}

// lookAgain judges the resources touched: a log that comes late may say who it
// was. Where drifts changed it judges their peers too, whose forecasts a wave
// passing through the fleet has moved.
func (in *intake) lookAgain() []penumbra.Drift {
	e := in.engine
	stacks := in.stacks()
	at := e.clock.now()
	if e.clock.ahead(in.newest) || !e.anyLive(stacks) {
		at = in.newest // a history, judged as of its end
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var changed []penumbra.Drift
	look := func(r *tracked) {
		if !r.Deleted && !r.SnapshotTime.IsZero() {
			changed = append(changed, e.judge(r, nil, at)...)
		}
	}
	if len(in.types) == 0 {
		for address := range in.resources {
			if r := e.resources[address]; r != nil {
				look(r)
			}
		}
		return changed
	}
	for address, r := range e.resources {
		if in.resources[address] || in.types[r.Type] && stacks[address.Stack()] {
			look(r)
		}
	}
	return changed
}

// anyLive reports whether one of the stacks has a source: what is really there
// is then being looked at now.
func (e *Engine) anyLive(stacks map[string]bool) bool {
	for stack := range stacks {
		if s := e.stacks[stack]; s != nil && s.Source != nil {
			return true
		}
	}
	return false
}

// Export writes the selected observations as JSON Lines.
func (e *Engine) Export(ctx context.Context, q penumbra.ObservationQuery, w io.Writer) (int, error) {
	n := 0
	for o, err := range e.cfg.Store.Observations(ctx, q) {
		if err != nil {
			return n, err
		}
		if err := e.cfg.Codec.Encode(w, &o); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
