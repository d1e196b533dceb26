package beam

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/metrics"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"     // within the process
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal" // Spark and Flink

	"github.com/penumbra-iac/penumbra"
)

// Runner says where pipelines run.
type Runner struct {
	// Name is prism, within the process, or spark or flink.
	Name string
	// Endpoint is the address of Beam's job server for Spark or Flink.
	Endpoint string
	// Environment is how the runner gets at workers: LOOPBACK, this process, if ""
	// and else what Beam's flag environment_type takes.
	Environment string
	// Progress, if not nil, is told now and then how much of what is done. Work
	// outside of this process is not counted.
	Progress func(what string, done int64)
}

// Result is what came of a job.
type Result struct {
	Observations int64 `json:"observations"` // that were read
	LinesLeftOut int64 `json:"lines_left_out"`
	// LeftOut is the file that has, of each line that was left out, where it is and
	// why, "" if none was.
	LeftOut string   `json:"left_out,omitempty"`
	Scores  *Summary `json:"scores,omitempty"` // of a scoring
	// Job is the number of a scoring into a database, which Where names for people.
	Job   int64  `json:"job,omitempty"`
	Where string `json:"where,omitempty"`
}

// RunnerNames are those of the runners.
var RunnerNames = []string{"prism", "spark", "flink"}

// progress counts what is done in this process. Jobs run one after another.
var progress atomic.Int64

// run runs a pipeline to its end.
func (r Runner) run(ctx context.Context, p *beam.Pipeline, what string) (Result, error) {
	name, err := r.set()
	if err != nil {
		return Result{}, err
	}
	progress.Store(0)
	defer models.drop()
	defer r.follow(what)()
	result, err := beam.Run(ctx, name, p)
	if err != nil {
		return Result{}, &penumbra.Error{Kind: penumbra.Unavailable, What: "run the job on " + r.Name, Remedy: "see what the runner says, and whether its job server is there", Err: err}
	}
	counted := func(name string) (n int64) {
		if result == nil {
			return 0
		}
		for _, c := range result.Metrics().Query(func(x metrics.SingleResult) bool { return x.Name() == name }).Counters() {
			n += c.Result()
		}
		return n
	}
	return Result{Observations: counted(counterLines), LinesLeftOut: counted(counterBad)}, nil
}

// keptAside names the file of what was left out, if it was.
func (r *Result) keptAside(file string) {
	if r.LinesLeftOut > 0 {
		r.LeftOut = file
	}
}

// set tells Beam, which takes it from flags, and returns its name of the runner.
func (r Runner) set() (string, error) {
	switch r.Name {
	case "prism":
		return "prism", nil
	case "spark", "flink":
	default:
		return "", invalid(fmt.Sprintf("runner %q", r.Name), "use prism, spark or flink")
	}
	if r.Endpoint == "" {
		return "", invalid("run on "+r.Name+" without the address of its job server", "name it with --endpoint")
	}
	environment := r.Environment
	if environment == "" {
		environment = "LOOPBACK"
	}
	for name, value := range map[string]string{"endpoint": r.Endpoint, "environment_type": environment} {
		if err := flag.Set(name, value); err != nil {
			return "", err
		}
	}
	return "universal", nil
}

// follow tells of progress until the function that it returns is called.
func (r Runner) follow(what string) (end func()) {
	if r.Progress == nil {
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.Progress(what, progress.Load())
			case <-stop:
				r.Progress(what, progress.Load())
				return
			}
		}
	}()
	return func() { close(stop); <-done }
}
