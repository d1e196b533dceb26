package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// loadRules gives the judge the rules that the store has.
func (e *Engine) loadRules(ctx context.Context) error {
	rules, err := e.cfg.Store.Rules(ctx)
	if err != nil {
		return err
	}
	return e.cfg.Judge.SetRules(rules)
}

// changeRules changes the rules in the store, and judges by them at once.
func (e *Engine) changeRules(ctx context.Context, change func() error) error {
	if err := change(); err != nil {
		return err
	}
	e.mu.Lock()
	err := e.loadRules(ctx)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.rejudge(ctx, func(*tracked) bool { return true })
}

// SaveRule keeps an ignore rule and judges all resources by it.
func (e *Engine) SaveRule(ctx context.Context, rule penumbra.Rule) error {
	return e.changeRules(ctx, func() error { return e.cfg.Store.SaveRule(ctx, rule) })
}

// DeleteRule takes an ignore rule away and judges all resources without it.
func (e *Engine) DeleteRule(ctx context.Context, id string) error {
	return e.changeRules(ctx, func() error { return e.cfg.Store.DeleteRule(ctx, id) })
}

// SaveRun keeps a run's state.
func (e *Engine) SaveRun(ctx context.Context, run penumbra.Run) error {
	return e.cfg.Store.SaveRun(ctx, run)
}

// Acknowledge notes that a person knows of a drift.
func (e *Engine) Acknowledge(ctx context.Context, id, by string) (penumbra.Drift, error) {
	d, err := e.drift(ctx, id)
	if err != nil {
		return d, err
	}
	if !d.Active() {
		return d, &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("drift %s is resolved already (%s)", id, d.Resolution)}
	}
	d.Status, d.AcknowledgedBy, d.AcknowledgedAt = penumbra.Acknowledged, by, e.clock.now()
	return d, e.settle(ctx, d)
}

// Accept takes the drift's actual values as right until the given time, for
// good if it is zero. A rule limited to these values tolerates them; only an
// acceptance for good is told to the shadow, which would not unlearn it.
func (e *Engine) Accept(ctx context.Context, id, by, reason string, until time.Time) (penumbra.Drift, error) {
	d, err := e.drift(ctx, id)
	if err != nil {
		return d, err
	}
	if !d.Active() {
		return d, &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("drift %s is resolved already (%s)", id, d.Resolution)}
	}
	now := e.clock.now()
	event := penumbra.Observation{
		Kind: penumbra.EventKind, Resource: d.Resource, Type: d.Type, Source: "penumbra", ID: "accept/" + d.ID + "/" + now.Format(time.RFC3339Nano),
		Actor: by, ActorKind: penumbra.User, Action: penumbra.ActionAccept, Message: penumbra.Redact(reason),
	}
	for _, f := range d.Findings {
		value := f.Actual
		rule := penumbra.Rule{
			ID: newID("i"), Pattern: string(d.Resource) + "." + f.Path, Reason: reason, By: by, Created: now, Expires: until, Value: &value,
		}
		if err := e.cfg.Store.SaveRule(ctx, rule); err != nil {
			return d, err
		}
		event.Settings = append(event.Settings, penumbra.Setting{Path: f.Path, Value: f.Actual, Sensitive: f.Sensitive})
	}
	if until.IsZero() {
		event.Settings = penumbra.NewSettings(event.Settings...)
		if err := e.tell(ctx, event); err != nil {
			return d, err
		}
	}
	e.mu.Lock()
	err = e.loadRules(ctx)
	e.mu.Unlock()
	if err != nil {
		return d, err
	}
	if err := e.rejudge(ctx, func(r *tracked) bool { return r.Address == d.Resource }); err != nil {
		return d, err
	}
	return e.drift(ctx, id)
}
