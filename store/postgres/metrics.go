package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// SaveAnomalies stores new anomalies and new states of stored ones, all or none.
func (s *Store) SaveAnomalies(ctx context.Context, anomalies []penumbra.Anomaly) error {
	return s.write(ctx, "save anomalies", func(tx pgx.Tx) error {
		return putAll(ctx, tx, "anomalies", "id, resource, stack, active, time", anomalies, func(a *penumbra.Anomaly) []any {
			return []any{text(a.ID), text(a.Resource), text(a.Resource.Stack()), a.Active(), stored.Nanos(a.Time)}
		})
	})
}

// Anomalies returns the selected anomalies, the last noticed first.
func (s *Store) Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	f := finding(q.ID, q.Resource, q.Stack, q.Active)
	if !q.From.IsZero() {
		f.add("time >= ?", stored.Nanos(q.From))
	}
	f.behind("time", q.Before, q.BeforeID)
	out, err := list[penumbra.Anomaly](ctx, s.pool, "anomalies", f.rest("time DESC, id", q.Limit), f.args...)
	if err != nil {
		return nil, s.fault("read anomalies", err)
	}
	return out, nil
}

// SaveRollups stores rollups, all or none; one of the same resource, metric, span and
// start takes the place of the stored one. It returns an error of kind Invalid for one
// without a resource, a metric or a positive span, with a number that is not finite,
// or that does not start between the years 1678 and 2262.
func (s *Store) SaveRollups(ctx context.Context, rollups []penumbra.Rollup) error {
	if err := stored.CheckRollups(rollups, s.where); err != nil {
		return err
	}
	if len(rollups) == 0 {
		return nil
	}
	return s.write(ctx, "save rollups", func(tx pgx.Tx) error { return saveRollups(ctx, tx, rollups) })
}

type rollupKey struct {
	series      int64
	span, start int64
}

func saveRollups(ctx context.Context, tx pgx.Tx, rollups []penumbra.Rollup) error {
	series, err := seriesOf(ctx, tx, rollups)
	if err != nil {
		return err
	}
	// One statement takes a row once: of two of the same place the last counts. In the
	// order of their keys, two processes that write the same do not wait crosswise.
	last := make(map[rollupKey]*penumbra.Rollup, len(rollups))
	for i := range rollups {
		r := &rollups[i]
		last[rollupKey{series[seriesKey{r.Resource, r.Metric}], int64(r.Span), r.Start.UnixNano()}] = r
	}
	keys := make([]rollupKey, 0, len(last))
	for k := range last {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b rollupKey) int {
		return slices.Compare([]int64{a.series, a.span, a.start}, []int64{b.series, b.span, b.start})
	})
	n := len(keys)
	ids, spans, starts, counts := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	sums, mins, maxs, lasts := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, k := range keys {
		r := last[k]
		ids[i], spans[i], starts[i], counts[i] = k.series, k.span, k.start, int64(r.Count)
		sums[i], mins[i], maxs[i], lasts[i] = r.Sum, r.Min, r.Max, r.Last
	}
	_, err = tx.Exec(ctx, `INSERT INTO rollups (series, span, start, count, sum, min, max, last)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::float8[], $6::float8[], $7::float8[], $8::float8[])
		ON CONFLICT (series, span, start) DO UPDATE SET count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max, last = excluded.last`,
		ids, spans, starts, counts, sums, mins, maxs, lasts)
	return err
}

type seriesKey struct {
	resource penumbra.Address
	metric   string
}

