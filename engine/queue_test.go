package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// gated is a store whose appends wait to be let through, and fail if they are
// told to.
type gated struct {
	engine.Store
	began chan struct{} // an append has begun
	let   chan error    // and may go on, or fails
	open  bool

	mu      sync.Mutex
	appends int
}

func (g *gated) Append(ctx context.Context, o []penumbra.Observation) ([]penumbra.Observation, error) {
	if g.open {
		g.began <- struct{}{}
		if err := <-g.let; err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	g.appends++
	g.mu.Unlock()
	return g.Store.Append(ctx, o)
}

// queued is a bench with a queue in front of a store whose appends wait.
func queued(t *testing.T, ctx context.Context) (*bench, *gated, *inputs.Queue, context.Context) {
	b := newBench(t)
	g := &gated{began: make(chan struct{}), let: make(chan error)}
	b.config = func(c *engine.Config) {
		withRecords(c)
		g.Store = c.Store
		c.Store = g
	}
	b.both("vm.a", set("name", "alpha"))
	b.start()
	b.look()
	g.open, g.appends = true, 0
	q, queueing := b.engine.Feed("log").Queue(ctx)
	return b, g, q, queueing
}

func (b *bench) give(q *inputs.Queue, ids ...string) {
	b.t.Helper()
	var records []penumbra.Record
	for i, id := range ids {
		records = append(records, record(b.now.Add(time.Duration(i)), "alpha", id))
	}
	if err := q.Records(b.t.Context(), records, nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) save(q *inputs.Queue, at string) {
	b.t.Helper()
	if err := q.Save(b.t.Context(), "log", []byte(at)); err != nil {
		b.t.Fatal(err)
	}
}

// cursor holds what is saved of where the log was read to.
func (b *bench) cursor(want string) {
	b.t.Helper()
	data, err := b.engine.Feed("log").Load(context.Background(), "log")
	if err != nil || string(data) != want {
		b.t.Helper()
		b.t.Fatalf("the cursor is %q, %v; want %q", data, err, want)
	}
}

func TestQueueSavesACursorAfterWhatItCovers(t *testing.T) {
	t.Parallel()
	b, g, q, _ := queued(t, t.Context())
	b.save(q, "start")
	b.cursor("start") // nothing waits: at once
	b.give(q, "1", "2")
	b.save(q, "after 2")
	<-g.began
	b.give(q, "3")
	b.save(q, "after 3")
	b.give(q, "4")
	b.cursor("start")
	g.let <- &penumbra.Error{Kind: penumbra.Unavailable, What: "the store"} // passes: it is tried again
	<-g.began
	b.cursor("start")
	g.let <- nil
	<-g.began // 3 and 4 at once: they have waited
	g.let <- nil
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	b.cursor("after 3")
	var ids int
	for _, e := range b.events() {
		if e.ID != "" {
			ids++
		}
	}
	if ids != 4 || g.appends > 3 {
		t.Fatalf("%d events by %d appends: %+v", ids, g.appends, b.events())
	}
	if st := b.input("log"); st.Records != 4 || st.Mapped != 4 {
		t.Fatalf("counted %+v", st)
	}
}

func TestQueueThatFailsSavesNoCursor(t *testing.T) {
	t.Parallel()
	b, g, q, queueing := queued(t, t.Context())
	b.give(q, "1")
	b.save(q, "after 1")
	<-g.began
	g.let <- &penumbra.Error{Kind: penumbra.Damaged, What: "the store"}
	<-queueing.Done()
	if err := context.Cause(queueing); penumbra.KindOf(err) != penumbra.Damaged {
		t.Fatalf("it ended because of %v", err)
	}
	if err := q.Records(t.Context(), []penumbra.Record{record(b.now, "alpha", "2")}, nil); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("what comes after a failure: %v", err)
	}
	if err := q.Save(t.Context(), "log", []byte("after 2")); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("a cursor after a failure: %v", err)
	}
	if err := q.Close(); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("closed with %v", err)
	}
	b.cursor("")
	if st := b.input("log"); st.Records != 0 {
		t.Errorf("counted though not kept: %+v", st)
	}
}

func TestQueueStoresWhatItHoldsAtAStop(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	b, g, q, _ := queued(t, ctx)
	b.give(q, "1")
	<-g.began
	b.give(q, "2")
	b.save(q, "after 2")
	stop()
	if err := q.Records(ctx, []penumbra.Record{record(b.now, "alpha", "3")}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	go func() {
		g.let <- nil
		for range g.began {
			g.let <- nil
		}
	}()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	close(g.began)
	b.cursor("after 2")
	if n := len(b.events()); n != 2 {
		t.Fatalf("%d events", n)
	}
}

// Who gives waits while nothing can be stored: memory is bounded.
func TestQueueHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g, q, _ := queued(t, t.Context())
		given := 0
		var giving sync.WaitGroup
		giving.Go(func() {
			for ; given < 100; given++ {
				b.give(q, fmt.Sprint(given))
			}
		})
		<-g.began
		synctest.Wait()
		if given > 15 {
			t.Fatalf("%d batches are held while none can be stored", given)
		}
		go func() {
			g.let <- nil
			for range g.began {
				g.let <- nil
			}
		}()
		giving.Wait()
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		close(g.began)
		if n := len(b.events()); n != 100 {
			t.Fatalf("%d events of 100", n)
		}
		b.stop()
	})
}

func TestAsideIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config = func(c *engine.Config) {
		withRecords(c)
		c.Inputs[0].Aside = inputs.AsideBound{Records: 6000, Age: 24 * time.Hour}
	}
	b.start()
	old := record(b.now.Add(-25*time.Hour), "omega", "old")
	b.take(old)
	var many []penumbra.Record
	for i := range 10_000 {
		many = append(many, record(b.now.Add(time.Duration(i-10_000)*time.Second), "omega", fmt.Sprint(i)))
	}
	b.take(many[:4000]...)
	if kept, err := b.store.AsideRecords(t.Context(), 0, 0); err != nil || len(kept) != 4001 {
		t.Fatalf("%d records below the bound, %v", len(kept), err)
	}
	b.take(many[4000:]...)
	kept, err := b.store.AsideRecords(t.Context(), 0, 0)
	if err != nil || len(kept) != 6000 || kept[0].Record.ID != "4000" {
		t.Fatalf("%d records above the bound, %v", len(kept), err)
	}
	if st := b.input("log"); st.Unmapped != 10_001 || st.Dropped != 4001 {
		t.Errorf("counted %+v", st)
	}
	u, err := b.engine.Unmapped(t.Context(), 1)
	if err != nil || u.Records != 6000 || len(u.Dropped) != 1 || u.Dropped[0] != (penumbra.UnmappedDropped{Input: "log", Count: 4001, Last: b.now}) {
		t.Errorf("summed up as %+v, %v", u, err)
	}
}
