// Package migrate carries the embedded store over into a PostgreSQL database. It
// answers one question: is all of the one in the other, to the byte?
//
// It guarantees that nothing is taken for carried over that is not: both stores are
// read in the end, table by table and timeline by timeline, and only once their counts
// and digests are the same can the database be worked on. A migration that was killed
// goes on where it was; what has changed in the embedded store meanwhile is carried
// over anew. The embedded store is only ever read.
package migrate

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/sqlite"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// Options say how a store is carried over.
type Options struct {
	// Restart takes out what an earlier attempt has left.
	Restart bool
	// Progress, if not nil, is told the share of the work that is done.
	Progress func(share float64)
}

// Report says what was carried over, and whether it is the same.
type Report struct {
	From      string    `json:"from"`
	To        string    `json:"to"`
	Resumed   bool      `json:"resumed"` // an earlier attempt had left something
	Tables    []Table   `json:"tables"`
	Timelines Timelines `json:"timelines"`
	Verified  bool      `json:"verified"` // all is the same
}

// Table is a table's part of a report.
type Table struct {
	Name   string `json:"name"`
	Copied int64  `json:"copied"` // rows, this time
	Rows   int64  `json:"rows"`   // in the embedded store
	Found  int64  `json:"found"`  // in the database
	// Digest and FoundDigest are those of the rows, in whatever order: the sum modulo
	// 2^256 of their SHA-256, each of the row's columns as a CBOR array.
	Digest      string `json:"digest"`
	FoundDigest string `json:"found_digest"`
	Same        bool   `json:"same"`
}

// Timelines is what a report says of the timelines one by one.
type Timelines struct {
	Count  int        `json:"count"`
	Differ []Timeline `json:"differ"` // at most 100, by address
}

// Timeline is one that is not the same.
type Timeline struct {
	Resource penumbra.Address `json:"resource"`
	Rows     int64            `json:"rows"`
	Found    int64            `json:"found"`
}

const (
	mostDiffer = 100
	// A batch is one transaction: what a kill may cost, and what others wait for.
	batchRows  = 2000
	batchBytes = 8 << 20
)

// Run carries all of a store over into a database that was opened for it, and verifies
// it. It returns an error of kind Damaged if something is not the same, with the
// report; of kind Refused if the database has anything else in it.
func Run(ctx context.Context, from *sqlite.Store, to *postgres.Store, o Options) (Report, error) {
	if o.Restart {
		if err := to.Clear(ctx); err != nil {
			return Report{}, err
		}
	}
	state, err := stateOf(ctx, from)
	if err != nil {
		return Report{}, err
	}
	before, err := to.Carried(ctx)
	if err != nil {
		return Report{}, err
	}
	if before.Done {
		return Report{}, &penumbra.Error{Kind: penumbra.Refused, What: "carry " + from.Path() + " over: that was finished, and the database is in use", Remedy: "hold the two against each other with `penumbra migrate --verify`, or name an empty database"}
	}
	if err := to.Begin(ctx, from.Path(), state); err != nil {
		return Report{}, err
	}
	left, err := to.Carried(ctx)
	if err != nil {
		return Report{}, err
	}
	p := &progress{tell: o.Progress}
	for i := range stored.Tables {
		n, err := from.Count(ctx, &stored.Tables[i])
		if err != nil {
			return Report{}, err
		}
		p.total += 2 * n // once to carry over, once to verify
	}
	report := Report{From: from.Path(), To: to.Where(), Resumed: before.Source != ""}
	copied := map[string]int64{}
	for i := range stored.Tables {
		t := &stored.Tables[i]
		was := left.Tables[t.Name]
		p.done += was.Rows
		if copied[t.Name], err = carry(ctx, from, to, t, was, p); err != nil {
			return report, err
		}
		last, err := from.Last(ctx, t)
		if err != nil {
			return report, err
		}
		if err := to.Number(ctx, t, last); err != nil {
			return report, err
		}
	}
	if err := verify(ctx, from, to, &report, p); err != nil {
		return report, err
	}
	for i := range report.Tables {
		report.Tables[i].Copied = copied[report.Tables[i].Name]
	}
	if !report.Verified {
		return report, differs(&report, "begin anew with `penumbra migrate --restart`; the embedded store is as it was")
	}
	return report, to.Finish(ctx)
}

// Verify holds a database against the store that was carried over into it, and changes
// nothing. It returns an error of kind Damaged if something is not the same, with the
// report; whatever was done since in either of them differs too.
func Verify(ctx context.Context, from *sqlite.Store, to *postgres.Store, o Options) (Report, error) {
	report := Report{From: from.Path(), To: to.Where()}
	p := &progress{tell: o.Progress}
	for i := range stored.Tables {
		n, err := from.Count(ctx, &stored.Tables[i])
		if err != nil {
			return Report{}, err
		}
		p.total += n
	}
	if err := verify(ctx, from, to, &report, p); err != nil {
		return report, err
	}
	if !report.Verified {
		return report, differs(&report, "what was done since the migration differs; if nothing was, carry the store over into an empty database")
	}
	return report, nil
}

