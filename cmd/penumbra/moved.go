package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/hcl"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/proposal"
)

func (a *app) movedCommand() *cobra.Command {
	var binary string
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
  penumbra moved infra/ | git -C infra/ apply`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			c, err := a.Config()
			if err != nil {
				return err
			}
			work, err := os.MkdirTemp("", "penumbra-moved-")
			if err != nil {
				return &penumbra.Error{Kind: penumbra.Full, What: "make a folder for the plan", Remedy: "make room in the temporary folder", Err: err}
			}
			defer os.RemoveAll(work)
			stack := c.StackOf(dir)
			w, err := tofu.New(tofu.Config{Stack: stack, Dir: dir, Binary: binary, Key: wire.PassingKey(), DataDir: work, VarFiles: varFiles})
			if err != nil {
				return err
			}
			var found []proposal.Rename
			var patch penumbra.Patch
			err = a.Waiting("planning", func() (err error) {
				found, patch, err = moves(cmd.Context(), w, dir, stack)
				return err
			})
			if err != nil {
				return err
			}
			return a.showMoves(found, &patch)
		},
	}
	cmd.Flags().StringVar(&binary, "binary", "", "the tofu or terraform to run (default: PENUMBRA_TOFU, then the PATH)")
	cmd.Flags().StringArrayVar(&varFiles, "var-file", nil, "a file of variables to plan with; may be repeated")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return cmd
}

// moves finds the renames in the code, and the patch that a plan has proved.
func moves(ctx context.Context, w *tofu.Workspace, dir, stack string) ([]proposal.Rename, penumbra.Patch, error) {
	plan, err := w.Plan(ctx, nil, nil)
	if err != nil {
		return nil, penumbra.Patch{}, err
	}
	found := proposal.Renames(&plan)
	if len(found) == 0 {
		return nil, penumbra.Patch{}, nil
	}
	var list []hcl.Move
	for _, r := range found {
		list = append(list, hcl.Move(r))
	}
	patch, err := hcl.Moved(dir, stack, list)
	if err != nil {
		return nil, patch, err
	}
	after, err := w.Plan(ctx, nil, &patch)
	if err != nil {
		return nil, patch, err
	}
	// What is still made or destroyed was so before, and is none of these.
	for _, c := range after.Changes {
		made := c.Action == penumbra.Create || c.Action.Disrupts()
		if made && slices.ContainsFunc(found, func(r proposal.Rename) bool { return r.Covers(c.Resource) }) {
			return nil, patch, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("with the moved blocks a plan would still %s %s", c.Action, c.Resource), Remedy: "write the moved blocks by hand"}
		}
	}
	return found, patch, nil
}

func (a *app) showMoves(found []proposal.Rename, patch *penumbra.Patch) error {
	if a.Output == "json" {
		return a.JSON(map[string]any{"moves": found, "patch": patch})
	}
	if len(found) == 0 {
		fmt.Fprintln(a.Err, "No rename without a moved block.")
		return nil
	}
	for _, r := range found {
		fmt.Fprintf(a.Err, "%s is %s now\n", r.From.Local(), r.To.Local())
	}
	fmt.Fprintf(a.Err, "Note: %s\n", patch.Note)
	fmt.Fprint(a.Out, patch.Diff())
	return nil
}
