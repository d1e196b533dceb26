package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) statusCommand() *cobra.Command {
	var resources bool
	cmd := &cobra.Command{
		Use:     "status [STACK]",
		GroupID: "watch",
		Short:   "Show stacks, resources by verdict, and open drift",
		Example: `  penumbra status
  penumbra status shop --resources
  penumbra status -o json | jq .stacks`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				stack := ""
				if len(args) > 0 {
					stack = args[0]
				}
				return a.showStatus(ctx, s, stack, resources)
			})
		},
	}
	cmd.Flags().BoolVar(&resources, "resources", false, "list the resources too")
	return cmd
}

func (a *app) showStatus(ctx context.Context, s *console.Service, stack string, resources bool) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	var list []penumbra.ResourceStatus
	if resources || stack != "" {
		if list, err = s.Resources(ctx, stack); err != nil {
			return err
		}
	}
	if a.Output == "json" {
		return a.JSON(struct {
			penumbra.Status
			Daemon bool                      `json:"daemon"`
			List   []penumbra.ResourceStatus `json:"list,omitempty"`
		}{status, s.Daemon, list})
	}
	if !s.Daemon {
		fmt.Fprintln(a.Out, a.Paint(console.Faint, "No daemon runs here: this is what was last recorded. `penumbra serve` keeps it current."))
	}
	t := a.Table("STACK", "SOURCE", "RESOURCES", "WORST", "LAST READ", "NEXT", "")
	for _, x := range status.Stacks {
		failed := x.Error
		if len(x.Sources) > 0 {
			failed = "" // the source says it
		}
		t.AppendRow(table.Row{x.Name, x.Source, x.Resources, a.Verdict(x.Worst), words.Ago(status.Time, x.LastRead), words.Ahead(status.Time, x.NextRead), words.Shorten(failed, 60)})
		for _, src := range x.Sources {
			t.AppendRow(table.Row{"", "· " + src.Name, "", "", words.Ago(status.Time, src.LastRead), words.Ahead(status.Time, src.NextRead), a.failing(src.Error, src.Failures)})
			for _, c := range src.Cadence {
				t.AppendRow(table.Row{"", "  " + words.Shorten(cmp.Or(c.Match, "all others"), 40), c.Resources, "", "", words.Ahead(status.Time, c.NextRead), "every " + words.Span(c.Every)})
			}
		}
	}
	t.Render()
	fmt.Fprintf(a.Out, "\n%d resources, %d settings, %d observations", status.Resources, status.Settings, status.Observations)
	if status.Quarantined > 0 {
		fmt.Fprintf(a.Out, ", %d lines kept aside", status.Quarantined)
	}
	fmt.Fprintf(a.Out, "; model %s", status.Model)
	if status.ModelVersion > 0 {
		fmt.Fprintf(a.Out, ", version %d", status.ModelVersion)
	}
	fmt.Fprintln(a.Out)
	a.counts("Resources", status.Verdicts)
	a.counts("Open findings", status.Drifts)
	a.closer(&status)
	a.listening(&status)
	if list == nil {
		return nil
	}
	fmt.Fprintln(a.Out)
	t = a.Table("RESOURCE", "VERDICT", "DECLARED", "SETTINGS", "SEEN", "NEXT")
	for _, r := range list {
		t.AppendRow(table.Row{r.Address, a.Verdict(r.Verdict), r.Declared, r.Settings, words.Ago(status.Time, r.Snapshot), words.Ahead(status.Time, r.NextRead)})
	}
	t.Render()
	return nil
}

// closer says which resources are read more often, and until when.
func (a *app) closer(status *penumbra.Status) {
	for _, x := range status.Closer {
		fmt.Fprintf(a.Out, "Watched closer: %s\n", closerText(status.Time, &x))
	}
}

func closerText(now time.Time, x *penumbra.Attention) string {
	return fmt.Sprintf("%s every %s instead of every %s until %s, %s (drift %s)", x.Resource, words.Span(x.Every), words.Span(x.Usually), x.Until.UTC().Format(time.DateTime), words.Ahead(now, x.Until), x.Drift)
}

