package sqlite

import (
	"database/sql"
	"strings"
)

// bulk inserts rows many at a time: most of the cost of a row is the call. It
// does so without a context, for which the driver would start a goroutine each
// time; a batch is short, and its transaction has one.
type bulk struct {
	tx       *sql.Tx
	or       string // what to do on a conflict, "" for FAIL
	into     string // the table and its columns
	width    int
	args     []any
	full     *sql.Stmt // of rowsPerInsert rows
	inserted int64     // rows
}

const rowsPerInsert = 64

func (b *bulk) add(values ...any) error {
	b.args = append(b.args, values...)
	if len(b.args) < rowsPerInsert*b.width {
		return nil
	}
	if b.full == nil {
		var err error
		if b.full, err = b.tx.Prepare(b.statement(rowsPerInsert)); err != nil {
			return err
		}
	}
	return b.did(b.full.Exec(b.args...))
}

// flush inserts the rows that are left.
func (b *bulk) flush() error {
	if len(b.args) == 0 {
		return nil
	}
	return b.did(b.tx.Exec(b.statement(len(b.args)/b.width), b.args...))
}

func (b *bulk) did(r sql.Result, err error) error {
	b.args = b.args[:0]
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	b.inserted += n
	return err
}

// taken returns how many rows were inserted since it was called last.
func (b *bulk) taken() int64 {
	n := b.inserted
	b.inserted = 0
	return n
}

func (b *bulk) close() {
	if b.full != nil {
		_ = b.full.Close() // with the transaction at the latest
	}
}

func (b *bulk) statement(rows int) string {
	// Without FAIL, SQLite would journal each statement to be able to undo it
	// alone; what fails here rolls the transaction back anyway.
	or := b.or
	if or == "" {
		or = "FAIL"
	}
	return "INSERT OR " + or + " INTO " + b.into + " VALUES " + strings.TrimSuffix(strings.Repeat(tuple(b.width)+",", rows), ",")
}
