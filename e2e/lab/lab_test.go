//go:build linux

// Package lab watches the lab's real servers with the real program and plays the
// scenarios of lab/README.md: PostgreSQL, nginx, Prometheus and Ansible on
// loopback, people who act on them, and a daemon that is told of none of it.
// What each scenario must come to is asserted; how long it took is logged, and
// printed as a table with -v. Figures that are kept are in docs/lab.md.
//
// Each test has a lab and a daemon of its own, so that none learns from another.
// It needs root and the packages that lab/packages installs. Without them all is
// skipped, or fails where REQUIRE_TOOLS=1. LAB_REPEATS is how often scenario A
// is played among others, 3 if unset, LAB_SPAN within how many seconds those are, 60
// if unset.
package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
)

const (
	scripts = "../../lab"
	// patience bounds whatever is waited for. Detection takes below a second or
	// a few, as the table shows; a loaded machine must not fail the test.
	patience = 90 * time.Second
	// every is how often something is asked again that is waited for.
	every = 20 * time.Millisecond

	database penumbra.Address = "lab/db1/postgresql"
)

var (
	program string // the penumbra binary
	missing string // why there can be no lab here, "" if there can
)

func TestMain(m *testing.M) {
	flag.Parse()
	work, err := os.MkdirTemp("", "penumbra-e2e-lab-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/lab:", err)
		os.Exit(1)
	}
	if os.Getuid() != 0 {
		missing = "the lab needs root"
	} else if out, err := exec.Command(scripts+"/packages", "--check").CombinedOutput(); err != nil {
		missing = string(out)
	}
	if missing == "" && !testing.Short() {
		program = filepath.Join(work, "penumbra")
		if out, err := exec.Command("go", "build", "-o", program, "../../cmd/penumbra").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e/lab: %v\n%s", err, out)
			os.Exit(1)
		}
	}
	// A lab at rest takes a twentieth of a core: several fit beside each other,
	// and most of a scenario is waiting.
	_ = flag.Set("test.parallel", cmp.Or(os.Getenv("LAB_PARALLEL"), "3"))
	code := m.Run()
	if testing.Verbose() {
		table.print()
	}
	os.RemoveAll(work)
	os.Exit(code)
}

// lab is a set of real servers that runs, with a daemon that watches it.
type lab struct {
	t      *testing.T
	dir    string
	data   string // the daemon's
	env    map[string]string
	client *api.Client
	stop   func() // ends the daemon
}

// newLab sets up servers of the test's own, beside those of other tests. The config's
// options are those of lab/config.
func newLab(t *testing.T, options ...string) *lab {
	t.Helper()
	t.Parallel()
	return newLabAlone(t, options...)
}

// newLabAlone sets up servers that have the machine to themselves if no other test
// runs: what is told of their performance would otherwise be that of the others.
func newLabAlone(t *testing.T, options ...string) *lab {
	t.Helper()
	if missing != "" {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	if testing.Short() {
		t.Skip("takes minutes")
	}
	// Not t.TempDir: the servers run as users of their own, who could not reach it.
	dir, err := os.MkdirTemp("", "penumbra-lab-")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: dir, data: t.TempDir(), env: map[string]string{}}
	t.Cleanup(func() {
		if out, err := exec.Command(scripts+"/down", dir).CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
		os.RemoveAll(dir)
	})
	l.run("up", dir)
	for line := range strings.Lines(l.read(filepath.Join(dir, "lab.env"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		l.env[name] = value
	}
	l.run("config", append([]string{dir}, options...)...)
	return l
}

// run runs one of the lab's scripts and returns what it prints.
func (l *lab) run(name string, args ...string) string {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), filepath.Join(scripts, name), args...)
	cmd.Env = append(os.Environ(), "LAB="+l.dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, &errs)
	}
	return strings.TrimSpace(string(out))
}

