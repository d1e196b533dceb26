package beam

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/families"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

func init() {
	register.DoFn3x1[context.Context, int, func(*[]byte) bool, error](&storeFn{})
}

// keptScorings is how many scorings stay in a database: what a fleet looked like before the
// last one, and before that. A judgement.
const keptScorings = 3

// storeFn writes the scores of one shard into a database, in one transaction.
type storeFn struct {
	Database string // its URL, without a password
	Job      int64
}

// ProcessElement writes the scores of one shard.
func (f *storeFn) ProcessElement(ctx context.Context, shard int, lines func(*[]byte) bool) error {
	s, err := openDatabase(ctx, f.Database, true)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.WriteScores(ctx, f.Job, shard, func(yield func(postgres.Score, error) bool) {
		var line []byte
		for lines(&line) {
			row, err := newScoredRow(line)
			if !yield(postgres.Score{
				Resource: penumbra.Address(row.Resource), Type: row.Type, Time: row.Time,
				Leave:      [...]float64{row.Leave1h, row.Leave6h, row.Leave1d, row.Leave7d, row.Leave30d},
				NotChecked: row.NotChecked, Expectations: row.Expectations, Forecasts: row.Forecasts, Findings: row.Findings,
			}, err) || err != nil {
				return
			}
		}
	})
}

// intoDatabase scores into a database. Only once the pipeline has ended well does the job's
// row say so, and are earlier ones removed.
func (s *Scoring) intoDatabase(ctx context.Context, r Runner) (result Result, err error) {
	if err := checkAddress("write into", s.Out); err != nil {
		return Result{}, err
	}
	s.At = s.At.UTC().Truncate(time.Microsecond) // PostgreSQL's
	data, err := os.ReadFile(s.Checkpoint)
	if err != nil {
		return Result{}, noCheckpoint(err)
	}
	family, _, err := families.Read(data)
	if err != nil {
		return Result{}, err
	}
	store, err := openDatabase(ctx, s.Out, true)
	if err != nil {
		return Result{}, err
	}
	defer store.Close()
	job := postgres.ScoringJob{At: s.At, Confidence: s.Confidence, Family: family, Checkpoint: sha256.Sum256(data)}
	if u, err := user.Current(); err == nil {
		job.Who = u.Username
	}
	scoring, err := store.BeginScoring(ctx, job)
	if err != nil {
		return Result{}, err
	}
	defer scoring.Release(ctx)
	if result, err = s.run(ctx, r, &storeFn{Database: s.Out, Job: scoring.ID}); err != nil {
		return result, err
	}
	if err := scoring.End(ctx, result.Observations, result.LinesLeftOut); err != nil {
		return result, err
	}
	result.Job, result.Where = scoring.ID, store.Where()
	if _, err := store.RemoveScorings(ctx, s.Keep); err != nil {
		return result, &penumbra.Error{
			Kind: penumbra.KindOf(err), What: fmt.Sprintf("remove earlier scores; those of job %d are there", scoring.ID),
			Remedy: "leave them to the next scoring, which tries again", Err: err,
		}
	}
	result.Scores, err = summarise(ctx, store, scoring.ID, s.Top)
	return result, err
}

// summarise sums up the scores of a job.
func summarise(ctx context.Context, store *postgres.Store, job int64, n int) (*Summary, error) {
	x, err := store.SummariseScores(ctx, job, n)
	if err != nil {
		return nil, err
	}
	s := &Summary{Resources: x.Resources, Findings: x.Findings, Likeliest: []Likely{}}
	for _, l := range x.Likeliest {
		s.Likeliest = append(s.Likeliest, Likely{l.Resource, l.Type, l.Leave})
	}
	return s, nil
}
