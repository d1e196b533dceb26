// Package postgres keeps everything Penumbra knows in a PostgreSQL database: the store
// for timelines that outgrow one file, and for more than one machine.
//
// # Guarantees
//
// They are those of the embedded store, see [contract]. What a method acknowledged
// survives a crash of the process and, as far as the server's settings say so, of the
// server: a role whose synchronous_commit is off is overruled. A transaction that
// fails leaves nothing behind. No method relies on what the process has seen before:
// processes that share a database take turns through the database's own locks, and
// number observations, entries of the audit log and records kept aside without one
// overtaking another.
//
// # Layout
//
// As in the embedded store an observation is a row of when and of which resource, and
// a content, and everything else is a document beside the columns that it is found by;
// the bytes are the same. Observations lie in a partition for each month, so that what
// has become old goes by dropping a table, see [Store.DropBefore].
package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/contract"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database. Its methods may be called at the same time.
type Store struct {
	pool  *pgxpool.Pool
	where string // for errors: no secret is in it
	term  Term   // that it is open for, if its number is not 0

	// put puts a job in with what it follows from; nil if nobody keeps jobs.
	put func(ctx context.Context, tx pgx.Tx, job penumbra.Job) error
}

var _ contract.Store = (*Store)(nil)

// IsURL reports whether a text is the URL of a PostgreSQL database, and no file's name.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// Config says which database is opened, and how.
type Config struct {
	// Connection is a URL, postgres://user@host/database, or a libpq connection string.
	// What it leaves out comes from the usual places: PGHOST and the like, the service
	// file, ~/.pgpass.
	Connection string
	// Password is used if it is not empty.
	Password string
	// ReadOnly opens a database that is there already and never writes: it is not
	// migrated either, so that one of another schema is refused. Every write fails with
	// an error of kind Refused.
	ReadOnly bool
	// Unmigrated opens a database that is there already and leaves its schema as it is, so
	// that one of another schema is refused: for who works beside a daemon.
	Unmigrated bool
	// Carrying opens a database that another store is being carried over into, which is
	// refused otherwise.
	Carrying bool
	// Node, if it is not empty, names the node whose connections these are, for who looks
	// at the server.
	Node string
	// Term, if its number is not 0, is the one that the store is opened for: once it is
	// over, connections end and every method fails.
	Term Term
	// Wait is how long a statement waits for another process's lock before it fails with
	// an error of kind Locked; 10 s if zero.
	Wait time.Duration
}

// connections is how many a pool has at least room for, whatever the machine: jobs,
// requests and the loop each take one for as long as a statement takes.
const connections = 10

// oldest is the first version of PostgreSQL that is tried with every change.
const oldest = 150000

// Open connects to the database and brings its schema up to date. It returns an error
// of kind Invalid if the connection is not one, of kind Unavailable if the server
// cannot be reached, and of kind Refused if it lets nobody in, if a newer Penumbra
// made the schema, or if the server is too old.
func Open(ctx context.Context, c Config) (*Store, error) {
	config, err := pgxpool.ParseConfig(c.Connection)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read the store's connection", Remedy: "write a URL such as postgres://penumbra@db.example/penumbra", Err: errors.New(penumbra.Redact(err.Error()))}
	}
	conn := config.ConnConfig
	if c.Password != "" {
		conn.Password = c.Password
	}
	if c.Wait <= 0 {
		c.Wait = 10 * time.Second
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 5 * time.Second
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}
	conn.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		d := *dialer
		if network != "unix" {
			d.Control = giveUp
		}
		return d.DialContext(ctx, network, address)
	}
	set := map[string]string{
		"application_name": "penumbra",
		"lock_timeout":     strconv.FormatInt(c.Wait.Milliseconds(), 10),
		// A process that hangs with a transaction open must not hold the others up.
		"idle_in_transaction_session_timeout": "60000",
		// A machine that is gone without a word gives up what it holds within half a minute.
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "tcp_user_timeout": "25000",
		// Statements are many and short: compiling them takes longer than they do.
		"jit": "off",
	}
	switch {
	case c.Term.Number > 0:
		conn.RuntimeParams["application_name"] = c.Term.name() // whatever the URL says
	case c.Node != "":
		conn.RuntimeParams["application_name"] = "penumbra node " + c.Node
	}
	if c.ReadOnly {
		set["default_transaction_read_only"] = "on"
	}
	for name, value := range set {
		if conn.RuntimeParams[name] == "" {
			conn.RuntimeParams[name] = value
		}
	}
	config.MaxConns = max(config.MaxConns, connections)
	s := &Store{term: c.Term}
	config.AfterConnect = s.connected
	s.where = fmt.Sprintf("PostgreSQL database %s at %s", conn.Database, net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port))))
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, s.fault("open", err)
	}
	if err := s.prepare(ctx, c); err != nil {
		_ = s.Close()
		return nil, s.fault("open", err)
	}
	return s, nil
}

