package postgres

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// aside is held by who keeps records aside or drops some: their numbers become visible
// in order, and the counts stay right.
const aside = "aside"

// KeepAside stores records with the durability of [Store.Append], all or none; one that
// is there already, by its identity, is left as it is. It returns how many were new. A
// record that cannot be used, see [penumbra.Record.Check], or whose time is not between
// the years 1678 and 2262 is an error of kind Invalid.
func (s *Store) KeepAside(ctx context.Context, records []penumbra.AsideRecord) (added int, err error) {
	const what = "keep records aside"
	rows, err := stored.AsideRecords(records, s.where)
	if err != nil {
		return 0, s.fault(what, err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	n := len(rows)
	identities, bodies, messages, times := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([]int64, n)
	inputs, formats, actions, targets, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i := range rows {
		r, rec := &rows[i], &rows[i].Of.Record
		identities[i], bodies[i], messages[i], times[i] = r.ID[:], r.Body, []byte(rec.Message), stored.Nanos(rec.Time)
		inputs[i], formats[i], actions[i], targets[i], reasons[i] = text(rec.Input), text(rec.Format), text(r.Of.Action), text(r.Target), text(r.Of.Reason)
	}
	err = s.write(ctx, what, func(tx pgx.Tx) error {
		if err := hold(ctx, tx, aside); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `WITH new AS (
				INSERT INTO aside (identity, time, input, format, action, target, reason, message, body)
				SELECT identity, time, input, format, action, target, reason, message, body
				FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[])
					WITH ORDINALITY u(identity, time, input, format, action, target, reason, message, body, ord) ORDER BY ord
				ON CONFLICT (identity) DO NOTHING RETURNING input
			), counted AS (
				INSERT INTO aside_inputs AS i (input, kept, dropped) SELECT input, count(*), 0 FROM new GROUP BY input
				ON CONFLICT (input) DO UPDATE SET kept = i.kept + excluded.kept
			) SELECT count(*) FROM new`,
			identities, times, inputs, formats, actions, targets, reasons, messages, bodies).Scan(&added)
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// trimmedAtOnce bounds how long a trim keeps other writers waiting.
const trimmedAtOnce = 5000

// TrimAside deletes, of what is kept aside of an input, the records that happened
// before a time, and then the oldest above a number, 0 for any number. It returns how
// many it deleted, and counts them for [Store.AsideKinds] as dropped now.
func (s *Store) TrimAside(ctx context.Context, input string, most int64, before, now time.Time) (dropped int64, err error) {
	for {
		var n int64
		err := s.write(ctx, "drop old records kept aside", func(tx pgx.Tx) error {
			if err := hold(ctx, tx, aside); err != nil {
				return err
			}
			var over int64
			var old bool
			n = 0
			err := tx.QueryRow(ctx, `SELECT coalesce((SELECT kept FROM aside_inputs WHERE input = $1), 0), EXISTS (SELECT FROM aside WHERE input = $1 AND time < $2)`,
				text(input), stored.Nanos(before)).Scan(&over, &old)
			over -= most
			if err != nil || (most == 0 || over <= 0) && !old {
				return err
			}
			// With the oldest first, what is too old and what is too much is one range.
			limit, end := int64(trimmedAtOnce), stored.Optional(before)
			end.Valid = true
			if !old {
				limit, end = min(limit, over), sql.NullInt64{}
			}
			done, err := tx.Exec(ctx, `DELETE FROM aside WHERE seq IN (SELECT seq FROM aside WHERE input = $1 AND ($2::bigint IS NULL OR time < $2) ORDER BY time, seq LIMIT $3)`,
				text(input), end, limit)
			if err != nil {
				return err
			}
			n = done.RowsAffected()
			_, err = tx.Exec(ctx, `UPDATE aside_inputs SET kept = kept - $2, dropped = dropped + $2, last = $3 WHERE input = $1`, text(input), n, stored.Nanos(now))
			return err
		})
		if err != nil || n == 0 {
			return dropped, err
		}
		dropped += n
	}
}

// AsideKinds sums up what is kept aside, at most limit kinds, 0 for all, the most
// frequent first. The example of a kind is the message kept last.
func (s *Store) AsideKinds(ctx context.Context, limit int) (out penumbra.Unmapped, err error) {
	const what = "sum up records kept aside"
	rows, err := s.pool.Query(ctx, `SELECT g.*, coalesce((SELECT message FROM aside WHERE seq = g.example), '') FROM (
		SELECT (sum(count(*)) OVER ())::bigint, input, format, action, target, reason, count(*) AS n, min(time), max(time) AS last,
			max(seq) FILTER (WHERE message <> '') AS example
		FROM aside GROUP BY input, format, action, target, reason
		ORDER BY n DESC, last DESC, input, format, action, target, reason LIMIT $1) g`, unbounded(limit))
	if err != nil {
		return out, s.fault(what, err)
	}
	out.Kinds, err = pgx.AppendRows([]penumbra.UnmappedKind(nil), rows, func(row pgx.CollectableRow) (k penumbra.UnmappedKind, err error) {
		var first, last int64
		var example sql.NullInt64
		var message []byte
		err = row.Scan(&out.Records, &k.Input, &k.Format, &k.Action, &k.Target, &k.Reason, &k.Count, &first, &last, &example, &message)
		for _, t := range []*string{&k.Input, &k.Format, &k.Action, &k.Target, &k.Reason} {
			*t = untext(*t)
		}
		k.Example, k.First, k.Last = string(message), stored.Time(first), stored.Time(last)
		return k, err
	})
	if err != nil {
		return penumbra.Unmapped{}, s.fault(what, err)
	}
	var d penumbra.UnmappedDropped
	var last sql.NullInt64
	err = s.each(ctx, `SELECT input, dropped, last FROM aside_inputs WHERE dropped > 0 ORDER BY input`, []any{&d.Input, &d.Count, &last}, func() {
		d.Input, d.Last = untext(d.Input), stored.FromOptional(last)
		out.Dropped = append(out.Dropped, d)
	})
	if err != nil {
		return penumbra.Unmapped{}, s.fault(what, err)
	}
	return out, nil
}

// unbounded returns a limit as PostgreSQL has it: NULL is none.
func unbounded(limit int) sql.NullInt64 { return sql.NullInt64{Int64: int64(limit), Valid: limit > 0} }

// AsideRecords returns at most limit records, 0 for all, kept after a sequence number,
// in their order.
func (s *Store) AsideRecords(ctx context.Context, after int64, limit int) ([]penumbra.AsideRecord, error) {
	rows, err := s.pool.Query(ctx, `SELECT seq, action, reason, message, body FROM aside WHERE seq > $1 ORDER BY seq LIMIT $2`, after, unbounded(limit))
	if err != nil {
		return nil, s.fault("read records kept aside", err)
	}
	out, err := pgx.AppendRows([]penumbra.AsideRecord(nil), rows, func(row pgx.CollectableRow) (a penumbra.AsideRecord, err error) {
		var message, body []byte
		if err := row.Scan(&a.Sequence, &a.Action, &a.Reason, &message, &body); err != nil {
			return a, err
		}
		if err := stored.Decode(body, &a.Record); err != nil {
			return a, err
		}
		a.Action, a.Reason, a.Record.Message = untext(a.Action), untext(a.Reason), string(message)
		return a, nil
	})
	if err != nil {
		return nil, s.fault("read records kept aside", err)
	}
	return out, nil
}

// DropAside deletes records by their sequence numbers, all or none; that there is none
// is no error.
func (s *Store) DropAside(ctx context.Context, sequences []int64) error {
	return s.write(ctx, "drop records kept aside", func(tx pgx.Tx) error {
		if err := hold(ctx, tx, aside); err != nil {
			return err
		}
		for chunk := range slices.Chunk(sequences, trimmedAtOnce) {
			_, err := tx.Exec(ctx, `WITH gone AS (DELETE FROM aside WHERE seq = ANY($1) RETURNING input)
				UPDATE aside_inputs i SET kept = i.kept - g.n FROM (SELECT input, count(*) AS n FROM gone GROUP BY input) g WHERE i.input = g.input`, chunk)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
