package river

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/penumbra-iac/penumbra"
)

// Reading is what is asked of any node: to read a source of a stack, or to plan it, for which
// it is read too.
type Reading struct {
	ID     string `json:"id"` // of this attempt
	Stack  string `json:"stack"`
	Source string `json:"source"`
	// Digest is of what has to be the same on both nodes for both to read, or plan, the same.
	Digest string `json:"digest"`
	// Some are the resources that are asked for, nil for all of the source.
	Some []penumbra.Address `json:"some,omitempty"`
	// Plan is what a plan is asked of, encrypted, nil if none is asked for.
	Plan []byte `json:"plan,omitempty"`
	// Within is how long it may take.
	Within time.Duration `json:"within"`
}

func (Reading) Kind() string { return "read" }

// readings is the queue of readings. It is apart from that of runs: nodes that do not lead
// take jobs of this one alone.
const readings = "readings"

// Readings asks for readings. It is the leading node's, on connections of its term.
type Readings struct {
	client *river.Client[pgx.Tx]
	driver riverdriver.Driver[pgx.Tx]
}

// NewReadings opens the queue of readings in a database that has River's tables.
func NewReadings(pool *pgxpool.Pool, o Options) (*Readings, error) {
	driver := riverpgxv5.New(pool)
	// Nodes are not told of what is asked for so soon after they were told: they find it
	// when they look by themselves.
	client, err := river.NewClient(riverdriver.Driver[pgx.Tx](driver), &river.Config{FetchCooldown: 5 * time.Millisecond, Logger: o.warnings()})
	if err != nil {
		return nil, fmt.Errorf("open the queue of readings: %w", err)
	}
	return &Readings{client, driver}, nil
}

// Ask puts a reading in with what else the transaction writes, and returns its job.
func (q *Readings) Ask(ctx context.Context, tx pgx.Tx, r Reading) (job int64, err error) {
	// It is tried once: whoever asked asks again, as another attempt.
	in, err := q.client.InsertTx(ctx, tx, r, &river.InsertOpts{Queue: readings, MaxAttempts: 1})
	if err != nil {
		return 0, failed("ask for a reading", err)
	}
	return in.Job.ID, nil
}

// Taken returns those of the jobs that do not wait for a node any more: one has them, or had.
func (q *Readings) Taken(ctx context.Context, jobs []int64) (taken map[int64]bool, err error) {
	waiting, err := q.client.JobList(ctx, river.NewJobListParams().IDs(jobs...).States(rivertype.JobStateAvailable).First(min(len(jobs), 10*page)))
	if err != nil {
		return nil, failed("look for jobs", err)
	}
	taken = make(map[int64]bool, len(jobs))
	for _, job := range jobs {
		taken[job] = true
	}
	for _, job := range waiting.Jobs {
		delete(taken, job.ID)
	}
	return taken, nil
}

// GiveUp has nobody begin a job, and whoever is at it end.
func (q *Readings) GiveUp(ctx context.Context, job int64) error {
	row, err := q.client.JobCancel(ctx, job)
	if err == nil && row.State == rivertype.JobStateRunning {
		// Whoever is at it may be no more.
		err = q.cancelled(ctx, []int64{job})
	}
	return failed("give up a job", err)
}

// cancelled ends jobs that are said to be at work.
func (q *Readings) cancelled(ctx context.Context, jobs []int64) error {
	now := time.Now().UTC()
	why, err := json.Marshal(rivertype.AttemptError{At: now, Error: "nobody waits for it"})
	if err != nil {
		return err
	}
	p := riverdriver.JobRescueManyParams{StuckHorizon: now.Add(24 * time.Hour)} // however far apart clocks are
	for _, job := range jobs {
		p.ID = append(p.ID, job)
		p.Error = append(p.Error, why)
		p.FinalizedAt = append(p.FinalizedAt, &now)
		p.ScheduledAt = append(p.ScheduledAt, now)
		p.State = append(p.State, string(rivertype.JobStateCancelled))
	}
	_, err = q.driver.GetExecutor().JobRescueMany(ctx, &p)
	return err
}

