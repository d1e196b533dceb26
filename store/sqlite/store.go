// Package sqlite keeps everything Penumbra knows in one SQLite file: the
// embedded store, for one daemon and a few readers on one machine.
//
// # Guarantees
//
// What a method acknowledged survives a crash of the process and of the
// machine: the write-ahead log is synced before a transaction returns
// (synchronous=FULL). A transaction that fails leaves nothing behind. There is
// one writer at a time; readers, of other processes too, never wait for it.
// The file can be read and written by its owner only.
//
// # Layout
//
// An observation is a row of when and of which resource, and a content: what
// it says. Equal contents that follow each other are stored once, and so is
// each resource's address. Everything else is a CBOR document beside the
// columns that it is found by.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/pressly/goose/v3"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/contract"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database. Its methods may be called at the same time.
type Store struct {
	path   string
	writer *sql.DB // one connection
	reader *sql.DB

	// put puts a job in with what it follows from; nil if nobody keeps jobs.
	put func(ctx context.Context, tx *sql.Tx, job penumbra.Job) error

	// mu is held while a transaction appends observations or rollups: it guards known.
	mu    sync.Mutex
	known known
}

var _ contract.Store = (*Store)(nil)

// Option changes how a store is opened.
type Option func(*options)

type options struct {
	wait     time.Duration
	readOnly bool
}

// WithWait sets how long a write waits for another process that is writing,
// before it fails with an error of kind Locked. It is 10 seconds otherwise.
func WithWait(d time.Duration) Option { return func(o *options) { o.wait = d } }

// ReadOnly opens a database that is there already and never writes: it is not
// migrated either, so that one of another schema is refused. Every write fails
// with an error of kind Refused.
func ReadOnly() Option { return func(o *options) { o.readOnly = true } }

// Open opens the database at path, and makes it and its folder if they are not
// there. It returns an error of kind Damaged if the file is no database, of
// kind Refused if a newer Penumbra made it, of kind Locked if another process
// holds it for longer than the wait, and of kind NotFound if it is opened
// [ReadOnly] and not there.
func Open(path string, opts ...Option) (*Store, error) {
	o := options{wait: 10 * time.Second}
	for _, opt := range opts {
		opt(&o)
	}
	s := &Store{path: path}
	if o.readOnly {
		if err := s.look(o); err != nil {
			_ = s.Close()
			return nil, s.fault("open to read", err)
		}
		return s, nil
	}
	// While another process makes the same database, SQLite answers that it is
	// busy at once, whatever the wait: turning the log on does not queue.
	attempt := func() (*Store, error) {
		s, err := open(path, o)
		if err != nil && penumbra.KindOf(err) != penumbra.Locked {
			err = backoff.Permanent(err)
		}
		return s, err
	}
	return backoff.Retry(context.Background(), attempt, backoff.WithMaxElapsedTime(o.wait))
}

// open opens the database to write, once.
func open(path string, o options) (*Store, error) {
	s := &Store{path: path}
	if err := create(path); err != nil {
		return nil, s.fault("open", err)
	}
	var err error
	// The writer has 32 MiB of pages in memory: identities come in no order, so
	// that each row touches another page of their index.
	if s.writer, err = sql.Open("sqlite", dsn(path, o.wait, "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-32768)", "wal_autocheckpoint(4096)")); err != nil {
		return nil, s.fault("open", err)
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = sql.Open("sqlite", dsn(path, o.wait, "query_only(1)")); err != nil {
		return nil, errors.Join(s.fault("open", err), s.Close())
	}
	// Reads may nest, one inside the other's iteration: a bound would let them
	// wait for each other for ever.
	s.reader.SetMaxIdleConns(4)
	if err := s.migrate(context.Background()); err != nil {
		_ = s.Close()
		return nil, s.fault("open", err)
	}
	return s, nil
}

// look opens the database for reading alone. Writes go to the same
// connections, which refuse them.
func (s *Store) look(o options) error {
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "open " + s.path + " to read: there is no store",
			Remedy: "name the data folder of a Penumbra that has run"}
	} else if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(s.path, o.wait, "query_only(1)"))
	if err != nil {
		return err
	}
	s.reader, s.writer = db, db
	p, err := s.migrations()
	if err != nil {
		return err
	}
	current, err := s.version(context.Background())
	if err != nil {
		return err
	}
	if target := newest(p); current != target {
		return &penumbra.Error{
			Kind:   penumbra.Refused,
			What:   fmt.Sprintf("open %s to read: its schema has version %d, and this program's is %d", s.path, current, target),
			Remedy: "start the newer Penumbra of the two once, which brings it up to date",
		}
	}
	return nil
}

