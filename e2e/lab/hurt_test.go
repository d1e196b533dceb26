//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// This covers what comes after a run on a real server: a revert that is right by the
// code and makes the shop's report slow, which the watch after the run sees in the
// metrics of the server itself, and takes back by a policy.

const undo = `@id("undo-what-hurts")
permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"roll_back", resource)
when { resource.risk < 60 };
`

// H: the code of before gives work_mem too little, and alice gave it more by hand
// before Penumbra came. It is reverted, as the code asks. The run is done and verified; then latency
// collapses, is put down to it, and Penumbra takes it back: nobody else acts.
func TestH(t *testing.T) {
	l := newLabAlone(t)
	l.run("scenario/h")
	config := filepath.Join(l.dir, "penumbra.yaml")
	for name, text := range map[string]string{config: l.read(config) + "policy: [rules.cedar]\nwatch_runs: 5m\n", filepath.Join(l.dir, "rules.cedar"): undo} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vars := filepath.Join(l.dir, "ansible", "group_vars", "databases.yml")
	code := l.read(vars)
	l.serve()
	d, _ := l.drift(database, "work_mem", drifted)
	if f, _ := d.Finding("work_mem"); f.Verdict != penumbra.Drifted || f.Template != penumbra.String("64kB") || f.Actual != penumbra.String("4MB") {
		t.Fatalf("the drift: %+v", f)
	}
	p := l.proposal(d.ID, penumbra.Revert) // while it is planned, metrics come in
	l.usual()
	var before float64
	l.await("latency at rest", func() bool { before = l.latency(); return before > 0 })

	approved := time.Now()
	run := l.done(p)
	verified := time.Now()
	if got := l.sql("SHOW work_mem"); got != "64kB" {
		t.Errorf("after the revert work_mem is %s", got)
	}
	// The report takes the processor too. Which of the two is seen first is chance, and
	// whether the other is seen before it is taken back.
	var harm penumbra.Harm
	during := 0.0 // at its worst: it may be taken back by the time that all is told
	slow := func(times float64) func() bool {
		return func() bool {
			if !run.Hurt() {
				return false
			}
			i := slices.IndexFunc(run.Watch.Harm, func(h penumbra.Harm) bool { return h.Resource == database && h.Impact.Metric == "latency" })
			if i >= 0 {
				harm = run.Watch.Harm[i]
			}
			during = max(during, l.latency())
			return i >= 0 && harm.Impact.After >= times*harm.Impact.Before
		}
	}
	l.again(&run, "the run told to have made it slow", slow(1))
	hurt := time.Now()
	l.again(&run, "the run told to have made it five times as slow", slow(5))
	l.again(&run, "the run taken back", func() bool { return run.State == penumbra.RolledBack })
	taken := time.Now()

	// The server has what alice gave it, and the code is as it was.
	if got := l.sql("SHOW work_mem"); got != "4MB" {
		t.Errorf("after the way back work_mem is %s", got)
	}
	if got := l.read(vars); got != code {
		t.Errorf("the variables:\n%s\nwant\n%s", got, code)
	}
	after := 0.0
	l.await("latency back", func() bool { after = l.latency(); return after > 0 && after < during/3 })
	runs, err := l.client.Runs(t.Context(), penumbra.RunQuery{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(runs, func(r penumbra.Run) bool { return r.ID == run.UndoneBy })
	if len(runs) != 2 || i < 0 {
		t.Fatalf("%d runs, the first undone by %q: %+v", len(runs), run.UndoneBy, runs)
	}
	back := runs[i]
	if back.State != penumbra.Done || back.Kind != penumbra.Restore || back.Proposal != run.Watch.WayBack || !strings.Contains(back.Steps[0].Note, "policy:undo-what-hurts") {
		t.Errorf("the way back: %+v", back)
	}
	l.recorded(back.Proposal, run.ID)
	// What the code asks for is not there again.
	l.drift(database, "work_mem", func(d *penumbra.Drift) bool { return d.Active() && d.Verdict == penumbra.Drifted })
	table.add(t, "H", "drifted, reverted, taken back", "nobody: the edit is older than the watch", "",
		fmt.Sprintf("verified %s after the approval; told to have hurt %s later, taken back %s after that; latency %.1f, %.0f, %.1f ms",
			seconds(verified.Sub(approved)), seconds(hurt.Sub(verified)), seconds(taken.Sub(hurt)), 1000*before, 1000*during, 1000*after),
		fmt.Sprintf("the run, coincidence %.2g %%", 100*harm.Impact.Coincidence))
}

// again asks for a run until something is so of it.
func (l *lab) again(run *penumbra.Run, what string, is func() bool) {
	l.t.Helper()
	defer func() {
		if l.t.Failed() {
			l.t.Logf("the run is %s: %s, its watch %+v", run.State, run.Outcome, run.Watch)
		}
	}()
	l.awaitFor(4*patience, what, func() bool {
		runs, err := l.client.Runs(l.t.Context(), penumbra.RunQuery{ID: run.ID})
		if err != nil {
			return false
		}
		*run = runs[0]
		return is()
	})
}

// recorded makes sure that the decision to take a run back is recorded with its reason,
// and is in the audit log, whose chain holds.
func (l *lab) recorded(proposal, run string) {
	l.t.Helper()
	decisions, err := l.client.Decisions(l.t.Context(), penumbra.DecisionQuery{Proposal: proposal})
	if err != nil {
		l.t.Fatal(err)
	}
	if len(decisions) != 1 || decisions[0].By != "policy:undo-what-hurts" || !strings.HasPrefix(decisions[0].Reason, "run "+run+" hurt: ") || !strings.Contains(decisions[0].Reason, " of "+string(database)) {
		l.t.Errorf("the decisions: %+v", decisions)
	}
	report, err := l.client.VerifyAudit(l.t.Context(), nil)
	if err != nil || report.Fault != nil {
		l.t.Errorf("the audit log: %+v, %v", report, err)
	}
	entries, err := l.client.AuditEntries(l.t.Context(), penumbra.AuditQuery{Act: "proposal.approve", ID: proposal})
	if err != nil {
		l.t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Outcome != penumbra.AuditDone || entries[0].Principal != "policy:undo-what-hurts" {
		l.t.Errorf("the audit log does not have who took it back: %+v", entries)
	}
}
