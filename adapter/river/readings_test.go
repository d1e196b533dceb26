//go:build unix

package river_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// TestReadingsAreApartFromRuns has a node be at a reading while the process that works on runs
// is followed by another: the run is begun again, the reading is not. What is over of readings
// is swept away, and of runs is kept.
func TestReadingsAreApartFromRuns(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t, pgtest.Options{})
	place := server.Connection("postgres", server.Database(t))
	p := served(t, place).start()
	p.add(run("r-1"))
	p.want(run("r-1"))

	node, err := postgres.Open(t.Context(), postgres.Config{Connection: place})
	if err != nil {
		t.Fatal(err)
	}
	began, end := make(chan river.Reading, 4), make(chan struct{})
	reader, err := river.NewReader(t.Context(), node.Pool(), 2, func(_ context.Context, r river.Reading) { began <- r; <-end }, river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	readings, err := river.NewReadings(node.Pool(), river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	asked := river.Reading{ID: "1", Stack: "shop", Source: "tofu", Digest: "d", Some: []penumbra.Address{"shop/vm.a"}, Within: time.Minute}
	var job int64
	if err := pgx.BeginFunc(t.Context(), node.Pool(), func(tx pgx.Tx) (err error) {
		job, err = readings.Ask(t.Context(), tx, asked)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if r := <-began; r.ID != asked.ID || r.Stack != asked.Stack || len(r.Some) != 1 || r.Within != asked.Within {
		t.Errorf("a node was asked for %+v", r)
	}
	if taken, err := readings.Taken(t.Context(), []int64{job}); err != nil || !taken[job] {
		t.Errorf("taken: %v, %v", taken, err)
	}

	p.kill()
	next := served(t, place).start()
	next.want(run("r-1"))
	var state string
	if err := next.query(`SELECT state::text || attempt::text FROM river_job WHERE queue = 'readings'`, &state); err != nil || state != "running1" {
		t.Errorf("the reading is %s, %v", state, err)
	}
	next.ends <- nil
	close(end)
	if err := reader.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	next.stop()
	if len(began) != 0 {
		t.Errorf("the reading was begun again")
	}
	if err := readings.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left string
	if err := node.Pool().QueryRow(t.Context(), `SELECT coalesce(string_agg(queue || ' ' || state, ', '), '') FROM river_job`).Scan(&left); err != nil || left != "default completed" {
		t.Errorf("left are %q, %v", left, err)
	}
	if err := node.Close(); err != nil {
		t.Error(err)
	}
	close(p.ends)
	_ = p.queue.Stop(context.Background()) // it gives up on the closed database
}
