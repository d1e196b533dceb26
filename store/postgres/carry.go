package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// sources are the tables that are not there as they are given out.
var sources = map[string]struct {
	from    string
	columns map[string]string
}{
	"observations": {"observations t JOIN resources r ON r.id = t.resource JOIN contents c ON c.id = t.content",
		map[string]string{"address": "r.address", "body": "c.body"}},
	"rollups": {"rollups t JOIN series s ON s.id = t.series JOIN resources r ON r.id = s.resource",
		map[string]string{"resource": "r.address", "metric": "s.metric"}},
}

// Rows yields all rows of a table, in no order.
func (s *Store) Rows(ctx context.Context, t *stored.Table) iter.Seq2[stored.Row, error] {
	return func(yield func(stored.Row, error) bool) {
		source, joined := sources[t.Name]
		if !joined {
			source.from = t.Name + " t"
		}
		names := t.Names()
		for i, name := range names {
			if names[i] = source.columns[name]; names[i] == "" {
				names[i] = "t." + name
			}
		}
		rows, err := s.pool.Query(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+source.from)
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

func scanRow(rows pgx.Rows, t *stored.Table) (stored.Row, error) {
	values, err := rows.Values()
	if err != nil {
		return nil, err
	}
	for i := range values {
		c := &t.Columns[i]
		if values[i], err = c.Value(values[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		if text, is := values[i].(string); is {
			values[i] = untext(text)
		}
	}
	return values, nil
}

// Carried is how far another store was carried over into this one.
type Carried struct {
	Source string // what is carried over, "" if nothing ever was
	State  string // in which state it was
	Done   bool   // all is there, and was found to be the same
	Tables map[string]CarriedTable
}

// CarriedTable is the same of a table.
type CarriedTable struct {
	After stored.Row // the key of the last row, nil if there is none yet
	Rows  int64
	Done  bool // all rows were there at the time
}

// Carried returns how far another store was carried over into this one.
func (s *Store) Carried(ctx context.Context) (Carried, error) {
	out := Carried{Tables: map[string]CarriedTable{}}
	var name, source, state string
	var cursor []byte
	var t CarriedTable
	rows, err := s.pool.Query(ctx, `SELECT name, source, state, cursor, held, finished FROM carried`)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&name, &source, &state, &cursor, &t.Rows, &t.Done}, func() error {
			if name == "" {
				out.Source, out.State, out.Done = source, state, t.Done
				return nil
			}
			t.After = nil
			if cursor != nil {
				if err := stored.Decode(cursor, &t.After); err != nil {
					return err
				}
			}
			out.Tables[name] = t
			return nil
		})
	}
	if err != nil {
		return out, s.fault("read how far another store was carried over", err)
	}
	return out, nil
}

// Begin has a source in a state be carried over into this store, from the start or, if
// the source is the one that was begun with, from where that was left: of tables that do
// more than grow, only if the state is the same. It returns an error of kind Refused if
// the store has anything else in it.
func (s *Store) Begin(ctx context.Context, source, state string) error {
	const what = "begin to carry a store over"
	return s.write(ctx, what, func(tx pgx.Tx) error {
		var before, was string
		err := tx.QueryRow(ctx, `SELECT source, state FROM carried WHERE name = '' FOR UPDATE`).Scan(&before, &was)
		switch {
		case err == nil && before != source:
			return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s: %s is being carried over into it", what, before), Remedy: "go on with that one, or begin anew with `penumbra migrate --restart`"}
		case err == nil && was != state:
			for i := range stored.Tables {
				if t := &stored.Tables[i]; !t.Grows {
					if err := s.clear(ctx, tx, t); err != nil {
						return err
					}
				}
			}
		case err == nil:
		case err != pgx.ErrNoRows:
			return err
		default:
			for i := range stored.Tables {
				var any bool
				if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+stored.Tables[i].Name+")").Scan(&any); err != nil {
					return err
				}
				if any {
					return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s: %s is not empty, it has %s of its own", what, s.where, stored.Tables[i].Name), Remedy: "name an empty database"}
				}
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO carried (name, source, state) VALUES ('', $1, $2) ON CONFLICT (name) DO UPDATE SET state = excluded.state, finished = false`, source, state)
		return err
	})
}

// Clear takes out again what was carried over. It returns an error of kind Refused if
// that was finished: Penumbra has worked on it since.
func (s *Store) Clear(ctx context.Context) error {
	return s.write(ctx, "begin to carry a store over anew", func(tx pgx.Tx) error {
		var done bool
		err := tx.QueryRow(ctx, `SELECT finished FROM carried WHERE name = '' FOR UPDATE`).Scan(&done)
		if err == pgx.ErrNoRows {
			return nil
		}
		if err != nil {
			return err
		}
		if done {
			return &penumbra.Error{Kind: penumbra.Refused, What: "begin to carry a store over anew: " + s.where + " is in use", Remedy: "name an empty database"}
		}
		for i := range stored.Tables {
			if err := s.clear(ctx, tx, &stored.Tables[i]); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `DELETE FROM carried`)
		return err
	})
}

func (s *Store) clear(ctx context.Context, tx pgx.Tx, t *stored.Table) error {
	var batch pgx.Batch
	switch t.Name {
	case "observations":
		rows, err := tx.Query(ctx, `SELECT name FROM periods`)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			batch.Queue("DROP TABLE " + pgx.Identifier{name}.Sanitize())
		}
		batch.Queue(`TRUNCATE periods, contents, named`)
		batch.Queue(`UPDATE timelines SET last = 0, dropped = 0`)
	case "audit":
		batch.Queue(`ALTER TABLE audit DISABLE TRIGGER audit_stay`)
		batch.Queue(`TRUNCATE audit`)
		batch.Queue(`ALTER TABLE audit ENABLE TRIGGER audit_stay`)
	default:
		batch.Queue("TRUNCATE " + t.Name)
	}
	batch.Queue(`DELETE FROM carried WHERE name = $1`, t.Name)
	return tx.SendBatch(ctx, &batch).Close()
}

// Put takes rows of a table in, behind those that were taken in before, and notes how
// far that is, all or none.
func (s *Store) Put(ctx context.Context, t *stored.Table, rows []stored.Row, done bool) error {
	return s.append(ctx, "carry table "+t.Name+" over", func(tx pgx.Tx) error {
		if err := s.putRows(ctx, tx, t, rows); err != nil {
			return err
		}
		var cursor []byte
		if len(rows) > 0 {
			var err error
			if cursor, err = stored.Encode(rows[len(rows)-1][:t.Key]); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO carried AS c (name, cursor, held, finished) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET cursor = coalesce(excluded.cursor, c.cursor), held = c.held + excluded.held, finished = excluded.finished`, t.Name, cursor, len(rows), done)
		return err
	})
}

func (s *Store) putRows(ctx context.Context, tx pgx.Tx, t *stored.Table, rows []stored.Row) error {
	switch t.Name {
	case "observations":
		return putObservations(ctx, tx, rows)
	case "rollups":
		return putRollups(ctx, tx, rows)
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{t.Name}, t.Names(), pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		values := slices.Clone(rows[i])
		for k, v := range values {
			if x, is := v.(string); is {
				values[k] = text(x)
			}
		}
		return values, nil
	}))
	return err
}

