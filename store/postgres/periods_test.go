//go:build unix

package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

func partitions(t *testing.T, s *postgres.Store) []string {
	t.Helper()
	return lines(t, s, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'observations'::regclass ORDER BY 1`)
}

func times(t *testing.T, s *postgres.Store, q penumbra.ObservationQuery) (out []time.Time) {
	t.Helper()
	for o, err := range s.Observations(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Time)
	}
	return out
}

// TestOldMonthsGo holds that months lie in partitions of their own, that those of any
// other time share two, and that dropping what is old takes whole months and nothing
// else: numbers go on, what is kept is read as before, and the same content is found in
// each month.
func TestOldMonthsGo(t *testing.T) {
	t.Parallel()
	s := closing(t, open(t, database(t)))
	ctx := t.Context()
	var all []penumbra.Observation
	for _, at := range []time.Time{
		time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC),
		time.Date(2026, 1, 31, 23, 59, 59, 999999999, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		all = append(all, snapshot("s/t.n", at, "the same"))
	}
	event := penumbra.Observation{Kind: penumbra.EventKind, Time: all[2].Time, Resource: "s/t.n", Source: "log", ID: "e-1", Action: "edit"}
	all = append(all, event)
	if added, err := s.Append(ctx, all); err != nil || len(added) != len(all) {
		t.Fatal(len(added), err)
	}
	if got, want := partitions(t, s), []string{"observations_2026_01", "observations_2026_02", "observations_2026_03", "observations_after", "observations_before"}; !slices.Equal(got, want) {
		t.Errorf("partitions %q, want %q", got, want)
	}
	if n, err := s.DropBefore(ctx, time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)); err != nil || n != 4 {
		t.Errorf("%d dropped, want 4: %v", n, err)
	}
	if n, err := s.DropBefore(ctx, time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)); err != nil || n != 0 {
		t.Errorf("%d dropped once more: %v", n, err)
	}
	if got, want := times(t, s, penumbra.ObservationQuery{}), []time.Time{all[3].Time, all[4].Time, all[5].Time, all[6].Time}; !slices.Equal(got, want) {
		t.Errorf("kept are %v, want %v", got, want)
	}
	count, _, err := s.Counts(ctx)
	if last, err2 := s.Sequence(ctx); err != nil || err2 != nil || count != 4 || last != 8 {
		t.Errorf("count %d, last %d, want 4 and 8: %v %v", count, last, err, err2)
	}
	// What was dropped may come again, with the contents that its month lost.
	if added, err := s.Append(ctx, all); err != nil || len(added) != 4 {
		t.Fatalf("%d added again, want 4: %v", len(added), err)
	}
	if got := times(t, s, penumbra.ObservationQuery{After: 8}); len(got) != 4 {
		t.Errorf("%d are read after the last number, want 4", len(got))
	}
}

// TestDroppedWhileRead drops a month in the middle of a reading: it goes on with what is
// there.
func TestDroppedWhileRead(t *testing.T) {
	t.Parallel()
	s := closing(t, open(t, database(t)))
	ctx := t.Context()
	var all []penumbra.Observation
	for i := range 1200 {
		all = append(all, snapshot("s/t.n", start.Add(time.Duration(i)*time.Hour), fmt.Sprint(i)))
	}
	if _, err := s.Append(ctx, all); err != nil {
		t.Fatal(err)
	}
	read := 0
	var last time.Time
	for o, err := range s.Observations(ctx, penumbra.ObservationQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if read == 0 {
			if _, err := s.DropBefore(ctx, start.AddDate(0, 2, 0)); err != nil {
				t.Fatal(err)
			}
		}
		read++
		last = o.Time
	}
	if !last.Equal(all[len(all)-1].Time) || read >= len(all) {
		t.Errorf("%d of %d were read, the last of %v", read, len(all), last)
	}
}

// TestTextsOfAnyBytes keeps what PostgreSQL takes in no text, and finds it again.
func TestTextsOfAnyBytes(t *testing.T) {
	t.Parallel()
	s := closing(t, open(t, database(t)))
	ctx := t.Context()
	for _, id := range []string{"plain", "nul\x00", "latin \xe9", "\ufffd\ufffdx00", "\ufffd\ufffdx", "ünï", strings.Repeat("x", 2000)} {
		if err := s.SaveDrifts(ctx, []penumbra.Drift{{ID: id, Resource: penumbra.Address("s/t." + id)}}); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		for _, q := range []penumbra.DriftQuery{{ID: id}, {Resource: penumbra.Address("s/t." + id)}} {
			if got, err := s.Drifts(ctx, q); err != nil || len(got) != 1 || got[0].ID != id {
				t.Errorf("%q: found %+v: %v", id, got, err)
			}
		}
		rec := penumbra.AsideRecord{Action: id, Reason: id, Record: penumbra.Record{Input: id, Format: id, Time: start, Action: id, Message: id, Targets: []string{id}}}
		if _, err := s.KeepAside(ctx, []penumbra.AsideRecord{rec}); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		if err := s.SaveRollups(ctx, []penumbra.Rollup{{Resource: penumbra.Address(id), Metric: id, Span: 1, Start: start}}); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		if got, err := s.Rollups(ctx, penumbra.RollupQuery{Resource: penumbra.Address(id), Metric: id}); err != nil || len(got) != 1 || got[0].Metric != id || string(got[0].Resource) != id {
			t.Errorf("%q: found %+v: %v", id, got, err)
		}
	}
	kinds, err := s.AsideKinds(ctx, 0)
	if err != nil || len(kinds.Kinds) != 7 {
		t.Fatalf("%+v: %v", kinds, err)
	}
	for _, k := range kinds.Kinds {
		if k.Input != k.Example || k.Action != k.Example || k.Target != k.Example {
			t.Errorf("one kind is %+v", k)
		}
	}
	if got, err := s.Drifts(ctx, penumbra.DriftQuery{ID: "nul"}); err != nil || len(got) != 0 {
		t.Errorf("found %+v: %v", got, err)
	}
}
