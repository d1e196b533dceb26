package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
)

// asking runs f with the service, and takes care of its end.
func (a *app) asking(cmd *cobra.Command, f func(context.Context, *service) error) (err error) {
	if err := a.outputs("human", "json"); err != nil {
		return err
	}
	s, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(cmd.Context()))) }()
	return f(cmd.Context(), s)
}

// table starts a table in the house's style.
func (a *app) table(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.AppendHeader(header)
	return t
}

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
			return a.asking(cmd, func(ctx context.Context, s *service) error {
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

func (a *app) showStatus(ctx context.Context, s *service, stack string, resources bool) error {
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
	if a.output == "json" {
		return a.json(struct {
			penumbra.Status
			Daemon bool                      `json:"daemon"`
			List   []penumbra.ResourceStatus `json:"list,omitempty"`
		}{status, s.daemon, list})
	}
	if !s.daemon {
		fmt.Fprintln(a.out, a.paint(faint, "No daemon runs here: this is what was last recorded. `penumbra serve` keeps it current."))
	}
	t := a.table("STACK", "SOURCE", "RESOURCES", "WORST", "LAST READ", "NEXT", "")
	for _, x := range status.Stacks {
		t.AppendRow(table.Row{x.Name, x.Source, x.Resources, a.verdict(x.Worst), ago(status.Time, x.LastRead), ahead(status.Time, x.NextRead), shorten(x.Error, 60)})
	}
	t.Render()
	fmt.Fprintf(a.out, "\n%d resources, %d settings, %d observations", status.Resources, status.Settings, status.Observations)
	if status.Quarantined > 0 {
		fmt.Fprintf(a.out, ", %d lines kept aside", status.Quarantined)
	}
	fmt.Fprintf(a.out, "; model %s", status.Model)
	if status.ModelVersion > 0 {
		fmt.Fprintf(a.out, ", version %d", status.ModelVersion)
	}
	fmt.Fprintln(a.out)
	a.counts("Resources", status.Verdicts)
	a.counts("Open findings", status.Drifts)
	if list == nil {
		return nil
	}
	fmt.Fprintln(a.out)
	t = a.table("RESOURCE", "VERDICT", "DECLARED", "SETTINGS", "SEEN")
	for _, r := range list {
		t.AppendRow(table.Row{r.Address, a.verdict(r.Verdict), r.Declared, r.Settings, ago(status.Time, r.Snapshot)})
	}
	t.Render()
	return nil
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
		parts[i] = fmt.Sprintf("%s %d", a.verdict(v), counts[v])
	}
	fmt.Fprintf(a.out, "%s: %s\n", what, strings.Join(parts, ", "))
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
		ValidArgsFunction: a.completeAddresses,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				view, err := s.Shadow(ctx, penumbra.Address(args[0]))
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(view)
				}
				a.showShadow(&view)
				return nil
			})
		},
	})
	return cmd
}

func (a *app) showShadow(view *penumbra.ShadowView) {
	fmt.Fprintf(a.out, "%s  %s\n", a.paint(bold, string(view.Resource.Address)), a.verdict(view.Verdict))
	if view.Resource.NotChecked != "" {
		fmt.Fprintf(a.out, "not checked: %s\n", view.Resource.NotChecked)
	}
	fmt.Fprintf(a.out, "as of %s; the chance to leave is within 1 h, 1 d, 7 d, 30 d\n\n", view.Time.Format(time.RFC3339))
	t := a.table("SETTING", "VERDICT", "TEMPLATE", "ACTUAL", "EXPECTED", "LEAVES", "")
	for _, s := range view.Settings {
		template := "(undeclared)"
		if s.Declared {
			template = shorten(s.Template.String(), 24)
		}
		t.AppendRow(table.Row{s.Path, a.verdict(s.Verdict), template, shorten(s.Actual.String(), 24), shorten(expected(&s.Expectation), 44), leaves(&s.Forecast), shorten(s.Forecast.Reason, 60)})
	}
	t.Render()
	if n := len(view.History); n > 0 {
		fmt.Fprintf(a.out, "\nLast changes\n")
		for _, p := range view.History[max(0, n-10):] {
			fmt.Fprintf(a.out, "  %s  %-8s %s %s%s\n", p.Time.Format(time.DateTime), p.Kind, p.Path, shorten(p.Value.String(), 40), actor(p.Actor, p.ActorKind))
		}
	}
}

// expected writes a prediction set or interval: {100, 200} at 95 %.
func expected(e *penumbra.Expectation) string {
	var parts []string
	for _, c := range e.Values {
		parts = append(parts, c.Value.String())
	}
	if e.Interval != nil {
		parts = append(parts, fmt.Sprintf("%.4g … %.4g", e.Interval.Low, e.Interval.High))
	}
	if e.Novel {
		parts = append(parts, "something new")
	}
	text := "{" + strings.Join(parts, ", ") + "}"
	if e.Habit {
		text += " by habit"
	}
	return text
}

func leaves(f *penumbra.Forecast) string {
	return fmt.Sprintf("%s %s %s %s", percent(f.Leave[0]), percent(f.Leave[2]), percent(f.Leave[3]), percent(f.Leave[4]))
}

