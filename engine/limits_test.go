package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow/creep"
)

// limited is a bench whose server's work_mem may be up to 8MB, and is no code's
// business.
func limited(t *testing.T) *bench {
	b := newBench(t)
	b.config = func(c *engine.Config) {
		c.NewLimits = func() engine.Limits {
			w, err := creep.New([]creep.Limit{{
				Match: func(_ penumbra.Address, path string) bool { return path == "work_mem" },
				Max:   penumbra.String("8MB"), Reason: "200 connections share 2 GB",
			}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
	}
	b.code["vm.db"] = settings("port", penumbra.Number(5432))
	b.workMem("4MB")
	return b.start()
}

func settings(path string, v penumbra.Value) penumbra.Settings {
	return penumbra.NewSettings(penumbra.Setting{Path: path, Value: v})
}

func (b *bench) workMem(v string) {
	b.world["vm.db"] = penumbra.NewSettings(
		penumbra.Setting{Path: "port", Value: penumbra.Number(5432)},
		penumbra.Setting{Path: "work_mem", Value: penumbra.String(v)},
	)
}

// hours looks once an hour, n times.
func (b *bench) hours(n int) {
	for range n {
		b.advance(time.Hour)
		b.look()
	}
}

// raise is what a log tells of a person's change, and the look that follows.
func (b *bench) raise(who, to string) {
	b.t.Helper()
	b.advance(time.Minute)
	b.workMem(to)
	event := `{"kind":"event","time":"` + b.now.Format(time.RFC3339) + `","resource":"shop/vm.db","type":"vm","source":"postgresql","actor":"` + who +
		`","actor_kind":"user","action":"ALTER SYSTEM","settings":{"work_mem":"` + to + `"}}` + "\n"
	if _, err := b.engine.Ingest(b.t.Context(), strings.NewReader(event), "log"); err != nil {
		b.t.Fatal(err)
	}
	b.advance(time.Minute)
	b.look()
}

func (b *bench) verdict(path string) (penumbra.Verdict, *penumbra.SettingView) {
	b.t.Helper()
	view, err := b.engine.Shadow(b.t.Context(), "shop/vm.db")
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range view.Settings {
		if view.Settings[i].Path == path {
			return view.Settings[i].Verdict, &view.Settings[i]
		}
	}
	b.t.Fatalf("no setting %s", path)
	return 0, nil
}

// Scenario D of the lab, by a moved clock: two people raise work_mem once a day.
func TestCreepIsImpendingBeforeItsLimit(t *testing.T) {
	b := limited(t)
	b.look()
	b.hours(24 * 4)
	b.raise("alice", "5MB")
	b.hours(23)
	if v, _ := b.verdict("work_mem"); v != penumbra.InSync || len(b.drifts()) != 0 {
		t.Fatalf("after one step: %s, drifts %v", v, b.drifts())
	}
	b.raise("bob", "6MB")
	b.hours(23)
	b.raise("alice", "7MB")
	v, s := b.verdict("work_mem")
	drifts := b.drifts()
	if v != penumbra.Impending || len(drifts) != 1 || drifts[0].Verdict != penumbra.Impending {
		t.Fatalf("at 7MB: %s, forecast %+v, drifts %v", v, s.Forecast, drifts)
	}
	f := drifts[0].Findings[0]
	if f.Template != penumbra.String("8MB") || f.Forecast.Next != penumbra.String("8MB") {
		t.Errorf("template %s, next %s", f.Template, f.Forecast.Next)
	}
	if d := f.Forecast.TimeToDrift; d < 12*time.Hour || d > 7*24*time.Hour {
		t.Errorf("time to drift %s, the limit is passed in two days", d)
	}
	const reason = "raised 3 times in 2 days by about 1MB each, by alice and bob: 8MB is 2 steps away"
	if f.Forecast.Reason != reason {
		t.Errorf("reason %q, want %q", f.Forecast.Reason, reason)
	}

	// A restart knows what was known: the steps are in the timeline.
	before := s.Forecast
	b.stop()
	b.start()
	if _, s = b.verdict("work_mem"); s.Forecast != before {
		t.Errorf("after a restart: %+v, before: %+v", s.Forecast, before)
	}

	b.hours(23)
	b.raise("bob", "8MB")
	if v, _ := b.verdict("work_mem"); v != penumbra.Impending {
		t.Errorf("on the limit: %s", v)
	}
	b.hours(23)
	b.raise("alice", "9MB")
	drifts = b.drifts()
	if len(drifts) != 1 || drifts[0].Verdict != penumbra.Drifted || drifts[0].Foreseen.IsZero() || drifts[0].Cause.Actor != "alice" {
		t.Fatalf("past the limit: %+v", drifts)
	}
	if lead := drifts[0].Cause.Time.Sub(drifts[0].Foreseen); lead < 24*time.Hour {
		t.Errorf("foreseen only %s before", lead)
	}
	b.raise("bob", "4MB")
	if drifts := b.drifts(); len(drifts) != 0 {
		t.Errorf("back within the limit: %+v", drifts)
	}
	all, err := b.engine.Drifts(t.Context(), penumbra.DriftQuery{})
	if err != nil || len(all) != 1 || all[0].Resolution != penumbra.Returned {
		t.Errorf("%v, %+v", err, all)
	}
}

// What an automation raises each night and puts back is no creep.
func TestNightlyUpAndDownIsNoCreep(t *testing.T) {
	b := limited(t)
	b.look()
	for range 14 {
		b.hours(22)
		b.workMem("7MB")
		b.hours(2)
		b.workMem("4MB")
		if len(b.drifts()) != 0 {
			t.Fatalf("%s: %+v", b.now, b.drifts())
		}
	}
	if all, _ := b.engine.Drifts(t.Context(), penumbra.DriftQuery{}); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestCodeOverrulesALimit(t *testing.T) {
	b := limited(t)
	b.code["vm.db"] = penumbra.NewSettings(
		penumbra.Setting{Path: "port", Value: penumbra.Number(5432)}, penumbra.Setting{Path: "work_mem", Value: penumbra.String("4MB")})
	b.look()
	b.hours(24)
	b.raise("alice", "5MB")
	if v, s := b.verdict("work_mem"); v != penumbra.Drifted || s.Expectation.Limit != nil {
		t.Errorf("%s, limit %v", v, s.Expectation.Limit)
	}
}
