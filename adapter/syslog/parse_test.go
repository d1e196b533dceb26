package syslog

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 25, 12, 10, 0, 0, time.UTC)

func parser() *Parser { return NewParser("host", nil, func() time.Time { return now }) }

func lines(t testing.TB, name string) [][]byte {
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
}

// said is what a test compares of a record.
type said struct {
	actor, action, via, failed string
	targets                    []string
}

func check(t *testing.T, line string, want said) {
	t.Helper()
	got, err := parser().Parse([]byte(line))
	if err != nil || len(got) != 1 {
		t.Errorf("%s: %d records, %v", line, len(got), err)
		return
	}
	r := got[0]
	if err := r.Check(); err != nil {
		t.Errorf("%s: %v", line, err)
	}
	if r.Actor != want.actor || r.Action != want.action || r.Via != want.via || r.Failed != want.failed || !slices.Equal(r.Targets, want.targets) {
		t.Errorf("%s:\ngot  %q %q %q %q %q\nwant %q", line, r.Actor, r.Action, r.Via, r.Failed, r.Targets, want)
	}
}

func TestPrograms(t *testing.T) {
	const at = "<85>Nov 25 12:09:37 web1 "
	for line, want := range map[string]said{
		"sudo: alice : TTY=pts/0 ; PWD=/etc/nginx ; USER=root ; COMMAND=/usr/bin/vi nginx.conf":        {"alice", "vi", "sudo as root", "", []string{"/etc/nginx/nginx.conf"}},
		"sudo: alice : PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx":                   {"alice", "systemctl", "sudo as root", "", []string{"nginx.service"}},
		"sudo: alice : PWD=/ ; USER=postgres ; COMMAND=/usr/bin/psql -c 'ALTER SYSTEM SET x = 1 ; '":   {"alice", "psql", "sudo as postgres", "", nil},
		"sudo: alice : PWD=/ ; USER=root ; COMMAND=/bin/sh -c 'echo 1 > /etc/sysctl.d/x.conf'":         {"alice", "sh", "sudo as root", "", []string{"/etc/sysctl.d/x.conf"}},
		"sudo: alice : command not allowed ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/visudo":             {"alice", "visudo", "sudo as root", "command not allowed", nil},
		"sudo: bob : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/rm -rf /srv/x": {"bob", "rm", "sudo as root", "user NOT in sudoers", []string{"/srv/x"}},
		"sshd[12]: Accepted publickey for alice from 192.0.2.7 port 5022 ssh2: ED25519 SHA256:abc":     {"alice", "login", "ssh publickey", "", nil},
		"sshd[12]: Failed password for invalid user oracle from 192.0.2.7 port 5022 ssh2":              {"oracle", "login", "ssh password", "authentication failure", nil},
		"su[12]: (to root) alice on pts/0":                                                                                {"alice", "su", "", "", []string{"root"}},
		"su[12]: FAILED SU (to root) alice on pts/0":                                                                      {"alice", "su", "", "authentication failure", []string{"root"}},
		"systemd[1]: Started nginx.service - A high performance web server.":                                              {"", "started", "", "", []string{"nginx.service"}},
		"systemd[1]: Failed to start nginx.service - A high performance web server.":                                      {"", "start", "", "failed to start", []string{"nginx.service"}},
		"CRON[77]: (root) CMD (  /usr/local/bin/backup /srv/data)":                                                        {"root", "backup", "cron", "", []string{"/srv/data"}},
		"useradd[5]: new user: name=deploy, UID=1001, GID=1001, home=/home/deploy, shell=/bin/sh":                         {"", "useradd", "", "", []string{"deploy"}},
		"usermod[5]: add 'alice' to group 'sudo'":                                                                         {"", "usermod", "", "", []string{"alice", "sudo"}},
		"ansible-ansible.legacy.copy: Invoked with src=/tmp/x dest=/etc/nginx/nginx.conf mode=0644":                       {"", "ansible.legacy.copy", "ansible", "", []string{"/etc/nginx/nginx.conf"}},
		"python3[9]: ansible-ansible.builtin.systemd Invoked with name=nginx state=restarted":                             {"", "ansible.builtin.systemd", "ansible", "", []string{"nginx"}},
		"sudo: pam_unix(sudo:auth): authentication failure; logname= uid=1001 euid=0 tty= ruser=alice rhost=  user=alice": {"alice", "authenticate", "sudo", "authentication failure", nil},
		"su[1]: pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1001)":                             {"alice", "session opened", "su", "", []string{"root"}},
		"unknown[1]: says something":                                                                                      {},
	} {
		check(t, at+line, want)
	}
}

func TestRecordedDatagrams(t *testing.T) {
	counts := map[string]int{}
	for _, line := range lines(t, "datagrams.txt") {
		got, err := parser().Parse(line)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v", line, err)
		}
		if got[0].Attributes["app"] == "sudo" && strings.HasPrefix(got[0].Via, "sudo as") {
			if got[0].Actor != "alice" {
				t.Errorf("%s: actor %q", line, got[0].Actor)
			}
			counts[got[0].Action]++
		}
	}
	// The second tee and the second id are in sudo's JSON.
	for action, n := range map[string]int{"tee": 2, "id": 2, "ls": 1, "sh": 1, "env": 1, "visudo": 1} {
		if counts[action] != n {
			t.Errorf("%s: %d times, want %d (%v)", action, counts[action], n, counts)
		}
	}
}

