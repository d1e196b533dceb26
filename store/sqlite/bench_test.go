package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// observed returns the nth of many snapshots of 15 settings. With repeat, a
// resource's content changes only every so many snapshots, as in a real stack.
func observed(n, repeat int) penumbra.Observation {
	const resources = 500
	o := penumbra.Observation{
		Kind: penumbra.SnapshotKind, Time: start.Add(time.Duration(n) * time.Millisecond), Full: true,
		Resource: penumbra.Address(fmt.Sprintf("shop/aws_instance.web[%d]", n%resources)), Type: "aws_instance", Source: "tofu",
	}
	o.Settings = make(penumbra.Settings, 15)
	for k := range o.Settings {
		v := penumbra.String(fmt.Sprintf("value-%d-%d", n%resources, k))
		if k == 0 {
			v = penumbra.Number(float64(n / resources / repeat))
		}
		o.Settings[k] = penumbra.Setting{Path: fmt.Sprintf("block.%02d.name", k), Value: v}
	}
	return o
}

func openTemp(tb testing.TB) *Store {
	tb.Helper()
	s, err := Open(filepath.Join(tb.TempDir(), "data", "penumbra.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// size returns the bytes of the database after its log was taken over.
func size(tb testing.TB, s *Store) int64 {
	tb.Helper()
	if _, err := s.writer.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		tb.Fatal(err)
	}
	info, err := os.Stat(s.path)
	if err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

func BenchmarkAppend(b *testing.B) {
	for _, repeat := range []int{1, 20} {
		for _, batch := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("repeat=%d/batch=%d", repeat, batch), func(b *testing.B) {
				s := openTemp(b)
				n := 0
				obs := make([]penumbra.Observation, batch)
				for b.Loop() {
					b.StopTimer()
					for i := range obs {
						obs[i] = observed(n, repeat)
						n++
					}
					b.StartTimer()
					if added, err := s.Append(context.Background(), obs); err != nil || len(added) != batch {
						b.Fatal(len(added), err)
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "observations/s")
				b.StopTimer()
				b.ReportMetric(float64(size(b, s))/float64(n), "B/observation")
			})
		}
	}
}

func BenchmarkObservations(b *testing.B) {
	for _, repeat := range []int{1, 20} {
		b.Run(fmt.Sprintf("repeat=%d", repeat), func(b *testing.B) {
			s := openTemp(b)
			const n = 50_000
			obs := make([]penumbra.Observation, 0, n)
			for i := range n {
				obs = append(obs, observed(i, repeat))
			}
			if _, err := s.Append(context.Background(), obs); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				read := 0
				for _, err := range s.Observations(context.Background(), penumbra.ObservationQuery{}) {
					if err != nil {
						b.Fatal(err)
					}
					read++
				}
				if read != n {
					b.Fatal(read)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "observations/s")
		})
	}
}

func BenchmarkSaveRollups(b *testing.B) {
	const series, batch = 500, 1000
	s := openTemp(b)
	rollups := make([]penumbra.Rollup, batch)
	empty := size(b, s)
	n := 0
	for b.Loop() {
		for i := range rollups {
			at := start.Add(time.Duration(n/series) * time.Minute)
			x := float64(n%997) / 7
			rollups[i] = penumbra.Rollup{Resource: penumbra.Address(fmt.Sprintf("shop/aws_instance.web[%d]", n%series/5)), Metric: fmt.Sprint("metric", n%5),
				Start: at, Span: time.Minute, Count: 4, Sum: 4 * x, Min: x - 1.5, Max: x + 1.5, Last: x + 0.25}
			n++
		}
		if err := s.SaveRollups(context.Background(), rollups); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.StopTimer()
	b.ReportMetric(float64(size(b, s)-empty)/float64(n), "B/row")
}
