package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// checkFlags are what one look may be told.
type checkFlags struct {
	plan, state string
	stack       string
	binary      string
	varFiles    []string
	parallelism int
	driftCode   int
	fresh       bool
	full        bool
	ignore      string
	timeout     time.Duration
}

// checkFormats are the output formats of a check.
var checkFormats = []string{"human", "json", "sarif", "junit"}

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:     "check [DIR]",
		GroupID: "watch",
		Short:   "Look once, for CI: exit code 0 clean, 2 drift, 1 error",
		Long: `Reads one stack and tells what is drifted or unexpected. It writes nothing: no
state, no lock, no data directory. Where the data directory knows the stack,
its shadow is used, so that an autoscaler's habits are no drift; otherwise the
code alone is the measure.

The tool is run for a refresh-only plan, and again for the resources that it
finds drifted or that the code asks for in another way than was last applied,
as far as the code can be evaluated here. --full plans everything instead,
which takes two to three times as long: it also finds changes of the code, not
applied yet, that only a provider or a function such as cidrsubnet can tell.
Drift is found either way.

What could not be read is reported as not checked and ends with exit code 1:
it is never counted as clean.`,
		Example: `  penumbra check infra/
  penumbra check infra/ --output sarif > drift.sarif
  penumbra check --plan plan.json --drift-exit-code 0
  tofu show -json saved.plan | penumbra check --plan -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.check(cmd.Context(), dir, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.plan, "plan", "", "judge this plan as `show -json` writes it, instead of planning; - for standard input")
	flags.StringVar(&f.state, "state", "", "judge this state file against the recorded shadow, instead of planning; - for standard input")
	flags.StringVar(&f.stack, "stack", "", "the stack's name (default: as configured for DIR, else DIR's own name)")
	flags.StringVar(&f.binary, "binary", "", "the tofu or terraform to run (default: PENUMBRA_TOFU, then the PATH)")
	flags.StringArrayVar(&f.varFiles, "var-file", nil, "a file of variables to plan with; may be repeated")
	flags.IntVar(&f.parallelism, "parallelism", 0, "how many resources are read at once (default: the tool's own)")
	flags.IntVar(&f.driftCode, "drift-exit-code", exitDrift, "exit code when there is drift")
	flags.BoolVar(&f.fresh, "fresh", false, "do not use the recorded shadow")
	flags.BoolVar(&f.full, "full", false, "plan everything, to find every change of the code that is not applied yet")
	flags.StringVar(&f.ignore, "ignore", "", "a file of ignore rules (default: .penumbraignore in DIR)")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Minute, "give up after this long")
	cmd.MarkFlagsMutuallyExclusive("plan", "state")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return cmd
}

// checked is the outcome of one look.
type checked struct {
	Stack       string                `json:"stack"`
	Dir         string                `json:"dir,omitempty"`
	Time        time.Time             `json:"time"`
	Took        time.Duration         `json:"took_ns"`
	Resources   int                   `json:"resources"`
	Verdict     penumbra.Verdict      `json:"verdict"`
	Drifted     int                   `json:"drifted"`     // resources with drift
	NotChecked  int                   `json:"not_checked"` // resources that could not be read
	Shadow      string                `json:"shadow"`      // "recorded" or "fresh"
	Assessments []penumbra.Assessment `json:"assessments"` // those that are not in sync
}

func (a *app) check(ctx context.Context, dir string, f checkFlags) error {
	if err := a.Outputs(checkFormats...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	c, err := a.Config()
	if err != nil {
		return err
	}
	if f.stack == "" {
		f.stack = c.StackOf(dir)
	}
	started := time.Now()
	key, err := wire.LookKey(c.DataDir())
	if err != nil {
		return err
	}
	var read []penumbra.Observation
	err = a.Waiting("reading "+f.stack, func() (err error) {
		read, err = readOnce(ctx, a.In, dir, f, key)
		return err
	})
	if err != nil {
		return err
	}
	at := time.Now().UTC()
	assessments, kind, err := wire.Look(ctx, c, wire.LookOptions{
		Dir: dir, Stack: f.stack, Ignore: f.ignore, State: f.state != "", Fresh: f.fresh, Log: a.Logger(), Version: a.Version,
	}, read, at)
	if err != nil {
		return err
	}
	out := summarise(assessments)
	out.Stack, out.Time, out.Took, out.Shadow = f.stack, at, time.Since(started), kind
	if f.plan == "" && f.state == "" {
		out.Dir = dir
	}
	if err := a.report(out, f); err != nil {
		return err
	}
	switch {
	case out.NotChecked > 0:
		return &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("%d of %d resources were not checked", out.NotChecked, out.Resources), Remedy: "see the reasons above"}
	case out.Drifted > 0 && f.driftCode != exitOK:
		return &driftFound{code: f.driftCode}
	}
	return nil
}

func readOnce(ctx context.Context, in io.Reader, dir string, f checkFlags, key penumbra.Key) ([]penumbra.Observation, error) {
	switch {
	case f.plan != "":
		return readFile(in, f.plan, func(r io.Reader, at time.Time) ([]penumbra.Observation, error) {
			return tofu.ReadPlan(r, f.stack, key, at)
		})
	case f.state != "":
		return readFile(in, f.state, func(r io.Reader, at time.Time) ([]penumbra.Observation, error) {
			return tofu.ReadState(r, f.stack, key, at)
		})
	}
	work, err := os.MkdirTemp("", "penumbra-check-")
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Full, What: "make a folder for the plan", Remedy: "make room in the temporary folder", Err: err}
	}
	defer os.RemoveAll(work)
	w, err := tofu.New(tofu.Config{Stack: f.stack, Dir: dir, Binary: f.binary, Key: key, DataDir: work, Parallelism: f.parallelism, VarFiles: f.varFiles, Quick: !f.full})
	if err != nil {
		return nil, err
	}
	return w.Read(ctx)
}

// readFile reads what a tool wrote as of when it was written: a state says what
// was there then, not now. Standard input is as of now.
func readFile(in io.Reader, name string, read func(io.Reader, time.Time) ([]penumbra.Observation, error)) ([]penumbra.Observation, error) {
	if name == "-" {
		return read(in, time.Now().UTC())
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read what is to be checked", Remedy: "check the file's name", Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return read(f, info.ModTime().UTC())
}

func summarise(assessments []penumbra.Assessment) checked {
	out := checked{Resources: len(assessments), Assessments: []penumbra.Assessment{}}
	for i := range assessments {
		v := assessments[i].Verdict()
		out.Verdict = max(out.Verdict, v)
		if v.IsDrift() {
			out.Drifted++
		}
		if assessments[i].NotChecked != "" {
			out.NotChecked++
		}
		if v.IsFinding() {
			out.Assessments = append(out.Assessments, assessments[i])
		}
	}
	return out
}
