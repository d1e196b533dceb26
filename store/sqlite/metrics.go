package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// SaveAnomalies stores new anomalies and new states of stored ones, all or none.
func (s *Store) SaveAnomalies(ctx context.Context, anomalies []penumbra.Anomaly) error {
	return s.write(ctx, "save anomalies", func(tx *sql.Tx) error {
		for _, a := range anomalies {
			err := put(ctx, tx, "anomalies", "id, resource, stack, active, time", a,
				a.ID, string(a.Resource), a.Resource.Stack(), a.Active(), stored.Nanos(a.Time))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Anomalies returns the selected anomalies, the last noticed first.
func (s *Store) Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	f := finding(q.ID, q.Resource, q.Stack, q.Active)
	if !q.From.IsZero() {
		f.add("time >= ?", stored.Nanos(q.From))
	}
	f.behind("time", q.Before, q.BeforeID)
	out, err := list[penumbra.Anomaly](ctx, s.reader, "anomalies", f.rest("time DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read anomalies", err)
	}
	return out, nil
}

// SaveRollups stores rollups, all or none; one of the same resource, metric,
// span and start takes the place of the stored one. It returns an error of kind
// Invalid for one without a resource, a metric or a positive span, with a
// number that is not finite, or that does not start between the years 1678 and
// 2262.
func (s *Store) SaveRollups(ctx context.Context, rollups []penumbra.Rollup) error {
	if err := stored.CheckRollups(rollups, s.path); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.forget()
	err := s.write(ctx, "save rollups", func(tx *sql.Tx) error {
		rows := &bulk{tx: tx, or: "REPLACE", into: "rollups (series, span, start, count, sum, min, max, last)", width: 8}
		defer rows.close()
		for i := range rollups {
			r := &rollups[i]
			key := seriesKey{r.Resource, r.Metric}
			id, found := s.known.series[key]
			if !found {
				var err error
				if id, err = series(ctx, tx, key); err != nil {
					return err
				}
				remember(&s.known.series, key, id)
			}
			if err := rows.add(id, int64(r.Span), r.Start.UnixNano(), r.Count, r.Sum, r.Min, r.Max, r.Last); err != nil {
				return err
			}
		}
		return rows.flush()
	})
	if err != nil {
		s.known = known{} // it may name rows that were rolled back
	}
	return err
}

type seriesKey struct {
	resource penumbra.Address
	metric   string
}

// series returns the number of a series, a new one if it has none yet.
func series(ctx context.Context, tx *sql.Tx, key seriesKey) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT s.id FROM resources r JOIN series s ON s.resource = r.id WHERE r.address = ? AND s.metric = ?`,
		string(key.resource), key.metric).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO resources (address, stack) VALUES (?, ?) ON CONFLICT (address) DO NOTHING`,
		string(key.resource), key.resource.Stack()); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO series (resource, metric) SELECT id, ? FROM resources WHERE address = ? RETURNING id`,
		key.metric, string(key.resource)).Scan(&id)
	return id, err
}

// Rollups returns the selected rollups, the oldest first.
func (s *Store) Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	var f filter
	f.where("r.address", string(q.Resource))
	f.where("s.metric", q.Metric)
	if q.Span != 0 {
		f.add("p.span = ?", int64(q.Span))
	}
	if !q.From.IsZero() {
		f.add("p.start >= ?", stored.Nanos(q.From))
	}
	if !q.To.IsZero() {
		f.add("p.start < ?", stored.Nanos(q.To))
	}
	// The order of a CROSS JOIN is kept: SQLite goes to each series' place.
	statement := `SELECT r.address, s.metric, p.span, p.start, p.count, p.sum, p.min, p.max, p.last` +
		` FROM resources r CROSS JOIN series s ON s.resource = r.id CROSS JOIN rollups p ON p.series = s.id `
	rows, err := s.reader.QueryContext(ctx, statement+f.rest("p.start, r.address, s.metric, p.span", 0), f.args...)
	if err != nil {
		return nil, s.fault("read rollups", err)
	}
	defer rows.Close()
	var out []penumbra.Rollup
	for rows.Next() {
		var r penumbra.Rollup
		var at int64
		if err := rows.Scan(&r.Resource, &r.Metric, &r.Span, &at, &r.Count, &r.Sum, &r.Min, &r.Max, &r.Last); err != nil {
			return nil, s.fault("read rollups", err)
		}
		r.Start = stored.Time(at)
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, s.fault("read rollups", err)
	}
	return out, nil
}

// PruneRollups deletes the rollups of a span that start before a time.
func (s *Store) PruneRollups(ctx context.Context, span time.Duration, before time.Time) error {
	return s.write(ctx, "prune rollups", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM rollups WHERE series IN (SELECT id FROM series) AND span = ? AND start < ?`, int64(span), stored.Nanos(before))
		return err
	})
}
