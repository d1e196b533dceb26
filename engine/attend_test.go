package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
)

// attended is an attention to a resource, as approved now.
func (b *bench) attended(resource penumbra.Address, every, lasts time.Duration) penumbra.Attention {
	return penumbra.Attention{ID: "w-1", Resource: resource, Drift: "d-1", Every: every, Usually: 10 * time.Minute, Until: b.now.Add(lasts), By: "alice"}
}

// What is watched closer is read more often, by itself where the source can, for its
// time, through a restart, and then as before.
func TestWatchedCloserIsReadMoreOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, x := sharpened(t)
		x.found["vm.hot"], x.found["vm.a"] = set("size", 1), set("size", 1)
		b.start()
		stop := b.run()
		b.sleep(time.Hour)
		if single, _ := x.of("vm.hot"); len(single) != 0 {
			t.Fatalf("read by itself %d times before anybody asked for it", len(single))
		}
		if err := b.engine.SaveAttention(t.Context(), b.attended("shop/vm.hot", time.Minute, 3*time.Hour)); err != nil {
			t.Fatal(err)
		}
		b.sleep(time.Hour)
		if single, whole := x.of("vm.hot"); len(single) < 45 || len(single) > 62 || len(whole) > 16 {
			t.Errorf("in an hour it was read %d times by itself; all %d times", len(single), len(whole))
		}
		view, err := b.engine.Shadow(t.Context(), "shop/vm.hot")
		if err != nil || view.Closer == nil || view.Closer.By != "alice" || view.NextRead.Sub(b.now) > time.Minute {
			t.Errorf("the shadow says %+v, next %v (%v)", view.Closer, view.NextRead, err)
		}
		if st := b.status(); len(st.Closer) != 1 || st.Closer[0].Every != time.Minute {
			t.Errorf("the status says %+v", st.Closer)
		}
		stop()
		if err := b.store.Close(); err != nil {
			t.Fatal(err)
		}

		b.start()
		before, _ := x.of("vm.hot") // while nobody reads
		stop = b.run()
		b.sleep(30 * time.Minute)
		after, _ := x.of("vm.hot")
		if n := len(after) - len(before); n < 20 || n > 32 {
			t.Errorf("in half an hour after a restart it was read %d times by itself", n)
		}
		b.advance(4 * time.Hour)
		b.sleep(time.Minute) // until somebody sees that its time is over
		before, _ = x.of("vm.hot")
		b.sleep(time.Hour)
		after, _ = x.of("vm.hot")
		if len(after) != len(before) || len(b.status().Closer) != 0 {
			t.Errorf("read %d times more by itself when its time was over; %+v", len(after)-len(before), b.status().Closer)
		}
		if left, err := b.store.Attentions(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("still stored: %+v, %v", left, err)
		}
		stop()
	})
}

// A source that reads all or nothing is read as often as its most watched resource.
func TestWatchedCloserOfASourceThatReadsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.both("vm.hot", set("size", 1))
		b.config = func(c *engine.Config) {
			c.Stacks[0].Readers[0].Every = 10 * time.Minute
			c.Schedule = engine.Schedule{Gap: time.Second, Burst: 4, Jitter: 1e-9}
		}
		b.start()
		stop := b.run()
		b.sleep(time.Hour)
		before := b.reads.Load()
		if err := b.engine.SaveAttention(t.Context(), b.attended("shop/vm.hot", 2*time.Minute, 3*time.Hour)); err != nil {
			t.Fatal(err)
		}
		b.sleep(time.Hour)
		if n := b.reads.Load() - before; n < 25 || n > 35 {
			t.Errorf("read %d times in an hour", n)
		}
		if err := b.engine.EndAttention(t.Context(), "w-1"); err != nil {
			t.Fatal(err)
		}
		b.sleep(11 * time.Minute)
		before = b.reads.Load()
		b.sleep(time.Hour)
		if n := b.reads.Load() - before; n > 8 {
			t.Errorf("read %d times in the hour after it", n)
		}
		stop()
	})
}

