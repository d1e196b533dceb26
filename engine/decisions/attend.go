package decisions

import (
	"context"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// RecallAttentions has read more often, after a restart, what is stored so.
func (b *Board) RecallAttentions(ctx context.Context) error {
	stored, err := b.cfg.Store.Attentions(ctx)
	if err != nil {
		return err
	}
	b.attending.Lock()
	defer b.attending.Unlock()
	b.attentions = stored
	b.attend()
	return nil
}

// attend has the world read what is attended to. b.attending is held.
func (b *Board) attend() {
	now := b.cfg.Now()
	var hold []penumbra.Attention
	for _, a := range b.attentions {
		if a.Holds(now) {
			hold = append(hold, a)
		}
	}
	b.cfg.World.Closer(hold)
}

// SaveAttention has a resource read more often until its time is over.
func (b *Board) SaveAttention(ctx context.Context, a penumbra.Attention) error {
	b.attending.Lock()
	defer b.attending.Unlock()
	if a.Created.IsZero() {
		a.Created = b.cfg.Now().UTC()
	}
	if err := b.cfg.Store.SaveAttention(ctx, a); err != nil {
		return err
	}
	b.attentions = append(slices.DeleteFunc(b.attentions, func(x penumbra.Attention) bool { return x.ID == a.ID }), a)
	b.attend()
	return nil
}

// EndAttention has a resource read as usual again.
func (b *Board) EndAttention(ctx context.Context, id string) error {
	b.attending.Lock()
	defer b.attending.Unlock()
	return b.endAttention(ctx, id)
}

func (b *Board) endAttention(ctx context.Context, id string) error {
	if err := b.cfg.Store.EndAttention(ctx, id); err != nil {
		return err
	}
	b.attentions = slices.DeleteFunc(b.attentions, func(x penumbra.Attention) bool { return x.ID == id })
	b.attend()
	return nil
}

// attentionsDue ends those whose time is over.
func (b *Board) attentionsDue(ctx context.Context) error {
	b.attending.Lock()
	defer b.attending.Unlock()
	for _, a := range slices.Clone(b.attentions) {
		if a.Holds(b.cfg.Now()) {
			continue
		}
		if err := b.endAttention(ctx, a.ID); err != nil {
			return err
		}
		b.cfg.Log.Info("a resource is read as often as usual again", "resource", a.Resource, "every", a.Usually)
	}
	return nil
}

// attention returns why a resource is read more often, nil if it is not.
func (b *Board) attention(address penumbra.Address) *penumbra.Attention {
	b.attending.Lock()
	defer b.attending.Unlock()
	for _, a := range b.attentions {
		if a.Resource == address && a.Holds(b.cfg.Now()) {
			return &a
		}
	}
	return nil
}

// ahead puts into a case what is known of who changes the settings, and of what was
// done about it before.
func (b *Board) ahead(ctx context.Context, c *Case) error {
	c.Every, c.Gap = b.cfg.World.Period(c.Drift.Resource)
	c.Attention = b.attention(c.Drift.Resource)
	var err error
	if c.Doers, err = b.doers(ctx, &c.Drift, penumbra.ObservationQuery{From: c.Time.Add(-doneWithin)}); err != nil {
		return err
	}
	runs, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Stack: c.Drift.Resource.Stack(), Limit: outcomesLearnt})
	for i := range runs {
		if r := &runs[i]; r.Kind == penumbra.TellOwner && r.Drift == c.Drift.ID && r.State == penumbra.Done && c.Time.Sub(r.Ended) < holds && r.Ended.After(c.Told) {
			c.Told = r.Ended
		}
	}
	return err
}

// doneWithin is how far back it is looked for who has changed a setting.
const doneWithin = 90 * 24 * time.Hour

// doers returns who has changed a drift's settings, by the events of logs within
// the query's span: who did most first.
func (b *Board) doers(ctx context.Context, d *penumbra.Drift, q penumbra.ObservationQuery) ([]penumbra.Doer, error) {
	type tally struct {
		penumbra.Doer
		actions map[string]int
	}
	by := map[string]*tally{}
	var order []*tally
	total := 0
	q.Resource, q.Kinds = d.Resource, []penumbra.ObservationKind{penumbra.EventKind}
	for o, err := range b.cfg.Store.Observations(ctx, q) {
		if err != nil {
			return nil, err
		}
		named := slices.ContainsFunc(o.Settings, func(x penumbra.Setting) bool { _, ok := d.Finding(x.Path); return ok })
		if o.Actor == "" || o.Source == "penumbra" || !named {
			continue
		}
		t := by[o.Actor]
		if t == nil {
			t = &tally{Doer: penumbra.Doer{Actor: o.Actor, Kind: o.ActorKind, First: o.Time}, actions: map[string]int{}}
			by[o.Actor] = t
			order = append(order, t)
		}
		total++
		t.Changes++
		t.Hours[o.Time.UTC().Hour()]++
		t.Last, t.Source = o.Time, o.Source
		if t.actions[o.Action]++; t.actions[o.Action] > t.actions[t.Action] {
			t.Action = o.Action
		}
	}
	var out []penumbra.Doer
	for _, t := range order {
		t.Share = float64(t.Changes) / float64(total)
		out = append(out, t.Doer)
	}
	slices.SortStableFunc(out, func(a, b penumbra.Doer) int { return b.Changes - a.Changes })
	return out, nil
}

// settled says how a run ended that was to prevent something or to see it coming:
// what it promised shows only afterwards. It is false while that is not known.
//
//   - A resource that was watched closer: what was impending came, or is no longer
//     expected, within a week. That it went on in the dark is a failure.
//   - An owner who was told: nobody but Penumbra has changed the settings for a week.
//   - A guard, in the code or by a policy: the settings have not drifted within a week. It counts as a success
//     until they do, as other changes of the code.
func (b *Board) settled(ctx context.Context, run *penumbra.Run, d *penumbra.Drift, now time.Time) (succeeded, known bool, err error) {
	if d == nil || run.State != penumbra.Done {
		return run.State == penumbra.Done, true, nil
	}
	end := run.Ended.Add(holds)
	came := d.Verdict.IsDrift() && d.Changed.After(run.Ended) && !d.Changed.After(end)
	switch run.Kind {
	case penumbra.Guard, penumbra.GuardPolicy:
		return !came, true, nil
	case penumbra.WatchCloser:
		gone := !d.Active() && !d.ResolvedAt.After(end)
		return came || gone, came || gone || now.After(end), nil
	default:
		again, err := b.doers(ctx, d, penumbra.ObservationQuery{From: run.Ended.Add(time.Nanosecond), To: end})
		return !came && len(again) == 0, came || len(again) > 0 || now.After(end), err
	}
}
