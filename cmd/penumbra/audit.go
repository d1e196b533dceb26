package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", GroupID: "data", Short: "Who did what: list, export and verify the audit log"}
	cmd.AddCommand(a.auditListCommand(), a.auditExportCommand(), a.auditVerifyCommand(), a.auditHeadCommand())
	return cmd
}

// auditFlags select entries.
type auditFlags struct {
	penumbra.AuditQuery
	act, outcome, from, to string
}

func (f *auditFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Principal, "who", "", "only acts of whoever has this name or identifier")
	flags.StringVar(&f.act, "act", "", "only this act; proposal.* stands for all that begin so")
	flags.StringVar(&f.outcome, "outcome", "", "only acts that ended so: done, refused or failed")
	flags.StringVar(&f.Stack, "stack", "", "only acts on this stack")
	flags.StringVar(&f.ID, "on", "", "only acts on this drift, proposal, run, ...")
	flags.StringVar(&f.from, "from", "", "only what was done then or later")
	flags.StringVar(&f.to, "to", "", "only what was done before")
	_ = cmd.RegisterFlagCompletionFunc("outcome", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, o := range penumbra.AuditOutcomes {
			out = append(out, string(o))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
}

func (f *auditFlags) query() (penumbra.AuditQuery, error) {
	f.Act, f.Outcome = penumbra.Act(f.act), penumbra.AuditOutcome(f.outcome)
	if f.outcome != "" && !slices.Contains(penumbra.AuditOutcomes, f.Outcome) {
		return f.AuditQuery, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--outcome %q", f.outcome), Remedy: "use done, refused or failed"}
	}
	for _, end := range []struct {
		flag, text string
		at         *time.Time
	}{{"from", f.from, &f.From}, {"to", f.to, &f.To}} {
		if end.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, end.text)
		if err != nil {
			return f.AuditQuery, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--%s %q", end.flag, end.text), Remedy: "write a time such as 2026-03-01T00:00:00Z", Err: err}
		}
		*end.at = at
	}
	return f.AuditQuery, nil
}

func (a *app) auditListCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List who did what, the newest first",
		Example: `  penumbra audit list
  penumbra audit list --who alice --act 'proposal.*'
  penumbra audit list --outcome refused --from 2026-03-01T00:00:00Z -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query()
			if err != nil {
				return err
			}
			q.Latest = true
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				entries, err := s.AuditEntries(ctx, q)
				if err != nil {
					return err
				}
				header := []any{"NO.", "TIME", "WHO", "ACT", "ON", "OUTCOME", "DETAILS"}
				return console.List(a.Console, entries, "Nothing like that is recorded.", header, a.auditRow)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "at most so many, up to 1000")
	return cmd
}

func (a *app) auditRow(e *penumbra.AuditEntry) []any {
	who, act, outcome := e.Name, string(e.Act), string(e.Outcome)
	switch {
	case who != "":
	case e.Principal != "":
		who = e.Principal
	default:
		who = "nobody known"
	}
	if e.Count > 1 {
		act += fmt.Sprintf(", %d times", e.Count)
	}
	if e.Outcome != penumbra.AuditDone {
		outcome = a.Paint(console.Red, outcome)
	}
	var details []string
	for _, name := range slices.Sorted(maps.Keys(e.Details)) {
		details = append(details, name+": "+e.Details[name])
	}
	on := strings.TrimSpace(e.Target.Stack + " " + e.Target.ID)
	return []any{e.Sequence, e.Time.Format(time.DateTime), who, act, on, outcome, words.Shorten(strings.Join(details, "; "), 60)}
}

func (a *app) auditExportCommand() *cobra.Command {
	var f auditFlags
	var file string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the audit log as JSON Lines, the oldest first",
		Long: `Writes an entry a line. ` + "`penumbra audit verify FILE`" + ` checks an export too, if nothing
was filtered out of its middle.`,
		Example: `  penumbra audit export --file audit.jsonl
  penumbra audit export --from 2026-03-01T00:00:00Z | gzip > march.jsonl.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query()
			if err != nil {
				return err
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) (err error) {
				out := a.Out
				if file != "" {
					made, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
					if err != nil {
						return &penumbra.Error{Kind: penumbra.Refused, What: "write " + file, Remedy: "name a file that can be written", Err: err}
					}
					defer func() { err = errors.Join(err, made.Sync(), made.Close()) }()
					out = made
				}
				return writeEntries(out, audit.All(ctx, s, q))
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&file, "file", "", "file to write (default: standard output)")
	return cmd
}

func writeEntries(w io.Writer, entries iter.Seq2[penumbra.AuditEntry, error]) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return b.Flush()
}

