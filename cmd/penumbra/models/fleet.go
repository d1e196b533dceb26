package models

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// worker is the program that runs the work on whole fleets. It is one of its own
// because Beam would make this one twice as large.
const worker = "penumbra-beam"

// fleetFlags say where the work on a fleet runs.
type fleetFlags struct{ runner, endpoint, environment string }

func (f *fleetFlags) add(cmd *cobra.Command, runner string) {
	flags := cmd.Flags()
	flags.StringVar(&f.runner, "runner", runner, "where the work runs: prism (on this machine), spark, flink")
	flags.StringVar(&f.endpoint, "endpoint", "", "address of Beam's job server for spark or flink")
	flags.StringVar(&f.environment, "environment", "LOOPBACK", "how Spark or Flink gets at workers: LOOPBACK (this machine), or what Beam's environment_type takes")
	_ = cmd.RegisterFlagCompletionFunc("runner", cobra.FixedCompletions([]string{"prism", "spark", "flink"}, cobra.ShellCompDirectiveNoFileComp))
}

// fleetResult is what came of a job.
type fleetResult struct {
	Observations int64 `json:"observations"`
	LinesLeftOut int64 `json:"lines_left_out"`
	// LeftOut is the file that has where each line is that was left out, and why.
	LeftOut string        `json:"left_out,omitempty"`
	Scores  *scoreSummary `json:"scores,omitempty"` // of a scoring
	// Job is the number of a scoring into a database, which Where names.
	Job   int64  `json:"job,omitempty"`
	Where string `json:"where,omitempty"`
}

// tellLeftOut tells of lines that no worker could read. flag is the one that has their places
// kept.
func (a *app) tellLeftOut(r *fleetResult, flag string) {
	switch {
	case r.LinesLeftOut == 0:
	case r.LeftOut != "" && isFile(r.LeftOut):
		fmt.Fprintf(a.Err, "%d lines could not be read and were left out: see %s.\n", r.LinesLeftOut, r.LeftOut)
	default:
		fmt.Fprintf(a.Err, "%d lines could not be read and were left out. With %s it is kept where they are.\n", r.LinesLeftOut, flag)
	}
}

// fleetLine is a line that the worker says.
type fleetLine struct {
	What   string       `json:"what"`
	Done   int64        `json:"done"`
	Result *fleetResult `json:"result"`
	Error  *struct {
		What, Remedy string
	} `json:"error"`
}

// named puts files behind what ends the flags: one may begin with a dash.
func named(files []string) []string { return append([]string{"--"}, files...) }

// pastOf returns what workers read: what is named, or the database that the store is in.
func (a *app) pastOf(named []string) ([]string, error) {
	if len(named) > 0 {
		return named, nil
	}
	store, err := a.database("no history is named, and the store is a file, which workers cannot read", "name timelines, such as `penumbra export` writes")
	if err != nil {
		return nil, err
	}
	return []string{store}, nil
}

// database returns the URL of the database that the store is in. Where it is in none, the
// error is of kind Invalid and says what is missing and the remedy.
func (a *app) database(missing, remedy string) (string, error) {
	c, err := a.Config()
	if err == nil && c.Store == "" {
		err = &penumbra.Error{Kind: penumbra.Invalid, What: missing, Remedy: remedy}
	}
	if err != nil {
		return "", err
	}
	return c.Store, nil
}

// findWorker returns the worker's path: beside this program, or on the PATH.
func findWorker() (string, error) {
	if self, err := os.Executable(); err == nil {
		if name := filepath.Join(filepath.Dir(self), worker); isFile(name) {
			return name, nil
		}
	}
	name, err := exec.LookPath(worker)
	if err != nil {
		return "", &penumbra.Error{
			Kind: penumbra.Missing, What: worker + " is neither beside penumbra nor on the PATH",
			Remedy: "build it with `make beam`, or install it beside penumbra",
		}
	}
	return name, nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// onFleet lets the worker do a verb and follows it. An interrupt ends the worker.
func (a *app) onFleet(ctx context.Context, f *fleetFlags, verb string, args []string) (fleetResult, error) {
	var result fleetResult
	program, err := findWorker()
	if err != nil {
		return result, err
	}
	args = append([]string{verb, "-on=" + f.runner, "-job-server=" + f.endpoint, "-environment=" + f.environment}, args...)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var log tail
	cmd.Stderr = &log
	if a.Verbose {
		cmd.Stderr = io.MultiWriter(&log, a.Err)
	}
	said, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return result, &penumbra.Error{Kind: penumbra.Unavailable, What: "start " + worker, Remedy: "see whether it is one for this machine", Err: err}
	}
	failed, done := a.followFleet(said, &result)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case failed != nil:
		return result, failed
	case err != nil || !done:
		return result, &penumbra.Error{
			Kind: penumbra.Unavailable, What: fmt.Sprintf("%s %s ended before its work was done: %s", worker, verb, penumbra.Redact(log.last())),
			Remedy: "run it with --verbose to see what it and the runner say", Err: err,
		}
	}
	return result, nil
}

