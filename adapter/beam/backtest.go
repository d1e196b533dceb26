package beam

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/families"
	"github.com/penumbra-iac/penumbra/timeline"
)

func init() {
	register.DoFn3x1[int, func(*[]byte) bool, func(int, []byte), error](&surveyFn{})
	register.DoFn3x1[context.Context, int, func(*[]byte) bool, error](&joinSurveysFn{})
	register.DoFn4x1[context.Context, int, func(*[]byte) bool, func(int, []byte), error](&replayFn{})
	register.DoFn3x1[context.Context, int, func(*[]byte) bool, error](&joinFn{})
}

// Backtest says which models are judged on which history, and what they are asked.
type Backtest struct {
	Files  []string // timelines, see [Scoring]
	Out    string   // file for the report, a [backtest.Report] as JSON
	Shards int      // parts of the fleet that are replayed by themselves, 4 if 0
	Judging
}

// Judging is what every worker has to know of a backtest.
type Judging struct {
	Models    []string // families, see [families.Starts]
	Untrained bool     // they start from nothing, also where a trained model ships
	// Options are those of [backtest.Run] but for Verdicts and Progress.
	Options backtest.Options
	// Thresholds and Confidence are those of the verdicts, which are scored where
	// there are snapshots.
	Thresholds drift.Thresholds
	Confidence float64
	Verdicts   bool // are scored
}

// entrants are the models, and the regression that is there to be beaten.
func (j *Judging) entrants() []backtest.Entrant {
	var out []backtest.Entrant
	for _, name := range j.Models {
		m := families.Starts[name](j.Options.Seed)
		if j.Untrained {
			m = families.Untrained(name, j.Options.Seed)
		}
		out = append(out, backtest.Entrant{Name: name, Model: m})
	}
	return append(out, backtest.Entrant{Name: "logistic", Model: backtest.NewPeer(), Baseline: true})
}

// options are those of the backtest, with verdicts where they are scored.
func (j *Judging) options() (backtest.Options, error) {
	o := j.Options
	if !j.Verdicts {
		return o, nil
	}
	judge, err := drift.NewJudge(j.Thresholds)
	if err != nil {
		return o, err
	}
	o.Verdicts = &backtest.Verdicts{Judge: judge, Fold: timeline.Fold, Confidence: j.Confidence}
	return o, nil
}

// packed is a Judging as JSON: Beam has no schema for options with functions.
type packed []byte

func (j *Judging) pack() (packed, error) { return json.Marshal(j) }

func (p packed) judging() (*Judging, error) {
	j := &Judging{}
	return j, json.Unmarshal(p, j)
}

// surveyFn goes over the history of one shard.
type surveyFn struct{ Judging packed }

// ProcessElement surveys one shard.
func (f *surveyFn) ProcessElement(_ int, lines func(*[]byte) bool, emit func(int, []byte)) error {
	past, err := history(lines)
	if err != nil {
		return err
	}
	j, err := f.Judging.judging()
	if err != nil {
		return err
	}
	progress.Add(1)
	out, err := json.Marshal(backtest.SurveyOf(each(past), &j.Options))
	if err != nil {
		return err
	}
	emit(0, out)
	return nil
}

// joinSurveysFn writes the survey of the fleet.
type joinSurveysFn struct{ File string }

// ProcessElement joins all surveys.
func (f *joinSurveysFn) ProcessElement(_ context.Context, _ int, parts func(*[]byte) bool) error {
	var all []*backtest.Survey
	for data := range yielded(parts) {
		x := &backtest.Survey{}
		if err := json.Unmarshal(data, x); err != nil {
			return err
		}
		all = append(all, x)
	}
	out, err := json.Marshal(backtest.JoinSurveys(all))
	if err != nil {
		return err
	}
	return replace(f.File, out)
}

// replayFn asks the models about the history of one shard, and lets them learn it.
type replayFn struct{ Judging packed }

// ProcessElement replays one shard.
func (f *replayFn) ProcessElement(ctx context.Context, shard int, lines func(*[]byte) bool, emit func(int, []byte)) error {
	past, err := history(lines)
	if err != nil {
		return err
	}
	j, err := f.Judging.judging()
	if err != nil {
		return err
	}
	o, err := j.options()
	if err != nil {
		return err
	}
	o.Progress = func(float64) { progress.Add(1) }
	part, err := backtest.Replay(ctx, each(past), j.entrants(), o)
	if err != nil {
		return err
	}
	for data, err := range part.Pieces(shard) {
		if err != nil {
			return err
		}
		emit(0, data)
	}
	return nil
}

