package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penumbra-iac/penumbra"
)

// Scores of whole fleets are written by workers that know nothing of each other, some of
// them twice, beside a daemon that goes on. A job's scores are whole once its row has an
// end. Nothing of them is the loop's, and nothing of the loop waits for them.

// ScoringJob is what is known of a job that scores a fleet when it begins.
type ScoringJob struct {
	Who        string    // began it, "" if not known
	At         time.Time // the time that is asked about, of whole microseconds
	Confidence float64
	Family     string   // of the model
	Checkpoint [32]byte // SHA-256 of its file
}

// Score is a row of what a model says of a resource.
type Score struct {
	Resource penumbra.Address
	Type     string
	Time     time.Time
	Leave    [len(penumbra.Horizons)]float64
	// NotChecked is why nothing can be said of drift, "" if something can.
	NotChecked string
	// JSON lists; "" and null are empty ones. A NUL in a text of theirs, which JSON may
	// have and PostgreSQL's functions read none with, becomes U+FFFD.
	Expectations, Forecasts, Findings string
}

// Scoring is a job that has begun, by the process that follows it to its end.
type Scoring struct {
	ID    int64
	store *Store
	alive *pgxpool.Conn // holds the lock by which others see that the job goes on
}

// BeginScoring makes the row of a job. The job goes on until [Scoring.Release] or the end
// of this process: until then no other one removes it.
func (s *Store) BeginScoring(ctx context.Context, j ScoringJob) (*Scoring, error) {
	const what = "begin a scoring"
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, s.fault(what, err)
	}
	g := &Scoring{store: s, alive: conn}
	// In one transaction with the lock, so that nobody sees the job without it. The lock is
	// of the session.
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `INSERT INTO scoring_jobs (who, at, confidence, family, checkpoint, hash_key)
			VALUES ($1, $2, $3, $4, $5, coalesce((SELECT id FROM hash_key), '')) RETURNING id`,
			text(j.Who), j.At, j.Confidence, text(j.Family), j.Checkpoint[:]).Scan(&g.ID)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `SELECT pg_advisory_lock_shared($1::int, hashtext($2))`, advisory, aliveName(g.ID))
		return err
	})
	if err != nil {
		g.Release(ctx)
		return nil, s.fault(what, err)
	}
	return g, nil
}

func aliveName(job int64) string { return fmt.Sprintf("scoring %d", job) }

// Release ends the job for others. One that was not ended stays as such until another
// one has ended.
func (g *Scoring) Release(ctx context.Context) {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = g.alive.Conn().Close(closing) // and with it what it holds
	g.alive.Release()
}

// End says that the job has ended well: from now on its scores are whole. It returns
// errors as [Store.WriteScores] does.
func (g *Scoring) End(ctx context.Context, observations, leftOut int64) error {
	return g.store.write(ctx, "end a scoring", func(tx pgx.Tx) error {
		if err := g.store.scoringGoesOn(ctx, tx, g.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE scoring_jobs SET ended = clock_timestamp(), observations = $2, left_out = $3,
			resources = (SELECT count(*) FROM scores WHERE job = $1) WHERE id = $1`, g.ID, observations, leftOut)
		return err
	})
}

// scoringGoesOn keeps a job from being removed, and the key of hashes from being changed,
// until the transaction ends.
func (s *Store) scoringGoesOn(ctx context.Context, tx pgx.Tx, job int64) error {
	var key, now string
	var ended bool
	err := tx.QueryRow(ctx, `SELECT hash_key, ended IS NOT NULL FROM scoring_jobs WHERE id = $1 FOR KEY SHARE`, job).Scan(&key, &ended)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && ended {
		return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("write scores of job %d into %s: it has ended, or was removed", job, s.where), Remedy: "score again"}
	}
	if err != nil {
		return err
	}
	// By another statement: the first one may have waited for a change of the key.
	if err := tx.QueryRow(ctx, `SELECT coalesce((SELECT id FROM hash_key), '')`).Scan(&now); err != nil {
		return err
	}
	if now != key {
		return &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("write scores of job %d into %s: sensitive values were hashed under another key meanwhile", job, s.where), Remedy: "score again"}
	}
	return nil
}

// scoreColumns are in the order of a row.
var scoreColumns = []string{"job", "resource", "type", "time", "leave_1h", "leave_6h", "leave_1d", "leave_7d", "leave_30d", "not_checked", "expectations", "forecasts", "findings"}

// WriteScores writes a part of a job's scores, whole or not at all. Written again it stays
// as it is; no resource is in two parts, and a part has the same resources whenever it is
// written. Scores are read once: who fails writes the part again. It returns an error of kind
// NotFound if the job has ended or was removed, and of kind Stale if the store's key of
// hashes was changed meanwhile.
func (s *Store) WriteScores(ctx context.Context, job int64, part int, scores iter.Seq2[Score, error]) error {
	next, stop := iter.Pull2(scores)
	defer stop()
	score, cut, more := next()
	if cut != nil || !more {
		return cut
	}
	// They may be on their way for longer than a process may hang with a transaction open, and
	// so may those that another worker writes of the same part.
	begin := pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10min'; SET LOCAL lock_timeout = '10min'"}
	err := pgx.BeginTxFunc(ctx, s.pool, begin, func(tx pgx.Tx) error {
		// Runners try a bundle beside one that seems to hang.
		if err := hold(ctx, tx, fmt.Sprintf("scores %d %d", job, part)); err != nil {
			return err
		}
		if err := s.scoringGoesOn(ctx, tx, job); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM scores WHERE job = $1 AND resource = $2)`, job, text(score.Resource)).Scan(&there); err != nil || there {
			return err // with it the whole part is there
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"scores"}, scoreColumns, pgx.CopyFromFunc(func() ([]any, error) {
			if !more {
				return nil, nil
			}
			row := score.row(job)
			score, cut, more = next()
			return row, cut
		}))
		return cmp.Or(cut, err) // the server knows no more of the former than its words
	})
	if err != nil && cut == nil {
		return s.fault("write scores", err)
	}
	return err
}

