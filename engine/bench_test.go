package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/store/sqlite"
	"github.com/penumbra-iac/penumbra/timeline"
)

// loop opens an engine on the real stages and a real store.
func loop(b *testing.B, source engine.Source) (*engine.Engine, string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "penumbra.db")
	store, err := sqlite.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	judge, err := drift.NewJudge(drift.DefaultThresholds())
	if err != nil {
		b.Fatal(err)
	}
	e, err := engine.New(b.Context(), engine.Config{
		Store: store, NewShadow: func() engine.Shadow { return shadow.NewPooled(shadow.Options{}) }, Judge: judge,
		Codec: lines{}, Fold: timeline.Fold, Order: timeline.Order, Key: penumbra.Key("a key of the benchmarks only"),
		Stacks:   []engine.Stack{{Name: "big", Readers: []engine.Reader{{Name: "state", Source: source}}}},
		Schedule: engine.Schedule{Gap: time.Nanosecond, Burst: 1 << 20},
		Log:      slog.New(slog.DiscardHandler), ModelName: "pooled",
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return e, path
}

// BenchmarkIngest takes snapshots of 15 settings, one in ten of them changed,
// from JSON Lines through timeline, store, shadow and drift.
func BenchmarkIngest(b *testing.B) {
	const resources, rounds = 2000, 10
	var text bytes.Buffer
	for round := range rounds {
		at := day0.Add(time.Duration(round) * time.Hour)
		for r := range resources {
			o := penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: penumbra.Address(fmt.Sprintf("big/vm.x[%d]", r)), Type: "vm", Full: true}
			for s := range 15 {
				v := s
				if s == 0 && (r+round)%10 == 0 {
					v = round
				}
				o.Settings = append(o.Settings, penumbra.Setting{Path: fmt.Sprintf("setting_%02d", s), Value: penumbra.Number(float64(v))})
			}
			if err := timeline.NewEncoder(&text).Encode(&o); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		e, _ := loop(b, nil)
		b.StartTimer()
		report, err := e.Ingest(b.Context(), bytes.NewReader(text.Bytes()), "bench")
		if err != nil || report.Added != resources*rounds {
			b.Fatalf("%+v, %v", report, err)
		}
	}
	b.ReportMetric(float64(resources*rounds*b.N)/b.Elapsed().Seconds(), "observations/s")
}

// BenchmarkRollups rolls up 50,000 series of a value every 15 s, with a look
// every 10 s as a daemon has it, into a real store: the processor's time of a
// minute, of which a core has 60 s, and the rows written in it.
func BenchmarkRollups(b *testing.B) {
	const hosts, each = 500, 100
	store, err := sqlite.Open(filepath.Join(b.TempDir(), "penumbra.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	counted := &failing{Store: store}
	judge, err := drift.NewJudge(drift.DefaultThresholds())
	if err != nil {
		b.Fatal(err)
	}
	now := day0
	cfg := engine.Config{Store: counted, NewShadow: func() engine.Shadow { return shadow.NewPooled(shadow.Options{}) }, Judge: judge, Codec: lines{},
		Fold: timeline.Fold, Order: timeline.Order, Key: penumbra.Key("a key of the benchmarks only"), Now: func() time.Time { return now }, ModelName: "pooled"}
	withMetrics(&cfg)
	cfg.Monitor = deaf{}
	e, err := engine.New(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	var known bytes.Buffer
	var list []penumbra.Series
	for h := range hosts {
		name := fmt.Sprintf("host-%d", h)
		o := penumbra.Observation{Kind: penumbra.SnapshotKind, Time: now, Resource: penumbra.Address(fmt.Sprintf("big/vm.x[%d]", h)), Type: "vm", Full: true, Settings: set("name", name)}
		if err := timeline.NewEncoder(&known).Encode(&o); err != nil {
			b.Fatal(err)
		}
		for m := range each {
			list = append(list, penumbra.Series{Metric: fmt.Sprintf("metric_%02d", m), Labels: map[string]string{"instance": name}, Points: make([]penumbra.Point, 1)})
		}
	}
	if _, err := e.Ingest(b.Context(), &known, "bench"); err != nil {
		b.Fatal(err)
	}
	var tending time.Duration
	for b.Loop() {
		for second := 0; second < 60; second += 5 {
			if second%15 == 0 {
				for i := range list {
					list[i].Points[0] = penumbra.Point{Time: now, Value: float64(second + i)}
				}
				if err := e.Feed("log").Series(b.Context(), list); err != nil {
					b.Fatal(err)
				}
			}
			if second%10 == 0 {
				before := processor(b)
				if err := e.Tend(b.Context()); err != nil {
					b.Fatal(err)
				}
				tending += processor(b) - before
			}
			now = now.Add(5 * time.Second)
		}
	}
	if st, err := e.Inputs(b.Context()); err != nil || st[0].Series != hosts*each {
		b.Fatalf("%+v, %v", st, err)
	}
	b.ReportMetric(tending.Seconds()/float64(b.N), "cpu-s/min")
	b.ReportMetric(float64(counted.saved)/float64(b.N), "rows/min")
}

// deaf is a monitor that hears nothing: what it costs is measured elsewhere.
type deaf struct{ engine.Monitor }

func (deaf) Observe(penumbra.Address, string, penumbra.Direction, penumbra.Point) ([]penumbra.Anomaly, error) {
	return nil, nil
}
func (deaf) Tick(time.Time) []penumbra.Anomaly { return nil }
func (deaf) ReadFrom(io.Reader) (int64, error) { return 0, nil }
func (deaf) WriteTo(io.Writer) (int64, error)  { return 0, nil }

// processor is the time that this process has had of the processors: what else
// the machine does is not in it.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stateFile is a source that parses a state file anew at each read.
type stateFile struct{ text []byte }

func (s *stateFile) Read(context.Context) ([]penumbra.Observation, error) {
	return tofu.ReadState(bytes.NewReader(s.text), "big", penumbra.Key("a key of the benchmarks only"), time.Now().UTC())
}

// newState writes a state of the current format with n resources of 20 settings.
func newState(n int) []byte {
	var w bytes.Buffer
	w.WriteString(`{"version":4,"terraform_version":"1.11.4","serial":7,"lineage":"5e0e","outputs":{},"resources":[`)
	for i := range n {
		if i > 0 {
			w.WriteByte(',')
		}
		fmt.Fprintf(&w, `{"mode":"managed","type":"aws_instance","name":"web_%d","provider":"provider[\"registry.opentofu.org/hashicorp/aws\"]","instances":[{"schema_version":1,"attributes":{`, i)
		fmt.Fprintf(&w, `"id":"i-%016x","ami":"ami-0abc","instance_type":"t3.small","availability_zone":"eu-west-1%c","private_ip":"10.0.%d.%d","monitoring":true,"ebs_optimized":false,`, i, 'a'+i%3, i/250%250, i%250)
		fmt.Fprintf(&w, `"tags":{"Name":"web-%d","team":"pay","env":"prod"},"root_block_device":[{"volume_size":%d,"volume_type":"gp3","encrypted":true,"iops":3000}],"vpc_security_group_ids":["sg-%d","sg-1"],"subnet_id":"subnet-%d","key_name":"ops","user_data_replace_on_change":false`, i, 20+i%5, i%17, i%9)
		w.WriteString(`},"sensitive_attributes":[],"private":"e30="}]}`)
	}
	w.WriteString(`],"check_results":null}`)
	return w.Bytes()
}

// BenchmarkState parses, assesses and stores states of growing size: "first"
// when all is new, "again" when nothing has changed. SIZES in the environment
// chooses the sizes, so that a process can be measured for each.
func BenchmarkState(b *testing.B) {
	sizes := os.Getenv("SIZES")
	if sizes == "" {
		sizes = "1000"
	}
	for _, field := range strings.Fields(sizes) {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		source := &stateFile{text: newState(n)}
		b.Run(fmt.Sprintf("first/%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(source.text)))
			var path string
			for b.Loop() {
				b.StopTimer()
				var e *engine.Engine
				e, path = loop(b, source)
				b.StartTimer()
				trigger(b, e, n)
			}
			reportSize(b, n, path)
		})
		b.Run(fmt.Sprintf("again/%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(source.text)))
			base := heap()
			e, _ := loop(b, source)
			trigger(b, e, n)
			kept := heap() - base
			b.ResetTimer()
			for b.Loop() {
				trigger(b, e, n)
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(n)*1e6, "µs/resource")
			b.ReportMetric(float64(kept)/float64(n), "heap-B/resource")
		})
	}
}

func trigger(b *testing.B, e *engine.Engine, n int) {
	b.Helper()
	if err := e.Trigger(b.Context(), "big"); err != nil {
		b.Fatal(err)
	}
	st, err := e.Status(b.Context())
	if err != nil || st.Resources != n {
		b.Fatalf("%d resources, want %d: %v", st.Resources, n, err)
	}
}

// reportSize reports the peak of the process's memory and the bytes on disk.
func reportSize(b *testing.B, n int, path string) {
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(n)*1e6, "µs/resource")
	b.ReportMetric(float64(peakBytes())/1e6, "peak-MB")
	var disk int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(path + suffix); err == nil {
			disk += info.Size()
		}
	}
	b.ReportMetric(float64(disk)/float64(n), "disk-B/resource")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peakBytes is the largest resident size the process had, 0 where the system
// does not tell.
func peakBytes() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb * 1024
		}
	}
	return 0
}