// Number has rows that come later numbered behind a number, which a table without
// numbers has no use for.
func (s *Store) Number(ctx context.Context, t *stored.Table, last int64) error {
	n := t.Columns[0].Name
	if n != "n" && n != "seq" || t == stored.Observations || last < 1 {
		return nil
	}
	return s.exec(ctx, "number table "+t.Name, `SELECT setval(pg_get_serial_sequence($1, $2), $3)`, t.Name, n, last)
}

func putObservations(ctx context.Context, tx pgx.Tx, rows []stored.Row) error {
	if len(rows) == 0 {
		return nil
	}
	records := make([]stored.Record, len(rows))
	for i, row := range rows {
		r := &records[i]
		id := row[1].([]byte)
		if len(id) != len(r.Identity) {
			return fmt.Errorf("%w: observation %d has an identity of %d bytes", stored.ErrDamaged, row[0], len(id))
		}
		r.Time, r.Kind, r.Address, r.Body = row[2].(int64), penumbra.ObservationKind(row[4].(int64)), penumbra.Address(row[5].(string)), row[6].([]byte)
		r.Identity, r.Digest = penumbra.ObservationID(id), sha256.Sum256(r.Body)
		r.Seen.Int64, r.Seen.Valid = row[3].(int64)
		r.Own, _ = row[7].([]byte)
		var err error
		if r.Named, err = stored.Named(r.Own); err != nil {
			return err
		}
	}
	known, err := look(ctx, tx, records)
	if err != nil {
		return err
	}
	chosen := make([]*stored.Record, len(records))
	for i := range records {
		// Numbers have no gaps in either store.
		if seq := rows[i][0].(int64); seq != known.last+int64(i)+1 {
			return fmt.Errorf("%w: observation %d stands behind %d", stored.ErrDamaged, seq, known.last+int64(i))
		}
		chosen[i] = &records[i]
	}
	return insert(ctx, tx, known, chosen)
}

func putRollups(ctx context.Context, tx pgx.Tx, rows []stored.Row) error {
	rollups := make([]penumbra.Rollup, len(rows))
	for i, row := range rows {
		rollups[i] = penumbra.Rollup{
			Resource: penumbra.Address(row[0].(string)), Metric: row[1].(string), Span: time.Duration(row[2].(int64)), Start: stored.Time(row[3].(int64)),
			Count: row[4].(int64), Sum: row[5].(float64), Min: row[6].(float64), Max: row[7].(float64), Last: row[8].(float64),
		}
	}
	if len(rollups) == 0 {
		return nil
	}
	return saveRollups(ctx, tx, rollups)
}

// Finish notes that all was carried over and found to be the same: the store can be
// worked on from now on.
func (s *Store) Finish(ctx context.Context) error {
	// Without statistics the first queries would be planned as for empty tables.
	if _, err := s.pool.Exec(ctx, `ANALYZE`); err != nil {
		return s.fault("finish carrying a store over", err)
	}
	return s.exec(ctx, "finish carrying a store over", `UPDATE carried SET finished = true WHERE name = ''`)
}
