package main

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
	"github.com/penumbra-iac/penumbra/timeline"
)

// mineOptions say what of a repository's history is mined. A verb that takes
// --git adds the flags with [mineOptions.flags].
type mineOptions struct {
	since      string
	maxCommits int
	paths      []string
	bots       []string
}

// flags adds the flags that go with --git DIR.
func (o *mineOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "", "leave out commits before this time or day, such as 2024-01-01, or longer ago than this, such as 365d")
	flags.IntVar(&o.maxCommits, "max-commits", 0, "read only the latest so many commits; 0 for all")
	flags.StringArrayVar(&o.paths, "path", nil, "read only this folder or file of the repository; may be repeated")
	flags.StringArrayVar(&o.bots, "bot", nil, "regular expression for names or e-mail addresses of authors that are automation, beside the well-known; may be repeated")
}

// mined returns the history of the repository in dir as a timeline, and tells
// on standard error what of it was left out. Secrets are hashed with the data
// directory's key if there is one, else with one for this call alone.
func (a *app) mined(ctx context.Context, dir string, o mineOptions) ([]penumbra.Observation, error) {
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	key, err := checkKey(c.dataDir())
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
	fmt.Fprintf(a.err, "%s: %d commits, %d resources, %d events\n", dir, report.Commits, report.Resources, len(all))
	a.tellMined(report)
	return all, nil
}

// mineInto mines with a bar on a terminal.
func (a *app) mineInto(ctx context.Context, dir string, o mineOptions, key penumbra.Key, yield func(*penumbra.Observation) error) (*git.Report, error) {
	options := git.Options{Key: key, MaxCommits: o.maxCommits, Paths: o.paths}
	var err error
	if options.Since, err = parseSince(o.since, time.Now()); err != nil {
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
	progress, end := a.progressing("mining " + dir)
	defer end()
	options.Progress = progress
	return git.Mine(ctx, dir, options, yield)
}

// parseSince reads a time, a day, or how long ago.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	if ago, err := parseSpan(text); err == nil && ago > 0 {
		return now.Add(-ago).UTC(), nil
	}
	return time.Time{}, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--since %q", text), Remedy: "write a time such as 2026-03-01T00:00:00Z, a day such as 2026-03-01, or how long ago such as 365d"}
}

func (a *app) mineCommand() *cobra.Command {
	var o mineOptions
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
			if err := a.outputs("human", "json"); err != nil {
				return err
			}
			return a.mine(cmd.Context(), args[0], o, file)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&file, "file", "", "write to this file, compressed if it ends in .gz (default: standard output)")
	return cmd
}

// mine writes the timeline whole or not at all where it goes to a file. The
// summary goes where the timeline does not.
func (a *app) mine(ctx context.Context, dir string, o mineOptions, file string) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	key, err := sealingKey(c.dataDir())
	if err != nil {
		return err
	}
	if file == "" {
		w := bufio.NewWriterSize(a.out, 1<<16)
		enc := timeline.NewEncoder(w)
		report, err := a.mineInto(ctx, dir, o, key, enc.Encode)
		if err := errors.Join(err, w.Flush()); err != nil {
			return err
		}
		return a.showMined(a.err, "", report)
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
	return a.showMined(a.out, file, report)
}

// showMined writes what was found.
func (a *app) showMined(to io.Writer, file string, r *git.Report) error {
	if a.output == "json" {
		if file == "" {
			return nil // standard output has the timeline
		}
		return a.json(struct {
			File string `json:"file"`
			*git.Report
		}{file, r})
	}
	events := r.Creates + r.Updates + r.Deletes
	fmt.Fprintf(to, "%d events of %d resources, from %s to %s%s.\n", events, r.Resources,
		r.From.Format(time.DateOnly), r.To.Format(time.DateOnly), cmp.Or(prefixed(", written to ", file), ""))
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

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// namesOf lists the automations, so that a person sees who was taken for one.
func namesOf(kind penumbra.ActorKind, r *git.Report) string {
	if kind != penumbra.Automation {
		return ""
	}
	return ": " + shorten(strings.Join(r.Automation, ", "), 80)
}

// tellMined tells what was left out, and that a history is cut.
func (a *app) tellMined(r *git.Report) {
	if r.Shallow {
		fmt.Fprintln(a.err, "The clone is shallow: what is older than its first commit is missing. Run `git fetch --unshallow` for all of it.")
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
	fmt.Fprintf(a.err, "%d files were left out at some commit (%s)\n", r.LeftOutFiles, strings.Join(reasons, ", "))
	shown := 0
	for _, l := range r.LeftOut {
		if l.Reason == git.Unrecognized {
			break // nobody expects more of them
		}
		if shown == shownBad {
			break
		}
		shown++
		fmt.Fprintf(a.err, "  %s %s at %s%s\n", l.Path, l.Reason, l.Commit, prefixed(": ", l.Detail))
	}
	if more := r.LeftOutFiles - r.Reasons[git.Unrecognized] - shown; more > 0 {
		fmt.Fprintf(a.err, "  and %d more\n", more)
	}
}