// Clear gives up all jobs: those that a leader of before has asked for.
func (q *Readings) Clear(ctx context.Context) error {
	for {
		left, err := q.client.JobList(ctx, river.NewJobListParams().Queues(readings).States(undone...).First(page))
		if err != nil || len(left.Jobs) == 0 {
			return failed("give up the readings of an earlier leader", err)
		}
		for _, job := range left.Jobs {
			if err := q.GiveUp(ctx, job.ID); err != nil {
				return err
			}
		}
	}
}

// Sweep deletes the jobs that are over: there is one for each reading.
func (q *Readings) Sweep(ctx context.Context) error {
	for {
		over := river.NewJobDeleteManyParams().Queues(readings).States(rivertype.JobStateCompleted, rivertype.JobStateCancelled, rivertype.JobStateDiscarded).First(page)
		gone, err := q.client.JobDeleteMany(ctx, over)
		if err != nil || len(gone.Jobs) < page {
			return failed("delete jobs that are over", err)
		}
	}
}

// Reader is a node's part of the queue of readings: it has some done at once.
type Reader struct{ client *river.Client[pgx.Tx] }

// NewReader opens the queue of readings, and brings River's tables up to date. Of those
// that wait as many as atOnce are begun by do, after [Reader.Start]. The pool need not be
// of a term.
func NewReader(ctx context.Context, pool *pgxpool.Pool, atOnce int, do func(context.Context, Reading), o Options) (*Reader, error) {
	driver := &follower{riverpgxv5.New(pool)}
	config := &river.Config{
		Workers: river.NewWorkers(), Queues: map[string]river.QueueConfig{readings: {MaxWorkers: atOnce}},
		FetchCooldown: 20 * time.Millisecond, FetchPollInterval: time.Second,
		JobTimeout: jobTimeout, RescueStuckJobsAfter: rescueAfter, Logger: o.warnings(),
	}
	river.AddWorker(config.Workers, &reads{do: do})
	if err := tables(ctx, pool, driver, o); err != nil {
		return nil, err
	}
	client, err := river.NewClient(riverdriver.Driver[pgx.Tx](driver), config)
	if err != nil {
		return nil, fmt.Errorf("open the queue of readings: %w", err)
	}
	return &Reader{client}, nil
}

// Start begins to have readings done.
func (r *Reader) Start(ctx context.Context) error {
	return failed("start to read for other nodes", r.client.Start(context.WithoutCancel(ctx)))
}

// Stop begins no further one, cancels those at work, and waits for them until ctx ends.
func (r *Reader) Stop(ctx context.Context) error {
	return failed("read for other nodes no more", r.client.StopAndCancel(ctx))
}

// reads does readings.
type reads struct {
	river.WorkerDefaults[Reading]
	do func(context.Context, Reading)
}

// Timeout implements [river.Worker].
func (*reads) Timeout(job *river.Job[Reading]) time.Duration { return job.Args.Within }

// Work implements [river.Worker]. How a reading ends is for who asked, and not kept here.
func (w *reads) Work(ctx context.Context, job *river.Job[Reading]) error {
	w.do(ctx, job.Args)
	return nil
}

// follower is River's driver for a process that does not look after the queue as a whole,
// which takes jobs for lost by its own clock and for those of kinds that it does not know:
// that is for the node that leads alone, whose connections end with its term.
type follower struct{ *riverpgxv5.Driver }

func (d *follower) GetExecutor() riverdriver.Executor { return following{d.Driver.GetExecutor()} }

type following struct{ riverdriver.Executor }

func (e following) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return followingTx{tx}, nil
}

type followingTx struct{ riverdriver.ExecutorTx }

// LeaderAttemptElect says that another process looks after the queue.
func (followingTx) LeaderAttemptElect(context.Context, *riverdriver.LeaderElectParams) (*riverdriver.Leader, error) {
	return nil, rivertype.ErrNotFound
}

// warnings is the logger of River.
func (o Options) warnings() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(warnings{o.Log.Handler()})
}
