package engine

import (
	"context"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// shownBadLines bounds the bad lines in a report; all of them are kept aside.
const shownBadLines = 20

// Ingest reads a timeline to its end. Each batch is durable before it is
// counted; an error leaves the batches before it stored, and taking the same
// timeline in again adds only what is missing.
func (e *Engine) Ingest(ctx context.Context, r io.Reader, source string) (penumbra.IngestReport, error) {
	in := newPassage(e)
	batches := make(chan inputs.Batch, 4)
	stored := make(chan []penumbra.Observation)
	g, working := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		return e.decode(working, r, source, batches)
	})
	g.Go(func() error {
		defer close(stored)
		for b := range batches {
			added, locked, err := in.store(working, b)
			if locked {
				stored <- added
			}
			if err != nil {
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
	err = joinFirst(err, in.finish(ctx))
	return in.report, joinFirst(err, e.found(ctx, in.anomalies))
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

// decode reads lines into batches. Secrets are sealed here, before anything
// else sees them.
func (e *Engine) decode(ctx context.Context, r io.Reader, source string, out chan<- inputs.Batch) error {
	var b inputs.Batch
	flush := func() error {
		if b.Size() == 0 {
			return nil
		}
		select {
		case out <- b:
			b = inputs.Batch{Observations: make([]penumbra.Observation, 0, inputs.BatchSize)}
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
			b.Bad = append(b.Bad, *line.Bad)
		} else {
			o := line.Observation
			e.cfg.Key.SealSettings(o.Settings)
			e.cfg.Key.SealSettings(o.Applied)
			o.Message = penumbra.Redact(o.Message)
			if o.Seen.IsZero() {
				o.Seen = e.cfg.Now().UTC()
			}
			b.Observations = append(b.Observations, o)
		}
		if b.Size() >= inputs.BatchSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// passage takes the batches of one ingest through the stages.
type passage struct {
	engine    *Engine
	report    penumbra.IngestReport
	resources map[penumbra.Address]bool      // those touched by more than metrics
	stirred   map[penumbra.Address]bool      // of them those that a look is worth at: not for what Penumbra says itself
	judged    map[penumbra.Address]time.Time // as of when those were that nothing has touched since
	types     map[string]bool                // of the resources whose drifts changed
	newest    time.Time
	anomalies []penumbra.Anomaly // in the metrics that came
	repeated  []seenAt           // what came of what is there or declared, and was stored already
}

// seenAt is a resource and when something was seen of it.
type seenAt struct {
	resource penumbra.Address
	at       time.Time
}

func newPassage(e *Engine) *passage {
	return &passage{engine: e, resources: map[penumbra.Address]bool{}, stirred: map[penumbra.Address]bool{}, judged: map[penumbra.Address]time.Time{}, types: map[string]bool{}}
}

// store makes a batch durable and returns what was new. If locked is set it has
// taken the lock on folding, and fold must follow.
func (in *passage) store(ctx context.Context, b inputs.Batch) (added []penumbra.Observation, locked bool, err error) {
	e := in.engine
	in.report.Lines += b.Size()
	in.report.Bad += len(b.Bad)
	if len(b.Bad) > 0 {
		if err := e.cfg.Store.Quarantine(ctx, b.Bad); err != nil {
			return nil, false, err
		}
		room := max(0, shownBadLines-len(in.report.BadLines))
		in.report.BadLines = append(in.report.BadLines, b.Bad[:min(room, len(b.Bad))]...)
	}
	if len(b.Observations) == 0 {
		return nil, false, nil
	}
	lasting, values := apart(b.Observations)
	e.door.Lock()
	defer e.door.Unlock()
	if len(lasting) > 0 {
		lasting = e.cfg.Order(lasting)
		// Whether a transaction that is broken off was committed nobody knows: who sends and
		// goes away must not break it off.
		if added, err = e.cfg.Store.Append(context.WithoutCancel(ctx), lasting); err != nil {
			e.unknown(lasting, err)
			return nil, false, err
		}
		in.repeats(lasting, added)
	}
	in.report.Added += len(added)
	in.report.Repeated += len(lasting) - len(added)
	for i := range values {
		in.report.Values += len(values[i].Metrics)
	}
	e.turns.Lock()
	return append(added, e.cfg.Order(values)...), true, nil
}

// unknown has observations read back whose append has failed so that they may be stored
// all the same: who sends them again is told that they are, and nothing else folds them in.
func (e *Engine) unknown(observations []penumbra.Observation, err error) {
	if penumbra.KindOf(err) != penumbra.Unavailable {
		return // it was rolled back
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late = true
	for i := range observations {
		e.behind[observations[i].Resource] = true
	}
	e.putOffReplay()
}

// repeats notes down which observations were stored before: those that are not among
// the ones added, which are in their order.
func (in *passage) repeats(observations, added []penumbra.Observation) {
	if len(added) == len(observations) {
		return
	}
	next := 0
	for i := range observations {
		o := &observations[i]
		if next < len(added) && o.Identity() == added[next].Identity() {
			next++
		} else if ordered(o) {
			in.repeated = append(in.repeated, seenAt{o.Resource, o.Time})
		}
	}
}

// recall has resources looked at of which nothing newer is known than what was repeated:
// whoever stored that may have ended before it was judged.
func (in *passage) recall() {
	e := in.engine
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, x := range in.repeated {
		if r := e.resources[x.resource]; r != nil && !r.last.After(x.at) {
			in.resources[x.resource] = true
			in.newest = later(in.newest, x.at)
		}
	}
}

// apart splits what is kept from single values of metrics, which are only watched.
func apart(observations []penumbra.Observation) (lasting, values []penumbra.Observation) {
	if !slices.ContainsFunc(observations, isValues) {
		return observations, nil
	}
	for i := range observations {
		if isValues(observations[i]) {
			values = append(values, observations[i])
		} else {
			lasting = append(lasting, observations[i])
		}
	}
	return lasting, values
}

func isValues(o penumbra.Observation) bool {
	return o.Kind == penumbra.MetricKind && o.Source == penumbra.LiveSource
}

// fold takes what was stored through the other stages, and gives up the lock on
// folding.
func (in *passage) fold(ctx context.Context, added []penumbra.Observation) error {
	defer in.engine.turns.Unlock()
	for i := range added {
		if added[i].Kind == penumbra.MetricKind && added[i].Source != inputs.Hourly {
			in.anomalies = append(in.anomalies, in.engine.Measure(&added[i])...)
		}
	}
	return in.engine.publish(ctx, in.judge(slices.DeleteFunc(added, isValues)))
}

// judge folds observations of any times: each snapshot is judged as of its own.
func (in *passage) judge(added []penumbra.Observation) []penumbra.Drift {
	e := in.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	latest := map[string]penumbra.Drift{}
	var order []string
	for i := range added {
		if i%judgedAtOnce == judgedAtOnce-1 {
			e.giveWay()
		}
		o := &added[i]
		expected := e.take(o)
		if o.Time.After(in.newest) {
			in.newest = o.Time
		}
		if o.Kind == penumbra.MetricKind {
			continue // no verdict is about it
		}
		in.resources[o.Resource] = true
		delete(in.judged, o.Resource)
		if !penumbra.IsRemark(o.Action) {
			in.stirred[o.Resource] = true
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
		in.judged[o.Resource] = o.Time
	}
	changed := make([]penumbra.Drift, 0, len(order))
	for _, id := range order {
		changed = append(changed, latest[id])
	}
	return changed
}

// finish puts what came late into its place, looks again at what was touched
// and at the peers of what drifted, and wakes the sources of what was touched.
func (in *passage) finish(ctx context.Context) error {
	e := in.engine
	in.recall()
	if in.newest.IsZero() {
		return nil
	}
	rebuilt, err := e.rebuild(ctx)
	if err != nil {
		return err
	}
	if rebuilt {
		clear(in.judged) // by a shadow that is no more
	}
	if err := e.publish(ctx, in.lookAgain()); err != nil {
		return err
	}
	e.wake(in.stirred)
	return nil
}

// stacks returns the names of the stacks touched.
func (in *passage) stacks() map[string]bool {
	out := map[string]bool{}
	for address := range in.resources {
		out[address.Stack()] = true
	}
	return out
}

// lookAgain judges the resources touched: a log that comes late may say who it
// was. Those whose last snapshot has just been judged are as they were. Where drifts
// changed it judges their peers too, whose forecasts a wave passing through the fleet
// has moved; where these are many, that is put off.
func (in *passage) lookAgain() []penumbra.Drift {
	e := in.engine
	stacks := in.stacks()
	at := e.clock.now()
	if e.clock.ahead(in.newest) || !e.anyLive(stacks) {
		at = in.newest // a history, judged as of its end
	}
	peers := len(in.types) > 0
	if peers && e.running.Load() && e.catalogue.Count(stacks, in.types) > peersAtOnce {
		e.peers.putOff(stacks, in.types, at)
		peers = false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var again []penumbra.Address
	if peers {
		for stack := range stacks {
			again = append(again, e.catalogue.Of(stack, in.types)...)
		}
	}
	for address := range in.resources {
		r, stack := e.resources[address], address.Stack()
		if peers && r != nil && in.types[r.Type] && stacks[stack] {
			continue // it is one of them
		}
		if judged, ok := in.judged[address]; !ok || at.Sub(judged) >= sameLook {
			again = append(again, address)
		}
	}
	return e.judgeAll(again, func(*tracked) time.Time { return at })
}

// sameLook is the time between two looks in which no forecast moves by what anybody
// would see: the shortest horizon is an hour.
const sameLook = time.Minute

// judgeAll judges resources that have been seen, each as of a time. e.mu is held, and
// given up now and then.
func (e *Engine) judgeAll(resources []penumbra.Address, at func(*tracked) time.Time) []penumbra.Drift {
	var changed []penumbra.Drift
	for i, address := range resources {
		if i%judgedAtOnce == judgedAtOnce-1 {
			e.giveWay()
		}
		if r := e.resources[address]; r != nil && !r.Deleted && !r.SnapshotTime.IsZero() {
			changed = append(changed, e.judge(r, nil, at(r))...)
		}
	}
	return changed
}

// judgedAtOnce is how many resources are judged before whoever waits for what is known
// of one, such as a page, has a turn: a batch, or the peers of what drifted, may be many.
const judgedAtOnce = 64

// giveWay lets those in who wait for e.mu, which is held.
func (e *Engine) giveWay() {
	e.mu.Unlock()
	e.mu.Lock()
}

// anyLive reports whether one of the stacks has a source: what is really there
// is then being looked at now.
func (e *Engine) anyLive(stacks map[string]bool) bool {
	for stack := range stacks {
		if e.stacks[stack].live() {
			return true
		}
	}
	return false
}

// enter takes a batch through the stages, as an ingest of its own.
func (e *Engine) enter(ctx context.Context, b inputs.Batch) error {
	if b.Size() == 0 {
		return nil
	}
	in := newPassage(e)
	added, locked, err := in.store(ctx, b)
	if err != nil {
		return err
	}
	if locked {
		if err := in.fold(context.WithoutCancel(ctx), added); err != nil {
			return err
		}
	}
	return in.finish(ctx)
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
