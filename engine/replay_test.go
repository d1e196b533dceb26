package engine_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow"
)

// reading is a store that does something once, while it is read for a replay.
type reading struct {
	engine.Store
	meanwhile func()
}

func (s *reading) Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error] {
	return func(yield func(penumbra.Observation, error) bool) {
		for o, err := range s.Store.Observations(ctx, q) {
			if do := s.meanwhile; do != nil && q.UpTo > 0 {
				s.meanwhile = nil
				do()
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// hourLines is what vm.a and vm.b are from one hour to another: now and then somebody
// resizes one of them.
func hourLines(from, to int) []string {
	var text []string
	for h := from; h < to; h++ {
		for i, name := range []string{"a", "b"} {
			size := 1
			if (h+i)%12 == 2 {
				size = 2
			}
			at := day0.Add(time.Duration(h) * time.Hour).Format(time.RFC3339)
			text = append(text, fmt.Sprintf(`{"kind":"snapshot","time":%q,"resource":"log/vm.%s","type":"vm","settings":{"size":%d},"full":true}`, at, name, size))
		}
	}
	return text
}

func sizeTemplate(name string) string {
	return fmt.Sprintf(`{"kind":"template","time":%q,"resource":"log/vm.%s","type":"vm","settings":{"size":1}}`, day0.Add(-time.Hour).Format(time.RFC3339), name)
}

// alike holds that two engines know and foretell the same.
func alike(t *testing.T, what string, want, got *bench) {
	t.Helper()
	for _, name := range []penumbra.Address{"log/vm.a", "log/vm.b"} {
		x, err := want.engine.Shadow(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		y, err := got.engine.Shadow(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !y.Resource.Actual.Equal(x.Resource.Actual) || !y.Resource.Template.Equal(x.Resource.Template) || y.Verdict != x.Verdict {
			t.Errorf("%s: %s is %+v, want %+v", what, name, y, x)
		}
		for h, p := range x.Settings[0].Forecast.Leave {
			if q := y.Settings[0].Forecast.Leave[h]; math.Abs(p-q) > 1e-6 { // asked some nanoseconds apart
				t.Errorf("%s: %s leaves within %s with %v, want %v", what, name, penumbra.HorizonNames[h], q, p)
			}
		}
	}
}

// TestLateIsReplayedBesideIngests puts off what comes late, takes more in while it is
// replayed, some of it late again, and ends where another engine is that had all of it in
// its order. Between any two of these steps the process may end.
func TestLateIsReplayedBesideIngests(t *testing.T) {
	t.Parallel()
	early, middle, end := hourLines(0, 30), hourLines(30, 40), hourLines(40, 60)
	inOrder := newBench(t).start()
	inOrder.ingest(strings.Join(append([]string{sizeTemplate("a"), sizeTemplate("b")}, append(append(early, middle...), end...)...), "\n"))

	for _, restart := range []string{"", "before the replay", "after the first replay"} {
		t.Run("restarted "+restart, func(t *testing.T) {
			b := newBench(t)
			store := &reading{}
			b.config = func(c *engine.Config) {
				store.Store, c.Store = c.Store, store
				c.NewShadow = func() engine.Shadow { return shadow.NewPooled(shadow.Options{}) }
			}
			again := func(when string) {
				if restart == when {
					b.stop()
					b.start()
				}
				b.engine.PutOff()
			}
			b.start()
			again("at the start")
			b.ingest(sizeTemplate("a") + "\n" + strings.Join(early, "\n"))
			b.stop() // which saves the shadow
			b.start()
			b.engine.PutOff()
			b.ingest(strings.Join(end, "\n"))
			if r := b.ingest(strings.Join(middle, "\n")); r.Added != len(middle) {
				t.Fatalf("%+v", r)
			}
			if c, err := b.store.Checkpoint(t.Context(), "shadow/pooled"); err != nil || len(c.Data) > 0 {
				t.Errorf("a shadow that lacks what came late is kept: %d bytes, error %v", len(c.Data), err)
			}
			again("before the replay")
			store.meanwhile = func() {
				if r := b.ingest(sizeTemplate("b")); r.Added != 1 {
					t.Errorf("beside the replay: %+v", r)
				}
			}
			done, err := b.engine.Replay(t.Context())
			if err != nil || done != (restart != "before the replay") {
				t.Fatalf("replayed: %v, error %v", done, err)
			}
			again("after the first replay")
			if store.meanwhile != nil { // there was nothing to replay
				store.meanwhile()
				store.meanwhile = nil
			}
			if done, err := b.engine.Replay(t.Context()); err != nil || done != (restart != "after the first replay") {
				t.Fatalf("replayed once more: %v, error %v", done, err)
			}
			if done, err := b.engine.Replay(t.Context()); err != nil || done {
				t.Errorf("replayed what was in its place: %v, error %v", done, err)
			}
			alike(t, "at the end", inOrder, b)
			b.stop()
			b.start()
			alike(t, "restarted", inOrder, b)
		})
	}
}
