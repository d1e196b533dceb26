//go:build unix

package ansible

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const postgresPrograms = "/usr/lib/postgresql/15/bin"

// startPostgres starts a server in a folder of its own, and returns the folder
// of its socket and a function that runs SQL on it.
func startPostgres(t *testing.T) (string, func(sql string) string) {
	t.Helper()
	need := func(what string) {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	if _, err := os.Stat(postgresPrograms); err != nil {
		need("no PostgreSQL 15")
	}
	if exec.Command("/usr/bin/python3", "-c", "import psycopg2").Run() != nil {
		need("no psycopg2")
	}
	dir, err := os.MkdirTemp("", "pg") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // which initdb refuses
		u, err := user.Lookup("postgres")
		if err != nil {
			need("no user postgres")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(postgresPrograms, program), args...)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	data := filepath.Join(dir, "data")
	run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N")
	run("pg_ctl", "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o", "-c listen_addresses= -c unix_socket_directories="+dir, "start")
	t.Cleanup(func() { run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop") })
	return dir, func(sql string) string { return run("psql", "-h", dir, "-U", "postgres", "-Atc", sql) }
}

// What Ansible says of a parameter is what current_setting says, on both sides
// once it is applied, and the check leaves the server as it is.
func TestReadPostgres(t *testing.T) {
	t.Parallel()
	needAnsible(t)
	dir, sql := startPostgres(t)
	var tasks strings.Builder
	tasks.WriteString("  tasks:\n")
	for _, p := range [][2]string{{"work_mem", "65536kB"}, {"maintenance_work_mem", "64MB"}, {"random_page_cost", "2.5"}, {"jit", "off"}, {"statement_timeout", "60s"}, {"shared_buffers", "1GB"}} {
		tasks.WriteString("  - {name: set " + p[0] + ", community.postgresql.postgresql_set: {name: " + p[0] + ", value: '" + p[1] + "', login_unix_socket: " + dir + ", login_user: postgres, db: postgres}}\n")
	}
	s := newStack(t, localHost, tasks.String())
	const server = "h1/postgresql"
	current := func(name string) string { return strconv.Quote(sql("select current_setting('" + name + "')")) }
	was := current("work_mem")
	r := s.read()
	for name, want := range map[string]string{"work_mem": "64MB", "maintenance_work_mem": "64MB", "random_page_cost": "2.5", "jit": "off", "statement_timeout": "1min", "shared_buffers": "1GB"} {
		r.expect(t, server, name, strconv.Quote(want), current(name))
	}
	if now := current("work_mem"); now != was {
		t.Errorf("the read set work_mem to %s", now)
	}
	sql("alter system set work_mem = '65536kB'")
	sql("select pg_reload_conf()")
	for range 1000 {
		if current("work_mem") == `"64MB"` {
			break
		}
	}
	s.read().expect(t, server, "work_mem", `"64MB"`, `"64MB"`)
}
