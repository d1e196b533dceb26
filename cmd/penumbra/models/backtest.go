package models

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/timelines"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/timeline"
)

// backtestFlags are what is asked of a backtest.
type backtestFlags struct {
	git                     []string
	mine                    timelines.MineOptions
	models, horizons, train []string
	every, split, plot      string
	corrections             string
	store, untrained        bool
	options                 backtest.Options
	fleet                   fleetFlags
	shards                  int
	file                    string
}

func (a *app) backtestCommand() *cobra.Command {
	var f backtestFlags
	cmd := &cobra.Command{
		Use:     "backtest [FILE...]",
		GroupID: "data",
		Short:   "Judge the models on a history, and say which is the one to use",
		Long: `Replays a history, timelines as ` + "`penumbra export`" + ` writes them, what the store
holds, or the commits of a git repository, into the models: at each cut every
model is asked first and learns afterwards, beside naive predictors, so that
nothing it says rests on what came later. The report says how well each ranks and how true its probabilities are,
with intervals, and which model is the one to use on this history.

With --corrections a file tells which commits brought the code to what was really
there. Then the departure model is judged instead: does it foresee which settings
leave their template, and for what value?

With --runner the history is replayed on as many machines as there are: each shard
of the fleet into models of its own, which see nothing of the other shards. All
answers are joined into one report. See docs/scale.md for how that differs from one
process. A PostgreSQL database that a store is in is named by its URL, as a file is.

Without a file the configured store is read; nothing is written to it.`,
		Example: `  penumbra backtest                                  # on your own past
  penumbra backtest --git infra/                     # ... as its repository has it
  penumbra backtest history.jsonl.gz --plot report.svg
  penumbra backtest --model pooled --every 1d --horizons 1d,7d history.jsonl
  penumbra backtest --split family history.jsonl     # on resources not learnt from
  penumbra backtest --train other.jsonl.gz mine.jsonl -o json
  penumbra backtest --corrections drift.tsv history.jsonl.gz
  penumbra backtest --runner prism --shards 4 fleet-*.jsonl.gz
  penumbra backtest --runner spark --endpoint 127.0.0.1:8099 --model pooled fleet-*.jsonl.gz`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			if len(f.train) > 0 && !cmd.Flags().Changed("warmup") {
				f.options.Warmup = 0
			}
			if f.fleet.runner != "" {
				return a.fleetBacktest(cmd.Context(), &f, args)
			}
			return a.backtest(cmd.Context(), &f, args)
		},
	}
	cmd.Flags().StringArrayVar(&f.git, "git", nil, "read the history of the git repository, or the folder of one, in this folder; may be repeated")
	f.mine.Flags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.store, "store", false, "read the configured store (without a file it is read anyway)")
	flags.StringSliceVar(&f.models, "model", wire.FamilyNames(), "the models to judge, the simplest first")
	flags.StringVar(&f.every, "every", "", "time between cuts, such as 1d (default: 1d, 7d or 30d by the number of questions)")
	flags.Float64Var(&f.options.Warmup, "warmup", 0.2, "share of the time span before the first cut")
	flags.StringSliceVar(&f.horizons, "horizons", []string{"1d", "7d", "30d"}, "how far ahead is asked: 1h, 6h, 1d, 7d, 30d")
	flags.StringVar(&f.split, "split", "time", "time, or family: score resources of whose family nothing was learnt before")
	flags.StringArrayVar(&f.train, "train", nil, "a history of another estate to learn before; then --warmup is 0 unless given")
	flags.BoolVar(&f.untrained, "untrained", false, "start from nothing, also where a trained model ships: for a history that it was trained on")
	flags.Uint32Var(&f.options.Sample, "sample", 0, "ask about one resource in so many")
	flags.Uint64Var(&f.options.Seed, "seed", 1, "seed of all that is drawn")
	flags.IntVar(&f.options.Bootstrap, "bootstrap", 1000, "how often is resampled for an interval; 0 for none")
	flags.Float64Var(&f.options.Alerts, "alerts", 30, "alerts a week")
	flags.BoolVar(&f.options.NoValues, "no-values", false, "leave out prediction sets, next values and next changes")
	flags.StringVar(&f.corrections, "corrections", "", "judge the departure model by this file of corrections: "+backtest.CorrectionColumns)
	flags.StringVar(&f.plot, "plot", "", "write a plot of reliability, and of precision and recall, to this SVG file")
	f.fleet.add(cmd, "")
	flags.IntVar(&f.shards, "shards", 4, "with --runner: parts of the fleet that are replayed by themselves")
	flags.StringVar(&f.file, "file", "", "with --runner: also write the report as JSON to this file, which the workers and this machine have to share")
	complete := func(flag string, values ...string) {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	complete("model", wire.FamilyNames()...)
	complete("split", "time", "family")
	complete("horizons", penumbra.HorizonNames[:]...)
	complete("every", "1d", "7d", "30d")
	return cmd
}

