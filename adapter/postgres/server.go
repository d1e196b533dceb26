package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penumbra-iac/penumbra"
)

// Source is the source of the observations, and Type the type of the resource.
const (
	Source = "postgres"
	Type   = "postgresql"
)

// Config says which server is read, and how.
type Config struct {
	Stack string // of the resource's address
	Local string // the address within the stack: "db1/postgresql"
	// Connection is a URL, a libpq connection string or "service=name". What it
	// leaves out comes from the usual places: PGHOST and the like, the service
	// file, ~/.pgpass. It must not hold a password.
	Connection string
	Key        penumbra.Key // seals what is sensitive
	// Timeout bounds a read, by the server's statement_timeout too; 5 s if zero.
	Timeout time.Duration
	Now     func() time.Time // time.Now if nil
}

// Server is one PostgreSQL server. It keeps a single connection open between
// reads and opens it again when it was lost. Its methods may be called at the
// same time; they take turns.
type Server struct {
	config  Config
	connect *pgx.ConnConfig

	mu   sync.Mutex
	conn *pgx.Conn
	born time.Time // when the server had last loaded its files as conn was opened
	// unloaded holds what the files have and the server has not loaded, by path,
	// and since when.
	unloaded map[string]unloaded
}

type unloaded struct {
	value penumbra.Value
	since time.Time
}

// reloadGrace is how long a changed file may wait for its reload before a
// snapshot says so. Whoever changes it reloads at once as a rule, and a read in
// between has nothing to report.
const reloadGrace = 30 * time.Second

// New returns the server without connecting to it. The error is Invalid.
func New(config Config) (*Server, error) {
	invalid := func(what, remedy string, err error) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "PostgreSQL server " + config.Stack + "/" + config.Local + ": " + what, Remedy: remedy, Err: err}
	}
	if !penumbra.ValidStackName(config.Stack) || config.Local == "" {
		return nil, invalid("its address needs a stack and a name within it", `such as stack "prod" and local "db1/postgresql"`, nil)
	}
	if len(config.Key) == 0 {
		return nil, invalid("no key to seal secrets with", "", nil)
	}
	if HasPassword(config.Connection) {
		return nil, invalid("the connection holds a password", "put it in ~/.pgpass, in a service file, or in PGPASSWORD", nil)
	}
	connect, err := pgx.ParseConfig(config.Connection)
	if err != nil {
		return nil, invalid("connection", "write a URL, a libpq connection string or service=name", errors.New(penumbra.Redact(err.Error())))
	}
	if config.Timeout <= 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	connect.RuntimeParams["application_name"] = "penumbra"
	connect.RuntimeParams["statement_timeout"] = strconv.FormatInt(max(1, config.Timeout.Milliseconds()), 10)
	return &Server{config: config, connect: connect}, nil
}

var passwordWord = regexp.MustCompile(`(?i)(^|[\s?&])(ssl)?password\s*=`)

// HasPassword reports whether a connection string has a password in it, where
// the command line, the environment of others or a page could show it.
func HasPassword(connection string) bool {
	if u, err := url.Parse(connection); err == nil && u.User != nil {
		if _, set := u.User.Password(); set {
			return true
		}
	}
	return passwordWord.MatchString(connection)
}

// Close closes the connection. The server can be read again afterwards.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	return nil
}

// drop closes the connection, if there is one.
func (s *Server) drop() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // nothing is lost with it: it only ever reads
	s.conn = nil
}

// Read returns a snapshot of the server: all of its settings, so that one that
// is absent is not there.
//
//	work_mem                    as the server shows it: "4MB"
//	server_version              "15.4"
//	pending_restart.<name>      what the files hold and a restart will bring
//	pending_reload.<name>       what the files have held for 30 s and a reload will bring
//	role.<role>.<name>          set for a role; role.ALL for all of them
//	database.<database>.<name>  set for a database
//	role.<role>@<database>.<name>
//	file_error.<name>           what the server does not take of its files
//
// The values are the server's own: what the reader's role, database or session
// has set differently for itself is looked through. Left out is what the reader
// or the machine decides rather than anybody's configuration, see [leftOut].
//
// The error is Unavailable while the server cannot be reached, is starting, is
// full or too slow; Refused, with the statements that grant it, where the role
// may not read; Invalid where the connection names what does not exist.
func (s *Server) Read(ctx context.Context) ([]penumbra.Observation, error) {
	var rows rows
	if err := s.read(ctx, rows.batch, &rows.loaded); err != nil {
		return nil, err
	}
	now := s.config.Now().UTC()
	settings := s.overdue(rows.settings(), now)
	s.config.Key.SealSettings(settings)
	return []penumbra.Observation{{
		Kind: penumbra.SnapshotKind, Time: now, Seen: now,
		Resource: penumbra.NewAddress(s.config.Stack, s.config.Local), Type: Type, Source: Source,
		Settings: settings, Full: true,
	}}, nil
}

// overdue leaves out what waits for a reload since less than reloadGrace.
func (s *Server) overdue(settings penumbra.Settings, now time.Time) penumbra.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[string]unloaded)
	settings = slices.DeleteFunc(settings, func(x penumbra.Setting) bool {
		if !strings.HasPrefix(x.Path, pendingReload) {
			return false
		}
		w, ok := s.unloaded[x.Path]
		if !ok || w.value != x.Value {
			w = unloaded{x.Value, now}
		}
		seen[x.Path] = w
		return now.Sub(w.since) < reloadGrace
	})
	s.unloaded = seen
	return settings
}

