package engine_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// broken is a store whose connection breaks once, when an append is committed.
type broken struct {
	engine.Store
	before func() // called once, before the append
	after  error  // returned once, though all is stored
}

func (s *broken) Append(ctx context.Context, observations []penumbra.Observation) ([]penumbra.Observation, error) {
	if s.before != nil {
		s.before()
		s.before = nil
	}
	if err := ctx.Err(); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "append", Err: err}
	}
	added, err := s.Store.Append(ctx, observations)
	if s.after != nil {
		added, err, s.after = nil, s.after, nil
	}
	return added, err
}

const inSync = `{"kind":"template","time":"2026-03-01T00:00:00Z","resource":"log/vm.a","type":"vm","settings":{"size":1}}
{"kind":"snapshot","time":"2026-03-01T00:05:00Z","resource":"log/vm.a","type":"vm","settings":{"size":1},"full":true}
`
const drifted = `{"kind":"snapshot","time":"2026-03-02T00:05:00Z","resource":"log/vm.a","type":"vm","settings":{"size":3},"full":true}
`

// What is stored is judged once it is sent again, whatever became of who stored it: a
// sender is told that it was stored already, and nothing else would come.
func TestWhatWasStoredUnjudgedIsJudgedWhenItIsRepeated(t *testing.T) {
	t.Parallel()
	judged := func(t *testing.T, b *bench) {
		t.Helper()
		if r := b.ingest(drifted); r.Added+r.Repeated != 1 {
			t.Fatalf("sent again: %+v", r)
		}
		if d := b.drifts(); len(d) != 1 || d[0].Resource != "log/vm.a" {
			t.Errorf("drifts: %+v", d)
		}
	}
	t.Run("the process has ended", func(t *testing.T) {
		t.Parallel()
		b := newBench(t).start()
		b.ingest(inSync)
		b.stop()
		store, err := sqlite.Open(filepath.Join(b.dir, "penumbra.db"))
		if err != nil {
			t.Fatal(err)
		}
		for line, err := range (lines{}).Decode(strings.NewReader(drifted), "test") {
			if err != nil {
				t.Fatal(err)
			}
			if added, err := store.Append(t.Context(), []penumbra.Observation{line.Observation}); err != nil || len(added) != 1 {
				t.Fatal(len(added), err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		b.start()
		if d := b.drifts(); len(d) != 0 {
			t.Fatalf("drifts that nobody has judged: %+v", d)
		}
		judged(t, b)
	})
	for name, breaks := range map[string]func(s *broken, leave context.CancelFunc){
		"the connection breaks": func(s *broken, _ context.CancelFunc) {
			s.after = &penumbra.Error{Kind: penumbra.Unavailable, What: "append"}
		},
		"the sender goes": func(s *broken, leave context.CancelFunc) { s.before = leave },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			s := &broken{}
			b.config = func(cfg *engine.Config) { s.Store, cfg.Store = cfg.Store, s }
			b.start()
			b.ingest(inSync)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			breaks(s, leave)
			_, _ = b.engine.Ingest(ctx, strings.NewReader(drifted), "test")
			judged(t, b)
			if last, err := b.engine.Shadow(t.Context(), "log/vm.a"); err != nil || last.Resource.Actual.Get("size") != penumbra.Number(3) {
				t.Errorf("known of it: %+v, error %v", last, err)
			}
		})
	}
}
