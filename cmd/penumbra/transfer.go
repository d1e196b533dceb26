package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) ingestCommand() *cobra.Command {
	var plan, state, stack string
	cmd := &cobra.Command{
		Use:     "ingest [FILE...]",
		GroupID: "data",
		Short:   "Take timelines in: JSON Lines, plain or gzip",
		Long: `Takes observations in, one JSON object a line; the format is in docs/timeline.md.
Observations may come in any order and more than once: what is there already is
left as it is. A line that cannot be read is reported with its number and the
reason, and kept aside; the others are taken. Without a file, or with -, standard
input is read.

With --plan or --state what your own runner left is taken in as a snapshot of a
stack, and with a plan as its template: nothing has to be migrated.`,
		Example: `  penumbra ingest history.jsonl.gz
  tofu show -json saved.plan | penumbra ingest --plan - --stack shop
  kubectl logs deploy/audit | my-converter | penumbra ingest -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if plan != "" || state != "" {
				return a.ingestRead(cmd, checkFlags{plan: plan, state: state, stack: stack}, args)
			}
			if len(args) == 0 {
				args = []string{"-"}
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				reports := map[string]penumbra.IngestReport{}
				for _, name := range args {
					report, err := a.ingest(ctx, s, name)
					reports[name] = report
					if err != nil {
						return err
					}
					if a.Output == "human" {
						a.showIngest(name, report)
					}
				}
				if a.Output == "json" {
					return a.JSON(reports)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&plan, "plan", "", "take in a plan as `show -json` writes it; - for standard input")
	cmd.Flags().StringVar(&state, "state", "", "take in a state file; - for standard input")
	cmd.Flags().StringVar(&stack, "stack", "", "the stack that the plan or the state is of")
	cmd.MarkFlagsMutuallyExclusive("plan", "state")
	return cmd
}

// ingestRead takes in a plan or a state as observations of a stack.
func (a *app) ingestRead(cmd *cobra.Command, f checkFlags, args []string) error {
	if len(args) > 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "timelines beside --plan or --state", Remedy: "take them in one after the other"}
	}
	if !penumbra.ValidStackName(f.stack) {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--stack %q", f.stack), Remedy: "name the stack that the plan or the state is of"}
	}
	return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
		c, err := a.Config()
		if err != nil {
			return err
		}
		key, err := wire.SealingKey(c.DataDir())
		if err != nil {
			return err
		}
		read, err := readOnce(ctx, a.In, "", f, key)
		if err != nil {
			return err
		}
		var lines bytes.Buffer
		for i := range read {
			if err := (wire.Codec{}).Encode(&lines, &read[i]); err != nil {
				return err
			}
		}
		name := cmp.Or(f.plan, f.state)
		report, err := s.Ingest(ctx, &lines, "tofu")
		if err != nil {
			return err
		}
		if a.Output == "json" {
			return a.JSON(map[string]penumbra.IngestReport{name: report})
		}
		a.showIngest(name, report)
		return nil
	})
}

func (a *app) ingest(ctx context.Context, s *console.Service, name string) (penumbra.IngestReport, error) {
	if name == "-" {
		return s.Ingest(ctx, a.In, "stdin")
	}
	f, err := os.Open(name)
	if err != nil {
		return penumbra.IngestReport{}, &penumbra.Error{Kind: penumbra.Missing, What: "read a timeline", Remedy: "check the file's name", Err: err}
	}
	defer f.Close()
	r, end := a.Reading(filepath.Base(name), f, console.SizeOf(f))
	defer end()
	return s.Ingest(ctx, r, filepath.Base(name))
}

func (a *app) showIngest(name string, r penumbra.IngestReport) {
	fmt.Fprintf(a.Out, "%s: %d lines, %d new, %d known already, %d kept aside\n", name, r.Lines, r.Added, r.Repeated, r.Bad)
	if r.Values > 0 {
		fmt.Fprintf(a.Out, "  %d values of metrics were watched and are not kept one by one\n", r.Values)
	}
	for _, b := range r.BadLines {
		fmt.Fprintf(a.Out, "  line %d: %s\n", b.Line, b.Reason)
	}
	if more := r.Bad - len(r.BadLines); more > 0 {
		fmt.Fprintf(a.Out, "  and %d more\n", more)
	}
}

func (a *app) exportCommand() *cobra.Command {
	var q penumbra.ObservationQuery
	var resource, from, to, file string
	var kinds []string
	cmd := &cobra.Command{
		Use:     "export",
		GroupID: "data",
		Short:   "Write timelines out as JSON Lines",
		Long: `Writes observations in order of time, in the format that ingest reads. Sensitive
values are the keyed hashes that are stored, never the values.`,
		Example: `  penumbra export --file history.jsonl
  penumbra export --stack shop --from 2026-03-01T00:00:00Z | gzip > shop.jsonl.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Resource = penumbra.Address(resource)
			var err error
			if q.From, err = words.ParseTime("--from", from); err != nil {
				return err
			}
			if q.To, err = words.ParseTime("--to", to); err != nil {
				return err
			}
			for _, name := range kinds {
				var k penumbra.ObservationKind
				if err := k.UnmarshalText([]byte(name)); err != nil {
					return &penumbra.Error{Kind: penumbra.Invalid, What: "--kind: " + err.Error()}
				}
				q.Kinds = append(q.Kinds, k)
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error { return a.export(ctx, s, q, file) })
		},
	}
	cmd.Flags().StringVar(&q.Stack, "stack", "", "only this stack")
	cmd.Flags().StringVar(&resource, "resource", "", "only this resource")
	cmd.Flags().StringVar(&from, "from", "", "happened at this time (RFC 3339) or later")
	cmd.Flags().StringVar(&to, "to", "", "happened before this time (RFC 3339)")
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "only these kinds: template, snapshot, event, metric")
	cmd.Flags().StringVar(&file, "file", "", "write to this file (default: standard output)")
	_ = cmd.RegisterFlagCompletionFunc("resource", a.CompleteAddresses)
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"template", "snapshot", "event", "metric"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) export(ctx context.Context, s *console.Service, q penumbra.ObservationQuery, file string) (err error) {
	out := a.Out
	if file != "" {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return &penumbra.Error{Kind: penumbra.Refused, What: "write the export", Remedy: "name a file that you may write", Err: err}
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	w := bufio.NewWriterSize(out, 1<<16)
	n, err := s.Export(ctx, q, w)
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	switch {
	case file == "":
	case a.Output == "json":
		return a.JSON(map[string]any{"file": file, "observations": n})
	default:
		fmt.Fprintf(a.Out, "%d observations written to %s.\n", n, file)
	}
	return nil
}
