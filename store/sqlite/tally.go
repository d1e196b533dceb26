package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Tally counts what the store holds.
func (s *Store) Tally(ctx context.Context) (penumbra.Tally, error) {
	out := penumbra.Tally{Proposals: map[penumbra.ProposalStatus]int{}, Runs: map[penumbra.RunState]int{}}
	err := errors.Join(
		each(ctx, s.reader, `SELECT state, count(*) FROM proposals GROUP BY state`, func(rows *sql.Rows) error {
			var state string
			var n int
			err := rows.Scan(&state, &n)
			out.Proposals[penumbra.ProposalStatus(state)] = n
			return err
		}),
		each(ctx, s.reader, `SELECT state, count(*) FROM runs GROUP BY state`, func(rows *sql.Rows) error {
			var state, n int
			err := rows.Scan(&state, &n)
			out.Runs[penumbra.RunState(state)] = n
			return err
		}),
		each(ctx, s.reader, `SELECT channel, state, count(*) FROM notices GROUP BY channel, state ORDER BY channel, state`, func(rows *sql.Rows) error {
			var x penumbra.NoticeCount
			err := rows.Scan(&x.Channel, (*string)(&x.State), &x.Count)
			out.Notices = append(out.Notices, x)
			return err
		}),
		s.reader.QueryRowContext(ctx, `SELECT count(*) FROM decisions`).Scan(&out.Decisions),
	)
	var saved sql.NullInt64
	err = errors.Join(err, s.reader.QueryRowContext(ctx, `SELECT max(time) FROM checkpoints`).Scan(&saved))
	if err != nil {
		return out, s.fault("count what is stored", err)
	}
	out.Checkpoint = stored.FromOptional(saved)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(s.path + suffix)
		switch {
		case err == nil:
			out.Bytes += info.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return out, s.fault("measure the store", err)
		}
	}
	return out, nil
}

// each calls f with each row of a query.
func each(ctx context.Context, from querier, query string, f func(*sql.Rows) error) error {
	rows, err := from.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
