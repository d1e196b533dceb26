package anomaly

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// BenchmarkObserve is of one series at a value a minute, all statistics judged.
func BenchmarkObserve(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, 4096)
	for i := range values {
		values[i] = 100 + r.NormFloat64()
	}
	m := NewMonitor(Options{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := m.Observe(database, latency, penumbra.Up, penumbra.Point{Time: start.Add(time.Duration(i) * time.Minute), Value: values[i%len(values)]}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkSeries reports the memory of a series whose profiles have begun, and its
// bytes in a checkpoint after a day.
func BenchmarkSeries(b *testing.B) {
	const n = 2000
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := NewMonitor(Options{})
		for s := range n {
			metric := "m" + strconv.Itoa(s)
			for i := range 288 {
				if _, err := m.Observe(database, metric, penumbra.Up, penumbra.Point{Time: start.Add(time.Duration(i) * 5 * time.Minute), Value: r.NormFloat64()}); err != nil {
					b.Fatal(err)
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/series")
		var w bytes.Buffer
		if _, err := m.WriteTo(&w); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(w.Len())/n, "B/checkpointed")
	}
}
