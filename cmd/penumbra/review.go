package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func (a *app) reviewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "review [RUN]",
		Short: "Ask what became of a branch or a pull request that Penumbra made",
		Long: `Asks version control, and the forge where there is a pull request, what became of
the change that a run put up for review. Without a run, it asks for all that were
still open. A daemon does so by itself every few minutes.

A merged change ends its drift with the first read of a checkout that has it.
docs/code.md says how changes get into the code.`,
		Example: `  penumbra run review r-0a1b2c3d4e
  penumbra run review                  # all that are open
  penumbra run review -o json | jq '.[].code.url'`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeReviews,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				ids := args
				if len(args) == 0 {
					open, err := underReview(ctx, s)
					if err != nil {
						return err
					}
					for i := range open {
						ids = append(ids, open[i].ID)
					}
				}
				runs := []penumbra.Run{}
				for _, id := range ids {
					var run penumbra.Run
					err := a.Waiting("asking", func() (err error) {
						run, err = s.Review(ctx, id)
						return err
					})
					if err != nil {
						return err
					}
					runs = append(runs, run)
				}
				if a.Output == "json" {
					return a.JSON(runs)
				}
				if len(runs) == 0 {
					fmt.Fprintln(a.Out, "No change is under review.")
				}
				for i := range runs {
					fmt.Fprintf(a.Out, "%s  drift %s\n", a.Paint(console.Bold, runs[i].ID), runs[i].Drift)
					a.ShowCode(runs[i].Code)
				}
				return nil
			})
		},
	}
}

// reviewsLooked bounds the runs that are looked through for open reviews.
const reviewsLooked = 500

// underReview returns the runs whose change is still open.
func underReview(ctx context.Context, s *console.Service) ([]penumbra.Run, error) {
	runs, err := s.Runs(ctx, penumbra.RunQuery{Limit: reviewsLooked})
	var out []penumbra.Run
	for _, r := range runs {
		if r.State == penumbra.Done && r.Code != nil && r.Code.State == penumbra.ReviewOpen {
			out = append(out, r)
		}
	}
	return out, err
}

func (a *app) completeReviews(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.Completing(cmd, func(ctx context.Context, s *console.Service) []string {
		runs, _ := underReview(ctx, s)
		var out []string
		for i := range runs {
			out = append(out, runs[i].ID+"\t"+runs[i].Code.String())
		}
		return out
	})
}
