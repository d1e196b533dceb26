//go:build unix

package tofu

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BenchmarkReadLarge compares a read of a directory that was applied already,
// named in PENUMBRA_BENCH_DIR, with `plan -refresh-only` alone in the same run.
// The processor time of the tools and of the test itself is reported as well: on
// a busy machine it is the steadier figure.
//
//	PENUMBRA_BENCH_DIR=… go test -run '^$' -bench ReadLarge -benchtime 1x ./adapter/tofu
func BenchmarkReadLarge(b *testing.B) {
	dir := os.Getenv("PENUMBRA_BENCH_DIR")
	if dir == "" {
		b.Skip("PENUMBRA_BENCH_DIR names no working directory")
	}
	w, err := New(Config{Stack: "large", Dir: dir, Key: testKey, DataDir: b.TempDir(), Parallelism: 10})
	if err != nil {
		b.Fatal(err)
	}
	measure := func(b *testing.B, work func()) {
		before := cpu(b)
		for b.Loop() {
			work()
		}
		b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s/op")
	}
	refresh := func(b *testing.B) {
		measure(b, func() {
			out, err := w.run(context.Background(), append(w.planFlags(filepath.Join(b.TempDir(), "plan")), "-refresh-only")...)
			if err != nil {
				b.Fatal(err, out.stderr.String())
			}
		})
	}
	read := func(b *testing.B) {
		measure(b, func() {
			if _, err := w.Read(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.Run("cold", read)
	b.Run("refresh-only alone", refresh)
	b.Run("remembered", read)
	b.Run("refresh-only again", refresh)
	b.Run("remembered again", read)
}

// cpu is the processor time spent so far, by commands that have ended and by
// this process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var total time.Duration
	for _, who := range [...]int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}
