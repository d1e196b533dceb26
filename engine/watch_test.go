package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/anomaly"
	"github.com/penumbra-iac/penumbra/diagnosis"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/remediation"
)

// ranking ranks suspects as a daemon does that has learnt nothing yet.
type ranking struct {
	rehearsed
	rates diagnosis.Rates
}

func (d *ranking) Rank(a *penumbra.Anomaly, changes []engine.Change) []penumbra.Suspect {
	var list []diagnosis.Change
	for _, c := range changes {
		list = append(list, diagnosis.Change(c))
	}
	return diagnosis.Rank(a, list, d.rates, nil)
}

func (d *ranking) Join(*penumbra.Drift, *penumbra.Resource, []penumbra.Anomaly) []penumbra.Impact {
	return nil
}

func watched(o *office) {
	o.name = "alpha"
	o.machine = func(m *remediation.Machine) { m.Watch = 10 * time.Minute }
	o.also = func(cfg *engine.Config) {
		withMetrics(cfg)
		cfg.Diagnosis = &ranking{}
	}
}

// carriedOut is an office whose vm.a, with an hour of steady latency behind it, has
// just been brought back by alice.
func carriedOut(t *testing.T, changes ...func(*office)) (*office, penumbra.Run) {
	t.Helper()
	o := newOffice(t, append([]func(*office){watched}, changes...)...)
	o.latency(time.Hour, 0.01)
	a := o.approve(o.revert(), "alice")
	return o, o.run(a.Run.ID)
}

func (o *office) run(id string) penumbra.Run {
	o.t.Helper()
	runs, err := o.engine.Runs(o.t.Context(), penumbra.RunQuery{ID: id})
	if err != nil {
		o.t.Fatal(err)
	}
	return runs[0]
}

func TestAVerifiedRunIsWatchedForATime(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t)
	if run.State != penumbra.Done || !run.Watched() || !run.Watch.Until.Equal(run.Ended.Add(10*time.Minute)) {
		t.Fatalf("the run is %s, its watch %+v", run.State, run.Watch)
	}
	o.latency(9*time.Minute, 0.01)
	o.due()
	if run = o.run(run.ID); !run.Watched() {
		t.Fatalf("before its end the watch is %+v", run.Watch)
	}
	o.stop()
	o.start()
	o.latency(3*time.Minute, 0.01)
	o.due()
	if run = o.run(run.ID); run.State != penumbra.Done || run.Watched() || run.Hurt() || run.Watch.Ended.IsZero() || run.Watch.Note != "" {
		t.Fatalf("after its end, and a restart, the watch is %+v", run.Watch)
	}
	o.latency(5*time.Minute, 1)
	o.due()
	if run = o.run(run.ID); run.Hurt() {
		t.Fatal("what gets worse after the watch is put down to the run")
	}
}

func TestARunThatHurts(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t)
	o.latency(2*time.Minute, 1)
	o.due()
	run = o.run(run.ID)
	if !run.Hurt() || run.State != penumbra.Done {
		t.Fatalf("the run is %s, its watch %+v, anomalies %+v", run.State, run.Watch, o.anomalies())
	}
	h := run.Watch.Harm[0]
	if h.Resource != vmA || h.Impact.Metric != "latency_seconds" || !h.Impact.Worse || h.Impact.After < 10*h.Impact.Before || h.Impact.Coincidence > 0.5 || h.Impact.Anomaly != o.anomalies()[0].ID {
		t.Fatalf("noted %+v", h)
	}
	p, err := o.engine.Proposal(t.Context(), run.Watch.WayBack)
	if err != nil || p.Undoes != run.ID || p.State != penumbra.Proposed {
		t.Fatalf("the way back is %+v, %v", p, err)
	}
	o.due()
	o.wantApplied(1) // no policy lets Penumbra roll back
	if again := o.run(run.ID); len(again.Watch.Harm) != 1 || again.Watch.WayBack != p.ID {
		t.Fatalf("looked at again it is %+v", again.Watch)
	}
	// A person takes it back.
	o.approve(p, "bob")
	if run = o.run(run.ID); run.State != penumbra.RolledBack || !run.Hurt() || run.Watch.Ended.IsZero() {
		t.Fatalf("taken back the run is %s, its watch %+v", run.State, run.Watch)
	}
	// The next proposals know of it.
	o.look()
	o.revert()
	if c := o.cases[len(o.cases)-1]; len(c.Outcomes) != 1 || c.Outcomes[0].Succeeded {
		t.Fatalf("outcomes %+v", c.Outcomes)
	}
}

