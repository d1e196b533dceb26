package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) nodesCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "nodes",
		GroupID: "watch",
		Short:   "Show the nodes that share the store, and which of them leads",
		Long: `Shows the processes that share the store and were heard of within a day: which of
them leads, and when each was heard of last. One that was not heard of for ` + penumbra.NodeSilent.String() + `
is gone, paused or cut off. docs/nodes.md tells how to run several.`,
		Example: `  penumbra nodes
  penumbra nodes -o json | jq -r '.nodes[] | select(.leads).address'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				nodes, err := s.Nodes(ctx)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(nodes)
				}
				a.listNodes(&nodes)
				return nil
			})
		},
	}
}

func (a *app) listNodes(nodes *penumbra.Nodes) {
	if len(nodes.Nodes) == 0 {
		fmt.Fprintln(a.Out, "One process has the store to itself.")
		return
	}
	versions := map[string]bool{}
	t := a.Table("NODE", "STATE", "ADDRESS", "VERSION", "SEEN")
	for i := range nodes.Nodes {
		n := &nodes.Nodes[i]
		state := "stands by"
		switch {
		case n.Leads:
			state = a.Paint(console.Green, "leads")
		case nodes.Gone(n):
			state = a.Paint(console.Red, "! not heard of")
		}
		if !nodes.Gone(n) {
			versions[n.Version] = true
		}
		t.AppendRow(table.Row{n.Name, state, n.Address, n.Version, words.Ago(nodes.Time, n.Seen.Truncate(time.Second))})
	}
	t.Render()
	if len(versions) > 1 {
		fmt.Fprintln(a.Out, "\nThe nodes run different versions: the same on all is what is tested.")
	}
}
