package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Append stores observations, see [storetest.Observations]. An observation that cannot
// be used, see [penumbra.Observation.Check], or whose time is not between the years
// 1678 and 2262 is an error of kind Invalid.
func (s *Store) Append(ctx context.Context, observations []penumbra.Observation) ([]penumbra.Observation, error) {
	records, err := stored.Records(observations, s.where)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	var added []int
	err = s.write(ctx, "append observations", func(tx pgx.Tx) error {
		last, err := lockTimelines(ctx, tx)
		if err != nil {
			return err
		}
		if added, err = missing(ctx, tx, records); err != nil || len(added) == 0 {
			return err
		}
		chosen := make([]*stored.Record, len(added))
		for i, at := range added {
			chosen[i] = &records[at]
		}
		return insert(ctx, tx, last, chosen)
	})
	if err != nil {
		return nil, err
	}
	out := make([]penumbra.Observation, len(added))
	for i, at := range added {
		out[i] = observations[at]
	}
	return out, nil
}

// missing returns the indexes of the records that are not stored yet, the first of each
// identity only.
func missing(ctx context.Context, tx pgx.Tx, records []stored.Record) ([]int, error) {
	there := make(map[penumbra.ObservationID]bool, len(records))
	times, identities, named := make([]int64, len(records)), make([][]byte, len(records)), [][]byte(nil)
	for i := range records {
		r := &records[i]
		times[i], identities[i] = r.Time, r.Identity[:]
		if r.Named {
			named = append(named, r.Identity[:])
		}
	}
	// A subquery that has to give one value is looked up for each row, in the one
	// partition of its time; a join might read them all.
	statement := `SELECT u.identity FROM unnest($1::bigint[], $2::bytea[]) u(time, identity)
		WHERE (SELECT o.seq FROM observations o WHERE o.time = u.time AND o.identity = u.identity) IS NOT NULL`
	args := []any{times, identities}
	if len(named) > 0 {
		statement += ` UNION ALL SELECT identity FROM named WHERE identity = ANY($3::bytea[])`
		args = append(args, named)
	}
	rows, err := tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	var id []byte
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		there[penumbra.ObservationID(id)] = true
		return nil
	}); err != nil {
		return nil, err
	}
	var added []int
	for i := range records {
		if id := records[i].Identity; !there[id] {
			there[id] = true
			added = append(added, i)
		}
	}
	return added, nil
}

// insert stores records under the numbers behind the last one. Who calls it holds the
// row of timelines.
func insert(ctx context.Context, tx pgx.Tx, last int64, records []*stored.Record) error {
	addresses := make([]penumbra.Address, len(records))
	periods, held, named := map[int64]period{}, map[int64]int64{}, [][]any(nil)
	starts := make([]int64, len(records))
	for i, r := range records {
		p := periodOf(r.Time)
		addresses[i], starts[i], periods[p.start] = r.Address, p.start, p
		held[p.start]++
		if r.Named {
			named = append(named, []any{r.Identity[:], r.Time})
		}
	}
	if err := makePeriods(ctx, tx, periods); err != nil {
		return err
	}
	resources, err := resourcesOf(ctx, tx, addresses)
	if err != nil {
		return err
	}
	contents, err := contentsOf(ctx, tx, starts, records)
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"observations"}, []string{"seq", "time", "identity", "seen", "kind", "resource", "content", "own"},
		pgx.CopyFromSlice(len(records), func(i int) ([]any, error) {
			r := records[i]
			return []any{last + int64(i) + 1, r.Time, r.Identity[:], r.Seen, int16(r.Kind), resources[r.Address], contents[contentKey{starts[i], r.Digest}], r.Own}, nil
		}))
	if err != nil {
		return err
	}
	if len(named) > 0 {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"named"}, []string{"identity", "time"}, pgx.CopyFromRows(named)); err != nil {
			return err
		}
	}
	var batch pgx.Batch
	for start, n := range held {
		batch.Queue(`UPDATE periods SET held = held + $2 WHERE start = $1`, start, n)
	}
	batch.Queue(`UPDATE timelines SET last = $1`, last+int64(len(records)))
	return tx.SendBatch(ctx, &batch).Close()
}

type contentKey struct {
	period int64
	digest [32]byte
}

