package models

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/timelines"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

// trainFlags are what is asked of a training.
type trainFlags struct {
	models             []string
	git                []string
	mine               timelines.MineOptions
	store, keep        bool
	seed               uint64
	window             float64
	sample             uint32
	portable, file, by string
	fleet              fleetFlags
	shards, rounds     int
}

func (a *app) trainCommand() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:     "train [FILE...]",
		GroupID: "model",
		Short:   "Train the model, and keep it as a version",
		Long: `Trains candidates for the model that keeps the shadow: on your own past, which is
what the store holds, after other histories if some are named. Each candidate is
then held against the model that serves, on the latest part of your own past: all
are asked first and learn afterwards. The best candidate is kept as a version.

With ` + "`model: auto`" + ` in the configuration a version that beats the model that serves
is promoted at once, of whichever family it is; otherwise ` + "`penumbra model promote`" + `
does that. With too little history nothing is chosen, and the simplest family
serves.

With --runner the mixture is trained from the named histories on as many machines
as there are: each shard of the fleet learns by itself, what they have learnt is
averaged, and in the next round each starts from that. See docs/scale.md for what
that costs in quality.

With --portable what holds in other estates too is written to a file, weights
without any name, address or value; this is how the model that ships was made.`,
		Example: `  penumbra train                              # on your own past
  penumbra train --git infra/                 # after the past of its repository
  penumbra train other-estate.jsonl.gz        # after that of another estate
  penumbra train --model mixture --seed 2 --keep
  penumbra train --runner prism --shards 4 fleet-*.jsonl.gz
  penumbra train --runner prism --shards 4    # on the database that the store is in
  penumbra train --portable shipped.bin a.jsonl.gz b.jsonl.gz`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			if f.fleet.runner != "" {
				var err error
				if args, err = a.pastOf(args); err == nil {
					err = f.forFleet()
				}
				if err != nil {
					return err
				}
			}
			if f.portable != "" {
				return a.trainPortable(cmd.Context(), &f, args)
			}
			away, err := a.isElsewhere()
			if err != nil {
				return err
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				if away {
					n, err := f.asTask(args)
					if err != nil {
						return err
					}
					return a.follow(ctx, s, n)
				}
				t, err := a.train(ctx, s, &f, args)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(t)
				}
				a.showTrained(t)
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.models, "model", nil, "the families to train (default: all, or the one that the configuration fixes)")
	flags.BoolVar(&f.store, "store", true, "learn from the store, which is your own past")
	flags.Uint64Var(&f.seed, "seed", wire.ServedSeed, "seed of all that is drawn")
	flags.Float64Var(&f.window, "window", servedWindow, "share of the time span, the latest, that candidates are scored on")
	flags.Uint32Var(&f.sample, "sample", 0, "score on one resource in so many")
	flags.BoolVar(&f.keep, "keep", false, "keep the version that serves, also if the new one beats it")
	flags.StringVar(&f.file, "file", "", "also write what the version starts from to this file")
	flags.StringVar(&f.portable, "portable", "", "train the mixture from nothing and write what holds elsewhere too to this file; no version is kept")
	flags.StringArrayVar(&f.git, "git", nil, "learn from the history of the git repository, or the folder of one, in this folder; may be repeated")
	f.mine.Flags(cmd)
	f.fleet.add(cmd, "")
	flags.IntVar(&f.shards, "shards", 4, "with --runner: parts of the fleet that learn by themselves")
	flags.IntVar(&f.rounds, "rounds", 1, "with --runner: of learning and averaging")
	_ = cmd.RegisterFlagCompletionFunc("model", cobra.FixedCompletions(wire.FamilyNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// servedWindow is the share of the time span, the latest, that candidates are scored on
// where nobody says. A judgement.
const servedWindow = 0.2

// check holds the flags to what they may be.
func (f *trainFlags) check() error {
	for _, name := range f.models {
		if wire.Families[name] == nil {
			return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--model %q", name), Remedy: "use " + strings.Join(wire.FamilyNames(), ", ")}
		}
	}
	if !(f.window > 0 && f.window < 1) {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--window %v", f.window), Remedy: "give a share between 0 and 1, such as 0.2"}
	}
	return nil
}

// others reads the histories that are not the estate's own, and names them.
func (a *app) others(ctx context.Context, c *wire.Config, f *trainFlags, files []string) ([]*penumbra.Observation, []string, error) {
	all, err := timelines.Read(ctx, a.Console, c, false, files)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, name := range files {
		names = append(names, filepath.Base(name))
	}
	for _, dir := range f.git {
		mined, err := timelines.Mined(ctx, a.Console, dir, f.mine)
		if err != nil {
			return nil, nil, err
		}
		for i := range mined {
			all = append(all, &mined[i])
		}
		names = append(names, "git "+filepath.Base(dir))
	}
	slices.SortStableFunc(all, func(x, y *penumbra.Observation) int { return x.Time.Compare(y.Time) })
	return all, names, nil
}

// trainPortable trains the mixture from nothing on histories, all at once in the
// order of time, and writes what it has learnt that holds elsewhere.
func (a *app) trainPortable(ctx context.Context, f *trainFlags, files []string) error {
	c, err := a.Config()
	if err != nil {
		return err
	}
	if len(files)+len(f.git) == 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "--portable without a history", Remedy: "name timelines to train from"}
	}
	history, names, err := a.others(ctx, c, f, files)
	if err != nil {
		return err
	}
	m := mixture.New(mixture.Options{Seed: f.seed})
	began := time.Now()
	if err := a.observing(ctx, "train", m, history); err != nil {
		return err
	}
	took := time.Since(began)
	var b bytes.Buffer
	if _, err := m.WriteKnowledge(&b); err != nil {
		return err
	}
	if err := writeFile(f.portable, b.Bytes()); err != nil {
		return err
	}
	pool := m.Pool()
	pool.Types = nil // they are not in the file
	if a.Output == "json" {
		return a.JSON(struct {
			File         string             `json:"file"`
			Bytes        int                `json:"bytes"`
			Sources      []string           `json:"sources"`
			Observations int                `json:"observations"`
			Seed         uint64             `json:"seed"`
			Took         time.Duration      `json:"took_ns"`
			Pool         penumbra.ModelPool `json:"pool"`
		}{f.portable, b.Len(), names, len(history), f.seed, took, pool})
	}
	fmt.Fprintf(a.Out, "%s: %d bytes, trained from %s, %d observations in %v, seed %d, %.0f questions learnt from.\n",
		f.portable, b.Len(), strings.Join(names, ", "), len(history), took.Round(time.Second), f.seed, pool.Examples)
	return nil
}

