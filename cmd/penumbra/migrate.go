package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/store/migrate"
)

func (a *app) migrateCommand() *cobra.Command {
	var o wire.MigrateOptions
	cmd := &cobra.Command{
		Use:     "migrate",
		GroupID: "data",
		Short:   "Carry the embedded store over into a PostgreSQL database",
		Long: `Carries everything in the data directory's penumbra.db over into the PostgreSQL
database that ` + "`store`" + ` in penumbra.yaml or --to names, which has to be empty. The file
is only read, and stays. No daemon may run on the data directory meanwhile.

In the end both are read and held against each other: rows and digests of each
table, and of each timeline. Only if all is the same can the database be worked
on. A migration that was interrupted goes on where it was when this is run again;
what has changed in the file meanwhile is carried over anew. The exit code is 1 if
anything is not the same, and the report names it.

The password comes from PENUMBRA_STORE_PASSWORD, from the file that
PENUMBRA_STORE_PASSWORD_FILE names, or from ~/.pgpass. See docs/storage.md.`,
		Example: `  penumbra migrate --to postgres://penumbra@db.example/penumbra
  penumbra migrate --output json
  penumbra migrate --verify`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			c, err := a.Config()
			if err != nil {
				return err
			}
			label := "carrying over"
			if o.Verify {
				label = "verifying"
			}
			progress, end := a.Progressing(label)
			o.Progress = progress
			report, err := c.Migrate(cmd.Context(), o)
			end()
			if len(report.Tables) > 0 {
				if a.Output == "json" {
					if err := a.JSON(report); err != nil {
						return err
					}
				} else {
					a.showMigration(&report)
				}
			}
			if err != nil || a.Output == "json" {
				return err
			}
			if o.Verify {
				fmt.Fprintln(a.Out, "All is the same.")
				return nil
			}
			fmt.Fprintf(a.Out, "All of %s is in %s, and is the same.\n", report.From, report.To)
			if c.Store == "" {
				fmt.Fprintf(a.Out, "Write this into penumbra.yaml to work on it from now on:\n\n  store: %s\n", o.To)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.To, "to", "", "the database's URL (default: store in penumbra.yaml)")
	cmd.Flags().BoolVar(&o.Verify, "verify", false, "carry nothing over; hold the two against each other")
	cmd.Flags().BoolVar(&o.Restart, "restart", false, "take out what an earlier attempt has left, and begin anew")
	cmd.MarkFlagsMutuallyExclusive("verify", "restart")
	return cmd
}

func (a *app) showMigration(r *migrate.Report) {
	t := a.Table("TABLE", "ROWS", "CARRIED OVER", "IN THE DATABASE", "")
	for _, line := range r.Tables {
		state := "the same"
		if !line.Same {
			state = a.Paint(console.Red, "differs")
		}
		t.AppendRow([]any{line.Name, line.Rows, line.Copied, line.Found, state})
	}
	t.Render()
	fmt.Fprintf(a.Out, "%d timelines, %d differ.\n", r.Timelines.Count, len(r.Timelines.Differ))
	for _, line := range r.Timelines.Differ {
		fmt.Fprintf(a.Out, "  %s: %d observations, %d in the database\n", line.Resource, line.Rows, line.Found)
	}
}
