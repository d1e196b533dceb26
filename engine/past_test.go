package engine_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/timeline"
)

// wholes counts how often timelines are read from their start, and once fails or leaves
// something out.
type wholes struct {
	engine.Store
	whole int
	fail  error
	hole  bool
}

func (s *wholes) Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error] {
	if q.After == 0 {
		s.whole++
	}
	return func(yield func(penumbra.Observation, error) bool) {
		n := 0
		for o, err := range s.Store.Observations(ctx, q) {
			if n++; n == 10 && s.fail != nil {
				err, s.fail = s.fail, nil
				yield(penumbra.Observation{}, err)
				return
			}
			if n == 10 && s.hole {
				s.hole = false
				continue
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// TestBeginsWithAPast has one engine work while the past of another follows it: the
// other begins with that without reading the timelines, and knows what one does that has
// read them.
func TestBeginsWithAPast(t *testing.T) {
	t.Parallel()
	late := `{"kind":"snapshot","time":"` + day0.Add(90*time.Minute).Format(time.RFC3339) + `","resource":"log/vm.a","type":"vm","settings":{"size":7},"full":true}`
	for name, x := range map[string]struct {
		late   int // before which step something comes late, 0 for never
		fail   bool
		hole   bool
		reread int // how often the timelines are read by who begins with a past
	}{
		"in order": {}, "late at first": {late: 1, reread: 1}, "late at last": {late: 3, reread: 1}, "reading fails": {fail: true}, "something is not read": {hole: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.advance(400 * time.Hour)
			b.start()
			ingest := func(step int, lines ...string) {
				if step == x.late {
					lines = append(lines, late)
				}
				if _, err := b.engine.Ingest(t.Context(), strings.NewReader(strings.Join(lines, "\n")), "test"); err != nil {
					t.Fatal(err)
				}
			}
			ingest(0, append(hourLines(0, 200), sizeTemplate("a"), sizeTemplate("b"))...)
			store := &wholes{Store: b.store}
			build := func() *engine.Past {
				past, err := engine.NewPast(t.Context(), engine.Config{
					Store: store, NewShadow: func() engine.Shadow { return shadow.NewPooled(shadow.Options{}) }, Fold: timeline.Fold, Now: b.time, ModelName: "pooled"})
				if err != nil {
					t.Fatal(err)
				}
				return past
			}
			past := build()
			ingest(1, hourLines(200, 260)...)
			store.hole = x.hole
			if x.fail {
				store.fail = errors.New("the database was away")
				if err := past.Follow(t.Context()); err == nil {
					t.Error("reading did not fail")
				}
			}
			if x.hole {
				if err := past.Follow(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if outdated, err := past.Outdated(t.Context()); err != nil || outdated != (x.fail || x.hole) {
				t.Errorf("outdated: %v, %v", outdated, err)
			} else if outdated {
				past = build()
			}
			if err := past.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
			ingest(2, hourLines(260, 300)...)
			if err := past.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
			ingest(3, hourLines(300, 330)...)
			if err := b.engine.Close(t.Context()); err != nil {
				t.Fatal(err)
			}

			begin := func(past *engine.Past) (*bench, int) {
				before := store.whole
				o := &bench{t: t, engine: b.begin(store, past)}
				return o, store.whole - before
			}
			warm, reread := begin(past)
			if x.late > 0 { // what is late is put off, as by an engine that was there
				before := store.whole
				if done, err := warm.engine.Replay(t.Context()); err != nil || !done {
					t.Fatalf("replayed: %v, error %v", done, err)
				}
				reread += store.whole - before
			}
			cold, _ := begin(nil)
			alike(t, "with a past", cold, warm)
			if reread != x.reread {
				t.Errorf("the timelines were read %d times by who has a past, want %d", reread, x.reread)
			}
		})
	}
}

// begin opens another engine on a store.
func (b *bench) begin(store engine.Store, past *engine.Past) *engine.Engine {
	b.t.Helper()
	judge, err := drift.NewJudge(drift.DefaultThresholds())
	if err != nil {
		b.t.Fatal(err)
	}
	e, err := engine.New(b.t.Context(), engine.Config{
		Store: store, NewShadow: func() engine.Shadow { return shadow.NewPooled(shadow.Options{}) }, Judge: judge, Past: past,
		Codec: lines{}, Fold: timeline.Fold, Order: timeline.Order, Now: b.time, ModelName: "pooled", ReadOnly: true,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}