func writeFile(name string, data []byte) error {
	if err := renameio.WriteFile(name, data, 0o644); err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: "write " + name, Remedy: "name a file that you may write", Err: err}
	}
	return nil
}

// observing lets a model learn a history, with a bar.
func (a *app) observing(ctx context.Context, label string, m interface{ Observe(*penumbra.Observation) }, history []*penumbra.Observation) error {
	progress, end := a.Progressing(label)
	defer end()
	for i, o := range history {
		if i%1000 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if progress != nil {
				progress(float64(i) / float64(len(history)))
			}
		}
		m.Observe(o)
	}
	return nil
}

// candidate is a model on trial.
type candidate struct {
	name, family string
	body         []byte // what it starts from, nil if as it ships
}

// trained is what a training has found.
type trained struct {
	Version  *penumbra.ModelVersion `json:"version,omitempty"` // kept, nil if there is nothing to keep
	Promoted bool                   `json:"promoted"`
	Sentence string                 `json:"sentence"`
	Report   *backtest.Report       `json:"report,omitempty"` // of the latest window
	models   []candidate
	// firstDay reports that there is no past but that of the repository, from which
	// the candidates start and on which the families were compared.
	firstDay bool
}

// train makes candidates, holds them against the model that serves, and keeps
// the best.
func (a *app) train(ctx context.Context, s api.Modeller, f *trainFlags, files []string) (*trained, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	c, err := a.Config()
	if err != nil {
		return nil, err
	}
	read := files
	if f.fleet.runner != "" {
		read = nil // the workers read them
	}
	others, names, err := a.others(ctx, c, f, read)
	if err != nil {
		return nil, err
	}
	own, err := a.own(ctx, c, f)
	if err != nil {
		return nil, err
	}
	st, err := s.Model(ctx)
	if err != nil {
		return nil, err
	}
	if f.models == nil {
		f.models = wire.FamilyNames()
		if st.Configured != engine.AutoModel {
			f.models = []string{st.Configured}
		}
	}
	observations := len(others) + len(own)
	var t *trained
	if f.fleet.runner != "" {
		var learnt int64
		t, learnt, err = a.fleetCandidate(ctx, f, files)
		for _, name := range files {
			names = append(names, filepath.Base(name))
		}
		observations += int(learnt)
	} else {
		t, err = a.candidates(ctx, f, others, own)
	}
	if err != nil {
		return nil, err
	}
	if own != nil {
		names = append(names, "the store")
	}
	past := own
	if len(own) == 0 && len(f.git) > 0 {
		// On the first day the repository's past is the estate's own: the families are
		// held against each other on it, as if none had seen it.
		past, t.firstDay = others, true
	}
	if err := a.compare(ctx, f, &st, t, past); err != nil {
		return nil, err
	}
	return t, a.keepVersion(ctx, s, f, &st, t, names, observations)
}