// joinFn writes the report of the fleet.
type joinFn struct {
	Judging packed
	File    string
}

// ProcessElement joins the pieces of all shards.
func (f *joinFn) ProcessElement(ctx context.Context, _ int, pieces func(*[]byte) bool) error {
	j, err := f.Judging.judging()
	if err != nil {
		return err
	}
	o, err := j.options()
	if err != nil {
		return err
	}
	report, err := backtest.Join(ctx, yielded(pieces), j.entrants(), o)
	if err != nil {
		return err
	}
	out, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return replace(f.File, out)
}

// each yields pointers to observations.
func each(all []penumbra.Observation) iter.Seq[*penumbra.Observation] {
	return func(yield func(*penumbra.Observation) bool) {
		for i := range all {
			if !yield(&all[i]) {
				return
			}
		}
	}
}

// yielded yields what Beam's iterator has, each in memory of its own.
func yielded(next func(*[]byte) bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			var data []byte
			if !next(&data) || !yield(data) {
				return
			}
		}
	}
}

// RunBacktest replays each shard of a fleet into models of its own, joins all their
// answers in one worker, and writes the report that one process would make of the
// same answers. A first job surveys the fleet, so that all shards are cut at the same times.
// It returns an error of kind Invalid if the backtest lacks something.
func RunBacktest(ctx context.Context, b Backtest, r Runner) (Result, error) {
	if b.Shards <= 0 {
		b.Shards = 4
	}
	switch {
	case len(b.Files) == 0:
		return Result{}, invalid("backtest without a timeline", "name timeline files")
	case b.Out == "":
		return Result{}, invalid("backtest without a file for the report", "name one")
	case len(b.Models) == 0:
		return Result{}, invalid("backtest without a model", "name families of models")
	}
	for _, name := range b.Models {
		if families.Starts[name] == nil {
			return Result{}, invalid(fmt.Sprintf("backtest of a family of models %q, of which there is none", name), "name others")
		}
	}
	out := absolute([]string{b.Out})[0]
	key := newKey()
	aside := asideOf(out)
	_ = os.Remove(aside) // of an earlier backtest
	inputs, err := spread(ctx, absolute(b.Files))
	if err != nil {
		return Result{}, err
	}
	sharded := func(root beam.Scope) beam.PCollection {
		return beam.GroupByKey(root, beam.ParDo(root.Scope("shard"), &assignFn{b.Shards}, observations(root, inputs, &readFn{Key: key, ByFamily: true}, aside)))
	}
	survey, result, err := b.survey(ctx, r, out+".survey", sharded)
	if err != nil {
		return result, err
	}
	if err := b.Options.Plan(survey); err != nil {
		return result, err
	}
	b.Verdicts = survey.Snapshots
	judging, err := b.pack()
	if err != nil {
		return result, err
	}
	p, root := beam.NewPipelineWithRoot()
	pieces := beam.ParDo(root.Scope("replay"), &replayFn{judging}, sharded(root))
	beam.ParDo0(root.Scope("join"), &joinFn{judging, out}, beam.GroupByKey(root, pieces))
	result, err = r.run(ctx, p, fmt.Sprintf("cuts asked, of %d in each of %d shards", b.Options.Cuts(), b.Shards))
	result.keptAside(aside)
	return result, err
}

// survey finds what the times of the cuts depend on.
func (b *Backtest) survey(ctx context.Context, r Runner, file string, sharded func(beam.Scope) beam.PCollection) (*backtest.Survey, Result, error) {
	defer os.Remove(file)
	judging, err := b.pack()
	if err != nil {
		return nil, Result{}, err
	}
	p, root := beam.NewPipelineWithRoot()
	parts := beam.ParDo(root.Scope("survey"), &surveyFn{judging}, sharded(root))
	beam.ParDo0(root.Scope("join surveys"), &joinSurveysFn{file}, beam.GroupByKey(root, parts))
	result, err := r.run(ctx, p, "shards surveyed")
	if err != nil {
		return nil, result, err
	}
	survey := &backtest.Survey{}
	data, err := os.ReadFile(file)
	switch {
	case os.IsNotExist(err) && result.Observations == 0: // nothing was there to survey
		return survey, result, nil
	case err != nil:
		return nil, result, &penumbra.Error{Kind: penumbra.Missing, What: "read what the survey found", Remedy: "name a file that is on every worker and here", Err: err}
	}
	return survey, result, json.Unmarshal(data, survey)
}
