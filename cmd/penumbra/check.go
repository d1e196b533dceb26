package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/store/sqlite"
	"github.com/penumbra-iac/penumbra/timeline"
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
	if err := a.outputs(checkFormats...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	c, err := a.config()
	if err != nil {
		return err
	}
	if f.stack == "" {
		f.stack = c.stackOf(dir)
	}
	started := time.Now()
	key, err := checkKey(c.dataDir())
	if err != nil {
		return err
	}
	var read []penumbra.Observation
	err = a.waiting("reading "+f.stack, func() (err error) {
		read, err = readOnce(ctx, a.in, dir, f, key)
		return err
	})
	if err != nil {
		return err
	}
	at := time.Now().UTC()
	assessments, kind, err := a.look(ctx, c, dir, f, read, at)
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

// checkKey returns the data directory's sealing key, or one for this look only:
// a check writes nothing, and its hashes are compared with each other alone.
func checkKey(dir string) (penumbra.Key, error) {
	if _, err := os.Stat(filepath.Join(dir, "sealing.key")); err != nil && os.Getenv("PENUMBRA_KEY") == "" {
		return penumbra.Key(random(32)), nil
	}
	return sealingKey(dir)
}

// stackOf returns the name of the stack whose folder dir is, or dir's own name.
func (c *config) stackOf(dir string) string {
	abs, err := absolute(dir)
	if err != nil {
		return "stack"
	}
	for _, s := range c.Stacks {
		if c.path(s.Dir) == abs || filepath.Clean(c.path(s.Dir)) == abs {
			return s.Name
		}
	}
	if name := filepath.Base(abs); penumbra.ValidStackName(name) {
		return name
	}
	return "stack"
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

// look judges what was read, by the recorded shadow where there is one.
func (a *app) look(ctx context.Context, c *config, dir string, f checkFlags, read []penumbra.Observation, at time.Time) ([]penumbra.Assessment, string, error) {
	th, err := c.thresholds()
	if err != nil {
		return nil, "", err
	}
	th.Support = 0 // one look has only this moment to speak
	judge, err := drift.NewJudge(th)
	if err != nil {
		return nil, "", err
	}
	rules, err := ignoreRules(c, dir, f.ignore)
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(c.dataDir(), storeFile)
	if _, err := os.Stat(path); err == nil && !f.fresh {
		return a.lookRecorded(ctx, c, f, path, judge, rules, read)
	}
	if f.state != "" {
		return nil, "", &penumbra.Error{
			Kind: penumbra.Missing, What: "a state says nothing of what should be there, and there is no recorded shadow to hold it against",
			Remedy: "let `penumbra serve` watch the stack, or take its timeline in with `penumbra ingest`; `penumbra check DIR` needs neither",
		}
	}
	if err := judge.SetRules(rules); err != nil {
		return nil, "", err
	}
	family := c.Model
	if family == engine.AutoModel {
		family = engine.FirstFamily
	}
	s := engine.Stages{Shadow: families[family](servedSeed), Judge: judge, Fold: timeline.Fold, Order: timeline.Order, Confidence: c.Confidence}
	nothing := func(penumbra.Address) (penumbra.Resource, bool) { return penumbra.Resource{}, false }
	return s.Look(nothing, read, at), "fresh", nil
}

func (a *app) lookRecorded(ctx context.Context, c *config, f checkFlags, path string, judge *drift.Judge, rules []penumbra.Rule, read []penumbra.Observation) ([]penumbra.Assessment, string, error) {
	store, err := sqlite.Open(path, sqlite.ReadOnly())
	if err != nil {
		return nil, "", err
	}
	defer store.Close()
	e, err := engine.New(ctx, engine.Config{
		Store: store, NewFamily: newFamily, Judge: &ruled{Judge: judge, fixed: rules}, Codec: codec{}, Fold: timeline.Fold, Order: timeline.Order,
		Confidence: c.Confidence, ReadOnly: true, ModelName: c.Model, Version: buildVersion(), Log: a.logger(),
	})
	if err != nil {
		return nil, "", err
	}
	if f.state != "" {
		if _, err := e.Resources(ctx, f.stack); err != nil {
			return nil, "", err // nothing to hold the state against
		}
	}
	return e.Look(read), "recorded", nil
}

// ruled is a judge with rules of a file before those of the store.
type ruled struct {
	*drift.Judge
	fixed []penumbra.Rule
}

// SetRules replaces the store's rules; the file's stay before them.
func (r *ruled) SetRules(rules []penumbra.Rule) error {
	return r.Judge.SetRules(append(append([]penumbra.Rule{}, r.fixed...), rules...))
}

// ignoreFile is the name of the file of ignore rules beside the code.
const ignoreFile = ".penumbraignore"

// ignoreRules reads the file of ignore rules: the one named, the configured
// one, or the one in dir if there is one.
func ignoreRules(c *config, dir, name string) ([]penumbra.Rule, error) {
	if name == "" {
		name = c.path(c.Ignore)
	}
	optional := name == ""
	if optional {
		name = filepath.Join(dir, ignoreFile)
	}
	f, err := os.Open(name)
	if optional && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read ignore rules", Remedy: "check the file's name", Err: err}
	}
	defer f.Close()
	return drift.ParseRules(f)
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
