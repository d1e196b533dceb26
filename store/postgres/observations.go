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

// Append stores observations, see [contract.Observations]. An observation that cannot
// be used, see [penumbra.Observation.Check], or whose time is not between the years
// 1678 and 2262 is an error of kind Invalid.
func (s *Store) Append(ctx context.Context, observations []penumbra.Observation) ([]penumbra.Observation, error) {
	records, err := stored.Records(observations, s.where)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	var added []int
	err = s.append(ctx, "append observations", func(tx pgx.Tx) error {
		known, err := look(ctx, tx, records)
		if err != nil {
			return err
		}
		var chosen []*stored.Record
		added = nil
		for i := range records {
			if id := records[i].Identity; !known.identities[id] {
				known.identities[id] = true
				added = append(added, i)
				chosen = append(chosen, &records[i])
			}
		}
		return insert(ctx, tx, known, chosen)
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

// known is what is stored already of what records need.
type known struct {
	last       int64                           // the number given last
	identities map[penumbra.ObservationID]bool // of the records
	periods    map[int64]bool                  // by start
	resources  map[penumbra.Address]int64      // their numbers, 0 of one that is not stored
	contents   map[contentKey]int64            // the same
}

// making is the number of what this very append stores.
const making = -1

type contentKey struct {
	period int64
	digest [32]byte
}

// look finds out what is stored already, in one round trip. The transaction is alone.
func look(ctx context.Context, tx pgx.Tx, records []stored.Record) (*known, error) {
	k := &known{identities: map[penumbra.ObservationID]bool{}, periods: map[int64]bool{}, resources: map[penumbra.Address]int64{}, contents: map[contentKey]int64{}}
	n := len(records)
	times, identities, named := make([]int64, n), make([][]byte, n), [][]byte(nil)
	var starts, contentStarts []int64
	var addresses []string
	var digests [][]byte
	for i := range records {
		r := &records[i]
		times[i], identities[i] = r.Time, r.Identity[:]
		if r.Named {
			named = append(named, r.Identity[:])
		}
		start := periodOf(r.Time).start
		if _, asked := k.periods[start]; !asked {
			k.periods[start] = false
			starts = append(starts, start)
		}
		if _, asked := k.resources[r.Address]; !asked {
			k.resources[r.Address] = 0
			addresses = append(addresses, text(r.Address))
		}
		if key := (contentKey{start, r.Digest}); !k.asked(key) {
			k.contents[key] = 0
			contentStarts, digests = append(contentStarts, start), append(digests, r.Digest[:])
		}
	}
	var batch pgx.Batch
	batch.Queue(`SELECT last FROM timelines`).QueryRow(func(row pgx.Row) error { return noTimelines(row.Scan(&k.last)) })
	// A subquery that has to give one value is looked up for each row, by the index and in
	// the one partition of its time. A join might read them all, and so might a comparison
	// with an array: the plan is made when the tables are new, and kept.
	var id []byte
	identity := func() error { k.identities[penumbra.ObservationID(id)] = true; return nil }
	queue(&batch, []any{&id}, identity, `SELECT u.identity FROM unnest($1::bigint[], $2::bytea[]) u(time, identity)
		WHERE (SELECT o.seq FROM observations o WHERE o.time = u.time AND o.identity = u.identity) IS NOT NULL`, times, identities)
	if len(named) > 0 {
		queue(&batch, []any{&id}, identity, `SELECT identity FROM named WHERE identity = ANY($1::bytea[])`, named)
	}
	var start int64
	queue(&batch, []any{&start}, func() error { k.periods[start] = true; return nil }, `SELECT start FROM periods WHERE start = ANY($1::bigint[])`, starts)
	var at int
	var number sql.NullInt64
	resource := func() error { k.resources[penumbra.Address(untext(addresses[at-1]))] = number.Int64; return nil }
	queue(&batch, []any{&at, &number}, resource, `SELECT u.ord, (SELECT r.id FROM resources r WHERE r.address = u.address) FROM unnest($1::text[]) WITH ORDINALITY u(address, ord)`, addresses)
	content := func() error {
		k.contents[contentKey{contentStarts[at-1], [32]byte(digests[at-1])}] = number.Int64
		return nil
	}
	queue(&batch, []any{&at, &number}, content,
		`SELECT u.ord, (SELECT c.id FROM contents c WHERE c.period = u.period AND c.digest = u.digest)
		FROM unnest($1::bigint[], $2::bytea[]) WITH ORDINALITY u(period, digest, ord)`, contentStarts, digests)
	return k, tx.SendBatch(ctx, &batch).Close()
}

func (k *known) asked(key contentKey) bool { _, asked := k.contents[key]; return asked }

// queue puts a query into a batch; each is called once each row was scanned.
func queue(batch *pgx.Batch, to []any, each func() error, query string, args ...any) {
	batch.Queue(query, args...).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, to, each)
		return err
	})
}