// contentsOf returns the numbers of the records' contents, new ones for those that are
// not stored yet in their period.
func contentsOf(ctx context.Context, tx pgx.Tx, starts []int64, records []*stored.Record) (map[contentKey]int64, error) {
	ids := make(map[contentKey]int64, len(records))
	var periods []int64
	var digests, bodies [][]byte
	for i, r := range records {
		key := contentKey{starts[i], r.Digest}
		if _, known := ids[key]; !known {
			ids[key] = 0
			periods, digests, bodies = append(periods, starts[i]), append(digests, r.Digest[:]), append(bodies, r.Body)
		}
	}
	var start, id int64
	var digest []byte
	take := func(rows pgx.Rows, err error) error {
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, []any{&start, &digest, &id}, func() error {
			ids[contentKey{start, [32]byte(digest)}] = id
			return nil
		})
		return err
	}
	if err := take(tx.Query(ctx, `SELECT * FROM (SELECT u.period, u.digest, (SELECT c.id FROM contents c WHERE c.period = u.period AND c.digest = u.digest) AS id
		FROM unnest($1::bigint[], $2::bytea[]) u(period, digest)) f WHERE id IS NOT NULL`, periods, digests)); err != nil {
		return nil, err
	}
	var n int
	for i := range periods {
		if ids[contentKey{periods[i], [32]byte(digests[i])}] == 0 {
			periods[n], digests[n], bodies[n] = periods[i], digests[i], bodies[i]
			n++
		}
	}
	if n == 0 {
		return ids, nil
	}
	return ids, take(tx.Query(ctx, `INSERT INTO contents (period, digest, body) SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) RETURNING period, digest, id`,
		periods[:n], digests[:n], bodies[:n]))
}

