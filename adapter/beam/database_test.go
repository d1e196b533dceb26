//go:build unix

package beam_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/timeline"
)

// kept returns the URL of a database that keeps a history, whose role has to give its
// password, and gives it.
func kept(t *testing.T, all []penumbra.Observation) string {
	t.Helper()
	server := pgtest.Own(t, pgtest.Options{})
	name := server.Create(t)
	if err := server.SQL("postgres", "CREATE ROLE "+pgtest.Guarded+" LOGIN PASSWORD 'correct horse'", "ALTER DATABASE "+name+" OWNER TO "+pgtest.Guarded); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PENUMBRA_STORE_PASSWORD", "correct horse")
	address := server.Connection(pgtest.Guarded, name)
	s, err := postgres.Open(t.Context(), postgres.Config{Connection: address, Password: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Append(t.Context(), timeline.Order(all)); err != nil {
		t.Fatal(err)
	}
	return address
}

// empty returns the URL of a database with a store that keeps nothing.
func empty(t testing.TB, server *pgtest.Server) string {
	t.Helper()
	address := server.Connection("postgres", server.Create(t))
	s, err := postgres.Open(t.Context(), postgres.Config{Connection: address})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

// TestFromADatabase scores, trains and judges what a database keeps: all is as from files
// that say the same.
func TestFromADatabase(t *testing.T) {
	all := fleet(9, 12)
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	database, files := kept(t, all), write(t, all)
	model := checkpoint(t, learnt(shadow.NewPooled(shadow.Options{}), all))
	of := func(inputs ...string) (map[penumbra.Address]beam.Scored, []byte, beam.Result) {
		t.Helper()
		out := t.TempDir()
		result, err := beam.Score(t.Context(), beam.Scoring{Files: inputs, Checkpoint: model, Out: out, At: at, Confidence: 0.95}, prism)
		if err != nil {
			t.Fatal(err)
		}
		trained := filepath.Join(t.TempDir(), "trained")
		if _, err := beam.Train(t.Context(), beam.Training{Files: inputs, Out: trained, Shards: 2, Rounds: 2}, prism); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(trained)
		if err != nil {
			t.Fatal(err)
		}
		return scores(t, out), body, result
	}
	want, learnt, _ := of(files...)
	got, fromThere, result := of(database)
	if len(got) != len(want) || result.Observations != int64(len(all)) {
		t.Errorf("%d resources of %d observations, want %d of %d", len(got), result.Observations, len(want), len(all))
	}
	for address, x := range want {
		same(t, got[address], x)
	}
	if !bytes.Equal(fromThere, learnt) {
		t.Error("what was learnt from the database is not what was learnt from files")
	}

	for input, want := range map[string]penumbra.ErrorKind{
		strings.Replace(database, "@", ":correct%20horse@", 1): penumbra.Invalid,
		"postgres://nobody@127.0.0.1:1/x":                      penumbra.Unavailable,
	} {
		_, err := beam.Score(t.Context(), beam.Scoring{Files: []string{input}, Checkpoint: model, Out: t.TempDir(), At: at, Confidence: 0.95}, prism)
		if penumbra.KindOf(err) != want || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: %v", input, err)
		}
	}
	t.Setenv("PENUMBRA_STORE_PASSWORD", "wrong")
	if _, err := beam.Score(t.Context(), beam.Scoring{Files: []string{database}, Checkpoint: model, Out: t.TempDir(), At: at, Confidence: 0.95}, prism); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("with another password: %v", err)
	}
}

// connected is a connection to a database beside the store, by the role's password where it has
// to give one.
func connected(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	config.Password = os.Getenv("PENUMBRA_STORE_PASSWORD")
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// scoresIn reads what a job wrote into a database, by resource.
func scoresIn(t *testing.T, conn *pgx.Conn, job int64) map[penumbra.Address]beam.Scored {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT resource, type, time, leave_1h, leave_6h, leave_1d, leave_7d, leave_30d, not_checked,
		expectations::text, forecasts::text, findings::text FROM scores WHERE job = $1`, job)
	if err != nil {
		t.Fatal(err)
	}
	out := map[penumbra.Address]beam.Scored{}
	var s beam.Scored
	var lists [3]string
	_, err = pgx.ForEachRow(rows, []any{&s.Resource, &s.Type, &s.Time, &s.Leave[0], &s.Leave[1], &s.Leave[2], &s.Leave[3], &s.Leave[4], &s.NotChecked,
		&lists[0], &lists[1], &lists[2]}, func() error {
		s.Time, s.Expectations, s.Forecasts, s.Findings = s.Time.UTC(), nil, nil, nil
		for i, to := range []any{&s.Expectations, &s.Forecasts, &s.Findings} {
			if err := json.Unmarshal([]byte(lists[i]), to); err != nil {
				return err
			}
		}
		out[s.Resource] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// texts returns the one column of a query.
func texts(t *testing.T, conn *pgx.Conn, query string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameScores holds rows to the files of the same scoring: probabilities to 1e-6, everything else
// exactly.
func sameScores(t *testing.T, got, want map[penumbra.Address]beam.Scored) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for a, x := range want {
		y := got[a]
		same(t, y, x)
		for k := range x.Leave {
			if !(math.Abs(x.Leave[k]-y.Leave[k]) <= 1e-6) {
				t.Errorf("%s leaves with %v, want %v", a, y.Leave, x.Leave)
			}
		}
		if y.Type != x.Type || !y.Time.Equal(x.Time) {
			t.Errorf("%s is a %s at %v, want a %s at %v", a, y.Type, y.Time, x.Type, x.Time)
		}
		for i := range min(len(x.Findings), len(y.Findings)) {
			if f, g := x.Findings[i], y.Findings[i]; f.Path != g.Path || f.Verdict != g.Verdict || f.Template != g.Template || f.Actual != g.Actual {
				t.Errorf("%s: %+v, want %+v", a, g, f)
			}
		}
	}
}

// TestIntoADatabase scores a fleet into a database that a store is in, beside that: rows are as
// files of the same scoring. A job that fails half-way leaves those of the jobs before, and is
// seen not to have ended until the next one has.
func TestIntoADatabase(t *testing.T) {
	all := fleet(9, 12)
	database, files := kept(t, all[:1]), write(t, all)
	scoring := beam.Scoring{Files: files, Checkpoint: checkpoint(t, learnt(shadow.NewPooled(shadow.Options{}), all[:len(all)-1])), At: all[len(all)-1].Time.Add(time.Hour), Shards: 3, Top: 4}
	into := func(out string) beam.Result {
		t.Helper()
		s := scoring
		s.Out = out
		result, err := beam.Score(t.Context(), s, prism)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	folder := t.TempDir()
	plain := into(folder)
	scoring.LeftOut = filepath.Join(t.TempDir(), "left-out")
	first := into(database)
	conn := connected(t, database)
	before := scoresIn(t, conn, first.Job)
	sameScores(t, before, scores(t, folder))
	if diff := cmp.Diff(plain.Scores, first.Scores); diff != "" || first.Scores.Findings["drifted"] == 0 {
		t.Errorf("-files +database\n%s", diff)
	}
	if aside, err := os.ReadFile(first.LeftOut); err != nil || !strings.Contains(string(aside), `a.jsonl","line":`) || first.LinesLeftOut != 1 {
		t.Errorf("kept aside %q, %v", aside, err)
	}
	if row := texts(t, conn, `SELECT concat_ws(' ', family, length(checkpoint), confidence, left_out, resources, ended > begun) FROM scoring_jobs`); len(row) != 1 || row[0] != "pooled 32 0.95 1 19 t" {
		t.Errorf("the job is %q", row)
	}

	// One row is refused: other shards have written theirs by then, or not.
	for _, statement := range []string{
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$one is refused$$; END'`,
		`CREATE TRIGGER refuse BEFORE INSERT ON scores FOR EACH ROW WHEN (NEW.resource = 'prod/vm.x') EXECUTE FUNCTION refuse()`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	failing := scoring
	failing.Out = database
	if _, err := beam.Score(t.Context(), failing, prism); err == nil || !strings.Contains(err.Error(), "one is refused") {
		t.Errorf("a row that is refused: %v", err)
	}
	const jobs = `SELECT concat(id, CASE WHEN ended IS NULL THEN ' has not ended' END) FROM scoring_jobs ORDER BY id`
	if got, want := texts(t, conn, jobs), []string{"1", "2 has not ended"}; !cmp.Equal(got, want) {
		t.Errorf("jobs are %q, want %q", got, want)
	}
	if diff := cmp.Diff(before, scoresIn(t, conn, first.Job), cmp.Comparer(func(x, y penumbra.Value) bool { return x == y })); diff != "" {
		t.Errorf("a job that failed changed the scores of the one before\n%s", diff)
	}
	if _, err := conn.Exec(t.Context(), `DROP TRIGGER refuse ON scores`); err != nil {
		t.Fatal(err)
	}
	scoring.Keep = 1
	third := into(database)
	if got, want := texts(t, conn, jobs), []string{"3"}; !cmp.Equal(got, want) || third.Job != 3 {
		t.Errorf("jobs are %q, want %q", got, want)
	}
	sameScores(t, scoresIn(t, conn, third.Job), before)
	if left := texts(t, conn, `SELECT DISTINCT job::text FROM scores`); !cmp.Equal(left, []string{"3"}) {
		t.Errorf("there are scores of jobs %q", left)
	}
}

// TestRefusesADatabase refuses what is none to write scores into, and says nothing of a password.
func TestRefusesADatabase(t *testing.T) {
	database := kept(t, fleet(1, 1))
	empty := connected(t, database)
	if _, err := empty.Exec(t.Context(), `DROP TABLE scores, scoring_jobs; DELETE FROM goose_db_version WHERE version_id > 4`); err != nil {
		t.Fatal(err)
	}
	s := beam.Scoring{Files: write(t, fleet(1, 1)), Checkpoint: checkpoint(t, shadow.NewPooled(shadow.Options{})), At: time.Now()}
	for out, want := range map[string]struct {
		kind penumbra.ErrorKind
		says string
	}{
		database: {penumbra.Refused, "start the newer Penumbra"},
		strings.Replace(database, "@", ":correct%20horse@", 1): {penumbra.Invalid, "PENUMBRA_STORE_PASSWORD"},
		database + "&sslpassword=correct%20horse":              {penumbra.Invalid, "PENUMBRA_STORE_PASSWORD"},
		"postgres://nobody@127.0.0.1:1/x":                      {penumbra.Unavailable, "can be reached"},
	} {
		s.Out = out
		if _, err := beam.Score(t.Context(), s, prism); penumbra.KindOf(err) != want.kind || !strings.Contains(err.Error(), want.says) || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: %v, want %s", out, err, want.says)
		}
	}
	s.Out, s.Format = database, "parquet"
	if _, err := beam.Score(t.Context(), s, prism); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("with a form of files: %v", err)
	}
}
