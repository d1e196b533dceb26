package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

func parser(tb testing.TB) *Parser {
	tb.Helper()
	p, err := NewParser(ParserConfig{Input: "db1", Server: "db1/postgresql", Key: testKey})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func parseAll(tb testing.TB, log []byte) []penumbra.Record {
	tb.Helper()
	p := parser(tb)
	var out []penumbra.Record
	for line := range bytes.Lines(log) {
		found, err := p.Parse(line)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, found...)
	}
	return append(out, p.Flush(testTime.AddDate(100, 0, 0))...)
}

// show writes a record as one line, with everything in it.
func show(r *penumbra.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s actor=%q(%s) via=%q action=%q targets=%q", r.Time.Format("05.000"), r.ID, r.Actor, r.ActorKind, r.Via, r.Action, r.Targets)
	for _, x := range r.Settings {
		fmt.Fprintf(&b, " [%s = %v]", x.Path, x.Value)
	}
	if r.ReadOnly {
		b.WriteString(" read-only")
	}
	if r.Failed != "" {
		fmt.Fprintf(&b, " failed=%q", r.Failed)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Attributes)) {
		fmt.Fprintf(&b, " %s=%q", k, r.Attributes[k])
	}
	fmt.Fprintf(&b, " message=%q", r.Message)
	return b.String()
}