// own is the estate's own past, nil if there is none.
func (a *app) own(ctx context.Context, c *wire.Config, f *trainFlags) ([]*penumbra.Observation, error) {
	if !f.store {
		return nil, nil
	}
	own, err := timelines.Read(ctx, a.Console, c, true, nil)
	if penumbra.KindOf(err) == penumbra.NotFound || len(own) == 0 {
		return nil, nil
	}
	return own, err
}

// candidates makes what each family starts from.
func (a *app) candidates(ctx context.Context, f *trainFlags, others, own []*penumbra.Observation) (*trained, error) {
	t := &trained{}
	before := time.Now()
	if len(own) > 0 {
		before = own[0].Time
	}
	for _, family := range f.models {
		x := candidate{name: family, family: family}
		if len(others) > 0 || f.seed != wire.ServedSeed && family == "mixture" {
			m := wire.Families[family](f.seed)
			backtest.Train(m, slices.Values(others), before)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			var b bytes.Buffer
			if _, err := m.WriteTo(&b); err != nil {
				return nil, err
			}
			x.body = b.Bytes()
		}
		t.models = append(t.models, x)
	}
	return t, nil
}

// leastLeft is how many settings have to have left in the window for a choice
// between models to rest on something: with fewer an interval says little. A
// judgement.
const leastLeft = 50

// serves is the name of the model that serves in a comparison.
const serves = "what serves"

// compare holds the candidates against the model that serves, on the latest part
// of the estate's own past.
func (a *app) compare(ctx context.Context, f *trainFlags, st *penumbra.ModelStatus, t *trained, own []*penumbra.Observation) error {
	if len(own) == 0 {
		t.Sentence = "There is no past of your own yet to choose by, so the model that serves stays."
		return nil
	}
	body, err := a.servingBody(ctx, st)
	if err != nil {
		return err
	}
	models := []candidate{{name: serves, family: st.Family, body: body}}
	for _, x := range t.models {
		if x.family != st.Family || !bytes.Equal(x.body, body) { // else it is the one that serves
			models = append(models, x)
		}
	}
	t.models = models[1:]
	entrants := make([]backtest.Entrant, len(models))
	for i, x := range models {
		from := x.body
		if t.firstDay {
			from = nil // it has seen what is asked
		}
		m, err := wire.NewFamily(x.family, from)
		if err != nil {
			return err
		}
		entrants[i] = backtest.Entrant{Name: x.name, Model: m}
	}
	o := backtest.Options{Warmup: 1 - f.window, Seed: f.seed, Bootstrap: 500, NoValues: len(own) > scoredPast, Sample: f.sample, Horizons: []int{len(penumbra.Horizons) - 1}}
	progress, end := a.Progressing("train")
	o.Progress = progress
	t.Report, err = backtest.Run(ctx, slices.Values(own), entrants, o)
	end()
	if penumbra.KindOf(err) == penumbra.Invalid {
		t.Report = nil
		t.Sentence = "Your own past is too short to choose by, so the model that serves stays: " + sentence(err)
		return nil
	}
	return err
}

