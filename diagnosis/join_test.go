package diagnosis_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/diagnosis"
)

func leftAt(at time.Time) *penumbra.Drift {
	c := changed("work_mem", at)
	c.Before, c.After = penumbra.String("4MB"), penumbra.String("64kB")
	d := driftOf(&c, 0)
	return &d
}

func TestJoinQuantifiesAndIsCritical(t *testing.T) {
	t.Parallel()
	at := day0.Add(time.Hour)
	slow := *slowed(at.Add(2 * time.Second))
	fast := slow
	fast.ID, fast.Metric, fast.Worse, fast.Value, fast.Expected = "a-2", "throughput", false, 900, 700
	earlier := *slowed(at.Add(-time.Hour))
	muchLater := *slowed(at.Add(5 * 24 * time.Hour))
	elsewhere := slow
	elsewhere.Resource = "other/thing.x"
	rates := ratesOf(time.Second)
	rates.Watch(db, "throughput", time.Second, day0)

	impacts := diagnosis.Join(leftAt(at), nil, []penumbra.Anomaly{earlier, muchLater, elsewhere, fast, slow}, rates, nil)
	if len(impacts) != 2 {
		t.Fatalf("%+v, want two", impacts)
	}
	for i := range impacts {
		if c := impacts[i].Coincidence; !(c > 0 && c < 0.01) {
			t.Errorf("coincidence %g", c)
		}
		if x := impacts[i].Explained; x < 1-impacts[i].Coincidence-1e-12 || x > 1 {
			t.Errorf("explained by something with %g, by this with %g", x, 1-impacts[i].Coincidence)
		}
		impacts[i].Coincidence, impacts[i].Explained = 0, 0
	}
	want := []penumbra.Impact{
		{Anomaly: "a-1", Metric: latency, Time: slow.Onset, Before: 1, After: 5, Worse: true},
		{Anomaly: "a-2", Metric: "throughput", Time: slow.Onset, Before: 700, After: 900},
	}
	if diff := cmp.Diff(want, impacts); diff != "" {
		t.Error(diff)
	}
	if !diagnosis.Critical(impacts) || diagnosis.Critical(impacts[1:]) || diagnosis.Critical(nil) {
		t.Error("a sure drop is critical, an improvement and nothing are not")
	}
	if diagnosis.Critical([]penumbra.Impact{{Worse: true, Coincidence: diagnosis.CriticalCoincidence}}) {
		t.Error("critical at the threshold")
	}
	for _, x := range []struct {
		coincidence, explained float64
		critical               bool
	}{
		{0.4, 0.95, true},  // one of several did it, this one most likely
		{0.6, 0.95, false}, // another one more likely
		{0.4, 0.85, false}, // or none
		{0.4, 0, false},    // nothing is known of the others
	} {
		got := diagnosis.Critical([]penumbra.Impact{{Worse: true, Coincidence: x.coincidence, Explained: x.explained}})
		if got != x.critical {
			t.Errorf("coincidence %g, explained %g: critical %v", x.coincidence, x.explained, got)
		}
		if diagnosis.Critical([]penumbra.Impact{{Coincidence: x.coincidence, Explained: x.explained}}) {
			t.Error("an improvement is critical")
		}
	}
	again := diagnosis.Join(leftAt(at.Add(-time.Second)), nil, []penumbra.Anomaly{slow}, rates, nil)
	if len(again) != 1 {
		t.Error("a second drift cannot share the anomaly")
	}
}

// The suspects of an anomaly tell of the change by another record of the log than the
// drift does, or from before a look that missed it: it is the same change.
func TestJoinKnowsItsSuspect(t *testing.T) {
	t.Parallel()
	at := day0.Add(time.Hour)
	for name, x := range map[string]struct {
		cause, after, suspect time.Duration
	}{
		"the same record":                      {0, -time.Minute, 0},
		"a record a moment earlier":            {0, -time.Minute, -50 * time.Millisecond},
		"a look missed it":                     {0, 300 * time.Millisecond, 0},
		"a look missed it, the earlier record": {0, 300 * time.Millisecond, -50 * time.Millisecond},
	} {
		d := leftAt(at.Add(x.cause))
		d.Cause.After, d.Opened = at.Add(x.after), at.Add(time.Second)
		a := *slowed(at.Add(2 * time.Second))
		a.Suspects = []penumbra.Suspect{{Resource: db, Path: "work_mem", Time: at.Add(x.suspect), Probability: 0.99}}
		got := diagnosis.Join(d, nil, []penumbra.Anomaly{a}, ratesOf(time.Second), nil)
		if len(got) != 1 || math.Abs(got[0].Coincidence-0.01) > 1e-9 {
			t.Errorf("%s: %+v, want what the suspect says", name, got)
		}
	}
}

func TestImpendingAndUndoneDoNothing(t *testing.T) {
	t.Parallel()
	at := day0.Add(time.Hour)
	anomalies := []penumbra.Anomaly{*slowed(at.Add(time.Second))}
	d := leftAt(at)
	d.Verdict = penumbra.Impending
	if got := diagnosis.Join(d, nil, anomalies, ratesOf(time.Second), nil); got != nil {
		t.Errorf("impending: %+v", got)
	}
	for _, v := range []penumbra.Verdict{penumbra.Pending, penumbra.NotChecked, penumbra.Impending, penumbra.InSync} {
		d := leftAt(at)
		d.Findings[0].Verdict = v
		if got := diagnosis.Join(d, nil, anomalies, ratesOf(time.Second), nil); got != nil {
			t.Errorf("a finding that is %v: %+v", v, got)
		}
	}
}

