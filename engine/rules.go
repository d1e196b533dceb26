package engine

import (
	"context"

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
	return e.judgeByRules(ctx, func(*tracked) bool { return true })
}

// judgeByRules judges the resources chosen by the rules that the store has.
func (e *Engine) judgeByRules(ctx context.Context, choose func(*tracked) bool) error {
	e.mu.Lock()
	err := e.loadRules(ctx)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.rejudge(ctx, choose)
}

// SaveRule keeps an ignore rule and judges all resources by it.
func (e *Engine) SaveRule(ctx context.Context, rule penumbra.Rule) error {
	return e.changeRules(ctx, func() error { return e.cfg.Store.SaveRule(ctx, rule) })
}

// DeleteRule takes an ignore rule away and judges all resources without it.
func (e *Engine) DeleteRule(ctx context.Context, id string) error {
	return e.changeRules(ctx, func() error { return e.cfg.Store.DeleteRule(ctx, id) })
}
