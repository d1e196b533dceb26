package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// known is what the writer remembers of rows that are stored already. Rows of
// these tables never change, so that it stays right whoever else writes.
type known struct {
	resources map[penumbra.Address]int64
	contents  map[[32]byte]int64 // by the digest of the body
	series    map[seriesKey]int64
}

// maxKnown bounds each table between two transactions; a full one starts anew, at the
// price of a content that is stored once more.
const maxKnown = 1 << 17

// forget empties the tables that are full. It is not done within a transaction, where a
// row may be known that has yet to be inserted with others, and nowhere else.
func (k *known) forget() {
	if len(k.resources) >= maxKnown {
		k.resources = nil
	}
	if len(k.contents) >= maxKnown {
		k.contents = nil
	}
	if len(k.series) >= maxKnown {
		k.series = nil
	}
}

// Append stores observations, see [contract.Observations]. An observation
// that cannot be used, see [penumbra.Observation.Check], or whose time is not
// between the years 1678 and 2262 is an error of kind Invalid.
func (s *Store) Append(ctx context.Context, observations []penumbra.Observation) ([]penumbra.Observation, error) {
	records, err := stored.Records(observations, s.path)
	if err != nil {
		return nil, err
	}
	var added []int
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.forget()
	err = s.write(ctx, "append observations", func(tx *sql.Tx) (err error) {
		added, err = s.insert(ctx, tx, records)
		return err
	})
	if err != nil {
		s.known = known{} // it may name rows that were rolled back
		return nil, err
	}
	out := make([]penumbra.Observation, len(added))
	for i, at := range added {
		out[i] = observations[at]
	}
	return out, nil
}

// insert stores the records that are not stored yet and returns their indexes.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, records []stored.Record) ([]int, error) {
	added, err := missing(ctx, tx, records)
	if err != nil || len(added) == 0 {
		return nil, err
	}
	resources := &bulk{tx: tx, into: "resources (id, address, stack)", width: 3}
	contents := &bulk{tx: tx, into: "contents (id, body)", width: 2}
	rows := &bulk{tx: tx, into: "observations (identity, time, seen, kind, resource, content, own)", width: 7}
	for _, b := range []*bulk{resources, contents, rows} {
		defer b.close()
	}
	lastResource, lastContent, err := lastIDs(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, i := range added {
		r := &records[i]
		resource, found, err := s.known.resource(ctx, tx, r.Address)
		if err != nil {
			return nil, err
		}
		if !found {
			lastResource++
			resource = lastResource
			remember(&s.known.resources, r.Address, resource)
			if err := resources.add(resource, string(r.Address), r.Address.Stack()); err != nil {
				return nil, err
			}
		}
		content, found := s.known.contents[r.Digest]
		if !found {
			lastContent++
			content = lastContent
			remember(&s.known.contents, r.Digest, content)
			if err := contents.add(content, r.Body); err != nil {
				return nil, err
			}
		}
		if err := rows.add(r.Identity[:], r.Time, r.Seen, int64(r.Kind), resource, content, r.Own); err != nil {
			return nil, err
		}
	}
	for _, b := range []*bulk{resources, contents, rows} {
		if err := b.flush(); err != nil {
			return nil, err
		}
	}
	return added, nil
}

