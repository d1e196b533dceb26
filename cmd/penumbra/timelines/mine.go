package timelines

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/git"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/timeline"
)

// MineOptions say what of a repository's history is mined. A verb that takes
// --git adds the flags with [MineOptions.Flags].
type MineOptions struct {
	since      string
	maxCommits int
	paths      []string
	bots       []string
}

// Flags adds the flags that go with --git DIR.
func (o *MineOptions) Flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "", "leave out commits before this time or day, such as 2024-01-01, or longer ago than this, such as 365d")
	flags.IntVar(&o.maxCommits, "max-commits", 0, "read only the latest so many commits; 0 for all")
	flags.StringArrayVar(&o.paths, "path", nil, "read only this folder or file of the repository; may be repeated")
	flags.StringArrayVar(&o.bots, "bot", nil, "regular expression for names or e-mail addresses of authors that are automation, beside the well-known; may be repeated")
}

// Mined returns the history of the repository in dir as a timeline, and tells
// on standard error what of it was left out. Secrets are hashed with the data
// directory's key if there is one, else with one for this call alone.
func Mined(ctx context.Context, on *console.Console, dir string, o MineOptions) ([]penumbra.Observation, error) {
	a := &app{on}
	c, err := a.Config()
	if err != nil {
		return nil, err
	}
	key, err := wire.LookKey(c.DataDir())
	if err != nil {
		return nil, err
	}
	var all []penumbra.Observation
	report, err := a.mineInto(ctx, dir, o, key, func(x *penumbra.Observation) error {
		all = append(all, *x)
		return nil
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.Err, "%s: %d commits, %d resources, %d events\n", dir, report.Commits, report.Resources, len(all))
	a.tellMined(report)
	return all, nil
}

// mineInto mines with a bar on a terminal.
func (a *app) mineInto(ctx context.Context, dir string, o MineOptions, key penumbra.Key, yield func(*penumbra.Observation) error) (*git.Report, error) {
	options := git.Options{Key: key, MaxCommits: o.maxCommits, Paths: o.paths}
	var err error
	if options.Since, err = words.ParseSince(o.since, time.Now()); err != nil {
		return nil, err
	}
	if o.maxCommits < 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--max-commits %d", o.maxCommits), Remedy: "give a number of commits, 0 for all"}
	}
	for _, text := range o.bots {
		r, err := regexp.Compile(text)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--bot %q", text), Remedy: "give a regular expression, such as '^deploy-'", Err: err}
		}
		options.Bots = append(options.Bots, r)
	}
	progress, end := a.Progressing("mining " + dir)
	defer end()
	options.Progress = progress
	return git.Mine(ctx, dir, options, yield)
}

