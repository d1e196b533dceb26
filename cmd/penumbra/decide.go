package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
)

func (a *app) proposalsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "proposals DRIFT",
		GroupID: "resolve",
		Short:   "Show the ways to resolve a drift, ranked, each planned and scored",
		Long: `Shows the ways to resolve a drift. Each is planned first, so that what would be
destroyed or replaced is known and shown before anything else. Planning reads
and never writes.`,
		Example: `  penumbra proposals d-3f9a2c10
  penumbra proposals d-3f9a2c10 -o json | jq '.proposals[0].script'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				var list []penumbra.Proposal
				var omitted []penumbra.Omitted
				err := a.waiting("planning", func() (err error) {
					list, omitted, err = s.Proposals(ctx, args[0])
					return err
				})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(map[string]any{"proposals": list, "omitted": omitted})
				}
				for i := range list {
					a.showProposal(&list[i])
				}
				for _, o := range omitted {
					fmt.Fprintf(a.out, "%s %s: %s\n", a.paint(faint, "not proposed:"), o.Kind, o.Reason)
				}
				if len(list) > 0 {
					fmt.Fprintln(a.out, "\n`penumbra approve PROPOSAL` carries one out; `reject` and `customize` are there too.")
				}
				return nil
			})
		},
	}
}

func (a *app) showProposal(p *penumbra.Proposal) {
	fmt.Fprintf(a.out, "%s  %s\n", a.paint(bold, fmt.Sprintf("%d. %s", p.Rank, p.Title)), a.paint(faint, p.ID))
	if p.Plan != nil {
		for _, address := range p.Plan.Disrupts() {
			fmt.Fprintf(a.out, "   %s\n", a.paint(red, "DESTROYS OR REPLACES "+string(address)))
		}
	}
	fmt.Fprintf(a.out, "   likelihood %s   risk %s   complexity %s\n", percent(p.Scores.Likelihood), percent(p.Scores.Risk), percent(p.Scores.Complexity))
	a.paragraph("why", p.Explanation)
	a.paragraph("impact", p.Impact)
	a.paragraph("way back", p.WayBack)
	a.paragraph("script", p.Script)
	fmt.Fprintf(a.out, "   %-9s %s\n\n", "hash", p.Hash)
}

func (a *app) paragraph(name, text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(a.out, "   %-9s %s\n", name, line)
	}
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
	cmd.Flags().StringVar(&a.by, "by", "", "who decides (default: the user of this machine)")
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
and planned again.`,
		Example: `  penumbra approve p-81c0aa2e
  penumbra approve p-81c0aa2e --hash 5f0e12ab77c1 --yes   # from a script`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
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
func (a *app) approve(ctx context.Context, s *service, p *penumbra.Proposal, f approval) error {
	hash := p.Hash
	if f.hash != "" && (len(f.hash) < 12 || !strings.HasPrefix(p.Hash, f.hash)) {
		return &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("the hash of %s is %s, not %s", p.ID, p.Hash, f.hash), Remedy: "look at the proposal again"}
	}
	if a.output == "human" {
		a.showProposal(p)
	}
	if !f.yes {
		if err := a.confirm("Carry this out?"); err != nil {
			return err
		}
	}
	run, err := s.Approve(ctx, p.ID, hash, a.person())
	if err != nil {
		return err
	}
	run, err = a.follow(ctx, s, run, f.wait)
	if err != nil {
		return err
	}
	if a.output == "json" {
		if err := a.json(run); err != nil {
			return err
		}
	} else {
		a.showRun(&run)
	}
	if run.State != penumbra.Done {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("run %s ended %s: %s", run.ID, run.State, run.Outcome), Remedy: fmt.Sprintf("see `penumbra run show %s` and `penumbra proposals %s`", run.ID, run.Drift)}
	}
	return nil
}

// confirm asks a person; without one to ask it refuses.
func (a *app) confirm(question string) error {
	if !a.interactive() {
		return &penumbra.Error{Kind: penumbra.Refused, What: "nobody is there to confirm", Remedy: "look at the proposal, then give --yes with --hash"}
	}
	fmt.Fprintf(a.out, "%s Only `yes` is taken as one: ", question)
	answer, _ := bufio.NewReader(a.in).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return &penumbra.Error{Kind: penumbra.Refused, What: "not confirmed; nothing was done"}
	}
	return nil
}

// follow waits for a run to end.
func (a *app) follow(ctx context.Context, s *service, run penumbra.Run, limit time.Duration) (penumbra.Run, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	state := run.State
	a.progress("run %s: %s", run.ID, state)
	for !run.State.Ended() {
		select {
		case <-ctx.Done():
			return run, &penumbra.Error{Kind: penumbra.Unavailable, What: "not waiting any longer; the run goes on", Remedy: "see `penumbra run show " + run.ID + "`"}
		case <-deadline.C:
			return run, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("run %s has not ended after %s; it goes on", run.ID, limit), Remedy: "see `penumbra run show " + run.ID + "`"}
		case <-tick.C:
		}
		runs, err := s.Runs(ctx, penumbra.RunQuery{ID: run.ID})
		if err != nil {
			return run, err
		}
		run = runs[0]
		if run.State != state {
			state = run.State
			a.progress("run %s: %s", run.ID, state)
		}
	}
	return run, nil
}