// Describe returns what the server knows of each of its settings, by name. Its
// errors are those of [Server.Read].
func (s *Server) Describe(ctx context.Context) (map[string]Description, error) {
	var rows rows
	if err := s.read(ctx, rows.batch, &rows.loaded); err != nil {
		return nil, err
	}
	out := make(map[string]Description, len(rows.server))
	for _, r := range rows.server {
		out[r.Name] = r.Description
	}
	return out, nil
}

// read runs the batch that queue makes in one read-only transaction, on a
// connection that is no older than the server's configuration. Some settings
// are fixed in a session when it begins, so that an older session would go on
// showing what they were. loaded points to what the batch reads of the time at
// which the server's files were last loaded.
func (s *Server) read(ctx context.Context, queue func(*pgx.Batch), loaded *time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	kept := s.conn != nil
	for {
		if err := s.open(ctx); err != nil {
			return s.failure(err)
		}
		err := pgx.BeginTxFunc(ctx, s.conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			var b pgx.Batch
			queue(&b)
			return tx.SendBatch(ctx, &b).Close()
		})
		lost := s.conn.IsClosed()
		if err == nil && loaded.Equal(s.born) {
			return nil
		}
		if err == nil || lost || ctx.Err() != nil {
			s.drop()
		}
		if err != nil && (!kept || !lost || ctx.Err() != nil) {
			return s.failure(err)
		}
		// A kept connection that the server ended in the meantime is opened
		// anew, once; one that is older than the configuration until it is not.
		kept = false
	}
}

func (s *Server) open(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	// A session that was closed counts until the server's process has ended,
	// which the role's connection limit would not wait for.
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 10 * time.Millisecond
	conn, err := backoff.Retry(ctx, func() (*pgx.Conn, error) {
		conn, err := pgx.ConnectConfig(ctx, s.connect)
		var pg *pgconn.PgError
		if err != nil && !(errors.As(err, &pg) && pg.Code == "53300") { // too_many_connections
			err = backoff.Permanent(err)
		}
		return conn, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(time.Second))
	if err != nil {
		return err
	}
	s.conn = conn
	if err := conn.QueryRow(ctx, "select pg_conf_load_time()").Scan(&s.born); err != nil {
		s.drop()
		return err
	}
	return nil
}

// rows are what the server has answered.
type rows struct {
	loaded time.Time
	server []serverRow
	files  []fileRow
	roles  []roleRow
}

// serverRow is one row of pg_settings.
type serverRow struct {
	Description
	setting, boot  string
	source         string
	pendingRestart bool
}

// fileRow is one entry of the server's configuration files, in their order.
type fileRow struct {
	file, name, setting, problem string
}

// roleRow is what is set for a role, in a database; "" for all.
type roleRow struct {
	role, database string
	config         []string // "name=value"
}

// errRights is what the role lacks without the server's saying so: it would
// simply leave out some settings.
var errRights = errors.New("the role is not a member of pg_read_all_settings")

// batch queues the queries and what takes their answers.
func (r *rows) batch(b *pgx.Batch) {
	*r = rows{}
	b.Queue(`select pg_conf_load_time(), pg_has_role('pg_read_all_settings', 'usage')`).QueryRow(func(row pgx.Row) error {
		var may bool
		if err := row.Scan(&r.loaded, &may); err != nil {
			return err
		}
		if !may {
			return errRights
		}
		return nil
	})
	b.Queue(`select name, category, context, vartype, coalesce(unit, ''), coalesce(min_val, ''), coalesce(max_val, ''),
		coalesce(enumvals, '{}'), coalesce(setting, ''), coalesce(boot_val, ''), source, pending_restart
		from pg_catalog.pg_settings`).Query(func(found pgx.Rows) error {
		for found.Next() {
			var x serverRow
			if err := found.Scan(&x.Name, &x.Category, &x.Context, &x.VarType, &x.Unit, &x.Min, &x.Max,
				&x.EnumVals, &x.setting, &x.boot, &x.source, &x.pendingRestart); err != nil {
				return err
			}
			x.Default = x.Canonical(x.boot)
			r.server = append(r.server, x)
		}
		return found.Err()
	})
	b.Queue(`select coalesce(sourcefile, ''), coalesce(name, ''), coalesce(setting, ''), coalesce(error, '')
		from pg_catalog.pg_file_settings order by seqno`).Query(func(found pgx.Rows) error {
		for found.Next() {
			var x fileRow
			if err := found.Scan(&x.file, &x.name, &x.setting, &x.problem); err != nil {
				return err
			}
			r.files = append(r.files, x)
		}
		return found.Err()
	})
	b.Queue(`select coalesce(r.rolname, ''), coalesce(d.datname, ''), s.setconfig from pg_catalog.pg_db_role_setting s
		left join pg_catalog.pg_roles r on r.oid = s.setrole left join pg_catalog.pg_database d on d.oid = s.setdatabase
		where s.setconfig is not null`).Query(func(found pgx.Rows) error {
		for found.Next() {
			var x roleRow
			if err := found.Scan(&x.role, &x.database, &x.config); err != nil {
				return err
			}
			r.roles = append(r.roles, x)
		}
		return found.Err()
	})
}

// where names the server in errors, without anything secret.
func (s *Server) where() string {
	return fmt.Sprintf("read PostgreSQL server %s/%s at %s, port %d", s.config.Stack, s.config.Local, strings.TrimSpace(s.connect.Host), s.connect.Port)
}