// missing returns the indexes of the records whose identity is not stored yet,
// the first of each identity only.
func missing(ctx context.Context, tx *sql.Tx, records []stored.Record) ([]int, error) {
	there := make(map[penumbra.ObservationID]bool, len(records))
	for chunk := range slices.Chunk(records, 500) {
		args := make([]any, len(chunk))
		for i := range chunk {
			args[i] = chunk[i].Identity[:]
		}
		rows, err := tx.QueryContext(ctx, "SELECT identity FROM observations WHERE identity IN "+tuple(len(chunk)), args...)
		if err != nil {
			return nil, err
		}
		var id sql.RawBytes
		for rows.Next() {
			if err := rows.Scan(&id); err != nil {
				_ = rows.Close()
				return nil, err
			}
			there[penumbra.ObservationID(id)] = true
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
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

func lastIDs(ctx context.Context, tx *sql.Tx) (resource, content int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(id), 0) FROM resources), (SELECT coalesce(max(id), 0) FROM contents)`).Scan(&resource, &content)
	return resource, content, err
}

// resource returns the row of an address; found is false if it has none yet.
func (k *known) resource(ctx context.Context, tx *sql.Tx, a penumbra.Address) (id int64, found bool, err error) {
	if id, found := k.resources[a]; found {
		return id, true, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT id FROM resources WHERE address = ?`, string(a)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	remember(&k.resources, a, id)
	return id, true, nil
}

func remember[K comparable](m *map[K]int64, key K, id int64) {
	if *m == nil {
		*m = make(map[K]int64)
	}
	(*m)[key] = id
}

// tuple returns "(?,?,?)" with n marks.
func tuple(n int) string {
	return "(" + strings.TrimSuffix(strings.Repeat("?,", n), ",") + ")"
}

// Observations yields the selected observations, read from the database while
// the caller goes on: memory does not grow with their number. Observations
// appended meanwhile are not among them.
func (s *Store) Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error] {
	return func(yield func(penumbra.Observation, error) bool) {
		statement, args := selection(q)
		rows, err := s.reader.QueryContext(ctx, statement, args...)
		if err != nil {
			yield(penumbra.Observation{}, s.fault("read observations", err))
			return
		}
		defer rows.Close()
		var read stored.Reading
		for rows.Next() {
			o, err := observation(rows, &read)
			if err != nil {
				yield(penumbra.Observation{}, s.fault("read observations", err))
				return
			}
			if !yield(o, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(penumbra.Observation{}, s.fault("read observations", err))
		}
	}
}

// selection returns the statement that selects what q asks for. The join is a
// CROSS JOIN so that SQLite walks the observations in their order.
func selection(q penumbra.ObservationQuery) (string, []any) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if q.Resource != "" {
		add("o.resource = (SELECT id FROM resources WHERE address = ?)", string(q.Resource))
	}
	if q.Stack != "" {
		add("o.resource IN (SELECT id FROM resources WHERE stack = ?)", q.Stack)
	}
	if len(q.Kinds) > 0 {
		kinds := make([]any, len(q.Kinds))
		for i, k := range q.Kinds {
			kinds[i] = int64(k)
		}
		add("o.kind IN "+tuple(len(kinds)), kinds...)
	}
	if !q.From.IsZero() {
		add("o.time >= ?", stored.Nanos(q.From))
	}
	if !q.To.IsZero() {
		add("o.time < ?", stored.Nanos(q.To))
	}
	if q.After > 0 {
		add("o.seq > ?", q.After)
	}
	if q.UpTo > 0 {
		add("o.seq <= ?", q.UpTo)
	}
	chosen := "observations o"
	if len(where) > 0 {
		chosen += " WHERE " + strings.Join(where, " AND ")
	}
	if q.Latest > 0 {
		chosen = "SELECT * FROM " + chosen + " ORDER BY o.time DESC, o.identity DESC LIMIT ?"
		args = append(args, q.Latest)
	} else {
		chosen = "SELECT * FROM " + chosen
	}
	return "SELECT o.time, o.seen, o.kind, r.address, o.content, c.body, o.own FROM (" + chosen + ") o" +
		" CROSS JOIN resources r ON r.id = o.resource CROSS JOIN contents c ON c.id = o.content" +
		" ORDER BY o.time, o.identity", args
}

func observation(rows interface{ Scan(to ...any) error }, read *stored.Reading) (penumbra.Observation, error) {
	var (
		o           penumbra.Observation
		at, content int64
		seen        sql.NullInt64
		address     string
		body, own   sql.RawBytes
	)
	if err := rows.Scan(&at, &seen, &o.Kind, &address, &content, &body, &own); err != nil {
		return o, err
	}
	o.Time, o.Resource = stored.Time(at), penumbra.Address(address)
	o.Seen = stored.FromOptional(seen)
	return o, read.Fill(&o, content, body, own)
}

// Sequence returns the number of the observation stored last, 0 if none.
func (s *Store) Sequence(ctx context.Context) (n int64, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM observations`).Scan(&n)
	if err != nil {
		return 0, s.fault("read sequence", err)
	}
	return n, nil
}

// Quarantine keeps lines that could not be read, each of them once.
func (s *Store) Quarantine(ctx context.Context, lines []penumbra.BadLine) error {
	return s.write(ctx, "quarantine lines", func(tx *sql.Tx) error {
		for _, line := range lines {
			digest, body, err := stored.BadLine(line)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO quarantine (digest, body) VALUES (?, ?)`, digest[:], body); err != nil {
				return err
			}
		}
		return nil
	})
}

// Counts returns the numbers of observations and of quarantined lines.
func (s *Store) Counts(ctx context.Context) (observations, quarantined int64, err error) {
	// Sequence numbers have no gaps; counting rows would read them all.
	err = s.reader.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(seq), 0) FROM observations), (SELECT count(*) FROM quarantine)`).Scan(&observations, &quarantined)
	if err != nil {
		return 0, 0, s.fault("count", err)
	}
	return observations, quarantined, nil
}
