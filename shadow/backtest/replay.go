package backtest

import (
	"context"
	"iter"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// replay is one pass over a history.
type replay struct {
	options  *Options
	entrants []Entrant
	world    *world
	asker    *asker
	cuts     []cut
	next     time.Time // the next cut
	admitted bool      // what was held back is known to the models
	commits  []commit  // which those of the world are
	seen     int       // observations

	sets     *setKeeper
	values   []*chosen
	follows  []*followed
	verdicts []*watched
}

// Run replays observations, which are in the order of time, into the models and
// scores what they said. The sequence may be gone through twice. Models that
// know another history already start with it. It returns an error of kind
// Invalid if the options cannot be met, and the context's if it ends.
func Run(ctx context.Context, observations iter.Seq[*penumbra.Observation], entrants []Entrant, options Options) (*Report, error) {
	options.defaults()
	if err := options.check(); err != nil {
		return nil, err
	}
	if err := options.Plan(SurveyOf(observations, &options)); err != nil {
		return nil, err
	}
	p := newReplay(&options, entrants)
	if err := p.run(ctx, observations); err != nil {
		return nil, err
	}
	return p.report(ctx, p.seen, len(p.world.known))
}

// run asks and learns until the options say that it is over.
func (p *replay) run(ctx context.Context, observations iter.Seq[*penumbra.Observation]) error {
	for group := range commits(observations) {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := group[0].Time
		p.cutUntil(at)
		if at.After(p.options.To) {
			break
		}
		p.take(group)
		p.seen += len(group)
	}
	p.cutUntil(p.options.To)
	p.sets.due(p.options.To.Add(time.Second))
	label(p.cuts, p.world, p.options.longest())
	return nil
}

func newReplay(o *Options, entrants []Entrant) *replay {
	p := &replay{options: o, entrants: entrants, world: newWorld(o), asker: newAsker(o, entrants), next: o.From}
	p.sets = newSetKeeper(o, entrants)
	if !o.NoValues {
		p.values = newChosen(entrants)
		p.follows = newFollowed(entrants)
	}
	if o.Verdicts != nil {
		p.verdicts = newWatched(o, entrants)
	}
	return p
}

// commits yields the observations of one time and source together, sources in
// the order in which they come first.
func commits(observations iter.Seq[*penumbra.Observation]) iter.Seq[[]*penumbra.Observation] {
	return func(yield func([]*penumbra.Observation) bool) {
		var instant []*penumbra.Observation
		flush := func() bool {
			for len(instant) > 0 {
				source := instant[0].Source
				var group, rest []*penumbra.Observation
				for _, o := range instant {
					if o.Source == source {
						group = append(group, o)
					} else {
						rest = append(rest, o)
					}
				}
				if !yield(group) {
					return false
				}
				instant = rest
			}
			return true
		}
		for o := range observations {
			if len(instant) > 0 && !o.Time.Equal(instant[0].Time) && !flush() {
				return
			}
			instant = append(instant, o)
		}
		flush()
	}
}

// cutUntil makes all cuts up to the time.
func (p *replay) cutUntil(at time.Time) {
	shortest := penumbra.Horizons[p.options.Horizons[0]]
	for ; !p.next.After(at) && !p.next.Add(shortest).After(p.options.To); p.next = p.next.Add(p.options.Every) {
		p.sets.due(p.next)
		p.admit(p.next)
		p.cuts = append(p.cuts, p.asker.cut(p.world, p.next))
		p.sets.cut(p.world, p.next)
		p.options.Progress(p.done(p.next))
	}
}

// replayShare is the replay's part of the work; the rest is the scoring.
const replayShare = 0.9

func (p *replay) done(at time.Time) float64 {
	return replayShare * float64(at.Sub(p.options.From)) / float64(max(1, p.options.To.Sub(p.options.From)))
}

// take asks what is asked about the observations of one commit, and learns
// them.
func (p *replay) take(group []*penumbra.Observation) {
	at := group[0].Time
	p.sets.due(at)
	scoring := !at.Before(p.options.From)
	if scoring {
		p.admit(at)
	}
	p.question(group, scoring)
	number := int32(len(p.world.commits))
	p.world.commits = append(p.world.commits, at.Unix())
	p.commits = append(p.commits, commit{at.UnixNano(), group[0].Source})
	for _, o := range group {
		p.world.fold(o, number)
		if p.held(o) {
			continue
		}
		for i, e := range p.entrants {
			if p.verdicts != nil {
				p.verdicts[i].observe(e.Model, o)
			} else {
				e.Model.Observe(o)
			}
		}
	}
}

// question asks which settings will change, and to what, of the resources that
// the commit touches. The naive predictors learn from all there is.
func (p *replay) question(group []*penumbra.Observation, scoring bool) {
	if p.options.NoValues {
		return
	}
	for _, o := range group {
		r := p.world.known[o.Resource]
		if r == nil {
			continue
		}
		moves, over := p.world.moves(r, o)
		if over || len(moves) == 0 || !r.observed && o.Kind == penumbra.SnapshotKind {
			continue
		}
		for _, v := range p.values {
			if scoring && r.scored {
				v.ask(r, moves, o.Time)
			}
			v.note(r, moves)
		}
		for _, f := range p.follows {
			if scoring && r.scored {
				f.ask(r, moves, o.Time)
			}
			f.note(r, moves)
		}
	}
	for _, v := range p.values {
		v.learn()
	}
	for _, f := range p.follows {
		f.learn()
	}
}

// held reports whether an observation is kept from the models.
func (p *replay) held(o *penumbra.Observation) bool { return !p.admitted && p.options.held(o.Resource) }

// admit lets what was held back enter, as it is now and without a past.
func (p *replay) admit(at time.Time) {
	if p.admitted {
		return
	}
	p.admitted = true
	if p.options.Split != ByFamily {
		return
	}
	for _, r := range p.world.order {
		if r.over || !r.held {
			continue
		}
		for _, o := range r.introduction(at) {
			for _, e := range p.entrants {
				e.Model.Observe(o)
			}
		}
	}
}

// introduction is what a first look at the resource finds.
func (r *resource) introduction(at time.Time) []*penumbra.Observation {
	base := penumbra.Observation{Time: at, Resource: r.noun.Address, Type: r.noun.Type}
	if !r.observed {
		code := base
		code.Kind, code.Source, code.Action, code.Settings = penumbra.EventKind, "git:introduced", "create", r.noun.Actual
		return []*penumbra.Observation{&code}
	}
	var out []*penumbra.Observation
	if len(r.template) > 0 {
		template := base
		template.Kind, template.Settings = penumbra.TemplateKind, r.template
		out = append(out, &template)
	}
	snapshot := base
	snapshot.Kind, snapshot.Full, snapshot.Settings = penumbra.SnapshotKind, true, r.noun.Actual
	return append(out, &snapshot)
}