// Observations yields the selected observations, read page by page while the caller
// goes on: neither memory nor the time that a connection is held grows with their
// number. Observations appended meanwhile are not among them.
func (s *Store) Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error] {
	return func(yield func(penumbra.Observation, error) bool) {
		r := &reader{s: s}
		var err error
		if r.filter, err = s.selection(ctx, q); err != nil {
			yield(penumbra.Observation{}, s.fault("read observations", err))
			return
		}
		for more := true; more; {
			var page []penumbra.Observation
			page, more, err = r.next(ctx, q.Latest)
			if err != nil {
				yield(penumbra.Observation{}, s.fault("read observations", err))
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
		}
	}
}

// selection returns the conditions of what q asks for, among what is stored by now.
func (s *Store) selection(ctx context.Context, q penumbra.ObservationQuery) (f filter, err error) {
	var last, from int64
	if err := s.pool.QueryRow(ctx, `SELECT last FROM timelines`).Scan(&last); err != nil {
		return f, err
	}
	if q.UpTo > 0 {
		last = min(last, q.UpTo)
	}
	f.add("seq <= ?", last)
	if q.Resource != "" {
		f.add("resource = (SELECT id FROM resources WHERE address = ?)", text(q.Resource))
	}
	if q.Stack != "" {
		f.add("resource IN (SELECT id FROM resources WHERE stack = ?)", text(q.Stack))
	}
	if len(q.Kinds) > 0 {
		kinds := make([]int16, len(q.Kinds))
		for i, k := range q.Kinds {
			kinds[i] = int16(k)
		}
		f.add("kind = ANY(?)", kinds)
	}
	if !q.From.IsZero() {
		f.add("time >= ?", stored.Nanos(q.From))
	}
	if !q.To.IsZero() {
		f.add("time < ?", stored.Nanos(q.To))
	}
	if q.After > 0 {
		f.add("seq > ?", q.After)
		// What was taken in last mostly happened last: the pages need not start with what
		// happened first.
		if err := s.pool.QueryRow(ctx, `SELECT coalesce(min(time), 0) FROM observations WHERE seq > $1`, q.After).Scan(&from); err != nil {
			return f, err
		}
		f.add("time >= ?", from)
	}
	return f, nil
}

// reader reads page after page.
type reader struct {
	s      *Store
	filter filter
	read   stored.Reading
	size   int
	// The last one read.
	time     int64
	identity []byte
}

// Pages grow: who stops early has not read much, who reads on asks seldom.
const (
	firstPage = 256
	lastPage  = 4096
)

// line is a row of observations.
type line struct {
	time     int64
	identity []byte
	seen     sql.NullInt64
	kind     int16
	address  string
	content  int64
	own      []byte
}

func (r *reader) next(ctx context.Context, latest int) (out []penumbra.Observation, more bool, err error) {
	r.size = min(max(firstPage, 2*r.size), lastPage)
	// Between the rows and their contents a month may be dropped: what is left of it is
	// read again, and is not there then.
	for range 3 {
		f := filter{conditions: slices.Clone(r.filter.conditions), args: slices.Clone(r.filter.args)}
		if r.identity != nil {
			f.add("time >= ? AND (time, identity) > (?, ?)", r.time, r.time, r.identity)
		}
		order, limit := "time, identity", r.size
		if latest > 0 {
			order, limit = "time DESC, identity DESC", latest
		}
		var lines []line
		if lines, err = r.lines(ctx, f.rest(order, limit), f.args); err != nil {
			return nil, false, err
		}
		if out, err = r.fill(ctx, lines); err == nil {
			if n := len(lines); n > 0 {
				r.time, r.identity = lines[n-1].time, lines[n-1].identity
			}
			return out, latest == 0 && len(lines) == limit, nil
		}
	}
	return nil, false, err
}

func (r *reader) lines(ctx context.Context, rest string, args []any) ([]line, error) {
	rows, err := r.s.pool.Query(ctx, "SELECT o.time, o.identity, o.seen, o.kind, r.address, o.content, o.own FROM (SELECT * FROM observations "+rest+") o JOIN resources r ON r.id = o.resource ORDER BY o.time, o.identity", args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows(make([]line, 0, r.size), rows, func(row pgx.CollectableRow) (l line, err error) {
		err = row.Scan(&l.time, &l.identity, &l.seen, &l.kind, &l.address, &l.content, &l.own)
		return l, err
	})
}

// fill makes observations of lines, with contents that are read once.
func (r *reader) fill(ctx context.Context, lines []line) ([]penumbra.Observation, error) {
	ids := make([]int64, len(lines))
	for i := range lines {
		ids[i] = lines[i].content
	}
	bodies := map[int64][]byte{}
	if unknown := r.read.Unknown(ids); len(unknown) > 0 {
		rows, err := r.s.pool.Query(ctx, `SELECT id, body FROM contents WHERE id = ANY($1)`, unknown)
		if err != nil {
			return nil, err
		}
		var id int64
		var body []byte
		if _, err := pgx.ForEachRow(rows, []any{&id, &body}, func() error { bodies[id] = slices.Clone(body); return nil }); err != nil {
			return nil, err
		}
		if len(bodies) < len(unknown) {
			return nil, fmt.Errorf("%w: %d contents are missing", stored.ErrDamaged, len(unknown)-len(bodies))
		}
	}
	out := make([]penumbra.Observation, len(lines))
	for i := range lines {
		l, o := &lines[i], &out[i]
		if l.kind < 0 || int64(l.kind) > math.MaxUint8 {
			return nil, fmt.Errorf("%w: kind %d", stored.ErrDamaged, l.kind)
		}
		o.Time, o.Seen, o.Kind, o.Resource = stored.Time(l.time), stored.FromOptional(l.seen), penumbra.ObservationKind(l.kind), penumbra.Address(untext(l.address))
		if err := r.read.Fill(o, l.content, bodies[l.content], l.own); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Sequence returns the number of the observation stored last, 0 if none.
func (s *Store) Sequence(ctx context.Context) (n int64, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT last FROM timelines`).Scan(&n); err != nil {
		return 0, s.fault("read sequence", err)
	}
	return n, nil
}

// Quarantine keeps lines that could not be read, each of them once.
func (s *Store) Quarantine(ctx context.Context, lines []penumbra.BadLine) error {
	return s.write(ctx, "quarantine lines", func(tx pgx.Tx) error {
		var batch pgx.Batch
		for _, line := range lines {
			digest, body, err := stored.BadLine(line)
			if err != nil {
				return err
			}
			batch.Queue(`INSERT INTO quarantine (digest, body) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`, digest[:], body)
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// Counts returns the numbers of observations and of quarantined lines.
func (s *Store) Counts(ctx context.Context) (observations, quarantined int64, err error) {
	// Counting rows would read them all.
	err = s.pool.QueryRow(ctx, `SELECT last - dropped, (SELECT count(*) FROM quarantine) FROM timelines`).Scan(&observations, &quarantined)
	if err != nil {
		return 0, 0, s.fault("count", err)
	}
	return observations, quarantined, nil
}
