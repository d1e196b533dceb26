package river_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process has a queue in a store's file, as the daemon has.
type process struct {
	t     *testing.T
	store *sqlite.Store
	queue *river.Queue
	jobs  chan penumbra.Job // begun
	ends  chan error        // how each ends; closed for well
}

func open(t *testing.T, path string) *process {
	t.Helper()
	store, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	q, err := river.New(t.Context(), store.Writer(), river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &process{t: t, store: store, queue: q, jobs: make(chan penumbra.Job, 10), ends: make(chan error, 10)}
}

func (p *process) start() *process {
	p.t.Helper()
	err := p.queue.Start(p.t.Context(), func(_ context.Context, job penumbra.Job) (time.Time, error) {
		p.jobs <- job
		return time.Time{}, <-p.ends
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return p
}

func (p *process) stop() {
	p.t.Helper()
	if err := errors.Join(p.queue.Stop(context.Background()), p.store.Close()); err != nil {
		p.t.Error(err)
	}
}

func (p *process) add(job penumbra.Job) {
	p.t.Helper()
	if err := p.queue.Add(p.t.Context(), job); err != nil {
		p.t.Fatal(err)
	}
}

// tx puts a job in, in a transaction that ends as the test says.
func (p *process) tx(job penumbra.Job, end func(*sql.Tx) error) {
	p.t.Helper()
	tx, err := p.store.Writer().Begin()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := errors.Join(p.queue.AddTx(p.t.Context(), tx, job), end(tx)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) want(job penumbra.Job) {
	p.t.Helper()
	got := <-p.jobs
	if got.Kind != job.Kind || got.ID != job.ID || !got.Due.Equal(job.Due) {
		p.t.Fatalf("%+v is begun, want %+v", got, job)
	}
}

func run(id string) penumbra.Job { return penumbra.Job{Kind: penumbra.CarryOutRun, ID: id} }

// TestOnce shows that a job that is put in with a transaction is there if that is
// committed, and is done once however often it is put in.
func TestOnce(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), "penumbra.db"))
	p.tx(run("r-lost"), (*sql.Tx).Rollback)
	p.tx(run("r-1"), (*sql.Tx).Commit)
	p.add(run("r-1"))
	p.start()
	p.want(run("r-1"))
	p.ends <- nil
	p.add(run("r-1"))
	p.add(run("r-2"))
	p.want(run("r-2"))
	p.ends <- nil
	p.stop()
	if len(p.jobs) > 0 {
		t.Errorf("%+v is begun as well", <-p.jobs)
	}
}

// TestKilled shows that the next process does again what a killed one had begun, and
// what it had not, and that a stop waits for what is at work and leaves nothing of it.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "penumbra.db")
	killed := open(t, path).start()
	killed.add(run("r-1"))
	killed.want(run("r-1"))
	if err := killed.store.Close(); err != nil { // it can note nothing any more
		t.Fatal(err)
	}
	later := open(t, path)
	later.tx(run("r-2"), (*sql.Tx).Commit)
	close(later.ends)
	later.start()
	got := map[string]bool{(<-later.jobs).ID: true, (<-later.jobs).ID: true}
	if !got["r-1"] || !got["r-2"] {
		t.Errorf("begun are %v, want both", got)
	}
	later.stop()
	last := open(t, path).start()
	last.stop()
	if len(last.jobs) > 0 {
		t.Errorf("%+v is done a second time", <-last.jobs)
	}
	close(killed.ends)
	_ = killed.queue.Stop(context.Background()) // it gives up on the closed database
}

// TestFailedAndDue shows that a job that fails is done again, that one which is due
// later is not begun before, and that its secrets stay out of the file.
func TestFailedAndDue(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), "penumbra.db")).start()
	due := penumbra.Job{Kind: penumbra.StartScheduled, ID: "p-1", Due: time.Now().Add(2 * time.Second).UTC()}
	p.add(due)
	p.add(run("r-1"))
	p.want(run("r-1"))
	p.ends <- errors.New("password=hunter2hunter2 is refused")
	for range 2 { // the retry after a second, and what is due, in either order
		switch job := <-p.jobs; {
		case job.Kind == penumbra.StartScheduled && time.Now().Before(due.Due):
			t.Errorf("%+v is begun at %s", job, time.Now())
		case job.Kind == penumbra.CarryOutRun && job.ID != "r-1":
			t.Errorf("%+v is begun", job)
		}
		p.ends <- nil
	}
	var kept string
	if err := p.store.Writer().QueryRow(`SELECT json(errors) FROM river_job WHERE kind = 'carry_out_run'`).Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if want := penumbra.Redact("password=hunter2hunter2 is refused"); kept == "" || strings.Contains(kept, "hunter2") || !strings.Contains(kept, "refused") {
		t.Errorf("kept is %s, want %s", kept, want)
	}
	p.stop()
}

// TestTriedAtStart shows that what failed, and waits to be tried again, is tried when
// the next process starts.
func TestTriedAtStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "penumbra.db")
	p := open(t, path).start()
	p.add(run("r-1"))
	p.want(run("r-1"))
	p.ends <- errors.New("the disk is full")
	p.stop()
	p = open(t, path)
	changed, err := p.store.Writer().Exec(`UPDATE river_job SET state = 'retryable', scheduled_at = '2999-01-01 00:00:00.000' WHERE json_array_length(errors) = 1`)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := changed.RowsAffected(); n != 1 {
		t.Fatalf("%d jobs have failed, want 1", n)
	}
	p.start()
	p.want(run("r-1"))
	p.ends <- nil
	p.stop()
}