// stateOf tells a state of the embedded store from another: whoever works on it takes
// observations in or records what was done.
func stateOf(ctx context.Context, from *sqlite.Store) (string, error) {
	n, err := from.Sequence(ctx)
	if err != nil {
		return "", err
	}
	head, err := from.AuditHead(ctx)
	return fmt.Sprintf("%d observations, audit log up to %d %s", n, head.Sequence, head.Hash), err
}

type progress struct {
	tell        func(share float64)
	done, total int64
}

func (p *progress) add(rows int) {
	p.done += int64(rows)
	if p.tell != nil && p.total > 0 {
		p.tell(min(1, float64(p.done)/float64(p.total)))
	}
}

// carry carries the rows of a table over that are not there yet.
func carry(ctx context.Context, from *sqlite.Store, to *postgres.Store, t *stored.Table, was postgres.CarriedTable, p *progress) (copied int64, err error) {
	if was.Done && !t.Grows {
		return 0, nil
	}
	var batch []stored.Row
	size := 0
	put := func(done bool) error {
		if err := to.Put(ctx, t, batch, done); err != nil {
			return err
		}
		copied += int64(len(batch))
		p.add(len(batch))
		batch, size = batch[:0], 0
		return nil
	}
	for row, err := range from.Rows(ctx, t, was.After) {
		if err != nil {
			return copied, err
		}
		batch = append(batch, row)
		size += sizeOf(row)
		if len(batch) == batchRows || size >= batchBytes {
			if err := put(false); err != nil {
				return copied, err
			}
		}
	}
	return copied, put(true)
}

func sizeOf(row stored.Row) (n int) {
	for _, v := range row {
		switch x := v.(type) {
		case []byte:
			n += len(x)
		case string:
			n += len(x)
		}
	}
	return n
}

// sum is a count and a digest of rows.
type sum struct {
	rows   int64
	digest stored.Digest
}

func (s *sum) add(row stored.Row) error {
	s.rows++
	return s.digest.Add(row)
}

// sumUp reads a table, and of the timelines each by itself.
func sumUp(t *stored.Table, rows iter.Seq2[stored.Row, error], each func()) (all sum, timelines map[penumbra.Address]sum, err error) {
	address := -1
	if t == stored.Observations {
		address, timelines = t.Column("address"), map[penumbra.Address]sum{}
	}
	for row, err := range rows {
		if err != nil {
			return all, nil, err
		}
		one := sum{}
		if err := one.add(row); err != nil {
			return all, nil, err
		}
		all.join(one)
		if address >= 0 {
			of := timelines[penumbra.Address(row[address].(string))]
			of.join(one)
			timelines[penumbra.Address(row[address].(string))] = of
		}
		each()
	}
	return all, timelines, nil
}

func (s *sum) join(other sum) {
	s.rows += other.rows
	s.digest.Join(other.digest)
}

// verify reads both stores and holds them against each other.
func verify(ctx context.Context, from *sqlite.Store, to *postgres.Store, report *Report, p *progress) error {
	report.Verified = true
	for i := range stored.Tables {
		t := &stored.Tables[i]
		var want, got sum
		var wanted, found map[penumbra.Address]sum
		g, reading := errgroup.WithContext(ctx)
		g.Go(func() (err error) {
			unsaid := 0
			want, wanted, err = sumUp(t, from.Rows(reading, t, nil), func() {
				if unsaid++; unsaid == batchRows {
					p.add(unsaid)
					unsaid = 0
				}
			})
			p.add(unsaid)
			return err
		})
		g.Go(func() (err error) {
			got, found, err = sumUp(t, to.Rows(reading, t), func() {})
			return err
		})
		if err := g.Wait(); err != nil {
			return err
		}
		line := Table{Name: t.Name, Rows: want.rows, Found: got.rows, Digest: want.digest.String(), FoundDigest: got.digest.String(), Same: want == got}
		report.Tables = append(report.Tables, line)
		report.Verified = report.Verified && line.Same
		if t == stored.Observations {
			report.Timelines = compare(wanted, found)
		}
	}
	return nil
}

func compare(wanted, found map[penumbra.Address]sum) Timelines {
	out := Timelines{Count: len(wanted), Differ: []Timeline{}}
	all := maps.Clone(wanted)
	maps.Copy(all, found)
	for _, address := range slices.Sorted(maps.Keys(all)) {
		if want, got := wanted[address], found[address]; want != got && len(out.Differ) < mostDiffer {
			out.Differ = append(out.Differ, Timeline{Resource: address, Rows: want.rows, Found: got.rows})
		}
	}
	return out
}

// differs says what is not the same.
func differs(r *Report, remedy string) error {
	for _, t := range r.Tables {
		if t.Same {
			continue
		}
		what := fmt.Sprintf("hold %s against %s: table %s is not the same, %d rows and %d", r.To, r.From, t.Name, t.Found, t.Rows)
		if t.Name == stored.Observations.Name && len(r.Timelines.Differ) > 0 {
			what += fmt.Sprintf("; the first timeline that differs is that of %s", r.Timelines.Differ[0].Resource)
		}
		return &penumbra.Error{Kind: penumbra.Damaged, What: what, Remedy: remedy}
	}
	return nil
}
