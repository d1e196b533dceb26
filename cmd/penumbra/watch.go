package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) watchCommand() *cobra.Command {
	var topics []string
	var stack string
	cmd := &cobra.Command{
		Use:     "watch",
		GroupID: "watch",
		Short:   "Show what happens, as it happens",
		Long: `Shows each drift, anomaly, proposal, run, read of a source, version of the model and
freeze as it changes, until interrupted. It needs a running daemon; when the
connection breaks it is taken up again, and what was missed meanwhile is told.
With --output json each line is one piece of news.`,
		Example: `  penumbra watch
  penumbra watch --topic drift,anomaly --stack shop
  penumbra watch --topic run -o json | jq -r 'select(.verb == "halted") | .id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				if !s.Daemon {
					return &penumbra.Error{Kind: penumbra.Unavailable, What: "no daemon runs on this data directory, so that nothing happens", Remedy: "start one with `penumbra serve`"}
				}
				q := api.NewsQuery{Stack: stack}
				for _, t := range topics {
					q.Topics = append(q.Topics, penumbra.Topic(t))
				}
				return a.watchNews(ctx, s, q)
			})
		},
	}
	cmd.Flags().StringSliceVar(&topics, "topic", nil, "only these topics: drift, anomaly, proposal, run, source, model, freeze")
	cmd.Flags().StringVar(&stack, "stack", "", "only what is of this stack, or of no single one")
	_ = cmd.RegisterFlagCompletionFunc("topic", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, t := range penumbra.Topics() {
			out = append(out, string(t))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (a *app) watchNews(ctx context.Context, s *console.Service, q api.NewsQuery) error {
	for n, err := range s.Watch(ctx, q) {
		switch {
		case errors.Is(err, api.ErrMissed), err != nil && penumbra.KindOf(err).Retry():
			fmt.Fprintln(a.Err, err)
		case err != nil:
			return err
		case a.Output == "json":
			line, err := json.Marshal(n)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "%s\n", line)
		default:
			fmt.Fprintf(a.Out, "%s  %-8s  %-10s  %s\n", a.Paint(console.Faint, n.Time.Local().Format(time.TimeOnly)), n.Topic, n.Verb, a.newsSubject(ctx, s, &n))
		}
	}
	return nil
}

// newsSubject says what a piece of news is about: as it is by now, in a few words where
// it can be asked for.
func (a *app) newsSubject(ctx context.Context, s *console.Service, n *penumbra.News) string {
	where := words.Prefixed("  ", n.Stack)
	switch n.Topic {
	case penumbra.DriftNews:
		if found, err := s.Drifts(ctx, penumbra.DriftQuery{ID: n.ID}); err == nil && len(found) > 0 {
			d := &found[0]
			return fmt.Sprintf("%s  %s  %s  %s", n.ID, a.Gravity(d), d.Resource, words.Shorten(words.Summary(d), 80))
		}
	case penumbra.AnomalyNews:
		if found, err := s.Anomalies(ctx, penumbra.AnomalyQuery{ID: n.ID}); err == nil && len(found) > 0 {
			x := &found[0]
			return fmt.Sprintf("%s  %s  %s %s", n.ID, x.Resource, x.Metric, a.Change(x))
		}
	case penumbra.ProposalNews, penumbra.RunNews:
		return n.ID + where + words.Prefixed("  of ", n.Drift)
	}
	return n.ID + where
}

func (a *app) openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "openapi",
		GroupID: "data",
		Short:   "Print the OpenAPI 3.1 description of the API",
		Long: `Prints what a daemon of this version answers at /v1/openapi.json: every route with
its parameters, bodies, answers and problems, for generators of clients and for
documentation. No daemon is needed.`,
		Example: `  penumbra openapi > penumbra.openapi.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.Out, "%s\n", api.Description(a.Version))
			return err
		},
	}
}
