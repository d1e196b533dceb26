package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// world is the loop as decisions see it.
type world struct{ e *Engine }

var _ decisions.World = world{}

// openBoard makes the board of the stacks.
func (e *Engine) openBoard() {
	cfg := decisions.Config{
		Store: e.cfg.Store, World: world{e}, Performance: performance{e}, Queue: e.cfg.Queue, Policy: e.cfg.Policy, Freezes: e.cfg.Freezes,
		Stacks: map[string]*decisions.Stack{}, Now: e.cfg.Now, Clock: e.clock.now, Log: e.log, ReadOnly: e.cfg.ReadOnly,
		Begin: e.cfg.Begin, Ran: e.cfg.Ran,
	}
	if e.cfg.Network != nil {
		cfg.Effects = e.effects
	}
	e.Board = decisions.New(cfg)
	for name, s := range e.stacks {
		x := &decisions.Stack{Name: name, Watched: s.live(), Proposer: s.Proposer, Work: &s.work}
		if s.Remediator != nil {
			x.Remediator = s.Remediator(e)
		}
		cfg.Stacks[name] = x
	}
}

func (w world) Resource(a penumbra.Address) (penumbra.Resource, bool) { return w.e.resource(a) }

func (w world) Shadow(a penumbra.Address) (penumbra.ShadowView, error) { return w.e.shadowNow(a) }

func (w world) Drift(ctx context.Context, id string) (penumbra.Drift, error) {
	return w.e.drift(ctx, id)
}

func (w world) Active(of func(penumbra.Address) bool) []penumbra.Drift {
	w.e.mu.RLock()
	defer w.e.mu.RUnlock()
	var out []penumbra.Drift
	for address, r := range w.e.resources {
		if len(r.active) > 0 && of(address) {
			out = append(out, r.active...)
		}
	}
	return out
}

func (w world) Settle(ctx context.Context, d penumbra.Drift) error { return w.e.settle(ctx, d) }

func (w world) Tell(ctx context.Context, o penumbra.Observation, since time.Time) error {
	return w.e.tell(ctx, o, since)
}

func (w world) Rejudge(ctx context.Context, a penumbra.Address) error {
	return w.e.judgeByRules(ctx, func(r *tracked) bool { return r.Address == a })
}

func (w world) Read(ctx context.Context, stack string) error {
	return w.e.readAllHeld(ctx, w.e.stacks[stack])
}

func (w world) Wake(a penumbra.Address) { w.e.wake(map[penumbra.Address]bool{a: true}) }

// Closer implements [decisions.Sources].
func (w world) Closer(list []penumbra.Attention) {
	e := w.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closer = map[penumbra.Address]penumbra.Attention{}
	for _, x := range list {
		if now, ok := e.closer[x.Resource]; !ok || x.Every < now.Every {
			e.closer[x.Resource] = x
		}
	}
	e.catalogue.Closer(slices.SortedFunc(maps.Values(e.closer), func(a, b penumbra.Attention) int { return cmp.Compare(a.Resource, b.Resource) }))
	for _, s := range e.stacks {
		for _, src := range s.sources {
			closer := map[penumbra.Address]time.Duration{}
			for address, x := range e.closer {
				if r := e.resources[address]; r != nil && address.Stack() == s.Name && s.reads(src, r) {
					closer[address] = x.Every
				}
			}
			var sooner, kept bool
			src.planned(func(a *agenda) { sooner, kept = a.attend(closer, time.Now()), a.kept })
			if sooner && kept {
				src.wake() // whoever waits for it waits for another time
			}
		}
	}
}

// Period implements [decisions.Sources].
func (w world) Period(address penumbra.Address) (every, gap time.Duration) {
	w.e.mu.RLock()
	defer w.e.mu.RUnlock()
	s, r := w.e.stacks[address.Stack()], w.e.resources[address]
	if s == nil || r == nil {
		return 0, 0
	}
	for _, src := range s.sources {
		if !s.reads(src, r) {
			continue
		}
		src.planned(func(a *agenda) {
			period := a.every
			if x := a.entries[address]; x != nil {
				period = x.every
			}
			if !a.targeted && a.isFine() {
				period = a.wholeEvery()
			}
			if every == 0 || period < every {
				every, gap = period, a.gap
			}
		})
	}
	return every, gap
}