// insert stores records under the numbers behind the last one, with what they need that
// is not stored yet, in one round trip. It returns a [lacking] error if that is partitions.
func insert(ctx context.Context, tx pgx.Tx, k *known, records []*stored.Record) error {
	n := len(records)
	if n == 0 {
		return nil
	}
	var batch pgx.Batch
	var addresses, stacks []string
	var contentStarts []int64
	var digests, bodies, named [][]byte
	var namedTimes []int64
	held := map[int64]int64{}
	var l lacking
	times, starts, identities, seen, kinds := make([]int64, n), make([]int64, n), make([][]byte, n), make([]sql.NullInt64, n), make([]int16, n)
	// Of what is stored by now the numbers are known; of what this stores they are looked up.
	resources, contents := make([]sql.NullInt64, n), make([]sql.NullInt64, n)
	of, says, own := make([]sql.NullString, n), make([][]byte, n), make([][]byte, n)
	for i, r := range records {
		p := periodOf(r.Time)
		if held[p.start]++; !k.periods[p.start] {
			k.periods[p.start] = true
			l.periods = append(l.periods, p)
		}
		if number := k.resources[r.Address]; number > 0 {
			resources[i] = sql.NullInt64{Int64: number, Valid: true}
		} else {
			of[i] = null(string(r.Address), true)
			if number == 0 {
				k.resources[r.Address] = making
				addresses, stacks = append(addresses, text(r.Address)), append(stacks, text(r.Address.Stack()))
			}
		}
		key := contentKey{p.start, r.Digest}
		if number := k.contents[key]; number > 0 {
			contents[i] = sql.NullInt64{Int64: number, Valid: true}
		} else {
			says[i] = r.Digest[:]
			if number == 0 {
				k.contents[key] = making
				contentStarts, digests, bodies = append(contentStarts, p.start), append(digests, r.Digest[:]), append(bodies, r.Body)
			}
		}
		if r.Named {
			named, namedTimes = append(named, r.Identity[:]), append(namedTimes, r.Time)
		}
		times[i], starts[i], identities[i], seen[i], kinds[i], own[i] = r.Time, p.start, r.Identity[:], r.Seen, int16(r.Kind), r.Own
	}
	if len(l.periods) > 0 {
		return &l
	}
	if len(addresses) > 0 { // who saves rollups makes some too
		batch.Queue(`INSERT INTO resources (address, stack) SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1 ON CONFLICT (address) DO NOTHING`, addresses, stacks)
	}
	if len(bodies) > 0 {
		batch.Queue(`INSERT INTO contents (period, digest, body) SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])`, contentStarts, digests, bodies)
	}
	batch.Queue(`INSERT INTO observations (seq, time, identity, seen, kind, resource, content, own)
		SELECT $1::bigint + ord, u.time, u.identity, u.seen, u.kind, coalesce(u.resource, (SELECT r.id FROM resources r WHERE r.address = u.address)),
			coalesce(u.content, (SELECT c.id FROM contents c WHERE c.period = u.period AND c.digest = u.digest)), u.own
		FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::smallint[], $7::bigint[], $8::text[], $9::bigint[], $10::bytea[], $11::bytea[])
			WITH ORDINALITY u(time, period, identity, seen, kind, resource, address, content, digest, own, ord)`,
		k.last, times, starts, identities, seen, kinds, resources, of, contents, says, own)
	if len(named) > 0 {
		batch.Queue(`INSERT INTO named (identity, time) SELECT * FROM unnest($1::bytea[], $2::bigint[])`, named, namedTimes)
	}
	for start, n := range held {
		batch.Queue(`UPDATE periods SET held = held + $2 WHERE start = $1`, start, n)
	}
	k.last += int64(n)
	batch.Queue(`UPDATE timelines SET last = $1`, k.last)
	return tx.SendBatch(ctx, &batch).Close()
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
		rows, err := r.s.pool.Query(ctx, `SELECT u.id, (SELECT c.body FROM contents c WHERE c.id = u.id) FROM unnest($1::bigint[]) u(id)`, unknown)
		if err != nil {
			return nil, err
		}
		var id int64
		var body []byte
		keep := func() error {
			if body != nil {
				bodies[id] = slices.Clone(body)
			}
			return nil
		}
		if _, err := pgx.ForEachRow(rows, []any{&id, &body}, keep); err != nil {
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