// connected is called with each new connection.
func (s *Store) connected(ctx context.Context, conn *pgx.Conn) error {
	if s.term.Number > 0 {
		if err := fence(ctx, conn, s.term); err != nil {
			return err
		}
	}
	return durable(ctx, conn)
}

// durable overrules a role or a database that would have what was acknowledged be lost
// in a crash. Stronger settings, such as remote_apply, stay.
func durable(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')`)
	return err
}

// prepare sees that the database can be worked on, and makes its schema.
func (s *Store) prepare(ctx context.Context, c Config) error {
	var version int
	var encoding string
	if err := s.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding')`).Scan(&version, &encoding); err != nil {
		return err
	}
	if version < oldest {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("open %s: the server's version is %d", s.where, version/10000), Remedy: "use PostgreSQL 15 or later"}
	}
	if encoding != "UTF8" {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("open %s: its encoding is %s", s.where, encoding), Remedy: "make the database with ENCODING 'UTF8'"}
	}
	if err := s.migrate(ctx, c.ReadOnly || c.Unmigrated); err != nil {
		return err
	}
	if c.Carrying {
		return nil
	}
	var unfinished bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM carried WHERE name = '' AND NOT finished)`).Scan(&unfinished); err != nil {
		return err
	}
	if unfinished {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("open %s: another store is being carried over into it", s.where), Remedy: "run `penumbra migrate` until it says that all is there"}
	}
	return nil
}

// migrate brings the schema up to date, or refuses one that is not. Processes that do so at
// the same time take turns.
func (s *Store) migrate(ctx context.Context, unmigrated bool) error {
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	turns, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, folder, goose.WithSessionLocker(turns))
	if err != nil {
		return err
	}
	sources := p.ListSources()
	target := sources[len(sources)-1].Version
	current, err := s.version(ctx)
	if err != nil {
		return err
	}
	if current < target && !unmigrated {
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		current = target
	}
	switch {
	case current > target:
		return &penumbra.Error{
			Kind:   penumbra.Refused,
			What:   fmt.Sprintf("open %s: its schema has version %d, and this program knows up to %d", s.where, current, target),
			Remedy: "run the newer version of Penumbra that made it",
		}
	case current == 0:
		return &penumbra.Error{Kind: penumbra.NotFound, What: "open " + s.where + ": there is no store", Remedy: "name a database that Penumbra has worked on"}
	case current < target:
		return &penumbra.Error{
			Kind:   penumbra.Refused,
			What:   fmt.Sprintf("open %s: its schema has version %d, and this program's is %d", s.where, current, target),
			Remedy: "start the newer Penumbra of the two once, which brings it up to date",
		}
	}
	return nil
}

// version returns the schema's version, 0 of an empty database.
func (s *Store) version(ctx context.Context) (v int64, err error) {
	var there bool
	if err := s.pool.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = s.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&v)
	return v, err
}

// Where names the database, for people: no secret is in it.
func (s *Store) Where() string { return s.where }

// Pool is the store's connections, for who keeps tables of their own in the same
// database.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// WithJobs has a job put in, in the transaction that stores what it follows from: a
// planned run, or a proposal that is scheduled. It is called before the store is used.
func (s *Store) WithJobs(put func(ctx context.Context, tx pgx.Tx, job penumbra.Job) error) {
	s.put = put
}

// follow puts in the job that follows from what the transaction stores.
func (s *Store) follow(ctx context.Context, tx pgx.Tx, p penumbra.Proposal, run *penumbra.Run) error {
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

// Close closes all connections, once nobody uses them.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// attempts is how often a transaction is tried that gives way to others.
const attempts = 5

// write runs do in a transaction, which is rolled back if do fails. It runs do again
// if the database has rolled it back for the sake of another transaction.
func (s *Store) write(ctx context.Context, what string, do func(tx pgx.Tx) error) error {
	return s.transact(ctx, what, "BEGIN ISOLATION LEVEL READ COMMITTED", do)
}

// writeLarge is write of something that may be on its way to the server for longer than a
// process may hang with a transaction open: while it is, the server takes it to hang.
func (s *Store) writeLarge(ctx context.Context, what string, do func(tx pgx.Tx) error) error {
	return s.transact(ctx, what, "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10min'", do)
}

// transact is write of a transaction that begins with statements of its own.
func (s *Store) transact(ctx context.Context, what, begin string, do func(tx pgx.Tx) error) error {
	attempt := func() (struct{}, error) {
		err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: begin}, do)
		if err != nil && !again(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, attempt, backoff.WithMaxTries(attempts), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 5 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second}))
	if err != nil {
		return s.fault(what, err)
	}
	return nil
}

// advisory tells Penumbra's locks from those of others in the same database: "Penu".
const advisory = 0x50656e75

// hold keeps every other transaction that holds the same name waiting until this one
// ends: for what no row stands for yet, or more than one.
func hold(ctx context.Context, tx pgx.Tx, name string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1::int, hashtext($2))`, advisory, text(name))
	return err
}

