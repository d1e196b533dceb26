package wire

import (
	"context"
	"log/slog"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/timeline"
)

// LookOptions say what one look is at, and what it is held against.
type LookOptions struct {
	Dir, Stack string
	Ignore     string // file of ignore rules, "" for the usual one
	State      bool   // what was read is a state: it does not say what should be there
	Fresh      bool   // hold it against nothing recorded
	Log        *slog.Logger
	Version    string
}

// Look judges what was read at a time, by the recorded shadow where there is
// one, and says which it was: recorded or fresh. It writes nothing. The error is
// Missing if there is nothing to hold a state against.
func Look(ctx context.Context, c *Config, o LookOptions, read []penumbra.Observation, at time.Time) ([]penumbra.Assessment, string, error) {
	th, err := c.Thresholds()
	if err != nil {
		return nil, "", err
	}
	th.Support = 0 // one look has only this moment to speak
	judge, err := drift.NewJudge(th)
	if err != nil {
		return nil, "", err
	}
	rules, err := ignoreRules(c, o.Dir, o.Ignore)
	if err != nil {
		return nil, "", err
	}
	if !o.Fresh {
		store, err := c.OpenToRead(ctx)
		if err == nil {
			defer store.Close()
			if err := canBeCompared(ctx, c, store); err != nil {
				return nil, "", err
			}
			return lookRecorded(ctx, c, store, o, judge, rules, read)
		}
		if penumbra.KindOf(err) != penumbra.NotFound {
			return nil, "", err
		}
	}
	if o.State {
		return nil, "", &penumbra.Error{
			Kind: penumbra.Missing, What: "a state says nothing of what should be there, and there is no recorded shadow to hold it against",
			Remedy: "let `penumbra serve` watch the stack, or take its timeline in with `penumbra ingest`; `penumbra check DIR` needs neither",
		}
	}
	m, err := c.Manuals()
	if err != nil {
		return nil, "", err
	}
	knowing := &ruled{Judge: judge, fixed: rules, Manuals: m}
	if err := knowing.SetRules(nil); err != nil {
		return nil, "", err
	}
	family := c.Model
	if family == engine.AutoModel {
		family = engine.FirstFamily
	}
	s := engine.Stages{Shadow: Families[family](ServedSeed), Judge: knowing, Fold: timeline.Fold, Order: timeline.Order, Confidence: c.Confidence}
	if limits := c.limits(o.Log); limits != nil {
		s.Limits = limits()
	}
	nothing := func(penumbra.Address) (penumbra.Resource, bool) { return penumbra.Resource{}, false }
	return s.Look(nothing, read, at), "fresh", nil
}

func lookRecorded(ctx context.Context, c *Config, store engine.Store, o LookOptions, judge *drift.Judge, rules []penumbra.Rule, read []penumbra.Observation) ([]penumbra.Assessment, string, error) {
	m, err := c.Manuals()
	if err != nil {
		return nil, "", err
	}
	e, err := engine.New(ctx, engine.Config{
		Store: store, NewFamily: NewFamily, Judge: &ruled{Judge: judge, fixed: rules, Manuals: m}, Codec: Codec{}, Fold: timeline.Fold, Order: timeline.Order,
		Confidence: c.Confidence, ReadOnly: true, ModelName: c.Model, Version: o.Version, Log: o.Log,
		NewLimits: c.limits(o.Log),
	})
	if err != nil {
		return nil, "", err
	}
	if o.State {
		if _, err := e.Resources(ctx, o.Stack); err != nil {
			return nil, "", err // nothing to hold the state against
		}
	}
	return e.Look(read), "recorded", nil
}