func (a *app) backtest(ctx context.Context, f *backtestFlags, files []string) error {
	c, err := a.Config()
	if err != nil {
		return err
	}
	entrants, err := f.read()
	if err != nil {
		return err
	}
	var mined []penumbra.Observation
	for _, dir := range f.git {
		read, err := timelines.Mined(ctx, a.Console, dir, f.mine)
		if err != nil {
			return err
		}
		mined = append(mined, read...)
	}
	history, err := timelines.Read(ctx, a.Console, c, f.store || len(files)+len(f.git) == 0, files, mined...)
	if err != nil {
		return err
	}
	if f.corrections != "" {
		return a.corrections(ctx, f, history)
	}
	if slices.ContainsFunc(history, func(o *penumbra.Observation) bool { return o.Kind == penumbra.SnapshotKind }) {
		th, err := c.Thresholds()
		if err != nil {
			return err
		}
		judge, err := drift.NewJudge(th)
		if err != nil {
			return err
		}
		f.options.Verdicts = &backtest.Verdicts{Judge: judge, Fold: timeline.Fold, Confidence: c.Confidence}
	}
	if len(f.train) > 0 && len(history) > 0 {
		other, err := timelines.Read(ctx, a.Console, c, false, f.train)
		if err != nil {
			return err
		}
		for _, e := range entrants {
			backtest.Train(e.Model, slices.Values(other), history[0].Time)
		}
	}
	progress, end := a.Progressing("backtest")
	f.options.Progress = progress
	report, err := backtest.Run(ctx, slices.Values(history), entrants, f.options)
	end()
	if err != nil {
		return err
	}
	return a.showBacktest(f, report)
}

func (a *app) showBacktest(f *backtestFlags, report *backtest.Report) error {
	if f.plot != "" {
		if err := writePlot(f.plot, report); err != nil {
			return err
		}
	}
	if a.Output == "json" {
		return a.JSON(report)
	}
	return report.WriteText(a.Out)
}

// read makes of the flags what the backtest takes.
func (f *backtestFlags) read() ([]backtest.Entrant, error) {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
	}
	o := &f.options
	for _, name := range f.horizons {
		i := slices.Index(penumbra.HorizonNames[:], name)
		if i < 0 {
			return nil, invalid(fmt.Sprintf("--horizons %q", name), "use "+strings.Join(penumbra.HorizonNames[:], ", "))
		}
		o.Horizons = append(o.Horizons, i)
	}
	slices.Sort(o.Horizons)
	o.Horizons = slices.Compact(o.Horizons)
	if f.every != "" {
		every, err := words.ParseSpan(f.every)
		if err != nil || every <= 0 {
			return nil, invalid(fmt.Sprintf("--every %q", f.every), "give a time such as 12h or 7d")
		}
		o.Every = every
	}
	if err := o.Split.UnmarshalText([]byte(f.split)); err != nil {
		return nil, invalid("--split: "+err.Error(), "use time or family")
	}
	switch {
	case o.Warmup < 0 || o.Warmup >= 1:
		return nil, invalid(fmt.Sprintf("--warmup %v", o.Warmup), "give a share from 0 to below 1, such as 0.2")
	case o.Bootstrap < 0:
		return nil, invalid(fmt.Sprintf("--bootstrap %d", o.Bootstrap), "give a number of resamples, 0 for none")
	case !(o.Alerts > 0):
		return nil, invalid(fmt.Sprintf("--alerts %v", o.Alerts), "give a number above 0")
	}
	// To the backtest none is below 0, and 0 is what it thinks best.
	if o.Warmup == 0 {
		o.Warmup = -1
	}
	if o.Bootstrap == 0 {
		o.Bootstrap = -1
	}
	var out []backtest.Entrant
	for _, name := range f.models {
		if wire.Families[name] == nil {
			return nil, invalid(fmt.Sprintf("--model %q", name), "use "+strings.Join(wire.FamilyNames(), ", "))
		}
		if slices.ContainsFunc(out, func(e backtest.Entrant) bool { return e.Name == name }) {
			continue
		}
		m := wire.Families[name](o.Seed)
		if f.untrained {
			m = wire.Untrained(name, o.Seed)
		}
		out = append(out, backtest.Entrant{Name: name, Model: m})
	}
	return append(out, backtest.Entrant{Name: "logistic", Model: backtest.NewPeer(), Baseline: true}), nil
}

// writePlot writes the plot whole or not at all.
func writePlot(name string, r *backtest.Report) error {
	refused := func(err error) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: "write the plot", Remedy: "name a file that you may write", Err: err}
	}
	f, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o644))
	if err != nil {
		return refused(err)
	}
	defer func() { _ = f.Cleanup() }()
	if err := r.WriteSVG(f); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return refused(err)
	}
	return nil
}
