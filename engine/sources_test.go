package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
)

// eye is one of several sources of a stack: it finds what it holds.
type eye struct {
	bench *bench
	found map[string]penumbra.Settings // by local address
	full  bool
	err   error
	reads int
	began []time.Duration // since the first read
	first time.Time
	while func() // what happens before a read is done, after it has looked
}

func (x *eye) Read(context.Context) ([]penumbra.Observation, error) {
	x.bench.handOver()
	x.reads++
	if x.first.IsZero() {
		x.first = time.Now()
	}
	x.began = append(x.began, time.Since(x.first))
	if x.err != nil {
		return nil, x.err
	}
	var out []penumbra.Observation
	for name, s := range x.found {
		out = append(out, penumbra.Observation{Kind: penumbra.SnapshotKind, Time: x.bench.time(), Resource: penumbra.NewAddress("shop", name), Type: "vm", Settings: s, Full: x.full})
	}
	if x.while != nil {
		x.while()
	}
	return out, nil
}

// A slow source must not take back what a quick one saw while it was at work.
func TestASlowReadKnowsLess(t *testing.T) {
	t.Parallel()
	b, slow, quick := twoEyes(t)
	slow.found["vm.a"], quick.found["vm.a"] = set("size", 1), set("size", 1)
	b.start()
	b.look()
	slow.while = func() {
		quick.found["vm.a"] = set("size", 2)
		b.advance(time.Second)
		slow.while = nil
		// As the quick one's own read would tell it.
		b.ingest(`{"kind":"snapshot","time":"` + b.now.Format(time.RFC3339Nano) + `","resource":"shop/vm.a","type":"vm","source":"server","settings":{"size":2}}` + "\n")
		b.advance(time.Second)
	}
	b.advance(time.Minute)
	b.look()
	view, err := b.engine.Shadow(t.Context(), "shop/vm.a")
	if err != nil {
		t.Fatal(err)
	}
	if !view.Resource.Actual.Equal(set("size", 2)) {
		t.Errorf("there is %v, though size was seen to be 2 last", view.Resource.Actual)
	}
	var sizes []string
	for _, p := range view.History {
		if p.Kind == penumbra.SnapshotKind && p.Path == "size" {
			sizes = append(sizes, p.Value.String())
		}
	}
	if len(sizes) != 2 {
		t.Errorf("size went %q, want 1 and then 2", sizes)
	}
}

// twoEyes is a bench on a stack that two sources read.
func twoEyes(t *testing.T) (b *bench, code, server *eye) {
	b = newBench(t)
	code, server = &eye{bench: b, found: map[string]penumbra.Settings{}}, &eye{bench: b, found: map[string]penumbra.Settings{}}
	b.config = func(c *engine.Config) {
		c.Stacks[0].Readers = []engine.Reader{{Name: "code", Source: code}, {Name: "server", Source: server}}
	}
	return b, code, server
}

func (b *bench) status() penumbra.Status {
	b.t.Helper()
	st, err := b.engine.Status(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

func (b *bench) stored() int64 {
	b.t.Helper()
	n, _, err := b.store.Counts(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bench) verdicts() map[penumbra.Address]penumbra.Verdict {
	b.t.Helper()
	list, err := b.engine.Resources(b.t.Context(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[penumbra.Address]penumbra.Verdict{}
	for _, r := range list {
		out[r.Address] = r.Verdict
	}
	return out
}

func TestGoneOnlyWhenNoSourceFindsIt(t *testing.T) {
	t.Parallel()
	b, code, server := twoEyes(t)
	code.found["vm.a"], server.found["vm.a"] = set("size", 1), set("load", 2)
	b.start()
	b.look()
	b.advance(time.Hour)
	delete(code.found, "vm.a")
	b.look()
	if _, there := b.verdicts()["shop/vm.a"]; !there {
		t.Fatal("gone though the server finds it")
	}
	b.advance(time.Hour)
	delete(server.found, "vm.a")
	b.look()
	if v := b.verdicts(); len(v) != 0 {
		t.Fatalf("nobody finds it, and there is %v", v)
	}
}

func TestOneSourceFails(t *testing.T) {
	t.Parallel()
	b, code, server := twoEyes(t)
	code.found["vm.code"], code.found["vm.both"] = set("size", 1), set("size", 1)
	server.found["vm.server"], server.found["vm.both"] = set("load", 1), set("load", 1)
	b.start()
	b.look()
	b.advance(time.Hour)
	server.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "the server does not answer", Remedy: "start it"}
	if err := b.engine.Trigger(t.Context(), "shop"); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Fatalf("Trigger: %v", err)
	}
	want := map[penumbra.Address]bool{"shop/vm.code": true, "shop/vm.both": true, "shop/vm.server": false}
	for address, v := range b.verdicts() {
		if checked := v != penumbra.NotChecked; checked != want[address] {
			t.Errorf("%s is %v", address, v)
		}
	}
	st := b.status().Stacks[0]
	if len(st.Sources) != 2 || st.Sources[0].Error != "" || st.Sources[0].Failures != 0 ||
		!strings.Contains(st.Sources[1].Error, "does not answer") || st.Sources[1].Failures != 1 || st.Error != st.Sources[1].Error {
		t.Fatalf("sources: %+v", st)
	}
	// Once the other one fails too, what both read is not checked either.
	code.err = server.err
	b.advance(time.Hour)
	_ = b.engine.Trigger(t.Context(), "shop")
	b.advance(time.Minute)
	_ = b.engine.Trigger(t.Context(), "shop")
	for address, v := range b.verdicts() {
		if v != penumbra.NotChecked {
			t.Errorf("nothing can be read, and %s is %v", address, v)
		}
	}
	code.err, server.err = nil, nil
	b.advance(time.Hour)
	b.look()
	for address, v := range b.verdicts() {
		if v == penumbra.NotChecked {
			t.Errorf("all can be read again, and %s is %v", address, v)
		}
	}
}

func TestPartialSnapshotsThatSayNothingNew(t *testing.T) {
	t.Parallel()
	b, code, server := twoEyes(t)
	code.found["vm.a"], server.found["vm.a"] = set("size", 1), set("load", 2)
	b.start()
	b.look()
	before := b.stored()
	for range 5 {
		b.advance(5 * time.Minute)
		b.look()
	}
	if n := b.stored(); before != 2 || n != before {
		t.Fatalf("%d observations after the first look, %d after five more", before, n)
	}
	b.advance(5 * time.Minute)
	server.found["vm.a"] = set("load", 3)
	b.look()
	if n := b.stored(); n != before+1 {
		t.Fatalf("%d observations after one source found something new, want %d", n, before+1)
	}
	view, err := b.engine.Shadow(t.Context(), "shop/vm.a")
	if err != nil {
		t.Fatal(err)
	}
	if !view.Resource.Actual.Equal(set("size", 1, "load", 3)) {
		t.Fatalf("known to be there: %v", view.Resource.Actual)
	}
}

// run runs the engine until the function returned is called.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.engine.Run(ctx) }()
	return func() {
		b.t.Helper()
		cancel()
		if err := <-done; err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestFailedReadIsRetriedWithBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, code, server := twoEyes(t)
		readers := b.config
		b.config = func(c *engine.Config) {
			readers(c)
			c.Schedule = engine.Schedule{Every: time.Hour, Gap: 10 * time.Second, Burst: 4}
		}
		server.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "the server does not answer", Remedy: "start it"}
		b.start()
		stop := b.run()
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		stop()
		if code.reads != 1 {
			t.Errorf("the source that works was read %d times", code.reads)
		}
		if server.reads < 5 || server.reads > 20 {
			t.Fatalf("the source that fails was read %d times in 40 minutes: %v", server.reads, server.began)
		}
		early, late := server.began[2]-server.began[1], server.began[server.reads-1]-server.began[server.reads-2]
		if late < 4*early {
			t.Errorf("no back-off: %v", server.began)
		}
	})
}

