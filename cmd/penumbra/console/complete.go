package console

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

// Completing asks a running daemon for completions. Without one there are
// none: a shell must not wait for an engine to start.
func (a *Console) Completing(cmd *cobra.Command, f func(context.Context, *Service) []string) ([]string, cobra.ShellCompDirective) {
	c, err := a.Config()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	client := Running(ctx, c)
	if client == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f(ctx, &Service{Client: client}), cobra.ShellCompDirectiveNoFileComp
}

// CompleteAddresses completes the address of a resource.
func (a *Console) CompleteAddresses(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.Completing(cmd, func(ctx context.Context, s *Service) []string {
		resources, _ := s.Resources(ctx, "")
		out := make([]string, len(resources))
		for i, r := range resources {
			out[i] = string(r.Address)
		}
		return out
	})
}

// CompleteSettings completes an address, then the path of one of its settings.
func (a *Console) CompleteSettings(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.CompleteAddresses(cmd, args, prefix)
	}
	return a.Completing(cmd, func(ctx context.Context, s *Service) []string {
		view, _ := s.Shadow(ctx, penumbra.Address(args[0]))
		out := make([]string, len(view.Settings))
		for i := range view.Settings {
			out[i] = view.Settings[i].Path
		}
		return out
	})
}

// CompleteDrifts completes an open drift.
func (a *Console) CompleteDrifts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.Completing(cmd, func(ctx context.Context, s *Service) []string {
		drifts, _ := s.Drifts(ctx, penumbra.DriftQuery{Active: true})
		out := make([]string, len(drifts))
		for i := range drifts {
			out[i] = drifts[i].ID + "\t" + words.Shorten(words.Summary(&drifts[i]), 50)
		}
		return out
	})
}

// CompleteFindings completes the paths of a drift's settings, those behind a
// comma too.
func (a *Console) CompleteFindings(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	before := prefix[:strings.LastIndexByte(prefix, ',')+1]
	return a.Completing(cmd, func(ctx context.Context, s *Service) []string {
		drifts, _ := s.Drifts(ctx, penumbra.DriftQuery{ID: args[0]})
		var out []string
		for _, d := range drifts {
			for _, f := range d.Findings {
				out = append(out, before+f.Path)
			}
		}
		return out
	})
}
