package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// HashKey returns the name of the key that the hashes of sensitive values are made
// with, "" if none was noted yet.
func (s *Store) HashKey(ctx context.Context) (id string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT id FROM hash_key`).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", s.fault("read which key hashes are made with", err)
	}
	return id, nil
}

// SetHashKey notes which key hashes are made with, where none was.
func (s *Store) SetHashKey(ctx context.Context, id string) error {
	return s.write(ctx, "note which key hashes are made with", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO hash_key (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`, id)
		return err
	})
}

// hashedScores are what a file has none of: columns of JSON.
var hashedScores = []stored.Hashed{
	{Table: "scores", Key: "job, resource", Column: "expectations"},
	{Table: "scores", Key: "job, resource", Column: "forecasts"},
	{Table: "scores", Key: "job, resource", Column: "findings"},
}

// Reseal has change bring the hashes in all that is stored up to date, in place and
// without another length, and notes the key that they are made with then: all or
// nothing. It returns in how many documents there were any. The tables are written anew,
// so that none of the rows of before is left in them; the server's log of changes and
// its backups are its owner's.
func (s *Store) Reseal(ctx context.Context, id string, change func([]byte) bool) (changed int, err error) {
	const what = "hash sensitive values under another key"
	columns := slices.Concat(stored.HashedColumns, hashedScores)
	err = s.write(ctx, what, func(tx pgx.Tx) error {
		changed = 0
		if _, err := tx.Exec(ctx, `SELECT FROM timelines FOR UPDATE`); err != nil {
			return err
		}
		column := func(c stored.Hashed, amend func([]byte) (data, sum []byte, err error)) ([]int64, error) {
			n, numbers, err := reseal(ctx, tx, c, amend)
			changed += n
			if err != nil {
				err = fmt.Errorf("%s.%s: %w", c.Table, c.Column, err)
			}
			return numbers, err
		}
		document := func(data []byte) ([]byte, []byte, error) {
			sum, found := stored.Reseal(data, change)
			if !found {
				return nil, nil, nil
			}
			return data, sum[:], nil
		}
		contents, err := column(stored.Hashed{Table: "contents", Key: "id", Column: "body", Checksum: "digest"}, func(data []byte) ([]byte, []byte, error) {
			return stored.ResealContent(data, change)
		})
		if err != nil {
			return err
		}
		own, err := column(stored.Hashed{Table: "observations", Key: "seq", Column: "own"}, document)
		if err != nil {
			return err
		}
		// Who writes scores keeps the rows of jobs from being changed and then looks at the key.
		if _, err := tx.Exec(ctx, `LOCK TABLE scoring_jobs IN EXCLUSIVE MODE`); err != nil {
			return err
		}
		for _, c := range columns {
			if _, err := column(c, document); err != nil {
				return err
			}
		}
		if err := identify(ctx, tx, contents, own); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO hash_key (one, id) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET id = excluded.id`, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	tables := []string{"contents", "observations"}
	for _, c := range columns {
		if !slices.Contains(tables, c.Table) {
			tables = append(tables, c.Table)
		}
	}
	if _, err := s.pool.Exec(ctx, `VACUUM (FULL) `+strings.Join(tables, ", ")); err != nil {
		return changed, s.fault(what, err)
	}
	return changed, nil
}

// reseal changes a column, and returns in how many rows and, if one number names them,
// in which.
func reseal(ctx context.Context, tx pgx.Tx, c stored.Hashed, amend func([]byte) (data, sum []byte, err error)) (n int, numbers []int64, err error) {
	keys := strings.Split(c.Key, ", ")
	held, given := c.Column, "$1"
	if slices.Contains(hashedScores, c) {
		held, given = "convert_to("+c.Column+"::text, 'UTF8')", "convert_from($1, 'UTF8')::json"
	}
	set, next := c.Column+" = "+given, 2
	if c.Checksum != "" {
		set, next = set+", "+c.Checksum+" = $2", 3
	}
	var named []string
	for i, k := range keys {
		named = append(named, fmt.Sprintf("%s = $%d", k, next+i))
	}
	update := "UPDATE " + c.Table + " SET " + set + " WHERE " + strings.Join(named, " AND ")
	const part = 500 // what is read of at once
	for after := []any(nil); ; {
		where := ""
		if after != nil {
			where = " AND (" + c.Key + ") > " + tuple(len(keys))
		}
		rows, err := tx.Query(ctx, "SELECT "+c.Key+", "+held+" FROM "+c.Table+" WHERE "+c.Column+" IS NOT NULL"+where+" ORDER BY "+c.Key+fmt.Sprintf(" LIMIT %d", part), after...)
		if err != nil {
			return n, nil, err
		}
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		if err != nil {
			return n, nil, err
		}
		var batch pgx.Batch
		for _, r := range list {
			key, value := r[:len(keys)], r[len(keys)]
			document, ok := value.([]byte)
			if !ok {
				return n, nil, fmt.Errorf("%T is no document", value)
			}
			data, sum, err := amend(slices.Clone(document))
			if err != nil {
				return n, nil, err
			}
			if data == nil {
				continue
			}
			n++
			if number, ok := key[0].(int64); ok {
				numbers = append(numbers, number)
			}
			values := []any{data}
			if c.Checksum != "" {
				values = append(values, sum)
			}
			batch.Queue(update, append(values, key...)...)
		}
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return n, nil, err
		}
		if len(list) < part {
			return n, numbers, nil
		}
		after = list[len(list)-1][:len(keys)]
	}
}

// identify gives observations the identity of what they say now: who sends one again is
// known by it.
func identify(ctx context.Context, tx pgx.Tx, contents, own []int64) error {
	rows, err := tx.Query(ctx, `SELECT o.time, o.identity, o.seen, o.kind, r.address, o.content, c.body, o.own FROM observations o
		JOIN resources r ON r.id = o.resource JOIN contents c ON c.id = o.content WHERE o.content = ANY($1) OR o.seq = ANY($2)`, contents, own)
	if err != nil {
		return err
	}
	var batch pgx.Batch
	var read stored.Reading
	var at, content int64
	var identity, body, data []byte
	var seen sql.NullInt64
	var kind penumbra.ObservationKind
	var address string
	_, err = pgx.ForEachRow(rows, []any{&at, &identity, &seen, &kind, &address, &content, &body, &data}, func() error {
		o := penumbra.Observation{Kind: kind, Time: stored.Time(at), Seen: stored.FromOptional(seen), Resource: penumbra.Address(untext(address))}
		if err := read.Fill(&o, content, body, data); err != nil {
			return err
		}
		if id := o.Identity(); string(id[:]) != string(identity) {
			batch.Queue(`UPDATE observations SET identity = $1 WHERE time = $2 AND identity = $3`, id[:], at, slices.Clone(identity))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.SendBatch(ctx, &batch).Close()
}
