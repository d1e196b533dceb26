//go:build unix

// Package pgtest answers one question: does it work on a real PostgreSQL? It starts the
// machine's own server for tests, in a temporary folder and on a Unix socket alone, as
// another user where the tests run as root. Without a server tests are skipped, and
// fail where REQUIRE_TOOLS=1.
//
// A server ends with the process that started it, however that ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Port is that of the socket's name: no port is opened.
const Port = 54329

// Guarded is a role that has to give its password, unlike all others. It is not made.
const Guarded = "guarded"

// ErrNone says that the machine has no server that will do.
var ErrNone = errors.New("no PostgreSQL 15 or later in /usr/lib/postgresql")

// Options say which server is started.
type Options struct {
	// Settings are lines of postgresql.conf.
	Settings string
	// Extension has to be there, if it is not empty: "pgaudit".
	Extension string
	// Durable has what is committed synced, as a server has it whose data counts.
	Durable bool
}

// Server is a real PostgreSQL server.
type Server struct {
	// Folder is the server's, and its socket's.
	Folder string

	bin        string
	credential *syscall.Credential
	watch      io.Closer // closed when this process ends
	watching   *exec.Cmd
}

// Start makes a server and starts it. The error is [ErrNone] where there is none.
func Start(o Options) (*Server, error) {
	s := &Server{}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	for _, path := range found {
		bin := filepath.Dir(path)
		major, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if o.Extension != "" {
			if _, err := os.Stat(filepath.Join(bin, "../lib", o.Extension+".so")); err != nil {
				continue
			}
		}
		if major >= 15 {
			s.bin = bin
		}
	}
	if s.bin == "" {
		return nil, fmt.Errorf("%w, with %q", ErrNone, o.Extension)
	}
	if os.Geteuid() == 0 { // initdb and postgres refuse root
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNone, err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	var err error
	if s.Folder, err = os.MkdirTemp("", "penumbra-pg-"); err != nil {
		return nil, err
	}
	if err := s.make(o); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

func (s *Server) make(o Options) error {
	if s.credential != nil {
		if err := os.Chown(s.Folder, int(s.credential.Uid), int(s.credential.Gid)); err != nil {
			return err
		}
	}
	if _, err := s.Run("initdb", "-D", s.Data(), "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8"); err != nil {
		return err
	}
	hba, err := os.ReadFile(filepath.Join(s.Data(), "pg_hba.conf"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Data(), "pg_hba.conf"), append([]byte("local all "+Guarded+" scram-sha-256\n"), hba...), 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.Data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(f, "\nlisten_addresses = ''\nunix_socket_directories = '%s'\nport = %d\nlc_messages = 'C'\nlog_timezone = 'UTC'\n", s.Folder, Port)
	if !o.Durable {
		fmt.Fprint(f, "fsync = off\nshared_buffers = 16MB\n")
	}
	fmt.Fprint(f, o.Settings)
	if err := f.Close(); err != nil {
		return err
	}
	if err := s.Again(); err != nil {
		return err
	}
	// Whoever kills the tests leaves no server behind: their end closes the pipe.
	s.watching = exec.Command("/bin/sh", "-c", `read -r _; "$0"/pg_ctl -D "$1"/data -m immediate stop; rm -rf "$1"`, s.bin, s.Folder)
	s.watching.Dir = "/"
	s.watching.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential, Setpgid: true}
	if s.watch, err = s.watching.StdinPipe(); err != nil {
		return err
	}
	return s.watching.Start()
}

// Major is the server's major version: "15".
func (s *Server) Major() string { return filepath.Base(filepath.Dir(s.bin)) }

// Data is the server's data directory.
func (s *Server) Data() string { return filepath.Join(s.Folder, "data") }

// Again starts the server after [Server.Stop].
func (s *Server) Again() error {
	_, err := s.Run("pg_ctl", "-D", s.Data(), "-w", "-l", filepath.Join(s.Folder, "start"), "start")
	return err
}

// Stop stops the server at once, as a crash would. It is no error if it is stopped.
func (s *Server) Stop() error {
	if _, err := os.Stat(filepath.Join(s.Data(), "postmaster.pid")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := s.Run("pg_ctl", "-D", s.Data(), "-w", "-m", "immediate", "stop")
	return err
}

// Remove stops the server and removes it.
func (s *Server) Remove() {
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if s.watch != nil {
		_ = s.watch.Close()
		_ = s.watching.Wait() // it finds nothing to stop
	}
	_ = os.RemoveAll(s.Folder)
}

// Run runs one of the server's programs as its user.
func (s *Server) Run(name string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.Folder
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + s.Folder, "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	if name == "pg_ctl" {
		// The server keeps what it inherits: a pipe would never end.
		out, err := os.Create(filepath.Join(s.Folder, "pg_ctl"))
		if err != nil {
			return "", err
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			text, _ := os.ReadFile(out.Name())
			log, _ := os.ReadFile(filepath.Join(s.Folder, "start"))
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

// SQL runs statements one by one as a role, each even if the one before failed; the
// error is the last one's.
func (s *Server) SQL(role string, statements ...string) error {
	args := []string{"-X", "-q", "-h", s.Folder, "-p", strconv.Itoa(Port), "-U", role, "-d", "postgres"}
	for _, x := range statements {
		args = append(args, "-c", x)
	}
	_, err := s.Run("psql", args...)
	return err
}

// Connection is how a role connects to a database, without a password.
func (s *Server) Connection(role, database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d", role, database, s.Folder, Port)
}

var made atomic.Int64

// New makes an empty database that lasts as long as the server, and returns its name.
func (s *Server) New() (string, error) {
	name := fmt.Sprintf("test_%d", made.Add(1))
	return name, s.exec("CREATE DATABASE " + name + " TEMPLATE template0")
}

// Create is [Server.New] for a test.
func (s *Server) Create(tb testing.TB) string {
	tb.Helper()
	name, err := s.New()
	if err != nil {
		tb.Fatal(err)
	}
	return name
}

// Database makes an empty database that is gone with the test, and returns its name.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := s.Create(tb)
	tb.Cleanup(func() {
		if err := s.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return name
}

func (s *Server) exec(statement string) error {
	conn, err := pgx.Connect(context.Background(), s.Connection("postgres", "postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(context.Background(), statement)
	return errors.Join(err, conn.Close(context.Background()))
}

// shared is the server that all tests of a package share.
var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Shared returns the server that all tests of a package share, and starts it for the
// first. The package's TestMain ends with [Main].
func Shared(tb testing.TB, o Options) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = Start(o)
	}
	there(tb, shared.err)
	return shared.server
}

// Own returns a server of a test's own, which is gone with it.
func Own(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := Start(o)
	there(tb, err)
	tb.Cleanup(s.Remove)
	return s
}

// there ends a test that has no server.
func there(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case !errors.Is(err, ErrNone) || os.Getenv("REQUIRE_TOOLS") == "1":
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
}

// Main runs a package's tests and removes the server that they shared.
func Main(m *testing.M) int {
	defer End()
	return m.Run()
}

// End removes the server that tests share, if one was started.
func End() {
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.Remove()
		shared.server, shared.err = nil, errors.New("the server that tests share was removed")
	}
}
