// Package river keeps jobs in River's tables, in the database of the store: what has to
// be done is put in with the decision that it follows from, in one transaction, and is
// done at least once, through kills and restarts.
//
// In the file of the embedded store nothing has to be told to others, since one process
// at a time has it: jobs put in are begun at once, and what is due later is looked for
// every few seconds. River shares the store's one connection that writes, so that it
// never waits for the database's lock, nor anybody for River's. In PostgreSQL the
// database tells that a job was put in, once that is committed.
package river

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/penumbra-iac/penumbra"
)

const (
	// atOnce bounds the jobs at work: those of one stack wait for each other.
	atOnce = 64
	// poll is how often it is looked for what has become due. What is put in for at
	// once is begun without it.
	poll = 5 * time.Second
	// jobTimeout is when a job's context ends: a run that has not begun to apply by then
	// fails, one that has is bounded by its machine. rescueAfter is when River takes a
	// job for lost in a process that lives.
	jobTimeout  = 2 * time.Hour
	rescueAfter = 6 * time.Hour
)

// Options are what a queue may be given.
type Options struct {
	// Now is the clock that jobs are due by, time.Now if nil.
	Now func() time.Time
	Log *slog.Logger // River's own warnings; discarded if nil
}

// Queue is a queue of jobs. Tx is a transaction of the database that it is in.
type Queue[Tx any] struct {
	client *river.Client[Tx]
	driver riverdriver.Driver[Tx]
	now    func() time.Time
	do     func(context.Context, penumbra.Job) (time.Time, error)
}

// embedded is River's driver for SQLite without its outbox of notifications, which is for other
// processes and polled 20 times a second.
type embedded struct{ *riversqlite.Driver }

func (*embedded) SupportsListener() bool     { return false }
func (*embedded) SupportsListenNotify() bool { return false }

// args is what River keeps of a job.
type args interface {
	river.JobArgs
	job() penumbra.Job
}

type carryOutRun struct {
	Run string `json:"run"`
}

func (carryOutRun) Kind() string        { return string(penumbra.CarryOutRun) }
func (a carryOutRun) job() penumbra.Job { return penumbra.Job{Kind: penumbra.CarryOutRun, ID: a.Run} }

// startScheduled has the time in it: a proposal that is scheduled anew is another job.
type startScheduled struct {
	Proposal string    `json:"proposal"`
	Due      time.Time `json:"due"`
}

func (startScheduled) Kind() string { return string(penumbra.StartScheduled) }
func (a startScheduled) job() penumbra.Job {
	return penumbra.Job{Kind: penumbra.StartScheduled, ID: a.Proposal, Due: a.Due}
}

func argsOf(job penumbra.Job) (args, error) {
	switch job.Kind {
	case penumbra.CarryOutRun:
		return carryOutRun{job.ID}, nil
	case penumbra.StartScheduled:
		return startScheduled{job.ID, job.Due.UTC()}, nil
	}
	return nil, fmt.Errorf("a job of kind %q is not known", job.Kind)
}

// NewSQLite opens the queue in a file of which db is the one connection that writes,
// and brings River's tables up to date. Nothing is begun before [Queue.Start].
func NewSQLite(ctx context.Context, db *sql.DB, o Options) (*Queue[*sql.Tx], error) {
	driver := riverdriver.Driver[*sql.Tx](&embedded{riversqlite.New(db)})
	if err := migrate(ctx, driver, o); err != nil {
		return nil, err
	}
	return open(driver, o, &river.Config{
		ReindexerIndexNames: []string{}, // SQLite's do not bloat
	})
}

// NewPostgres opens the queue in a PostgreSQL database, and brings River's tables up to
// date. Processes that do so at the same time take turns. Nothing is begun before
// [Queue.Start].
func NewPostgres(ctx context.Context, pool *pgxpool.Pool, o Options) (*Queue[pgx.Tx], error) {
	driver := riverdriver.Driver[pgx.Tx](riverpgxv5.New(pool))
	if err := tables(ctx, pool, driver, o); err != nil {
		return nil, err
	}
	return open(driver, o, &river.Config{})
}

