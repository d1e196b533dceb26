//go:build unix

package postgres

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penumbra-iac/penumbra"
)

var testTime = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// reader makes the role by its script and returns a server that reads with it.
func reader(tb testing.TB, c *cluster) *Server {
	tb.Helper()
	admin := c.connect(tb, "postgres")
	exec1(tb, admin, RoleSQL("penumbra_reader"))
	tb.Cleanup(func() {
		if err := c.SQL("postgres", "drop owned by penumbra_reader", "drop role penumbra_reader"); err != nil {
			tb.Error(err)
		}
	})
	s, err := New(Config{
		Stack: "lab", Local: "db1/postgresql", Connection: c.connection("penumbra_reader"), Key: testKey,
		Now: func() time.Time { return testTime },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func read(tb testing.TB, s *Server) penumbra.Settings {
	tb.Helper()
	return readAt(tb, s, testTime)
}

func readAt(tb testing.TB, s *Server, now time.Time) penumbra.Settings {
	tb.Helper()
	found, err := s.Read(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if len(found) != 1 || found[0].Check() != nil || !found[0].Full || found[0].Resource != "lab/db1/postgresql" ||
		found[0].Type != "postgresql" || found[0].Source != "postgres" || !found[0].Time.Equal(now) {
		tb.Fatalf("not one full snapshot of the server: %+v", found)
	}
	return found[0].Settings
}

func want(t *testing.T, s penumbra.Settings, path, value string) {
	t.Helper()
	if got := s.Get(path); got != penumbra.String(value) {
		t.Errorf("%s is %v, want %q", path, got, value)
	}
}

func absent(t *testing.T, s penumbra.Settings, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if x, found := s.Find(path); found {
			t.Errorf("%s is there: %v", path, x.Value)
		}
	}
}

func TestRead(t *testing.T) {
	c := realServer(t)
	s := reader(t, c)
	admin := c.connect(t, "postgres")

	first := read(t, s)
	want(t, first, "work_mem", "4MB")
	want(t, first, "shared_buffers", "16MB")
	want(t, first, "log_file_mode", "0644")
	want(t, first, "random_page_cost", "4")
	want(t, first, "checkpoint_timeout", "5min")
	want(t, first, "pgaudit.log", "ddl, role, misc_set")
	want(t, first, "data_directory", c.Data()) // shown to no ordinary role
	want(t, first, "statement_timeout", "0")   // and not the reader's own
	if v := first.Get("server_version").Text(); !strings.HasPrefix(v, "1") {
		t.Errorf("server_version %q", v)
	}
	absent(t, first, "application_name", "client_encoding", "in_hot_standby", "transaction_isolation", "transaction_read_only",
		"lc_collate", "wal_buffers", "shared_memory_size")
	if len(first) < 330 {
		t.Errorf("%d settings", len(first))
	}
	for _, x := range first {
		for _, prefix := range [...]string{"pending_", "file_error.", "role.", "database."} {
			if strings.HasPrefix(x.Path, prefix) {
				t.Errorf("a new server has %s = %v", x.Path, x.Value)
			}
		}
	}
	if again := read(t, s); !again.Equal(first) {
		t.Errorf("nothing was changed, and the next snapshot differs")
	}

	t.Cleanup(func() {
		exec1(t, admin, "alter system reset all", "alter database postgres reset all", "drop role if exists app, \"a.b\"", "alter role all reset all")
		reloadFiles(t, admin)
	})
	exec1(t, admin,
		"create role app", `create role "a.b"`,
		"alter role app set work_mem = '65536kB'",
		"alter role app in database postgres set search_path = app, public",
		`alter role "a.b" set app.api_token = 'hunter2hunter2'`,
		"alter role all set lock_timeout = 60000",
		"alter database postgres set work_mem = '1GB'", // the reader's database
		"alter database postgres set random_page_cost = 1.1",
		"alter system set work_mem = '64kB'",
		"alter system set shared_buffers = '32MB'",
		"alter system set log_connections = off", // fixed in a session when it begins
		"alter system set primary_conninfo = 'host=a password=hunter2'",
	)
	before := read(t, s)
	want(t, before, "work_mem", "4MB")
	want(t, before, "random_page_cost", "4")
	absent(t, before, "pending_reload.log_connections") // whoever changed it may still be about to reload
	s.config.Now = func() time.Time { return testTime.Add(reloadGrace) }
	late := readAt(t, s, testTime.Add(reloadGrace))
	want(t, late, "pending_reload.log_connections", "off")
	want(t, late, "pending_reload.work_mem", "64kB")
	s.config.Now = func() time.Time { return testTime }
	want(t, before, "pending_restart.shared_buffers", "32MB")
	want(t, before, "role.app.work_mem", "64MB")
	want(t, before, "role.app@postgres.search_path", "app, public")
	want(t, before, "role.ALL.lock_timeout", "1min")
	want(t, before, "database.postgres.work_mem", "1GB")
	want(t, before, "database.postgres.random_page_cost", "1.1")

	reloadFiles(t, admin)
	after := read(t, s)
	want(t, after, "work_mem", "64kB")
	want(t, after, "log_connections", "off")
	want(t, after, "shared_buffers", "16MB")
	want(t, after, "pending_restart.shared_buffers", "32MB")
	absent(t, after, "pending_reload.work_mem", "pending_reload.log_connections", "file_error.shared_buffers")
	for _, path := range []string{"primary_conninfo", `role."a.b".app.api_token`} {
		if x, _ := after.Find(path); x.Value.Kind() != penumbra.SecretKind || !x.Sensitive {
			t.Errorf("%s is not sealed: %v", path, x.Value)
		}
	}
	if first.Get("primary_conninfo") == after.Get("primary_conninfo") {
		t.Error("another primary_conninfo has the same seal")
	}
}

func TestReadFileErrors(t *testing.T) {
	c := realServer(t)
	s := reader(t, c)
	admin := c.connect(t, "postgres")
	t.Run("with a bad value", func(t *testing.T) {
		c.appendConf(t, "maintenance_work_mem = much\njit = no\n")
		read(t, s)
		s.config.Now = func() time.Time { return testTime.Add(time.Minute) }
		defer func() { s.config.Now = func() time.Time { return testTime } }()
		got := readAt(t, s, testTime.Add(time.Minute))
		want(t, got, "pending_reload.jit", "off")
		want(t, got, "maintenance_work_mem", "64MB")
		want(t, got, "file_error.maintenance_work_mem", "postgresql.conf: setting could not be applied")
	})
	t.Run("with an unknown name", func(t *testing.T) {
		c.appendConf(t, "no_such_setting = 1\n")
		want(t, read(t, s), "file_error.no_such_setting", "postgresql.conf: unrecognized configuration parameter")
	})
	t.Run("with bad syntax", func(t *testing.T) {
		c.appendConf(t, "jit off off\n")
		want(t, read(t, s), "file_error.postgresql.conf.1", "postgresql.conf: syntax error")
	})
	reloadFiles(t, admin)
	for _, x := range read(t, s) {
		if strings.HasPrefix(x.Path, "file_error.") || strings.HasPrefix(x.Path, "pending_") {
			t.Errorf("the files are as they were, and there is %s = %v", x.Path, x.Value)
		}
	}
}

// TestReadReopens ends the connection, and the server, between reads.
func TestReadReopens(t *testing.T) {
	c := realServer(t)
	s := reader(t, c)
	first := read(t, s)
	admin := c.connect(t, "postgres")
	exec1(t, admin, "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'penumbra_reader'")
	if !read(t, s).Equal(first) {
		t.Error("another snapshot over a new connection")
	}
	var n int
	if err := admin.QueryRow(t.Context(), "select count(*) from pg_stat_activity where usename = 'penumbra_reader'").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d connections of the reader, want 1: %v", n, err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Read(t.Context())
	if err := c.Again(); err != nil {
		t.Fatal(err)
	}
	if penumbra.KindOf(err) != penumbra.Unavailable || !strings.Contains(err.Error(), "lab/db1/postgresql") {
		t.Errorf("the server is down: %v", err)
	}
	if !read(t, s).Equal(first) {
		t.Error("another snapshot of the server started again")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestReadAtLimit holds that the role's connection limit, which sessions that
// are just ending count for, does not fail a read.
func TestReadAtLimit(t *testing.T) {
	s := reader(t, realServer(t))
	for range 50 {
		read(t, s)
		s.Close()
	}
}

func TestReadSlow(t *testing.T) {
	c := realServer(t)
	s := reader(t, c)
	admin := c.connect(t, "postgres")
	exec1(t, admin, "begin", "lock table pg_db_role_setting in access exclusive mode")
	s.connect.RuntimeParams["statement_timeout"] = "100"
	_, err := s.Read(t.Context())
	exec1(t, admin, "rollback")
	if penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("a server that does not answer: %v", err)
	}
}

func TestReadRefused(t *testing.T) {
	c := realServer(t)
	admin := c.connect(t, "postgres")
	exec1(t, admin, "create role bare login")
	t.Cleanup(func() {
		if err := c.SQL("postgres", "drop owned by bare", "drop role bare"); err != nil {
			t.Error(err)
		}
	})
	s, err := New(Config{Stack: "lab", Local: "db1/postgresql", Connection: c.connection("bare"), Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// Each refusal names what to grant, and granting it ends that refusal.
	for range 2 {
		_, err := s.Read(t.Context())
		var refused *penumbra.Error
		if !errors.As(err, &refused) || refused.Kind != penumbra.Refused {
			t.Fatalf("a role without rights: %v", err)
		}
		_, grants, found := strings.Cut(refused.Remedy, "in database postgres: ")
		if !found {
			t.Fatalf("no statements in %q", refused.Remedy)
		}
		exec1(t, admin, grants)
	}
	if _, err := s.Read(t.Context()); err != nil {
		t.Errorf("after all grants: %v", err)
	}
	for connection, kind := range map[string]penumbra.ErrorKind{
		c.connection("nobody"): penumbra.Refused,
		strings.Replace(c.connection("bare"), "=postgres", "=nosuch", 1): penumbra.Invalid,
	} {
		s, err := New(Config{Stack: "lab", Local: "x", Connection: connection, Key: testKey})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(t.Context()); penumbra.KindOf(err) != kind {
			t.Errorf("%s: %v, want %v", connection, err, kind)
		}
	}
}

// TestRole holds that the role of the script can do nothing but read settings.
func TestRole(t *testing.T) {
	c := realServer(t)
	reader(t, c)
	admin := c.connect(t, "postgres")
	exec1(t, admin, "create table kept (a int)", "revoke temporary on database postgres from public",
		"revoke execute on function pg_catalog.lo_create(oid), pg_catalog.lo_creat(integer), pg_catalog.lo_from_bytea(oid, bytea) from public")
	t.Cleanup(func() {
		if err := c.SQL("postgres", "drop table kept"); err != nil {
			t.Error(err)
		}
	})
	conn := c.connect(t, "penumbra_reader")
	for _, sql := range []string{
		"select * from kept", "insert into kept values (1)", "update kept set a = 1", "delete from kept", "truncate kept", "drop table kept",
		"do $$ begin lock table kept; end $$", "create table public.t (a int)", "create temporary table t (a int)", "create schema s", "create database d",
		"create role r", "create extension pgaudit", "create function public.f() returns int language sql return 1",
		"alter system set work_mem = '64kB'", "alter role postgres set work_mem = '64kB'", "alter database postgres set work_mem = '64kB'",
		"alter role penumbra_reader superuser", "grant pg_monitor to penumbra_reader", "set role postgres",
		"select pg_reload_conf()", "select pg_rotate_logfile()", "select pg_switch_wal()", "select pg_read_file('postgresql.conf')",
		"select pg_ls_dir('.')", "select pg_ls_logdir()", "select * from pg_authid", "select * from pg_hba_file_rules",
		"select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
		"copy (select 1) to '/tmp/x'", "copy (select 1) to program 'true'", "do $$ begin perform lo_create(0); end $$", "checkpoint",
		"create publication p for all tables", "create foreign data wrapper w", "select pg_create_physical_replication_slot('s')",
	} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v, want it refused", sql, err)
		}
	}
	if !strings.Contains(RoleSQL(`a"b`), `CREATE ROLE "a""b" LOGIN`) {
		t.Error("a role's name is not quoted")
	}
}

func TestDescribe(t *testing.T) {
	c := realServer(t)
	got, err := reader(t, c).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := got["work_mem"]; d.Context != "user" || d.Category != "Resource Usage / Memory" || d.Unit != "kB" || d.Min != "64" || d.Max != "2147483647" || d.Default != "4MB" || d.VarType != "integer" || d.Restart() {
		t.Errorf("work_mem: %+v", d)
	}
	if d := got["wal_level"]; !d.Restart() || !slices.Equal(d.EnumVals, []string{"minimal", "replica", "logical"}) {
		t.Errorf("wal_level: %+v", d)
	}
}

// TestCatalogue holds the embedded catalogue against the server's.
func TestCatalogue(t *testing.T) {
	c := realServer(t)
	got, err := reader(t, c).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Major() != "15" {
		t.Skip("the catalogue is PostgreSQL 15's")
	}
	var lines []string
	for _, d := range got {
		lines = append(lines, strings.Join([]string{d.Name, d.Context, d.VarType, d.Unit, strings.Join(d.EnumVals, ",")}, "\t")+"\n")
	}
	slices.Sort(lines)
	if *update {
		if err := os.WriteFile("settings.txt", []byte(strings.Join(lines, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Minor versions add settings: an older server than the catalogue's lacks the last
	// ones.
	for _, line := range lines {
		if !*update && !strings.Contains("\n"+known, "\n"+line) {
			t.Errorf("settings.txt has no %q: run this test with -update", line)
		}
	}
	if few := len(lines); few < strings.Count(known, "\n")-5 {
		t.Errorf("the server has %d settings, settings.txt %d", few, strings.Count(known, "\n"))
	}
}

// TestCanonicalAsServer asks the server to show every spelling of a value of
// every setting that a session may set, and holds Canonical against it.
func TestCanonicalAsServer(t *testing.T) {
	c := realServer(t)
	all, err := reader(t, c).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := c.connect(t, "postgres")
	exec1(t, conn, "set client_min_messages = error")
	compared := 0
	for name, d := range all {
		var shown, bare string
		if err := conn.QueryRow(t.Context(), "select setting, current_setting(name) from pg_settings where name = $1", name).Scan(&bare, &shown); err != nil {
			t.Fatal(err)
		}
		if got := d.Canonical(bare); got != shown {
			t.Errorf("%s = %q: %q, and the server shows %q", name, bare, got, shown)
		}
		if d.VarType == "string" || d.Context != "user" && d.Context != "superuser" || strings.HasPrefix(name, "transaction_") || strings.HasPrefix(name, "tcp_") {
			continue
		}
		for _, value := range spellings(d) {
			err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
				var shown string
				if err := tx.QueryRow(t.Context(), "select set_config($1, $2, true)", name, value).Scan(&shown); err != nil {
					return err
				}
				compared++
				if got := d.Canonical(value); got != shown {
					t.Errorf("%s = %q: %q, and the server shows %q", name, value, got, shown)
				}
				if got := Canonical(name, value); got != shown {
					t.Errorf("%s = %q: the catalogue makes it %q, and the server shows %q", name, value, got, shown)
				}
				return nil
			})
			var pg *pgconn.PgError
			if err != nil && !errors.As(err, &pg) {
				t.Fatal(err)
			}
		}
	}
	if compared < 1000 {
		t.Errorf("the server took only %d spellings", compared)
	}
}

func spellings(d Description) []string {
	switch d.VarType {
	case "bool":
		return []string{"on", "OFF", "True", "f", "yes", "n", "1", "0", "of", "tru", "o", "maybe"}
	case "enum":
		out := []string{"on", "off", "true", "no", "1", "0", "debug"}
		for _, v := range d.EnumVals {
			out = append(out, v, strings.ToUpper(v))
		}
		return out
	}
	out := []string{"-1", "0", "1", "7", "64", "100", "1024", "4096", "8192", "60000", "100000", "0x100", "010", "1e3", "1.5", "2.5", "0.1", "1.00001", "123456.789"}
	for _, u := range [...]string{"B", "kB", "MB", "GB", "us", "ms", "s", "min", "h", "d"} {
		out = append(out, "1"+u, "90"+u, "4096"+u, "1.5 "+u, " 2\t"+u+" ", "0.1"+u, "30.1"+u, "65536"+u)
	}
	return append(out, "4mb", "4 KB", "4X")
}

func TestNew(t *testing.T) {
	ok := Config{Stack: "lab", Local: "db1/postgresql", Connection: "host=/tmp user=u", Key: testKey}
	for name, change := range map[string]func(*Config){
		"stack": func(c *Config) { c.Stack = "a/b" }, "local": func(c *Config) { c.Local = "" }, "key": func(c *Config) { c.Key = nil },
		"connection": func(c *Config) { c.Connection = "host" }, "password": func(c *Config) { c.Connection = "host=/tmp password=hunter2" },
		"URL": func(c *Config) { c.Connection = "postgres://u:hunter2@localhost/d" }, "query": func(c *Config) { c.Connection = "postgres://localhost/d?password=hunter2" },
	} {
		config := ok
		change(&config)
		if _, err := New(config); penumbra.KindOf(err) != penumbra.Invalid || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(ok); err != nil {
		t.Error(err)
	}
}

func BenchmarkRead(b *testing.B) {
	s := reader(b, realServer(b))
	for b.Loop() {
		read(b, s)
	}
}

// BenchmarkReadAnew connects for each read, as after a reload.
func BenchmarkReadAnew(b *testing.B) {
	s := reader(b, realServer(b))
	for b.Loop() {
		read(b, s)
		s.Close()
	}
}
