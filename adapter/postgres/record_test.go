//go:build unix

package postgres

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// TestRecord lets people change a real server, and holds that its log tells who
// they were. With -update what the server wrote becomes testdata/server.json.
func TestRecord(t *testing.T) {
	c := realServer(t)
	admin := c.connect(t, "postgres")
	before, err := os.ReadFile(c.log())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.SQL("postgres", "alter system reset all", "drop owned by bob", "drop role alice", "drop role carol", "drop role bob"); err != nil {
			t.Error(err)
		}
		reloadFiles(t, admin)
	})
	play := func(user string, statements ...string) { _ = c.SQL(user, statements...) } // some are refused
	play("postgres", "create role alice login superuser", "create role bob login password 'hunter2'")
	play("alice", "alter system set work_mem = '64kB'", "select pg_reload_conf()")
	eventually(t, "work_mem is 64kB", func() bool { return shows(t, c, "work_mem", "64kB") })
	play("bob", "alter system set work_mem = '1MB'", "alter role bob password 'x", "set role alice")
	play("alice", "alter role bob set work_mem = '8192kB'", "alter role bob in database postgres set search_path to bob, public",
		"alter database postgres set statement_timeout to '5s'", "alter database postgres reset all", "set work_mem to '1MB'")
	play("alice", "begin; alter system set work_mem = '2MB'")
	play("alice", "create role carol in role bob encrypted password $$correct horse$$ valid until 'infinity'",
		"create table t (a int)", "grant select on t to bob", "drop table t", "select pg_sleep(0.3)",
		"do $$ begin execute 'alter role bob set jit = off'; end $$", "alter system set work_mem = 'much'",
		"alter system set shared_buffers = '32MB'", "select pg_reload_conf()")
	eventually(t, "a restart is needed", func() bool {
		var waits bool
		if err := admin.QueryRow(t.Context(), "select pending_restart from pg_settings where name = 'shared_buffers'").Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
	play("alice", "alter system reset work_mem", "select pg_reload_conf()")
	eventually(t, "work_mem is 4MB", func() bool { return shows(t, c, "work_mem", "4MB") })
	c.appendConf(t, "random_page_cost = 40\n")
	play("alice", "select 1; select pg_reload_conf()")
	eventually(t, "random_page_cost is 40", func() bool { return shows(t, c, "random_page_cost", "40") })

	var log []byte
	eventually(t, "the log is written", func() bool {
		all, err := os.ReadFile(c.log())
		if err != nil {
			t.Fatal(err)
		}
		log = all[len(before):]
		return bytes.Contains(log, []byte(`parameter \"random_page_cost\" changed`)) && bytes.HasSuffix(log, []byte("\n"))
	})
	log = onlyOf(log, c)
	if *update {
		if err := os.WriteFile("testdata/server.json", log, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	told(t, log)
}

func shows(t *testing.T, c *cluster, name, value string) bool {
	t.Helper()
	var got string
	if err := c.connect(t, "postgres").QueryRow(t.Context(), "select current_setting($1)", name).Scan(&got); err != nil {
		t.Fatal(err)
	}
	return got == value
}

// onlyOf returns the lines without those of the test's own sessions, and with
// Debian's place of the server's data.
func onlyOf(log []byte, c *cluster) []byte {
	var out bytes.Buffer
	own := make(map[string]bool)
	id := func(line string) string {
		_, rest, _ := strings.Cut(line, `"session_id":"`)
		session, _, _ := strings.Cut(rest, `"`)
		return session
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "connection authorized") && !strings.Contains(line, "application_name=psql") {
			own[id(line)] = true
		}
	}
	for line := range strings.Lines(string(log)) {
		if !own[id(line)] {
			out.WriteString(strings.ReplaceAll(line, c.Data(), "/var/lib/postgresql/15/main"))
		}
	}
	return out.Bytes()
}

// told holds what has to come of the recorded log, whoever recorded it.
func told(t *testing.T, log []byte) {
	t.Helper()
	records := parseAll(t, log)
	lines := bytes.Count(log, []byte("\n"))
	if len(records) < lines/2 || len(records) > lines {
		t.Errorf("%d records of %d lines", len(records), lines)
	}
	seen := make(map[string]bool)
	for _, r := range records {
		if seen[r.ID] || r.Check() != nil {
			t.Errorf("record %q: twice, or %v", r.ID, r.Check())
		}
		seen[r.ID] = true
	}
	for name, want := range map[string]struct {
		user, via, action, path string
		value                   penumbra.Value
		failed                  bool
		how                     string // joined_by
	}{
		"the hint":               {"alice", "psql", "ALTER SYSTEM", "work_mem", penumbra.String("64kB"), false, ""},
		"the value in force":     {"alice", "psql", "ALTER SYSTEM", "work_mem", penumbra.String("64kB"), false, "alter system"},
		"the refused":            {"bob", "psql", "ALTER SYSTEM", "work_mem", penumbra.String("1MB"), true, ""},
		"the invalid":            {"alice", "psql", "ALTER SYSTEM", "work_mem", penumbra.String("much"), true, ""},
		"in a transaction":       {"alice", "psql", "ALTER SYSTEM", "work_mem", penumbra.String("2MB"), true, ""},
		"for a role":             {"alice", "psql", "ALTER ROLE", "role.bob.work_mem", penumbra.String("8MB"), false, ""},
		"for a role in database": {"alice", "psql", "ALTER ROLE", "role.bob@postgres.search_path", penumbra.String("bob, public"), false, ""},
		"for a database":         {"alice", "psql", "ALTER DATABASE", "database.postgres.statement_timeout", penumbra.String("5s"), false, ""},
		"inside a DO":            {"alice", "psql", "ALTER ROLE", "role.bob.jit", penumbra.String("off"), false, ""},
		"for a restart":          {"alice", "psql", "ALTER SYSTEM", "pending_restart.shared_buffers", penumbra.String("32MB"), false, ""},
		"waits for a restart":    {"alice", "psql", "pending restart", "pending_restart.shared_buffers", penumbra.String("32MB"), false, "alter system"},
		"taken back":             {"alice", "psql", "ALTER SYSTEM", "work_mem", penumbra.Unknown(), false, "alter system"},
		"a file, by anybody":     {"", "", "reload", "random_page_cost", penumbra.String("40"), false, ""},
	} {
		n := 0
		for _, r := range records {
			if r.Actor == want.user && r.Via == want.via && r.Action == want.action && (r.Failed != "") == want.failed && !r.ReadOnly &&
				r.Attributes["joined_by"] == want.how && hasSetting(r.Settings, want.path, want.value) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d records of %+v, want one", name, n, want)
		}
	}
	for _, r := range records {
		if r.Actor == "bob" && len(r.Settings) > 0 && r.Failed == "" {
			t.Errorf("bob changed nothing, and yet: %+v", r)
		}
		if text := show(&r); strings.Contains(text, "hunter2") || strings.Contains(text, "horse") || strings.Contains(text, "'x") {
			t.Errorf("a password is shown: %s", text)
		}
	}
}

func hasSetting(s penumbra.Settings, path string, value penumbra.Value) bool {
	x, found := s.Find(path)
	return found && x.Value == value
}

// BenchmarkParse takes the recorded log, again and again.
func BenchmarkParse(b *testing.B) {
	log, err := os.ReadFile("testdata/server.json")
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	p := parser(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(lines[n%len(lines)]); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
}
