package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// KeepAside stores records with the durability of [Store.Append], all or none;
// one that is there already, by its identity, is left as it is. It returns how
// many were new. A record that cannot be used, see [penumbra.Record.Check], or
// whose time is not between the years 1678 and 2262 is an error of kind Invalid.
func (s *Store) KeepAside(ctx context.Context, records []penumbra.AsideRecord) (int, error) {
	rows, err := stored.AsideRecords(records, s.path)
	if err != nil {
		return 0, s.fault("keep records aside", err)
	}
	added := 0
	err = s.write(ctx, "keep records aside", func(tx *sql.Tx) error {
		new, err := insertAside(tx, rows)
		if err != nil {
			return err
		}
		added = 0
		for input, n := range new {
			added += int(n)
			if err := countAside(tx, input, n, 0, sql.NullInt64{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// insertAside inserts the rows that are not there yet and returns how many
// those are, by input. Rows of one input mostly come together.
func insertAside(tx *sql.Tx, rows []stored.Aside) (map[string]int64, error) {
	added := map[string]int64{}
	into := &bulk{tx: tx, or: "IGNORE", into: "aside (identity, time, input, format, action, target, reason, message, body)", width: 9}
	defer into.close()
	for i := range rows {
		r, rec := &rows[i], &rows[i].Of.Record
		if i > 0 && rec.Input != rows[i-1].Of.Record.Input {
			if err := into.flush(); err != nil {
				return nil, err
			}
			added[rows[i-1].Of.Record.Input] += into.taken()
		}
		if err := into.add(r.ID[:], stored.Nanos(rec.Time), rec.Input, rec.Format, r.Of.Action, r.Target, r.Of.Reason, rec.Message, r.Body); err != nil {
			return nil, err
		}
	}
	if len(rows) == 0 {
		return added, nil
	}
	if err := into.flush(); err != nil {
		return nil, err
	}
	added[rows[len(rows)-1].Of.Record.Input] += into.taken()
	return added, nil
}

// countAside adds to what is kept and to what was dropped of an input.
func countAside(tx *sql.Tx, input string, kept, dropped int64, at sql.NullInt64) error {
	_, err := tx.Exec(`INSERT INTO aside_inputs (input, kept, dropped, last) VALUES (?, ?, ?, ?) ON CONFLICT (input) DO UPDATE`+
		` SET kept = kept + excluded.kept, dropped = dropped + excluded.dropped, last = coalesce(excluded.last, last)`, input, kept, dropped, at)
	return err
}

// trimmedAtOnce bounds how long a trim keeps other writers waiting.
const trimmedAtOnce = 5000

// TrimAside deletes, of what is kept aside of an input, the records that
// happened before a time, and then the oldest above a number, 0 for any number.
// It returns how many it deleted, and counts them for [Store.AsideKinds] as
// dropped now.
func (s *Store) TrimAside(ctx context.Context, input string, most int64, before, now time.Time) (dropped int64, err error) {
	const what = "drop old records kept aside"
	for {
		var over, old int64
		err := s.reader.QueryRowContext(ctx, `SELECT coalesce((SELECT kept FROM aside_inputs WHERE input = ?1), 0),`+
			` EXISTS (SELECT 1 FROM aside WHERE input = ?1 AND time < ?2)`, input, stored.Nanos(before)).Scan(&over, &old)
		if err != nil {
			return dropped, s.fault(what, err)
		}
		over -= most
		if (most == 0 || over <= 0) && old == 0 {
			return dropped, nil
		}
		// With the oldest first, what is too old and what is too much is one range.
		condition, limit := " AND time < ?", int64(trimmedAtOnce)
		args := []any{input, stored.Nanos(before)}
		if old == 0 {
			condition, limit, args = "", min(limit, over), args[:1]
		}
		var n int64
		err = s.write(ctx, what, func(tx *sql.Tx) error {
			done, err := tx.Exec(`DELETE FROM aside WHERE seq IN (SELECT seq FROM aside WHERE input = ?`+condition+` ORDER BY time LIMIT ?)`, append(args, limit)...)
			if err != nil {
				return err
			}
			if n, err = done.RowsAffected(); err != nil {
				return err
			}
			return countAside(tx, input, -n, n, sql.NullInt64{Int64: now.UnixNano(), Valid: true})
		})
		if err != nil || n == 0 {
			return dropped, err
		}
		dropped += n
	}
}

// AsideKinds sums up what is kept aside, at most limit kinds, 0 for all, the
// most frequent first. The example of a kind is the message kept last.
func (s *Store) AsideKinds(ctx context.Context, limit int) (penumbra.Unmapped, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT g.*, coalesce((SELECT message FROM aside WHERE seq = g.example), '') FROM (
		SELECT sum(count(*)) OVER (), input, format, action, target, reason, count(*) AS n, min(time), max(time) AS last,
			max(seq) FILTER (WHERE message <> '') AS example
		FROM aside GROUP BY input, format, action, target, reason
		ORDER BY n DESC, last DESC, input, format, action, target, reason LIMIT ?) g`, unbounded(limit))
	if err != nil {
		return penumbra.Unmapped{}, s.fault("sum up records kept aside", err)
	}
	defer rows.Close()
	var out penumbra.Unmapped
	for rows.Next() {
		var k penumbra.UnmappedKind
		var first, last int64
		var example sql.NullInt64
		if err := rows.Scan(&out.Records, &k.Input, &k.Format, &k.Action, &k.Target, &k.Reason, &k.Count, &first, &last, &example, &k.Example); err != nil {
			return penumbra.Unmapped{}, s.fault("sum up records kept aside", err)
		}
		k.First, k.Last = stored.Time(first), stored.Time(last)
		out.Kinds = append(out.Kinds, k)
	}
	if err := rows.Err(); err != nil {
		return penumbra.Unmapped{}, s.fault("sum up records kept aside", err)
	}
	if out.Dropped, err = s.droppedAside(ctx); err != nil {
		return penumbra.Unmapped{}, s.fault("sum up records kept aside", err)
	}
	return out, nil
}

func (s *Store) droppedAside(ctx context.Context) (out []penumbra.UnmappedDropped, err error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT input, dropped, last FROM aside_inputs WHERE dropped > 0 ORDER BY input`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d penumbra.UnmappedDropped
		var last sql.NullInt64
		if err := rows.Scan(&d.Input, &d.Count, &last); err != nil {
			return nil, err
		}
		d.Last = stored.FromOptional(last)
		out = append(out, d)
	}
	return out, rows.Err()
}

// unbounded returns a limit as SQLite has it: negative is none.
func unbounded(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}

// AsideRecords returns at most limit records, 0 for all, kept after a sequence
// number, in their order.
func (s *Store) AsideRecords(ctx context.Context, after int64, limit int) ([]penumbra.AsideRecord, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT seq, action, reason, message, body FROM aside WHERE seq > ? ORDER BY seq LIMIT ?`, after, unbounded(limit))
	if err != nil {
		return nil, s.fault("read records kept aside", err)
	}
	defer rows.Close()
	var out []penumbra.AsideRecord
	var body sql.RawBytes
	for rows.Next() {
		var a penumbra.AsideRecord
		var message string
		if err := rows.Scan(&a.Sequence, &a.Action, &a.Reason, &message, &body); err != nil {
			return nil, s.fault("read records kept aside", err)
		}
		if err := stored.Decode(body, &a.Record); err != nil {
			return nil, s.fault("read records kept aside", err)
		}
		a.Record.Message = message
		out = append(out, a)
	}
	if err := rows.Err(); err != nil {
		return nil, s.fault("read records kept aside", err)
	}
	return out, nil
}

// DropAside deletes records by their sequence numbers, all or none; that there
// is none is no error.
func (s *Store) DropAside(ctx context.Context, sequences []int64) error {
	return s.write(ctx, "drop records kept aside", func(tx *sql.Tx) error {
		for chunk := range slices.Chunk(sequences, 500) {
			args := make([]any, len(chunk))
			for i, n := range chunk {
				args[i] = n
			}
			gone, err := inputsOf(tx, args)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM aside WHERE seq IN "+tuple(len(chunk)), args...); err != nil {
				return err
			}
			for input, n := range gone {
				if err := countAside(tx, input, -n, 0, sql.NullInt64{}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// inputsOf returns how many of the records with these numbers there are, by
// input.
func inputsOf(tx *sql.Tx, numbers []any) (map[string]int64, error) {
	rows, err := tx.Query("SELECT input, count(*) FROM aside WHERE seq IN "+tuple(len(numbers))+" GROUP BY input", numbers...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var input string
		var n int64
		if err := rows.Scan(&input, &n); err != nil {
			return nil, err
		}
		out[input] = n
	}
	return out, rows.Err()
}
