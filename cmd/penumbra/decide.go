package main

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/proposal"
)

// planned makes one proposal, which takes as long as a plan does, and shows it.
func (a *app) planned(plan func() (penumbra.Proposal, error)) error {
	var p penumbra.Proposal
	err := a.Waiting("planning", func() (err error) {
		p, err = plan()
		return err
	})
	if err != nil {
		return err
	}
	if a.Output == "json" {
		return a.JSON(p)
	}
	a.ShowProposal(&p)
	return nil
}

func (a *app) proposalsCommand() *cobra.Command {
	var weights string
	cmd := &cobra.Command{
		Use:     "proposals DRIFT",
		GroupID: "resolve",
		Short:   "Show the ways to resolve a drift, ranked, each planned and scored",
		Long: `Shows the ways to resolve a drift. Each is planned first, so that what would be
destroyed or replaced is known and shown before anything else. Planning reads
and never writes.

They are ranked by what is configured under ` + "`ranking`" + `, and with --weights by others
for this once. What destroys always comes last.`,
		Example: `  penumbra proposals d-3f9a2c10
  penumbra proposals d-3f9a2c10 --weights likelihood=0.2,risk=0.7,complexity=0.1
  penumbra proposals d-3f9a2c10 -o json | jq '.proposals[0].script'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.CompleteDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				var list []penumbra.Proposal
				var omitted []penumbra.Omitted
				err := a.Waiting("planning", func() (err error) {
					list, omitted, err = s.Proposals(ctx, args[0])
					return err
				})
				if err != nil {
					return err
				}
				if weights != "" {
					w, err := parseWeights(weights)
					if err != nil {
						return err
					}
					proposal.Rank(list, w)
				}
				if a.Output == "json" {
					return a.JSON(map[string]any{"proposals": list, "omitted": omitted})
				}
				for i := range list {
					a.ShowProposal(&list[i])
				}
				if len(list) > 0 { // the same for all
					a.Paragraph("otherwise", list[0].Otherwise)
				}
				for _, o := range omitted {
					fmt.Fprintf(a.Out, "%s %s: %s\n", a.Paint(console.Faint, "not proposed:"), o.Kind, o.Reason)
				}
				if len(list) > 0 {
					fmt.Fprintln(a.Out, "\n`penumbra approve PROPOSAL` carries one out; `reject` and `customize` are there too.")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&weights, "weights", "", "rank by these weights of the scores: likelihood=0.2,risk=0.7,complexity=0.1")
	return cmd
}

// approval are the flags of the verbs that carry something out.
type approval struct {
	hash string
	yes  bool
	wait time.Duration
}

func (a *app) approvalFlags(cmd *cobra.Command, f *approval) {
	cmd.Flags().StringVar(&f.hash, "hash", "", "approve only if the proposal still has this hash (a prefix of 12 or more will do)")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask: approve what is shown")
	cmd.Flags().DurationVar(&f.wait, "wait", time.Hour, "how long to wait for the run")
}

func (a *app) approveCommand() *cobra.Command {
	var f approval
	cmd := &cobra.Command{
		Use:     "approve PROPOSAL",
		GroupID: "resolve",
		Short:   "Approve a proposal: its exact plan is applied and verified",
		Long: `Shows the proposal, asks, records your decision on its hash, and carries it out.
If the world has moved since it was planned, nothing is applied: it is refused
and planned again.

Where the stack's changes are reviewed first (way: pull-request in docs/code.md),
a patch becomes a branch and a pull request, whose address is shown. The drift
then stays open until the code is merged. Approving again after an error goes on
where that stopped.

Where policies ask for several people, it is carried out at the approval of the
last; outside of a maintenance window it waits for the next. With --output json
a run is printed if one started, the approval otherwise.`,
		Example: `  penumbra approve p-81c0aa2e
  penumbra approve p-81c0aa2e --hash 5f0e12ab77c1 --yes   # from a script`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				p, err := s.Proposal(ctx, args[0])
				if err != nil {
					return err
				}
				return a.approve(ctx, s, &p, f)
			})
		},
	}
	a.approvalFlags(cmd, &f)
	return cmd
}

// approve shows a proposal, asks unless told not to, and follows the run.
func (a *app) approve(ctx context.Context, s *console.Service, p *penumbra.Proposal, f approval) error {
	hash := p.Hash
	if f.hash != "" && (len(f.hash) < 12 || !strings.HasPrefix(p.Hash, f.hash)) {
		return &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("the hash of %s is %s, not %s", p.ID, p.Hash, f.hash), Remedy: "look at the proposal again"}
	}
	if a.Output == "human" {
		a.ShowProposal(p)
	}
	if !f.yes {
		if err := a.confirm("Carry this out?"); err != nil {
			return err
		}
	}
	made, err := s.Approve(ctx, p.ID, hash, "")
	if err != nil {
		return err
	}
	if made.Run == nil {
		return a.showWaiting(&made, s.Daemon)
	}
	run, err := a.Follow(ctx, s, *made.Run, f.wait)
	if err != nil {
		return err
	}
	if a.Output == "json" {
		if err := a.JSON(run); err != nil {
			return err
		}
	} else {
		a.ShowRun(&run)
	}
	if run.State != penumbra.Done {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("run %s ended %s: %s", run.ID, run.State, run.Outcome), Remedy: fmt.Sprintf("see `penumbra run show %s` and `penumbra proposals %s`", run.ID, run.Drift)}
	}
	return nil
}

