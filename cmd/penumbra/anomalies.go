package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) anomaliesCommand() *cobra.Command {
	var q penumbra.AnomalyQuery
	var resource string
	cmd := &cobra.Command{
		Use:     "anomalies",
		GroupID: "watch",
		Short:   "List metrics that are not as usual, or show one and what caused it",
		Long: `Lists the performance metrics that left their own expected band: those that are
out of it now first, then the last noticed. ` + "`penumbra anomalies show`" + ` ranks the changes
and events that may be the cause.`,
		Example: `  penumbra anomalies --active
  penumbra anomalies --resource shop/aws_db_instance.main --limit 5
  penumbra anomalies -o json | jq -r '.[] | select(.worse) | .metric'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Resource = penumbra.Address(resource)
			if q.Limit < 0 {
				return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--limit %d", q.Limit), Remedy: "write a number above 0, or 0 for all"}
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				anomalies, err := s.Anomalies(ctx, q)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(anomalies)
				}
				a.listAnomalies(anomalies, q)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&resource, "resource", "", "only this resource")
	cmd.Flags().StringVar(&q.Stack, "stack", "", "only this stack")
	cmd.Flags().BoolVar(&q.Active, "active", false, "only metrics that are still out of their band")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "at most so many; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("resource", a.CompleteAddresses)
	cmd.AddCommand(&cobra.Command{
		Use:   "show ANOMALY",
		Short: "Show one anomaly: how far out, since when, and what may have caused it",
		Example: `  penumbra anomalies show a-52c09d11
  penumbra anomalies show a-52c09d11 -o json | jq '.suspects[0]'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeAnomalies,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				x, err := a.anomaly(ctx, s, args[0])
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(x)
				}
				a.showAnomaly(&x)
				return nil
			})
		},
	})
	return cmd
}

func (a *app) anomaly(ctx context.Context, s *console.Service, id string) (penumbra.Anomaly, error) {
	found, err := s.Anomalies(ctx, penumbra.AnomalyQuery{ID: id})
	if err != nil {
		return penumbra.Anomaly{}, err
	}
	if id == "" || len(found) == 0 {
		return penumbra.Anomaly{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("there is no anomaly %q", id), Remedy: "`penumbra anomalies` lists them"}
	}
	return found[0], nil
}

func (a *app) listAnomalies(anomalies []penumbra.Anomaly, q penumbra.AnomalyQuery) {
	switch {
	case len(anomalies) > 0:
	case q.Active:
		fmt.Fprintln(a.Out, a.Paint(console.Green, "✓ No metric is out of its band."))
		return
	default:
		fmt.Fprintln(a.Out, "No anomaly is known.")
		return
	}
	t := a.Table("ANOMALY", "METRIC", "RESOURCE", "CHANGE", "SINCE", "STATE", "LIKELIEST CAUSE")
	for i := range anomalies {
		x := &anomalies[i]
		t.AppendRow(table.Row{x.ID, x.Metric, x.Resource, a.Change(x), x.Onset.Format(time.DateTime), anomalyState(x), words.Likeliest(x)})
	}
	t.Render()
	fmt.Fprintln(a.Out, "\n`penumbra anomalies show ANOMALY` ranks what may have caused one.")
}

func anomalyState(x *penumbra.Anomaly) string {
	if x.Active() {
		return "going on"
	}
	return "over after " + words.Span(x.Ended.Sub(x.Onset))
}

// suspectCause says who it was and when.
func suspectCause(s *penumbra.Suspect) string {
	if s.Actor == "" {
		return "nobody in the logs, " + s.Time.Format(time.RFC3339)
	}
	return (&penumbra.Cause{Actor: s.Actor, ActorKind: s.ActorKind, Action: s.Action, Time: s.Time}).Brief()
}

func (a *app) showAnomaly(x *penumbra.Anomaly) {
	fmt.Fprintf(a.Out, "%s  %s  %s\n", a.Paint(console.Bold, x.ID), a.Paint(console.Bold, x.Metric), x.Resource)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.Out, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("state", "%s, %s", x.Kind, anomalyState(x))
	line("change", "%s", a.Change(x))
	if x.Kind != penumbra.Silence {
		line("value", "%s where %s was expected, %s to %s is as usual", penumbra.Quantity(x.Value), penumbra.Quantity(x.Expected), penumbra.Quantity(x.Band.Low), penumbra.Quantity(x.Band.High))
	}
	line("since", "%s, noticed %s later", x.Onset.Format(time.RFC3339), words.Span(x.Time.Sub(x.Onset)))
	if !x.Active() {
		line("ended", "%s", x.Ended.Format(time.RFC3339))
	}
	line("p-value", "%s: how likely it is to be this far out while nothing is wrong", penumbra.Quantity(x.PValue))
	if x.Drift != "" {
		line("put down to", "drift %s; `penumbra drift show %s`", x.Drift, x.Drift)
	}
	if len(x.Suspects) == 0 {
		fmt.Fprintln(a.Out, "\nNo change or event before it is suspected.")
		return
	}
	fmt.Fprintln(a.Out, "\nWhat may have caused it, the likeliest first")
	unseen := 1.0
	for i := range x.Suspects {
		s := &x.Suspects[i]
		unseen -= s.Probability
		fmt.Fprintf(a.Out, "  %4s  %s  %s\n", penumbra.Percent(s.Probability), s.Resource, a.Paint(console.Bold, words.Suspect(s)))
		fmt.Fprintf(a.Out, "        %s\n", suspectCause(s))
		if s.Reason != "" {
			fmt.Fprintf(a.Out, "        %s\n", s.Reason)
		}
	}
	if unseen > 0.0005 {
		fmt.Fprintf(a.Out, "  %4s  something that was not seen\n", penumbra.Percent(unseen))
	}
}

func (a *app) completeAnomalies(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.Completing(cmd, func(ctx context.Context, s *console.Service) []string {
		anomalies, _ := s.Anomalies(ctx, penumbra.AnomalyQuery{Limit: 100})
		out := make([]string, len(anomalies))
		for i := range anomalies {
			out[i] = anomalies[i].ID + "\t" + words.Shorten(anomalies[i].Metric+" "+anomalies[i].Change(), 50)
		}
		return out
	})
}