func TestRecordedSudoLogs(t *testing.T) {
	for name, want := range map[string][]said{
		"sudo.log": {
			{"alice", "tee", "sudo as root", "", []string{"/tmp/srec/nginx.conf"}},
			{"alice", "id", "sudo as nobody", "", nil},
			{"alice", "cat", "sudo as root", "a password is required", []string{"/etc/shadow"}},
			{"alice", "ls", "sudo as root", "", []string{"/etc/ssl"}},
			{"alice", "sh", "sudo as root", "", []string{"/etc/sysctl.d/x.conf"}},
			{"alice", "env", "sudo as root", "", nil},
			{"alice", "visudo", "sudo as root", "1 incorrect password attempt", nil},
			{"alice", "visudo", "sudo as root", "command not allowed", nil},
		},
		"sudo-json.log": {
			{"alice", "tee", "sudo as root", "", []string{"/tmp/srec/nginx.conf"}},
			{"alice", "cat", "sudo as root", "a password is required", []string{"/etc/shadow"}},
			{"alice", "id", "sudo as nobody", "", nil},
		},
	} {
		f, err := os.Open("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, bad := parser().ParseSudoLog(f)
		f.Close()
		if len(bad) > 0 || len(got) != len(want) {
			t.Errorf("%s: %d records, %v", name, len(got), bad)
			continue
		}
		for i, w := range want {
			r := got[i]
			if r.Actor != w.actor || r.Action != w.action || r.Via != w.via || r.Failed != w.failed || !slices.Equal(r.Targets, w.targets) {
				t.Errorf("%s, event %d: %+v, want %q", name, i+1, r, w)
			}
			if r.Time.Sub(now).Abs() > time.Minute {
				t.Errorf("%s, event %d: time %v", name, i+1, r.Time)
			}
		}
	}
}

func TestTimes(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	for _, c := range []struct {
		line string
		now  time.Time
		want time.Time
		note bool
	}{
		{"<13>Dec 31 23:59:59 h app: x", time.Date(2027, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(2026, 12, 31, 22, 59, 59, 0, time.UTC), false},
		{"<13>Feb 29 10:00:00 h app: x", time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 2, 29, 9, 0, 0, 0, time.UTC), false},
		{"<13>Nov 27 13:10:00 h app: x", now, now.Add(48 * time.Hour), true},
		{"<13>1 2026-11-25T13:10:00.5+01:00 h app 7 ID [a@1 b=\"c\"] x", now, now.Add(500 * time.Millisecond), false},
		{"<13>1 - h app - - - x", now, now, true},
		{"2026-11-25T13:10:00+01:00 h app[1]: x", now, now, false},
	} {
		got, err := NewParser("in", berlin, func() time.Time { return c.now }).Parse([]byte(c.line))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if r := got[0]; !r.Time.Equal(c.want) || (r.Attributes["time_note"] != "") != c.note || r.Attributes["app"] != "app" || r.Message != "x" {
			t.Errorf("%s: %+v", c.line, r)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	got, err := parser().Parse([]byte(`<13>Nov 25 12:09:37 h sudo: alice : PWD=/ ; USER=root ; ENV=DB_PASSWORD=hunter2 ; COMMAND=/usr/bin/env API_TOKEN=s3cr3t true`))
	if err != nil {
		t.Fatal(err)
	}
	text := got[0].Message + got[0].Action + strings.Join(got[0].Targets, " ")
	for _, v := range got[0].Attributes {
		text += v
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, "s3cr3t") {
		t.Errorf("a secret is left: %s", text)
	}
}

func TestBadInput(t *testing.T) {
	for _, line := range []string{"no syslog at all", "<13>", "<999>1 - - - - - -", "\x00\x01\x02", "{", "{}", `{"accept":3}`, strings.Repeat("x", MaxMessage+1)} {
		if got, err := parser().Parse([]byte(line)); err == nil {
			t.Errorf("%.20q: no error, %+v", line, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range lines(f, "datagrams.txt") {
		f.Add(line)
	}
	f.Add([]byte(`<13>1 2026-11-25T13:10:00.5+01:00 h app 7 ID [a@1 b="c\]"] x`))
	f.Add([]byte("Nov 25 12:09:37 : alice : PWD=/ ; USER=root ; COMMAND=/bin/sh -c 'a"))
	p := parser()
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := p.Parse(line)
		if err != nil && len(got) > 0 {
			t.Fatal("both records and an error")
		}
		for i := range got {
			if err := got[i].Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// BenchmarkParse uses all cores, with a parser each, as several senders do.
func BenchmarkParse(b *testing.B) {
	all := lines(b, "datagrams.txt")
	b.RunParallel(func(pb *testing.PB) {
		p := parser()
		for i := 0; pb.Next(); i++ {
			if _, err := p.Parse(all[i%len(all)]); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