func (a *app) auditVerifyCommand() *cobra.Command {
	var heads []string
	var kept string
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Find out whether anybody has changed the audit log",
		Long: `Holds the audit log, or an export of it, against its chain of hashes, and against
heads that were kept: those in audit.heads of the data directory, or in the file
that ` + "`audit.heads`" + ` in penumbra.yaml or --heads names, and those given with --head. The
first entry that was changed, taken out, put elsewhere or cut off is named, and the
exit code is 1. The database is read directly, beside a daemon that runs.

The key is that of ` + "`audit.key_file`" + `, of PENUMBRA_AUDIT_KEY, or audit.key in the data
directory. Without it the chain is checked and the hashes are not.`,
		Example: `  penumbra audit verify
  penumbra audit verify --head 4711:hmac-sha256:5f0c11aa:7b1c...
  penumbra audit verify audit.jsonl -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.Config()
			if err != nil {
				return err
			}
			if kept != "" {
				if c.Audit.Heads, err = wire.Absolute(kept); err != nil {
					return err
				}
			}
			held, err := headsGiven(c, heads, len(args) > 0 && kept == "", args)
			if err != nil {
				return err
			}
			keys, err := c.AuditKeys(false)
			if err != nil {
				return err
			}
			return a.verifyAudit(cmd.Context(), c, args, keys, held)
		},
	}
	cmd.Flags().StringArrayVar(&heads, "head", nil, "a head that was kept, as `audit head` prints it; may be repeated")
	cmd.Flags().StringVar(&kept, "heads", "", "file of heads that were kept")
	return cmd
}

// headsGiven returns the heads that were kept, and those given. An export ends before
// what was recorded since: heads that nobody named are held against it only up to
// there.
func headsGiven(c *wire.Config, given []string, untilEnd bool, files []string) ([]penumbra.AuditHead, error) {
	held, err := c.AuditHeads().Read()
	if err != nil {
		return nil, err
	}
	if untilEnd {
		last, err := lastOf(files[0])
		if err != nil {
			return nil, err
		}
		held = slices.DeleteFunc(held, func(h penumbra.AuditHead) bool { return h.Sequence > last })
	}
	for _, text := range given {
		h, err := audit.ParseHead(text)
		if err != nil {
			return nil, err
		}
		held = append(held, h)
	}
	return held, nil
}

// lastOf returns the number of the last entry of an export, as far as it can be read.
func lastOf(file string) (last int64, err error) {
	in, err := openExport(file)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	for e, err := range audit.ReadLines(in, file) {
		if err != nil {
			break // verification tells
		}
		last = max(last, e.Sequence)
	}
	return last, nil
}

func openExport(file string) (*os.File, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read " + file, Remedy: "name a file that `penumbra audit export` wrote", Err: err}
	}
	return in, nil
}

func (a *app) verifyAudit(ctx context.Context, c *wire.Config, files []string, keys *audit.Keyring, heads []penumbra.AuditHead) error {
	if err := a.Outputs("human", "json"); err != nil {
		return err
	}
	var entries iter.Seq2[penumbra.AuditEntry, error]
	where := "the audit log"
	if len(files) > 0 {
		where = files[0]
		in, err := openExport(where)
		if err != nil {
			return err
		}
		defer in.Close()
		entries = audit.ReadLines(in, where)
	} else {
		store, err := c.OpenToRead(ctx)
		if err != nil {
			return err
		}
		defer store.Close()
		entries = audit.All(ctx, store, penumbra.AuditQuery{})
	}
	r, err := audit.Verify(entries, keys, heads...)
	if err != nil {
		return err
	}
	if a.Output == "json" {
		if err := a.JSON(r); err != nil {
			return err
		}
	}
	if r.Fault != nil {
		return &penumbra.Error{Kind: penumbra.Damaged, What: fmt.Sprintf("%s: entry %d: %s", where, r.Fault.Sequence, r.Fault.What), Remedy: "keep a copy of the data directory as it is, and compare it with a backup or an export"}
	}
	if a.Output != "json" {
		fmt.Fprintf(a.Out, "%d entries, without a break", r.Entries)
		if r.Heads > 0 {
			fmt.Fprintf(a.Out, ", held against %d kept heads", r.Heads)
		}
		fmt.Fprintln(a.Out, ".")
		if r.Unchecked > 0 {
			fmt.Fprintf(a.Out, "The key of %d entries is not at hand: their order was checked, and not what they say.\n", r.Unchecked)
		} else if n := r.Entries - r.Keyed; n > 0 {
			fmt.Fprintf(a.Out, "%d entries were made without a key: only a head kept elsewhere shows if they were all written anew.\n", n)
		}
		if r.Entries > 0 {
			fmt.Fprintf(a.Out, "Head: %s\n", audit.FormatHead(r.Head))
		}
	}
	return nil
}

func (a *app) auditHeadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "head", Short: "Print the head of the audit log, to be kept elsewhere",
		Long: `Prints number and hash of the last entry as one word. Kept where who can write the
database can't, it shows with ` + "`audit verify --head`" + ` whether entries were cut off or written anew.`,
		Example: "  penumbra audit head\n  penumbra audit head | ssh log.example 'cat >> penumbra.heads'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				h, err := s.AuditHead(ctx)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(h)
				}
				if h.Sequence == 0 {
					return &penumbra.Error{Kind: penumbra.NotFound, What: "the audit log is empty"}
				}
				fmt.Fprintln(a.Out, audit.FormatHead(h))
				return nil
			})
		},
	}
}
