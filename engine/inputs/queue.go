package inputs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/penumbra-iac/penumbra"
)

// Queue takes in what one input brings while what it brought before is being
// stored: reading, mapping and storing go on at once, each for its own batch.
// Use it for an input that can read again what was not stored, such as a file;
// who waits for an answer uses [Feed.Records].
//
// It keeps the order. A cursor is saved after all that was given before it is
// durable, so that a kill loses nothing; what was stored after the last cursor
// comes again and adds nothing. It holds a few batches, then the one who gives
// waits. A backlog is stored many batches at once: a sync to disk each time is
// what storing costs, whatever the size.
type Queue struct {
	feed *Feed
	ctx  context.Context // ends when the queue fails
	fail context.CancelCauseFunc

	read, mapped chan *queued
	working      sync.WaitGroup

	mu      sync.Mutex
	waiting int // what was given and is not stored yet

	failed error // of storing, for who has waited for it to end
}

// queued is a batch of records, or a cursor.
type queued struct {
	records []penumbra.Record
	bad     []penumbra.BadLine
	taken   *taken
	cursor  *cursor
}

type cursor struct {
	name string
	data []byte
}

// What a queue holds: batches read, batches mapped, and how many of those are
// stored at once.
const (
	readAhead   = 1
	mappedAhead = 3
	// storedAtOnce counts cursors too, of which there is one to a batch of a log.
	storedAtOnce = 8
)

// Queue returns a queue of the feed, and a context that ends with ctx or when
// the queue fails. [Queue.Close] must be called.
func (f *Feed) Queue(ctx context.Context) (*Queue, context.Context) {
	q := &Queue{feed: f, read: make(chan *queued, readAhead), mapped: make(chan *queued, mappedAhead)}
	q.ctx, q.fail = context.WithCancelCause(ctx)
	q.working.Go(q.prepare)
	q.working.Go(q.store)
	return q, q.ctx
}

// Records gives records and lines that could not be read. They are not stored
// yet when it returns. The error is why earlier ones cannot be stored, or that of
// the context.
func (q *Queue) Records(ctx context.Context, records []penumbra.Record, bad []penumbra.BadLine) error {
	return q.give(ctx, &queued{records: records, bad: bad})
}

// Load returns the last cursor saved, as [Feed.Load].
func (q *Queue) Load(ctx context.Context, name string) ([]byte, error) { return q.feed.Load(ctx, name) }

// Save saves a cursor once what was given before is durable; at once if it is.
func (q *Queue) Save(ctx context.Context, name string, data []byte) error {
	q.mu.Lock()
	idle := q.waiting == 0
	q.mu.Unlock()
	if idle {
		if q.ctx.Err() != nil {
			return context.Cause(q.ctx)
		}
		return q.feed.Save(ctx, name, data)
	}
	return q.give(ctx, &queued{cursor: &cursor{name, slices.Clone(data)}})
}

func (q *Queue) give(ctx context.Context, x *queued) error {
	if q.ctx.Err() != nil {
		return context.Cause(q.ctx) // there may be room all the same
	}
	q.count(1)
	select {
	case q.read <- x:
		return nil
	case <-q.ctx.Done():
		q.count(-1)
		return context.Cause(q.ctx)
	case <-ctx.Done():
		q.count(-1)
		return ctx.Err()
	}
}

func (q *Queue) count(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting += n
}

// Close stores what was given, without trying again if the context has ended, and
// returns why it could not. Nothing may be given any more.
func (q *Queue) Close() error {
	close(q.read)
	q.working.Wait()
	q.fail(nil)
	return q.failed
}

// prepare maps what was read.
func (q *Queue) prepare() {
	defer close(q.mapped)
	for x := range q.read {
		if x.cursor == nil {
			x.taken = q.feed.prepare(x.records, x.bad)
			x.records, x.bad = nil, nil
		}
		q.mapped <- x
	}
}

// store makes durable what was mapped, as much at once as there is.
func (q *Queue) store() {
	for x := range q.mapped {
		all, last := &taken{}, (*cursor)(nil)
		taken := 0
		for x != nil {
			taken++
			if x.cursor != nil {
				last = x.cursor
			} else {
				all.add(x.taken)
			}
			x = nil
			if taken < storedAtOnce {
				select {
				case x = <-q.mapped: // nil once it is closed
				default:
				}
			}
		}
		if q.failed == nil {
			if q.failed = q.keep(all, last); q.failed != nil {
				q.fail(q.failed)
			}
		}
		q.count(-taken)
	}
}

func (q *Queue) keep(all *taken, last *cursor) error {
	if all.count.Records+all.count.Bad > 0 {
		if err := q.retry(func(ctx context.Context) error { return q.feed.keep(ctx, all) }); err != nil {
			return err
		}
	}
	if last == nil {
		return nil
	}
	return q.retry(func(ctx context.Context) error { return q.feed.Save(ctx, last.name, last.data) })
}

// The waits between attempts to store what could not be stored.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 30 * time.Second
)

// retry calls do until its error is of a kind that does not pass, or the input
// is to end. What is at work is not broken off: it is short, and a stop would
// only have it done again.
func (q *Queue) retry(do func(context.Context) error) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = firstWait, longestWait
	_, err := backoff.Retry(q.ctx, func() (struct{}, error) {
		err := do(context.WithoutCancel(q.ctx))
		if k := penumbra.KindOf(err); err != nil && !k.Retry() && k != penumbra.Full {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0))
	return err
}
