package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// HashKey returns the name of the key that the hashes of sensitive values are made
// with, "" if none was noted yet.
func (s *Store) HashKey(ctx context.Context) (id string, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT id FROM hash_key`).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", s.fault("read which key hashes are made with", err)
	}
	return id, nil
}

// SetHashKey notes which key hashes are made with, where none was.
func (s *Store) SetHashKey(ctx context.Context, id string) error {
	return s.write(ctx, "note which key hashes are made with", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO hash_key (one, id) VALUES (1, ?)`, id)
		return err
	})
}

// Reseal has change bring the hashes in all that is stored up to date, in place and
// without another length, and notes the key that they are made with then: all or
// nothing. It returns in how many documents there were any. What was there before is
// overwritten in the file.
func (s *Store) Reseal(ctx context.Context, id string, change func([]byte) bool) (changed int, err error) {
	const what = "hash sensitive values under another key"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known{} // by the digests of bodies
	if _, err := s.writer.ExecContext(ctx, `PRAGMA secure_delete = ON`); err != nil {
		return 0, s.fault(what, err)
	}
	err = s.write(ctx, what, func(tx *sql.Tx) error {
		changed = 0
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
		contents, err := column(stored.Hashed{Table: "contents", Key: "id", Column: "body"}, func(data []byte) ([]byte, []byte, error) {
			return stored.ResealContent(data, change)
		})
		if err != nil {
			return err
		}
		own, err := column(stored.Hashed{Table: "observations", Key: "seq", Column: "own"}, document)
		if err != nil {
			return err
		}
		for _, c := range stored.HashedColumns {
			if _, err := column(c, document); err != nil {
				return err
			}
		}
		if err := errors.Join(identify(ctx, tx, "content", contents), identify(ctx, tx, "seq", own)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO hash_key (one, id) VALUES (1, ?)`, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	// What was deleted before lies in free pages, and what was written in the log.
	for _, statement := range []string{`VACUUM`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if _, err := s.writer.ExecContext(ctx, statement); err != nil {
			return changed, s.fault(what, err)
		}
	}
	return changed, nil
}

// reseal changes a column, and returns in how many rows and, if one number names them,
// in which.
func reseal(ctx context.Context, tx *sql.Tx, c stored.Hashed, amend func([]byte) (data, sum []byte, err error)) (n int, numbers []int64, err error) {
	keys := strings.Split(c.Key, ", ")
	set := c.Column + " = ?"
	if c.Checksum != "" {
		set += ", " + c.Checksum + " = ?"
	}
	update, err := tx.PrepareContext(ctx, "UPDATE "+c.Table+" SET "+set+" WHERE "+strings.Join(keys, " = ? AND ")+" = ?")
	if err != nil {
		return 0, nil, err
	}
	defer update.Close()
	type row struct {
		key  []any
		text bool
		data []byte
	}
	// In parts: a transaction has one connection, and it reads or writes.
	const part = 500
	for after := []any(nil); ; {
		where := ""
		if after != nil {
			where = " AND (" + c.Key + ") > " + tuple(len(keys))
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+c.Key+", "+c.Column+" FROM "+c.Table+" WHERE "+c.Column+" IS NOT NULL"+where+" ORDER BY "+c.Key+fmt.Sprintf(" LIMIT %d", part), after...)
		if err != nil {
			return n, nil, err
		}
		var list []row
		for rows.Next() {
			r := row{key: make([]any, len(keys))}
			var value any
			to := make([]any, 0, len(keys)+1)
			for i := range r.key {
				to = append(to, &r.key[i])
			}
			if err := rows.Scan(append(to, &value)...); err != nil {
				_ = rows.Close()
				return n, nil, err
			}
			switch v := value.(type) {
			case string:
				r.text, r.data = true, []byte(v)
			case []byte:
				r.data = bytes.Clone(v)
			}
			list = append(list, r)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return n, nil, err
		}
		for _, r := range list {
			data, sum, err := amend(r.data)
			if err != nil {
				return n, nil, err
			}
			if data == nil {
				continue
			}
			n++
			if number, ok := r.key[0].(int64); ok {
				numbers = append(numbers, number)
			}
			values := []any{any(data)}
			if r.text {
				values[0] = string(data)
			}
			if c.Checksum != "" {
				values = append(values, sum)
			}
			if _, err := update.ExecContext(ctx, append(values, r.key...)...); err != nil {
				return n, nil, err
			}
		}
		if len(list) < part {
			return n, numbers, nil
		}
		after = list[len(list)-1].key
	}
}

// identify gives observations the identity of what they say now: who sends one again is
// known by it. One pass over them, whatever the number of contents.
func identify(ctx context.Context, tx *sql.Tx, column string, numbers []int64) error {
	if _, err := tx.ExecContext(ctx, `CREATE TEMP TABLE resealed (number INTEGER PRIMARY KEY)`); err != nil {
		return err
	}
	for _, n := range numbers {
		if _, err := tx.ExecContext(ctx, `INSERT INTO temp.resealed (number) VALUES (?)`, n); err != nil {
			return err
		}
	}
	rows, err := tx.QueryContext(ctx, `SELECT o.seq, o.time, o.seen, o.kind, r.address, o.content, c.body, o.own FROM observations o`+
		` JOIN temp.resealed x ON x.number = o.`+column+` JOIN resources r ON r.id = o.resource JOIN contents c ON c.id = o.content`)
	if err != nil {
		return err
	}
	type renamed struct {
		seq int64
		id  penumbra.ObservationID
	}
	var read stored.Reading
	var list []renamed
	for rows.Next() {
		var x renamed
		o, err := observation(behind{rows, &x.seq}, &read)
		if err != nil {
			_ = rows.Close()
			return err
		}
		x.id = o.Identity()
		list = append(list, x)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, x := range list {
		if _, err := tx.ExecContext(ctx, `UPDATE OR IGNORE observations SET identity = ? WHERE seq = ?`, x.id[:], x.seq); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DROP TABLE temp.resealed`)
	return err
}

// behind scans a row that has a number before what is asked for.
type behind struct {
	rows *sql.Rows
	seq  *int64
}

func (b behind) Scan(to ...any) error { return b.rows.Scan(append([]any{b.seq}, to...)...) }
