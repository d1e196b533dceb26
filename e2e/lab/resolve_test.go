//go:build linux

package lab

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// What is found is resolved: by the play, by the code, or by a value that a person
// chose, and taken back, also by a daemon that was started anew. This covers
// PostgreSQL's settings and nginx's file through Ansible.

// proposal returns the open proposal of a kind for a drift.
func (l *lab) proposal(drift string, kind penumbra.ProposalKind) penumbra.Proposal {
	l.t.Helper()
	list, omitted, err := l.client.Proposals(l.t.Context(), drift)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, p := range list {
		if p.Kind == kind {
			return p
		}
	}
	l.t.Fatalf("no proposal to %s, but %+v; left out: %+v", kind, list, omitted)
	return penumbra.Proposal{}
}

// approve carries a proposal out and returns the run as it ended.
func (l *lab) approve(p penumbra.Proposal) penumbra.Run {
	l.t.Helper()
	approval, err := l.client.Approve(l.t.Context(), p.ID, p.Hash, "")
	if err != nil {
		l.t.Fatal(err)
	}
	if approval.Run == nil {
		l.t.Fatalf("no run starts: %+v", approval)
	}
	run := *approval.Run
	// A run has Ansible started five times or so, at a second each on its own.
	l.awaitFor(4*patience, "the end of the run", func() bool {
		runs, err := l.client.Runs(l.t.Context(), penumbra.RunQuery{ID: run.ID})
		if err != nil {
			return false
		}
		run = runs[0]
		return run.State.Ended()
	})
	return run
}

// done carries a proposal out, which must be verified.
func (l *lab) done(p penumbra.Proposal) penumbra.Run {
	l.t.Helper()
	run := l.approve(p)
	if run.State != penumbra.Done {
		l.t.Fatalf("the run to %s ended %s: %s\n%s\n%s", p.Kind, run.State, run.Outcome, p.Script, run.Log)
	}
	return run
}

// rollback takes a run back.
func (l *lab) rollback(run penumbra.Run) {
	l.t.Helper()
	p, err := l.client.Rollback(l.t.Context(), run.ID, "")
	if err != nil {
		l.t.Fatal(err)
	}
	l.done(p)
	l.await("the run marked as taken back", func() bool {
		runs, err := l.client.Runs(l.t.Context(), penumbra.RunQuery{ID: run.ID})
		return err == nil && runs[0].State == penumbra.RolledBack
	})
}

// restart ends the daemon and starts another.
func (l *lab) restart() {
	l.t.Helper()
	l.stop()
	l.serve()
}

func (l *lab) sql(query string) string {
	l.t.Helper()
	return l.run("as", "ansible", "psql", "-qXAt", "-c", query)
}

// latency is the mean of all queries in seconds, as Prometheus has it.
func (l *lab) latency() float64 {
	const query = "sum(rate(pg_stat_statements_seconds_total[5s])) / sum(rate(pg_stat_statements_calls_total[5s]))"
	answer, err := http.Get(l.env["PROMETHEUS_URL"] + "/api/v1/query?query=" + url.QueryEscape(query))
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
	if len(body.Data.Result) == 0 {
		return 0
	}
	text, _ := body.Data.Result[0].Value[1].(string)
	seconds, _ := strconv.ParseFloat(text, 64)
	return seconds
}