// A drift that two looks enclose: anywhere between, but not beside.
func TestJoinOfASpan(t *testing.T) {
	t.Parallel()
	c := changed("work_mem", day0.Add(62*time.Minute))
	d := driftOf(&c, 5*time.Minute) // between 60 and 65 minutes
	coincidence := func(minutes float64) float64 {
		got := diagnosis.Join(&d, nil, []penumbra.Anomaly{*slowed(day0.Add(seconds(60 * minutes)))}, ratesOf(time.Second), nil)
		if len(got) == 0 {
			return 1
		}
		return got[0].Coincidence
	}
	if in := coincidence(63); in > 0.1 {
		t.Errorf("within the span %g", in)
	}
	if before := coincidence(59); before != 1 {
		t.Errorf("before the span %g", before)
	}
	told := leftAt(day0.Add(62 * time.Minute))
	sharp := diagnosis.Join(told, nil, []penumbra.Anomaly{*slowed(day0.Add(62*time.Minute + time.Second))}, ratesOf(time.Second), nil)
	if len(sharp) != 1 || sharp[0].Coincidence > coincidence(63)/5 {
		t.Errorf("told by an event %+v, spanned %g", sharp, coincidence(63))
	}
}

// The drift's chance is that of its suspects, where the anomaly has been ranked.
func TestJoinAgreesWithRank(t *testing.T) {
	t.Parallel()
	at := day0.Add(time.Hour)
	a := slowed(at.Add(2 * time.Second))
	c := changed("work_mem", at)
	c.Action, c.Actor = "ALTER SYSTEM", "alice"
	c.Before, c.After = penumbra.String("4MB"), penumbra.String("64kB")
	rival := changed("jit", at.Add(time.Second))
	rates := ratesOf(time.Second)
	d := leftAt(at)

	alone := diagnosis.Rank(a, []diagnosis.Change{c}, rates, nil)
	bare := diagnosis.Join(d, nil, []penumbra.Anomaly{*a}, rates, nil)
	if len(bare) != 1 || math.Abs(bare[0].Coincidence-diagnosis.Unseen(alone)) > 1e-9 {
		t.Errorf("joined %+v, ranked %g", bare, diagnosis.Unseen(alone))
	}
	a.Suspects = diagnosis.Rank(a, []diagnosis.Change{c, rival}, rates, nil)
	joined := diagnosis.Join(d, nil, []penumbra.Anomaly{*a}, rates, nil)
	if want := 1 - probability(a.Suspects, "work_mem"); len(joined) != 1 || math.Abs(joined[0].Coincidence-want) > 1e-9 {
		t.Errorf("joined %+v, want %g", joined, want)
	}
	// The anomaly was ranked before the drift was seen: its suspects are rivals.
	a.Suspects = diagnosis.Rank(a, []diagnosis.Change{rival}, rates, nil)
	if got := diagnosis.Join(d, nil, []penumbra.Anomaly{*a}, rates, nil); len(got) != 0 && got[0].Coincidence <= bare[0].Coincidence {
		t.Errorf("a rival takes nothing: %+v", got)
	}
	// So is another event that the resource remembers, but not the cause itself.
	r := &penumbra.Resource{Address: db, Recent: []penumbra.Touch{
		{Time: at, Actor: "alice", Action: "ALTER SYSTEM", Paths: []string{"work_mem"}},
		{Time: at, Action: penumbra.ActionAnomaly},
	}}
	a.Suspects = nil
	if got := diagnosis.Join(d, r, []penumbra.Anomaly{*a}, rates, nil); len(got) != 1 || math.Abs(got[0].Coincidence-bare[0].Coincidence) > 1e-9 {
		t.Errorf("with its own event %+v, without %+v", got, bare)
	}
	r.Recent = append(r.Recent, penumbra.Touch{Time: at.Add(time.Second), Action: "deploy"})
	if got := diagnosis.Join(d, r, []penumbra.Anomaly{*a}, rates, nil); len(got) != 0 && got[0].Coincidence < 0.05 {
		t.Errorf("a deployment at the same time takes nothing: %+v", got)
	}
}

// A hundred settings of one act move the metric once, not a hundred times.
func TestManySettingsAtOnce(t *testing.T) {
	t.Parallel()
	at := day0.Add(time.Hour)
	d := leftAt(at)
	for range 99 {
		d.Findings = append(d.Findings, d.Findings[0])
	}
	// An hour later even a sure effect, one a drift, would leave coincidence at 0.17.
	late := *slowed(at.Add(time.Hour))
	one := diagnosis.Join(leftAt(at), nil, []penumbra.Anomaly{late}, ratesOf(time.Second), nil)
	many := diagnosis.Join(d, nil, []penumbra.Anomaly{late}, ratesOf(time.Second), nil)
	if len(one) != 0 || len(many) != 1 || many[0].Coincidence < 0.15 || diagnosis.Critical(many) {
		t.Errorf("one %+v, many %+v", one, many)
	}
}

// An event that names no setting and is the drift's cause speaks for the drift.
func TestTheCausesEventIsTheDrifts(t *testing.T) {
	t.Parallel()
	at := day0.Add(time.Hour)
	a := slowed(at.Add(time.Second))
	d := leftAt(at)
	event := diagnosis.Change{Resource: db, Type: kind, Time: at, Actor: "alice", Action: "ALTER SYSTEM"}
	a.Suspects = diagnosis.Rank(a, []diagnosis.Change{event}, ratesOf(time.Second), nil)
	got := diagnosis.Join(d, nil, []penumbra.Anomaly{*a}, ratesOf(time.Second), nil)
	if want := diagnosis.Unseen(a.Suspects); len(got) != 1 || math.Abs(got[0].Coincidence-want) > 1e-9 {
		t.Errorf("%+v, want %g", got, want)
	}
}
