package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
)

// asker is a proposer that keeps what it was told of a drift.
type asker struct{ got decisions.Case }

func (a *asker) Propose(_ context.Context, c decisions.Case) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	a.got = c
	return nil, nil, nil
}

func (a *asker) Customize(context.Context, penumbra.Proposal, penumbra.Edit, decisions.Case) (penumbra.Proposal, error) {
	return penumbra.Proposal{}, nil
}

func (a *asker) Part(context.Context, []string, bool, decisions.Case) (penumbra.Proposal, error) {
	return penumbra.Proposal{}, nil
}

func (a *asker) Restore(context.Context, penumbra.Run, penumbra.Proposal, decisions.Case) (penumbra.Proposal, error) {
	return penumbra.Proposal{}, nil
}

// A run that was verified has not succeeded if what it put right drifts again within a
// week; later it has.
func TestOutcomesMustHold(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		again     time.Duration
		path      string
		succeeded bool
	}{
		"the same setting a day later":   {24 * time.Hour, "size", false},
		"another setting a day later":    {24 * time.Hour, "name", true},
		"the same setting after a month": {30 * 24 * time.Hour, "size", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &asker{}
			b := measured(t, func(c *engine.Config) {
				withMetrics(c)
				c.Stacks[0].Proposer = a
			})
			b.advance(time.Hour)
			b.world["vm.a"] = set("name", "alpha", "size", 7)
			b.look()
			first := b.drifts()[0]
			b.advance(time.Minute)
			run := penumbra.Run{
				ID: "r-1", Proposal: "p-1", Kind: penumbra.Revert, Drift: first.ID, Stack: "shop", State: penumbra.Done,
				Before: map[penumbra.Address]penumbra.Settings{first.Resource: set("size", 7)}, Started: b.now, Ended: b.now,
			}
			if err := b.store.SaveRun(t.Context(), run); err != nil {
				t.Fatal(err)
			}
			b.world["vm.a"] = b.code["vm.a"]
			b.look()
			b.advance(x.again)
			if x.path == "size" {
				b.world["vm.a"] = set("name", "alpha", "size", 9)
			} else {
				b.world["vm.a"] = set("name", "omega", "size", 1)
			}
			b.look()
			for _, d := range b.drifts() {
				if !d.Active() {
					continue
				}
				if _, _, err := b.engine.Proposals(t.Context(), d.ID); err != nil {
					t.Fatal(err)
				}
			}
			o := a.got.Outcomes
			if len(o) != 1 || o[0].Kind != penumbra.Revert || o[0].Succeeded != x.succeeded || o[0].ActorKind != first.Cause.ActorKind {
				t.Errorf("outcomes %+v, want one that succeeded: %v", o, x.succeeded)
			}
		})
	}
}

// How busy the hours are comes from the rollups of what others ask of the resource, and
// where there is none, of what it takes to answer.
func TestLoadByTheHour(t *testing.T) {
	t.Parallel()
	a := &asker{}
	b := measured(t, func(c *engine.Config) {
		withMetrics(c)
		c.Stacks[0].Proposer = a
	})
	var rollups []penumbra.Rollup
	for h := range 5 * 24 {
		at := day0.Add(time.Duration(h) * time.Hour)
		for metric, value := range map[string]float64{"cpu": 0.5, "throughput": float64(10 * at.UTC().Hour())} {
			rollups = append(rollups, penumbra.Rollup{Resource: "shop/vm.a", Metric: metric, Start: at, Span: time.Hour, Count: 2, Sum: 2 * value})
		}
	}
	if err := b.store.SaveRollups(t.Context(), rollups); err != nil {
		t.Fatal(err)
	}
	b.advance(5 * 24 * time.Hour)
	b.world["vm.a"], b.world["vm.b"] = set("name", "alpha", "size", 7), set("name", "beta", "size", 7)
	b.look()
	for _, d := range b.drifts() {
		a.got = decisions.Case{}
		if _, _, err := b.engine.Proposals(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		l := a.got.Load
		switch d.Resource {
		case "shop/vm.a":
			if l == nil || l.Metric != "throughput" || l.Days != 5 || l.Hours[7] != 70 || l.Hours[23] != 230 {
				t.Errorf("load %+v", l)
			}
		default:
			if l != nil {
				t.Errorf("%s, which has no metrics: %+v", d.Resource, l)
			}
		}
	}
}

// A drift keeps coming back if its settings have drifted before, within a month.
func TestReturnsAreCounted(t *testing.T) {
	t.Parallel()
	a := &asker{}
	b := measured(t, func(c *engine.Config) {
		withMetrics(c)
		c.Stacks[0].Proposer = a
	})
	returns := func(name string, size int) int {
		t.Helper()
		b.advance(time.Hour)
		b.world["vm.a"] = set("name", name, "size", size)
		b.look()
		for _, d := range b.drifts() {
			if d.Resource != "shop/vm.a" { // a peer may be impending by now
				continue
			}
			if _, _, err := b.engine.Proposals(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
		}
		got := a.got.Returns
		b.advance(time.Hour)
		b.world["vm.a"] = b.code["vm.a"]
		b.look()
		return got
	}
	for i, want := range []int{0, 1, 2} {
		if got := returns("alpha", 7+i); got != want {
			t.Errorf("time %d: it came back %d times before, want %d", i+1, got, want)
		}
	}
	if got := returns("omega", 1); got != 0 {
		t.Errorf("another setting came back %d times", got)
	}
	b.advance(40 * 24 * time.Hour)
	if got := returns("alpha", 7); got != 0 {
		t.Errorf("what was over a month ago counts: %d", got)
	}
}
