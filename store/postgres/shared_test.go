//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

var start = time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC)

func snapshot(resource penumbra.Address, at time.Time, value string) penumbra.Observation {
	return penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: resource, Source: "test",
		Settings: penumbra.Settings{{Path: "a", Value: penumbra.String(value)}}}
}

func closing(tb testing.TB, s *postgres.Store) *postgres.Store {
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// TestNodesShareADatabase has several stores, as several processes have them, append
// the same and other observations, claim the same names, decide on the same proposal
// and write to the same audit log. Who reads on after a number, as a node that catches
// up does, misses nothing.
func TestNodesShareADatabase(t *testing.T) {
	t.Parallel()
	place := database(t)
	const nodes, batches, size = 3, 15, 20
	var stores [nodes]*postgres.Store
	for i := range stores {
		stores[i] = closing(t, open(t, place))
	}
	ctx := t.Context()
	if err := stores[0].SaveProposals(ctx, []penumbra.Proposal{{ID: "p-1", Drift: "d-1", State: penumbra.Proposed, Hash: "h"}}); err != nil {
		t.Fatal(err)
	}
	var working, following sync.WaitGroup
	var decided, named, claimed atomic.Int32
	done := make(chan struct{})
	follower := closing(t, open(t, place))
	seen := map[penumbra.ObservationID]bool{}
	following.Go(func() {
		after := int64(0)
		for finished := false; !finished; {
			select {
			case <-done:
				finished = true // and look once more
			default:
			}
			now, err := follower.Sequence(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			for o, err := range follower.Observations(ctx, penumbra.ObservationQuery{After: after}) {
				if err != nil {
					t.Error(err)
					return
				}
				seen[o.Identity()] = true
			}
			after = now
		}
	})
	for node, s := range stores {
		working.Go(func() {
			for n := range batches {
				var batch []penumbra.Observation
				for i := range size {
					batch = append(batch, snapshot(penumbra.Address(fmt.Sprintf("s/t.n[%d]", i)), start.Add(time.Duration(n*size+i)*time.Hour), fmt.Sprint(node)))
				}
				batch = append(batch, snapshot("s/t.shared", start.Add(time.Duration(n)*time.Hour), "all"))
				if _, err := s.Append(ctx, batch); err != nil {
					t.Error(err)
				}
				err := s.AppendAudit(ctx, func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
					n := head.Sequence + 1
					return []penumbra.AuditEntry{{Sequence: n, Previous: head.Hash, Hash: fmt.Sprint(n), Time: start, Act: "run.start"}}, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
			d := penumbra.Decision{ID: fmt.Sprint("c-", node), Proposal: "p-1", Drift: "d-1", Verb: penumbra.Reject, Hash: "h", Time: start}
			switch err := s.Decide(ctx, d, penumbra.Proposal{ID: "p-1", Drift: "d-1", State: penumbra.Rejected, Hash: "h"}, nil); {
			case err == nil:
				decided.Add(1)
			case penumbra.KindOf(err) != penumbra.Stale:
				t.Error(err)
			}
			var err error
			if node == 0 {
				err = s.AddToken(ctx, penumbra.Token{ID: "t-0", Name: "Ann"})
			} else {
				err = s.AddAccount(ctx, penumbra.Account{ID: fmt.Sprint("u-", node), Name: "ann"})
			}
			switch {
			case err == nil:
				named.Add(1)
			case penumbra.KindOf(err) != penumbra.Refused:
				t.Error(err)
			}
			if there, err := s.BeginAnswer(ctx, penumbra.KeptAnswer{ID: []byte("x"), Digest: []byte("d"), Begun: start}, start); err != nil {
				t.Error(err)
			} else if there == nil {
				claimed.Add(1)
			}
		})
	}
	working.Wait()
	close(done)
	following.Wait()
	if decided.Load() != 1 || named.Load() != 1 || claimed.Load() != 1 {
		t.Errorf("%d have decided, %d have the name, %d have claimed: want one each", decided.Load(), named.Load(), claimed.Load())
	}
	const want = batches * (nodes*size + 1)
	observations, _, err := stores[0].Counts(ctx)
	if err != nil || observations != want || len(seen) != want {
		t.Errorf("%d observations are stored, %d were followed, want %d: %v", observations, len(seen), want, err)
	}
	head, err := stores[1].AuditHead(ctx)
	if err != nil || head.Sequence != nodes*batches {
		t.Errorf("the audit log has %d entries, want %d: %v", head.Sequence, nodes*batches, err)
	}
}

// TestAlone holds that one process at a time works on a database, and the next once it
// has let go, or its connection is gone.
func TestAlone(t *testing.T) {
	t.Parallel()
	place := database(t)
	a, b := closing(t, open(t, place)), closing(t, open(t, place))
	ctx := t.Context()
	first, err := a.Alone(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Alone(ctx); penumbra.KindOf(err) != penumbra.Locked {
		t.Fatalf("a second process: %v", err)
	}
	keeping := make(chan error, 1)
	go func() { keeping <- first.Keep(ctx) }()
	// The server ends the first one's connection, and another process is quicker.
	var second *postgres.Alone
	for second == nil {
		exec(t, place, `SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()`)
		if second, err = b.Alone(ctx); err != nil && penumbra.KindOf(err) != penumbra.Locked {
			t.Fatal(err)
		}
	}
	if err := <-keeping; penumbra.KindOf(err) != penumbra.Locked {
		t.Fatalf("the first goes on: %v", err)
	}
	first.Release(ctx)
	second.Release(ctx)
	var third *postgres.Alone
	for third == nil { // the server ends a session a moment after its connection
		if third, err = a.Alone(ctx); err != nil && penumbra.KindOf(err) != penumbra.Locked {
			t.Fatal(err)
		}
	}
	third.Release(ctx)
}

// TestServerCrash crashes the server while batches are appended: each that was
// acknowledged is there whole, none of the others in part, and the same store goes on.
func TestServerCrash(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t, pgtest.Options{})
	s := closing(t, open(t, server.Connection("postgres", "postgres")))
	const size = 10
	batch := func(n int) (out []penumbra.Observation) {
		for i := range size {
			out = append(out, snapshot("s/t.n", start.Add(time.Duration(n*size+i)*time.Second), fmt.Sprint(n)))
		}
		return out
	}
	enough, failed := make(chan struct{}), make(chan error, 1)
	acknowledged := 0
	go func() {
		for n := 0; ; n++ {
			if _, err := s.Append(t.Context(), batch(n)); err != nil {
				failed <- err
				return
			}
			if acknowledged = n + 1; acknowledged == 20 {
				close(enough)
			}
		}
	}()
	<-enough
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("the server is gone: error %v of kind %v", err, penumbra.KindOf(err))
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{Connection: server.Connection("postgres", "postgres")}); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("opened without a server: %v", err)
	}
	if err := server.Again(); err != nil {
		t.Fatal(err)
	}
	n, err := s.Sequence(t.Context())
	for deadline := time.Now().Add(time.Minute); penumbra.KindOf(err) == penumbra.Unavailable && time.Now().Before(deadline); {
		n, err = s.Sequence(t.Context())
	}
	if err != nil || n%size != 0 || n < int64(acknowledged*size) || n > int64(acknowledged+1)*size {
		t.Fatalf("%d observations are there, %d batches of %d were acknowledged: %v", n, acknowledged, size, err)
	}
	read := int64(0)
	for _, err := range s.Observations(t.Context(), penumbra.ObservationQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	if added, err := s.Append(t.Context(), batch(int(n)/size)); read != n || err != nil || len(added) != size {
		t.Errorf("%d of %d are read, %d added: %v", read, n, len(added), err)
	}
}

// TestRoles holds who is let in, what one opened to read may do, and that a role which
// would lose commits in a crash does not.
func TestRoles(t *testing.T) {
	t.Parallel()
	place := database(t)
	server := pgtest.Shared(t, pgtest.Options{})
	ctx := t.Context()
	config, err := pgx.ParseConfig(place)
	if err != nil {
		t.Fatal(err)
	}
	fresh := server.Connection("postgres", server.Database(t))
	if _, err := postgres.Open(ctx, postgres.Config{Connection: fresh, ReadOnly: true}); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("an empty database was opened to read: %v", err)
	}
	s := closing(t, open(t, place))
	exec(t, place, `CREATE ROLE `+pgtest.Guarded+` LOGIN PASSWORD 'correct horse' IN ROLE pg_read_all_data, pg_write_all_data; ALTER ROLE `+pgtest.Guarded+` SET synchronous_commit = off`)
	t.Cleanup(func() { exec(t, place, `DROP OWNED BY `+pgtest.Guarded+`; DROP ROLE `+pgtest.Guarded) })
	guarded := server.Connection(pgtest.Guarded, config.Database)
	for password, want := range map[string]penumbra.ErrorKind{"": penumbra.Refused, "wrong": penumbra.Refused} {
		_, err := postgres.Open(ctx, postgres.Config{Connection: guarded, Password: password})
		if penumbra.KindOf(err) != want || strings.Contains(err.Error(), "horse") {
			t.Errorf("password %q: %v", password, err)
		}
	}
	g, err := postgres.Open(ctx, postgres.Config{Connection: guarded, Password: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, g)
	var durable string
	if err := g.Pool().QueryRow(ctx, `SHOW synchronous_commit`).Scan(&durable); err != nil || durable != "on" {
		t.Errorf("synchronous_commit is %q: %v", durable, err)
	}
	o := snapshot("s/t.n", start, "x")
	if _, err := s.Append(ctx, []penumbra.Observation{o}); err != nil {
		t.Fatal(err)
	}
	r, err := postgres.Open(ctx, postgres.Config{Connection: place, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, r)
	for got, err := range r.Observations(ctx, penumbra.ObservationQuery{}) {
		if err != nil || got.Identity() != o.Identity() {
			t.Errorf("read %+v: %v", got, err)
		}
	}
	if _, err := r.Append(ctx, []penumbra.Observation{snapshot("s/t.n", start, "y")}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a store opened to read took an observation: %v", err)
	}
	if err := r.SaveRule(ctx, penumbra.Rule{ID: "i-1", Pattern: "*"}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a store opened to read took a rule: %v", err)
	}
	for connection, want := range map[string]penumbra.ErrorKind{
		"postgres://%zz": penumbra.Invalid, server.Connection("postgres", "nosuch"): penumbra.Invalid, server.Connection("nobody", "postgres"): penumbra.Refused,
		"postgres://u@/d?host=/nowhere": penumbra.Unavailable,
	} {
		if _, err := postgres.Open(ctx, postgres.Config{Connection: connection}); penumbra.KindOf(err) != want {
			t.Errorf("%s: error %v of kind %v, want %v", connection, err, penumbra.KindOf(err), want)
		}
	}
	exec(t, place, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`)
	t.Cleanup(func() { exec(t, place, `DELETE FROM goose_db_version WHERE version_id = 999`) })
	if _, err := postgres.Open(ctx, postgres.Config{Connection: place}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a newer schema: %v", err)
	}
}

// TestManyOpenAtOnce has several processes make the same schema.
func TestManyOpenAtOnce(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t, pgtest.Options{})
	place := server.Connection("postgres", server.Database(t))
	var opening sync.WaitGroup
	for range 3 {
		opening.Go(func() {
			s, err := postgres.Open(context.Background(), postgres.Config{Connection: place})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	opening.Wait()
}

// TestAuditEntriesStay holds the database itself, rather than this package, to keeping
// entries.
func TestAuditEntriesStay(t *testing.T) {
	t.Parallel()
	place := database(t)
	s := closing(t, open(t, place))
	err := s.AppendAudit(t.Context(), func(penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
		return []penumbra.AuditEntry{{Sequence: 1, Time: start, Act: "run.start", Name: "a\x00\x00b\\", Hash: "sha256:1"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]int{"a\x00\x00b\\": 1, "a\x00b\\": 0} {
		if got, err := s.AuditEntries(t.Context(), penumbra.AuditQuery{Principal: who, Act: "run.*"}); err != nil || len(got) != want {
			t.Errorf("%q has %d entries, want %d: %v", who, len(got), want, err)
		}
	}
	for statement, want := range map[string]string{
		`UPDATE audit SET body = '{}'`:  "never changed",
		`UPDATE audit SET sequence = 7`: "never changed",
		`DELETE FROM audit`:             "never deleted",
		`TRUNCATE audit`:                "never deleted",
		`INSERT INTO audit (sequence, body) VALUES (1, '{}') ON CONFLICT (sequence) DO UPDATE SET body=''`: "behind the last one",
		`INSERT INTO audit (sequence, body) VALUES (3, '{}')`:                                              "behind the last one",
		`INSERT INTO audit (sequence, body) VALUES (0, '{}')`:                                              "behind the last one",
	} {
		if _, err := s.Pool().Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", statement, err, want)
		}
	}
	// Whoever drops the triggers makes an entry unreadable, and it is not passed over.
	exec(t, place, `ALTER TABLE audit DISABLE TRIGGER audit_keep; UPDATE audit SET body = '[]'; ALTER TABLE audit ENABLE TRIGGER audit_keep`)
	got, err := s.AuditEntries(t.Context(), penumbra.AuditQuery{})
	if err != nil || len(got) != 1 || got[0].Sequence != 1 || got[0].Hash != "" {
		t.Errorf("entries %+v, error %v", got, err)
	}
}

// TestFollowingIntoNewPeriods has others read on after a number while one appends into
// months that nobody has appended to: what has a number is there, for whoever has seen a
// later one.
func TestFollowingIntoNewPeriods(t *testing.T) {
	t.Parallel()
	place := database(t)
	const months, followers = 120, 4
	writer := closing(t, open(t, place))
	done := make(chan struct{})
	var following sync.WaitGroup
	for range followers {
		s := closing(t, open(t, place))
		following.Go(func() {
			after, seen := int64(0), 0
			for finished := false; !finished; {
				select {
				case <-done:
					finished = true
				default:
				}
				now, err := s.Sequence(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if now == after {
					continue
				}
				for _, err := range s.Observations(t.Context(), penumbra.ObservationQuery{After: after, UpTo: now}) {
					if err != nil {
						t.Error(err)
						return
					}
					seen++
				}
				after = now
			}
			if seen != months {
				t.Errorf("%d observations were followed, want %d", seen, months)
			}
		})
	}
	for m := range months {
		if _, err := writer.Append(t.Context(), []penumbra.Observation{snapshot("s/t.n", start.AddDate(0, m, 0), fmt.Sprint(m))}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	following.Wait()
}

// TestNewPeriodBesideABackup appends into a new month while somebody reads the whole table
// for as long as it takes.
func TestNewPeriodBesideABackup(t *testing.T) {
	t.Parallel()
	s := closing(t, open(t, database(t)))
	if _, err := s.Append(t.Context(), []penumbra.Observation{snapshot("s/t.n", start, "1")}); err != nil {
		t.Fatal(err)
	}
	backup, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Exec(t.Context(), `LOCK TABLE observations IN ACCESS SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), []penumbra.Observation{snapshot("s/t.n", start.AddDate(0, 3, 0), "2")}); err != nil {
		t.Error(err)
	}
	if n, _, err := s.Counts(t.Context()); err != nil || n != 2 {
		t.Errorf("%d observations, %v", n, err)
	}
	if err := backup.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
}
