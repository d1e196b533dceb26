// Command penumbra-beam runs the work on whole fleets on Apache Beam. The verbs of
// `penumbra` that take --runner start it, and read what it says: each line of
// standard output is a JSON object, of progress or, at the end, of what came of it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	sdk "github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		say(said{Error: failure(err)})
		os.Exit(1)
	}
}

// said is one line of standard output.
type said struct {
	What   string       `json:"what,omitempty"` // is being done
	Done   int64        `json:"done,omitempty"`
	Result *beam.Result `json:"result,omitempty"`
	Error  *failed      `json:"error,omitempty"`
}

type failed struct {
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

func say(s said) { _ = json.NewEncoder(os.Stdout).Encode(s) }

func failure(err error) *failed {
	var e *penumbra.Error
	if !errors.As(err, &e) {
		return &failed{What: penumbra.Redact(err.Error())}
	}
	text := *e
	text.Remedy = ""
	return &failed{What: penumbra.Redact(text.Error()), Remedy: e.Remedy}
}

const usage = "usage: penumbra-beam score|train|backtest|convert [flags] FILE..."

// verbs define their flags and return what runs once those are read.
var verbs = map[string]func(out *string) func(context.Context, []string, beam.Runner) (beam.Result, error){
	"score": score, "train": train, "backtest": judge, "convert": convert,
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		// A runner that starts workers by itself starts this program with Beam's flags
		// alone; Init works until the runner ends it.
		if err := flag.CommandLine.Parse(args); err != nil {
			return err
		}
		sdk.Init()
		return errors.New(usage)
	}
	verb := verbs[args[0]]
	if verb == nil {
		return fmt.Errorf("there is no verb %q; %s", args[0], usage)
	}
	// Beam's own flags stay usable, such as --parallelism. Of ours runner is one of
	// Beam's too, which is why it is called `on`.
	var r beam.Runner
	flag.StringVar(&r.Name, "on", "prism", "runner: "+strings.Join(beam.RunnerNames, ", "))
	flag.Func("job-server", "address of Beam's job server", func(a string) error { r.Endpoint = a; return nil })
	flag.Func("environment", "how the runner gets at workers (default LOOPBACK)", func(e string) error { r.Environment = e; return nil })
	r.Progress = func(what string, done int64) { say(said{What: what, Done: done}) }
	do := verb(flag.String("out", "", "folder, database, or file of a trained model, a report or a timeline, to write"))
	if err := flag.CommandLine.Parse(args[1:]); err != nil {
		return err
	}
	sdk.Init()
	result, err := do(ctx, flag.Args(), r)
	if err != nil {
		return err
	}
	say(said{Result: &result})
	return nil
}

func score(out *string) func(context.Context, []string, beam.Runner) (beam.Result, error) {
	s := beam.Scoring{}
	flag.StringVar(&s.Checkpoint, "checkpoint", "", "file of the model")
	at := flag.String("at", "", "the time that is asked about (RFC 3339)")
	flag.Float64Var(&s.Confidence, "confidence", 0.95, "of the prediction sets")
	flag.IntVar(&s.Shards, "shards", 8, "files of scores, or transactions into a database")
	flag.StringVar(&s.Format, "format", "", "of the files of scores: "+strings.Join(beam.Formats, ", "))
	flag.StringVar(&s.LeftOut, "left-out", "", "file for where what cannot be read is")
	flag.IntVar(&s.Keep, "keep", 0, "scorings that stay in a database, this one too")
	flag.IntVar(&s.Top, "top", 10, "how many of the likeliest to leave are said")
	return func(ctx context.Context, files []string, r beam.Runner) (_ beam.Result, err error) {
		if s.At, err = time.Parse(time.RFC3339, *at); err != nil {
			return beam.Result{}, fmt.Errorf("-at: %w", err)
		}
		s.Files, s.Out = files, *out
		return beam.Score(ctx, s, r)
	}
}

func train(out *string) func(context.Context, []string, beam.Runner) (beam.Result, error) {
	t := beam.Training{}
	flag.IntVar(&t.Shards, "shards", 4, "parts of the fleet that learn by themselves")
	flag.IntVar(&t.Rounds, "rounds", 1, "of learning and averaging")
	flag.Uint64Var(&t.Seed, "seed", 1, "of all that is drawn")
	return func(ctx context.Context, files []string, r beam.Runner) (beam.Result, error) {
		t.Files, t.Out = files, *out
		return beam.Train(ctx, t, r)
	}
}

// convert needs no runner.
func convert(out *string) func(context.Context, []string, beam.Runner) (beam.Result, error) {
	return func(_ context.Context, files []string, _ beam.Runner) (beam.Result, error) {
		return beam.Convert(files, *out)
	}
}

func judge(out *string) func(context.Context, []string, beam.Runner) (beam.Result, error) {
	b := beam.Backtest{}
	flag.IntVar(&b.Shards, "shards", 4, "parts of the fleet that are replayed by themselves")
	flag.Func("judging", "what is asked of which models, JSON", func(text string) error { return json.Unmarshal([]byte(text), &b.Judging) })
	return func(ctx context.Context, files []string, r beam.Runner) (beam.Result, error) {
		b.Files, b.Out = files, *out
		return beam.RunBacktest(ctx, b, r)
	}
}