func (x *Score) row(job int64) []any {
	return []any{job, text(x.Resource), text(x.Type), x.Time, x.Leave[0], x.Leave[1], x.Leave[2], x.Leave[3], x.Leave[4], text(x.NotChecked),
		jsonList(x.Expectations), jsonList(x.Forecasts), jsonList(x.Findings)}
}

// jsonList returns a list as a column holds it, see [Score].
func jsonList(list string) string {
	if list == "" || list == "null" {
		return "[]"
	}
	const nul = `\u0000`
	if !strings.Contains(list, nul) {
		return list
	}
	var b strings.Builder
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] != '\\' || i+1 == len(list):
			b.WriteByte(list[i])
		case strings.HasPrefix(list[i:], nul):
			b.WriteString(`\ufffd`)
			i += len(nul) - 1
		default: // a backslash that is escaped begins nothing
			b.WriteString(list[i : i+2])
			i++
		}
	}
	return b.String()
}

// RemoveScorings removes, with their scores, all jobs that have ended but the last ones,
// and those that will never end. It returns how many those were.
func (s *Store) RemoveScorings(ctx context.Context, keep int) (removed int, err error) {
	for more := true; more; {
		err := s.write(ctx, "remove earlier scores", func(tx pgx.Tx) error {
			// One that another process removes, or that somebody still writes scores of, is left
			// to the next time.
			tag, err := tx.Exec(ctx, `DELETE FROM scoring_jobs WHERE id = (SELECT id FROM scoring_jobs j
				WHERE ended IS NOT NULL AND (SELECT count(*) FROM scoring_jobs l WHERE (l.ended, l.id) > (j.ended, j.id)) >= $1
				OR ended IS NULL AND pg_try_advisory_xact_lock($2::int, hashtext('scoring ' || id))
				LIMIT 1 FOR UPDATE SKIP LOCKED)`, keep, advisory)
			more = err == nil && tag.RowsAffected() > 0
			return err
		})
		if err != nil {
			return removed, err
		}
		if more {
			removed++
		}
	}
	return removed, nil
}

// ScoresSummary is what the scores of a job say, in short.
type ScoresSummary struct {
	Resources int
	Findings  map[string]int // by verdict
	Likeliest []Score        // to leave within 7 days, without lists
}

// SummariseScores sums up the scores of a job, with the n likeliest to leave.
func (s *Store) SummariseScores(ctx context.Context, job int64, n int) (ScoresSummary, error) {
	out := ScoresSummary{Findings: map[string]int{}}
	var verdict string
	var count int
	var x Score
	var resource, kind string
	var batch pgx.Batch
	batch.Queue(`SELECT count(*) FROM scores WHERE job = $1`, job).QueryRow(func(row pgx.Row) error { return row.Scan(&out.Resources) })
	queue(&batch, []any{&verdict, &count}, func() error { out.Findings[verdict] = count; return nil },
		`SELECT f ->> 'verdict', count(*) FROM scores, json_array_elements(findings) f WHERE job = $1 GROUP BY 1`, job)
	queue(&batch, []any{&resource, &kind, &x.Time, &x.Leave[0], &x.Leave[1], &x.Leave[2], &x.Leave[3], &x.Leave[4]}, func() error {
		x.Resource, x.Type = penumbra.Address(untext(resource)), untext(kind)
		out.Likeliest = append(out.Likeliest, x)
		return nil
	}, `SELECT resource, type, time, leave_1h, leave_6h, leave_1d, leave_7d, leave_30d FROM scores WHERE job = $1 ORDER BY leave_7d DESC, resource LIMIT $2`, job, max(0, n))
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return out, s.fault("sum up scores", err)
	}
	return out, nil
}
