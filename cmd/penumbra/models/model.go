package models

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/timelines"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "model",
		GroupID: "model",
		Short:   "Show, promote and roll back versions of the model",
		Long: `The model that keeps the shadow has versions: those that ` + "`penumbra train`" + ` made, and
those that it learnt while it served. One is active. Without any the family of
the configuration serves as it ships.`,
		Example: `  penumbra model show                  # what serves, and why
  penumbra model list
  penumbra model promote 3
  penumbra model rollback
  penumbra model report --plot report.svg`,
	}
	cmd.AddCommand(a.modelListCommand(), a.modelShowCommand(), a.modelPromoteCommand(), a.modelRollbackCommand(), a.modelReportCommand())
	return cmd
}

func (a *app) modelListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the versions, the newest first",
		Example: `  penumbra model list
  penumbra model list -o json | jq '.versions[] | select(.state == "active")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				st, err := s.Model(ctx)
				if err != nil {
					return err
				}
				versions, err := s.Versions(ctx)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(struct {
						Model    penumbra.ModelStatus    `json:"model"`
						Versions []penumbra.ModelVersion `json:"versions"`
					}{st, append([]penumbra.ModelVersion{}, versions...)})
				}
				a.showVersions(&st, versions)
				return nil
			})
		},
	}
}

func (a *app) showVersions(st *penumbra.ModelStatus, versions []penumbra.ModelVersion) {
	a.showServing(st)
	if len(versions) == 0 {
		return
	}
	fmt.Fprintln(a.Out)
	t := a.Table("VERSION", "STATE", "FAMILY", "ORIGIN", "CREATED", "FROM", "LOG LOSS", "AGAINST", "SIZE")
	for _, v := range versions {
		loss, over := "–", "–"
		if x := v.Score; x != nil {
			loss, over = fmt.Sprintf("%.5f", x.LogLoss), fmt.Sprintf("%.5f of %s", x.OverLogLoss, numbered(x.Over, x.OverFamily))
		}
		size := "not kept"
		switch {
		case v.Origin == penumbra.LearntVersion:
			size = "–"
		case v.Kept:
			size = kibibytes(v.Size)
		}
		t.AppendRow(table.Row{v.Number, a.versionState(v.State), v.Family, v.Origin, v.Created.Format(time.DateOnly), words.Shorten(strings.Join(v.Sources, ", "), 32), loss, over, size})
	}
	t.Render()
	for _, v := range versions {
		if v.Why != "" && (v.State == penumbra.ActiveVersion || v.State == penumbra.AdoptedVersion) {
			fmt.Fprintf(a.Out, "\n%d: %s", v.Number, v.Why)
			if v.Forced != "" {
				fmt.Fprintf(a.Out, " Promoted all the same by %s: %s", v.By, v.Forced)
			}
			fmt.Fprintln(a.Out)
		}
	}
}

func kibibytes(n int64) string { return fmt.Sprintf("%.1f KiB", float64(n)/1024) }

func numbered(version int, family string) string {
	if version == 0 {
		return family + " as it ships"
	}
	return fmt.Sprintf("version %d", version)
}

func (a *app) versionState(s penumbra.VersionState) string {
	switch s {
	case penumbra.ActiveVersion, penumbra.AdoptedVersion:
		return a.Paint(console.Green, "● "+s.String())
	case penumbra.RefusedVersion, penumbra.TakenBackVersion:
		return a.Paint(console.Red, "✗ "+s.String())
	case penumbra.CandidateVersion:
		return a.Paint(console.Cyan, "… "+s.String())
	default:
		return a.Paint(console.Faint, "  "+s.String())
	}
}

// showServing says which model serves and why.
func (a *app) showServing(st *penumbra.ModelStatus) {
	name := st.Family
	if st.Version > 0 {
		name += fmt.Sprintf(", version %d", st.Version)
	}
	fmt.Fprintf(a.Out, "%s keeps the shadow of %d resources (model: %s).\n", a.Paint(console.Bold, name), st.Resources, st.Configured)
	if st.Why != "" {
		fmt.Fprintln(a.Out, st.Why)
	}
}

func (a *app) modelShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the model that serves, why, and what its experts weigh",
		Example: `  penumbra model show
  penumbra model show -o json | jq .pool.types`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				st, err := s.Model(ctx)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(st)
				}
				a.showServing(&st)
				a.showPool(&st, 20)
				return nil
			})
		},
	}
}

// showPool shows the weights of the experts, for at most so many types.
func (a *app) showPool(st *penumbra.ModelStatus, types int) {
	if st.Bytes > 0 {
		fmt.Fprintf(a.Out, "Its checkpoint of %s has %s.\n", st.Saved.Format(time.RFC3339), kibibytes(st.Bytes))
	}
	if st.Pool == nil {
		return
	}
	fmt.Fprintf(a.Out, "It is a pool of %d experts, learnt from %.0f questions; its network has %d weights.\n\n", len(st.Pool.Experts), st.Pool.Examples, st.Pool.Parameters)
	header := []any{"WEIGHT OF"}
	for _, x := range st.Pool.Experts {
		header = append(header, strings.ToUpper(x))
	}
	t := a.Table(header...)
	row := func(name string, weights []float64) {
		r := table.Row{words.Shorten(name, 48)}
		for _, w := range weights {
			r = append(r, fmt.Sprintf("%.3f", w))
		}
		t.AppendRow(r)
	}
	row("the estate", st.Pool.Estate)
	for _, x := range st.Pool.Types[:min(types, len(st.Pool.Types))] {
		row(x.Type, x.Weights)
	}
	t.Render()
	if more := len(st.Pool.Types) - types; more > 0 {
		fmt.Fprintf(a.Out, "and %d more types\n", more)
	}
}

func (a *app) modelPromoteCommand() *cobra.Command {
	var forced string
	cmd := &cobra.Command{
		Use:   "promote VERSION",
		Short: "Let a version serve",
		Long: `Makes a version the active one: the model is built again from it and the timeline,
