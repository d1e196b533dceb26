package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/proposal/knowledge"
)

func (a *app) knowledgeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "knowledge",
		GroupID: "resolve",
		Short:   "Show and check what is known of settings, with sources",
		Long: `What the manuals say of settings: which change restarts or replaces, what cannot
be undone, what automation usually owns, which value is good practice and which
is dangerous. Proposals say it and are ranked by it. Entries are in the binary;
yours, in the folders under ` + "`knowledge:`" + ` of penumbra.yaml, come before them.
The format is in docs/knowledge.md.`,
		Example: `  penumbra knowledge show aws_db_instance instance_class
  penumbra knowledge list --type 'kubernetes_*'
  penumbra knowledge check knowledge/      # in CI: exit code 1 on a mistake`,
	}
	cmd.AddCommand(a.knowledgeCheckCommand(), a.knowledgeListCommand(), a.knowledgeShowCommand())
	return cmd
}

func (a *app) knowledgeCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR...]",
		Short: "Check files of knowledge, and say where each mistake is",
		Long: `Reads the entries of the binary and of the folders, by default those of the
configuration, and reports every mistake with file, line, column and remedy. The
examples of each entry are tried.`,
		Example: `  penumbra knowledge check
  penumbra knowledge check knowledge/ ../shared/knowledge
  penumbra knowledge check knowledge/ -o json | jq '.mistakes[]'`,
		RunE: func(_ *cobra.Command, dirs []string) error {
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			if len(dirs) == 0 {
				c, err := a.Config()
				if err != nil {
					return err
				}
				dirs = c.KnowledgeDirs()
			}
			base, mistakes := knowledge.Load(dirs...)
			return a.showCheck(base, mistakes)
		},
	}
}

func (a *app) showCheck(base *knowledge.Base, mistakes knowledge.Mistakes) error {
	own := 0
	for _, e := range base.Entries() {
		if e.Own {
			own++
		}
	}
	wrong := wire.Mistaken(mistakes).(*penumbra.Error)
	wrong.Err, wrong.Remedy = nil, "correct each where it says; the format is in docs/knowledge.md"
	if a.Output == "json" {
		err := a.JSON(struct {
			Entries  int                `json:"entries"`
			Own      int                `json:"own"`
			Mistakes knowledge.Mistakes `json:"mistakes"`
		}{len(base.Entries()), own, append(knowledge.Mistakes{}, mistakes...)})
		if err != nil || mistakes == nil {
			return err
		}
		return wrong
	}
	for _, m := range mistakes {
		remedy := m.Remedy
		m.Remedy = ""
		fmt.Fprintf(a.Out, "%s %s\n", a.Paint(console.Red, "✗"), m)
		if remedy != "" {
			fmt.Fprintf(a.Out, "    %s %s\n", a.Paint(console.Bold, "What to do:"), remedy)
		}
	}
	if mistakes != nil {
		return wrong
	}
	fmt.Fprintf(a.Out, "%s %s, %d of them yours: no mistake\n", a.Paint(console.Green, "✓"), words.Counted(len(base.Entries()), "entry", "entries"), own)
	return nil
}

// find asks the daemon what it knows, or without one the configuration.
func (a *app) find(ctx context.Context, q penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error) {
	if err := a.Outputs("human", "json"); err != nil {
		return nil, err
	}
	daemon, err := a.Daemon(ctx)
	if err != nil {
		return nil, err
	}
	if daemon != nil {
		return daemon.Knowledge(ctx, q)
	}
	base, err := a.known()
	if err != nil {
		return nil, err
	}
	return base.Find(q)
}

// known reads the knowledge base of the configuration, and refuses one with mistakes.
func (a *app) known() (*knowledge.Base, error) {
	c, err := a.Config()
	if err != nil {
		return nil, err
	}
	m, err := c.Manuals()
	if err != nil {
		return nil, err
	}
	return m(), nil
}

