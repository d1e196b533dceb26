package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/policy"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", GroupID: "resolve", Short: "Check policies, or see what they say of a proposal"}
	check := &cobra.Command{
		Use: "check", Short: "Find mistakes in the policies, with file and line",
		Long: `Reads the policies that ` + "`policy`" + ` and ` + "`access_policy`" + ` in penumbra.yaml name, or
those given as policies on decisions, and checks them against what they can ask about. Exit code 1 if there is a mistake. A daemon
that runs keeps the policies that it started with.`,
		Example: `  penumbra policy check
  penumbra policy check policy/ other.cedar`,
		RunE: func(_ *cobra.Command, args []string) error { return a.checkPolicies(args) },
	}
	var proposal, as string
	test := &cobra.Command{
		Use: "test --proposal PROPOSAL", Aliases: []string{"explain"}, Short: "Say what policies answer for each act on a proposal, and why",
		Example: `  penumbra policy test --proposal p-81c0aa2e
  penumbra policy test --proposal p-81c0aa2e --as bob -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				if as == "" {
					me, err := s.Whoami(ctx)
					if err != nil {
						return err
					}
					as = me.Name
				}
				r, err := s.Policies(ctx, proposal, as)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(r)
				}
				a.showPolicies(&r)
				return nil
			})
		},
	}
	test.Flags().StringVar(&proposal, "proposal", "", "the proposal")
	test.Flags().StringVar(&as, "as", "", "whose acts to ask about (default: yours)")
	_ = test.MarkFlagRequired("proposal")
	var ofAccess bool
	schema := &cobra.Command{
		Use: "schema", Short: "Print what policies can ask about, as a Cedar schema",
		Example: "  penumbra policy schema > penumbra.cedarschema   # for your editor\n  penumbra policy schema --access",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := policy.Schema()
			if ofAccess {
				text = policy.AccessSchema()
			}
			_, err := fmt.Fprint(a.Out, text)
			return err
		},
	}
	schema.Flags().BoolVar(&ofAccess, "access", false, "of those under `access_policy`")
	roles := &cobra.Command{
		Use: "roles", Short: "Print what each role may do, as Cedar policies",
		Example: "  penumbra policy roles",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Out, policy.Roles())
			return err
		},
	}
	cmd.AddCommand(check, test, schema, roles)
	return cmd
}

// checkPolicies lists the mistakes in the files given, or configured.
func (a *app) checkPolicies(files []string) error {
	c, err := a.Config()
	if err != nil {
		return err
	}
	if len(files) > 0 {
		c.Policy = nil
		for _, f := range files {
			abs, err := wire.Absolute(f)
			if err != nil {
				return err
			}
			c.Policy = append(c.Policy, abs)
		}
	}
	set, mistakes, err := c.LoadPolicies()
	if err != nil {
		return err
	}
	own := 0
	if len(files) == 0 {
		rights, more, err := c.LoadAccess()
		if err != nil {
			return err
		}
		own, mistakes = rights.Len(), append(mistakes, more...)
	}
	if a.Output == "json" {
		if mistakes == nil {
			mistakes = []policy.Mistake{}
		}
		if err := a.JSON(map[string]any{"files": set.Files(), "policies": set.Len(), "automatic": set.Automatic(), "access_policies": own, "mistakes": mistakes}); err != nil {
			return err
		}
	} else {
		for _, m := range mistakes {
			fmt.Fprintln(a.Out, m)
		}
	}
	if len(mistakes) > 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%d mistakes in policies", len(mistakes)), Remedy: "correct them; `penumbra policy schema` prints what policies can ask about"}
	}
	if a.Output != "json" {
		fmt.Fprintf(a.Out, "%d policies in %d files, without a mistake.\n", set.Len(), set.Files())
		if set.Automatic() {
			fmt.Fprintln(a.Out, "Penumbra may approve by itself what they name.")
		} else {
			fmt.Fprintln(a.Out, "None lets Penumbra approve by itself.")
		}
		if own > 0 {
			fmt.Fprintf(a.Out, "%d policies on access over those of the roles.\n", own)
		}
	}
	return nil
}

func (a *app) showPolicies(r *penumbra.PolicyReport) {
	fmt.Fprintf(a.Out, "%s of drift %s\n", a.Paint(console.Bold, r.Proposal), r.Drift)
	switch {
	case r.InWindow:
		a.Paragraph("window", "open, or none is set for the stack")
	default:
		a.Paragraph("window", "closed until "+r.NextWindow.UTC().Format(time.RFC3339))
	}
	if r.Freeze != nil {
		a.Paragraph("freeze", r.Freeze.ID+": "+r.Freeze.Reason)
	}
	if len(r.ApprovedBy) > 0 {
		a.Paragraph("approved", "by "+strings.Join(r.ApprovedBy, ", "))
	}
	t := a.Table("WHO", "ACT", "ANSWER", "WHY")
	for i := range r.Answers {
		x := &r.Answers[i]
		who := x.By
		if who == "" {
			who = "Penumbra"
		}
		answer := a.Paint(console.Red, "refused")
		if x.Allowed {
			answer = a.Paint(console.Green, "allowed")
			if x.Verb == penumbra.Approve && x.Needs > 1 {
				answer = a.Paint(console.Yellow, fmt.Sprintf("needs %d", x.Needs))
			}
			if len(x.Overrides) > 0 {
				answer += ", passes " + strings.Join(x.Overrides, " and ")
			}
		}
		t.AppendRow([]any{who, x.Verb, answer, x.Reason})
	}
	t.Render()
}

func (a *app) decisionsCommand() *cobra.Command {
	var proposal string
	cmd := &cobra.Command{
		Use: "decisions [DRIFT]", GroupID: "resolve", Short: "List what was decided, by whom and why",
		Example: `  penumbra decisions
  penumbra decisions d-3f9a2c10
  penumbra decisions --proposal p-81c0aa2e -o json`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := penumbra.DecisionQuery{Proposal: proposal}
			if len(args) > 0 {
				q.Drift = args[0]
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				decisions, err := s.Decisions(ctx, q)
				if err != nil {
					return err
				}
				return console.List(a.Console, decisions, "Nothing was decided.", []any{"TIME", "WHO", "DECISION", "ON", "REASON"}, func(d *penumbra.Decision) []any {
					on, verb := d.Proposal, string(d.Verb)
					if on == "" {
						on = d.Drift
					}
					if !d.Until.IsZero() {
						verb += " until " + d.Until.Format(time.DateTime)
					}
					return []any{d.Time.Format(time.DateTime), d.By, verb, on, words.Shorten(d.Reason, 60)}
				})
			})
		},
	}
	cmd.Flags().StringVar(&proposal, "proposal", "", "only those on this proposal")
	return cmd
}
