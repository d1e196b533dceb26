package beam

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/timeline"
)

func init() {
	register.DoFn4x1[context.Context, string, func(*[]byte) bool, func(int, []byte), error](&scoreFn{})
	register.Emitter2[int, []byte]()
}

// Scoring says what of a fleet is scored, and by which model.
type Scoring struct {
	Files      []string  // timelines: JSON Lines, which may be compressed with gzip, or Parquet
	Checkpoint string    // file of the model, of any family, which is asked and does not learn
	At         time.Time // the time that is asked about
	Confidence float64   // of the prediction sets, 0.95 if 0
	// Out is a folder for scores-00000-of-00008.jsonl.gz and so on, or the URL of a
	// PostgreSQL database that a store is in.
	Out     string
	Shards  int    // files of scores, or transactions; 8 if 0
	Format  string // of files: jsonl.gz if "", or parquet
	LeftOut string // file for what cannot be read; left-out.jsonl in the folder, and none of a database, if ""
	Keep    int    // scorings that stay in a database, this one too; 3 if 0
	Top     int    // how many of the likeliest to leave the summary has
}

// Scored is what a model says of a resource: one line of a file of scores.
type Scored struct {
	Resource penumbra.Address `json:"resource"`
	Type     string           `json:"type"`
	Time     time.Time        `json:"time"`
	// Leave is, for each of [penumbra.Horizons], the highest probability of leaving
	// among the settings: the least that the probability of any drift can be.
	Leave [len(penumbra.Horizons)]float64 `json:"leave"`
	// Expectations and Forecasts are by setting, in the order of paths.
	Expectations []penumbra.Expectation `json:"expectations"`
	Forecasts    []penumbra.Forecast    `json:"forecasts"`
	// NotChecked is why nothing can be said of drift, "" if something can.
	NotChecked string             `json:"not_checked,omitempty"`
	Findings   []penumbra.Finding `json:"findings,omitempty"`
}

// ScoreResource folds the history of a resource, in the order of
// [timeline.Order], and asks the model about it. It reports false for one that
// has ended.
func ScoreResource(m shadow.Model, observations []penumbra.Observation, at time.Time, confidence float64) (Scored, bool) {
	var r penumbra.Resource
	for i := range observations {
		if !observations[i].Time.After(at) {
			timeline.Fold(&r, &observations[i])
		}
	}
	if r.Address == "" || r.Deleted {
		return Scored{}, false
	}
	out := Scored{
		Resource: r.Address, Type: r.Type, Time: at,
		Expectations: m.Expect(&r, at, confidence), Forecasts: m.Forecast(&r, at),
	}
	a := drift.Assess(&r, out.Expectations, out.Forecasts, nil, drift.DefaultThresholds(), at)
	out.NotChecked, out.Findings = a.NotChecked, a.Findings
	for i := range out.Forecasts {
		for k, p := range out.Forecasts[i].Leave {
			out.Leave[k] = max(out.Leave[k], p)
		}
	}
	return out, true
}

// scoreFn scores resources.
type scoreFn struct {
	Checkpoint string
	At         time.Time
	Confidence float64
	Shards     int
	model      shadow.Model
}

// StartBundle takes a model that nobody else uses meanwhile.
func (f *scoreFn) StartBundle(context.Context, func(int, []byte)) (err error) {
	f.model, err = models.take(f.Checkpoint)
	return err
}

// FinishBundle gives the model back.
func (f *scoreFn) FinishBundle(context.Context, func(int, []byte)) {
	models.giveBack(f.Checkpoint, f.model)
	f.model = nil
}

// ProcessElement scores one resource.
func (f *scoreFn) ProcessElement(_ context.Context, address string, lines func(*[]byte) bool, emit func(int, []byte)) error {
	past, err := history(lines)
	if err != nil {
		return err
	}
	scored, ok := ScoreResource(f.model, past, f.At, f.Confidence)
	if !ok {
		return nil
	}
	line, err := json.Marshal(scored)
	if err != nil {
		return err
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(address))
	emit(int(h.Sum32()%uint32(f.Shards)), append(line, '\n'))
	progress.Add(1)
	return nil
}

