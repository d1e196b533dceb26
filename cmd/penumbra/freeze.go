package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) freezeCommand() *cobra.Command {
	var stacks []string
	var reason, from string
	var until untilFlags
	cmd := &cobra.Command{
		Use: "freeze", GroupID: "resolve", Short: "Keep runs from starting, for a time or until it is lifted",
		Long: `Refuses runs on stacks, on all without --stack, until a time or until the freeze
is lifted. A run at work goes on. A policy may name what passes as an emergency;
see docs/policy.md.`,
		Example: `  penumbra freeze --stack shop --until 2026-04-01T08:00:00Z --reason "the spring sale"
  penumbra freeze --reason "incident 4711"
  penumbra freeze list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := until.time()
			if err != nil {
				return err
			}
			f := penumbra.Freeze{Stacks: stacks, Until: at, Reason: reason}
			if from != "" {
				if f.From, err = time.Parse(time.RFC3339, from); err != nil {
					return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--from %q", from), Remedy: "write a time such as 2026-04-01T08:00:00Z", Err: err}
				}
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				f, err := s.Freeze(ctx, f)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(f)
				}
				fmt.Fprintf(a.Out, "%s freezes %s %s. `penumbra unfreeze %s` lifts it.\n", f.ID, frozenStacks(&f), frozenUntil(&f), f.ID)
				return nil
			})
		},
	}
	cmd.Flags().StringArrayVar(&stacks, "stack", nil, "a stack; may be repeated (default: all)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those whose runs it refuses")
	cmd.Flags().StringVar(&from, "from", "", "when it begins (default: now)")
	until.add(cmd)
	_ = cmd.MarkFlagRequired("reason")
	var all bool
	list := &cobra.Command{
		Use: "list", Short: "List freezes that hold or are to come", Example: "  penumbra freeze list\n  penumbra freeze list --all",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error { return a.listFreezes(ctx, s, all) })
		},
	}
	list.Flags().BoolVar(&all, "all", false, "ended ones too")
	cmd.AddCommand(list)
	return cmd
}

func frozenStacks(f *penumbra.Freeze) string {
	if len(f.Stacks) == 0 {
		return "all stacks"
	}
	return strings.Join(f.Stacks, ", ")
}

func frozenUntil(f *penumbra.Freeze) string {
	if f.Until.IsZero() {
		return "until it is lifted"
	}
	return "until " + f.Until.UTC().Format(time.RFC3339)
}

func (a *app) listFreezes(ctx context.Context, s *console.Service, all bool) error {
	freezes, err := s.Freezes(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	var shown []penumbra.Freeze
	for _, f := range freezes {
		if all || !f.Ended(now) {
			shown = append(shown, f)
		}
	}
	return console.List(a.Console, shown, "Nothing is frozen.", []any{"FREEZE", "STACKS", "FROM", "UNTIL", "BY", "REASON"}, func(f *penumbra.Freeze) []any {
		by, until, from := f.By, frozenUntil(f), "always"
		if f.Configured {
			by = "the configuration"
		}
		if f.LiftedBy != "" {
			until = "lifted by " + f.LiftedBy
		}
		if !f.From.IsZero() {
			from = f.From.Format(time.DateTime)
		}
		return []any{f.ID, frozenStacks(f), from, strings.TrimPrefix(until, "until "), by, f.Reason}
	})
}

func (a *app) unfreezeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unfreeze FREEZE", GroupID: "resolve", Short: "Lift a freeze", Example: "  penumbra unfreeze f-0a1b2c3d4e",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeFreezes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				f, err := s.Unfreeze(ctx, args[0], "")
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(f)
				}
				return a.Done("lifted", f.ID)
			})
		},
	}
	return cmd
}

func (a *app) completeFreezes(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.Completing(cmd, func(ctx context.Context, s *console.Service) []string {
		freezes, _ := s.Freezes(ctx)
		var out []string
		for i := range freezes {
			if f := &freezes[i]; !f.Configured && !f.Ended(time.Now()) {
				out = append(out, f.ID+"\t"+words.Shorten(f.Reason, 50))
			}
		}
		return out
	})
}
