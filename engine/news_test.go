package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
)

// told returns what the engine has told after a number, as "topic verb".
func (b *bench) told(after uint64) (out []string) {
	b.t.Helper()
	for after < b.engine.LastNews() {
		news, err := b.engine.News(b.t.Context(), after)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, n := range news {
			if n.Seq != after+1 {
				b.t.Fatalf("news %d follows %d", n.Seq, after)
			}
			after = n.Seq
			out = append(out, string(n.Topic)+" "+n.Verb)
			if n.Stack != "shop" {
				b.t.Errorf("%+v is not of the stack", n)
			}
		}
	}
	return out
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

func TestNewsOfTheLifeOfADrift(t *testing.T) {
	b := newBench(t)
	b.both("vm.a", set("size", 1))
	b.start()
	b.look()
	same(t, "a read that found nothing", b.told(0), "source read")

	b.world["vm.a"] = set("size", 2)
	b.advance(time.Second)
	last := b.engine.LastNews()
	b.look()
	same(t, "a drift", b.told(last), "drift opened", "source read")

	// What goes on is no news after a restart, and neither is it opened again.
	b.stop()
	b.start()
	id := b.drifts()[0].ID
	if _, err := b.engine.Acknowledge(t.Context(), id, "alice"); err != nil {
		t.Fatal(err)
	}
	same(t, "an acknowledgement after a restart", b.told(0), "drift changed")

	b.world["vm.a"] = set("size", 1)
	b.advance(time.Second)
	last = b.engine.LastNews()
	b.look()
	same(t, "what came back", b.told(last), "drift resolved", "source read")

	b.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "no route to the host"}
	last = b.engine.LastNews()
	if err := b.engine.Trigger(t.Context(), "shop"); err == nil {
		t.Fatal("a read of a source that is away succeeded")
	}
	same(t, "a source that is away", b.told(last)[len(b.told(last))-1:], "source failed")
}

func TestNewsAreStoredBeforeTheyAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.both("vm.a", set("size", 1))
		b.start()
		defer b.stop()
		b.look()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		news := b.engine.Subscribe(ctx)
		found := make(chan int, 1)
		go func() {
			for n := range news {
				if n.Topic == penumbra.DriftNews {
					drifts, err := b.store.Drifts(ctx, penumbra.DriftQuery{ID: n.ID})
					if err != nil {
						t.Error(err)
					}
					found <- len(drifts)
					return
				}
			}
		}()
		b.world["vm.a"] = set("size", 2)
		b.advance(time.Second)
		b.look()
		if n := <-found; n != 1 {
			t.Errorf("a drift that was told of is stored %d times", n)
		}
	})
}

func TestASlowListenerIsToldWhatItMissed(t *testing.T) {
	b := newBench(t).start()
	defer b.stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := b.engine.LastNews()
	const told = 3 * engine.NewsKept
	var heard, missed uint64
	news := b.engine.Subscribe(ctx)
	b.engine.Tell(1)
	for n, behind := range news {
		if heard++; heard == 1 {
			for range told / 100 {
				b.engine.Tell(100) // while it is busy with the first: nobody waits for it
			}
		}
		missed += behind
		if n.Seq == last+1+told/100*100 {
			break
		}
	}
	if heard+missed != 1+told/100*100 || missed < told-2*engine.NewsKept {
		t.Errorf("heard %d and was told of %d missed, of %d", heard, missed, 1+told)
	}
	if heard < engine.NewsKept/2 {
		t.Errorf("heard %d only of what is remembered", heard)
	}
}

func TestNobodyWaitsForNewsAfterTheirContextEnded(t *testing.T) {
	b := newBench(t).start()
	defer b.stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.engine.News(ctx, b.engine.LastNews()); !errors.Is(err, context.Canceled) {
		t.Errorf("news after the end: %v", err)
	}
	for n := range b.engine.Subscribe(ctx) {
		t.Errorf("told %+v after the end", n)
	}
}

func TestNewsOfDecisions(t *testing.T) {
	o := newOffice(t)
	o.policy.needs = 2
	p := o.revert()
	last := o.engine.LastNews()
	o.approve(p, "alice")
	same(t, "the first of two approvals", o.told(last), "proposal approve")
	last = o.engine.LastNews()
	o.approve(p, "bob")
	o.engine.Wait()
	told := o.told(last)
	same(t, "the second approval", told[:3], "proposal approved", "run planned", "run checking")
	if !slices.Contains(told, "run done") || !slices.Contains(told, "drift resolved") {
		t.Errorf("the run told %q", told)
	}
	last = o.engine.LastNews()
	f := o.freeze("shop")
	if _, err := o.engine.Unfreeze(t.Context(), f.ID, "alice"); err != nil {
		t.Fatal(err)
	}
	same(t, "a freeze", o.told(last), "freeze set", "freeze lifted")
}