// Alone is the right to work on a database alone, for as long as its connection lasts.
type Alone struct {
	conn  *pgx.Conn
	store *Store
}

// Alone makes this process the only one that works on the database. It returns an
// error of kind Locked if another does.
func (s *Store) Alone(ctx context.Context) (*Alone, error) {
	a := &Alone{store: s}
	if err := a.take(ctx); err != nil {
		return nil, s.fault("lock", err)
	}
	return a, nil
}

func (a *Alone) take(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, a.store.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	if err := a.store.connected(ctx, conn); err != nil {
		return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	var got bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1::int, hashtext('alone'))`, advisory).Scan(&got)
	if err == nil && !got {
		err = &penumbra.Error{Kind: penumbra.Locked, What: "another penumbra works on " + a.store.where, Remedy: "wait until it has ended, or ask the `penumbra serve` that works on it"}
	}
	if err != nil {
		return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	a.conn = conn
	return nil
}

// Keep sees that the right lasts until ctx ends, and takes it anew when the connection
// was lost. It returns an error of kind Locked once another process has it: this one
// must stop then.
func (a *Alone) Keep(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if a.held(ctx) {
			continue
		}
		a.drop(ctx)
		if err := a.take(ctx); penumbra.KindOf(err) == penumbra.Locked {
			return err
		}
	}
}

// lookEvery is how often it is looked whether the connection lasts, and for how long.
const lookEvery = 2 * time.Second

func (a *Alone) held(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	return a.conn != nil && a.conn.Ping(ctx) == nil
}

// Release gives the right up. It is not called beside [Alone.Keep].
func (a *Alone) Release(ctx context.Context) { a.drop(ctx) }

// drop closes the connection, and with it what it holds.
func (a *Alone) drop(ctx context.Context) {
	if a.conn == nil {
		return
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = a.conn.Close(closing) // the server ends it too
	a.conn = nil
}

// null is a text that may be NULL.
func null(s string, valid bool) sql.NullString { return sql.NullString{String: text(s), Valid: valid} }
