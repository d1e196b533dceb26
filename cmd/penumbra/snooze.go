package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func (a *app) acknowledgeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "acknowledge DRIFT", Short: "Note that you know of a drift; it stays open",
		Example: "  penumbra drift acknowledge d-3f9a2c10",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				d, err := s.Acknowledge(ctx, args[0], "")
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(d)
				}
				return a.Done("acknowledged", d.ID)
			})
		},
	}
	return cmd
}

func (a *app) acceptCommand() *cobra.Command {
	var reason string
	var lasting time.Duration
	cmd := &cobra.Command{
		Use: "accept DRIFT", Short: "Accept a drift's values as right, for a time or for good",
		Example: `  penumbra drift accept d-3f9a2c10 --for 72h --reason "hot fix until Friday"
  penumbra drift accept d-3f9a2c10          # for good`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				var until time.Time
				if lasting > 0 {
					until = time.Now().Add(lasting).UTC()
				}
				d, err := s.Accept(ctx, args[0], "", reason, until)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(d)
				}
				if !until.IsZero() && d.Resolution == penumbra.Accepted && a.Output != "json" {
					fmt.Fprintf(a.Out, "%s is accepted until %s; it is open again then if its values are still there.\n", d.ID, until.Format(time.RFC3339))
					return nil
				}
				return a.Done("accepted", d.ID)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().DurationVar(&lasting, "for", 0, "for how long (default: for good)")
	return cmd
}

func (a *app) snoozeCommand() *cobra.Command {
	var reason string
	var until untilFlags
	cmd := &cobra.Command{
		Use: "snooze DRIFT", Short: "Hear nothing of a drift until a time, or until it gets worse",
		Long: `Keeps quiet about a drift until a time. It comes back by itself then, and before
if it changes or becomes critical. It stays open, and is listed as snoozed.`,
		Example: `  penumbra drift snooze d-3f9a2c10 --for 4h --reason "after the release"
  penumbra drift snooze d-3f9a2c10 --until 2026-04-01T08:00:00Z`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := until.time()
			if err != nil {
				return err
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				d, err := s.Snooze(ctx, args[0], "", reason, at)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(d)
				}
				return a.Done("snoozed until "+d.SnoozedUntil.Format(time.RFC3339), d.ID)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it can wait")
	until.add(cmd)
	cmd.MarkFlagsOneRequired("for", "until")
	return cmd
}

func (a *app) wakeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "wake DRIFT", Short: "End a snooze",
		Example: "  penumbra drift wake d-3f9a2c10",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				d, err := s.Snooze(ctx, args[0], "", "", time.Time{})
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(d)
				}
				return a.Done("awake", d.ID)
			})
		},
	}
	return cmd
}

// untilFlags are the two ways to say when something ends.
type untilFlags struct {
	lasting time.Duration
	until   string
}

func (f *untilFlags) add(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.lasting, "for", 0, "for how long, such as 4h")
	cmd.Flags().StringVar(&f.until, "until", "", "until when, such as 2026-04-01T08:00:00Z")
	cmd.MarkFlagsMutuallyExclusive("for", "until")
}

// time returns the end, zero if none was given.
func (f *untilFlags) time() (time.Time, error) {
	switch {
	case f.lasting < 0:
		return time.Time{}, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--for %s", f.lasting), Remedy: "give a duration that is not negative"}
	case f.lasting > 0:
		return time.Now().Add(f.lasting).UTC().Truncate(time.Second), nil
	case f.until == "":
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, f.until)
	if err != nil {
		return at, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--until %q", f.until), Remedy: "write a time such as 2026-04-01T08:00:00Z", Err: err}
	}
	return at, nil
}