// seriesOf returns the numbers of the rollups' series, new ones for those that have
// none yet.
func seriesOf(ctx context.Context, tx pgx.Tx, rollups []penumbra.Rollup) (map[seriesKey]int64, error) {
	series := map[seriesKey]int64{}
	var addresses []penumbra.Address
	var of, metrics []string
	for i := range rollups {
		key := seriesKey{rollups[i].Resource, rollups[i].Metric}
		if _, known := series[key]; known {
			continue
		}
		series[key] = 0
		addresses = append(addresses, key.resource)
		of, metrics = append(of, text(key.resource)), append(metrics, text(key.metric))
	}
	find := func() (missing bool, err error) {
		rows, err := tx.Query(ctx, `SELECT r.address, s.metric, s.id FROM unnest($1::text[], $2::text[]) u(address, metric)
			JOIN resources r ON r.address = u.address JOIN series s ON s.resource = r.id AND s.metric = u.metric`, of, metrics)
		if err != nil {
			return false, err
		}
		var address, metric string
		var id int64
		n := 0
		_, err = pgx.ForEachRow(rows, []any{&address, &metric, &id}, func() error {
			series[seriesKey{penumbra.Address(untext(address)), untext(metric)}] = id
			n++
			return nil
		})
		return n < len(of), err
	}
	if missing, err := find(); err != nil || !missing {
		return series, err
	}
	if _, err := resourcesOf(ctx, tx, addresses); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO series (resource, metric) SELECT r.id, u.metric FROM unnest($1::text[], $2::text[]) u(address, metric)
		JOIN resources r ON r.address = u.address ORDER BY 1, 2 ON CONFLICT DO NOTHING`, of, metrics); err != nil {
		return nil, err
	}
	_, err := find()
	return series, err
}

// resourcesOf returns the numbers of resources, new ones for those that have none yet.
func resourcesOf(ctx context.Context, tx pgx.Tx, addresses []penumbra.Address) (map[penumbra.Address]int64, error) {
	ids := make(map[penumbra.Address]int64, len(addresses))
	for _, a := range addresses {
		ids[a] = 0
	}
	var names, stacks []string
	for a := range ids {
		names, stacks = append(names, text(a)), append(stacks, text(a.Stack()))
	}
	find := func() (missing bool, err error) {
		rows, err := tx.Query(ctx, `SELECT r.address, r.id FROM unnest($1::text[]) u(address), LATERAL (SELECT * FROM resources WHERE address = u.address LIMIT 1) r`, names)
		if err != nil {
			return false, err
		}
		var address string
		var id int64
		n := 0
		_, err = pgx.ForEachRow(rows, []any{&address, &id}, func() error {
			ids[penumbra.Address(untext(address))] = id
			n++
			return nil
		})
		return n < len(names), err
	}
	if missing, err := find(); err != nil || !missing {
		return ids, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO resources (address, stack) SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1 ON CONFLICT (address) DO NOTHING`, names, stacks); err != nil {
		return nil, err
	}
	_, err := find()
	return ids, err
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
	statement := `SELECT r.address, s.metric, p.span, p.start, p.count, p.sum, p.min, p.max, p.last` +
		` FROM resources r JOIN series s ON s.resource = r.id JOIN rollups p ON p.series = s.id `
	rows, err := s.pool.Query(ctx, statement+f.rest("p.start, r.address, s.metric, p.span", 0), f.args...)
	if err != nil {
		return nil, s.fault("read rollups", err)
	}
	out, err := pgx.AppendRows([]penumbra.Rollup(nil), rows, func(row pgx.CollectableRow) (r penumbra.Rollup, err error) {
		var address string
		var span, at int64
		err = row.Scan(&address, &r.Metric, &span, &at, &r.Count, &r.Sum, &r.Min, &r.Max, &r.Last)
		r.Resource, r.Metric, r.Span, r.Start = penumbra.Address(untext(address)), untext(r.Metric), time.Duration(span), stored.Time(at)
		return r, err
	})
	if err != nil {
		return nil, s.fault("read rollups", err)
	}
	return out, nil
}

// PruneRollups deletes the rollups of a span that start before a time.
func (s *Store) PruneRollups(ctx context.Context, span time.Duration, before time.Time) error {
	return s.exec(ctx, "prune rollups", `DELETE FROM rollups WHERE span = $1 AND start < $2`, int64(span), stored.Nanos(before))
}