func sentence(err error) string {
	var e *penumbra.Error
	if errors.As(err, &e) {
		return e.What
	}
	return err.Error()
}

// servingBody is what the active version starts from, nil if none is active.
func (a *app) servingBody(ctx context.Context, st *penumbra.ModelStatus) ([]byte, error) {
	if st.Version == 0 {
		return nil, nil
	}
	c, err := a.Config()
	if err != nil {
		return nil, err
	}
	store, err := c.OpenToRead(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	body, err := store.VersionBody(ctx, st.Version)
	if len(body) == 0 {
		body = nil
	}
	return body, err
}

// best returns the candidate that is the best by the report, and whether it
// beats what serves, and why. It is nil if there is none.
func (t *trained) best() (x *candidate, better bool, why string) {
	if len(t.models) == 0 {
		return nil, false, "The model that serves is the only one there is: it has learnt your past as it went. Name another history, a family or a seed to train a candidate."
	}
	if t.firstDay && (t.Report == nil || len(t.Report.Change) == 0) {
		return &t.models[0], true, fmt.Sprintf("The repository's past is too short to choose by, so %s, the simplest, starts from it.", t.models[0].family)
	}
	if t.Report == nil || len(t.Report.Change) == 0 {
		for i := range t.models {
			if t.models[i].body != nil {
				return &t.models[i], false, t.Sentence
			}
		}
		return nil, false, t.Sentence
	}
	c := &t.Report.Change[len(t.Report.Change)-1]
	if t.firstDay {
		return t.first(c)
	}
	if c.Left < leastLeft {
		return nil, false, fmt.Sprintf("Only %d settings left in the latest window, too few to choose by (%d are needed): the model that serves stays, which without a version is %s, the simplest.", c.Left, leastLeft, engine.FirstFamily)
	}
	for i := range t.models {
		if s := c.Score(t.models[i].name); x == nil || *s.LogLoss < *c.Score(x.name).LogLoss {
			x = &t.models[i]
		}
	}
	better, why = c.Better(x.name, serves)
	return x, better, strings.TrimSpace(why)
}

// first returns the family that won on the repository's past, started from it:
// there is nothing else to know of the estate, so it is better than nothing. With
// too little to choose by, that is the simplest.
func (t *trained) first(c *backtest.Change) (x *candidate, better bool, why string) {
	if c.Left < leastLeft {
		return &t.models[0], true, fmt.Sprintf("Only %d settings left in the latest window of the repository's past, too few to choose by (%d are needed), so %s, the simplest, starts from it.", c.Left, leastLeft, t.models[0].family)
	}
	x = &t.models[0]
	for i := range t.models[1:] {
		if ahead, _ := c.Better(t.models[i+1].name, x.name); ahead {
			x = &t.models[i+1]
		}
	}
	return x, true, fmt.Sprintf("On the latest window of the repository's past %s is the model to use (log loss %.5f, PR-AUC %.3f within %s), so it starts from that past.",
		x.family, *c.Score(x.name).LogLoss, c.Score(x.name).PR, c.Horizon)
}

// keepVersion keeps the best candidate as a version, and promotes it if the
// configuration leaves the choice to the evidence and that is for it.
func (a *app) keepVersion(ctx context.Context, s api.Modeller, f *trainFlags, st *penumbra.ModelStatus, t *trained, names []string, observations int) error {
	x, better, why := t.best()
	t.Sentence = why
	if x == nil {
		return nil
	}
	v := penumbra.ModelVersion{Family: x.family, Sources: names, Observations: observations, Seed: f.seed, Why: why, By: f.by}
	if t.Report != nil && len(t.Report.Change) > 0 {
		v.Score = t.score(x, st, better)
	}
	if f.file != "" {
		if err := writeFile(f.file, x.body); err != nil {
			return err
		}
	}
	v, err := s.AddVersion(ctx, v, x.body)
	if err != nil {
		return err
	}
	t.Version = &v
	if !better || f.keep || st.Configured != engine.AutoModel {
		return nil
	}
	reason := ""
	if t.firstDay {
		reason = why // there may be no score that is better than anything
	}
	v, err = s.Promote(ctx, v.Number, f.by, reason)
	t.Promoted = err == nil
	return err
}

func (t *trained) score(x *candidate, st *penumbra.ModelStatus, better bool) *penumbra.VersionScore {
	c := &t.Report.Change[len(t.Report.Change)-1]
	mine, over := c.Score(x.name), c.Score(serves)
	out := &penumbra.VersionScore{
		From: t.Report.Protocol.From, To: t.Report.Protocol.To, Horizon: c.Horizon, Questions: c.Questions, Left: c.Left,
		LogLoss: *mine.LogLoss, PR: mine.PR, Over: st.Version, OverFamily: st.Family, OverLogLoss: *over.LogLoss, OverPR: over.PR, Better: better,
		Lift: mine.Lift,
	}
	for _, b := range mine.Reliability {
		out.Reliability = append(out.Reliability, penumbra.ReliabilityBin{Said: b.Said, Happened: b.Left, Questions: b.Questions})
	}
	for _, b := range c.Scores {
		if b.Kind != "naive" {
			continue
		}
		base := penumbra.BaselineScore{Name: b.Name, PR: b.PR, Lift: b.Lift}
		if b.LogLoss != nil {
			base.LogLoss = *b.LogLoss
		}
		out.Baselines = append(out.Baselines, base)
	}
	for _, sets := range t.Report.Sets {
		if sets.Name != x.name {
			continue
		}
		for i, all := range sets.All {
			covered := penumbra.SetCoverage{Confidence: all.Confidence, Sets: all.Sets, Covered: all.Covered}
			if i < len(sets.Changed) {
				covered.Changed, covered.ChangedCovered = sets.Changed[i].Sets, sets.Changed[i].Covered
			}
			out.Coverage = append(out.Coverage, covered)
		}
	}
	return out
}

func (a *app) showTrained(t *trained) {
	if t.Report != nil && len(t.Report.Change) > 0 {
		c := &t.Report.Change[len(t.Report.Change)-1]
		fmt.Fprintf(a.Out, "On the latest window, %s to %s: %d questions, %d settings left within %s.\n\n",
			t.Report.Protocol.From.Format(time.DateOnly), t.Report.Protocol.To.Format(time.DateOnly), c.Questions, c.Left, c.Horizon)
		w := a.Table("MODEL", "LOG LOSS", "PR-AUC", "LIFT 1 %")
		for _, x := range append([]candidate{{name: serves}}, t.models...) {
			if s := c.Score(x.name); s != nil && s.LogLoss != nil {
				w.AppendRow(table.Row{x.name, fmt.Sprintf("%.5f", *s.LogLoss), fmt.Sprintf("%.3f", s.PR), fmt.Sprintf("%.1f", s.Lift)})
			}
		}
		w.Render()
		fmt.Fprintln(a.Out)
	}
	fmt.Fprintln(a.Out, t.Sentence)
	switch {
	case t.Version == nil:
	case t.Promoted:
		fmt.Fprintf(a.Out, "Version %d, %s, was promoted and serves. `penumbra model rollback` goes back.\n", t.Version.Number, t.Version.Family)
	default:
		fmt.Fprintf(a.Out, "Kept as version %d, %s. `penumbra model promote %d` would let it serve.\n", t.Version.Number, t.Version.Family, t.Version.Number)
	}
}
