package mixture_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

// perResource is how many settings a resource of the benchmarks has.
const perResource = 10

// large makes observations of an estate of so many resources of 50 types with
// ten settings each: first each is created, then updates of one setting come at
// the pace of so many a day.
type large struct {
	resources, pace int
	n               int
	paths           [perResource]string
	names           []penumbra.Address
	types           []string
}

func newLarge(resources, pace int) *large {
	l := &large{resources: resources, pace: pace}
	for i := range l.paths {
		l.paths[i] = fmt.Sprintf("block.%d.setting", i)
	}
	for i := range resources {
		l.names = append(l.names, penumbra.Address(fmt.Sprintf("s%d/folder%d|type%d.r%d", i%20, i%200, i%50, i)))
		l.types = append(l.types, fmt.Sprintf("type%d", i%50))
	}
	return l
}

func (l *large) next() *penumbra.Observation {
	i := l.n
	l.n++
	o := &penumbra.Observation{Kind: penumbra.EventKind, Source: "git:0", Actor: fmt.Sprint("bot", i%30), ActorKind: penumbra.Automation, Action: "create"}
	if i < l.resources {
		o.Time, o.Resource, o.Type = begin, l.names[i], l.types[i]
		settings := make([]penumbra.Setting, perResource)
		for k, path := range l.paths {
			settings[k] = penumbra.Setting{Path: path, Value: penumbra.Number(float64(k))}
		}
		o.Settings = penumbra.NewSettings(settings...)
		return o
	}
	i -= l.resources
	// A stride that has no divisor in common touches all of them in turn.
	r := i * 7919 % l.resources
	o.Action, o.Resource, o.Type = "update", l.names[r], l.types[r]
	o.Time = begin.Add(time.Duration(float64(i) / float64(l.pace) * float64(24*time.Hour)))
	o.Settings = penumbra.NewSettings(penumbra.Setting{Path: l.paths[i%3], Value: penumbra.Number(float64(i % 17))})
	return o
}

// BenchmarkObserve takes updates in at 20,000 a day, learning included: how
// many a second, and how long one waits at the worst.
func BenchmarkObserve(b *testing.B) {
	l := newLarge(20_000, 20_000)
	m := mixture.New(mixture.Options{Seed: 1})
	for range l.resources + 40*l.pace { // until questions have become known
		m.Observe(l.next())
	}
	var waits []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		o := l.next()
		began := time.Now()
		m.Observe(o)
		waits = append(waits, time.Since(began))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "obs/s")
	slices.Sort(waits)
	at := func(share float64) float64 {
		return float64(waits[int(share*float64(len(waits)-1))]) / float64(time.Microsecond)
	}
	b.ReportMetric(at(0.5), "p50-µs")
	b.ReportMetric(at(0.99), "p99-µs")
	b.ReportMetric(at(0.9999), "p99.99-µs")
	b.ReportMetric(at(1), "max-µs")
}

// BenchmarkMemory measures what is kept of each resource of ten settings, where
// a tenth of them changed since they were first seen, and where all have changed
// twice. SIZES names how many there are, 10000 without it.
func BenchmarkMemory(b *testing.B) {
	resources, err := strconv.Atoi(os.Getenv("SIZES"))
	if err != nil {
		resources = 10_000
	}
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	for name, observations := range map[string]int{"a-tenth-changed": resources + resources/10, "all-changed-twice": 3 * resources} {
		b.Run(name, func(b *testing.B) {
			l := newLarge(resources, resources)
			for b.Loop() {
				before := heap()
				m := mixture.New(mixture.Options{Seed: 1})
				began := time.Now()
				for range observations {
					m.Observe(l.next())
				}
				took := time.Since(began)
				after := heap()
				b.ReportMetric(float64(after-before)/float64(resources), "B/resource")
				b.ReportMetric(float64(observations)/took.Seconds(), "obs/s")
				if m.Resources() != resources {
					b.Fatalf("%d resources", m.Resources())
				}
				l.n = 0
			}
		})
	}
}

// BenchmarkCheckpoint writes the state of an estate of 20,000 resources that
// has served for long enough to have everything it keeps.
func BenchmarkCheckpoint(b *testing.B) {
	l := newLarge(20_000, 20_000)
	m := mixture.New(mixture.Options{Seed: 1})
	for range l.resources + 60*l.pace {
		m.Observe(l.next())
	}
	size := int64(0)
	for b.Loop() {
		n, err := m.WriteTo(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		size = n
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}
