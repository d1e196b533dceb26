package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain ADDRESS [SETTING]",
		GroupID: "watch",
		Short:   "Say why a setting is forecast to leave, or why it is judged as it is",
		Long: `Says what moved the forecast of a setting: the model is asked again as if an event,
a wave through its peers or its own past had not been, and what the answer loses is
the effect. Effects overlap and need not add up. Of a drift it says what was expected,
who touched the setting between which snapshots, and which peers went the same way.

Without a setting it explains every finding on the resource, the gravest first, and
then what is most likely to leave.`,
		Example: `  penumbra explain shop/aws_db_instance.main instance_class
  penumbra explain 'shop/conffile_service.web["a"]'
  penumbra explain shop/aws_db_instance.main -o json | jq -r '.[].sentence'`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.CompleteSettings,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				path := ""
				if len(args) > 1 {
					path = args[1]
				}
				explanations, err := s.Explain(ctx, penumbra.Address(args[0]), path)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(explanations)
				}
				for i := range explanations {
					if i > 0 {
						fmt.Fprintln(a.Out)
					}
					a.showExplanation(&explanations[i])
				}
				if len(explanations) == 0 {
					fmt.Fprintln(a.Out, "There is no setting to explain.")
				}
				return nil
			})
		},
	}
}

// leastShown is the effect, in log odds, below which an influence is left to the
// JSON: no probability moves by a tenth of itself.
const leastShown = 0.1

func (a *app) showExplanation(e *penumbra.Explanation) {
	name := e.Path
	if name == "" {
		name = string(e.Resource)
	}
	fmt.Fprintf(a.Out, "%s  %s\n%s\n", a.Paint(console.Bold, name), a.Verdict(e.Verdict), e.Sentence)
	t := a.Table("LEFT OUT", "THEN IN "+penumbra.HorizonNames[e.Horizon], "EFFECT", "")
	rows := 0
	for i := range e.Influences {
		x := &e.Influences[i]
		if x.Effect < leastShown && x.Effect > -leastShown {
			continue
		}
		t.AppendRow([]any{x.Kind, penumbra.Percent(x.Without[e.Horizon]), fmt.Sprintf("%+.1f", x.Effect), words.Shorten(x.Text, 90)})
		rows++
	}
	if rows == 0 {
		return
	}
	t.AppendRow([]any{"all of it", penumbra.Percent(e.Without[e.Horizon]), "", ""})
	t.Render()
}