func TestEventWakesOnlyTheSourcesOfItsResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, code, server := twoEyes(t)
		readers := b.config
		b.config = func(c *engine.Config) {
			readers(c)
			c.Schedule = engine.Schedule{Every: 24 * time.Hour, Gap: time.Second, Burst: 4}
			withRecords(c)
		}
		code.found["vm.a"], server.found["vm.b"] = set("name", "alpha"), set("name", "beta")
		b.start()
		stop := b.run()
		synctest.Wait()
		if code.reads != 1 || server.reads != 1 {
			t.Fatalf("%d and %d reads at the start", code.reads, server.reads)
		}
		b.advance(time.Minute)
		b.take(record(b.now, "beta", "e-1"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if code.reads != 1 || server.reads != 2 {
			t.Errorf("after an event of what the server reads: code %d, server %d reads, want 1 and 2", code.reads, server.reads)
		}
		stop()
	})
}

func TestAnomalyWakesTheSourcesOfItsResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, code, server := twoEyes(t)
		readers := b.config
		b.config = func(c *engine.Config) {
			readers(c)
			withMetrics(c)
			c.Schedule = engine.Schedule{Every: 24 * time.Hour, Gap: time.Second, Burst: 4}
		}
		code.found["vm.b"], server.found["vm.a"] = set("name", "beta"), set("name", "alpha")
		b.start()
		stop := b.run()
		synctest.Wait()
		b.latency(time.Hour, 0.01)
		time.Sleep(time.Minute)
		synctest.Wait()
		if code.reads != 1 || server.reads != 1 {
			t.Fatalf("%d and %d reads while all is as usual", code.reads, server.reads)
		}
		b.latency(time.Minute, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if code.reads != 1 || server.reads != 2 {
			t.Errorf("after an anomaly of what the server reads: code %d, server %d reads, want 1 and 2", code.reads, server.reads)
		}
		stop()
	})
}

// far is a source that another machine reads.
type far struct {
	*office
	there, here atomic.Int64
}

func (f *far) Read(ctx context.Context) ([]penumbra.Observation, error) {
	f.there.Add(1)
	return f.office.Read(ctx)
}

func (f *far) ReadHere(ctx context.Context) ([]penumbra.Observation, error) {
	f.here.Add(1)
	return f.office.Read(ctx)
}

// TestWhoAppliesLooksHere has a run look at what it does by this machine, and everybody
// else by any.
func TestWhoAppliesLooksHere(t *testing.T) {
	t.Parallel()
	f := &far{}
	o := newOffice(t, func(o *office) {
		f.office = o
		o.also = func(cfg *engine.Config) { cfg.Stacks[0].Readers[0].Source = f }
	})
	if f.there.Load() == 0 || f.here.Load() != 0 {
		t.Errorf("before the run it was read %d times there and %d times here", f.there.Load(), f.here.Load())
	}
	before := f.there.Load()
	o.approve(o.revert(), "alice")
	o.wantApplied(1)
	if f.here.Load() == 0 {
		t.Error("the run has looked by another machine alone")
	}
	if n := f.there.Load() - before; n > 1 { // the loop's own look, once it is over
		t.Errorf("during the run it was read %d times there", n)
	}
}
