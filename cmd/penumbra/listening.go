package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) inputsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "inputs",
		GroupID: "watch",
		Short:   "Show each input of logs and metrics: what came, what became of it",
		Long: `Shows the inputs of logs and metrics. Of log records it counts those that became
events of a resource (mapped), those kept aside because nobody knows which
resource they are about (unmapped: ` + "`penumbra unmapped`" + ` sums them up) and lines that
could not be read (bad); of metrics the values taken and the series watched. The
lag is how long after it happened the last thing came.`,
		Example: `  penumbra inputs
  penumbra inputs -o json | jq '.[] | select(.error)'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				inputs, err := s.Inputs(ctx)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(inputs)
				}
				status, err := s.Status(ctx)
				if err != nil {
					return err
				}
				a.listInputs(status.Time, inputs)
				return nil
			})
		},
	}
}

func (a *app) listInputs(now time.Time, inputs []penumbra.InputStatus) {
	if len(inputs) == 0 {
		fmt.Fprintln(a.Out, "No input of logs or metrics is configured.")
		return
	}
	t := a.Table("INPUT", "KIND", "RECORDS", "MAPPED", "UNMAPPED", "BAD", "VALUES", "SERIES", "LAST", "LAG", "")
	var unmapped, dropped int64
	for i := range inputs {
		x := &inputs[i]
		unmapped += x.Unmapped
		dropped += x.Dropped
		t.AppendRow(table.Row{x.Name, x.Kind, some(x.Records), some(x.Mapped), some(x.Unmapped), some(x.Bad), some(x.Points), some(int64(x.Series)), words.Ago(now, x.Last), lag(x.Lag), a.failing(x.Error, x.Failures)})
	}
	t.Render()
	for i := range inputs {
		if x := &inputs[i]; x.Note != "" {
			fmt.Fprintf(a.Out, "\n%s: %s.\n", x.Name, x.Note)
		}
	}
	if unmapped > 0 {
		fmt.Fprintln(a.Out, "\n`penumbra unmapped` sums up the records that are of no known resource.")
	}
	if dropped > 0 {
		fmt.Fprintf(a.Out, "%d of them were dropped for newer ones: an input's unmapped.records and unmapped.age say how many are kept.\n", dropped)
	}
}

// some writes a count, nothing for none.
func some(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func lag(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(time.Millisecond).String()
}

// failing says why something does not run, and for how long it has not.
func (a *app) failing(text string, failures int) string {
	if text == "" {
		return ""
	}
	text = "! " + words.Shorten(text, 60)
	if failures > 1 {
		text += fmt.Sprintf(" (%d in a row)", failures)
	}
	return a.Paint(console.Red, text)
}

func (a *app) unmappedCommand() *cobra.Command {
	var limit int
	var retry bool
	cmd := &cobra.Command{
		Use:     "unmapped",
		GroupID: "data",
		Short:   "Sum up log records that nobody knows the resource of",
		Long: `Sums up the log records that are kept aside because nobody knows which resource
they are about, the most frequent kind first, and counts those that were dropped
because there were too many or they were too old. A rule below "events" in
penumbra.yaml says whose they are: docs/events.md tells how to write one. Once
there is one, or a resource that they are about has become known, --retry makes
what fits events of its resource, each at the time at which it happened.`,
		Example: `  penumbra unmapped
  penumbra unmapped --retry
  penumbra unmapped -o json | jq '.kinds[0]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--limit %d", limit), Remedy: "write a number above 0, or 0 for all"}
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				if retry {
					return a.remap(ctx, s)
				}
				unmapped, err := s.Unmapped(ctx, limit)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(unmapped)
				}
				a.listUnmapped(&unmapped)
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many kinds; 0 for all")
	cmd.Flags().BoolVar(&retry, "retry", false, "try them again with the rules and resources of now")
	cmd.MarkFlagsMutuallyExclusive("limit", "retry")
	return cmd
}

func (a *app) remap(ctx context.Context, s *console.Service) error {
	var report penumbra.RemapReport
	err := a.Waiting("Trying again", func() (err error) {
		report, err = s.Remap(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if a.Output == "json" {
		return a.JSON(report)
	}
	fmt.Fprintf(a.Out, "%d records tried again: %d are events of a resource now, %d stay aside.\n", report.Tried, report.Mapped, report.Tried-report.Mapped)
	return nil
}

func (a *app) listUnmapped(u *penumbra.Unmapped) {
	defer a.listDropped(u.Dropped)
	if u.Records == 0 {
		fmt.Fprintln(a.Out, a.Paint(console.Green, "✓ No log record is kept aside."))
		return
	}
	t := a.Table("COUNT", "INPUT", "ACTION", "TARGET", "LAST", "WHY", "EXAMPLE")
	var shown int64
	for i := range u.Kinds {
		x := &u.Kinds[i]
		shown += x.Count
		t.AppendRow(table.Row{x.Count, cmp.Or(x.Input, x.Format), words.Shorten(x.Action, 40), words.Shorten(x.Target, 40), x.Last.Format(time.DateTime), words.Shorten(x.Reason, 60), words.Shorten(x.Example, 60)})
	}
	t.Render()
	fmt.Fprintf(a.Out, "\n%d records are kept aside", u.Records)
	if more := u.Records - shown; more > 0 {
		fmt.Fprintf(a.Out, ", %d of them of other kinds (--limit)", more)
	}
	fmt.Fprintln(a.Out, ".\nA rule in penumbra.yaml says whose they are: docs/events.md tells how to write one.\n`penumbra unmapped --retry` then makes what fits events of its resource.")
}

// listDropped tells what is kept aside no more.
func (a *app) listDropped(dropped []penumbra.UnmappedDropped) {
	for _, d := range dropped {
		fmt.Fprintf(a.Out, "%d older records of input %s were dropped, the last on %s: its unmapped.records and unmapped.age say how many are kept.\n",
			d.Count, d.Input, d.Last.Format(time.DateTime))
	}
}
