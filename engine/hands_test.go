package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// hands are the real queue of a process that may be killed while a job is at work, and
// before River has noted that it is done.
type hands struct {
	*river.Queue[*sql.Tx]
	m    *mishap
	gone chan struct{} // closed when the process is no more
	// up is closed when the jobs that an earlier process had left are done, fell when
	// the process was killed at a job.
	up, fell chan struct{}
	left     atomic.Int64 // of those jobs
	falling  sync.Once
	store    *sqlite.Store
}

// employ gives the process that starts the queue in the store's file.
func (m *mishap) employ(cfg *engine.Config) {
	store := cfg.Store.(*sqlite.Store)
	queue, err := river.NewSQLite(context.Background(), store.Writer(), river.Options{Now: cfg.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		m.t.Fatal(err)
	}
	store.WithJobs(queue.AddTx)
	m.hands = &hands{Queue: queue, m: m, store: store, gone: make(chan struct{}), up: make(chan struct{}), fell: make(chan struct{})}
	cfg.Queue = m.hands
}

func (h *hands) Start(ctx context.Context, do func(context.Context, penumbra.Job) (time.Time, error)) error {
	var left int64
	if err := h.store.Writer().QueryRow(`SELECT count(*) FROM river_job WHERE state IN ('available', 'running', 'retryable')`).Scan(&left); err != nil {
		return err
	}
	h.left.Store(left + 1)
	h.done()
	return h.Queue.Start(ctx, func(ctx context.Context, job penumbra.Job) (again time.Time, err error) {
		alive := h.m.live(func() {
			again, err = do(ctx, job)
			h.m.point("after a job")
		})
		if !alive {
			h.falling.Do(func() { close(h.fell) })
			<-h.gone // nothing of it is noted: the database is closed by then
			return again, errors.New("killed")
		}
		h.done()
		return again, err
	})
}

func (h *hands) done() {
	if h.left.Add(-1) == 0 {
		close(h.up)
	}
}

// await waits until what an earlier process had left is done, or this one is killed.
func (h *hands) await() {
	select {
	case <-h.up:
	case <-h.fell:
	}
}

// leaving are queues of killed processes, which are waited for when all tests are over:
// River tries for seconds to note what became of a job before it gives up on a closed
// database.
var leaving sync.WaitGroup

// untilAllLeft runs the tests and waits for them.
type untilAllLeft struct{ *testing.M }

func (m untilAllLeft) Run() int {
	defer leaving.Wait()
	return m.M.Run()
}

// bury lets what is left of a killed process go. Its database is closed.
func (h *hands) bury() {
	close(h.gone)
	leaving.Go(func() { _ = h.Stop(context.Background()) })
}