while observations wait. A version that has not beaten the active one on the
latest window is refused, unless a reason is given with --force, which is
recorded.`,
		Example: `  penumbra model promote 3
  penumbra model promote 3 --force 'the window was a freeze'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[0])
			if err != nil || number < 1 {
				return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("version %q", args[0]), Remedy: "give a number that `penumbra model list` shows"}
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				var v penumbra.ModelVersion
				err := a.Waiting("build the model again", func() (err error) {
					v, err = s.Promote(ctx, number, "", forced)
					return err
				})
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(v)
				}
				fmt.Fprintf(a.Out, "Version %d, %s, serves. `penumbra model rollback` goes back to %s.\n", v.Number, v.Family, before(v.Before))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&forced, "force", "", "promote it although it was not shown to be better, for this reason")
	return cmd
}

func before(version int) string {
	if version == 0 {
		return "the model as it ships"
	}
	return fmt.Sprintf("version %d", version)
}

func (a *app) modelRollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Go back to the version before",
		Long: `Goes back by one step: what the model adopted last while it served no longer
serves; if there is no such, the version before the active one serves again.`,
		Example: `  penumbra model rollback
  penumbra model rollback -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				var v penumbra.ModelVersion
				err := a.Waiting("build the model again", func() (err error) {
					v, err = s.RollbackModel(ctx, "")
					return err
				})
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(v)
				}
				if v.Origin == penumbra.LearntVersion {
					fmt.Fprintf(a.Out, "What was learnt as version %d no longer serves; what served before it does.\n", v.Number)
					return nil
				}
				fmt.Fprintf(a.Out, "Version %d no longer serves; %s does.\n", v.Number, before(v.Before))
				return nil
			})
		},
	}
	return cmd
}

// reportDraws is how often a report draws its data anew, for its intervals.
const reportDraws = 200

// modelReport is what is known of the model that serves, and how it does on the
// estate's own past.
type modelReport struct {
	Model  penumbra.ModelStatus `json:"model"`
	Report *backtest.Report     `json:"report,omitempty"`
	// Known reports that it knows more than how often settings change at all.
	Known bool `json:"known"`
}

func (a *app) modelReportCommand() *cobra.Command {
	var plot string
	o := backtest.Options{Seed: wire.ServedSeed, Bootstrap: reportDraws}
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Judge the model that serves on your own past",
		Long: `Replays what the store holds into a copy of the model that serves, which is asked
before it learns: how true its probabilities are, how well it ranks against naive
predictors, how often its sets hold the value, and what its experts weigh. It
says plainly if the model knows no more than how often settings change at all.`,
		Example: `  penumbra model report
  penumbra model report --plot report.svg
  penumbra model report -o json | jq .known`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			away, err := a.isElsewhere()
			if err != nil {
				return err
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				if away && plot == "" {
					return a.follow(ctx, s, penumbra.NewModelTask{Kind: penumbra.ReportTask, Seed: o.Seed, Sample: o.Sample})
				}
				if away {
					return &penumbra.Error{Kind: penumbra.Invalid, What: "a daemon elsewhere draws no plot", Remedy: "leave --plot away, or run this on the daemon's machine"}
				}
				return a.reportModel(ctx, s, o, plot)
			})
		},
	}
	cmd.Flags().StringVar(&plot, "plot", "", "write a plot of reliability, and of precision and recall, to this SVG file")
	cmd.Flags().Uint32Var(&o.Sample, "sample", 0, "ask about one resource in so many")
	return cmd
}

func (a *app) reportModel(ctx context.Context, s *console.Service, o backtest.Options, plot string) error {
	r, err := a.judged(ctx, s, o)
	if err != nil {
		return err
	}
	if plot != "" {
		if err := writePlot(plot, r.Report); err != nil {
			return err
		}
	}
	if a.Output == "json" {
		return a.JSON(r)
	}
	a.showServing(&r.Model)
	a.showPool(&r.Model, 10)
	fmt.Fprintln(a.Out)
	return r.Report.WriteText(a.Out)
}

// judged replays what the store holds into a copy of the model that serves.
func (a *app) judged(ctx context.Context, s api.Modeller, o backtest.Options) (*modelReport, error) {
	c, err := a.Config()
	if err != nil {
		return nil, err
	}
	r := &modelReport{}
	if r.Model, err = s.Model(ctx); err != nil {
		return nil, err
	}
	history, err := timelines.Read(ctx, a.Console, c, true, nil)
	if err != nil {
		return nil, err
	}
	body, err := a.servingBody(ctx, &r.Model)
	if err != nil {
		return nil, err
	}
	m, err := wire.NewFamily(r.Model.Family, body)
	if err != nil {
		return nil, err
	}
	progress, end := a.Progressing("report")
	o.Progress = progress
	r.Report, err = backtest.Run(ctx, slices.Values(history), []backtest.Entrant{{Name: r.Model.Family, Model: m}}, o)
	end()
	if err != nil {
		return nil, err
	}
	r.Known = r.Report.Choice.Known
	return r, nil
}
