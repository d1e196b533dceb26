//go:build unix

package river_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// queue is the queue of either database.
type queue interface {
	Add(ctx context.Context, job penumbra.Job) error
	Start(ctx context.Context, do func(context.Context, penumbra.Job) (time.Time, error)) error
	Stop(ctx context.Context) error
}

// database is one that jobs are kept in.
type database struct {
	open func(t *testing.T) *process
	// What a failed job has noted, and the statement that has it wait for long.
	kept, postpone string
}

// process has a queue in a store, as the daemon has.
type process struct {
	t     *testing.T
	queue queue
	// tx puts a job in, in a transaction that is committed or not.
	tx    func(job penumbra.Job, commit bool)
	query func(statement string, to ...any) error
	kill  func() // it can note nothing any more
	close func() error
	jobs  chan penumbra.Job // begun
	ends  chan error        // how each ends; closed for well
}

func newProcess(t *testing.T, q queue) *process {
	return &process{t: t, queue: q, jobs: make(chan penumbra.Job, 10), ends: make(chan error, 10)}
}

// everywhere runs a test in each database.
func everywhere(t *testing.T, test func(t *testing.T, db database)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "penumbra.db")
		test(t, database{
			open: func(t *testing.T) *process { return embedded(t, path) },
			kept: `SELECT json(errors) FROM river_job WHERE kind = 'carry_out_run'`,
			postpone: `UPDATE river_job SET state = 'retryable', scheduled_at = '2999-01-01 00:00:00.000' WHERE json_array_length(errors) = 1
				RETURNING id`,
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := pgtest.Shared(t, pgtest.Options{})
		place := server.Connection("postgres", server.Database(t))
		test(t, database{
			open:     func(t *testing.T) *process { return served(t, place) },
			kept:     `SELECT errors::text FROM river_job WHERE kind = 'carry_out_run'`,
			postpone: `UPDATE river_job SET state = 'retryable', scheduled_at = '2999-01-01' WHERE cardinality(errors) = 1 RETURNING id`,
		})
	})
}

func embedded(t *testing.T, path string) *process {
	t.Helper()
	store, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	q, err := river.NewSQLite(t.Context(), store.Writer(), river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, q)
	p.close = store.Close
	p.kill = func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	p.query = func(statement string, to ...any) error { return store.Writer().QueryRow(statement).Scan(to...) }
	p.tx = func(job penumbra.Job, commit bool) {
		t.Helper()
		tx, err := store.Writer().Begin()
		if err != nil {
			t.Fatal(err)
		}
		end := tx.Rollback
		if commit {
			end = tx.Commit
		}
		if err := errors.Join(q.AddTx(t.Context(), tx, job), end()); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func served(t *testing.T, place string) *process {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Config{Connection: place})
	if err != nil {
		t.Fatal(err)
	}
	q, err := river.NewPostgres(t.Context(), store.Pool(), river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, q)
	p.close = store.Close
	p.kill = func() {
		go store.Close() // it waits for connections that are in use, and gives out none
		for store.Pool().Ping(context.Background()) == nil {
			runtime.Gosched()
		}
	}
	p.query = func(statement string, to ...any) error {
		return store.Pool().QueryRow(context.Background(), statement).Scan(to...)
	}
	p.tx = func(job penumbra.Job, commit bool) {
		t.Helper()
		tx, err := store.Pool().Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		end := tx.Rollback
		if commit {
			end = tx.Commit
		}
		if err := errors.Join(q.AddTx(t.Context(), tx, job), end(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	return p
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
	if err := errors.Join(p.queue.Stop(context.Background()), p.close()); err != nil {
		p.t.Error(err)
	}
}

func (p *process) add(job penumbra.Job) {
	p.t.Helper()
	if err := p.queue.Add(p.t.Context(), job); err != nil {
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
	everywhere(t, func(t *testing.T, db database) {
		p := db.open(t)
		p.tx(run("r-lost"), false)
		p.tx(run("r-1"), true)
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
	})
}

// TestKilled shows that the next process does again what a killed one had begun, and
// what it had not, and that a stop waits for what is at work and leaves nothing of it.
func TestKilled(t *testing.T) {
	everywhere(t, func(t *testing.T, db database) {
		killed := db.open(t).start()
		killed.add(run("r-1"))
		killed.want(run("r-1"))
		killed.kill()
		later := db.open(t)
		later.tx(run("r-2"), true)
		close(later.ends)
		later.start()
		got := map[string]bool{(<-later.jobs).ID: true, (<-later.jobs).ID: true}
		if !got["r-1"] || !got["r-2"] {
			t.Errorf("begun are %v, want both", got)
		}
		later.stop()
		last := db.open(t).start()
		last.stop()
		if len(last.jobs) > 0 {
			t.Errorf("%+v is done a second time", <-last.jobs)
		}
		close(killed.ends)
		_ = killed.queue.Stop(context.Background()) // it gives up on the closed database
	})
}

// TestFailedAndDue shows that a job that fails is done again, that one which is due
// later is not begun before, and that its secrets stay out of the file.
func TestFailedAndDue(t *testing.T) {
	everywhere(t, func(t *testing.T, db database) {
		p := db.open(t).start()
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
		if err := p.query(db.kept, &kept); err != nil {
			t.Fatal(err)
		}
		if want := penumbra.Redact("password=hunter2hunter2 is refused"); kept == "" || strings.Contains(kept, "hunter2") || !strings.Contains(kept, "refused") {
			t.Errorf("kept is %s, want %s", kept, want)
		}
		p.stop()
	})
}

// TestTriedAtStart shows that what failed, and waits to be tried again, is tried when
// the next process starts.
func TestTriedAtStart(t *testing.T) {
	everywhere(t, func(t *testing.T, db database) {
		p := db.open(t).start()
		p.add(run("r-1"))
		p.want(run("r-1"))
		p.ends <- errors.New("the disk is full")
		p.stop()
		p = db.open(t)
		var postponed int64
		if err := p.query(db.postpone, &postponed); err != nil {
			t.Fatalf("no job has failed: %v", err)
		}
		p.start()
		p.want(run("r-1"))
		p.ends <- nil
		p.stop()
	})
}
