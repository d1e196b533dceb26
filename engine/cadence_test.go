package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
)

// sharpEye is an eye that can look at single resources. It notes what each look
// was at, by local address; a look at all is nil.
type sharpEye struct {
	*eye
	asked [][]string
	began []time.Duration
	takes time.Duration
	fails error // of the looks at single resources
}

func (x *sharpEye) note(names []string) {
	x.bench.handOver()
	if x.first.IsZero() {
		x.first = time.Now()
	}
	x.began = append(x.began, time.Since(x.first))
	x.asked = append(x.asked, names)
	time.Sleep(x.takes) // in a bubble
}

func (x *sharpEye) Read(ctx context.Context) ([]penumbra.Observation, error) {
	x.note(nil)
	return x.eye.Read(ctx)
}

func (x *sharpEye) ReadSome(ctx context.Context, addresses []penumbra.Address) ([]penumbra.Observation, error) {
	var names []string
	for _, a := range addresses {
		names = append(names, a.Local())
	}
	x.note(names)
	if x.fails != nil {
		return nil, x.fails
	}
	all, err := x.eye.Read(ctx)
	return slices.DeleteFunc(all, func(o penumbra.Observation) bool { return !slices.Contains(addresses, o.Resource) }), err
}

// sleep lets time pass in a bubble until all is at rest.
func (b *bench) sleep(d time.Duration) {
	b.handOver()
	time.Sleep(d)
	synctest.Wait()
}

// of returns when a look was at a resource by itself, and when at all.
func (x *sharpEye) of(name string) (single, whole []time.Duration) {
	for i, names := range x.asked {
		switch {
		case names == nil:
			whole = append(whole, x.began[i])
		case slices.Contains(names, name):
			single = append(single, x.began[i])
		}
	}
	return single, whole
}

func match(text string) func(penumbra.Address, string) bool {
	return func(a penumbra.Address, typ string) bool { return strings.Contains(string(a), text) || typ == text }
}

// sharpened is a bench on one source that can look at single resources, with
// rules.
func sharpened(t *testing.T, rules ...engine.Cadence) (*bench, *sharpEye) {
	b := newBench(t)
	x := &sharpEye{eye: &eye{bench: b, found: map[string]penumbra.Settings{}}}
	b.config = func(c *engine.Config) {
		c.Stacks[0].Readers = []engine.Reader{{Name: "code", Source: x, Every: 10 * time.Minute, Cadence: rules}}
		c.Schedule = engine.Schedule{Gap: time.Second, Burst: 4, Jitter: 1e-9}
	}
	return b, x
}

func TestOnlyWhatIsDueIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, x := sharpened(t, engine.Cadence{Pattern: "hot", Match: match("hot"), Every: time.Minute})
		x.found["vm.hot"], x.found["vm.a"], x.found["vm.b"] = set("size", 1), set("size", 1), set("size", 1)
		b.start()
		stop := b.run()
		b.sleep(time.Hour + time.Second)
		single, whole := x.of("vm.hot")
		if len(whole) < 6 || len(whole) > 8 || len(single)+len(whole) < 55 || len(single)+len(whole) > 65 {
			t.Errorf("in an hour: the whole read %d times, vm.hot by itself %d times; want about every 10 minutes, and every minute", len(whole), len(single))
		}
		for _, names := range x.asked {
			if names != nil && !slices.Equal(names, []string{"vm.hot"}) {
				t.Fatalf("asked for %q", names)
			}
		}
		stop()
	})
}

func TestCadenceIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, x := sharpened(t,
			engine.Cadence{Pattern: "hot", Match: match("hot"), Every: time.Minute},
			engine.Cadence{Pattern: "h*", Match: match("h"), Every: time.Hour}, // comes second
			engine.Cadence{Pattern: "typo", Match: match("typo"), Every: time.Minute})
		x.found["vm.hot"], x.found["vm.a"] = set("size", 1), set("size", 1)
		b.start()
		stop := b.run()
		synctest.Wait()
		time.Sleep(20 * time.Second)
		list, err := b.engine.Resources(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		next := map[penumbra.Address]time.Duration{}
		for _, r := range list {
			next[r.Address] = r.NextRead.Sub(b.now).Round(time.Second)
		}
		// "h" is in the stack's name, so that the second rule is for vm.a.
		if next["shop/vm.hot"] != 40*time.Second || next["shop/vm.a"] != 59*time.Minute+40*time.Second {
			t.Errorf("read next in %v", next)
		}
		view, err := b.engine.Shadow(t.Context(), "shop/vm.hot")
		if err != nil || view.NextRead.Sub(b.now).Round(time.Second) != 40*time.Second {
			t.Errorf("the shadow says %v (%v)", view.NextRead, err)
		}
		st := b.status().Stacks[0]
		if len(st.Sources) != 1 || !st.Sources[0].Targeted {
			t.Fatalf("sources: %+v", st.Sources)
		}
		var got []string
		for _, c := range st.Sources[0].Cadence {
			got = append(got, fmt.Sprint(c.Match, " ", c.Every, " ", c.Resources, " ", c.NextRead.IsZero()))
		}
		if want := []string{"hot 1m0s 1 false", "h* 1h0m0s 1 false", "typo 1m0s 0 true", " 10m0s 0 true"}; !slices.Equal(got, want) {
			t.Errorf("cadence %q, want %q", got, want)
		}
		stop()
	})
}

func TestNearDueIsOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		x := &sharpEye{eye: &eye{bench: b, found: map[string]penumbra.Settings{}}}
		b.config = func(c *engine.Config) {
			c.Stacks[0].Readers = []engine.Reader{{Name: "code", Source: x, Every: time.Hour, Gap: 20 * time.Second, Cadence: []engine.Cadence{
				{Pattern: "a", Match: match("vm.a"), Every: 60 * time.Second},
				{Pattern: "b", Match: match("vm.b"), Every: 70 * time.Second},
			}}}
			c.Schedule = engine.Schedule{Burst: 4, Jitter: 1e-9}
		}
		x.found["vm.a"], x.found["vm.b"], x.found["vm.c"] = set("size", 1), set("size", 1), set("size", 1)
		b.start()
		stop := b.run()
		b.sleep(10 * time.Minute)
		stop()
		// b is due 10 seconds after a, within the gap: it goes along.
		for i, names := range x.asked[1:] {
			if !slices.Equal(names, []string{"vm.a", "vm.b"}) {
				t.Fatalf("read %d at %v was of %q", i+1, x.began[i+1], names)
			}
		}
		if n := len(x.asked); n < 9 || n > 11 {
			t.Errorf("%d reads in 10 minutes", n)
		}
	})
}

func TestABluntSourceIsReadAsItsMostFrequentResourceWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, code, _ := twoEyes(t)
		b.config = func(c *engine.Config) {
			c.Stacks[0].Readers = []engine.Reader{{Name: "code", Source: code, Every: 10 * time.Minute, Cadence: []engine.Cadence{{Pattern: "hot", Match: match("hot"), Every: time.Minute}}}}
			c.Schedule = engine.Schedule{Gap: time.Second, Burst: 4, Jitter: 1e-9}
		}
		code.found["vm.a"] = set("size", 1)
		b.start()
		stop := b.run()
		b.sleep(30*time.Minute + time.Second)
		if code.reads != 4 {
			t.Errorf("%d reads in half an hour while nothing is read every minute, want 4", code.reads)
		}
		code.found["vm.hot"] = set("size", 1) // found by the read at 40 minutes
		b.sleep(30 * time.Minute)
		if code.reads < 23 || code.reads > 26 {
			t.Errorf("%d reads in an hour, a third of it with a resource to be read every minute", code.reads)
		}
		stop()
	})
}

func TestBudgetHoldsForCadence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		x := &sharpEye{eye: &eye{bench: b, found: map[string]penumbra.Settings{"vm.a": set("size", 1), "vm.b": set("size", 1), "vm.c": set("size", 1)}}}
		b.config = func(c *engine.Config) {
			c.Stacks[0].Readers = []engine.Reader{{Name: "code", Source: x, Every: time.Hour, Gap: 5 * time.Minute, Burst: 1, Cadence: []engine.Cadence{
				{Pattern: "a", Match: match("vm.a"), Every: 30 * time.Second}, {Pattern: "b", Match: match("vm.b"), Every: 45 * time.Second},
			}}}
			c.Schedule = engine.Schedule{Jitter: 1e-9}
		}
		b.start()
		stop := b.run()
		b.sleep(time.Hour - time.Second)
		stop()
		if n := len(x.asked); n > 12 {
			t.Errorf("%d reads in an hour with a budget of one every 5 minutes", n)
		}
	})
}

func TestTargetedReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, x := sharpened(t, engine.Cadence{Pattern: "hot", Match: match("hot"), Every: time.Minute})
		x.found["vm.hot"], x.found["vm.a"] = set("size", 1), set("size", 1)
		b.start()
		stop := b.run()
		synctest.Wait()
		b.advance(time.Minute)

		// A look at one resource says nothing of the others.
		delete(x.found, "vm.a")
		b.sleep(time.Minute + time.Second)
		if v := b.verdicts(); len(v) != 2 {
			t.Fatalf("after a look at vm.hot there is %v", v)
		}
		x.found["vm.a"] = set("size", 1)

		// One that fails leaves the rest as it was.
		x.fails = &penumbra.Error{Kind: penumbra.Unavailable, What: "no answer", Remedy: "wait"}
		b.advance(time.Minute)
		b.sleep(time.Minute)
		if v := b.verdicts(); v["shop/vm.hot"] != penumbra.NotChecked || v["shop/vm.a"] == penumbra.NotChecked {
			t.Fatalf("vm.hot could not be read, and there is %v", v)
		}
		tries := len(x.asked)
		b.sleep(20 * time.Second) // less than its period
		if len(x.asked) == tries || !slices.Equal(x.asked[len(x.asked)-1], []string{"vm.hot"}) {
			t.Fatalf("not tried again with back-off: %q", x.asked)
		}
		x.fails = nil
		b.advance(time.Minute)
		b.sleep(10 * time.Minute)
		if v := b.verdicts(); v["shop/vm.hot"] == penumbra.NotChecked {
			t.Fatal("vm.hot can be read again, and is not checked")
		}

		// What is not found is looked for in the whole, and only that ends it.
		delete(x.found, "vm.hot")
		b.advance(time.Minute)
		x.asked = nil
		b.sleep(2 * time.Minute)
		if v := b.verdicts(); len(v) != 1 {
			t.Fatalf("vm.hot is gone, and there is %v after looks at %q", v, x.asked)
		}
		if whole := slices.ContainsFunc(x.asked, func(names []string) bool { return names == nil }); !whole {
			t.Errorf("the whole was not read: %q", x.asked)
		}
		stop()
	})
}

// A source that takes longer than the period of its resources, beside one that
// is quick, is read again and again, and what it alone sees is heard.
func TestASlowSourceIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		slow := &sharpEye{eye: &eye{bench: b, found: map[string]penumbra.Settings{}}, takes: 2 * time.Minute}
		quick := &eye{bench: b, found: map[string]penumbra.Settings{}}
		b.config = func(c *engine.Config) {
			c.Stacks[0].Readers = []engine.Reader{
				{Name: "slow", Source: slow, Every: 5 * time.Minute, Cadence: []engine.Cadence{{Pattern: "hot", Match: match("hot"), Every: 30 * time.Second}}},
				{Name: "quick", Source: quick, Every: 30 * time.Second},
			}
			c.Schedule = engine.Schedule{Gap: time.Second, Burst: 4, Jitter: 1e-9}
		}
		for _, name := range []string{"vm.hot", "vm.a"} {
			slow.found[name], quick.found[name] = set("size", 1, "load", 1), set("load", 1)
		}
		b.start()
		stop := b.run()
		ticking := time.NewTicker(time.Second)
		defer ticking.Stop()
		pass := func(d time.Duration) { // the engine's clock goes with the timers
			b.handOver()
			for end := time.Now().Add(d); time.Now().Before(end); {
				<-ticking.C
				b.advance(time.Second)
				synctest.Wait()
			}
		}
		pass(10 * time.Minute)
		slow.found["vm.a"], slow.found["vm.hot"] = set("size", 2, "load", 1), set("size", 2, "load", 1)
		quick.found["vm.a"], quick.found["vm.hot"] = set("load", 7), set("load", 7)
		pass(20 * time.Minute)
		for _, name := range []string{"shop/vm.hot", "shop/vm.a"} {
			view, err := b.engine.Shadow(t.Context(), penumbra.Address(name))
			if err != nil {
				t.Fatal(err)
			}
			// size is the slow one's alone; of load it knows less than the quick one.
			if want := set("size", 2, "load", 7); !view.Resource.Actual.Equal(want) {
				t.Errorf("%s is known to be %v, want %v", name, view.Resource.Actual, want)
			}
		}
		single, whole := slow.of("vm.hot")
		if len(whole) < 4 || len(single) < 3 {
			t.Errorf("in 30 minutes the slow source was read whole %d times and in part %d times: %v", len(whole), len(single), slow.began)
		}
		if quick.reads < 50 {
			t.Errorf("the quick one was read %d times", quick.reads)
		}
		stop()
	})
}

// What happens while a slow source is at work starts another read after it.
func TestASlowSourceMissesNoWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		slow := &sharpEye{eye: &eye{bench: b, found: map[string]penumbra.Settings{"vm.a": set("name", "alpha")}}, takes: 2 * time.Minute}
		b.config = func(c *engine.Config) {
			c.Stacks[0].Readers = []engine.Reader{{Name: "slow", Source: slow, Every: time.Minute}}
			c.Schedule = engine.Schedule{Gap: time.Second, Burst: 4, Jitter: 1e-9}
			withRecords(c)
		}
		b.start()
		stop := b.run()
		b.sleep(3*time.Minute + 30*time.Second) // the second read is at work
		if len(slow.asked) != 2 {
			t.Fatalf("%d reads began: %v", len(slow.asked), slow.began)
		}
		b.advance(4 * time.Minute)
		for i := range 5 {
			b.take(record(b.now, "alpha", fmt.Sprint("e-", i)))
		}
		b.sleep(90*time.Second + time.Second) // it ends at 5 minutes
		if len(slow.asked) != 3 || slow.began[2] > 5*time.Minute+time.Second {
			t.Errorf("five events during a read led to reads at %v, want one at its end", slow.began)
		}
		stop()
	})
}
