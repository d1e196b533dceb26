//go:build unix

package postgres

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
)

var update = flag.Bool("update", false, "write the catalogue, the recorded log and the golden files from a real server")

var testKey = penumbra.Key("a key for tests")

// cluster is a real PostgreSQL server with pgaudit and a jsonlog, in a temporary
// folder and on a Unix socket alone. initdb and postgres refuse root, so that
// they run as the user postgres there.
type cluster struct {
	bin, folder string
	credential  *syscall.Credential
}

const clusterPort = 54329 // of the socket's name: no port is opened

var theCluster = sync.OnceValues(startCluster)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if started {
		c, err := theCluster()
		if err == nil {
			c.stop()
		}
		os.RemoveAll(c.folder)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var started bool

// realServer returns the server that all tests share. Without PostgreSQL 15 or
// pgaudit the test is skipped, or fails where REQUIRE_TOOLS=1.
func realServer(tb testing.TB) *cluster {
	tb.Helper()
	started = true
	c, err := theCluster()
	switch {
	case err == nil:
		return c
	case !errors.Is(err, errNoTool) || os.Getenv("REQUIRE_TOOLS") == "1":
		tb.Fatal(err)
	}
	tb.Skip(err)
	return nil
}

var errNoTool = errors.New("no PostgreSQL 15 or later with pgaudit in /usr/lib/postgresql")

func startCluster() (*cluster, error) {
	c := &cluster{}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	for _, path := range found {
		bin := filepath.Dir(path)
		major, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if _, err := os.Stat(filepath.Join(bin, "../lib/pgaudit.so")); err == nil && major >= 15 {
			c.bin = bin
		}
	}
	if c.bin == "" {
		return c, errNoTool
	}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return c, fmt.Errorf("%w: %w", errNoTool, err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		c.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	var err error
	if c.folder, err = os.MkdirTemp("", "penumbra-pg-"); err != nil {
		return c, err
	}
	if c.credential != nil {
		if err := os.Chown(c.folder, int(c.credential.Uid), int(c.credential.Gid)); err != nil {
			return c, err
		}
	}
	if _, err := c.run("initdb", "-D", c.data(), "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8"); err != nil {
		return c, err
	}
	return c, c.configureAndStart()
}

func (c *cluster) configureAndStart() error {
	f, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(f, `
listen_addresses = ''
unix_socket_directories = '%s'
port = %d
shared_buffers = 16MB
fsync = off
shared_preload_libraries = 'pgaudit'
pgaudit.log = 'ddl, role, misc_set'
log_destination = 'jsonlog'
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql.log'
log_file_mode = 0644
log_timezone = 'UTC'
lc_messages = 'C'
log_statement = ddl
log_connections = on
log_disconnections = on
log_min_duration_statement = 250
`, c.folder, clusterPort)
	if err := f.Close(); err != nil {
		return err
	}
	return c.start()
}

func (c *cluster) data() string { return filepath.Join(c.folder, "data") }
func (c *cluster) log() string  { return filepath.Join(c.data(), "log", "postgresql.json") }

func (c *cluster) start() error {
	_, err := c.run("pg_ctl", "-D", c.data(), "-w", "-l", filepath.Join(c.folder, "start"), "start")
	return err
}

func (c *cluster) stop() {
	if _, err := os.Stat(filepath.Join(c.data(), "postmaster.pid")); errors.Is(err, fs.ErrNotExist) {
		return
	}
	if _, err := c.run("pg_ctl", "-D", c.data(), "-w", "-m", "immediate", "stop"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// run runs one of the server's programs as its user.
func (c *cluster) run(name string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.folder
	cmd.Env = []string{"PATH=" + c.bin + ":/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + c.folder, "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential}
	if name == "pg_ctl" {
		// The server keeps what it inherits: a pipe would never end.
		out, err := os.Create(filepath.Join(c.folder, "pg_ctl"))
		if err != nil {
			return "", err
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			text, _ := os.ReadFile(out.Name())
			log, _ := os.ReadFile(filepath.Join(c.folder, "start"))
			return "", fmt.Errorf("%s: %w: %s%s", name, err, text, log)
		}
		return "", nil
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return string(out), err
}

// psql runs statements one by one as a user, each even if the one before failed;
// the error is the last one's.
func (c *cluster) psql(name string, statements ...string) error {
	args := []string{"-X", "-q", "-h", c.folder, "-p", strconv.Itoa(clusterPort), "-U", name, "-d", "postgres"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	_, err := c.run("psql", args...)
	return err
}

func (c *cluster) connection(user string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", c.folder, clusterPort, user)
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
	path := filepath.Join(c.data(), "postgresql.conf")
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