// What a run did to a metric is what it is by now, while the run is watched: a value, and
// told as harm once.
func TestHarmFollowsItsAnomaly(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t)
	o.answers(50)
	o.due()
	was := o.run(run.ID)
	if !was.Hurt() || was.Watch.Harm[0].Impact.After != 0.05 {
		t.Fatalf("at five times: %+v", was.Watch)
	}
	o.slower()
	o.due()
	got := o.run(run.ID)
	if len(got.Watch.Harm) != 1 || got.Watch.Harm[0].Impact.After < 0.075 || got.Watch.Harm[0].Impact.After != o.anomalies()[0].Value || got.Watch.WayBack != was.Watch.WayBack {
		t.Fatalf("at eight times: %+v", got.Watch)
	}
	if n := strings.Count(o.log.String(), "a metric got worse after a run"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	last := o.engine.LastNews()
	o.due()
	same(t, "harm that stays as it is", o.told(last))
	o.advance(15 * time.Minute)
	o.due()
	over := o.run(run.ID)
	o.answers(300, 300)
	o.due()
	if got = o.run(run.ID); got.Watched() || got.Watch.Harm[0] != over.Watch.Harm[0] {
		t.Errorf("after the watch: %+v, before %+v", got.Watch, over.Watch)
	}
}

func TestHurtIsNoSuccess(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t)
	o.latency(2*time.Minute, 1)
	o.due()
	o.drift(3)
	o.revert()
	if c := o.cases[len(o.cases)-1]; len(c.Outcomes) != 1 || c.Outcomes[0].Succeeded || o.run(run.ID).State != penumbra.Done {
		t.Fatalf("outcomes %+v", c.Outcomes)
	}
}

func TestAPolicyRollsBackWhatHurt(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t, func(o *office) { o.policy.rollsBack, o.policy.automatic = true, false })
	o.latency(2*time.Minute, 1)
	o.stop() // whoever is killed before anything was noted goes on
	o.start()
	o.due()
	run = o.run(run.ID)
	if run.State != penumbra.RolledBack || !run.Hurt() {
		t.Fatalf("the run is %s, its watch %+v\n%s", run.State, run.Watch, o.log.String())
	}
	p, err := o.engine.Proposal(t.Context(), run.Watch.WayBack)
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := o.engine.Decisions(t.Context(), penumbra.DecisionQuery{Proposal: p.ID})
	if err != nil || len(decisions) != 1 || decisions[0].By != "policy:test" || decisions[0].Verb != penumbra.Approve || decisions[0].Hash != p.Digest() || !strings.Contains(decisions[0].Reason, "latency_seconds of shop/vm.a") {
		t.Fatalf("decided %+v, %v", decisions, err)
	}
	o.wantApplied(2)
	// What hurt is not tried again by a policy, nor taken back again.
	o.policy.automatic = true
	for range 3 {
		o.advance(time.Minute)
		o.look()
		o.due()
	}
	o.wantApplied(2)
}

func TestAWayBackIsTriedOnce(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t, func(o *office) { o.policy.rollsBack = true })
	o.latency(2*time.Minute, 1)
	o.advance(time.Second)
	refused := 0
	o.refuse = func() error {
		refused++
		return &penumbra.Error{Kind: penumbra.Locked, What: "the state is locked"}
	}
	for range 4 {
		o.advance(20 * time.Second)
		o.due()
	}
	if refused != 1 || o.run(run.ID).State != penumbra.Done {
		t.Fatalf("tried %d times, the run is %s", refused, o.run(run.ID).State)
	}
}