// telling proposes to talk to somebody, and has done so once that is approved.
type telling struct {
	asked
	journal *engine.Engine
	now     func() time.Time
}

func (p *telling) Propose(_ context.Context, c decisions.Case) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	p.last = c
	x := penumbra.Proposal{ID: "p-" + c.Time.Format("0102150405"), Drift: c.Drift.ID, Kind: penumbra.TellOwner, State: penumbra.Proposed, Created: c.Time,
		Message: &penumbra.Message{To: []string{"alice"}, Subject: "s", Text: "t"}}
	x.Hash = x.Digest()
	return []penumbra.Proposal{x}, nil, nil
}

func (p *telling) Execute(ctx context.Context, run penumbra.Run, _ penumbra.Proposal, _ ...penumbra.Decision) (penumbra.Run, error) {
	run.State, run.Ended = penumbra.Done, p.now()
	return run, p.journal.SaveRun(ctx, run)
}

func (p *telling) Recover(_ context.Context, run penumbra.Run, _ penumbra.Proposal) (penumbra.Run, error) {
	return run, nil
}

// Who is impending drift put down to, and has it stopped once they were told?
func TestOwnerIsToldAndWatched(t *testing.T) {
	for name, c := range map[string]struct {
		after func(b *bench)
		want  bool // whether it was a success
	}{
		"it comes to a drift": {func(b *bench) { b.hours(24) }, false},
		"they go on":          {func(b *bench) { b.hours(24); b.raise("alice", "7600kB"); b.hours(24 * 8) }, false},
		"they have stopped":   {func(b *bench) { b.hours(24 * 8) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &telling{}
			b := limited(t)
			limits := b.config
			b.stop()
			b.config = func(cfg *engine.Config) {
				limits(cfg)
				p.now = cfg.Now
				cfg.Stacks[0].Proposer = p
				cfg.Stacks[0].Remediator = func(e *engine.Engine) decisions.Remediator { p.journal = e; return p }
			}
			b.start().look()
			b.hours(24 * 4)
			b.raise("alice", "5MB")
			b.hours(23)
			b.raise("bob", "6MB")
			b.hours(23)
			b.raise("alice", "7MB")
			d := b.drifts()[0]
			if d.Verdict != penumbra.Impending {
				t.Fatalf("it is %s", d.Verdict)
			}
			x := b.proposed(d.ID)
			got := p.last
			if len(got.Doers) != 2 || got.Doers[0].Actor != "alice" || got.Doers[0].Changes != 2 || got.Doers[0].Kind != penumbra.User || got.Doers[0].Action != "ALTER SYSTEM" || got.Doers[1].Share >= got.Doers[0].Share {
				t.Errorf("who has done it: %+v", got.Doers)
			}
			if got.Every != 5*time.Minute || !got.Told.IsZero() || got.Attention != nil {
				t.Errorf("read every %s, told %s, %+v", got.Every, got.Told, got.Attention)
			}
			b.approve(x)
			if err := b.engine.SaveAttention(t.Context(), b.attended(d.Resource, time.Minute, time.Hour)); err != nil {
				t.Fatal(err)
			}
			b.proposedAgain(d.ID)
			if p.last.Told.IsZero() || p.last.Attention == nil || len(p.last.Outcomes) != 0 {
				t.Errorf("told %s, attention %+v, and nothing can be known of it yet: %+v", p.last.Told, p.last.Attention, p.last.Outcomes)
			}
			c.after(b)
			b.workMem("9MB")
			b.advance(time.Hour)
			b.look()
			b.proposedAgain(b.drifts()[0].ID)
			if list := p.last.Outcomes; len(list) != 1 || list[0].Kind != penumbra.TellOwner || list[0].Succeeded != c.want {
				t.Errorf("outcomes %+v, want a success: %v", list, c.want)
			}
		})
	}
}

// proposedAgain has proposals made anew, whatever there is.
func (b *bench) proposedAgain(drift string) {
	b.t.Helper()
	b.advance(16 * time.Minute)
	if _, _, err := b.engine.Proposals(b.t.Context(), drift); err != nil {
		b.t.Fatal(err)
	}
}
