package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
)

// Reading is one attempt at a reading that the node that leads has asked the nodes for.
type Reading struct {
	ID   string
	Job  int64  // in the queue of jobs
	Node string // who reads, "" while nobody does
	// Answered says that its answer can be taken, Lost that the node that reads was not
	// heard of for too long.
	Answered, Lost bool
}

// ReaderSilence is how long a node that reads is not heard of before it is taken for lost. All
// times are the server's, so that clocks need not agree.
const ReaderSilence = 8 * time.Second

// answered is the channel of the database on which it is told that a reading was answered.
const answered = "penumbra_readings"

// AskReading asks for a reading. put puts a job in that has its identity, in the same
// transaction, and returns the job's.
func (s *Store) AskReading(ctx context.Context, put func(ctx context.Context, tx pgx.Tx, id string) (job int64, err error)) (r Reading, err error) {
	err = s.write(ctx, "ask for a reading", func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT gen_random_uuid()::text`).Scan(&r.ID); err != nil {
			return err
		}
		if r.Job, err = put(ctx, tx, r.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO readings (id, term, job) VALUES ($1, $2, $3)`, r.ID, s.term.Number, r.Job)
		return err
	})
	return r, err
}

// Readings returns those of the store's term that nobody has taken the answer of.
func (s *Store) Readings(ctx context.Context) ([]Reading, error) {
	rows, err := s.pool.Query(ctx, `SELECT id::text, job, node, answer IS NOT NULL, answer IS NULL AND coalesce(seen < clock_timestamp() - $2::interval, false)
		FROM readings WHERE term = $1`, s.term.Number, ReaderSilence)
	if err == nil {
		var out []Reading
		if out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Reading]); err == nil {
			return out, nil
		}
	}
	return nil, s.fault("look for readings", err)
}

// TakeAnswer returns the answer of a reading and the node that gave it, and removes both: it
// is nobody else's, and what comes later is for nobody. The answer is nil if there is none,
// and the error of kind NotFound if the reading is gone.
func (s *Store) TakeAnswer(ctx context.Context, id string) (node string, answer []byte, err error) {
	err = s.pool.QueryRow(ctx, `DELETE FROM readings WHERE id = $1 RETURNING node, answer`, id).Scan(&node, &answer)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil, &penumbra.Error{Kind: penumbra.NotFound, What: "the reading is gone"}
	}
	if err != nil {
		return "", nil, s.fault("take what was read", err)
	}
	return node, answer, nil
}

// DropReadings drops what leaders of earlier terms have asked for.
func (s *Store) DropReadings(ctx context.Context) error {
	return s.exec(ctx, "drop readings of earlier terms", `DELETE FROM readings WHERE term <> $1`, s.term.Number)
}

// Answers calls woken whenever a reading may have been answered, until ctx ends. What is
// answered while the connection is down is not told: who waits looks now and then too.
func (s *Store) Answers(ctx context.Context, woken func()) {
	for ctx.Err() == nil {
		if conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig); err == nil {
			if err = s.connected(ctx, conn); err == nil {
				_, err = conn.Exec(ctx, "LISTEN "+answered)
			}
			for err == nil {
				if _, err = conn.WaitForNotification(ctx); err == nil {
					woken()
				}
			}
			_ = conn.Close(context.WithoutCancel(ctx)) // the server ends it too
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// BeginReading has a node read, and reports whether it is to: not what another node has begun,
// what nobody waits for any more, or what was asked for in a term that is over.
func (s *Store) BeginReading(ctx context.Context, id, node string) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE readings SET node = $2, seen = clock_timestamp()
		WHERE id = $1 AND node = '' AND term = (SELECT term FROM leadership)`, id, node)
	if err != nil {
		return false, s.fault("begin to read", err)
	}
	return tag.RowsAffected() == 1, nil
}

// KeepReadings says that a node is still at readings, and returns those of them that are
// still waited for.
func (s *Store) KeepReadings(ctx context.Context, node string, ids []string) (kept []string, err error) {
	rows, err := s.pool.Query(ctx, `UPDATE readings SET seen = clock_timestamp() WHERE node = $1 AND id = ANY($2::uuid[]) RETURNING id::text`, node, ids)
	if err == nil {
		if kept, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return kept, nil
		}
	}
	return nil, s.fault("go on reading", err)
}

// AnswerReading gives the answer of a reading, which is encrypted already, and reports
// whether anybody waits for it.
func (s *Store) AnswerReading(ctx context.Context, id, node string, answer []byte) (waited bool, err error) {
	err = s.write(ctx, "give what was read", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE readings SET answer = $3 WHERE id = $1 AND node = $2 AND answer IS NULL`, id, node, answer)
		if waited = err == nil && tag.RowsAffected() == 1; !waited {
			return err
		}
		_, err = tx.Exec(ctx, `SELECT pg_notify($1, '')`, answered)
		return err
	})
	return waited && err == nil, err
}