// create makes the folder and the file for their owner only, before SQLite
// would make them for everybody. Its log files take the file's mode.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func dsn(path string, wait time.Duration, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	q.Add("_pragma", "busy_timeout("+strconv.FormatInt(wait.Milliseconds(), 10)+")")
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Writer is the one connection that writes, for who keeps tables of their own in the
// same file and has to share it: two would wait for each other's locks.
func (s *Store) Writer() *sql.DB { return s.writer }

// WithJobs has a job put in, in the transaction that stores what it follows from: a
// planned run, or a proposal that is scheduled. It is called before the store is used.
func (s *Store) WithJobs(put func(ctx context.Context, tx *sql.Tx, job penumbra.Job) error) {
	s.put = put
}

// follow puts in the job that follows from what the transaction stores.
func (s *Store) follow(ctx context.Context, tx *sql.Tx, p penumbra.Proposal, run *penumbra.Run) error {
	switch {
	case s.put == nil:
		return nil
	case run != nil:
		return s.put(ctx, tx, penumbra.Job{Kind: penumbra.CarryOutRun, ID: run.ID})
	case p.State == penumbra.Scheduled:
		return s.put(ctx, tx, penumbra.Job{Kind: penumbra.StartScheduled, ID: p.ID, Due: p.Due})
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	var err error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if err != nil {
		return s.fault("close", err)
	}
	return nil
}

// migrate brings the schema up to date. Several processes may do so at once: one that
// fails on what another has made looks again, for as long as the schema gets on.
func (s *Store) migrate(ctx context.Context) error {
	p, err := s.migrations()
	if err != nil {
		return err
	}
	target := newest(p)
	current, err := s.version(ctx)
	for tries := 0; err == nil && current < target; {
		before := current
		_, upErr := p.Up(ctx)
		if current, err = s.version(ctx); err != nil || upErr == nil {
			break
		}
		if tries++; current > before {
			tries = 0
		}
		if tries > migrateTries {
			return upErr
		}
		select {
		case <-ctx.Done():
			return upErr
		case <-time.After(migratePause):
		}
	}
	if err != nil {
		return err
	}
	if current > target {
		return &penumbra.Error{
			Kind:   penumbra.Refused,
			What:   fmt.Sprintf("open %s: its schema has version %d, and this program knows up to %d", s.path, current, target),
			Remedy: "run the newer version of Penumbra that made it",
		}
	}
	return nil
}

// What is waited for another process that migrates: its next step takes less.
const (
	migrateTries = 20
	migratePause = 50 * time.Millisecond
)

func (s *Store) migrations() (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, s.writer, folder)
}

// newest returns the version that all migrations together lead to.
func newest(p *goose.Provider) int64 {
	sources := p.ListSources()
	return sources[len(sources)-1].Version
}

// version returns the schema's version, 0 of an empty database.
func (s *Store) version(ctx context.Context) (v int64, err error) {
	var tables int
	if err := s.writer.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'`).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	err = s.writer.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&v)
	return v, err
}

// write runs do in a transaction, which is rolled back if do fails.
func (s *Store) write(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.fault(what, err)
	}
	if err := do(tx); err != nil {
		// What a failed rollback leaves is rolled back when the connection
		// closes; the first error tells more.
		_ = tx.Rollback()
		return s.fault(what, err)
	}
	if err := tx.Commit(); err != nil {
		return s.fault(what, err)
	}
	return nil
}
