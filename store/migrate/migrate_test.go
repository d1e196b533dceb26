//go:build unix

package migrate_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/contract"
	"github.com/penumbra-iac/penumbra/store/migrate"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/sqlite"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// The test binary runs itself again as a process that migrates, to be killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("PENUMBRA_TEST_MIGRATE"); path != "" {
		os.Exit(child(path, os.Getenv("PENUMBRA_TEST_TO")))
	}
	os.Exit(pgtest.Main(m))
}

// child migrates, and says after each batch how far it is. It goes on once that was read.
func child(path, to string) int {
	ctx := context.Background()
	from, err := sqlite.Open(path, sqlite.ReadOnly())
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	store, err := postgres.Open(ctx, postgres.Config{Connection: to, Carrying: true})
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	in := bufio.NewReader(os.Stdin)
	_, err = migrate.Run(ctx, from, store, migrate.Options{Progress: func(share float64) {
		fmt.Println(share)
		_, _ = in.ReadString('\n')
	}})
	fmt.Println("ended:", err)
	return 0
}

var start = time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)

func at(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// fill puts something into every table of a store.
func fill(t *testing.T, s contract.Store, observations int) {
	t.Helper()
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []penumbra.Observation
	for i := range observations {
		all = append(all, penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at(i), Resource: penumbra.Address(fmt.Sprintf("shop/vm.web[%d]", i%7)), Type: "vm", Source: "tofu", Full: true,
			Settings: penumbra.Settings{{Path: "size", Value: penumbra.Number(float64(i / 50))}, {Path: "name\x00", Value: penumbra.String("ü")}}})
	}
	all = append(all, penumbra.Observation{Kind: penumbra.EventKind, Time: at(3), Seen: at(5), Resource: "shop/vm.web[0]", Source: "log", ID: "e-1", Action: "edit", Message: "caf\xe9"},
		penumbra.Observation{Kind: penumbra.MetricKind, Time: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), Resource: "bare", Metrics: []penumbra.Metric{{Name: "cpu", Value: 0.3}}})
	_, err := s.Append(ctx, all)
	ok(err)
	ok(s.Quarantine(ctx, []penumbra.BadLine{{Source: "f", Line: 1, Reason: "bad", Text: "{"}}))
	ok(s.SaveDrifts(ctx, []penumbra.Drift{{ID: "d-1", Resource: "shop/vm.web[0]", Changed: at(1)}, {ID: "d-2", Resource: "shop/vm.web[1]", Changed: at(2), Status: penumbra.Resolved, AcceptedUntil: at(4)}}))
	ok(s.SaveAnomalies(ctx, []penumbra.Anomaly{{ID: "a-1", Resource: "shop/vm.web[0]", Time: at(1)}}))
	ok(s.SaveProposals(ctx, []penumbra.Proposal{{ID: "p-1", Drift: "d-1", State: penumbra.Proposed, Hash: "h"}, {ID: "p-2", Drift: "d-1", State: penumbra.Rejected, Hash: "h"}}))
	for i := range 3 {
		ok(s.Note(ctx, penumbra.Decision{ID: fmt.Sprint("c-", 3-i), Drift: "d-1", Verb: penumbra.Snooze, Time: at(1)}))
		ok(s.SaveRule(ctx, penumbra.Rule{ID: fmt.Sprint("i-", 3-i), Pattern: "*", Created: at(1)}))
	}
	ok(s.SaveRun(ctx, penumbra.Run{ID: "r-1", Proposal: "p-2", Stack: "shop", State: penumbra.Done, Started: at(1)}))
	ok(s.SaveFreeze(ctx, penumbra.Freeze{ID: "f-1", Created: at(1)}))
	ok(s.SetHashKey(ctx, "5f0c11aa"))
	ok(s.SaveAttention(ctx, penumbra.Attention{ID: "w-1", Created: at(1)}))
	ok(s.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: "shadow", Sequence: 3, Time: at(1), Data: []byte("state")}))
	ok(s.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: "empty"}))
	_, err = s.AddVersion(ctx, penumbra.ModelVersion{Family: "bayes"}, []byte{})
	ok(err)
	_, err = s.AddVersion(ctx, penumbra.ModelVersion{Family: "bayes"}, nil)
	ok(err)
	var rollups []penumbra.Rollup
	for i := range 100 {
		rollups = append(rollups, penumbra.Rollup{Resource: penumbra.Address(fmt.Sprintf("shop/vm.web[%d]", i%3)), Metric: "cpu", Span: time.Minute, Start: at(i), Count: 2, Sum: 0.1 * float64(i), Min: -1, Max: 2, Last: 1})
	}
	ok(s.SaveRollups(ctx, rollups))
	_, err = s.KeepAside(ctx, []penumbra.AsideRecord{{Action: "edit", Reason: "unknown", Record: penumbra.Record{Input: "syslog", Time: at(1), Message: "caf\xe9 \x00"}}, {Reason: "old", Record: penumbra.Record{Input: "syslog", Time: at(0), Message: "m"}}})
	ok(err)
	_, err = s.TrimAside(ctx, "syslog", 1, time.Time{}, at(9))
	ok(err)
	ok(s.Tell(ctx, []penumbra.Told{{Channel: "ops", Subject: "d-1"}, {Channel: "ops", Subject: "\xff"}}, []penumbra.Notice{{ID: "m-1", Channel: "ops", State: penumbra.NoticeSent, Created: at(1)}}))
	for range 3 {
		ok(s.AppendAudit(ctx, func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
			n := head.Sequence + 1
			return []penumbra.AuditEntry{{Sequence: n, Previous: head.Hash, Hash: fmt.Sprint("sha256:", n), Time: at(int(n)), Act: "run.start", Name: "a\x00"}}, nil
		}))
	}
	ok(s.AddAccount(ctx, penumbra.Account{ID: "u-1", Name: "Ann"}))
	ok(s.AddToken(ctx, penumbra.Token{ID: "t-1", Name: "ci"}))
	ok(s.AddToken(ctx, penumbra.Token{ID: "t-2", Name: "ann's", Owner: "u-1"}))
	ok(s.SaveSession(ctx, penumbra.Session{ID: "s-1", Owner: "u-1", Expires: at(9), Data: []byte("x")}))
	_, err = s.BeginAnswer(ctx, penumbra.KeptAnswer{ID: []byte("k"), Digest: []byte("d"), Begun: at(1)}, time.Time{})
	ok(err)
}

