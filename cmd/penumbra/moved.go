package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

func (a *app) movedCommand() *cobra.Command {
	var binary, stack string
	var varFiles []string
	cmd := &cobra.Command{
		Use:     "moved [DIR]",
		GroupID: "resolve",
		Short:   "Find renames that a plan takes for destroy and create, and write their moved blocks as a diff",
		Long: `Plans the code in a folder and looks for resources that it would destroy at one
address and create, with the same settings, at another: renames without a moved
block. The blocks are printed as a diff, after a plan with them has shown that
none of these resources would be destroyed or created any more. Nothing is
written.`,
		Example: `  penumbra moved infra/
  penumbra moved infra/ | git -C infra/ apply
  penumbra moved --stack shop`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if stack != "" {
				return a.movedOf(cmd, stack, args)
			}
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			c, err := a.Config()
			if err != nil {
				return err
			}
			var found penumbra.Renames
			err = a.Waiting("planning", func() (err error) {
				found, err = wire.Moved(cmd.Context(), dir, tofu.Config{Stack: c.StackOf(dir), Dir: dir, Binary: binary, VarFiles: varFiles})
				return err
			})
			if err != nil {
				return err
			}
			return a.showMoves(&found)
		},
	}
	cmd.Flags().StringVar(&stack, "stack", "", "plan this stack of the configuration instead of a folder, by the daemon if one runs")
	cmd.Flags().StringVar(&binary, "binary", "", "the tofu or terraform to run (default: PENUMBRA_TOFU, then the PATH)")
	cmd.Flags().StringArrayVar(&varFiles, "var-file", nil, "a file of variables to plan with; may be repeated")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return cmd
}

// movedOf asks the daemon, or without one what is configured here.
func (a *app) movedOf(cmd *cobra.Command, stack string, args []string) error {
	if len(args) > 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "both a folder and --stack", Remedy: "give one of the two"}
	}
	return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
		var found penumbra.Renames
		err := a.Waiting("planning", func() (err error) {
			found, err = s.Moved(ctx, stack)
			return err
		})
		if err != nil {
			return err
		}
		return a.showMoves(&found)
	})
}

func (a *app) showMoves(found *penumbra.Renames) error {
	if a.Output == "json" {
		return a.JSON(map[string]any{"moves": append([]penumbra.Rename{}, found.Moves...), "patch": found.Patch})
	}
	if len(found.Moves) == 0 || found.Patch == nil {
		fmt.Fprintln(a.Err, "No rename without a moved block.")
		return nil
	}
	for _, r := range found.Moves {
		fmt.Fprintf(a.Err, "%s is %s now\n", r.From.Local(), r.To.Local())
	}
	fmt.Fprintf(a.Err, "Note: %s\n", found.Patch.Note)
	fmt.Fprint(a.Out, found.Patch.Diff())
	return nil
}