// forFleet holds the flags of a training to what a fleet can be trained by.
func (f *trainFlags) forFleet() error {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
	}
	switch {
	case len(f.git) > 0:
		return invalid("--runner with --git", "write the repository's history to a file first, with `penumbra mine`")
	case f.portable != "":
		return invalid("--runner with --portable", "train one or the other")
	case f.shards < 1 || f.rounds < 1:
		return invalid("--shards or --rounds below 1", "give 1 or more")
	case f.models != nil && !slices.Equal(f.models, []string{"mixture"}):
		return invalid("--runner with --model "+strings.Join(f.models, ","), "only the mixture is trained in shards")
	}
	f.models = []string{"mixture"}
	return nil
}

// forFleet holds the flags of a backtest to what a fleet can be judged by.
func (f *backtestFlags) forFleet(files []string) error {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
	}
	switch {
	case f.store && len(files) > 0:
		return invalid("--runner with the store and with files", "name the database's URL beside the files")
	case len(f.git) > 0:
		return invalid("--runner with --git", "write the repository's history to a file first, with `penumbra mine`")
	case len(f.train) > 0:
		return invalid("--runner with --train", "leave one of them out: shards learn nothing before")
	case f.corrections != "":
		return invalid("--runner with --corrections", "leave --runner out: the departure model is judged in one process")
	case f.shards < 1:
		return invalid("--shards below 1", "give 1 or more")
	}
	return nil
}

// judging is what the worker has to know of a backtest.
type judging struct {
	Models     []string
	Untrained  bool
	Options    backtest.Options
	Thresholds drift.Thresholds
	Confidence float64
}

// fleetBacktest judges models on a fleet, each shard by itself.
func (a *app) fleetBacktest(ctx context.Context, f *backtestFlags, files []string) error {
	if err := f.forFleet(files); err != nil {
		return err
	}
	files, err := a.pastOf(files)
	if err != nil {
		return err
	}
	c, err := a.Config()
	if err != nil {
		return err
	}
	entrants, err := f.read()
	if err != nil {
		return err
	}
	asked := judging{Untrained: f.untrained, Options: f.options, Confidence: c.Confidence}
	for _, e := range entrants {
		if !e.Baseline {
			asked.Models = append(asked.Models, e.Name)
		}
	}
	if asked.Thresholds, err = c.Thresholds(); err != nil {
		return err
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "penumbra-backtest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file := f.file
	if file == "" {
		file = filepath.Join(folder, "report")
	}
	result, err := a.onFleet(ctx, &f.fleet, "backtest", append([]string{
		"-out=" + file, fmt.Sprintf("-shards=%d", f.shards), "-judging=" + string(text),
	}, named(files)...))
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "read the fleet's report", Remedy: "name a file with --file that the workers and this machine share", Err: err}
	}
	report := &backtest.Report{}
	if err := json.Unmarshal(data, report); err != nil {
		return &penumbra.Error{Kind: penumbra.Damaged, What: "read the fleet's report", Remedy: "see that " + worker + " is of the same version as this program", Err: err}
	}
	if f.file == "" {
		result.LeftOut = "" // it goes with the folder
	}
	a.tellLeftOut(&result, "--file")
	return a.showBacktest(f, report)
}

// fleetCandidate trains the mixture in shards, and returns from how many
// observations.
func (a *app) fleetCandidate(ctx context.Context, f *trainFlags, files []string) (*trained, int64, error) {
	folder, err := os.MkdirTemp("", "penumbra-train-")
	if err != nil {
		return nil, 0, err
	}
	defer os.RemoveAll(folder)
	file := f.file
	if file == "" {
		file = filepath.Join(folder, "model")
	}
	result, err := a.onFleet(ctx, &f.fleet, "train", append([]string{
		"-out=" + file, fmt.Sprintf("-shards=%d", f.shards), fmt.Sprintf("-rounds=%d", f.rounds), fmt.Sprintf("-seed=%d", f.seed),
	}, named(files)...))
	if err != nil {
		return nil, 0, err
	}
	if f.file == "" {
		result.LeftOut = "" // it goes with the folder
	}
	a.tellLeftOut(&result, "--file")
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, 0, &penumbra.Error{Kind: penumbra.Missing, What: "read what the fleet has learnt", Remedy: "name a file with --file that the workers and this machine share", Err: err}
	}
	return &trained{models: []candidate{{name: "mixture", family: "mixture", body: body}}}, result.Observations, nil
}

// followFleet shows what the worker says until it ends, and returns its complaint
// and whether it came to a result.
func (a *app) followFleet(said io.Reader, result *fleetResult) (failed error, done bool) {
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x fleetLine
		switch err := json.Unmarshal(lines.Bytes(), &x); {
		case err != nil: // something of a library's
		case x.Error != nil:
			failed = &penumbra.Error{Kind: penumbra.Unavailable, What: x.Error.What, Remedy: x.Error.Remedy}
		case x.Result != nil:
			*result, done = *x.Result, true
		case x.What != "" && a.Output == "human":
			fmt.Fprintf(a.Err, "%s: %d\n", x.What, x.Done)
		}
	}
	_, _ = io.Copy(io.Discard, said) // a line that is too long must not stop the worker
	return failed, done
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

const keptTail = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - keptTail; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// last returns the last line.
func (t *tail) last() string {
	text := bytes.TrimSpace(t.kept)
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return strings.TrimSpace(string(text))
}