// place is an embedded store that has something in every table, and an empty database.
func place(t *testing.T, observations int) (path, to string) {
	t.Helper()
	server := pgtest.Shared(t, pgtest.Options{})
	path = filepath.Join(t.TempDir(), "penumbra.db")
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, observations)
	for i := range stored.Tables {
		if n, err := s.Count(t.Context(), &stored.Tables[i]); err != nil || n == 0 {
			t.Fatalf("table %s has %d rows: %v", stored.Tables[i].Name, n, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, server.Connection("postgres", server.Database(t))
}

// open opens both, and closes them with the test.
func open(t *testing.T, path, to string) (*sqlite.Store, *postgres.Store) {
	t.Helper()
	from, err := sqlite.Open(path, sqlite.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = from.Close() })
	store, err := postgres.Open(t.Context(), postgres.Config{Connection: to, Carrying: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return from, store
}

func run(t *testing.T, to, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}

// TestCarriedOver holds that what the database answers is what the embedded store does,
// that both go on in the same way, and that the database is worked on only once all is
// there.
func TestCarriedOver(t *testing.T) {
	t.Parallel()
	path, to := place(t, 500)
	from, store := open(t, path, to)
	last := 0.0
	report, err := migrate.Run(t.Context(), from, store, migrate.Options{Progress: func(share float64) {
		if share < last {
			t.Errorf("progress goes from %v to %v", last, share)
		}
		last = share
	}})
	if err != nil || !report.Verified || report.Resumed || report.Timelines.Count != 8 || len(report.Timelines.Differ) != 0 || len(report.Tables) != len(stored.Tables) {
		t.Fatalf("%+v: %v", report, err)
	}
	if last < 0.99 {
		t.Errorf("progress ends at %v", last)
	}
	for _, line := range report.Tables {
		if line.Copied != line.Rows || line.Found != line.Rows || line.Rows == 0 || line.Digest != line.FoundDigest {
			t.Errorf("%+v", line)
		}
	}
	worked, err := postgres.Open(t.Context(), postgres.Config{Connection: to})
	if err != nil {
		t.Fatal(err)
	}
	defer worked.Close()
	embedded, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Close()
	same(t, embedded, worked)
	// Both take the next in as numbers behind those carried over.
	for _, s := range []contract.Store{embedded, worked} {
		next := penumbra.Observation{Kind: penumbra.EventKind, Time: at(-5), Resource: "shop/vm.new", Action: "edit"}
		repeated := penumbra.Observation{Kind: penumbra.EventKind, Time: at(4000), Resource: "shop/vm.web[0]", Source: "log", ID: "e-1", Action: "again"}
		if added, err := s.Append(t.Context(), []penumbra.Observation{next, repeated}); err != nil || len(added) != 1 {
			t.Errorf("%d added: %v", len(added), err)
		}
		for _, err := range []error{
			s.Note(t.Context(), penumbra.Decision{ID: "c-0", Drift: "d-1", Verb: penumbra.Snooze, Time: at(1)}),
			s.SaveRule(t.Context(), penumbra.Rule{ID: "i-0", Pattern: "*", Created: at(1)}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		if n, err := s.KeepAside(t.Context(), []penumbra.AsideRecord{{Reason: "new", Record: penumbra.Record{Input: "syslog", Time: at(2), Message: "n"}}}); err != nil || n != 1 {
			t.Errorf("%d kept aside: %v", n, err)
		}
	}
	same(t, embedded, worked)
	if _, err := migrate.Run(t.Context(), from, store, migrate.Options{}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("carried over again: %v", err)
	}
	if _, err := migrate.Run(t.Context(), from, store, migrate.Options{Restart: true}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("what is in use was taken out: %v", err)
	}
}

// same asks both stores the same.
func same(t *testing.T, a, b contract.Store) {
	t.Helper()
	ask := func(s contract.Store) map[string]any {
		out := map[string]any{}
		got := func(what string) func(any, error) {
			return func(v any, err error) {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				out[what] = v
			}
		}
		ctx := t.Context()
		for name, q := range map[string]penumbra.ObservationQuery{"all": {}, "after": {After: 490}, "one": {Resource: "shop/vm.web[0]"}, "latest": {Stack: "shop", Latest: 9}} {
			var all []penumbra.Observation
			for o, err := range s.Observations(ctx, q) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, o)
			}
			out["observations "+name] = all
		}
		drifts, err := s.Drifts(ctx, penumbra.DriftQuery{})
		got("drifts")(drifts, err)
		decisions, err := s.Decisions(ctx, penumbra.DecisionQuery{AfterID: "c-3"})
		got("decisions")(decisions, err)
		rules, err := s.Rules(ctx)
		got("rules")(rules, err)
		versions, err := s.Versions(ctx)
		got("versions")(versions, err)
		rollups, err := s.Rollups(ctx, penumbra.RollupQuery{})
		got("rollups")(rollups, err)
		aside, err := s.AsideRecords(ctx, 0, 0)
		got("aside")(aside, err)
		kinds, err := s.AsideKinds(ctx, 0)
		got("kinds")(kinds, err)
		audit, err := s.AuditEntries(ctx, penumbra.AuditQuery{Act: "run.*"})
		got("audit")(audit, err)
		told, err := s.Told(ctx, "ops")
		got("told")(told, err)
		tokens, err := s.Tokens(ctx, penumbra.TokenQuery{})
		got("tokens")(tokens, err)
		tally, err := s.Tally(ctx)
		tally.Bytes = 0
		got("tally")(tally, err)
		n, err := s.Sequence(ctx)
		got("sequence")(n, err)
		return out
	}
	if diff := cmp.Diff(ask(a), ask(b), cmp.Comparer(func(a, b penumbra.Value) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the database answers otherwise (-embedded +database)\n%s", diff)
	}
}

// TestKilledAndResumed kills a migration in its middle. Until it is gone on with nobody
// works on the database; then it starts where it was, and takes in what has changed.
func TestKilledAndResumed(t *testing.T) {
	t.Parallel()
	const observations = 9000
	path, to := place(t, observations)
	cmd := killable(path, to)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for range 3 { // batches of the timelines
		line, err := lines.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "0.") {
			t.Fatalf("it says %q: %v", line, err)
		}
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := postgres.Open(t.Context(), postgres.Config{Connection: to}); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "carried over") {
		t.Fatalf("half a migration was opened: %v", err)
	}
	// Meanwhile somebody has worked on the embedded store.
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), []penumbra.Observation{{Kind: penumbra.EventKind, Time: at(1), Resource: "shop/vm.late", Action: "edit"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveDrifts(t.Context(), []penumbra.Drift{{ID: "d-1", Resource: "shop/vm.web[0]", Changed: at(7), Status: penumbra.Resolved}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	from, store := open(t, path, to)
	report, err := migrate.Run(t.Context(), from, store, migrate.Options{})
	if err != nil || !report.Verified || !report.Resumed {
		t.Fatalf("%+v: %v", report, err)
	}
	if o := report.Tables[0]; o.Rows != observations+3 || o.Copied < 1 || o.Copied > observations-3*2000+3 {
		t.Errorf("of %d observations %d were carried over anew", o.Rows, o.Copied)
	}
}

func killable(path, to string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PENUMBRA_TEST_MIGRATE="+path, "PENUMBRA_TEST_TO="+to)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestWhatDiffersIsFound spoils what was carried over, row by row, and takes one out and
// one in. Each is found, the timeline by name, and the database stays closed until the
// migration was begun anew.
func TestWhatDiffersIsFound(t *testing.T) {
	t.Parallel()
	path, to := place(t, 50)
	from, store := open(t, path, to)
	if report, err := migrate.Run(t.Context(), from, store, migrate.Options{}); err != nil || !report.Verified {
		t.Fatal(report, err)
	}
	for _, tt := range []struct{ spoil, mend, table, resource string }{
		{`UPDATE observations SET kind = 3 WHERE seq = 5`, `UPDATE observations SET kind = 2 WHERE seq = 5`, "observations", "shop/vm.web[4]"},
		{`UPDATE drifts SET body = body || '\x00'::bytea WHERE id = 'd-1'`, `UPDATE drifts SET body = substring(body for length(body) - 1) WHERE id = 'd-1'`, "drifts", ""},
		{`UPDATE rollups SET last = 2 WHERE start = (SELECT min(start) FROM rollups)`, `UPDATE rollups SET last = 1`, "rollups", ""},
		{`UPDATE versions SET data = NULL WHERE id = 1`, `UPDATE versions SET data = '' WHERE id = 1`, "versions", ""},
		{`INSERT INTO freezes (id, created, body) VALUES ('f-2', 0, '')`, `DELETE FROM freezes WHERE id = 'f-2'`, "freezes", ""},
		{`UPDATE aside_inputs SET kept = kept + 1`, `UPDATE aside_inputs SET kept = kept - 1`, "aside_inputs", ""},
	} {
		run(t, to, tt.spoil)
		report, err := migrate.Verify(t.Context(), from, store, migrate.Options{})
		if penumbra.KindOf(err) != penumbra.Damaged || !strings.Contains(err.Error(), "table "+tt.table+" ") || report.Verified {
			t.Errorf("%s: %v", tt.spoil, err)
		}
		for _, line := range report.Tables {
			if line.Same == (line.Name == tt.table) {
				t.Errorf("%s: %+v", tt.spoil, line)
			}
		}
		if tt.resource != "" && (len(report.Timelines.Differ) != 1 || string(report.Timelines.Differ[0].Resource) != tt.resource) {
			t.Errorf("%s: %+v", tt.spoil, report.Timelines)
		}
		run(t, to, tt.mend)
	}
	if report, err := migrate.Verify(t.Context(), from, store, migrate.Options{}); err != nil || !report.Verified {
		t.Fatal("what was mended differs", report, err)
	}
	// A row that is spoilt before the end keeps the database closed.
	run(t, to, `UPDATE carried SET finished = false WHERE name = ''; DELETE FROM told`)
	if report, err := migrate.Run(t.Context(), from, store, migrate.Options{}); penumbra.KindOf(err) != penumbra.Damaged || !strings.Contains(err.Error(), "table told ") || report.Verified {
		t.Fatalf("%+v: %v", report, err)
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{Connection: to}); penumbra.KindOf(err) != penumbra.Refused {
		t.Fatalf("what differs was opened: %v", err)
	}
	if report, err := migrate.Run(t.Context(), from, store, migrate.Options{Restart: true}); err != nil || !report.Verified || report.Tables[0].Copied != 52 {
		t.Fatalf("%+v: %v", report, err)
	}
}

// TestOnlyIntoAnEmptyDatabase keeps what a database has of its own.
func TestOnlyIntoAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	path, to := place(t, 1)
	other := filepath.Join(t.TempDir(), "other.db")
	s, err := sqlite.Open(other)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	from, store := open(t, path, to)
	if err := store.SaveRule(t.Context(), penumbra.Rule{ID: "i-1", Pattern: "*"}); err != nil {
		t.Fatal(err)
	}
	if _, err := migrate.Run(t.Context(), from, store, migrate.Options{}); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "rules") {
		t.Errorf("carried over into what is not empty: %v", err)
	}
	if err := store.DeleteRule(t.Context(), "i-1"); err != nil {
		t.Fatal(err)
	}
	run(t, to, `INSERT INTO carried (name, source, state) VALUES ('', 'another.db', 'x')`)
	if _, err := migrate.Run(t.Context(), from, store, migrate.Options{}); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "another.db") {
		t.Errorf("carried over into what another was begun in: %v", err)
	}
}

// TestEveryTable holds the list of tables against both schemas: one that came lately
// would be left behind, and verified as the same.
func TestEveryTable(t *testing.T) {
	t.Parallel()
	_, to := place(t, 1)
	store, err := postgres.Open(t.Context(), postgres.Config{Connection: to})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rows, err := store.Pool().Query(t.Context(), `SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND a.attgenerated = ''`)
	if err != nil {
		t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	// What other columns follow from, or stand for.
	known := map[string]bool{"observations.resource": true, "observations.content": true, "rollups.series": true}
	for i := range stored.Tables {
		for _, c := range stored.Tables[i].Names() {
			known[stored.Tables[i].Name+"."+c] = true
		}
	}
	for _, column := range there {
		switch table, _, _ := strings.Cut(column, "."); table {
		case "goose_db_version", "carried", "timelines", "periods", "named", "resources", "contents", "series",
			"leadership", "nodes", "shared_files", "readings", // of nodes, which a file has none of
			"scoring_jobs", "scores": // of Beam's workers, which write into no file
			continue
		}
		if !known[column] {
			t.Errorf("%s is in the database, and not in stored.Tables", column)
		}
	}
}
