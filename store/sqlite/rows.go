package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	"github.com/penumbra-iac/penumbra/store/stored"
)

// sources are the tables that are not there as they are given out.
var sources = map[string]struct {
	from    string
	columns map[string]string
}{
	"observations": {"observations t CROSS JOIN resources r ON r.id = t.resource CROSS JOIN contents c ON c.id = t.content",
		map[string]string{"address": "r.address", "body": "c.body"}},
	"rollups": {"rollups t JOIN series s ON s.id = t.series JOIN resources r ON r.id = s.resource",
		map[string]string{"resource": "r.address", "metric": "s.metric"}},
}

// Rows yields the rows of a table behind a key, in the order of the key; all if the key
// is nil.
func (s *Store) Rows(ctx context.Context, t *stored.Table, after stored.Row) iter.Seq2[stored.Row, error] {
	return func(yield func(stored.Row, error) bool) {
		statement, args := rowsStatement(t, after)
		rows, err := s.reader.QueryContext(ctx, statement, args...)
		if err != nil {
			yield(nil, s.fault("read table "+t.Name, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			row, err := scanRow(rows, t)
			if err != nil {
				yield(nil, s.fault("read table "+t.Name, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, s.fault("read table "+t.Name, err))
		}
	}
}

func rowsStatement(t *stored.Table, after stored.Row) (statement string, args []any) {
	source, joined := sources[t.Name]
	if !joined {
		source.from = t.Name + " t"
	}
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		switch {
		case source.columns[c.Name] != "":
			names[i] = source.columns[c.Name]
		case c.Name == "n":
			names[i] = "t.rowid"
		default:
			names[i] = "t." + c.Name
		}
	}
	key := strings.Join(names[:t.Key], ", ")
	statement = "SELECT " + strings.Join(names, ", ") + " FROM " + source.from
	if after != nil {
		statement += " WHERE (" + key + ") > " + tuple(t.Key)
		args = after
	}
	return statement + " ORDER BY " + key, args
}

func scanRow(rows *sql.Rows, t *stored.Table) (stored.Row, error) {
	row, to := make(stored.Row, len(t.Columns)), make([]any, len(t.Columns))
	for i := range row {
		to[i] = &row[i]
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	for i := range row {
		var err error
		if row[i], err = t.Columns[i].Value(row[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return row, nil
}

// Count returns how many rows a table has.
func (s *Store) Count(ctx context.Context, t *stored.Table) (n int64, err error) {
	if t.Name == stored.Observations.Name {
		return s.Sequence(ctx) // without gaps; counting would read them all
	}
	if err := s.reader.QueryRowContext(ctx, "SELECT count(*) FROM "+t.Name).Scan(&n); err != nil {
		return 0, s.fault("count table "+t.Name, err)
	}
	return n, nil
}

// Last returns the number given last in a table, 0 if it has none.
func (s *Store) Last(ctx context.Context, t *stored.Table) (n int64, err error) {
	query := "SELECT coalesce(max(rowid), 0) FROM " + t.Name
	switch {
	case t.Name == "aside": // also of a record that was dropped
		query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'aside'"
	case t.Columns[0].Name != "n" && t.Columns[0].Name != "seq":
		return 0, nil
	}
	if err := s.reader.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, s.fault("read the last number of table "+t.Name, err)
	}
	return n, nil
}

// Path is the file that the store is in.
func (s *Store) Path() string { return s.path }