// TestGolden reads the log that TestRecord recorded.
func TestGolden(t *testing.T) {
	log, err := os.ReadFile("testdata/server.json")
	if err != nil {
		t.Fatal(err)
	}
	told(t, log)
	var b strings.Builder
	for _, r := range parseAll(t, log) {
		b.WriteString(show(&r) + "\n")
	}
	if *update {
		if err := os.WriteFile("testdata/server.golden", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/server.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// at makes a line of a session, a time after testTime.
func at(d time.Duration, session string, number int, fields map[string]any) []byte {
	line := map[string]any{
		"timestamp": testTime.Add(d).Format("2006-01-02 15:04:05.000") + " UTC", "session_id": session, "line_num": number,
		"error_severity": "LOG", "backend_type": "client backend",
	}
	maps.Copy(line, fields)
	out, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	return out
}

func said(user, message string) map[string]any {
	return map[string]any{"user": user, "dbname": "d", "remote_host": "10.0.0.7", "application_name": "psql", "message": message}
}

func postmasterSaid(message string) map[string]any {
	return map[string]any{"backend_type": "postmaster", "message": message}
}

func parse1(t *testing.T, p *Parser, line []byte) []penumbra.Record {
	t.Helper()
	out, err := p.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWithoutAudit holds that a statement is told within a flush where there is
// no pgaudit, and that an error in between makes it failed.
func TestWithoutAudit(t *testing.T) {
	p := parser(t)
	if got := parse1(t, p, at(0, "s1", 1, said("alice", "statement: ALTER SYSTEM SET work_mem TO 8192"))); len(got) != 0 {
		t.Errorf("told before its outcome: %v", got)
	}
	if got := p.Flush(testTime.Add(hold / 2)); len(got) != 0 {
		t.Errorf("flushed too soon: %v", got)
	}
	got := p.Flush(testTime.Add(hold))
	if len(got) != 1 || got[0].Actor != "alice" || got[0].ActorKind != penumbra.User || got[0].Failed != "" || !hasSetting(got[0].Settings, "work_mem", penumbra.String("8MB")) ||
		got[0].Attributes["database"] != "d" || got[0].Attributes["host"] != "10.0.0.7" || got[0].ID != "s1/1" {
		t.Errorf("flushed: %v", got)
	}
	// A server whose clock is ahead is waited for no longer.
	parse1(t, p, at(time.Hour, "s2", 1, said("bob", "execute <unnamed>: alter system set work_mem = '1MB'")))
	p.Flush(testTime)
	if got := p.Flush(testTime.Add(hold)); len(got) != 1 {
		t.Errorf("a clock that is ahead: %v", got)
	}
	parse1(t, p, at(0, "s3", 1, said("bob", "statement: alter system set jit = off")))
	if got := parse1(t, p, at(0, "s3", 2, merge(said("bob", "careful"), "error_severity", "WARNING"))); len(got) != 1 || got[0].Actor != "bob" {
		t.Errorf("a warning in between: %v", got)
	}
	got = parse1(t, p, at(1, "s3", 3, merge(said("bob", "permission denied"), "error_severity", "ERROR", "state_code", "42501", "statement", "alter system set jit = off")))
	if len(got) != 1 || got[0].Failed != "42501: permission denied" || got[0].ID != "s3/1" || got[0].Attributes["sqlstate"] != "42501" {
		t.Errorf("refused: %v", got)
	}
	if got := p.Flush(testTime.AddDate(1, 0, 0)); len(got) != 0 {
		t.Errorf("told again: %v", got)
	}
}

func merge(m map[string]any, pairs ...string) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// TestJoin holds to whom the postmaster's word is put down.
func TestJoin(t *testing.T) {
	for name, c := range map[string]struct {
		statement string // of alice at 0 s
		after     time.Duration
		said      string
		actor     string
		how       string
	}{
		"by value":             {"alter system set work_mem = '64kB'", time.Second, `parameter "work_mem" changed to "64kB"`, "alice", "alter system"},
		"by value, respelt":    {"alter system set work_mem = 8192", time.Second, `parameter "work_mem" changed to "8MB"`, "alice", "alter system"},
		"another value":        {"alter system set work_mem = '64kB'", time.Second, `parameter "work_mem" changed to "1MB"`, "", ""},
		"another setting":      {"alter system set work_mem = '64kB'", time.Second, `parameter "jit" changed to "off"`, "", ""},
		"within the window":    {"alter system set work_mem = '64kB'", joinWindow, `parameter "work_mem" changed to "64kB"`, "alice", "alter system"},
		"after the window":     {"alter system set work_mem = '64kB'", joinWindow + 1e6, `parameter "work_mem" changed to "64kB"`, "", ""},
		"taken back":           {"alter system reset work_mem", time.Second, `parameter "work_mem" removed from configuration file, reset to default`, "alice", "alter system"},
		"back to the file's":   {"alter system set work_mem to default", time.Second, `parameter "work_mem" changed to "16MB"`, "alice", "alter system"},
		"all taken back":       {"alter system reset all", time.Second, `parameter "work_mem" changed to "16MB"`, "alice", "alter system"},
		"by the reload":        {"select pg_reload_conf()", time.Second, `parameter "work_mem" changed to "64kB"`, "alice", "reload"},
		"long after a reload":  {"select pg_reload_conf()", time.Minute, `parameter "work_mem" changed to "64kB"`, "", ""},
		"nobody, for sessions": {"set work_mem = '64kB'", time.Second, `parameter "work_mem" changed to "64kB"`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := parser(t)
			parse1(t, p, at(0, "s1", 1, said("alice", "statement: "+c.statement)))
			got := parse1(t, p, at(c.after, "pm", 1, postmasterSaid(c.said)))
			if len(got) == 0 {
				t.Fatal("the change is not told")
			}
			r := got[len(got)-1] // the statement's own may come before
			if c.how != "" && len(got) != 2 {
				t.Errorf("%d records, want the statement's and the change's", len(got))
			}
			if r.Actor != c.actor || r.Attributes["joined_by"] != c.how || len(r.Settings) != 1 || r.ReadOnly {
				t.Errorf("got %s", show(&r))
			}
		})
	}
}

// TestRefusedIsNotJoined holds that who was refused is not the one.
func TestRefusedIsNotJoined(t *testing.T) {
	p := parser(t)
	sql := "alter system set work_mem = '64kB'"
	parse1(t, p, at(0, "s1", 1, said("alice", "statement: "+sql)))
	parse1(t, p, at(0, "s1", 2, said("alice", "AUDIT: SESSION,1,1,DDL,ALTER SYSTEM,,,"+sql+",<not logged>")))
	parse1(t, p, at(1e9, "s2", 1, said("bob", "statement: "+sql)))
	parse1(t, p, at(1e9, "s2", 2, merge(said("bob", "no"), "error_severity", "ERROR", "statement", sql)))
	got := parse1(t, p, at(2e9, "pm", 1, postmasterSaid(`parameter "work_mem" changed to "64kB"`)))
	if len(got) != 1 || got[0].Actor != "alice" || got[0].Attributes["joined_with"] != "s1/1" {
		t.Errorf("got %v", got)
	}
}

// TestAboutToBeRefused holds the same where the refusal comes after the word.
func TestAboutToBeRefused(t *testing.T) {
	p := parser(t)
	sql := "alter system set work_mem = '64kB'"
	parse1(t, p, at(0, "s1", 1, said("alice", "statement: "+sql)))
	parse1(t, p, at(0, "s1", 2, said("alice", "AUDIT: SESSION,1,1,DDL,ALTER SYSTEM,,,"+sql+",<not logged>")))
	parse1(t, p, at(1e6, "s2", 1, said("bob", "statement: "+sql)))
	got := parse1(t, p, at(1e6, "pm", 1, postmasterSaid(`parameter "work_mem" changed to "64kB"`)))
	if len(got) != 1 || got[0].Actor != "alice" {
		t.Errorf("got %v", got)
	}
	got = parse1(t, p, at(2e6, "s2", 2, merge(said("bob", "no"), "error_severity", "ERROR", "statement", sql)))
	if len(got) != 1 || got[0].Actor != "bob" || got[0].Failed == "" {
		t.Errorf("got %v", got)
	}
}

// TestPendingIsToldOnce holds that the postmaster's repetition at each reload is
// not a change.
func TestPendingIsToldOnce(t *testing.T) {
	p := parser(t)
	line := `parameter "shared_buffers" cannot be changed without restarting the server`
	for i, readOnly := range []bool{false, true, true} {
		if got := parse1(t, p, at(time.Duration(i)*time.Hour, "pm", i, postmasterSaid(line))); len(got) != 1 || got[0].ReadOnly != readOnly {
			t.Errorf("time %d: %v", i, got)
		}
	}
	parse1(t, p, at(4*time.Hour, "pm", 9, postmasterSaid("starting PostgreSQL 15.4 on x86_64")))
	if got := parse1(t, p, at(5*time.Hour, "pm2", 1, postmasterSaid(line))); got[0].ReadOnly {
		t.Error("after a restart it is new")
	}
}

func TestStatements(t *testing.T) {
	for sql, want := range map[string]string{
		`ALTER SYSTEM SET "work_mem" = '4096kB'`:                         "ALTER SYSTEM [work_mem = \"4MB\"]",
		"alter/* x /* y */ */system -- z\nset work_mem to 64":            "ALTER SYSTEM [work_mem = \"64kB\"]",
		"alter system set wal_level = minimal":                           "ALTER SYSTEM [pending_restart.wal_level = \"minimal\"] [wal_level = \"minimal\"]",
		"alter system set search_path = a, 'B c', \"D\"":                 `ALTER SYSTEM [search_path = "a, \"B c\", \"D\""]`,
		"alter system set log_min_duration_statement = -1":               "ALTER SYSTEM [log_min_duration_statement = \"-1\"]",
		"alter system set pgaudit.log = 'all'":                           "ALTER SYSTEM [pgaudit.log = \"all\"]",
		"alter system set archive_command = E'cp \\'%p\\' x'":            `ALTER SYSTEM [archive_command = "cp '%p' x"]`,
		"alter system set timezone = $x$UTC$x$":                          "ALTER SYSTEM [TimeZone = \"UTC\"]",
		"alter system reset work_mem":                                    "ALTER SYSTEM [work_mem = (known after apply)]",
		"alter system reset all":                                         "ALTER SYSTEM",
		"alter system set":                                               "ALTER SYSTEM",
		"ALTER USER bob SET work_mem FROM CURRENT":                       "ALTER ROLE [role.bob.work_mem = (known after apply)]",
		"alter role bob reset work_mem":                                  "ALTER ROLE [role.bob.work_mem = (absent)]",
		"alter role all set jit = false":                                 "ALTER ROLE [role.ALL.jit = \"off\"]",
		`alter role "ALL" set jit = 0`:                                   `ALTER ROLE [role."ALL".jit = "off"]`,
		"alter role all in database d set jit = on":                      "ALTER ROLE [database.d.jit = \"on\"]",
		"alter role current_user set jit = on":                           "ALTER ROLE [role.me.jit = \"on\"]",
		"alter role bob set time zone 'CET'":                             "ALTER ROLE [role.bob.TimeZone = \"CET\"]",
		"alter role bob superuser":                                       "ALTER ROLE",
		"alter database d set app.password = 'x'":                        "ALTER DATABASE [database.d.app.password = (sensitive)]",
		"set work_mem = 1":                                               "SET read-only",
		"select pg_reload_conf ( )":                                      "pg_reload_conf",
		"select 1 from pg_reload_conf()":                                 "pg_reload_conf",
		"select 'pg_reload_conf()'":                                      "SELECT read-only",
		"create or replace temp view v as select 1":                      "CREATE VIEW",
		"create unique index concurrently if not exists i on t (a)":      "CREATE INDEX",
		"create user mapping for bob server s options (password 'x')":    "CREATE USER MAPPING",
		"alter user mapping for bob server s options (set password 'x')": "ALTER USER MAPPING",
		"drop materialized view m":                                       "DROP MATERIALIZED VIEW",
		"create user bob":                                                "CREATE ROLE", "grant a to b": "GRANT", "revoke a from b": "REVOKE", "vacuum": "VACUUM", "insert into t values (1)": "INSERT",
		"with x as (delete from t returning 1) select 1": "WITH",
		"(select 1)":                          "statement read-only",
		"begin; alter role a set jit = off;;": "BEGIN read-only; ALTER ROLE [role.a.jit = \"off\"]",
		"":                                    "", ";;": "", "-- x": "",
	} {
		var parts []string
		for _, s := range parseStatements(sql, "me") {
			text := s.tag
			settings := slices.Clone(s.settings)
			testKey.SealSettings(settings)
			for _, x := range settings {
				if name, found := strings.CutPrefix(x.Path, pendingReload); found {
					if s.system != name || s.settings.Get(name) != s.settings.Get(x.Path) {
						t.Errorf("%s: %s", sql, x.Path)
					}
					continue
				}
				text += fmt.Sprintf(" [%s = %v]", x.Path, x.Value)
			}
			if s.readOnly {
				text += " read-only"
			}
			parts = append(parts, text)
		}
		if got := strings.Join(parts, "; "); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
}

func TestRedactSQL(t *testing.T) {
	for sql, want := range map[string]string{
		"create role a password 'x'":                                                 "create role a password '[redacted]'",
		"create role a encrypted password E'x\\'y' login":                            "create role a encrypted password '[redacted]' login",
		"alter role a password $q$x$q$ valid until 'z'":                              "alter role a password '[redacted]' valid until 'z'",
		"alter role a password 'x":                                                   "alter role a password '[redacted]'",
		"alter role a password U&'x' \n 'y'":                                         "alter role a password '[redacted]' \n '[redacted]'",
		"alter system set primary_conninfo = 'host=a password=x'":                    "alter system set primary_conninfo = '[redacted]'",
		"alter system set primary_conninfo to 'x'":                                   "alter system set primary_conninfo to '[redacted]'",
		"create subscription s connection 'x' publication p":                         "create subscription s connection '[redacted]' publication p",
		"create user mapping for a server s options (user 'u', password 'x', p 'y')": "create user mapping for a server s options (user 'u', password '[redacted]', p 'y')",
		"select set_config('app.token', 'x', false)":                                 "select set_config('[redacted]', '[redacted]', false)",
		"select dblink('dbname=d password=x', 'select 1')":                           "select dblink('[redacted]', '[redacted]')",
		"do $$ begin execute 'alter role a password ''x'''; end $$":                  "do '[redacted]'",
		"alter system set password_encryption = 'md5'":                               "alter system set password_encryption = 'md5'",
		"alter role a password null":                                                 "alter role a password null",
		"alter system set work_mem = '64kB'":                                         "alter system set work_mem = '64kB'",
	} {
		if got := redactSQL(sql); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
}

// TestNoPasswordLeaks holds that a password of any spelling is in no record,
// whatever comes of its statement.
func TestNoPasswordLeaks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		secret := "zq" + rapid.StringMatching(`[a-z0-9 ,;=:()"$%&-]{3,20}`).Draw(rt, "secret") + "qz"
		quote := rapid.SampledFrom([]string{"'%s'", "E'%s'", "U&'%s'", "$pw$%s$pw$", "'%s", "'ab' \n '%s'", "  \t'%s'"}).Draw(rt, "quote")
		before := rapid.SampledFrom([]string{
			"create role r password ", "ALTER USER r WITH ENCRYPTED PASSWORD ", "alter system set primary_conninfo = ", "alter role r set app.api_key to ",
			"create user mapping for r server s options (user 'u', password ", "create subscription s connection ", "alter system set app.secret = ",
			"alter group x; create role /* c */ y login password/**/", "prepare p as alter role r password ", "set app.token = ",
		}).Draw(rt, "before")
		sql := before + strings.Replace(quote, "%s", secret, 1) + rapid.SampledFrom([]string{"", ";", " valid until 'x'", ")"}).Draw(rt, "after")
		p, err := NewParser(ParserConfig{Key: testKey})
		if err != nil {
			rt.Fatal(err)
		}
		outcome := rapid.SampledFrom([]map[string]any{
			said("a", "AUDIT: SESSION,1,1,ROLE,ALTER ROLE,,,"+sql+",<not logged>"), said("a", `AUDIT: SESSION,1,1,ROLE,CREATE ROLE,,,"`+strings.ReplaceAll(sql, `"`, `""`)+`",<not logged>`),
			merge(said("a", `syntax error at or near "`+secret+`"`), "error_severity", "ERROR", "state_code", "42601", "statement", sql),
			merge(said("a", `invalid value for parameter "x": "`+secret+`"`), "error_severity", "ERROR", "statement", sql),
			said("a", "duration: 1.250 ms  statement: "+sql), postmasterSaid(`parameter "primary_conninfo" changed to "` + secret + `"`),
			postmasterSaid(`parameter "app.secret" changed to "` + secret + `"`), postmasterSaid(`invalid value for parameter "app.secret": "` + secret + `"`),
		}).Draw(rt, "outcome")
		var records []penumbra.Record
		for i, fields := range []map[string]any{said("a", rapid.SampledFrom([]string{"statement: ", "execute s1: "}).Draw(rt, "how")+sql), outcome} {
			found, err := p.Parse(at(0, "s", i, fields))
			if err != nil {
				rt.Fatal(err)
			}
			records = append(records, found...)
		}
		for _, r := range append(records, p.Flush(testTime.AddDate(1, 0, 0))...) {
			if text := show(&r); strings.Contains(text, secret) || strings.Contains(text, strings.Trim(fmt.Sprintf("%q", secret), `"`)) {
				rt.Fatalf("%q is in %s", secret, text)
			}
		}
	})
}

func TestBadLines(t *testing.T) {
	p := parser(t)
	for line, part := range map[string]string{
		"{": "unexpected end", `{"a":1}`: "not a line", `{"message":"x","timestamp":"yesterday"}`: "timestamp",
		`{"message":"x","timestamp":"2026-11-25 12:00:00.000 CET"}`: "log_timezone", "2026-11-25 LOG: x": "invalid character",
		`{"message":"` + strings.Repeat("x", maxLine) + `"}`: "bytes long", "\xff\xfe": "invalid character",
		`{"message":1,"timestamp":"2026-11-25 12:00:00.000 UTC"}`: "cannot unmarshal",
	} {
		found, err := p.Parse([]byte(line))
		if penumbra.KindOf(err) != penumbra.Invalid || len(found) > 0 || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "db1") {
			t.Errorf("%.40s: %v, want it refused for %q", line, err, part)
		}
	}
	for _, line := range []string{"", "\n", "\r\n"} {
		if found, err := p.Parse([]byte(line)); err != nil || len(found) > 0 {
			t.Errorf("%q: %v, %v", line, found, err)
		}
	}
	if _, err := NewParser(ParserConfig{}); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("no key: %v", err)
	}
}

func TestTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	p := parser(t)
	p.config.Location = berlin
	for text, want := range map[string]string{
		"2026-02-28 23:59:59.123 UTC": "2026-02-28T23:59:59.123Z", "2024-02-29 00:00:00.001 GMT": "2024-02-29T00:00:00.001Z",
		"2026-12-31 12:00:00.000 CET": "2026-12-31T11:00:00Z", "2026-07-01 12:00:00.000 CEST": "2026-07-01T10:00:00Z",
		"2026-07-01 12:00:00.500 +03": "2026-07-01T09:00:00.5Z", "2026-07-01 12:00:00.000 -0330": "2026-07-01T15:30:00Z",
		"2026-07-01 12:00:00.000 PST": "", "2026-13-01 12:00:00.000 UTC": "", "2026-02-30 12:00:00.000 UTC": "", "": "", "2026-07-01": "",
	} {
		got, err := p.parseTime(text)
		if want == "" && err == nil || want != "" && (err != nil || got.Format(time.RFC3339Nano) != want) {
			t.Errorf("%q: %v, %v, want %q", text, got, err, want)
		}
	}
}

// TestBounded holds that what is remembered does not grow with the log.
func TestBounded(t *testing.T) {
	p := parser(t)
	told := 0
	const n = 3 * maxHeld
	for i := range n {
		told += len(parse1(t, p, at(time.Duration(i)*time.Millisecond, fmt.Sprint("s", i), 1, said("a", fmt.Sprintf("statement: alter system set x.y%d = 1", i)))))
		told += len(parse1(t, p, at(time.Duration(i)*time.Millisecond, "pm", i, postmasterSaid(fmt.Sprintf(`parameter "p.q%d" cannot be changed without restarting the server`, i)))))
	}
	if len(p.held) > maxHeld || len(p.changes) > maxChanges || len(p.pending) > maxChanges {
		t.Errorf("%d held, %d changes, %d pending", len(p.held), len(p.changes), len(p.pending))
	}
	if told += len(p.Flush(testTime.AddDate(1, 0, 0))); told != 2*n {
		t.Errorf("%d records of %d lines", told, 2*n)
	}
}

