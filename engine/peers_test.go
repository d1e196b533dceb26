package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow"
)

// judging is a shadow that counts what it is asked.
type judging struct {
	*shadow.Pooled
	forecasts *atomic.Int64
}

func (j judging) Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast {
	j.forecasts.Add(1)
	return j.Pooled.Forecast(r, at)
}

// counted is a bench that counts the forecasts that its shadow is asked for: one for
// each time that a resource is judged.
func counted(t *testing.T) (*bench, *atomic.Int64) {
	b := newBench(t)
	b.dir = inMemory(t, b.dir)
	n := new(atomic.Int64)
	b.config = func(c *engine.Config) {
		c.NewShadow = func() engine.Shadow { return judging{shadow.NewPooled(shadow.Options{}), n} }
	}
	return b.start(), n
}

// fleetLines is a line of each of n resources of a type, of which the first few have
// another size.
func fleetLines(kind string, n, others int, at time.Time) string {
	var text strings.Builder
	for i := range n {
		size := 1
		if i < others {
			size = 2
		}
		fmt.Fprintf(&text, `{"kind":%q,"time":%q,"resource":"log/vm.a%d","type":"vm","settings":{"size":%d,"zone":"north"},"full":true}`+"\n", kind, at.Format(time.RFC3339Nano), i, size)
	}
	return strings.ReplaceAll(text.String(), `,"full":true}`, map[string]string{"template": "}", "snapshot": `,"full":true}`}[kind])
}

// A snapshot that nothing follows is judged once.
func TestEachSnapshotIsJudgedOnce(t *testing.T) {
	t.Parallel()
	b, forecasts := counted(t)
	b.ingest(fleetLines("template", 20, 0, b.now) + fleetLines("snapshot", 20, 0, b.now.Add(time.Second)))
	b.advance(time.Hour)
	before := forecasts.Load()
	b.ingest(fleetLines("snapshot", 20, 0, b.now))
	if n := forecasts.Load() - before; n != 20 {
		t.Errorf("20 snapshots were judged %d times", n)
	}
	// What follows a snapshot may say who it was.
	before = forecasts.Load()
	b.advance(time.Hour)
	b.ingest(fleetLines("snapshot", 3, 0, b.now) + fmt.Sprintf(`{"kind":"event","time":%q,"resource":"log/vm.a0","type":"vm","actor":"ann","action":"resize"}`+"\n", b.now.Add(time.Second).Format(time.RFC3339Nano)))
	if n := forecasts.Load() - before; n != 4 {
		t.Errorf("3 snapshots and an event were judged %d times", n)
	}
	// Metrics are no verdict's.
	before = forecasts.Load()
	b.ingest(fmt.Sprintf(`{"kind":"metric","time":%q,"resource":"log/vm.a0","type":"vm","metrics":{"cpu":0.5}}`+"\n", b.now.Add(2*time.Second).Format(time.RFC3339Nano)))
	if n := forecasts.Load() - before; n != 0 {
		t.Errorf("a metric had %d resources judged", n)
	}
}

// The peers of what drifted are judged with it if they are few, and soon after it, once
// however often they were put off, if they are many.
func TestPeersOfWhatDrifted(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"few": 100, "many": engine.PeersAtOnce + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, forecasts := counted(t)
			b.engine.PutOff()
			b.ingest(fleetLines("template", n, 0, b.now) + fleetLines("snapshot", n, 0, b.now.Add(time.Second)))
			judged := func(do func()) int {
				before := forecasts.Load()
				do()
				return int(forecasts.Load() - before)
			}
			drifting := judged(func() {
				for i := range 3 {
					b.advance(time.Hour)
					b.ingest(fleetLines("snapshot", i+1, i+1, b.now))
				}
			})
			later := judged(func() {
				if err := b.engine.JudgePeers(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
			again := judged(func() {
				if err := b.engine.JudgePeers(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
			if n <= engine.PeersAtOnce && (drifting < 3*n || later != 0) || n > engine.PeersAtOnce && (drifting > 20 || later != n) || again != 0 {
				t.Errorf("three drifts of a fleet of %d had %d judged, then %d, then %d", n, drifting, later, again)
			}
			if d := b.drifts(); len(d) < 3 {
				t.Errorf("%d drifts", len(d))
			}
		})
	}
}

// Run judges what was put off.
func TestPeersAreJudgedWhileItRuns(t *testing.T) {
	t.Parallel()
	b, forecasts := counted(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.engine.Run(ctx) }()
	const n = engine.PeersAtOnce + 1
	b.ingest(fleetLines("template", n, 0, day0) + fleetLines("snapshot", n, 0, day0.Add(time.Second)))
	before := forecasts.Load()
	b.ingest(fleetLines("snapshot", 1, 1, day0.Add(time.Hour)))
	for tick, late := time.NewTicker(10*time.Millisecond), time.After(time.Minute); forecasts.Load()-before < n; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%d of %d were judged", forecasts.Load()-before, n)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
