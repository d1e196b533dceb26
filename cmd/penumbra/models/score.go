package models

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	adapter "github.com/penumbra-iac/penumbra/adapter/postgres"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// scoreFlags are what is asked of a scoring.
type scoreFlags struct {
	fleet      fleetFlags
	checkpoint string
	at, out    string
	format     string
	leftOut    string
	confidence float64
	shards, n  int
	keep       int
}

// scoreFormats are the endings of files of scores.
var scoreFormats = []string{"jsonl.gz", "parquet"}

func (a *app) scoreCommand() *cobra.Command {
	var f scoreFlags
	cmd := &cobra.Command{
		Use:     "score [FILE|DATABASE]...",
		GroupID: "data",
		Short:   "Score every resource of a fleet, on as many machines as there are",
		Long: `Asks a model about every resource of timeline files: what each setting is expected
to be, and how likely it is to leave within an hour to 30 days, with the verdict on
what is there. The model is a checkpoint, as ` + "`penumbra train --file`" + ` writes
one; it is asked and learns nothing.

The work is a pipeline of Apache Beam: on this machine (prism), or on Spark or Flink
through Beam's job server. It is done by penumbra-beam, which lies beside penumbra
or on the PATH. Files are those of a file system that all workers share, JSON Lines
or Parquet by their ending; a database is the URL of a PostgreSQL one that Penumbra
keeps its store in, the configured one where nothing is named. Where a line cannot be
read is kept in left-out.jsonl beside the scores.

Scores are files in a folder, or rows in such a database, the configured one without
--out: in its table scores, each under the job's number, beside a daemon that goes on.
A job is whole once its row in scoring_jobs has an end. The last ones stay there, as
--keep says. Where a line cannot be read is kept in the file that --left-out names.`,
		Example: `  penumbra score --checkpoint model --out scores/ fleet.jsonl.gz
  penumbra score --checkpoint model --out scores/ --runner spark --endpoint 127.0.0.1:8099 part-*.jsonl.gz
  penumbra score --checkpoint model --out scores/ --format parquet fleet.parquet
  penumbra score --checkpoint model --out scores/ postgres://penumbra@db.example/penumbra
  penumbra score --checkpoint model --out postgres://penumbra@db.example/penumbra fleet.parquet
  zcat scores/scores-*.jsonl.gz | jq -r 'select(.leave[3] > 0.5).resource'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			args, err := a.pastOf(args)
			if err != nil {
				return err
			}
			if err := a.placeOf(cmd, &f); err != nil {
				return err
			}
			return a.score(cmd.Context(), &f, args)
		},
	}
	flags := cmd.Flags()
	f.fleet.add(cmd, "prism")
	flags.StringVar(&f.checkpoint, "checkpoint", "", "file of the model (required)")
	flags.StringVar(&f.out, "out", "", "folder for the scores, or URL of a PostgreSQL database that a store is in (default: the configured one)")
	flags.StringVar(&f.at, "at", "", "the time that is asked about, RFC 3339 (default: now)")
	flags.Float64Var(&f.confidence, "confidence", 0.95, "confidence of the prediction sets")
	flags.IntVar(&f.shards, "shards", 8, "files of scores, or transactions into a database")
	flags.StringVar(&f.leftOut, "left-out", "", "file for where what cannot be read is (default: left-out.jsonl in the folder)")
	flags.IntVar(&f.keep, "keep", 3, "scorings that stay in a database, this one too")
	flags.StringVar(&f.format, "format", scoreFormats[0], "form of the files of scores: "+strings.Join(scoreFormats, ", "))
	flags.IntVar(&f.n, "top", 10, "how many of the likeliest to leave are shown")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(scoreFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagRequired("checkpoint")
	return cmd
}

// placeOf sees where the scores go: what is named, or the database that the store is in.
func (a *app) placeOf(cmd *cobra.Command, f *scoreFlags) error {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
	}
	if f.out == "" {
		var err error
		f.out, err = a.database("no place for the scores is named, and the store is a file, which workers cannot write", "name a folder or a PostgreSQL database with --out")
		if err != nil {
			return err
		}
	}
	switch database := postgres.IsURL(f.out); {
	case database && adapter.HasPassword(f.out): // which others would see on the worker's command line
		return invalid("--out holds a password", "put it in PENUMBRA_STORE_PASSWORD, or in a file that PENUMBRA_STORE_PASSWORD_FILE names")
	case database && cmd.Flags().Changed("format"):
		return invalid("--format with a database", "leave one of them out")
	case !database && cmd.Flags().Changed("keep"):
		return invalid("--keep with a folder", "leave it out: nothing in a folder is removed")
	case f.keep < 1:
		return invalid("--keep below 1", "give 1 or more")
	}
	return nil
}

// fleetScores is what came of a scoring, in short.
type fleetScores struct {
	fleetResult
	Out string `json:"out"`
	scoreSummary
}

// scoreSummary is what the worker says of the scores that it wrote.
type scoreSummary struct {
	Resources int            `json:"resources"`
	Findings  map[string]int `json:"findings"` // by verdict
	Likeliest []likely       `json:"likeliest"`
}

type likely struct {
	Resource penumbra.Address                `json:"resource"`
	Type     string                          `json:"type"`
	Leave    [len(penumbra.Horizons)]float64 `json:"leave"`
}

// shownHorizon is the horizon that the likeliest to leave are ordered by: 7 days.
const shownHorizon = 3

func (a *app) score(ctx context.Context, f *scoreFlags, files []string) error {
	at := time.Now().UTC()
	if f.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--at %q", f.at), Remedy: "give a time such as 2026-03-01T00:00:00Z"}
		}
	}
	asked := []string{
		"-checkpoint=" + f.checkpoint, "-out=" + f.out, "-at=" + at.Format(time.RFC3339),
		"-confidence=" + strconv.FormatFloat(f.confidence, 'g', -1, 64), "-shards=" + strconv.Itoa(f.shards),
		"-left-out=" + f.leftOut, "-top=" + strconv.Itoa(f.n),
	}
	if postgres.IsURL(f.out) {
		asked = append(asked, "-keep="+strconv.Itoa(f.keep))
	} else {
		stale, err := filepath.Glob(filepath.Join(f.out, "scores-*"))
		if err == nil && len(stale) > 0 {
			return &penumbra.Error{Kind: penumbra.Invalid, What: "there are scores in " + f.out + " already", Remedy: "name another folder with --out, or remove them"}
		}
		asked = append(asked, "-format="+f.format)
	}
	result, err := a.onFleet(ctx, &f.fleet, "score", append(asked, named(files)...))
	if err != nil {
		return err
	}
	out := fleetScores{fleetResult: result, Out: f.out}
	if out.Scores != nil {
		out.scoreSummary, out.Scores = *out.Scores, nil
	}
	if a.Output == "json" {
		return a.JSON(out)
	}
	place := f.out
	if out.Job > 0 {
		place = fmt.Sprintf("%s, as job %d", out.Where, out.Job)
	}
	fmt.Fprintf(a.Out, "%d resources of %d observations scored into %s.\n", out.Resources, out.Observations, place)
	a.tellLeftOut(&out.fleetResult, "--left-out")
	for v := penumbra.Drifted; v > penumbra.InSync; v-- {
		if n := out.Findings[v.String()]; n > 0 {
			fmt.Fprintf(a.Out, "%s: %d settings\n", a.Verdict(v), n)
		}
	}
	if len(out.Likeliest) > 0 {
		fmt.Fprintf(a.Out, "\nLikeliest to leave within %s:\n", penumbra.HorizonNames[shownHorizon])
		w := a.Table("RESOURCE", "TYPE", "1d", "7d", "30d")
		for _, x := range out.Likeliest {
			w.AppendRow(table.Row{x.Resource, x.Type, fmt.Sprintf("%.3f", x.Leave[2]), fmt.Sprintf("%.3f", x.Leave[3]), fmt.Sprintf("%.3f", x.Leave[4])})
		}
		w.Render()
	}
	return nil
}