func percent(p float64) string {
	switch {
	case p < 0.0005:
		return "0%"
	case p < 0.01:
		return fmt.Sprintf("%.1f%%", 100*p)
	default:
		return fmt.Sprintf("%.0f%%", 100*p)
	}
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
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				drifts, err := s.Drifts(ctx, penumbra.DriftQuery{Stack: stack, Active: !all, Limit: 1000})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(drifts)
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
		ValidArgsFunction: a.completeDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				drifts, err := s.Drifts(ctx, penumbra.DriftQuery{ID: args[0]})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(drifts[0])
				}
				a.showDrift(&drifts[0])
				return nil
			})
		},
	}
	cmd.AddCommand(list, show, a.acknowledgeCommand(), a.acceptCommand())
	return cmd
}

func (a *app) listDrifts(drifts []penumbra.Drift) {
	if len(drifts) == 0 {
		fmt.Fprintln(a.out, a.paint(green, "✓ No open drift."))
		return
	}
	t := a.table("DRIFT", "VERDICT", "RESOURCE", "SETTINGS", "WHO", "SINCE", "STATUS")
	for i := range drifts {
		d := &drifts[i]
		verdict := a.verdict(d.Verdict)
		if d.Critical {
			verdict = a.paint(red, "CRITICAL ") + verdict
		}
		status := d.Status.String()
		if !d.Active() {
			status += ": " + string(d.Resolution)
		}
		t.AppendRow(table.Row{d.ID, verdict, d.Resource, shorten(summary(d), 60), d.Cause.Actor, d.Opened.Format(time.DateTime), status})
	}
	t.Render()
	fmt.Fprintln(a.out, "\n`penumbra proposals DRIFT` shows what can be done about one.")
}

// summary writes what moved: "max_connections 100 → 200".
func summary(d *penumbra.Drift) string {
	var parts []string
	for _, f := range d.Findings {
		parts = append(parts, findingText(&f))
	}
	return strings.Join(parts, ", ")
}

func findingText(f *penumbra.Finding) string {
	switch {
	case f.Path == "" && f.Verdict == penumbra.Pending:
		return "the resource is not created yet"
	case f.Path == "":
		return "the resource is gone"
	case f.Verdict == penumbra.Impending && f.Forecast != nil:
		next := ""
		if !f.Forecast.Next.IsNull() {
			next = " to " + f.Forecast.Next.String()
		}
		return fmt.Sprintf("%s: %s to leave %s%s within %s", f.Path, percent(f.Forecast.Leave[f.Horizon]), f.Template, next, penumbra.HorizonNames[f.Horizon])
	case f.Declared:
		return fmt.Sprintf("%s %s → %s", f.Path, f.Template, f.Actual)
	default:
		return fmt.Sprintf("%s (undeclared) %s → %s", f.Path, f.Expectation.Likely(), f.Actual)
	}
}

func (a *app) showDrift(d *penumbra.Drift) {
	fmt.Fprintf(a.out, "%s  %s  %s\n", a.paint(bold, d.ID), a.verdict(d.Verdict), d.Resource)
	fmt.Fprintf(a.out, "  %-12s %s\n", "status", d.Status)
	if !d.Active() {
		fmt.Fprintf(a.out, "  %-12s %s, %s\n", "resolved", d.ResolvedAt.Format(time.RFC3339), d.Resolution)
	}
	fmt.Fprintf(a.out, "  %-12s %s\n", "opened", d.Opened.Format(time.RFC3339))
	if !d.Foreseen.IsZero() {
		fmt.Fprintf(a.out, "  %-12s %s\n", "foreseen", d.Foreseen.Format(time.RFC3339))
	}
	fmt.Fprintf(a.out, "  %-12s %s\n\n", "cause", causeText(&d.Cause))
	for i := range d.Findings {
		f := &d.Findings[i]
		fmt.Fprintf(a.out, "  %s %s\n", a.verdict(f.Verdict), findingText(f))
		if len(f.Expectation.Values) > 0 || f.Expectation.Interval != nil {
			fmt.Fprintf(a.out, "      the shadow expected %s at %s\n", expected(&f.Expectation), percent(f.Expectation.Confidence))
		}
		if f.Forecast != nil && f.Forecast.Reason != "" {
			fmt.Fprintf(a.out, "      because %s\n", f.Forecast.Reason)
		}
		if f.Rule != "" {
			fmt.Fprintf(a.out, "      ignored by rule %s\n", f.Rule)
		}
	}
}

func causeText(c *penumbra.Cause) string {
	switch {
	case c.Actor != "":
		text := c.Actor
		if c.ActorKind != penumbra.UnknownActor {
			text += " (" + c.ActorKind.String() + ")"
		}
		if c.Action != "" {
			text += ", " + c.Action
		}
		return text + ", " + c.Time.Format(time.RFC3339)
	case !c.After.IsZero():
		return "nobody in the logs; between " + c.After.Format(time.RFC3339) + " and " + c.Time.Format(time.RFC3339)
	default:
		return "nobody in the logs"
	}
}

func actor(name string, kind penumbra.ActorKind) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("  by %s %s", name, kind)
}

func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(now.Sub(t)) + " ago"
}

func ahead(now, t time.Time) string {
	if t.IsZero() || t.Before(now) {
		return ""
	}
	return "in " + span(t.Sub(now))
}

// span writes a duration the way a person says it.
func span(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// shorten cuts text to at most n runes.
func shorten(text string, n int) string {
	text = strings.ReplaceAll(text, "\n", " ")
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-1]) + "…"
}
