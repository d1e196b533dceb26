package decisions

import (
	"context"
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/randomid"
)

// activeDrift returns a drift that still asks for something.
func (b *Board) activeDrift(ctx context.Context, id string) (penumbra.Drift, error) {
	d, err := b.cfg.World.Drift(ctx, id)
	if err == nil && !d.Active() {
		err = &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("drift %s is resolved already (%s)", id, d.Resolution)}
	}
	return d, err
}

// Acknowledge notes that a person knows of a drift.
func (b *Board) Acknowledge(ctx context.Context, id, by string) (penumbra.Drift, error) {
	d, err := b.activeDrift(ctx, id)
	if err != nil {
		return d, err
	}
	d.Status, d.AcknowledgedBy, d.AcknowledgedAt = penumbra.Acknowledged, by, b.cfg.Clock()
	return d, b.cfg.World.Settle(ctx, d)
}

// Snooze keeps quiet about a drift until a time, or until it gets worse; a zero
// time ends the snooze.
func (b *Board) Snooze(ctx context.Context, id, by, reason string, until time.Time) (penumbra.Drift, error) {
	d, err := b.activeDrift(ctx, id)
	if err != nil {
		return d, err
	}
	if err := b.mayAct(ctx, penumbra.Snooze, by, nil, &d); err != nil {
		return d, err
	}
	now := b.cfg.Clock()
	if !until.IsZero() && !until.After(now) {
		return d, past("snooze drift "+id, until)
	}
	d.Wake()
	if !until.IsZero() {
		d.SnoozedUntil, d.SnoozedBy, d.SnoozeReason = until.UTC(), by, penumbra.Redact(reason)
	}
	return d, b.settleDecided(ctx, d, penumbra.Decision{Verb: penumbra.Snooze, By: by, Reason: d.SnoozeReason, Time: now, Until: d.SnoozedUntil})
}

func past(what string, until time.Time) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s until %s, which is past", what, until.UTC().Format(time.RFC3339)), Remedy: "give a later time"}
}

// settleDecided records a decision on a drift, then what the drift became.
func (b *Board) settleDecided(ctx context.Context, d penumbra.Drift, decision penumbra.Decision) error {
	decision.ID, decision.Drift = randomid.New("c"), d.ID
	if err := b.cfg.Store.Note(ctx, decision); err != nil {
		return err
	}
	return b.cfg.World.Settle(ctx, d)
}

// Accept takes the drift's actual values as right until the given time, for
// good if it is zero. A rule limited to these values tolerates them; only an
// acceptance for good is told to the shadow, which would not unlearn it. When an
// acceptance ends and the values are still there, the drift is open again.
func (b *Board) Accept(ctx context.Context, id, by, reason string, until time.Time) (penumbra.Drift, error) {
	d, err := b.activeDrift(ctx, id)
	if err != nil {
		return d, err
	}
	if err := b.mayAct(ctx, penumbra.Accept, by, nil, &d); err != nil {
		return d, err
	}
	now := b.cfg.Clock()
	if !until.IsZero() && !until.After(now) {
		return d, past("accept drift "+id, until)
	}
	event := penumbra.Observation{
		Kind: penumbra.EventKind, Resource: d.Resource, Type: d.Type, Source: "penumbra", ID: "accept/" + d.ID + "/" + now.Format(time.RFC3339Nano),
		Actor: by, ActorKind: penumbra.User, Action: penumbra.ActionAccept, Message: penumbra.Redact(reason),
	}
	decision := penumbra.Decision{ID: randomid.New("c"), Drift: d.ID, Verb: penumbra.Accept, By: by, Reason: event.Message, Time: now, Until: until}
	if err := b.cfg.Store.Note(ctx, decision); err != nil {
		return d, err
	}
	for _, f := range d.Findings {
		value := f.Actual
		rule := penumbra.Rule{
			ID: randomid.New("i"), Pattern: string(d.Resource) + "." + f.Path, Reason: event.Message, By: by, Created: now, Expires: until, Value: &value,
		}
		if f.Path == "" {
			rule.Pattern = string(d.Resource)
		}
		if err := b.cfg.Store.SaveRule(ctx, rule); err != nil {
			return d, err
		}
		event.Settings = append(event.Settings, penumbra.Setting{Path: f.Path, Value: f.Actual, Sensitive: f.Sensitive})
	}
	if until.IsZero() {
		event.Settings = penumbra.NewSettings(event.Settings...)
		if err := b.cfg.World.Tell(ctx, event, time.Time{}); err != nil {
			return d, err
		}
	}
	if err := b.cfg.World.Rejudge(ctx, d.Resource); err != nil {
		return d, err
	}
	d, err = b.cfg.World.Drift(ctx, id)
	if err != nil || until.IsZero() || d.Resolution != penumbra.Accepted {
		return d, err
	}
	d.AcceptedUntil = until.UTC()
	return d, b.cfg.World.Settle(ctx, d)
}
