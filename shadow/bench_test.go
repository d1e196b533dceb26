package shadow_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// still is an estate of n resources of so many settings that never change.
func still(n, width int) (*shadow.Pooled, []penumbra.Observation, []*penumbra.Resource) {
	m := shadow.NewPooled(shadow.Options{})
	var out []penumbra.Observation
	var resources []*penumbra.Resource
	for i := range n {
		var s []penumbra.Setting
		for k := range width {
			s = append(s, penumbra.Setting{Path: fmt.Sprintf("block.setting_%02d", k), Value: penumbra.String(fmt.Sprint("value ", k))})
		}
		r := &penumbra.Resource{Address: penumbra.Address(fmt.Sprint("s/vm.", i)), Type: "vm", Template: penumbra.NewSettings(s[:width/2]...), Actual: penumbra.NewSettings(s...)}
		resources = append(resources, r)
		m.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: start, Resource: r.Address, Type: r.Type, Settings: r.Template})
		o := penumbra.Observation{Kind: penumbra.SnapshotKind, Full: true, Time: start, Resource: r.Address, Type: r.Type, Settings: r.Actual}
		m.Observe(&o)
		out = append(out, o)
	}
	return m, out, resources
}

func BenchmarkObserveUnchanged(b *testing.B) {
	m, snapshots, _ := still(1000, 15)
	for i := 0; b.Loop(); i++ {
		o := &snapshots[i%len(snapshots)]
		o.Time = o.Time.Add(5 * time.Minute)
		m.Observe(o)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "observations/s")
}

func BenchmarkExpect(b *testing.B) {
	m, _, resources := still(1000, 15)
	for i := 0; b.Loop(); i++ {
		m.Expect(resources[i%len(resources)], start.Add(time.Duration(i)*time.Second), 0.95)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/15, "ns/setting")
}

func BenchmarkForecast(b *testing.B) {
	m, _, resources := still(1000, 15)
	for i := 0; b.Loop(); i++ {
		m.Forecast(resources[i%len(resources)], start.Add(time.Duration(i)*time.Second))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/15, "ns/setting")
}

// moving is an estate of n resources of eight settings, one of which goes through seven
// values, another each time the resource is looked at.
func moving(n, looks int) (*shadow.Pooled, []*penumbra.Resource, time.Time) {
	m := shadow.NewPooled(shadow.Options{})
	resources := make([]*penumbra.Resource, n)
	at := start
	for look := range looks {
		for i := range n {
			var s []penumbra.Setting
			for k := range 7 {
				s = append(s, penumbra.Setting{Path: fmt.Sprintf("s%02d", k), Value: penumbra.String(fmt.Sprint(i % (k + 1)))})
			}
			s = append(s, penumbra.Setting{Path: "team", Value: penumbra.String(fmt.Sprint((look*n + i) % 7))})
			at = at.Add(3 * time.Millisecond)
			o := penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: penumbra.Address(fmt.Sprintf("load/host.h[%d]", i)), Type: "host", Full: true, Settings: penumbra.NewSettings(s...)}
			m.Observe(&o)
			resources[i] = &penumbra.Resource{Address: o.Resource, Type: o.Type, Actual: o.Settings, SnapshotTime: at}
		}
	}
	return m, resources, at
}

func BenchmarkForecastMoving(b *testing.B) {
	m, resources, at := moving(3000, 10)
	for i := 0; b.Loop(); i++ {
		m.Forecast(resources[i%len(resources)], at.Add(time.Duration(i%1000)*time.Millisecond))
	}
}

func BenchmarkExpectMoving(b *testing.B) {
	m, resources, at := moving(3000, 10)
	for i := 0; b.Loop(); i++ {
		m.Expect(resources[i%len(resources)], at.Add(time.Duration(i%1000)*time.Millisecond), 0.95)
	}
}

// resourceBytes measures the heap that a resource of ten settings takes.
func resourceBytes() float64 {
	const n = 5000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m, snapshots, resources := still(n, 10)
	clear(snapshots)
	clear(resources)
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := float64(after.HeapAlloc) - float64(before.HeapAlloc)
	kept -= float64(cap(snapshots))*float64(unsafe.Sizeof(penumbra.Observation{})) + float64(cap(resources))*8
	runtime.KeepAlive(m)
	runtime.KeepAlive(snapshots)
	runtime.KeepAlive(resources)
	return kept / n
}

func BenchmarkResourceBytes(b *testing.B) {
	var bytes float64
	for b.Loop() {
		bytes = resourceBytes()
	}
	b.ReportMetric(bytes, "B/resource")
}

// A resource of ten settings that never change stays below 1.5 KB.
func TestResourceIsSmall(t *testing.T) {
	if got := resourceBytes(); got > 1536 {
		t.Errorf("a resource takes %.0f bytes", got)
	}
}
