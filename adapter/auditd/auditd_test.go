package auditd

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

var testKey = penumbra.Key("a key for tests")

// people is the passwd of the tests.
func people(uid string) string {
	return map[string]string{"0": "root", "33": "www-data", "1501": "alice"}[uid]
}

// read parses lines to the end of the log.
func read(t *testing.T, text string) (records []penumbra.Record, errs []error) {
	t.Helper()
	p := New(testKey, "host", people)
	for line := range strings.SplitSeq(text, "\n") {
		r, err := p.Parse([]byte(line))
		records = append(records, r...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	records = append(records, p.Flush(time.Time{})...)
	for i := range records {
		if err := records[i].Check(); err != nil {
			t.Errorf("%s: %v", records[i].ID, err)
		}
	}
	return records, errs
}

// line writes a record as a test reads it.
func line(r *penumbra.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", r.Actor, r.ActorKind, r.Action)
	for _, t := range r.Targets {
		fmt.Fprintf(&b, " %q", strings.TrimPrefix(t, "/srv/penumbra-audit/nginx/"))
	}
	for _, s := range r.Settings {
		fmt.Fprintf(&b, " %s=%s", s.Path, strings.Replace(s.Value.String(), "(known after apply)", "?", 1))
	}
	if r.Failed != "" {
		b.WriteString(" failed " + r.Failed)
	}
	if r.ReadOnly {
		b.WriteString(" read-only")
	}
	return b.String()
}

// The log in testdata was recorded by auditd 3.0.9 on Linux 6.18 while a script
// did what the lines say, as root in a session whose login was alice's.
var recorded = strings.Split(`alice user LOGIN read-only
alice user create "nginx.conf" content=?
alice user write "nginx.conf" content=?
alice user chmod "nginx.conf" mode="0600"
alice user chown "nginx.conf" group=1501 owner="alice"
alice user rename "nginx.conf.bak" "nginx.conf" content=?
alice user create "nginx.conf" content=?
alice user mkdir "conf.d"
alice user create "conf.d/a b.conf" content=?
alice user create "conf.d/é.conf" content=?
alice user symlink "link.conf"
alice user link "hard.conf" "nginx.conf"
alice user write "nginx.conf" content=?
alice user create "sedXXXXXX" content=?
alice user chown "sedXXXXXX" group=0 owner="root"
alice user setxattr "sedXXXXXX"
alice user rename "nginx.conf" "sedXXXXXX" content=?
alice user write "nginx.conf" content=?
alice user unlink "conf.d/a b.conf"
alice user unlink "conf.d/é.conf"
alice user unlink "link.conf"
alice user unlink "hard.conf"
alice user rmdir "conf.d"
alice user mkdir "old"
alice user create "old/q.conf" content=?
alice user unlink "old/q.conf"
alice user rmdir "old"
alice user execute "/usr/bin/install" "/lib64/ld-linux-x86-64.so.2" read-only
alice user create "site with space.conf" content=?
alice user setxattr "site with space.conf"
alice user chmod "site with space.conf" mode="0640"
alice user unlink "site with space.conf"
alice user create "by-fd.conf" content=?
alice user chmod "by-fd.conf" mode="0640"
alice user unlink "by-fd.conf"
alice user write "nginx.conf" content=? failed EACCES
alice user setxattr "nginx.conf"
python3.11 system write "nginx.conf" content=?
alice user LOGIN read-only
alice user USER_ACCT read-only
alice user USER_CMD "nginx" "nginx.service"
alice user CRED_REFR read-only
alice user USER_START read-only
alice user USER_END read-only
alice user CRED_DISP read-only
alice user USER_CMD "/etc/shadow" failed failed
alice user USER_ERR failed failed read-only
alice user USER read-only`, "\n")

func TestRecordedLog(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"raw.log", "enriched.log"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			records, errs := read(t, string(data))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			var got []string
			for i := range records {
				text := line(&records[i])
				if at := strings.Index(text, `"sed`); at >= 0 { // a name that sed made up
					text = text[:at] + `"sedXXXXXX"` + text[at+len(`"sedXXXXXX"`):]
				}
				got = append(got, text)
			}
			// How many rules auditctl changed differs between the two.
			got = slices.DeleteFunc(got, func(s string) bool { return s == "auditctl system CONFIG_CHANGE" })
			if diff := cmp.Diff(recorded, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNames holds that an enriched log needs no lookup.
func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"enriched.log": "alice", "raw.log": "uid 1501"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		p := New(testKey, "host", nil)
		found := false
		for l := range bytes.SplitSeq(data, []byte("\n")) {
			records, err := p.Parse(l)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				found = found || r.Actor == want && r.Action == "rename"
			}
		}
		if !found {
			t.Errorf("%s: no rename by %q", name, want)
		}
	}
}

// write returns the lines of an event that opens a file to write.
func write(second, serial int, more string) []string {
	id := fmt.Sprintf("msg=audit(%d.250:%d): ", 1_772_356_364+second, serial)
	return []string{
		"type=SYSCALL " + id + `arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=55d1 a2=241 a3=1b6 items=2 ppid=9 pid=10 auid=1501 uid=0 gid=0 tty=pts0 ses=4 comm="vim" exe="/usr/bin/vim.basic" key="etc"` + more,
		"type=CWD " + id + `cwd="/etc/nginx"`,
		"type=PATH " + id + `item=0 name="/etc/nginx/" inode=1 dev=fe:00 nametype=PARENT`,
		"type=PATH " + id + fmt.Sprintf(`item=1 name="site%d.conf" inode=%d dev=fe:00 nametype=NORMAL`, serial, serial+10),
		"type=PROCTITLE " + id + "proctitle=" + strings.ToUpper(hex.EncodeToString([]byte("vim\x00--token=hunter2hunter2"))),
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	records, errs := read(t, strings.Join(write(0, 7, ""), "\n"))
	if len(records) != 1 || len(errs) != 0 {
		t.Fatalf("%d records, %v", len(records), errs)
	}
	want := penumbra.Record{
		Time: time.Date(2026, 3, 1, 9, 12, 44, 250_000_000, time.UTC), Format: "auditd", Input: "host", ID: "1772356364.250:7",
		Actor: "alice", ActorKind: penumbra.User, Via: "/usr/bin/vim.basic on pts0", Action: "write", Targets: []string{"/etc/nginx/site7.conf"},
		Settings: penumbra.NewSettings(penumbra.Setting{Path: "content", Value: penumbra.Unknown()}), Message: "vim --token=[redacted]",
		Attributes: map[string]string{
			"key": "etc", "comm": "vim", "exe": "/usr/bin/vim.basic", "pid": "10", "session": "4", "user": "root", "syscall": "openat", "actor_reason": "the login",
		},
	}
	if diff := cmp.Diff(want, records[0], cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	const head = "msg=audit(1772356364.250:9): pid=1 uid=0 auid=%s ses=4 msg='"
	tests := []struct{ name, text, want string }{
		{"a service", `type=SERVICE_START ` + fmt.Sprintf(head, unset) + `unit=nginx comm="systemd" exe="/usr/lib/systemd/systemd" hostname=? addr=? terminal=? res=success'`, `systemd system SERVICE_START "nginx" "nginx.service"`},
		{"a service that failed", `type=SERVICE_STOP ` + fmt.Sprintf(head, unset) + `unit=nginx comm="systemd" exe="/usr/lib/systemd/systemd" res=failed'`, `systemd system SERVICE_STOP "nginx" "nginx.service" failed failed`},
		{"sudo with paths", `type=USER_CMD ` + fmt.Sprintf(head, "1501") + `cwd="/etc/nginx" cmd=` + strings.ToUpper(hex.EncodeToString([]byte("/usr/bin/cp ./a.conf /etc/b.conf --backup=/var/b"))) + ` exe="/usr/bin/sudo" terminal=pts/0 res=success'`, `alice user USER_CMD "/etc/nginx/a.conf" "/etc/b.conf" "/var/b"`},
		{"sudo with a secret", `type=USER_CMD ` + fmt.Sprintf(head, "1501") + `cwd="/" cmd="x --password=hunter/2 /etc/y" exe="/usr/bin/sudo" res=success'`, `alice user USER_CMD "/etc/y"`},
		{"an account", `type=ADD_USER ` + fmt.Sprintf(head, "0") + `op=add-user acct="bob" exe="/usr/sbin/useradd" res=success'`, `root user ADD_USER "bob"`},
		{"a service's account", `type=USER_CMD ` + fmt.Sprintf(head, "33") + `cwd="/" cmd="id" exe="/usr/bin/sudo" res=success'`, `www-data automation USER_CMD`},
		{"nobody known", `type=USER_CMD ` + fmt.Sprintf(head, "4711") + `cwd="/" cmd="id" exe="/usr/bin/sudo" res=success'`, `uid 4711 user USER_CMD`},
		{"a signing in", `type=USER_LOGIN ` + fmt.Sprintf(head, "1501") + `op=login id=1501 exe="/usr/sbin/sshd" hostname=203.0.113.7 res=success'`, `alice user USER_LOGIN read-only`},
		{"of another host", `node=web1 type=USER_CMD ` + fmt.Sprintf(head, "1501") + `cwd="/" cmd="id" exe="/usr/bin/sudo" res=success'`, `alice user USER_CMD`},
		{"through syslog", `Mar  1 09:12:44 web1 audisp-syslog[7]: type=USER_CMD ` + fmt.Sprintf(head, "1501") + `cwd="/" cmd="id" exe="/usr/bin/sudo" res=success'`, `alice user USER_CMD`},
		{"no SYSCALL line", `type=PATH msg=audit(1772356364.250:9): item=0 name="/etc/x" inode=4 dev=fe:00 nametype=NORMAL`, `  incomplete "/etc/x"`},
		{"another architecture", `type=SYSCALL msg=audit(1772356364.250:9): arch=40000003 syscall=5 success=yes exit=3 auid=1501 comm="x" exe="/x"`, `alice user syscall 5`},
		{"aarch64", `type=SYSCALL msg=audit(1772356364.250:9): arch=c00000b7 syscall=53 success=yes exit=0 a0=ffffffffffffff9c a1=1 a2=1a4 a3=0 auid=1501 comm="x" exe="/x"`, `alice user chmod mode="0644"`},
		{"chown of a group alone", `type=SYSCALL msg=audit(1772356364.250:9): arch=c000003e syscall=92 success=yes exit=0 a0=1 a1=ffffffff a2=21 a3=0 auid=1501 comm="x" exe="/x"`, `alice user chown group=33`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			records, errs := read(t, tt.text)
			if len(records) != 1 || len(errs) != 0 {
				t.Fatalf("%d records, %v", len(records), errs)
			}
			if got := line(&records[0]); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJoining(t *testing.T) {
	t.Parallel()
	a, b := write(0, 1, ""), write(0, 2, "")
	ids := func(records []penumbra.Record) (out []string) {
		for _, r := range records {
			_, serial, _ := strings.Cut(r.ID, ":")
			out = append(out, serial+" "+strings.Join(r.Targets, " "))
		}
		return out
	}
	whole := []string{"1 /etc/nginx/site1.conf", "2 /etc/nginx/site2.conf"}
	var mixed []string
	for i := range a {
		mixed = append(mixed, a[i], b[i])
	}
	eoe := "type=EOE msg=audit(1772356364.250:1):"
	tests := []struct {
		name  string
		lines []string
		want  []string
		bad   int
	}{
		{"one after the other", append(slices.Clone(a), b...), whole, 0},
		{"mixed", mixed, whole, 0},
		{"EOE after PROCTITLE", append(append(slices.Clone(a), eoe), b...), whole, 0},
		{"EOE for PROCTITLE", append(append(slices.Clone(a[:4]), eoe), b...), whole, 0},
		{"no end, then a later event", append(slices.Clone(a[:4]), write(3, 2, "")...), whole, 0},
		{"no end", append(slices.Clone(a[:4]), b[:4]...), whole, 0},
		{"a line too late", append(append(slices.Clone(a), a[3]), b...), whole, 1},
		{"the same number on another host", []string{a[0], "node=x " + a[0], "node=x " + a[3], a[3]}, []string{"1 site1.conf", "1 site1.conf"}, 0},
	}
	for _, tt := range tests {
		records, errs := read(t, strings.Join(tt.lines, "\n"))
		got := ids(records)
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" || len(errs) != tt.bad {
			t.Errorf("%s: %s %v", tt.name, diff, errs)
		}
	}
}

// TestInterleaving holds that it does not matter how the lines of events that
// happen at the same time come among each other.
func TestInterleaving(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := make([][]string, rapid.IntRange(1, 8).Draw(t, "events"))
		for i := range events {
			events[i] = write(0, i, "")
		}
		p := New(testKey, "host", people)
		got := map[string]string{}
		for left := len(events); left > 0; {
			i := rapid.IntRange(0, len(events)-1).Draw(t, "next")
			if len(events[i]) == 0 {
				continue
			}
			records, err := p.Parse([]byte(events[i][0]))
			if err != nil {
				t.Fatal(err)
			}
			if events[i] = events[i][1:]; len(events[i]) == 0 {
				left--
			}
			for j := range records {
				got[records[j].ID] = line(&records[j])
			}
		}
		for i := range events {
			if want := fmt.Sprintf(`alice user write "/etc/nginx/site%d.conf" content=?`, i); got[fmt.Sprintf("1772356364.250:%d", i)] != want {
				t.Fatalf("event %d: %q", i, got)
			}
		}
	})
}

// TestHosts holds that neither the clock nor the inodes of one host mean
// anything for another.
func TestHosts(t *testing.T) {
	t.Parallel()
	a, b := write(0, 1, ""), write(60, 1, "")
	var lines []string
	for i := range a {
		lines = append(lines, "node=a "+a[i], "node=b "+strings.ReplaceAll(b[i], "/etc/nginx", "/srv"))
	}
	onFile := `type=SYSCALL msg=audit(1772356370.250:2): arch=c000003e syscall=91 success=yes exit=0 a0=3 a1=1a4 auid=1501 comm="x" exe="/x"` +
		"\nnode=a type=PATH msg=audit(1772356370.250:2): item=0 name=(null) inode=11 dev=fe:00 nametype=NORMAL"
	records, errs := read(t, strings.Join(lines, "\n")+"\nnode=a "+onFile)
	if len(records) != 3 || len(errs) != 0 {
		t.Fatalf("%d records, %v", len(records), errs)
	}
	for i, want := range []string{`alice user write "/etc/nginx/site1.conf" content=?`, `alice user write "/srv/site1.conf" content=?`, `alice user chmod "/etc/nginx/site1.conf" mode="0644"`} {
		if got := line(&records[i]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFlush(t *testing.T) {
	t.Parallel()
	p := New(testKey, "host", people)
	for _, l := range write(0, 1, "")[:4] {
		if records, err := p.Parse([]byte(l)); len(records) != 0 || err != nil {
			t.Fatal(records, err)
		}
	}
	at := time.Unix(1_772_356_364, 0)
	if got := p.Flush(at.Add(Wait)); len(got) != 0 {
		t.Errorf("%d records before the time to wait is over", len(got))
	}
	if got := p.Flush(at.Add(Wait + time.Second)); len(got) != 1 {
		t.Errorf("%d records after it", len(got))
	}
	// A clock that is an hour ahead must not keep an event for an hour.
	for _, l := range write(3600, 2, "")[:4] {
		_, _ = p.Parse([]byte(l))
	}
	if got := p.Flush(at.Add(Wait)); len(got) != 1 {
		t.Errorf("%d records of a clock that is ahead", len(got))
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	p := New(testKey, "host", people)
	n := 0
	for i := range 10_000 { // events that never end
		records, err := p.Parse([]byte(write(0, i, "")[0]))
		if err != nil {
			t.Fatal(err)
		}
		n += len(records)
		if len(p.open) > maxOpen {
			t.Fatalf("%d events are open", len(p.open))
		}
	}
	if n += len(p.Flush(time.Time{})); n != 10_000 {
		t.Errorf("%d records of 10000 events", n)
	}
	lines := write(0, 1, "")
	_, _ = p.Parse([]byte(lines[0]))
	for i := range 100_000 { // an event that has too many lines
		_, _ = p.Parse(fmt.Appendf(nil, `type=PATH msg=audit(1772356364.250:1): item=0 name="/etc/%d" inode=%d dev=fe:00 nametype=NORMAL`, i, i))
	}
	records := p.Flush(time.Time{})
	if len(records) != 1 || len(records[0].Targets) > maxLines || records[0].Attributes["cut"] == "" || len(p.paths) > maxPaths {
		t.Errorf("%d records, %d paths", len(records), len(p.paths))
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	good := write(0, 1, "")
	tests := map[string]struct{ line, reason string }{
		"text":            {"hello", "no type="},
		"binary":          {"\x00\x01\xff\xfe\n", "no type="},
		"cut":             {good[0][:20], "no type="},
		"no number":       {"type=SYSCALL msg=audit(x): a=b", "cannot be read"},
		"half a number":   {"type=SYSCALL msg=audit(1772356364.250): a=b", "cannot be read"},
		"wrong clock":     {"type=SYSCALL msg=audit(12.250:7): a=b", "year 1970: a wrong clock"},
		"clock far ahead": {"type=SYSCALL msg=audit(99999999999.250:7): a=b", "a wrong clock"},
		"giant":           {good[0] + strings.Repeat("x", MaxLine), "longer than 64 KiB"},
		"a node alone":    {"node=web1", "no type="},
	}
	for name, tt := range tests {
		lines := append([]string{good[0], good[1], tt.line}, good[2:]...)
		records, errs := read(t, strings.Join(lines, "\n"))
		if len(errs) == 0 || penumbra.KindOf(errs[0]) != penumbra.Invalid || !strings.Contains(errs[0].Error(), tt.reason) || !strings.Contains(errs[0].Error(), "host") {
			t.Errorf("%s: %v, want %q", name, errs, tt.reason)
		}
		if len(records) != 1 || line(&records[0]) != `alice user write "/etc/nginx/site1.conf" content=?` {
			t.Errorf("%s: the event around it is lost: %v", name, records)
		}
	}
}

// FuzzParse reads any lines, and holds that what is read can be used and that
// nothing grows without bound.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"raw.log", "enriched.log"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:4000])
	}
	f.Add([]byte("type=USER_CMD msg=audit(1772356364.250:9): auid=1 msg='cwd=2F cmd=2F62 res=failed'"))
	f.Add([]byte("node=a type=EXECVE msg=audit(1772356364.250:9): argc=1 a0=\"x\" a1[0]=61\ntype=EOE msg=audit(1772356364.250:9):"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := New(testKey, "fuzz", nil)
		check := func(records []penumbra.Record) {
			for i := range records {
				if err := records[i].Check(); err != nil {
					t.Fatal(err)
				}
				if len(records[i].Message) > 3*maxText || len(records[i].Targets) > maxLines+2 {
					t.Fatalf("a message of %d bytes, %d targets", len(records[i].Message), len(records[i].Targets))
				}
			}
		}
		for l := range bytes.SplitSeq(data, []byte("\n")) {
			records, _ := p.Parse(l)
			check(records)
			if len(p.open) > maxOpen || len(p.paths) > maxPaths {
				t.Fatalf("%d events open, %d paths", len(p.open), len(p.paths))
			}
		}
		check(p.Flush(time.Time{}))
	})
}

// BenchmarkParse reads the recorded log again and again, one parser a core.
func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"raw", "enriched"} {
		b.Run(name, func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join("testdata", name+".log"))
			if err != nil {
				b.Fatal(err)
			}
			lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				p := New(testKey, "host", people)
				n := 0
				for pb.Next() {
					if n == len(lines) { // a new log, for the numbers begin anew
						n = 0
						p.ended = make([]string, maxEnded)
					}
					if _, err := p.Parse(lines[n]); err != nil {
						b.Error(err)
						return
					}
					n++
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