// confirm asks a person; without one to ask it refuses.
func (a *app) confirm(question string) error {
	if !a.Interactive() {
		return &penumbra.Error{Kind: penumbra.Refused, What: "nobody is there to confirm", Remedy: "look at the proposal, then give --yes with --hash"}
	}
	fmt.Fprintf(a.Out, "%s Only `yes` is taken as one: ", question)
	answer, _ := bufio.NewReader(a.In).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return &penumbra.Error{Kind: penumbra.Refused, What: "not confirmed; nothing was done"}
	}
	return nil
}

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "run", GroupID: "resolve", Short: "List runs, show one with its log, or ask what became of its review"}
	list := &cobra.Command{
		Use: "list", Short: "List runs, the last first", Args: cobra.NoArgs,
		Example: "  penumbra run list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				runs, err := s.Runs(ctx, penumbra.RunQuery{Limit: 100})
				if err != nil {
					return err
				}
				return console.List(a.Console, runs, "Nothing was run.", []any{"RUN", "STATE", "KIND", "DRIFT", "STARTED", "OUTCOME"}, func(r *penumbra.Run) []any {
					return []any{r.ID, r.State, r.Kind, r.Drift, r.Started.Format(time.DateTime), words.Shorten(words.RunOutcome(r), 60)}
				})
			})
		},
	}
	show := &cobra.Command{
		Use: "show RUN", Short: "Show one run with its steps and log", Args: cobra.ExactArgs(1),
		Example: "  penumbra run show r-0a1b2c3d4e",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				runs, err := s.Runs(ctx, penumbra.RunQuery{ID: args[0]})
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(runs[0])
				}
				a.ShowRun(&runs[0])
				a.Paragraph("log", runs[0].Log)
				return nil
			})
		},
	}
	cmd.AddCommand(list, show, a.reviewCommand())
	return cmd
}

func (a *app) rejectCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "reject PROPOSAL",
		GroupID: "resolve",
		Short:   "Reject a proposal, with the reason",
		Example: `  penumbra reject p-81c0aa2e --reason "the hot fix stays until Friday"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				if err := s.Reject(ctx, args[0], "", reason); err != nil {
					return err
				}
				return a.Done("rejected", args[0])
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why: it is kept and shown, and the same is not proposed again")
	return cmd
}

func (a *app) rollbackCommand() *cobra.Command {
	var f approval
	cmd := &cobra.Command{
		Use:     "rollback RUN",
		GroupID: "resolve",
		Short:   "Take a run back: plan the way back, show it, and apply it on approval",
		Example: `  penumbra rollback r-0a1b2c3d4e
  penumbra rollback r-0a1b2c3d4e --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				var p penumbra.Proposal
				err := a.Waiting("planning the way back", func() (err error) {
					p, err = s.Rollback(ctx, args[0], "")
					return err
				})
				if err != nil {
					return err
				}
				return a.approve(ctx, s, &p, f)
			})
		},
	}
	a.approvalFlags(cmd, &f)
	return cmd
}

// showWaiting says what an approval waits for that has not started a run.
func (a *app) showWaiting(made *penumbra.Approval, daemon bool) error {
	if a.Output == "json" {
		return a.JSON(made)
	}
	if made.Scheduled.IsZero() {
		fmt.Fprintf(a.Out, "%s has the approval of %s: %d of %d people. It is carried out when the last of them approves.\n",
			made.Decision.Proposal, strings.Join(made.By, " and "), len(made.By), made.Needs)
		return nil
	}
	fmt.Fprintf(a.Out, "%s is approved and scheduled for %s, when the next maintenance window opens.\n", made.Decision.Proposal, made.Scheduled.UTC().Format(time.RFC3339))
	if !daemon {
		fmt.Fprintln(a.Out, "Have `penumbra serve` run then: nothing else starts it.")
	}
	return nil
}

// parseWeights reads weights as they are given on the command line.
func parseWeights(text string) (proposal.Weights, error) {
	var w proposal.Weights
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(part, "=")
		x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		switch to := map[string]*float64{"likelihood": &w.Likelihood, "risk": &w.Risk, "complexity": &w.Complexity}[strings.TrimSpace(name)]; {
		case to == nil || err != nil:
			return w, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--weights %q: %q", text, part), Remedy: "write likelihood=0.2,risk=0.7,complexity=0.1; what is left out counts nothing"}
		default:
			*to = x
		}
	}
	return w, w.Check()
}