// tables brings River's tables up to date, in turn with other processes.
func tables(ctx context.Context, pool *pgxpool.Pool, driver riverdriver.Driver[pgx.Tx], o Options) error {
	turn, err := pool.Acquire(ctx)
	if err != nil {
		return failed("open the queue of jobs", err)
	}
	defer turn.Release()
	if _, err := turn.Exec(ctx, `SELECT pg_advisory_lock(hashtext('penumbra: the tables of jobs'))`); err != nil {
		return failed("open the queue of jobs", err)
	}
	defer func() {
		// One that cannot be given back goes with its connection.
		if _, err := turn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext('penumbra: the tables of jobs'))`); err != nil {
			_ = turn.Conn().Close(context.WithoutCancel(ctx))
		}
	}()
	return migrate(ctx, driver, o)
}

func migrate[Tx any](ctx context.Context, driver riverdriver.Driver[Tx], o Options) error {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: o.warnings()})
	if err != nil {
		return fmt.Errorf("open the queue of jobs: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("bring the queue of jobs up to date: %w", err)
	}
	return nil
}

func open[Tx any](driver riverdriver.Driver[Tx], o Options, config *river.Config) (q *Queue[Tx], err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	q = &Queue[Tx]{driver: driver, now: o.Now}
	config.Workers = river.NewWorkers()
	river.AddWorker(config.Workers, &worker[carryOutRun]{do: q.work, now: o.Now})
	river.AddWorker(config.Workers, &worker[startScheduled]{do: q.work, now: o.Now})
	config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: atOnce}}
	config.FetchPollInterval, config.JobTimeout, config.RescueStuckJobsAfter, config.Logger = poll, jobTimeout, rescueAfter, o.warnings()
	if q.client, err = river.NewClient(driver, config); err != nil {
		return nil, fmt.Errorf("open the queue of jobs: %w", err)
	}
	return q, nil
}

func (q *Queue[Tx]) work(ctx context.Context, job penumbra.Job) (time.Time, error) {
	return q.do(ctx, job)
}

// Add puts a job in, unless it is there already, and wakes the queue.
func (q *Queue[Tx]) Add(ctx context.Context, job penumbra.Job) error {
	a, err := argsOf(job)
	if err == nil {
		_, err = q.client.Insert(ctx, a, q.options(job))
	}
	return failed("put in a job", err)
}

// AddTx puts a job in with what else the transaction writes. In an embedded store it
// does not wake the queue: nobody could see the job yet.
func (q *Queue[Tx]) AddTx(ctx context.Context, tx Tx, job penumbra.Job) error {
	a, err := argsOf(job)
	if err == nil {
		_, err = q.client.InsertTx(ctx, tx, a, q.options(job))
	}
	return failed("put in a job", err)
}

// undone are the states of jobs that another of the same is not put in beside. What
// was done may be put in again: the store says whether it has to be.
var undone = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled,
}

// options make a job one of its kind: it is not put in again while it waits, is at
// work, or was done within the day.
func (q *Queue[Tx]) options(job penumbra.Job) *river.InsertOpts {
	o := &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: undone}}
	if !job.Due.IsZero() {
		// River goes by the machine's clock.
		o.ScheduledAt = time.Now().Add(job.Due.Sub(q.now()))
	}
	return o
}

// Start begins to have jobs done. Those that another process had begun are begun
// again, since it is no more: this one has the store alone. Nor does what failed in it
// wait any longer.
func (q *Queue[Tx]) Start(ctx context.Context, do func(context.Context, penumbra.Job) (time.Time, error)) error {
	q.do = do
	if err := errors.Join(q.rescue(ctx), q.retry(ctx)); err != nil {
		return failed("take up the jobs of an earlier process", err)
	}
	return failed("start the queue of jobs", q.client.Start(context.WithoutCancel(ctx)))
}

// page is how many jobs are rescued at once.
const page = 1000

// rescue makes jobs available again that are said to be at work.
func (q *Queue[Tx]) rescue(ctx context.Context) error {
	exec := q.driver.GetExecutor()
	now := time.Now().UTC()
	for after := int64(0); ; {
		lost, err := exec.JobGetStuck(ctx, &riverdriver.JobGetStuckParams{AfterID: after, Max: page, StuckHorizon: now.Add(time.Minute)})
		if err != nil || len(lost) == 0 {
			return err
		}
		rescued := riverdriver.JobRescueManyParams{StuckHorizon: now.Add(time.Minute)}
		for _, job := range lost {
			after = job.ID
			if job.Queue == readings {
				continue // another node's, which may well be at it
			}
			why, err := json.Marshal(rivertype.AttemptError{At: now, Attempt: max(job.Attempt, 0), Error: "the process ended"})
			if err != nil {
				return err
			}
			rescued.ID = append(rescued.ID, job.ID)
			rescued.Error = append(rescued.Error, why)
			rescued.FinalizedAt = append(rescued.FinalizedAt, nil)
			rescued.ScheduledAt = append(rescued.ScheduledAt, now)
			rescued.State = append(rescued.State, string(rivertype.JobStateAvailable))
		}
		if len(rescued.ID) == 0 {
			continue
		}
		if _, err := exec.JobRescueMany(ctx, &rescued); err != nil {
			return err
		}
	}
}

// retry makes jobs available that wait to be tried again.
func (q *Queue[Tx]) retry(ctx context.Context) error {
	for {
		waiting, err := q.client.JobList(ctx, river.NewJobListParams().States(rivertype.JobStateRetryable).First(page))
		if err != nil || len(waiting.Jobs) == 0 {
			return err
		}
		for _, job := range waiting.Jobs {
			if _, err := q.client.JobRetry(ctx, job.ID); err != nil {
				return err
			}
		}
	}
}

// Stop begins no further job and waits for those at work until ctx ends. A queue that
// was never started is stopped already.
func (q *Queue[Tx]) Stop(ctx context.Context) error {
	return failed("stop the queue of jobs", q.client.Stop(ctx))
}

func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return &penumbra.Error{Kind: penumbra.Unavailable, What: what, Err: err}
}

// worker does jobs of one kind.
type worker[T args] struct {
	river.WorkerDefaults[T]
	do  func(context.Context, penumbra.Job) (time.Time, error)
	now func() time.Time
}

// Work implements [river.Worker]. What River keeps of an error says no secret.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	again, err := w.do(ctx, job.Args.job())
	switch {
	case err != nil:
		return errors.New(penumbra.Redact(err.Error()))
	case !again.IsZero():
		return river.JobSnooze(max(0, again.Sub(w.now())))
	}
	return nil
}

// warnings passes on what is worth a word: that River starts and stops is not.
type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