// listening says what is wrong with inputs and metrics, nothing if all is well.
func (a *app) listening(status *penumbra.Status) {
	switch status.Anomalies {
	case 0:
	case 1:
		fmt.Fprintln(a.Out, a.Paint(console.Yellow, "1 metric is out of its band:"), "`penumbra anomalies --active`")
	default:
		fmt.Fprintln(a.Out, a.Paint(console.Yellow, fmt.Sprintf("%d metrics are out of their bands:", status.Anomalies)), "`penumbra anomalies --active`")
	}
	for _, x := range status.Files {
		if x.Error != "" {
			fmt.Fprintf(a.Out, "The %s of %s are in use: %s\n", x.Name, x.Read.UTC().Format(time.DateTime), a.failing(x.Error, 0))
		}
	}
	for i := range status.Inputs {
		if x := &status.Inputs[i]; x.Error != "" {
			fmt.Fprintf(a.Out, "Input %s: %s\n", x.Name, a.failing(x.Error, x.Failures))
		}
	}
}

func (a *app) counts(what string, counts map[penumbra.Verdict]int) {
	verdicts := make([]penumbra.Verdict, 0, len(counts))
	for v, n := range counts {
		if n > 0 {
			verdicts = append(verdicts, v)
		}
	}
	if len(verdicts) == 0 {
		return
	}
	slices.SortFunc(verdicts, func(x, y penumbra.Verdict) int { return cmp.Compare(y, x) })
	parts := make([]string, len(verdicts))
	for i, v := range verdicts {
		parts[i] = fmt.Sprintf("%s %d", a.Verdict(v), counts[v])
	}
	fmt.Fprintf(a.Out, "%s: %s\n", what, strings.Join(parts, ", "))
}

func (a *app) shadowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "shadow",
		GroupID: "watch",
		Short:   "Show what is expected of a resource, and how sure that is",
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "show ADDRESS",
		Short: "Show a resource's settings with expectation and forecast",
		Example: `  penumbra shadow show 'shop/conffile_service.web["a"]'
  penumbra shadow show shop/aws_db_instance.main -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.CompleteAddresses,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				view, err := s.Shadow(ctx, penumbra.Address(args[0]))
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(view)
				}
				a.showShadow(&view)
				return nil
			})
		},
	})
	return cmd
}

func (a *app) showShadow(view *penumbra.ShadowView) {
	fmt.Fprintf(a.Out, "%s  %s\n", a.Paint(console.Bold, string(view.Resource.Address)), a.Verdict(view.Verdict))
	if view.Resource.NotChecked != "" {
		fmt.Fprintf(a.Out, "not checked: %s\n", view.Resource.NotChecked)
	}
	fmt.Fprintf(a.Out, "as of %s%s; the chance to leave is within 1 h, 1 d, 7 d, 30 d\n\n", view.Time.Format(time.RFC3339), words.Prefixed(", read again ", words.Ahead(view.Time, view.NextRead)))
	if view.Closer != nil {
		fmt.Fprintf(a.Out, "Watched closer: %s\n\n", closerText(view.Time, view.Closer))
	}
	t := a.Table("SETTING", "VERDICT", "TEMPLATE", "ACTUAL", "EXPECTED", "LEAVES", "")
	for _, s := range view.Settings {
		template := "(undeclared)"
		if s.Declared {
			template = words.Shorten(s.Template.String(), 24)
		} else if l := s.Expectation.Limit; l != nil {
			template = boundsText(l)
		}
		t.AppendRow(table.Row{s.Path, a.Verdict(s.Verdict), template, words.Shorten(s.Actual.String(), 24), words.Shorten(words.Expected(&s.Expectation), 44), leaves(&s.Forecast), words.Shorten(cmp.Or(movedBy(view.Time, s.Moved), s.Forecast.Reason), 60)})
	}
	t.Render()
	if n := len(view.History); n > 0 {
		fmt.Fprintf(a.Out, "\nLast changes\n")
		for _, p := range view.History[max(0, n-10):] {
			fmt.Fprintf(a.Out, "  %s  %-8s %s %s%s\n", p.Time.Format(time.DateTime), p.Kind, p.Path, words.Shorten(p.Value.String(), 40), actor(p.Actor, p.ActorKind))
		}
	}
}

func leaves(f *penumbra.Forecast) string {
	return fmt.Sprintf("%s %s %s %s", penumbra.Percent(f.Leave[0]), penumbra.Percent(f.Leave[2]), penumbra.Percent(f.Leave[3]), penumbra.Percent(f.Leave[4]))
}

func (a *app) driftCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "drift", GroupID: "watch", Short: "List drifts, or show one"}
	var stack string
	var all bool
	list := &cobra.Command{
		Use:   "list",
		Short: "List what needs attention, the most pressing first",
		Example: `  penumbra drift list
  penumbra drift list --stack shop --all
  penumbra drift list -o json | jq -r '.[].id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				drifts, err := s.Drifts(ctx, penumbra.DriftQuery{Stack: stack, Active: !all, Limit: 1000})
				if err != nil {
					return err
				}
				criticalFirst(drifts)
				if a.Output == "json" {
					return a.JSON(drifts)
				}
				a.listDrifts(drifts)
				return nil
			})
		},
	}
	list.Flags().StringVar(&stack, "stack", "", "only this stack")
	list.Flags().BoolVar(&all, "all", false, "resolved ones too")
	show := &cobra.Command{
		Use:               "show DRIFT",
		Short:             "Show one drift: what, since when, who, and what was expected",
		Example:           `  penumbra drift show d-3f9a2c10`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				drifts, err := s.Drifts(ctx, penumbra.DriftQuery{ID: args[0]})
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(drifts[0])
				}
				a.ShowDrift(&drifts[0])
				return nil
			})
		},
	}
	cmd.AddCommand(list, show, a.acknowledgeCommand(), a.snoozeCommand(), a.wakeCommand(), a.acceptCommand())
	return cmd
}

