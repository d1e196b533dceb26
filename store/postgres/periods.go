package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Months before the first and from the last on share a partition: a history may say
// any time, and must not make a table for each.
var (
	firstMonth = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastMonth  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// period is the time that one partition of observations is of.
type period struct {
	start, until int64 // until is exclusive
	name         string
}

// periodOf returns the period of a time: its month, in UTC.
func periodOf(nanos int64) period {
	at := stored.Time(nanos)
	switch {
	case at.Before(firstMonth):
		return period{math.MinInt64, firstMonth.UnixNano(), "observations_before"}
	case !at.Before(lastMonth):
		return period{lastMonth.UnixNano(), math.MaxInt64, "observations_after"}
	}
	month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	return period{month.UnixNano(), month.AddDate(0, 1, 0).UnixNano(), month.Format("observations_2006_01")}
}

func (p period) bounds() string {
	from, to := fmt.Sprint(p.start), fmt.Sprint(p.until)
	if p.start == math.MinInt64 {
		from = "MINVALUE"
	}
	if p.until == math.MaxInt64 {
		to = "MAXVALUE"
	}
	return "FOR VALUES FROM (" + from + ") TO (" + to + ")"
}

// queue has the partition made, in a transaction that is alone: a table is made by itself
// and then attached.
func (p period) queue(batch *pgx.Batch) {
	batch.Queue("CREATE TABLE " + p.name + " (LIKE observations INCLUDING ALL)")
	batch.Queue("ALTER TABLE observations ATTACH PARTITION " + p.name + " " + p.bounds())
	batch.Queue(`INSERT INTO periods (start, until, name) VALUES ($1, $2, $3)`, p.start, p.until, p.name)
}

// DropBefore drops what has become old of the timelines: the months that had ended by a
// time, whole. It returns how many observations those were. What follows from them,
// drifts, decisions, the audit log, the model, stays.
func (s *Store) DropBefore(ctx context.Context, before time.Time) (dropped int64, err error) {
	for {
		var n int64
		more := false
		err := s.append(ctx, "drop old timelines", func(tx pgx.Tx) error {
			var p period
			err := tx.QueryRow(ctx, `SELECT start, until, name, held FROM periods WHERE until <= $1 ORDER BY start LIMIT 1`, stored.Nanos(before)).Scan(&p.start, &p.until, &p.name, &n)
			if err == pgx.ErrNoRows {
				more = false
				return nil
			}
			if err != nil {
				return err
			}
			more = true
			var batch pgx.Batch
			batch.Queue("DROP TABLE " + pgx.Identifier{p.name}.Sanitize())
			batch.Queue(`DELETE FROM periods WHERE start = $1`, p.start)
			batch.Queue(`DELETE FROM contents WHERE period = $1`, p.start)
			batch.Queue(`DELETE FROM named WHERE time >= $1 AND time < $2`, p.start, p.until)
			batch.Queue(`UPDATE timelines SET dropped = dropped + $1`, n)
			return tx.SendBatch(ctx, &batch).Close()
		})
		if err != nil || !more {
			return dropped, err
		}
		dropped += n
	}
}

// alone begins a transaction that is the only one that appends, until it ends. The lock
// is waited for before anything else: a transaction that had touched the observations
// before might not see the partition that another one has made meanwhile.
const alone = `BEGIN ISOLATION LEVEL READ COMMITTED; SELECT FROM timelines FOR UPDATE`

// lacking says that observations are of periods that have no partition yet.
type lacking struct{ periods []period }

func (l *lacking) Error() string {
	return fmt.Sprintf("there are no partitions for %d periods", len(l.periods))
}

// append is write of a transaction that is alone. If do finds that partitions are
// lacking, it is rolled back, they are made in a transaction of their own, and do is
// called again.
//
// Who reads plans by what its process knows of the partitions, and is told of another one
// a little after what is in it can be seen: nothing is put into a partition by the
// transaction that makes it. Nor is a process told that makes its list of partitions
// anew at that very moment, until the next one is made: nobody may do that meanwhile, which is
// what the lock on the table is for. It is waited for a moment only, since a backup that
// goes on for hours must keep nobody from appending.
func (s *Store) append(ctx context.Context, what string, do func(tx pgx.Tx) error) error {
	for {
		err := s.transact(ctx, what, alone, do)
		var l *lacking
		if !errors.As(err, &l) {
			return err
		}
		err = s.transact(ctx, what, alone, func(tx pgx.Tx) error { return l.create(ctx, tx, true) })
		if penumbra.KindOf(err) == penumbra.Locked {
			err = s.transact(ctx, what, alone, func(tx pgx.Tx) error { return l.create(ctx, tx, false) })
		}
		if err != nil {
			return err
		}
	}
}

// create makes the partitions, but for those that another process has made meanwhile.
func (l *lacking) create(ctx context.Context, tx pgx.Tx, unread bool) error {
	if unread {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '1s'`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `LOCK TABLE observations IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
	}
	for _, p := range l.periods {
		var there bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM periods WHERE start = $1)`, p.start).Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		var batch pgx.Batch
		p.queue(&batch)
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
	}
	return nil
}

func noTimelines(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: the row of timelines is missing", stored.ErrDamaged)
	}
	return err
}