// Score scores every resource of the timelines. It returns an error of kind
// Invalid if the scoring lacks something.
func Score(ctx context.Context, s Scoring, r Runner) (Result, error) {
	if err := s.complete(); err != nil {
		return Result{}, err
	}
	if _, err := r.set(); err != nil { // before anything is written
		return Result{}, err
	}
	if postgres.IsURL(s.Out) {
		return s.intoDatabase(ctx, r)
	}
	if err := os.MkdirAll(s.Out, 0o755); err != nil {
		return Result{}, &penumbra.Error{Kind: penumbra.Refused, What: "make the folder for the scores", Remedy: "name one that you may write", Err: err}
	}
	result, err := s.run(ctx, r, &writeFn{Folder: s.Out, Shards: s.Shards, Format: s.Format})
	if err == nil {
		result.Scores, err = Summarise(s.Out, s.Top)
	}
	return result, err
}

// complete sets what is not said, and refuses what lacks something.
func (s *Scoring) complete() error {
	if s.Confidence == 0 {
		s.Confidence = 0.95
	}
	if s.Shards <= 0 {
		s.Shards = 8
	}
	if s.Keep == 0 {
		s.Keep = keptScorings
	}
	database := postgres.IsURL(s.Out)
	if s.Format == "" && !database {
		s.Format = Formats[0]
	}
	switch {
	case len(s.Files) == 0:
		return invalid("score without a timeline", "name timeline files")
	case s.Checkpoint == "":
		return invalid("score without a model", "name the file of a checkpoint")
	case s.Out == "":
		return invalid("score without a place for the scores", "name a folder, or the URL of a database")
	case s.At.IsZero():
		return invalid("score without a time", "name the time that is asked about")
	case database && s.Format != "":
		return invalid("score into a database with a form of files", "leave the form out")
	case !database && !slices.Contains(Formats, s.Format):
		return invalid("score into files of the form "+strconv.Quote(s.Format), "use "+strings.Join(Formats, " or "))
	case s.Keep < 1:
		return invalid("keep less than one scoring", "keep 1 or more")
	case !(s.Confidence > 0 && s.Confidence < 1):
		return invalid("score with a confidence that is none", "give one between 0 and 1")
	}
	names := absolute([]string{s.Out, s.Checkpoint, s.LeftOut})
	if s.Out, s.Checkpoint = names[0], names[1]; s.LeftOut != "" {
		s.LeftOut = names[2]
	} else if !database {
		s.LeftOut = filepath.Join(s.Out, "left-out.jsonl")
	}
	return nil
}

// run runs the pipeline. What write is given are the lines of each shard.
func (s *Scoring) run(ctx context.Context, r Runner, write any) (Result, error) {
	inputs, err := spread(ctx, absolute(s.Files))
	if err != nil {
		return Result{}, err
	}
	p, root := beam.NewPipelineWithRoot()
	byResource := beam.GroupByKey(root, observations(root, inputs, &readFn{Key: newKey()}, s.LeftOut))
	scored := beam.ParDo(root.Scope("score"), &scoreFn{Checkpoint: s.Checkpoint, At: s.At.UTC(), Confidence: s.Confidence, Shards: s.Shards}, byResource)
	beam.ParDo0(root.Scope("write scores"), write, beam.GroupByKey(root, scored))
	result, err := r.run(ctx, p, "resources scored")
	if err == nil {
		result.keptAside(s.LeftOut)
	}
	return result, err
}

// Formats are the endings of files of scores.
var Formats = []string{"jsonl.gz", "parquet"}

func invalid(what, remedy string) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
}

// absolute makes paths ones that another process understands.
func absolute(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = p
		if full, err := filepath.Abs(p); err == nil && !postgres.IsURL(p) {
			out[i] = full
		}
	}
	return out
}
