package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func (a *app) adoptCommand() *cobra.Command {
	var only []string
	var revert bool
	cmd := &cobra.Command{
		Use:     "adopt DRIFT --only PATH[,PATH...]",
		GroupID: "resolve",
		Short:   "Propose to write only some of a drift's settings into the code",
		Long: `Makes a new proposal that writes the settings at the paths, and below them, into
the code as they are, and plans it. The drift's other settings stay open, and
the plan shows what the code still wants of them; with --revert-rest they are
brought back in the same run. Nothing is written or applied until you approve it.`,
		Example: `  penumbra adopt d-3f9a2c10 --only memory_mb
  penumbra adopt d-3f9a2c10 --only memory_mb,tags --revert-rest
  penumbra approve p-81c0aa2e`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				return a.planned(func() (penumbra.Proposal, error) { return s.AdoptPart(ctx, args[0], only, revert, "") })
			})
		},
	}
	cmd.Flags().StringSliceVar(&only, "only", nil, "the paths of the settings to adopt, with commas between")
	cmd.Flags().BoolVar(&revert, "revert-rest", false, "bring the drift's other settings back to the code")
	_ = cmd.MarkFlagRequired("only")
	_ = cmd.RegisterFlagCompletionFunc("only", a.CompleteFindings)
	return cmd
}
