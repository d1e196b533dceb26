//go:build unix

package postgres

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
)

var update = flag.Bool("update", false, "write the catalogue, the recorded log and the golden files from a real server")

var testKey = penumbra.Key("a key for tests")

// cluster is a real PostgreSQL server with pgaudit and a jsonlog.
type cluster struct{ *pgtest.Server }

func TestMain(m *testing.M) {
	flag.Parse()
	code := pgtest.Main(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// realServer returns the server that all tests share.
func realServer(tb testing.TB) *cluster {
	tb.Helper()
	return &cluster{pgtest.Shared(tb, pgtest.Options{Extension: "pgaudit", Settings: `
shared_preload_libraries = 'pgaudit'
pgaudit.log = 'ddl, role, misc_set'
log_destination = 'jsonlog'
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql.log'
log_file_mode = 0644
log_statement = ddl
log_connections = on
log_disconnections = on
log_min_duration_statement = 250
`})}
}

func (c *cluster) log() string { return filepath.Join(c.Data(), "log", "postgresql.json") }

func (c *cluster) connection(user string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", c.Folder, pgtest.Port, user)
}

// connect returns a connection that ends with the test.
func (c *cluster) connect(tb testing.TB, user string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), c.connection(user))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// exec runs statements one by one that have to work.
func exec1(tb testing.TB, conn *pgx.Conn, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(context.Background(), s, pgx.QueryExecModeSimpleProtocol); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// eventually waits until ok holds, which only another process can bring about.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-limit:
			tb.Fatal("never: " + what)
		}
	}
}

// appendConf appends lines to postgresql.conf until the test ends.
func (c *cluster) appendConf(tb testing.TB, lines string) {
	tb.Helper()
	path := filepath.Join(c.Data(), "postgresql.conf")
	before, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, append(before, lines...), 0o600); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.WriteFile(path, before, 0o600); err != nil {
			tb.Error(err)
		}
	})
}

// reload asks for a reload and waits until new sessions have it.
func reloadFiles(tb testing.TB, conn *pgx.Conn) {
	tb.Helper()
	var before time.Time
	if err := conn.QueryRow(context.Background(), "select pg_conf_load_time() from pg_reload_conf()").Scan(&before); err != nil {
		tb.Fatal(err)
	}
	eventually(tb, "a reload", func() bool {
		var now time.Time
		if err := conn.QueryRow(context.Background(), "select pg_conf_load_time()").Scan(&now); err != nil {
			tb.Fatal(err)
		}
		return !now.Equal(before)
	})
}
