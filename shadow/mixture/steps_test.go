package mixture

import (
	"runtime"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// memoryBytes measures what the network keeps of one resource that has had more
// observations than it remembers, three metrics included.
func memoryBytes() float64 {
	const n = 5000
	m := New(Options{Seed: 1})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for number := range uint32(n) {
		for i := range rewind + 2 {
			m.remember(&penumbra.Observation{
				Kind: penumbra.MetricKind, Time: time.Unix(int64(1000+i), 0), Type: "t", Actor: "a", Action: "update",
				Metrics: []penumbra.Metric{{Name: "cpu", Value: 1}, {Name: "memory", Value: 2}, {Name: "network_io", Value: 3}},
			}, number+1, nil)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(m)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / n
}

// What the network keeps of a resource stays below 2 KB.
func TestMemoryIsSmall(t *testing.T) {
	got := memoryBytes()
	t.Logf("%.0f bytes", got)
	if got > 2048 {
		t.Errorf("the network keeps %.0f bytes of a resource", got)
	}
}
