package engine_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/inputs"
	"github.com/penumbra-iac/penumbra/events"
)

// mapper is the real one, as cmd joins it.
type mapper struct{ *events.Mapper }

func (m mapper) Map(rec *penumbra.Record) inputs.Mapping {
	x := m.Mapper.Map(rec)
	return inputs.Mapping{Observations: x.Observations, Denied: len(x.Denied), Skipped: x.Skipped, Unmapped: x.Unmapped, Reason: x.Reason, Action: x.Action}
}
func (m mapper) WriteTo(w io.Writer) (int64, error)  { return m.Kinds().WriteTo(w) }
func (m mapper) ReadFrom(r io.Reader) (int64, error) { return m.Kinds().ReadFrom(r) }

func withRecords(c *engine.Config) {
	m, err := events.New(events.Rules{})
	if err != nil {
		panic(err)
	}
	c.Mapper = mapper{m}
	c.Inputs = []inputs.Input{{Name: "log", Kind: "json"}}
}

func record(at time.Time, target, id string) penumbra.Record {
	return penumbra.Record{Time: at, Format: "json", ID: id, Actor: "alice", Action: "edit", Targets: []string{target}}
}

// take takes records in, which must work.
func (b *bench) take(records ...penumbra.Record) {
	b.t.Helper()
	if err := b.engine.Feed("log").Records(b.t.Context(), records, nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) input(name string) penumbra.InputStatus {
	b.t.Helper()
	list, err := b.engine.Inputs(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, x := range list {
		if x.Name == name {
			return x
		}
	}
	b.t.Fatalf("no input %s", name)
	return penumbra.InputStatus{}
}

// events returns the events of the timeline.
func (b *bench) events() []penumbra.Observation {
	b.t.Helper()
	var out []penumbra.Observation
	for o, err := range b.store.Observations(b.t.Context(), penumbra.ObservationQuery{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		if o.Kind == penumbra.EventKind {
			out = append(out, o)
		}
	}
	return out
}

func (b *bench) aside() []penumbra.AsideRecord {
	b.t.Helper()
	out, err := b.store.AsideRecords(b.t.Context(), 0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// logged is a bench with an input of logs and one resource.
func logged(t *testing.T) *bench {
	b := newBench(t)
	b.config = withRecords
	b.both("vm.a", set("name", "alpha", "size", 1))
	b.start()
	b.look()
	b.advance(time.Minute)
	return b
}

// several is one record of each fate, and a line that could not be read.
func several(now time.Time) ([]penumbra.Record, []penumbra.BadLine) {
	mapped, read, denied, unmapped := record(now, "alpha", "m"), record(now, "alpha", "r"), record(now, "alpha", "d"), record(now, "omega", "u")
	read.ReadOnly = true
	denied.Failed = "AccessDenied"
	ahead, aheadAside := record(now.Add(24*time.Hour), "alpha", "f"), record(now.Add(24*time.Hour), "omega", "")
	nothing := penumbra.Record{Format: "json", Action: "edit", Targets: []string{"alpha"}} // without a time
	return []penumbra.Record{mapped, read, denied, unmapped, ahead, aheadAside, nothing},
		[]penumbra.BadLine{{Source: "app.log", Line: 7, Reason: "not JSON", Text: "{ password=hunter2"}}
}

func TestRecordsAndTheirFates(t *testing.T) {
	t.Parallel()
	b := logged(t)
	now := b.now
	for round := range 3 { // the same again adds nothing
		records, bad := several(now)
		if err := b.engine.Feed("log").Records(t.Context(), records, bad); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			want := penumbra.InputStatus{Name: "log", Kind: "json", Last: b.now, Records: 6, Mapped: 2, Skipped: 1, Denied: 1, Unmapped: 2, Bad: 2}
			if got := b.input("log"); got != want {
				t.Fatalf("counted %+v\nwant    %+v", got, want)
			}
		}
		b.advance(time.Minute)
		if e := b.events(); len(e) != 2 {
			t.Fatalf("round %d: events %+v", round, e)
		}
		if a := b.aside(); len(a) != 2 || a[0].Reason == "" {
			t.Fatalf("round %d: aside %+v", round, a)
		}
		if _, kept, _ := b.store.Counts(t.Context()); kept != 2 {
			t.Fatalf("round %d: %d lines in quarantine", round, kept)
		}
	}
	for _, e := range b.events() {
		if e.Time.After(now) || e.Actor != "alice" || e.Resource != "shop/vm.a" {
			t.Errorf("event %+v", e)
		}
	}
	for _, a := range b.aside() {
		if a.Record.Time.After(now) {
			t.Errorf("aside %+v is dated ahead of the clock", a.Record)
		}
	}
}

func TestRemap(t *testing.T) {
	t.Parallel()
	b := logged(t)
	b.take(record(b.now, "omega", "u-1"), record(b.now, "omega", "u-2"), record(b.now, "nobody", "u-3"))
	if r, err := b.engine.Remap(t.Context()); err != nil || r != (penumbra.RemapReport{Tried: 3}) {
		t.Fatalf("before the resource is known: %+v, %v", r, err)
	}
	b.advance(time.Minute)
	b.both("vm.o", set("name", "omega"))
	b.look()
	if r, err := b.engine.Remap(t.Context()); err != nil || r != (penumbra.RemapReport{Tried: 3, Mapped: 2}) {
		t.Fatalf("once it is: %+v, %v", r, err)
	}
	if e, a := b.events(), b.aside(); len(e) != 2 || len(a) != 1 || a[0].Record.ID != "u-3" {
		t.Fatalf("events %+v, aside %+v", e, a)
	}
	// What comes again now is known.
	b.take(record(b.now.Add(-time.Minute), "omega", "u-1"))
	if e := b.events(); len(e) != 2 {
		t.Fatalf("events after a repeat: %+v", e)
	}
}

// failing is a store that refuses to take observations or records in.
type failing struct {
	engine.Store
	append, aside, series error
	saved                 int // rollups
}

func (f *failing) Append(ctx context.Context, o []penumbra.Observation) ([]penumbra.Observation, error) {
	if f.append != nil {
		return nil, f.append
	}
	return f.Store.Append(ctx, o)
}

func (f *failing) KeepAside(ctx context.Context, r []penumbra.AsideRecord) (int, error) {
	if f.aside != nil {
		return 0, f.aside
	}
	return f.Store.KeepAside(ctx, r)
}

func (f *failing) SaveRollups(ctx context.Context, r []penumbra.Rollup) error {
	if f.series != nil {
		return f.series
	}
	f.saved += len(r)
	return f.Store.SaveRollups(ctx, r)
}

func TestStoreThatFailsIsToldToTheSender(t *testing.T) {
	t.Parallel()
	for _, kind := range []penumbra.ErrorKind{penumbra.Full, penumbra.Unavailable} {
		for _, where := range []string{"append", "aside"} {
			t.Run(fmt.Sprint(kind, " ", where), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				var store *failing
				b.config = func(c *engine.Config) {
					withRecords(c)
					store = &failing{Store: c.Store}
					c.Store = store
				}
				b.both("vm.a", set("name", "alpha"))
				b.start()
				b.look()
				refusal := &penumbra.Error{Kind: kind, What: "the store", Remedy: "make room"}
				if where == "append" {
					store.append = refusal
				} else {
					store.aside = refusal
				}
				batch := func() []penumbra.Record {
					return []penumbra.Record{record(b.now, "alpha", "m"), record(b.now, "omega", "u")}
				}
				if err := b.engine.Feed("log").Records(t.Context(), batch(), nil); penumbra.KindOf(err) != kind {
					t.Fatalf("the sender is told %v", err)
				}
				if st := b.input("log"); st.Records != 0 || st.Mapped != 0 {
					t.Errorf("counted though not taken: %+v", st)
				}
				if e := b.events(); len(e) != 0 {
					t.Errorf("events of a batch that was refused: %+v", e)
				}
				store.append, store.aside = nil, nil
				b.take(batch()...)
				if e, a := b.events(), b.aside(); len(e) != 1 || len(a) != 1 {
					t.Fatalf("sent again: events %+v, aside %+v", e, a)
				}
				if st := b.input("log"); st.Records != 2 || st.Mapped != 1 || st.Unmapped != 1 {
					t.Errorf("counted %+v", st)
				}
			})
		}
	}
}

// A commit comes behind the read that saw its change as a rule: nothing is built
// anew for that, and the model learns nothing from it.
func TestCommitIsNoAct(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config = withRecords
	b.world["vm.a"], b.code["vm.a"] = set("size", 1), set("size", 1)
	b.start()
	b.look()
	b.advance(time.Hour)
	b.code["vm.a"] = set("size", 2)
	b.look()
	before, err := b.engine.Shadow(t.Context(), "shop/vm.a")
	if err != nil {
		t.Fatal(err)
	}
	rec := record(b.now.Add(-time.Minute), "shop/vm.a", "c-1")
	rec.Format, rec.Action, rec.Attributes = penumbra.CommitFormat, penumbra.ActionCommit, map[string]string{"commit": "abc"}
	b.take(rec)
	if strings.Contains(b.log.String(), "came late") {
		t.Error("the shadow was built anew")
	}
	after, err := b.engine.Shadow(t.Context(), "shop/vm.a")
	if err != nil {
		t.Fatal(err)
	}
	s := after.Settings[0]
	if s.Verdict != penumbra.Pending || s.Moved == nil || s.Moved.Actor != "alice" || s.Moved.Source != "git:abc" {
		t.Errorf("%v, moved by %+v", s.Verdict, s.Moved)
	}
	if was := before.Settings[0]; was.Moved != nil || !cmp.Equal(was.Expectation, s.Expectation, cmp.AllowUnexported(penumbra.Value{})) {
		t.Errorf("the expectation went from %+v to %+v", was.Expectation, s.Expectation)
	}
	b.stop()
	b.start() // from the store
	if again, err := b.engine.Shadow(t.Context(), "shop/vm.a"); err != nil || again.Settings[0].Moved == nil {
		t.Errorf("after a restart: %+v (%v)", again.Settings, err)
	}
}
