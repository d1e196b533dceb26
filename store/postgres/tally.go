package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Tally counts what the store holds. Its bytes are those of the whole database.
func (s *Store) Tally(ctx context.Context) (penumbra.Tally, error) {
	out := penumbra.Tally{Proposals: map[penumbra.ProposalStatus]int{}, Runs: map[penumbra.RunState]int{}}
	var state string
	var run, n int
	var notice penumbra.NoticeCount
	var saved sql.NullInt64
	err := errors.Join(
		s.each(ctx, `SELECT state, count(*) FROM proposals GROUP BY state`, []any{&state, &n}, func() {
			out.Proposals[penumbra.ProposalStatus(untext(state))] = n
		}),
		s.each(ctx, `SELECT state, count(*) FROM runs GROUP BY state`, []any{&run, &n}, func() { out.Runs[penumbra.RunState(run)] = n }),
		s.each(ctx, `SELECT channel, state, count(*) FROM notices GROUP BY channel, state ORDER BY channel, state`,
			[]any{&notice.Channel, (*string)(&notice.State), &notice.Count}, func() {
				notice.Channel = untext(notice.Channel)
				out.Notices = append(out.Notices, notice)
			}),
		s.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM decisions), (SELECT max(time) FROM checkpoints), pg_database_size(current_database())`).
			Scan(&out.Decisions, &saved, &out.Bytes),
	)
	if err != nil {
		return out, s.fault("count what is stored", err)
	}
	out.Checkpoint = stored.FromOptional(saved)
	return out, nil
}

// each calls f once each row of a query was scanned.
func (s *Store) each(ctx context.Context, query string, to []any, f func()) error {
	rows, err := s.pool.Query(ctx, query)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, to, func() error { f(); return nil })
	return err
}
