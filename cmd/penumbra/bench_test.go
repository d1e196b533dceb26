package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/adapter/tofu"
)

// BenchmarkCheck holds `penumbra check` of a directory that was applied
// already, named in PENUMBRA_BENCH_DIR, against the refresh-only plan that it
// runs. The two take turns, so that what else the machine does hits both; the
// medians of each and of their ratio are reported, of the time on the clock and
// of the processor's, which counts all processes that they start.
//
//	PENUMBRA_BENCH_DIR=… go test -run '^$' -bench Check -benchtime 5x ./cmd/penumbra
//
// "drifted" edits five of the files that examples/large manages, and puts them
// back.
func BenchmarkCheck(b *testing.B) {
	dir := os.Getenv("PENUMBRA_BENCH_DIR")
	if dir == "" {
		b.Skip("PENUMBRA_BENCH_DIR names no working directory")
	}
	tool, err := tofu.FindBinary("")
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(b.TempDir(), "penumbra")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	compare := func(b *testing.B) {
		var plans, checks []spent
		for b.Loop() {
			plans = append(plans, timed(b, dir, tool, "plan", "-refresh-only", "-lock=false", "-input=false", "-out="+filepath.Join(b.TempDir(), "x")))
			checks = append(checks, timed(b, dir, program, "check", ".", "--binary", tool, "--drift-exit-code", "0", "--data", filepath.Join(b.TempDir(), "none")))
		}
		report := func(name string, of func(spent) time.Duration) {
			var plan, check, ratio []float64
			for i := range plans {
				plan, check = append(plan, of(plans[i]).Seconds()), append(check, of(checks[i]).Seconds())
				ratio = append(ratio, check[i]/plan[i])
			}
			b.ReportMetric(median(plan), "plan-"+name+"-s")
			b.ReportMetric(median(check), "check-"+name+"-s")
			b.ReportMetric(median(ratio), name+"-ratio")
		}
		report("wall", func(s spent) time.Duration { return s.wall })
		report("cpu", func(s spent) time.Duration { return s.cpu })
		b.ReportMetric(0, "ns/op")
	}
	b.Run("in sync", compare)
	b.Run("drifted", func(b *testing.B) {
		editFiles(b, dir)
		compare(b)
	})
}

// spent is what a command took, with all that it started.
type spent struct{ wall, cpu time.Duration }

func timed(b *testing.B, dir, name string, args ...string) spent {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	started := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return spent{time.Since(started), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// editFiles changes a setting in five files, and puts them back at the end.
func editFiles(b *testing.B, dir string) {
	b.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "etc", "node-*.conf"))
	if len(files) < 5 {
		b.Fatalf("%d files in etc below %s, want the ones of examples/large", len(files), dir)
	}
	for _, file := range files[:5] {
		was, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(was, []byte("log_level = info")) {
			b.Fatalf("%s is not as it was applied (%v)", file, err)
		}
		if err := os.WriteFile(file, bytes.Replace(was, []byte("= info"), []byte("= debug"), 1), 0o644); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := os.WriteFile(file, was, 0o644); err != nil {
				b.Error(err)
			}
		})
	}
}