func TestAFreezeHoldsARollback(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t, func(o *office) { o.policy.rollsBack = true })
	if _, err := o.engine.Freeze(t.Context(), penumbra.Freeze{Stacks: []string{"shop"}, From: o.now, Reason: "the sale", By: "alice"}); err != nil {
		t.Fatal(err)
	}
	o.latency(2*time.Minute, 1)
	o.due()
	o.wantApplied(1)
	if run = o.run(run.ID); run.Watch.WayBack == "" {
		t.Fatalf("the watch is %+v", run.Watch)
	}
}

// What another change explains better is not put down to the run.
func TestAnothersChange(t *testing.T) {
	t.Parallel()
	o, run := carriedOut(t)
	o.latency(5*time.Minute, 0.01)
	for i := range 3 {
		o.take(penumbra.Record{Time: o.now, Format: "json", ID: fmt.Sprint("e", i), Actor: "alice", Action: "restart", Targets: []string{"alpha"}})
	}
	o.latency(2*time.Minute, 1)
	o.due()
	if list := o.anomalies(); len(list) != 1 || !list[0].Worse {
		t.Fatalf("anomalies %+v", list)
	}
	if run = o.run(run.ID); run.Hurt() {
		t.Fatalf("the run is blamed: %+v", run.Watch.Harm)
	}
}

// An edit of a moment before the run, which the run took back, is no better explanation
// of what came after it, however unexpected it was. The log of what was changed may tell
// of the run as well, by the name of the account that its tool uses.
func TestARunThatTookBackAnEditOfAMomentAgo(t *testing.T) {
	t.Parallel()
	const alone, logged, late = "told by Penumbra alone", "in the server's log", "in the server's log, which comes late"
	for _, name := range []string{alone, logged, late} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, watched)
			o.latency(time.Hour, 0.01)
			edited := func(at time.Time, id, who string, size int) {
				o.take(penumbra.Record{Time: at, Format: "json", ID: id, Actor: who, Action: "edit", Targets: []string{"alpha"}, Settings: set("size", size)})
			}
			edited(o.time(), "e1", "bob", 3)
			o.drift(3)
			o.advance(5 * time.Second)
			var set time.Time
			o.onApply = func(penumbra.Plan) {
				o.advance(2 * time.Second)
				set = o.time()
				if name == logged {
					edited(set, "e2", "deployer", 1)
				}
				o.latency(time.Minute, 1) // a play takes its time
			}
			run := o.run(o.approve(o.revert(), "alice").Run.ID)
			if name == late {
				edited(set, "e2", "deployer", 1)
			}
			o.latency(2*time.Minute, 1)
			o.due()
			if run = o.run(run.ID); run.State != penumbra.Done || !run.Hurt() {
				t.Fatalf("the run is %s, its watch %+v, anomalies %+v", run.State, run.Watch, o.anomalies())
			}
		})
	}
}

func TestNothingToWatch(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(o *office) {
		o.machine = func(m *remediation.Machine) { m.Watch = 10 * time.Minute }
	})
	run := o.approve(o.revert(), "alice").Run
	o.advance(12 * time.Minute)
	o.due()
	if got := o.run(run.ID); got.Watched() || !strings.Contains(got.Watch.Note, "no metric") {
		t.Fatalf("the watch is %+v", got.Watch)
	}
	o = newOffice(t)
	run = o.approve(o.revert(), "alice").Run
	if got := o.run(run.ID); got.State != penumbra.Done || got.Watch != nil {
		t.Fatalf("with watching off the watch is %+v", got.Watch)
	}
}

// The metrics are attended to from the apply on.
func TestMetricsOfARunAreAttendedTo(t *testing.T) {
	t.Parallel()
	m := &attentive{Monitor: anomaly.NewMonitor(anomaly.Options{})}
	o := newOffice(t, watched, func(o *office) {
		with := o.also
		o.also = func(cfg *engine.Config) {
			with(cfg)
			cfg.Monitor = m
		}
	})
	o.latency(time.Hour, 0.01)
	m.to = nil
	o.approve(o.revert(), "alice")
	if want := fmt.Sprint([]string{fmt.Sprint(vmA, " ", o.now.Sub(day0))}); fmt.Sprint(m.to) != want {
		t.Fatalf("attended to %q, want %s", m.to, want)
	}
}