func (a *app) progress(format string, args ...any) {
	if a.output == "human" {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}

func (a *app) showRun(run *penumbra.Run) {
	fmt.Fprintf(a.out, "%s  %s of %s\n", a.paint(bold, run.ID), run.State, run.Proposal)
	for _, s := range run.Steps {
		fmt.Fprintf(a.out, "   %s  %-10s %s\n", s.Time.Format(time.TimeOnly), s.State, s.Note)
	}
	a.paragraph("outcome", run.Outcome)
	if run.State == penumbra.Done && run.Kind != penumbra.Restore {
		fmt.Fprintf(a.out, "   `penumbra rollback %s` takes it back.\n", run.ID)
	}
}

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "run", GroupID: "resolve", Short: "List runs, or show one with its log"}
	list := &cobra.Command{
		Use: "list", Short: "List runs, the last first", Args: cobra.NoArgs,
		Example: "  penumbra run list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				runs, err := s.Runs(ctx, penumbra.RunQuery{Limit: 100})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(runs)
				}
				t := a.table("RUN", "STATE", "KIND", "DRIFT", "STARTED", "OUTCOME")
				for _, r := range runs {
					t.AppendRow([]any{r.ID, r.State, r.Kind, r.Drift, r.Started.Format(time.DateTime), shorten(r.Outcome, 60)})
				}
				t.Render()
				return nil
			})
		},
	}
	show := &cobra.Command{
		Use: "show RUN", Short: "Show one run with its steps and log", Args: cobra.ExactArgs(1),
		Example: "  penumbra run show r-0a1b2c3d4e",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				runs, err := s.Runs(ctx, penumbra.RunQuery{ID: args[0]})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(runs[0])
				}
				a.showRun(&runs[0])
				a.paragraph("log", runs[0].Log)
				return nil
			})
		},
	}
	cmd.AddCommand(list, show)
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
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				if err := s.Reject(ctx, args[0], a.person(), reason); err != nil {
					return err
				}
				return a.done("rejected", args[0])
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().StringVar(&a.by, "by", "", "who decides (default: the user of this machine)")
	return cmd
}

func (a *app) done(what, id string) error {
	if a.output == "json" {
		return a.json(map[string]string{"id": id, "status": what})
	}
	fmt.Fprintf(a.out, "%s is %s.\n", id, what)
	return nil
}

func (a *app) customizeCommand() *cobra.Command {
	var sets []string
	cmd := &cobra.Command{
		Use:     "customize PROPOSAL --set PATH=VALUE",
		GroupID: "resolve",
		Short:   "Make a proposal of your own: the values you choose, planned and scored",
		Long: `Makes a new proposal that writes the values you choose into the code, and plans
it. A value is JSON (42, true, "text") or plain text. Nothing is applied until
you approve it.`,
		Example: `  penumbra customize p-81c0aa2e --set max_connections=150
  penumbra customize p-81c0aa2e --set log_level=warn --set tags.team=pay`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := parseSets(sets)
			if err != nil {
				return err
			}
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				var p penumbra.Proposal
				err := a.waiting("planning", func() (err error) {
					p, err = s.Customize(ctx, args[0], values, a.person())
					return err
				})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(p)
				}
				a.showProposal(&p)
				return nil
			})
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "a setting's path and value; may be repeated")
	cmd.Flags().StringVar(&a.by, "by", "", "who decides (default: the user of this machine)")
	_ = cmd.MarkFlagRequired("set")
	return cmd
}

// parseSets reads PATH=VALUE, the value as JSON if it is some, else as text.
func parseSets(sets []string) ([]penumbra.Setting, error) {
	var out []penumbra.Setting
	for _, s := range sets {
		path, text, found := strings.Cut(s, "=")
		if !found || path == "" {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--set %q", s), Remedy: "write PATH=VALUE, such as max_connections=150"}
		}
		var v penumbra.Value
		if err := v.UnmarshalJSON([]byte(text)); err != nil || text == "" {
			v = penumbra.String(text)
		}
		out = append(out, penumbra.Setting{Path: path, Value: v})
	}
	return penumbra.NewSettings(out...), nil
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
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				var p penumbra.Proposal
				err := a.waiting("planning the way back", func() (err error) {
					p, err = s.Rollback(ctx, args[0], a.person())
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

func (a *app) acknowledgeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "acknowledge DRIFT", Short: "Note that you know of a drift; it stays open",
		Example: "  penumbra drift acknowledge d-3f9a2c10",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				d, err := s.Acknowledge(ctx, args[0], a.person())
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(d)
				}
				return a.done("acknowledged", d.ID)
			})
		},
	}
	cmd.Flags().StringVar(&a.by, "by", "", "who it is (default: the user of this machine)")
	return cmd
}

func (a *app) acceptCommand() *cobra.Command {
	var reason string
	var lasting time.Duration
	cmd := &cobra.Command{
		Use: "accept DRIFT", Short: "Accept a drift's values as right, for a time or for good",
		Example: `  penumbra drift accept d-3f9a2c10 --for 72h --reason "hot fix until Friday"
  penumbra drift accept d-3f9a2c10          # for good`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeDrifts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.asking(cmd, func(ctx context.Context, s *service) error {
				var until time.Time
				if lasting > 0 {
					until = time.Now().Add(lasting).UTC()
				}
				d, err := s.Accept(ctx, args[0], a.person(), reason, until)
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(d)
				}
				return a.done("accepted", d.ID)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().DurationVar(&lasting, "for", 0, "for how long (default: for good)")
	cmd.Flags().StringVar(&a.by, "by", "", "who accepts (default: the user of this machine)")
	return cmd
}