// criticalFirst puts what coincides with a drop in performance before the rest,
// then what is dangerous in itself.
// What is snoozed comes last.
func criticalFirst(drifts []penumbra.Drift) {
	now := time.Now()
	slices.SortStableFunc(drifts, func(x, y penumbra.Drift) int {
		if x.Snoozed(now) != y.Snoozed(now) {
			if y.Snoozed(now) {
				return -1
			}
			return 1
		}
		return penumbra.ComparePressing(&x, &y)
	})
}

func (a *app) listDrifts(drifts []penumbra.Drift) {
	if len(drifts) == 0 {
		fmt.Fprintln(a.Out, a.Paint(console.Green, "✓ No open drift."))
		return
	}
	t := a.Table("DRIFT", "VERDICT", "RESOURCE", "SETTINGS", "WHO", "SINCE", "STATUS")
	for i := range drifts {
		d := &drifts[i]
		verdict := a.Gravity(d)
		status := d.Status.String()
		if !d.Active() {
			status += ": " + string(d.Resolution)
		} else if d.Code != nil {
			status += "\n" + d.Code.Brief()
		}
		if d.Snoozed(time.Now()) {
			status += ", snoozed until " + d.SnoozedUntil.Format(time.DateTime)
		}
		text := words.Shorten(words.Summary(d), 60)
		if len(d.Impact) > 0 {
			text += "\n" + a.Impact(&penumbra.GravestFirst(d.Impact)[0])
		}
		t.AppendRow(table.Row{d.ID, verdict, d.Resource, text, d.Cause.Actor, d.Opened.Format(time.DateTime), status})
	}
	t.Render()
	fmt.Fprintln(a.Out, "\n`penumbra proposals DRIFT` shows what can be done about one.")
}

// boundsText writes a limit as a template.
func boundsText(l *penumbra.Limit) string {
	switch {
	case l.Min.IsNull():
		return "≤ " + l.Max.Text()
	case l.Max.IsNull():
		return "≥ " + l.Min.Text()
	default:
		return l.Min.Text() + " to " + l.Max.Text()
	}
}

func actor(name string, kind penumbra.ActorKind) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("  by %s %s", name, kind)
}

// movedBy says who moved the code of a setting, and when; "" if nobody is known.
func movedBy(now time.Time, c *penumbra.Touch) string {
	if c == nil {
		return ""
	}
	return "moved " + words.Ago(now, c.Time) + cmp.Or(words.Prefixed(" by ", c.Actor), " by nobody known") + ", " + c.Source
}
