//go:build linux

// Package lab tests the lab itself: that the real servers come up as the play
// declares, that a scenario does to them what it says and nothing else, that
// who did it is in a real log, and that nothing is left behind.
//
// It needs root and the packages that lab/packages installs. Without them it is
// skipped, or fails where REQUIRE_TOOLS=1.
package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lab is one that runs.
type lab struct {
	t   *testing.T
	dir string
	env map[string]string // lab.env
}

func TestLab(t *testing.T) {
	l := up(t)

	t.Run("declared", func(t *testing.T) { l.on(t).wantClean() })
	t.Run("A makes latency collapse", func(t *testing.T) { l.on(t).latency() })
	t.Run("B gives 503s", func(t *testing.T) { l.on(t).errors() })
	t.Run("settings", func(t *testing.T) { l.on(t).settings() })
	t.Run("innocent changes repeat", func(t *testing.T) { l.on(t).innocent() })
	t.Run("G is load alone", func(t *testing.T) { l.on(t).load() })
	t.Run("reset is what is declared", func(t *testing.T) { l.on(t).wantClean() })
	t.Run("down leaves nothing", func(t *testing.T) { l.on(t).down() })
}

func up(t *testing.T) lab {
	t.Helper()
	missing := ""
	if os.Getuid() != 0 {
		missing = "the lab needs root"
	} else if out, err := exec.Command("./packages", "--check").CombinedOutput(); err != nil {
		missing = string(out)
	}
	if missing != "" {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	// Not t.TempDir: the servers run as users of their own, who could not reach it.
	dir, err := os.MkdirTemp("", "penumbra-lab-")
	if err != nil {
		t.Fatal(err)
	}
	l := lab{t: t, dir: dir}
	t.Cleanup(func() {
		if out, err := exec.Command("./down", dir).CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
		os.RemoveAll(dir)
	})
	began := time.Now()
	l.run("./up", dir)
	t.Logf("up in %s", time.Since(began).Round(100*time.Millisecond))
	l.env = map[string]string{}
	for line := range strings.Lines(l.read(filepath.Join(dir, "lab.env"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		l.env[name] = value
	}
	return l
}

func (l lab) on(t *testing.T) lab { l.t = t; return l }

func (l lab) run(name string, args ...string) string {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LAB="+l.dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, &errs)
	}
	return strings.TrimSpace(string(out))
}

func (l lab) read(name string) string {
	l.t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

func (l lab) sql(text string) string {
	l.t.Helper()
	return l.run("./as", "penumbra", "psql", "-qXAt", "-c", text)
}

// ask returns the value of a PromQL expression that has one, NaN for none.
func (l lab) ask(expression string) float64 {
	l.t.Helper()
	answer, err := http.Get(l.env["PROMETHEUS_URL"] + "/api/v1/query?" + url.Values{"query": {expression}}.Encode())
	if err != nil {
		l.t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		l.t.Fatal(err)
	}
	if len(body.Data.Result) != 1 {
		return math.NaN()
	}
	value, err := strconv.ParseFloat(fmt.Sprint(body.Data.Result[0].Value[1]), 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return value
}

// await asks until the value is wanted. The servers' clock is the real one, so
// it gives up after half a minute.
func (l lab) await(expression string, wanted func(float64) bool) float64 {
	l.t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	last := math.NaN()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-again.C {
		if last = l.ask(expression); wanted(last) {
			return last
		}
	}
	l.t.Fatalf("%s stays at %v", expression, last)
	return last
}

// wantClean fails unless check mode looks at all hosts and would change nothing.
func (l lab) wantClean() {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), "ansible-playbook", "site.yml", "--check", "--diff")
	cmd.Dir = filepath.Dir(l.env["PLAYBOOK"])
	cmd.Env = append(os.Environ(), "ANSIBLE_STDOUT_CALLBACK=json")
	out, err := cmd.Output()
	if err != nil {
		l.t.Fatalf("ansible-playbook: %v\n%s", err, out)
	}
	var result struct {
		Stats map[string]struct{ OK, Changed, Failures, Skipped, Unreachable int }
	}
	if err := json.Unmarshal(out, &result); err != nil {
		l.t.Fatal(err)
	}
	for _, host := range []string{"db1", "web1"} {
		if s := result.Stats[host]; s.OK == 0 || s.Changed+s.Failures+s.Skipped+s.Unreachable != 0 {
			l.t.Errorf("%s: %+v", host, s)
		}
	}
}

const slowest = "max(rate(pg_stat_statements_seconds_total[5s]) / rate(pg_stat_statements_calls_total[5s]))"

func (l lab) latency() {
	before := l.await(slowest, func(v float64) bool { return v > 0 })
	l.run("scenario/a")
	after := l.await(slowest, func(v float64) bool { return v >= 10*before })
	l.t.Logf("%.2f ms -> %.1f ms", 1000*before, 1000*after)
	if got := l.actor("ALTER SYSTEM SET work_mem = '64kB'"); got != "alice by psql" {
		l.t.Errorf("the log says %q", got)
	}
	l.run("scenario/reset")
	if got := l.sql("SHOW work_mem"); got != "4MB" {
		l.t.Errorf("work_mem is %s after reset", got)
	}
	l.await(slowest, func(v float64) bool { return v < after/5 })
}

// actor returns who made a statement by what program, from the server's log.
func (l lab) actor(statement string) string {
	l.t.Helper()
	for line := range strings.Lines(l.read(l.env["POSTGRES_LOG"])) {
		var r struct {
			User        string
			Application string `json:"application_name"`
			Message     string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			l.t.Fatalf("%v in %s", err, line)
		}
		if r.Message == "statement: "+statement {
			return r.User + " by " + r.Application
		}
	}
	return ""
}

const share = `sum(rate(nginx_responses_total{status="503"}[5s])) / sum(rate(nginx_responses_total[5s]))`

func (l lab) errors() {
	l.await(`sum(rate(nginx_responses_total{status="200"}[5s]))`, func(v float64) bool { return v > 1 })
	if got := l.ask(`sum(nginx_responses_total{status=~"5.."})`); got > 0 {
		l.t.Fatalf("%v errors before the edit", got)
	}
	l.run("scenario/b")
	l.await(share, func(v float64) bool { return v > 0.5 })
	if log := l.read(l.env["SUDO_LOG"]); !strings.Contains(log, " : alice : ") || !strings.Contains(log, l.env["NGINX_CONF"]) {
		l.t.Errorf("sudo's log does not say who:\n%s", log)
	}
	l.run("scenario/reset")
	l.await(share, func(v float64) bool { return v == 0 })
}

// settings plays those whose outcome is in pg_settings.
func (l lab) settings() {
	pending := "SELECT setting || ' ' || pending_restart FROM pg_settings WHERE name = 'shared_buffers'"
	file := "SELECT setting FROM pg_file_settings WHERE name = 'shared_buffers' ORDER BY seqno DESC LIMIT 1"
	for _, c := range []struct{ run, query, want string }{
		{"c-night", "SHOW maintenance_work_mem", "256MB"},
		{"c-morning", "SHOW maintenance_work_mem", "64MB"},
		{"d-step", "SHOW work_mem", "5MB"},
		{"d-step", "SHOW work_mem", "6MB"},
		{"e", "SHOW fsync", "off"},
		{"f", pending, "8192 true"},
		{"f", file, "128MB"},
		{"h", "SHOW work_mem", "4MB"},
	} {
		l.run("scenario/" + c.run)
		l.awaitSQL(c.query, c.want)
	}
	for statement, want := range map[string]string{
		"ALTER SYSTEM SET maintenance_work_mem = '256MB'": "autotune by autotune",
		"ALTER SYSTEM SET work_mem = '5120kB'":            "alice by psql",
		"ALTER SYSTEM SET work_mem = '6144kB'":            "bob by psql",
		"ALTER SYSTEM SET fsync = off":                    "bob by psql",
		"ALTER SYSTEM SET work_mem = '4MB'":               "alice by psql",
	} {
		if got := l.actor(statement); got != want {
			l.t.Errorf("%s: the log says %q, want %q", statement, got, want)
		}
	}
	l.run("scenario/reset")
	l.wantReset()
	l.awaitSQL(pending, "8192 false")
	l.awaitSQL("SHOW fsync", "on")
}

// awaitSQL asks until the server has taken in what was written: the postmaster
// reloads when it gets round to it.
func (l lab) awaitSQL(query, want string) {
	l.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var got string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-again.C {
		if got = l.sql(query); got == want {
			return
		}
	}
	l.t.Errorf("%s gives %s, want %s", query, got, want)
}

func (l lab) wantReset() {
	l.t.Helper()
	if got, want := l.run("scenario/written"), l.read(filepath.Join(l.dir, "declared.settings")); got+"\n" != want {
		l.t.Errorf("written after reset:\n%s\nwant:\n%s", got, want)
	}
	if l.read(l.env["NGINX_CONF"]) != l.read(l.env["NGINX_CONF"]+".declared") {
		l.t.Error("nginx.conf is not as declared after reset")
	}
}

func (l lab) innocent() {
	first := l.run("scenario/innocent", "20", "7", "0") // all there are
	if got := strings.Count(first, "\n") + 1; got != 20 {
		l.t.Errorf("%d changes:\n%s", got, first)
	}
	l.run("scenario/reset")
	l.wantReset()
	if again := l.run("scenario/innocent", "20", "7", "0"); again != first {
		l.t.Errorf("the same seed gave\n%s\nand\n%s", first, again)
	}
	l.run("scenario/reset")
	l.wantReset()
}

func (l lab) load() {
	rate := `sum(rate(pg_stat_statements_calls_total[5s]))`
	before := l.await(rate, func(v float64) bool { return v > 0 })
	l.run("scenario/g", "60", "20")
	l.await(rate, func(v float64) bool { return v > 2*before })
	l.wantReset() // no setting was touched
	l.run("scenario/reset")
}

func (l lab) down() {
	recorded, err := filepath.Glob(filepath.Join(l.dir, "pids", "*"))
	if err != nil {
		l.t.Fatal(err)
	}
	if got := l.processes(); len(recorded) == 0 || len(got) < len(recorded) {
		l.t.Fatalf("%d processes are recorded, and of these are seen:\n%s", len(recorded), strings.Join(got, "\n"))
	}
	l.run("./down", l.dir)
	l.run("./down", l.dir)
	if left := l.processes(); len(left) != 0 {
		l.t.Errorf("still there:\n%s", strings.Join(left, "\n"))
	}
	if _, err := os.Stat(l.env["SUDOERS"]); !os.IsNotExist(err) {
		l.t.Errorf("the sudoers file: %v", err)
	}
	others, err := filepath.Glob("/etc/sudoers.d/penumbra-lab-*")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, who := range []string{"alice", "bob"} {
		if u, err := user.Lookup(who); err == nil && u.Name == "penumbra lab" && len(others) == 0 {
			l.t.Errorf("user %s is still there", who)
		}
	}
}

// processes returns the command lines of the lab's processes. Some have the
// folder there, some have LAB in their environment, and the children of
// PostgreSQL and nginx, which overwrite both, work in the folder.
func (l lab) processes() []string {
	l.t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		l.t.Fatal(err)
	}
	var found []string
	for _, folder := range folders {
		// A process that has ended meanwhile, or the kernel's own, has none of these.
		command, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		environment, _ := os.ReadFile(filepath.Join(folder, "environ"))
		works, _ := os.Readlink(filepath.Join(folder, "cwd"))
		if bytes.Contains(command, []byte(l.dir)) || bytes.Contains(environment, []byte("LAB="+l.dir+"\x00")) || strings.HasPrefix(works, l.dir) {
			found = append(found, filepath.Base(folder)+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return found
}
