package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
)

// completing asks a running daemon for completions. Without one there are
// none: a shell must not wait for an engine to start.
func (a *app) completing(cmd *cobra.Command, f func(context.Context, *service) []string) ([]string, cobra.ShellCompDirective) {
	c, err := a.config()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	client := running(ctx, c.dataDir())
	if client == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f(ctx, &service{Client: client}), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeAddresses(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completing(cmd, func(ctx context.Context, s *service) []string {
		resources, _ := s.Resources(ctx, "")
		out := make([]string, len(resources))
		for i, r := range resources {
			out[i] = string(r.Address)
		}
		return out
	})
}

// completeSettings completes an address, then the path of one of its settings.
func (a *app) completeSettings(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeAddresses(cmd, args, prefix)
	}
	return a.completing(cmd, func(ctx context.Context, s *service) []string {
		view, _ := s.Shadow(ctx, penumbra.Address(args[0]))
		out := make([]string, len(view.Settings))
		for i := range view.Settings {
			out[i] = view.Settings[i].Path
		}
		return out
	})
}

func (a *app) completeDrifts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completing(cmd, func(ctx context.Context, s *service) []string {
		drifts, _ := s.Drifts(ctx, penumbra.DriftQuery{Active: true})
		out := make([]string, len(drifts))
		for i := range drifts {
			out[i] = drifts[i].ID + "\t" + shorten(summary(&drifts[i]), 50)
		}
		return out
	})
}