func (a *app) mineCommand() *cobra.Command {
	var o MineOptions
	var file string
	cmd := &cobra.Command{
		Use:     "mine DIR",
		GroupID: "data",
		Short:   "Make a timeline of a git repository's history",
		Long: `Reads the first-parent history of a repository of infrastructure code, OpenTofu or
Terraform and Kubernetes YAML, and writes a timeline: who created, changed and
removed which resource, at which commit. DIR may be a folder within a repository;
only that folder is read then. The repository is only read.

Sensitive values are hashed with the key of the data directory, or with
PENUMBRA_KEY; e-mail addresses of authors are left out. A file that does not
parse stops nothing: it is told of at the end. Who is automation is known by name;
--bot adds to that.`,
		Example: `  penumbra mine . --file history.jsonl.gz     # then: penumbra ingest, or penumbra backtest
  penumbra mine infra/ --since 365d --bot '^deployer$' --file history.jsonl
  penumbra mine . | penumbra backtest -
  penumbra mine . --file history.jsonl.gz -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			return a.mine(cmd.Context(), args[0], o, file)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	o.Flags(cmd)
	cmd.Flags().StringVar(&file, "file", "", "write to this file, compressed if it ends in .gz (default: standard output)")
	return cmd
}

// mine writes the timeline whole or not at all where it goes to a file. The
// summary goes where the timeline does not.
func (a *app) mine(ctx context.Context, dir string, o MineOptions, file string) error {
	c, err := a.Config()
	if err != nil {
		return err
	}
	key, err := wire.SealingKey(c.DataDir())
	if err != nil {
		return err
	}
	if file == "" {
		w := bufio.NewWriterSize(a.Out, 1<<16)
		enc := timeline.NewEncoder(w)
		report, err := a.mineInto(ctx, dir, o, key, enc.Encode)
		if err := errors.Join(err, w.Flush()); err != nil {
			return err
		}
		return a.showMined(a.Err, "", report)
	}
	refused := func(err error) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: "write the timeline", Remedy: "name a file that you may write", Err: err}
	}
	f, err := renameio.NewPendingFile(file, renameio.WithPermissions(0o600))
	if err != nil {
		return refused(err)
	}
	defer func() { _ = f.Cleanup() }()
	w := bufio.NewWriterSize(f, 1<<16)
	to, closing := io.Writer(w), func() error { return nil }
	if strings.HasSuffix(file, ".gz") {
		z := gzip.NewWriter(w)
		to, closing = z, z.Close
	}
	enc := timeline.NewEncoder(to)
	report, err := a.mineInto(ctx, dir, o, key, enc.Encode)
	if err != nil {
		return err
	}
	if err := errors.Join(closing(), w.Flush(), f.CloseAtomicallyReplace()); err != nil {
		return refused(err)
	}
	return a.showMined(a.Out, file, report)
}

// showMined writes what was found.
func (a *app) showMined(to io.Writer, file string, r *git.Report) error {
	if a.Output == "json" {
		if file == "" {
			return nil // standard output has the timeline
		}
		return a.JSON(struct {
			File string `json:"file"`
			*git.Report
		}{file, r})
	}
	events := r.Creates + r.Updates + r.Deletes
	fmt.Fprintf(to, "%d events of %d resources, from %s to %s%s.\n", events, r.Resources,
		r.From.Format(time.DateOnly), r.To.Format(time.DateOnly), cmp.Or(words.Prefixed(", written to ", file), ""))
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.AppendRow(table.Row{"commits", r.Commits, fmt.Sprintf("%d of them changed a resource; %d versions of files read", r.Changing, r.Files)})
	t.AppendRow(table.Row{"resources", r.Resources, fmt.Sprintf("%d are there at the end", r.Live)})
	t.AppendRow(table.Row{"events", events, fmt.Sprintf("%d create, %d update %d settings, %d delete", r.Creates, r.Updates, r.Changes, r.Deletes)})
	for _, k := range r.Actors {
		switch k.Kind {
		case penumbra.UnknownActor:
			t.AppendRow(table.Row{"by nobody", k.Events, "resources that were there before the first commit read"})
		default:
			t.AppendRow(table.Row{"by " + k.Kind.String(), k.Events, fmt.Sprintf("%s%s", actors(k.Actors), namesOf(k.Kind, r))})
		}
	}
	t.AppendRow(table.Row{"secrets", r.Secrets, "values hashed"})
	fmt.Fprintln(to, t.Render())
	a.tellMined(r)
	return nil
}

func actors(n int) string {
	if n == 1 {
		return "1 actor"
	}
	return fmt.Sprintf("%d actors", n)
}

// namesOf lists the automations, so that a person sees who was taken for one.
func namesOf(kind penumbra.ActorKind, r *git.Report) string {
	if kind != penumbra.Automation {
		return ""
	}
	return ": " + words.Shorten(strings.Join(r.Automation, ", "), 80)
}

// tellMined tells what was left out, and that a history is cut.
func (a *app) tellMined(r *git.Report) {
	if r.Shallow {
		fmt.Fprintln(a.Err, "The clone is shallow: what is older than its first commit is missing. Run `git fetch --unshallow` for all of it.")
	}
	if r.LeftOutFiles == 0 {
		return
	}
	var reasons []string
	for reason := git.Unparsed; reason <= git.Unrecognized; reason++ {
		if n := r.Reasons[reason]; n > 0 {
			reasons = append(reasons, fmt.Sprintf("%s: %d", reason, n))
		}
	}
	fmt.Fprintf(a.Err, "%d files were left out at some commit (%s)\n", r.LeftOutFiles, strings.Join(reasons, ", "))
	shown := 0
	for _, l := range r.LeftOut {
		if l.Reason == git.Unrecognized {
			break // nobody expects more of them
		}
		if shown == shownBad {
			break
		}
		shown++
		fmt.Fprintf(a.Err, "  %s %s at %s%s\n", l.Path, l.Reason, l.Commit, words.Prefixed(": ", l.Detail))
	}
	if more := r.LeftOutFiles - r.Reasons[git.Unrecognized] - shown; more > 0 {
		fmt.Fprintf(a.Err, "  and %d more\n", more)
	}
}