func (a *app) knowledgeListCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the entries",
		Example: `  penumbra knowledge list --type aws_db_instance
  penumbra knowledge list --type 'google_*'
  penumbra knowledge list -o json | jq -r '.[] | select(.fact.one_way) | .id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.find(cmd.Context(), penumbra.KnowledgeQuery{Type: kind})
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return a.JSON(append([]penumbra.KnowledgeEntry{}, list...))
			}
			t := a.Table("ID", "TYPES", "SETTINGS", "SAYS", "YOURS")
			for i := range list {
				e := &list[i]
				own := ""
				if e.Own {
					own = "yes"
				}
				t.AppendRow(table.Row{e.ID, words.Shorten(strings.Join(e.Types, ", "), 36), words.Shorten(strings.Join(e.Paths, ", "), 36), strings.Join(sayings(&e.Fact), ", "), own})
			}
			t.Render()
			fmt.Fprintf(a.Out, "\n%s\n", words.Counted(len(list), "entry", "entries"))
			return nil
		},
	}
	cmd.Flags().StringVar(&kind, "type", "", `only what is known of a type of resource, or of a pattern such as "aws_*"`)
	_ = cmd.RegisterFlagCompletionFunc("type", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.completeTypes(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// sayings are the kinds of fact that an entry has.
func sayings(f *penumbra.Fact) []string {
	var out []string
	for _, x := range []struct {
		said bool
		what string
	}{
		{f.Effect != "", string(f.Effect)}, {f.OneWay != "", "one-way"}, {f.Owner != "", "owner"}, {f.Best != nil, "best"}, {f.Hazard != "", "hazard"},
		{f.Risk != nil, "risk"}, {f.Likelihood != nil, "likelihood"}, {len(f.Dependants) > 0, "dependants"},
	} {
		if x.said {
			out = append(out, x.what)
		}
	}
	return out
}

func (a *app) knowledgeShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID | show TYPE|ADDRESS PATH",
		Short: "Show an entry, or all that is known of a setting",
		Example: `  penumbra knowledge show aws.rds.instance-class
  penumbra knowledge show postgresql shared_buffers
  penumbra knowledge show shop/aws_db_instance.main allocated_storage -o json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := penumbra.KnowledgeQuery{ID: args[0]}
			if len(args) == 2 {
				q = penumbra.KnowledgeQuery{Type: typeOf(args[0]), Path: args[1]}
			}
			list, err := a.find(cmd.Context(), q)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return &penumbra.Error{
					Kind: penumbra.NotFound, What: fmt.Sprintf("nothing is known of %s of %s", q.Path, q.Type),
					Remedy: "see `penumbra knowledge list --type " + q.Type + "`, or write an entry (docs/knowledge.md)",
				}
			}
			if a.Output == "json" {
				return a.JSON(list)
			}
			for i := range list {
				if i > 0 {
					fmt.Fprintln(a.Out)
				}
				a.showEntry(&list[i])
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return a.completeKnowledge(args), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// typeOf is the type of resource that an address names, or the argument itself.
func typeOf(arg string) string {
	local := arg[strings.LastIndexByte(arg, '/')+1:]
	for strings.HasPrefix(local, "module.") {
		parts := strings.SplitN(local, ".", 3)
		if len(parts) < 3 {
			break
		}
		local = parts[2]
	}
	kind, _, _ := strings.Cut(local, ".")
	return kind
}

func (a *app) showEntry(e *penumbra.KnowledgeEntry) {
	f := &e.Fact
	fmt.Fprintln(a.Out, a.Paint(console.Bold, e.Title))
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(a.Out, "  %-12s %s\n", name, text)
		}
	}
	row("id", e.ID)
	row("types", strings.Join(e.Types, ", "))
	row("settings", words.Shorten(strings.Join(e.Paths, ", "), 200))
	row("when", strings.Join(strings.Fields(e.When), " "))
	effect := string(f.Effect)
	if f.Until != "" {
		effect += ", not before " + f.Until
	}
	row("effect", effect)
	row("one way", f.OneWay)
	row("owner", f.Owner)
	if b := f.Best; b != nil {
		what := b.String()
		if e.Expr != "" {
			what = e.Expr
		}
		row("best", what+": "+b.Why)
	}
	row("hazard", f.Hazard)
	if f.Risk != nil {
		row("risk", beta(*f.Risk))
	}
	for _, kind := range kindsOf(f) {
		row(string(kind), beta(f.Likelihood[kind]))
	}
	row("felt by", strings.Join(f.Dependants, "; "))
	for _, s := range f.Sources {
		row("source", s.Title+", "+s.URL)
	}
	row("checked", f.Checked)
	row("from", fmt.Sprintf("%s:%d", e.File, e.Line))
}

func kindsOf(f *penumbra.Fact) []penumbra.ProposalKind {
	var out []penumbra.ProposalKind
	for kind := range f.Likelihood {
		out = append(out, kind)
	}
	slices.Sort(out)
	return out
}

func beta(b penumbra.Beta) string {
	return fmt.Sprintf("%.0f %%, worth %g cases: %s", 100*b.Mean(), b.A+b.B, b.Why)
}

// completeTypes are the types that entries name in full.
func (a *app) completeTypes() []string {
	base, err := a.known()
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range base.Entries() {
		for _, t := range e.Types {
			if !strings.ContainsAny(t, "*?{") {
				out = append(out, t)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// completeKnowledge completes an identifier or a type, then a path of the type.
func (a *app) completeKnowledge(args []string) []string {
	base, err := a.known()
	if err != nil || len(args) > 1 {
		return nil
	}
	var out []string
	if len(args) == 0 {
		for _, e := range base.Entries() {
			out = append(out, e.ID+"\t"+words.Shorten(e.Title, 60))
		}
		return append(out, a.completeTypes()...)
	}
	for _, e := range base.Entries() {
		if !e.On(typeOf(args[0])) {
			continue
		}
		for _, p := range e.Paths {
			if !strings.ContainsAny(p, "*?{") {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