func (l *lab) read(name string) string {
	l.t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

func (l *lab) nginxFile() penumbra.Address {
	return penumbra.Address("lab/web1/file[" + l.env["NGINX_CONF"] + "]")
}

// watch starts a daemon on the lab and waits until it knows both resources. It
// ends with the test.
func (l *lab) watch(args ...string) {
	l.t.Helper()
	l.serve(args...)
	l.await("both resources in sync", func() bool {
		resources, err := l.client.Resources(l.t.Context(), "lab")
		return err == nil && len(resources) == 2 && !slices.ContainsFunc(resources, func(r penumbra.ResourceStatus) bool {
			return r.Verdict != penumbra.InSync || r.Declared == 0 || r.Snapshot.IsZero()
		})
	})
}

// serve starts a daemon on the lab. It ends with the test, or by l.stop.
func (l *lab) serve(args ...string) {
	l.t.Helper()
	log, err := os.OpenFile(filepath.Join(l.data, "serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"serve", "--verbose", "--config", filepath.Join(l.dir, "penumbra.yaml"), "--data", l.data}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, l.dir
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			l.t.Errorf("the daemon ended with %v", err)
		}
		log.Close()
		_ = os.Remove(filepath.Join(l.data, "daemon.json")) // of the one that ended
	})
	stop := l.stop
	l.t.Cleanup(func() {
		stop()
		if l.t.Failed() {
			l.t.Logf("the daemon said:\n%s", l.read(log.Name()))
		}
	})
	var daemon struct{ URL string }
	l.await("the daemon's address", func() bool {
		text, err := os.ReadFile(filepath.Join(l.data, "daemon.json"))
		return err == nil && json.Unmarshal(text, &daemon) == nil
	})
	l.client = api.NewClient(daemon.URL, strings.TrimSpace(l.read(filepath.Join(l.data, "token"))))
}

// await asks until something is so.
func (l *lab) await(what string, is func() bool) {
	l.t.Helper()
	l.awaitFor(patience, what, is)
}

// awaitFor asks until something is so that may take longer.
func (l *lab) awaitFor(patience time.Duration, what string, is func() bool) {
	l.t.Helper()
	again := time.NewTicker(every)
	defer again.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-again.C {
		if is() {
			return
		}
	}
	if l.client == nil {
		l.t.Fatalf("not within %s: %s", patience, what)
	}
	drifts, _ := l.client.Drifts(context.WithoutCancel(l.t.Context()), penumbra.DriftQuery{})
	text, _ := json.MarshalIndent(drifts, "", " ")
	anomalies, _ := l.client.Anomalies(context.WithoutCancel(l.t.Context()), penumbra.AnomalyQuery{})
	inputs, _ := l.client.Inputs(context.WithoutCancel(l.t.Context()))
	l.t.Fatalf("not within %s: %s\nthe drifts are %s\nthe anomalies %+v\nthe inputs %+v", patience, what, text, anomalies, inputs)
}

// usual waits until the monitor has seen enough of the metrics at rest.
func (l *lab) usual() {
	l.t.Helper()
	l.await("enough values of each metric", func() bool {
		inputs := l.inputs()
		return inputs["database"].Points >= 3*50 && inputs["web"].Points >= 50
	})
	if found := l.anomalies(); len(found) > 0 {
		l.t.Logf("at rest there were already %d anomalies: %s of %s and so on", len(found), found[0].Kind, found[0].Metric)
	}
}

func (l *lab) inputs() map[string]penumbra.InputStatus {
	l.t.Helper()
	inputs, err := l.client.Inputs(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]penumbra.InputStatus{}
	for _, in := range inputs {
		out[in.Name] = in
	}
	return out
}

func (l *lab) drifts() []penumbra.Drift {
	l.t.Helper()
	drifts, err := l.client.Drifts(l.t.Context(), penumbra.DriftQuery{})
	if err != nil {
		l.t.Fatal(err)
	}
	return drifts
}

func (l *lab) anomalies() []penumbra.Anomaly {
	l.t.Helper()
	anomalies, err := l.client.Anomalies(l.t.Context(), penumbra.AnomalyQuery{})
	if err != nil {
		l.t.Fatal(err)
	}
	return anomalies
}

// drift waits for a drift on a setting, such as is wanted, and returns it with
// the time at which a user could see it.
func (l *lab) drift(resource penumbra.Address, path string, wanted func(*penumbra.Drift) bool) (penumbra.Drift, time.Time) {
	l.t.Helper()
	var found penumbra.Drift
	var seen time.Time
	l.await(fmt.Sprintf("a drift of %s.%s as wanted", resource, path), func() bool {
		for _, d := range l.drifts() {
			if _, has := d.Finding(path); has && d.Resource == resource && wanted(&d) {
				found, seen = d, time.Now()
				return true
			}
		}
		return false
	})
	return found, seen
}