// FuzzParse takes any two lines after a known one, and holds that what comes of
// them can be kept.
func FuzzParse(f *testing.F) {
	log, err := os.ReadFile("testdata/server.json")
	if err != nil {
		f.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	for i := 1; i < len(lines); i += 7 {
		f.Add(lines[i-1], lines[i])
	}
	f.Add([]byte(`{"message":"AUDIT: SESSION,1,1,DDL,\"`), []byte(`{"message":"parameter \"\" changed to","timestamp":"2026-11-25 12:00:00 +99"}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		p := parser(t)
		var records []penumbra.Record
		for _, line := range [][]byte{at(0, "s", 1, said("x", "statement: alter system set work_mem = 1")), a, b} {
			found, err := p.Parse(line)
			if err != nil && penumbra.KindOf(err) != penumbra.Invalid {
				t.Fatal(err)
			}
			records = append(records, found...)
		}
		for _, r := range append(records, p.Flush(testTime.AddDate(1, 0, 0))...) {
			if err := r.Check(); err != nil {
				t.Fatalf("%v: %+v", err, r)
			}
			if len(r.Message) > maxMessage || !slices.IsSortedFunc(r.Settings, func(a, b penumbra.Setting) int { return strings.Compare(a.Path, b.Path) }) {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// FuzzSQL reads any text as SQL, and holds that nothing with a secret before it
// is kept.
func FuzzSQL(f *testing.F) {
	for _, sql := range []string{
		"alter system set a.b = 'x', E'\\'', $a$b$a$, U&\"c\" -- d", "/* /* */ alter role \"a\"\"b\" in database c set d to -1.5e3", "$$", "'", "\"", "e'\\", "u&'", "select pg_reload_conf(",
	} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		for _, s := range parseStatements(sql, "u") {
			if s.tag == "" {
				t.Fatalf("a statement without a name in %q", sql)
			}
		}
		last := 0
		for _, x := range tokenize(sql) {
			if x.start < last || x.end <= x.start || x.end > len(sql) {
				t.Fatalf("token %+v in %q", x, sql)
			}
			last = x.end
		}
		if got := redactSQL("alter role r password 'zqsecretqz' " + sql); strings.Contains(got, "zqsecretqz") {
			t.Fatalf("%q", got)
		}
	})
}

// FuzzCanonical holds that what Canonical returns is canonical.
func FuzzCanonical(f *testing.F) {
	f.Add("work_mem", "4096 kB")
	f.Add("vacuum_cost_delay", "1.5ms")
	f.Add("log_file_mode", "0644")
	f.Add("wal_compression", "on")
	f.Fuzz(func(t *testing.T, name, value string) {
		once := Canonical(name, value)
		if again := Canonical(name, once); again != once {
			t.Fatalf("%s = %q: %q, and then %q", name, value, once, again)
		}
	})
}