func (w world) Check(stack string) error {
	if !w.e.isKnown(stack) {
		return noStack(stack)
	}
	return nil
}

// performance is what the engine's metrics tell decisions; nothing without metrics.
type performance struct{ e *Engine }

var _ decisions.Performance = performance{}

func (p performance) Attend(resource penumbra.Address, at time.Time) { p.e.attendTo(resource, at) }

func (p performance) Suspects(a *penumbra.Anomaly) []penumbra.Suspect {
	if p.e.cfg.Diagnosis == nil {
		return nil
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	return p.e.cfg.Diagnosis.Rank(a, p.e.changesNear(a.Resource, a.Time))
}

func (p performance) Near(changed, other penumbra.Address) bool {
	return p.e.cfg.Diagnosis != nil && p.e.cfg.Diagnosis.Related(changed, other) >= near
}

func (p performance) Measured(resource penumbra.Address) bool {
	return p.e.cfg.Monitor != nil && p.e.cfg.Diagnosis != nil && len(p.e.meteredNear(resource)) > 0
}

// effects asks the network beside the shadow.
func (e *Engine) effects(typ, path string, v penumbra.Value) []penumbra.Effect {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cfg.Network.Effects(typ, path, v)
}

// tell puts an event of Penumbra's own, of something that began at since if that is not
// zero, into the timeline.
func (e *Engine) tell(ctx context.Context, o penumbra.Observation, since time.Time) error {
	defer e.settled()()
	o.Time = e.clock.now()
	o.Seen = o.Time
	if o.Type == "" {
		r, _ := e.resource(o.Resource)
		o.Type = r.Type
	}
	added, err := e.cfg.Store.Append(ctx, []penumbra.Observation{o})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.took, func(k touchKey, _ time.Time) bool { return o.Time.Sub(k.time) > changesFor })
	if !since.IsZero() {
		e.took[touchKey{o.Resource, o.Time, o.Actor, o.Action, o.Source}] = since
	}
	for i := range added {
		e.take(&added[i])
	}
	return nil
}

// settle replaces what is remembered of a drift after something outside a turn
// changed it.
func (e *Engine) settle(ctx context.Context, d penumbra.Drift) error {
	e.mu.Lock()
	if r := e.resources[d.Resource]; r != nil {
		r.active = merge(r.active, []penumbra.Drift{d})
		if !d.Active() && !d.AcceptedUntil.IsZero() {
			r.accepted = append(r.accepted, d)
		}
	}
	e.mu.Unlock()
	return e.saveDrifts(ctx, []penumbra.Drift{d})
}

// loop is the engine as inputs see it.
type loop struct{ e *Engine }

var _ inputs.Loop = loop{}

// openIntake makes the intake of the inputs.
func (e *Engine) openIntake() (err error) {
	cfg := inputs.Config{
		Inputs: e.cfg.Inputs, Store: e.cfg.Store, Loop: loop{e}, Mapper: e.cfg.Mapper, Namer: e.cfg.Namer, Monitor: e.cfg.Monitor, NewRate: e.cfg.NewRate,
		Stopped: func(input, reason string) { e.news.publish(inputNews(input, reason)) },
		Key:     e.cfg.Key, Now: e.cfg.Now, Log: e.log,
	}
	if e.cfg.Diagnosis != nil {
		cfg.Watched = e.watched
	}
	e.Intake, err = inputs.New(cfg)
	return err
}

// watched tells the diagnosis that a metric was watched.
func (e *Engine) watched(resource penumbra.Address, metric string, interval time.Duration, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cfg.Diagnosis.Watched(resource, metric, interval, until)
}

func (l loop) Enter(ctx context.Context, b inputs.Batch) error { return l.e.enter(ctx, b) }

func (l loop) Found(ctx context.Context, changed []penumbra.Anomaly) error {
	return l.e.found(ctx, changed)
}

func (l loop) Resource(a penumbra.Address) (penumbra.Resource, bool) { return l.e.resource(a) }

func (l loop) Known(stack string) []penumbra.Address {
	l.e.mu.RLock()
	defer l.e.mu.RUnlock()
	var out []penumbra.Address
	for address, r := range l.e.resources {
		if address.Stack() == stack && !r.Deleted {
			out = append(out, address)
		}
	}
	slices.Sort(out)
	return out
}