func anyDrift(*penumbra.Drift) bool { return true }

// told tells drifts that are put down to somebody: a look may be quicker than the log.
func told(d *penumbra.Drift) bool { return d.Cause.Actor != "" }

// drifted tells drifts that go on and are not only foreseen.
func drifted(d *penumbra.Drift) bool { return d.Active() && d.Verdict.IsDrift() }

// wantDrift holds a drift against what a scenario must come to.
func (l *lab) wantDrift(d *penumbra.Drift, path string, verdict penumbra.Verdict, actor string, kind penumbra.ActorKind) {
	l.t.Helper()
	if f, _ := d.Finding(path); f.Verdict != verdict {
		l.t.Errorf("%s is %s, want %s", path, f.Verdict, verdict)
	}
	if d.Cause.Actor != actor || d.Cause.ActorKind != kind {
		l.t.Errorf("put down to %s (%s), want %s (%s)", d.Cause.Actor, d.Cause.ActorKind, actor, kind)
	}
}

// rank returns at which place, from 1, a change is among what may have caused an
// anomaly, 0 if it is not there, and with which probability.
func (l *lab) rank(anomaly string, resource penumbra.Address, path string) (int, float64) {
	l.t.Helper()
	found, err := l.client.Anomalies(l.t.Context(), penumbra.AnomalyQuery{ID: anomaly})
	if err != nil {
		l.t.Fatal(err)
	}
	for i, s := range found[0].Suspects {
		if s.Resource == resource && s.Path == path {
			return i + 1, s.Probability
		}
	}
	return 0, 0
}

// impact returns what a drift made of a metric that got worse.
func impact(d *penumbra.Drift, metric string) (x penumbra.Impact, found bool) {
	i := slices.IndexFunc(d.Impact, func(x penumbra.Impact) bool { return x.Metric == metric && x.Worse })
	if i < 0 {
		return penumbra.Impact{}, false
	}
	return d.Impact[i], true
}

// critical tells drifts that are critical and made a metric so many times worse at least.
func critical(metric string, times float64) func(*penumbra.Drift) bool {
	return func(d *penumbra.Drift) bool {
		x, found := impact(d, metric)
		return d.Critical && found && x.After >= times*x.Before
	}
}

// alert is when one of Prometheus's own alerts fired.
type alert struct {
	at  time.Time
	err error
}

// alert begins to wait for one of Prometheus's own alerts.
func (l *lab) alert(name string) <-chan alert {
	fired := make(chan alert, 1)
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	go func() {
		defer cancel()
		at, err := l.firing(ctx, name)
		fired <- alert{at, err}
	}()
	return fired
}

// firing waits for one of Prometheus's own alerts and returns when it fired.
func (l *lab) firing(ctx context.Context, alert string) (time.Time, error) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		on, err := l.fires(ctx, alert)
		if on || err != nil {
			return time.Now(), err
		}
		select {
		case <-ctx.Done():
			return time.Time{}, errors.Join(ctx.Err(), fmt.Errorf("alert %s did not fire", alert))
		case <-again.C:
		}
	}
}

func (l *lab) fires(ctx context.Context, alert string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.env["PROMETHEUS_URL"]+"/api/v1/alerts", nil)
	if err != nil {
		return false, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	var body struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return false, err
	}
	for _, a := range body.Data.Alerts {
		if a.Labels["alertname"] == alert && a.State == "firing" {
			return true, nil
		}
	}
	return false, nil
}

// penumbra runs a verb of the program against the daemon and returns what it
// prints.
func (l *lab) penumbra(args ...string) string {
	l.t.Helper()
	out, err := exec.CommandContext(l.t.Context(), program, append(args, "--config", filepath.Join(l.dir, "penumbra.yaml"), "--data", l.data)...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("penumbra %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// table is what was measured, for docs/lab.md.
var table figures

type figures struct {
	mu   sync.Mutex
	rows [][]string
}

func (f *figures) add(t *testing.T, row ...string) {
	t.Helper()
	t.Log(strings.Join(row, " | "))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, row)
}

func (f *figures) print() {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortFunc(f.rows, slices.Compare)
	fmt.Println("\n| scenario | verdict | actor | time to detect | critical | ranked cause |\n|---|---|---|---|---|---|")
	for _, r := range f.rows {
		fmt.Println("| " + strings.Join(r, " | ") + " |")
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
