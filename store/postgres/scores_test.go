//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// scored are scores of n resources, in an order that depends on turn.
func scored(n, turn int) iter.Seq2[postgres.Score, error] {
	return func(yield func(postgres.Score, error) bool) {
		for i := range n {
			i = (i + turn) % n
			x := postgres.Score{
				Resource: penumbra.Address(fmt.Sprintf("prod/vm.v%03d", i)), Type: "vm", Time: start,
				Leave:     [...]float64{0.01, 0.02, float64(i) / float64(n), 0.5, 0.9},
				Forecasts: "null", Findings: `[{"path":"size","verdict":"drifted"}]`,
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func begin(t testing.TB, s *postgres.Store) *postgres.Scoring {
	t.Helper()
	g, err := s.BeginScoring(t.Context(), postgres.ScoringJob{Who: "ada", At: start, Confidence: 0.95, Family: "pooled"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// lines returns what a query gives, a line for each row.
func lines(t testing.TB, s *postgres.Store, query string, args ...any) []string {
	t.Helper()
	rows, err := s.Pool().Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const allScores = `SELECT s::text FROM scores s WHERE job = $1 ORDER BY resource`

// TestScoresAreWrittenOnce has several workers write the same part of a job, in another order
// each, as a runner does that tries a bundle again: what is there is what one of them wrote.
func TestScoresAreWrittenOnce(t *testing.T) {
	t.Parallel()
	place := database(t)
	s := closing(t, open(t, place))
	ctx := t.Context()
	g := begin(t, s)
	defer g.Release(ctx)

	broken := errors.New("cut off")
	err := s.WriteScores(ctx, g.ID, 0, func(yield func(postgres.Score, error) bool) {
		for x := range scored(40, 0) {
			if !yield(x, nil) {
				return
			}
		}
		yield(postgres.Score{}, broken)
	})
	if !errors.Is(err, broken) || len(lines(t, s, allScores, g.ID)) > 0 {
		t.Errorf("a part that was cut off: %v, %q", err, lines(t, s, allScores, g.ID))
	}
	if err := s.WriteScores(ctx, g.ID, 0, scored(40, 0)); err != nil {
		t.Fatal(err)
	}
	want := lines(t, s, allScores, g.ID)
	var workers sync.WaitGroup
	for i := range 6 {
		workers.Go(func() {
			if err := s.WriteScores(ctx, g.ID, i%2, renamed(scored(40, i), i%2)); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	got := lines(t, s, allScores, g.ID)
	if len(got) != 80 || !slices.Contains(got, want[0]) || !strings.Contains(want[3], `"drifted"`) {
		t.Errorf("%d rows, want 80:\n%s", len(got), strings.Join(got, "\n"))
	}
	if diff := cmp.Diff(want, got[:40]); diff != "" {
		t.Errorf("-written first +written again\n%s", diff)
	}

	if ended := lines(t, s, `SELECT coalesce(ended::text, 'no') FROM scoring_jobs`); !slices.Equal(ended, []string{"no"}) {
		t.Errorf("before its end: %q", ended)
	}
	if err := g.End(ctx, 99, 1); err != nil {
		t.Fatal(err)
	}
	if row := lines(t, s, `SELECT concat_ws(' ', who, family, observations, left_out, resources, ended > begun) FROM scoring_jobs`); !slices.Equal(row, []string{"ada pooled 99 1 80 t"}) {
		t.Errorf("the job is %q", row)
	}
	if err := s.WriteScores(ctx, g.ID, 0, scored(1, 0)); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("written after the end: %v", err)
	}
	sum, err := s.SummariseScores(ctx, g.ID, 2)
	if err != nil || sum.Resources != 80 || sum.Findings["drifted"] != 80 || len(sum.Likeliest) != 2 || sum.Likeliest[0].Resource != "prod/vm.v000" {
		t.Errorf("%+v, %v", sum, err)
	}
}

// renamed puts scores into another stack, for a part that is not 0.
func renamed(scores iter.Seq2[postgres.Score, error], part int) iter.Seq2[postgres.Score, error] {
	return func(yield func(postgres.Score, error) bool) {
		for x, err := range scores {
			if part > 0 {
				x.Resource = penumbra.Address(strings.Replace(string(x.Resource), "prod/", "test/", 1))
			}
			if !yield(x, err) {
				return
			}
		}
	}
}

// TestHostileScores writes what JSON may have and PostgreSQL reads none with.
func TestHostileScores(t *testing.T) {
	t.Parallel()
	s := closing(t, open(t, database(t)))
	g := begin(t, s)
	defer g.Release(t.Context())
	err := s.WriteScores(t.Context(), g.ID, 0, func(yield func(postgres.Score, error) bool) {
		yield(postgres.Score{
			Resource: "a/b\x00\xff", Type: "\x00", NotChecked: "'; DROP TABLE scores; --", Time: start,
			Findings: `[{"path":"a\u0000b","verdict":"drifted","actual":"\\u0000\\\u0000"}]`,
		}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(t, s, `SELECT f ->> 'actual' FROM scores, json_array_elements(findings) f`); !slices.Equal(got, []string{"\\u0000\\\ufffd"}) {
		t.Errorf("%q", got)
	}
	sum, err := s.SummariseScores(t.Context(), g.ID, 1)
	if err != nil || sum.Findings["drifted"] != 1 || sum.Likeliest[0].Resource != "a/b\x00\xff" || sum.Likeliest[0].Type != "\x00" {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestScoringsAreRemoved keeps the last jobs that have ended and what goes on, and removes the
// rest, with the scores.
func TestScoringsAreRemoved(t *testing.T) {
	t.Parallel()
	place := database(t)
	s, other := closing(t, open(t, place)), closing(t, open(t, place))
	ctx := t.Context()
	job := func(s *postgres.Store, end bool) *postgres.Scoring {
		g := begin(t, s)
		err := s.WriteScores(ctx, g.ID, 0, scored(3, 0))
		if err == nil && end {
			err = g.End(ctx, 3, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for range 3 { // 1 to 3
		job(s, true).Release(ctx)
	}
	job(s, false).Release(ctx) // 4 has failed
	going := job(other, false) // 5
	defer going.Release(ctx)
	job(s, true).Release(ctx) // 6
	removed, err := s.RemoveScorings(ctx, 2)
	if err != nil || removed != 3 {
		t.Errorf("%d were removed, %v, want 3", removed, err)
	}
	const jobs = `SELECT concat(id, ' ', (SELECT count(*) FROM scores WHERE job = id)) FROM scoring_jobs ORDER BY id`
	if got := lines(t, s, jobs); !slices.Equal(got, []string{"3 3", "5 3", "6 3"}) {
		t.Errorf("left are %q", got)
	}
	// One that somebody removed writes nothing more.
	exec(t, place, `DELETE FROM scoring_jobs WHERE id = 5`)
	if err := other.WriteScores(ctx, 5, 1, scored(1, 0)); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("written into a job that was removed: %v", err)
	}
	if err := going.End(ctx, 3, 0); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("ended after it was removed: %v", err)
	}
	if got := lines(t, s, jobs); !slices.Equal(got, []string{"3 3", "6 3"}) {
		t.Errorf("left are %q", got)
	}
}

// TestScoresAreResealed hashes what is in scores under the next key, and refuses those of a
// job that had begun under the one before.
func TestScoresAreResealed(t *testing.T) {
	t.Parallel()
	s := closing(t, open(t, database(t)))
	ctx := t.Context()
	if err := s.SetHashKey(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	first, second := penumbra.Key("the first key of this test"), penumbra.Key("the second key of this test")
	sealed := first.Seal(penumbra.String("hunter2"))
	list := fmt.Sprintf(`[{"path":"password","verdict":"drifted","actual":%q}]`, sealed.Text())
	g := begin(t, s)
	defer g.Release(ctx)
	err := s.WriteScores(ctx, g.ID, 0, func(yield func(postgres.Score, error) bool) {
		yield(postgres.Score{Resource: "a/b", Time: start, Expectations: list, Forecasts: list, Findings: list}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Reseal(ctx, "second", second.Reseal); err != nil || n != 3 {
		t.Errorf("%d were resealed, %v", n, err)
	}
	both := penumbra.Key(string(second) + "\n" + string(first))
	want := strings.ReplaceAll(list, sealed.Text(), both.Seal(penumbra.String("hunter2")).Text())
	if got := lines(t, s, `SELECT unnest(ARRAY[expectations, forecasts, findings]::text[]) FROM scores`); !slices.Equal(got, []string{want, want, want}) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := s.WriteScores(ctx, g.ID, 1, renamed(scored(1, 0), 1)); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("written under the key before: %v", err)
	}
	if err := g.End(ctx, 1, 0); penumbra.KindOf(err) != penumbra.Stale {
		t.Errorf("ended under the key before: %v", err)
	}
}

// TestUnmigrated leaves a database without a store, or with an older one, as it is.
func TestUnmigrated(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t, pgtest.Options{})
	place := server.Connection("postgres", server.Database(t))
	try := func() error {
		s, err := postgres.Open(context.Background(), postgres.Config{Connection: place, Unmigrated: true})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := try(); penumbra.KindOf(err) != penumbra.NotFound || !strings.Contains(err.Error(), "there is no store") {
		t.Errorf("an empty database: %v", err)
	}
	if err := open(t, place).Close(); err != nil {
		t.Fatal(err)
	}
	if err := try(); err != nil {
		t.Errorf("one of this version: %v", err)
	}
	exec(t, place, `DROP TABLE scores, scoring_jobs; DELETE FROM goose_db_version WHERE version_id >= 5`)
	if err := try(); penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "start the newer Penumbra") {
		t.Errorf("an older one: %v", err)
	}
	if err := open(t, place).Close(); err != nil {
		t.Errorf("brought up to date: %v", err)
	}
}

// BenchmarkScores writes the scores of 100,000 resources of 2 kB each in 8 parts at once,
// asks for the twenty likeliest to leave, and removes them.
func BenchmarkScores(b *testing.B) {
	const parts, size = 8, 12_500
	server := pgtest.Own(b, pgtest.Options{Durable: true})
	s := open(b, server.Connection("postgres", server.Create(b)))
	defer s.Close()
	var digits strings.Builder // that compress as those of probabilities do
	for random := rand.New(rand.NewPCG(1, 1)); digits.Len() < 600; {
		fmt.Fprintf(&digits, "%v,", random.Float64())
	}
	list := fmt.Sprintf(`[{"path":"size","verdict":"drifted","values":[%s0]}]`, digits.String())
	var wrote, asked, removed time.Duration
	for b.Loop() {
		began := time.Now()
		g := begin(b, s)
		var workers sync.WaitGroup
		for part := range parts {
			workers.Go(func() {
				err := s.WriteScores(b.Context(), g.ID, part, func(yield func(postgres.Score, error) bool) {
					for x := range scored(size, 0) {
						x.Resource = penumbra.Address(fmt.Sprintf("p%d-%s", part, x.Resource))
						x.Expectations, x.Forecasts, x.Findings = list, list, list
						if !yield(x, nil) {
							return
						}
					}
				})
				if err != nil {
					b.Error(err)
				}
			})
		}
		workers.Wait()
		if err := g.End(b.Context(), parts*size, 0); err != nil {
			b.Fatal(err)
		}
		g.Release(b.Context())
		wrote += time.Since(began)
		began = time.Now()
		if got := lines(b, s, `SELECT resource FROM scores WHERE job = $1 ORDER BY leave_1d DESC, resource LIMIT 20`, g.ID); len(got) != 20 {
			b.Fatalf("%q", got)
		}
		asked += time.Since(began)
		began = time.Now()
		if n, err := s.RemoveScorings(b.Context(), 0); n != 1 || err != nil {
			b.Fatal(n, err)
		}
		removed += time.Since(began)
	}
	b.ReportMetric(float64(parts*size*b.N)/wrote.Seconds(), "rows/s")
	b.ReportMetric(asked.Seconds()*1e3/float64(b.N), "asked-ms")
	b.ReportMetric(removed.Seconds()*1e3/float64(b.N), "removed-ms")
}