// A resolved in each way: the play's task brings latency back, and the way back
// takes it away again; a chosen value and an adopted one stand in the variables,
// with their comments.
func TestResolveServer(t *testing.T) {
	l := newLab(t)
	l.watch()
	vars := filepath.Join(l.dir, "ansible", "group_vars", "databases.yml")
	code := l.read(vars)
	setting := func(want string) {
		t.Helper()
		if is := l.sql("SHOW work_mem"); is != want {
			t.Fatalf("work_mem is %s, want %s", is, want)
		}
	}
	declared := func(value string) {
		t.Helper()
		if got, want := l.read(vars), strings.Replace(code, "work_mem: 4MB", "work_mem: "+value, 1); got != want {
			t.Fatalf("the variables:\n%s\nwant\n%s", got, want)
		}
	}
	var before, during float64
	l.await("latency at rest", func() bool { before = l.latency(); return before > 0 })
	l.run("scenario/a")
	d, _ := l.drift(database, "work_mem", anyDrift)
	l.await("latency at its worst", func() bool { during = l.latency(); return during > 5*before })

	p := l.proposal(d.ID, penumbra.Revert)
	for _, want := range []string{"ansible-playbook site.yml -i hosts --limit db1 --tags postgresql\n", "--check --diff"} {
		if !strings.Contains(p.Script, want) {
			t.Errorf("the script lacks %q:\n%s", want, p.Script)
		}
	}
	if p.Plan.Back == nil || p.Plan.Back.Checked == "" || len(p.Plan.Back.Lost) > 0 || !strings.Contains(p.Plan.Back.Command, `value: "64kB"`) {
		t.Errorf("the way back: %+v\n%s", p.Plan.Back, p.WayBack)
	}
	// The world moves: what was approved is not what would be done.
	l.sql("ALTER SYSTEM SET commit_delay = '7'")
	l.sql("SELECT pg_reload_conf()")
	if run := l.approve(p); run.State != penumbra.Failed || !strings.Contains(run.Outcome, "moved") {
		t.Fatalf("a run on another world ended %s: %s", run.State, run.Outcome)
	}
	setting("64kB")
	l.sql("ALTER SYSTEM SET commit_delay = '0'")
	l.sql("SELECT pg_reload_conf()")
	l.await("the other setting back", func() bool {
		return !slices.ContainsFunc(l.drifts(), func(d penumbra.Drift) bool { _, has := d.Finding("commit_delay"); return has && d.Active() })
	})

	d, _ = l.drift(database, "work_mem", drifted)
	run := l.done(l.proposal(d.ID, penumbra.Revert))
	setting("4MB")
	declared("4MB")
	l.drift(database, "work_mem", func(x *penumbra.Drift) bool { return x.ID == d.ID && x.Resolution == penumbra.Returned })
	back := 0.0
	l.await("latency back", func() bool { back = l.latency(); return back > 0 && back < during/3 })
	t.Logf("mean latency %.1f ms, %.1f ms with the drift, %.1f ms after the revert", 1000*before, 1000*during, 1000*back)

	l.restart()
	l.rollback(run)
	setting("64kB")

	d, _ = l.drift(database, "work_mem", drifted)
	custom, err := l.client.Customize(t.Context(), l.proposal(d.ID, penumbra.Revert).ID, penumbra.Edit{Values: []penumbra.Setting{{Path: "work_mem", Value: penumbra.String("8MB")}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	l.done(custom)
	setting("8MB")
	declared("8MB")

	l.run("scenario/a")
	d, _ = l.drift(database, "work_mem", func(d *penumbra.Drift) bool {
		f, _ := d.Finding("work_mem")
		return d.Active() && f.Actual == penumbra.String("64kB")
	})
	run = l.done(l.proposal(d.ID, penumbra.Adopt))
	setting("64kB")
	declared("64kB")
	// It may be impending: it left again and again by now.
	l.await("work_mem declared as it is", func() bool {
		got := l.setting("work_mem")
		return got.Template == penumbra.String("64kB") && got.Actual == got.Template
	})
	l.rollback(run)
	declared("8MB")
	setting("64kB")
}

// B resolved by the play, with nginx reloaded, and taken back from the copy that
// was kept; F, which waits for a restart, without one.
func TestResolveFile(t *testing.T) {
	l := newLab(t, "--no-metrics")
	l.watch()
	conf := l.env["NGINX_CONF"]
	declared := l.read(conf)
	l.run("scenario/b")
	edited := l.read(conf)
	d, _ := l.drift(l.nginxFile(), "content", anyDrift)
	p := l.proposal(d.ID, penumbra.Revert)
	if !slices.ContainsFunc(p.Plan.Changes, func(c penumbra.PlannedChange) bool {
		return c.Action == penumbra.Execute && strings.Contains(string(c.Resource), "Reload nginx")
	}) {
		t.Errorf("the plan does not say that nginx is reloaded: %+v", p.Plan.Changes)
	}
	if list, omitted, _ := l.client.Proposals(t.Context(), d.ID); !slices.ContainsFunc(omitted, func(o penumbra.Omitted) bool {
		return o.Kind == penumbra.Adopt && strings.Contains(o.Reason, "template")
	}) {
		t.Errorf("nothing says why a template's outcome is not adopted: %+v, %+v", list, omitted)
	}
	run := l.done(p)
	if got := l.read(conf); got != declared {
		t.Fatalf("after the revert:\n%s", got)
	}
	l.await("answers as before", func() bool { return l.answers() })

	l.restart()
	l.rollback(run)
	if got := l.read(conf); got != edited {
		t.Fatalf("after the way back:\n%s", got)
	}
	l.await("nginx refusing again", func() bool { return !l.answers() })
	kept, _ := filepath.Glob(filepath.Join(l.data, "stacks", "lab", "plans", "*.back", "*"))
	for _, f := range kept {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v, %v", f, info.Mode(), err)
		}
	}
	if len(kept) == 0 {
		t.Error("no file was kept")
	}

	const path = "pending_restart.shared_buffers"
	started := l.sql("SELECT pg_postmaster_start_time()")
	l.run("scenario/f")
	d, _ = l.drift(database, path, drifted)
	run = l.done(l.proposal(d.ID, penumbra.Revert))
	waits := "SELECT setting FROM pg_file_settings WHERE name = 'shared_buffers' ORDER BY seqno DESC LIMIT 1"
	if got := l.sql(waits); got != "64MB" {
		t.Errorf("the files hold %s, want 64MB", got)
	}
	l.rollback(run)
	if got := l.sql(waits); got != "128MB" {
		t.Errorf("after the way back the files hold %s, want 128MB", got)
	}
	if now := l.sql("SELECT pg_postmaster_start_time()"); now != started {
		t.Error("the server was restarted")
	}
}

// answers reports whether nginx answers ten requests at once, which its burst lets pass.
func (l *lab) answers() bool {
	for range 10 {
		answer, err := http.Get("http://127.0.0.1:" + l.env["NGINX_PORT"] + "/")
		if err != nil {
			return false
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return false
		}
	}
	return true
}
