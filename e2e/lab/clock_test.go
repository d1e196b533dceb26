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
	"github.com/penumbra-iac/penumbra/drift"
)

// What takes weeks is played on real servers with the daemon's clock moved on
// between the steps: the servers change in our time, and their log lines are
// taken to be of the daemon's.

// start is when those weeks begin, by the daemon's clock: the next midnight.
func start() time.Time { return time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour) }

// clockFile is what tells the daemon how far its clock is ahead.
func (l *lab) clockFile() string { return filepath.Join(l.data, "clock") }

// at moves the daemon's clock on to a time.
func (l *lab) at(when time.Time) {
	l.t.Helper()
	// Never seen half written: the daemon would take "26h" for "26h30m".
	next := l.clockFile() + ".next"
	if err := os.WriteFile(next, []byte(time.Until(when).String()), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(next, l.clockFile()); err != nil {
		l.t.Fatal(err)
	}
}

// setting returns one of the server's settings as Penumbra shows it.
func (l *lab) setting(path string) penumbra.SettingView {
	l.t.Helper()
	view, err := l.client.Shadow(l.t.Context(), database)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range view.Settings {
		if s.Path == path {
			return s
		}
	}
	l.t.Fatalf("the server has no %s", path)
	return penumbra.SettingView{}
}

// on returns the active drift on a setting of the server, nil if there is none.
func (l *lab) on(path string) *penumbra.Drift {
	l.t.Helper()
	for _, d := range l.drifts() {
		if _, has := d.Finding(path); has && d.Active() && d.Resource == database {
			return &d
		}
	}
	return nil
}

// C: an automation's habit. It is a drift at first, tolerated after a few
// nights, and the night without it is unexpected.
func TestC(t *testing.T) {
	const nights, path = 14, "maintenance_work_mem"
	l := newLab(t, "--no-metrics")
	midnight := start()
	l.at(midnight.Add(30 * time.Minute))
	l.watch("--clock", l.clockFile())

	var verdicts []string
	tolerated := 0
	var took []time.Duration
	for night := range nights {
		day := midnight.AddDate(0, 0, night)
		l.at(day.Add(time.Hour))
		began := time.Now()
		l.run("scenario/c-night")
		var d penumbra.Drift
		l.await("the raise", func() bool {
			found := l.on(path)
			if found == nil {
				return false
			}
			d = *found
			f, _ := d.Finding(path)
			return f.Actual == penumbra.String("256MB") && d.Cause.Actor != ""
		})
		took = append(took, time.Since(began))
		if d.Cause.Actor != "autotune" || d.Cause.ActorKind != penumbra.Automation {
			t.Errorf("night %d is put down to %s (%s), want autotune (automation)", night+1, d.Cause.Actor, d.Cause.ActorKind)
		}
		f, _ := d.Finding(path)
		verdicts = append(verdicts, f.Verdict.String())
		if f.Verdict == penumbra.Tolerated && tolerated == 0 {
			tolerated = night + 1
		}
		l.at(day.Add(5 * time.Hour))
		l.run("scenario/c-morning")
		l.await("the return", func() bool { return l.on(path) == nil && l.setting(path).Actual == penumbra.String("64MB") })
	}
	t.Logf("by night: %s", strings.Join(verdicts, ", "))
	if verdicts[0] != "drifted" {
		t.Errorf("the first night is %s, want drifted", verdicts[0])
	}
	if tolerated == 0 || tolerated > 6 {
		t.Errorf("tolerated from night %d, want after a few", tolerated)
	} else if slices.Contains(verdicts[tolerated-1:], "drifted") {
		t.Errorf("tolerated from night %d and drifted again later", tolerated)
	}

	// The automation does not come.
	l.at(midnight.AddDate(0, 0, nights).Add(time.Hour + 20*time.Minute))
	if err := l.client.Trigger(t.Context(), "lab"); err != nil {
		t.Fatal(err)
	}
	d, _ := l.drift(database, path, func(d *penumbra.Drift) bool {
		f, _ := d.Finding(path)
		return d.Active() && f.Verdict == penumbra.Unexpected && f.Actual == penumbra.String("64MB")
	})
	if d.Critical {
		t.Error("the missed night is critical")
	}
	slices.Sort(took)
	table.add(t, "C", fmt.Sprintf("drifted, tolerated from night %d, missed night %d unexpected", tolerated, nights+1), "autotune (automation)",
		seconds(took[len(took)/2]), "no", "")
}

// D: people raise a setting step by step. It is impending before it passes its
// limit.
func TestD(t *testing.T) {
	const path, days = "logical_decoding_work_mem", 12
	l := newLab(t, "--no-metrics")
	config := filepath.Join(l.dir, "penumbra.yaml")
	limits := "limits:\n  - setting: " + string(database) + "." + path + "\n    max: 160MB\n    reason: memory of ten senders\n"
	if err := os.WriteFile(config, []byte(l.read(config)+limits), 0o600); err != nil {
		t.Fatal(err)
	}
	first := start()
	l.at(first)
	l.watch("--clock", l.clockFile())

	foreseen, passed := 0, 0
	var chance string
	var d penumbra.Drift
	var took time.Duration
	for day := 1; day <= days && passed == 0; day++ {
		before := l.setting(path).Actual
		l.at(first.AddDate(0, 0, day))
		began := time.Now()
		step := l.run("scenario/d-step", path, "16384") // 64MB, 80MB, …
		// The value shows before it is judged, which is part of the look.
		l.await("a step", func() bool { return l.setting(path).Actual != before && !l.source("postgres").Reading })
		who, _, _ := strings.Cut(step, " ")
		found := l.on(path)
		switch {
		case found == nil:
		case found.Verdict == penumbra.Impending && foreseen == 0:
			foreseen, took = day, time.Since(began)
			f, _ := found.Finding(path)
			chance = fmt.Sprintf("%.0f %% within %s", 100*f.Forecast.Leave[f.Horizon], penumbra.HorizonNames[f.Horizon])
			t.Logf("impending at %s, day %d: %s, because %s", f.Actual, day, chance, f.Forecast.Reason)
			if !strings.Contains(f.Forecast.Reason, "alice") || !strings.Contains(f.Forecast.Reason, "bob") {
				t.Errorf("the reason does not name who raised it: %s", f.Forecast.Reason)
			}
		case found.Verdict == penumbra.Drifted:
			passed = day
			// On this clock a day's step and the look at it are of one instant: until the
			// log tells of who, it is put down to the day before.
			l.await("who passed the limit", func() bool {
				if now := l.on(path); now != nil {
					d = *now
				}
				return d.Cause.Actor == who
			})
			l.wantDrift(&d, path, penumbra.Drifted, who, penumbra.User)
		}
	}
	if foreseen == 0 || passed == 0 || foreseen >= passed {
		t.Fatalf("impending on day %d, past the limit on day %d: want it foreseen", foreseen, passed)
	}
	lead, ok := drift.LeadTime(&d)
	if !ok || lead < 12*time.Hour {
		t.Errorf("foreseen %s ahead, want half a day at least", lead)
	}
	if d.Critical {
		t.Error("it is critical")
	}
	table.add(t, "D", fmt.Sprintf("impending on day %d, drifted on day %d", foreseen, passed), d.Cause.Actor+" (user)", seconds(took)+"; "+lead.Round(time.Hour).String()+" ahead", "no", chance)
}
