package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/anomaly"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

func withMetrics(c *engine.Config) {
	withRecords(c)
	namer, err := anomaly.NewNamer([]anomaly.MetricRule{{From: "*"}})
	if err != nil {
		panic(err)
	}
	c.Namer, c.Monitor = namer, anomaly.NewMonitor(anomaly.Options{})
	c.NewRate = func() inputs.Rate { return &anomaly.Rate{} }
}

// measured is a bench with an input of metrics and two resources.
func measured(t *testing.T, config func(*engine.Config)) *bench {
	b := newBench(t)
	b.config = config
	b.both("vm.a", set("name", "alpha", "size", 1))
	b.both("vm.b", set("name", "beta", "size", 1))
	b.start()
	b.look()
	return b
}

func series(metric, host string, points ...penumbra.Point) penumbra.Series {
	return penumbra.Series{Metric: metric, Labels: map[string]string{"instance": host}, Points: points}
}

func (b *bench) measure(list ...penumbra.Series) {
	b.t.Helper()
	if err := b.engine.Feed("log").Series(b.t.Context(), list); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) tend() {
	b.t.Helper()
	if err := b.engine.Tend(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) rollups(metric string, span time.Duration) []penumbra.Rollup {
	b.t.Helper()
	out, err := b.engine.Rollups(b.t.Context(), penumbra.RollupQuery{Metric: metric, Span: span})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func TestCountersBecomeRates(t *testing.T) {
	t.Parallel()
	b := measured(t, withMetrics)
	s := series("requests_total", "alpha")
	s.Counter = true
	for i, v := range []float64{100, 160, 220, 30, 90} { // reset before the fourth
		s.Points = append(s.Points, penumbra.Point{Time: day0.Add(time.Duration(i) * 10 * time.Second), Value: v})
	}
	b.advance(time.Minute)
	b.measure(s)
	b.tend()
	got := b.rollups("requests_total", time.Minute)
	if len(got) != 1 || got[0].Min < 0 || got[0].Max != 6 || got[0].Last != 6 || got[0].Count > 4 {
		t.Fatalf("rolled up %+v, want rates of 6 a second and nothing of the reset", got)
	}
}

func TestTwoSeriesOfOneMetric(t *testing.T) {
	t.Parallel()
	b := measured(t, withMetrics)
	one, two := series("load", "alpha", penumbra.Point{Time: day0, Value: 1}), series("load", "alpha", penumbra.Point{Time: day0, Value: 1000})
	two.Labels["job"] = "other"
	b.measure(one, two)
	b.tend()
	if got := b.rollups("load", time.Minute); len(got) != 1 || got[0].Max != 1 {
		t.Fatalf("rolled up %+v: the first series has the metric", got)
	}
	if st := b.input("log"); st.Points != 1 || st.Unnamed != 1 || st.Series != 1 {
		t.Fatalf("counted %+v", st)
	}
}

func TestValuesThatAreNone(t *testing.T) {
	t.Parallel()
	b := measured(t, withMetrics)
	at := func(i int) time.Time { return day0.Add(time.Duration(i) * time.Second) }
	b.measure(series("load", "alpha",
		penumbra.Point{Time: at(0), Value: math.NaN()}, penumbra.Point{Time: at(1), Value: math.Inf(1)}, penumbra.Point{Time: at(2), Value: 2},
		penumbra.Point{Time: day0.Add(time.Hour), Value: 3}), // ahead of the clock
		series("load", "nobody", penumbra.Point{Time: at(3), Value: 4}))
	b.tend()
	if got := b.rollups("load", time.Minute); len(got) != 1 || got[0].Sum != 2 || got[0].Count != 1 {
		t.Fatalf("rolled up %+v", got)
	}
	if st := b.input("log"); st.Points != 1 || st.Unnamed != 4 {
		t.Fatalf("counted %+v", st)
	}
}

// Labels that a source makes up for ever are counted, and what is watched goes
// on being watched.
func TestLabelsThatExplode(t *testing.T) {
	b := measured(t, withMetrics)
	b.measure(series("load", "alpha", penumbra.Point{Time: day0, Value: 1}))
	const made = 210_000 // more than are remembered
	for i := range made / 1000 {
		var list []penumbra.Series
		for j := range 1000 {
			s := series("load", "nobody", penumbra.Point{Time: day0, Value: 1})
			s.Labels["request"] = fmt.Sprint(i*1000 + j)
			list = append(list, s)
		}
		b.measure(list...)
	}
	b.advance(time.Second)
	b.measure(series("load", "alpha", penumbra.Point{Time: b.now, Value: 3}))
	if st := b.input("log"); st.Points != 2 || st.Unnamed != made || st.Series != 1 {
		t.Fatalf("counted %+v", st)
	}
}

func TestRollupsAreKeptPrunedAndTold(t *testing.T) {
	t.Parallel()
	b := measured(t, withMetrics)
	for range 3 * 60 { // three hours, a value each 30 s
		b.advance(time.Minute)
		b.measure(series("load", "alpha", penumbra.Point{Time: b.now.Add(-30 * time.Second), Value: 1}, penumbra.Point{Time: b.now, Value: 3}))
		b.tend()
	}
	minutes, hours := b.rollups("load", time.Minute), b.rollups("load", time.Hour)
	if len(minutes) != 181 || len(hours) != 4 {
		t.Fatalf("%d minutes and %d hours, want 181 and 4", len(minutes), len(hours))
	}
	if m := minutes[5]; m.Count != 2 || m.Sum != 4 || m.Min != 1 || m.Max != 3 || m.Last != 1 || m.Mean() != 2 {
		t.Fatalf("a minute: %+v", m)
	}
	var told []penumbra.Observation
	for o, err := range b.store.Observations(t.Context(), penumbra.ObservationQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Kind == penumbra.MetricKind {
			told = append(told, o)
		}
	}
	if len(told) != 3 || told[0].Resource != "shop/vm.a" || !told[0].Time.Equal(day0.Add(time.Hour)) || len(told[0].Metrics) != 1 || math.Abs(told[0].Metrics[0].Value-2) > 0.1 {
		t.Fatalf("told of the hours: %+v", told)
	}
	b.advance(49 * time.Hour)
	b.measure(series("load", "alpha", penumbra.Point{Time: b.now, Value: 1}))
	b.tend()
	if left := b.rollups("load", time.Minute); len(left) != 1 {
		t.Fatalf("%d minutes after two days, want the one of now", len(left))
	}
	if left := b.rollups("load", time.Hour); len(left) != 5 {
		t.Fatalf("%d hours, want all 5", len(left))
	}
}

func TestRestartKeepsTheOpenRollup(t *testing.T) {
	t.Parallel()
	b := measured(t, withMetrics)
	b.advance(10 * time.Minute)
	b.measure(series("load", "alpha", penumbra.Point{Time: b.now, Value: 1}))
	b.stop()
	b.advance(20 * time.Second)
	b.start()
	b.measure(series("load", "alpha", penumbra.Point{Time: b.now, Value: 5}))
	b.tend()
	for _, span := range []time.Duration{time.Minute, time.Hour} {
		if got := b.rollups("load", span); len(got) != 1 || got[0].Count != 2 || got[0].Sum != 6 || got[0].Min != 1 || got[0].Max != 5 {
			t.Fatalf("after a restart: %+v", got)
		}
	}
}

func TestRollupsThatCannotBeStoredAreTriedAgain(t *testing.T) {
	t.Parallel()
	var store *failing
	b := measured(t, func(c *engine.Config) {
		withMetrics(c)
		store = &failing{Store: c.Store}
		c.Store = store
	})
	store.series = &penumbra.Error{Kind: penumbra.Full, What: "the store", Remedy: "make room"}
	for i := range 3 {
		b.measure(series("load", "alpha", penumbra.Point{Time: b.now, Value: float64(i)}))
		b.advance(30 * time.Second) // it is due
		if err := b.engine.Tend(t.Context()); penumbra.KindOf(err) != penumbra.Full {
			t.Fatalf("Tend: %v", err)
		}
		b.advance(30 * time.Second)
	}
	store.series = nil
	b.tend()
	if got, err := b.store.Rollups(t.Context(), penumbra.RollupQuery{Span: time.Minute}); err != nil || len(got) != 3 {
		t.Fatalf("%d minutes once there is room, want 3: %v", len(got), err)
	}
}

// What is open is written now and then and only if it changed: a kill costs 40 s
// of its minute and less than 6 minutes of its hour, and what is shown lacks
// nothing.
func TestOpenRollupsAreWrittenNowAndThen(t *testing.T) {
	t.Parallel()
	var store *failing
	b := measured(t, func(c *engine.Config) {
		withMetrics(c)
		store = &failing{Store: c.Store}
		c.Store = store
	})
	b.advance(b.now.Truncate(time.Hour).Add(time.Hour).Sub(b.now))
	count := func(of []penumbra.Rollup) (values int) {
		for _, r := range of {
			values += int(r.Count)
		}
		return values
	}
	for tick := range 120 { // 20 minutes
		b.measure(series("load", "alpha", penumbra.Point{Time: b.now, Value: 1}))
		b.advance(10 * time.Second)
		b.tend()
		for span, lost := range map[time.Duration]int{time.Minute: 4, time.Hour: 31} {
			kept, err := b.store.Rollups(t.Context(), penumbra.RollupQuery{Span: span})
			if err != nil || count(kept) < tick+1-lost {
				t.Fatalf("of %d values the store has %d by %v, %v", tick+1, count(kept), span, err)
			}
			if shown := count(b.rollups("load", span)); shown != tick+1 {
				t.Fatalf("of %d values %d are shown by %v", tick+1, shown, span)
			}
		}
	}
	if store.saved > 20*3+5 {
		t.Errorf("%d rollups written for 20 minutes of one series", store.saved)
	}
	written := store.saved
	for range 100 {
		b.advance(10 * time.Second)
		b.tend()
	}
	if store.saved > written+2 {
		t.Errorf("%d rollups written that had not changed", store.saved-written)
	}
}

// rehearsed is a diagnosis of few words, which shows what the engine asks and
// passes on: it blames a change of the same resource, and joins what is near in
// time.
type rehearsed struct {
	happened []engine.Change
	began    []penumbra.Anomaly
	outcomes []string
}

func (d *rehearsed) Outcome(_ *penumbra.Anomaly, s *penumbra.Suspect, wasCause bool) {
	d.outcomes = append(d.outcomes, fmt.Sprint(s.Path, " ", wasCause))
}

func (d *rehearsed) Happened(c *engine.Change) { d.happened = append(d.happened, *c) }
func (d *rehearsed) Began(a *penumbra.Anomaly) { d.began = append(d.began, *a) }
func (d *rehearsed) Watched(penumbra.Address, string, time.Duration, time.Time) {
}
func (d *rehearsed) Rank(_ *penumbra.Anomaly, changes []engine.Change) []penumbra.Suspect {
	var out []penumbra.Suspect
	for _, c := range changes {
		out = append(out, penumbra.Suspect{Resource: c.Resource, Path: c.Path, Before: c.Before, After: c.After, Time: c.Time, Actor: c.Actor, Action: c.Action, Probability: 1 / float64(len(changes)+1)})
	}
	return out
}
func (d *rehearsed) Join(x *penumbra.Drift, r *penumbra.Resource, list []penumbra.Anomaly) []penumbra.Impact {
	var out []penumbra.Impact
	for _, a := range list {
		if a.Resource == r.Address && x.Verdict.IsDrift() {
			out = append(out, penumbra.Impact{Anomaly: a.ID, Metric: a.Metric, Time: a.Onset, Before: a.Expected, After: a.Value, Worse: a.Worse, Coincidence: 0.01})
		}
	}
	return out
}
func (d *rehearsed) Critical(impacts []penumbra.Impact) bool { return len(impacts) > 0 }
func (d *rehearsed) Related(a, b penumbra.Address) float64 {
	if a == b {
		return 1
	}
	return 0
}
func (d *rehearsed) WriteTo(io.Writer) (int64, error)    { return 0, nil }
func (d *rehearsed) ReadFrom(r io.Reader) (int64, error) { return 0, nil }

// usual is a bench whose resources have had an hour of steady latency.
func usual(t *testing.T) (*bench, *rehearsed) {
	d := &rehearsed{}
	b := measured(t, func(c *engine.Config) {
		withMetrics(c)
		c.Diagnosis = d
	})
	b.latency(60*time.Minute, 0.01)
	return b, d
}

// latency lets a time pass in which vm.a answers as slowly as said, a value
// each ten seconds.
func (b *bench) latency(d time.Duration, mean float64) {
	b.t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(b.now.Unix())))
	for range d / (10 * time.Second) {
		b.advance(10 * time.Second)
		b.measure(series("latency_seconds", "alpha", penumbra.Point{Time: b.now, Value: mean * (1 + 0.1*random.NormFloat64())}))
	}
}

func (b *bench) anomalies() []penumbra.Anomaly {
	b.t.Helper()
	out, err := b.engine.Anomalies(b.t.Context(), penumbra.AnomalyQuery{})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func TestAnomalyWithoutAChange(t *testing.T) {
	t.Parallel()
	b, d := usual(t)
	before := len(d.happened)
	if list := b.anomalies(); len(list) != 0 {
		t.Fatalf("nothing happened: %+v", list)
	}
	b.latency(5*time.Minute, 1)
	list := b.anomalies()
	if len(list) != 1 || !list[0].Active() || !list[0].Worse || list[0].Resource != "shop/vm.a" || len(list[0].Suspects) != 0 {
		t.Fatalf("latency is a hundredfold: %+v", list)
	}
	if len(b.drifts()) != 0 {
		t.Fatalf("an anomaly alone is no drift: %+v", b.drifts())
	}
	if len(d.began) != 1 || d.began[0].ID != list[0].ID {
		t.Fatalf("the diagnosis was told of %+v", d.began)
	}
	b.latency(30*time.Minute, 0.01)
	if list = b.anomalies(); len(list) != 1 || list[0].Active() || len(list[0].Suspects) != 0 {
		t.Fatalf("latency is as it was: %+v", list)
	}
	var words []string
	for _, o := range b.events() {
		words = append(words, o.Action)
	}
	if fmt.Sprint(words) != fmt.Sprint([]string{penumbra.ActionAnomaly, penumbra.ActionAnomalyEnd}) {
		t.Fatalf("the timeline tells of %q", words)
	}
	// What Penumbra itself says of a metric is the cause of nothing.
	if len(d.happened) != before {
		t.Fatalf("taken for changes: %+v", d.happened[before:])
	}
}

func TestDriftAndAnomalyJoin(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"drift", "anomaly"} {
		t.Run(first+" first", func(t *testing.T) {
			t.Parallel()
			b, _ := usual(t)
			edit := func() {
				b.advance(time.Second)
				b.take(penumbra.Record{Time: b.now, Format: "json", ID: "e", Actor: "alice", Action: "edit", Targets: []string{"alpha"}, Settings: set("size", 7)})
				b.world["vm.a"] = set("name", "alpha", "size", 7)
				b.advance(time.Second)
				b.look()
			}
			if first == "drift" {
				edit()
			}
			b.latency(5*time.Minute, 1)
			if first == "anomaly" {
				if d := b.drifts(); len(d) != 0 {
					t.Fatalf("drifts before the edit was seen: %+v", d)
				}
				edit()
			}
			d := b.drifts()
			if len(d) != 1 || !d[0].Critical || len(d[0].Impact) != 1 || d[0].Impact[0].Metric != "latency_seconds" || !d[0].Impact[0].Worse {
				t.Fatalf("the drift: %+v", d)
			}
			a := b.anomalies()
			if len(a) != 1 || a[0].Drift != d[0].ID || len(a[0].Suspects) != 1 || a[0].Suspects[0].Path != "size" || a[0].Suspects[0].Actor != "alice" {
				t.Fatalf("the anomaly: %+v", a)
			}
		})
	}
}

// slower lets vm.a answer within 50 ms for a minute, after 10 ms, and has it get slower
// in small steps then: to 85 ms, which is not twice as far out.
func (b *bench) slower() {
	b.t.Helper()
	b.answers(50, 50, 50, 50, 50, 50)
	b.answers(55, 60, 65, 70, 75, 80, 85)
}

// answers lets a time pass in which vm.a answers within so many milliseconds, a value
// each ten seconds.
func (b *bench) answers(within ...float64) {
	b.t.Helper()
	for _, ms := range within {
		b.advance(10 * time.Second)
		b.measure(series("latency_seconds", "alpha", penumbra.Point{Time: b.now, Value: ms / 1000}))
	}
}

// What a drift did to a metric is what it is by now, while it gets worse: a value and no
// change of the drift.
func TestAnImpactFollowsItsAnomaly(t *testing.T) {
	t.Parallel()
	b, _ := usual(t)
	b.world["vm.a"] = set("name", "alpha", "size", 7)
	b.look()
	b.answers(50)
	was := b.drifts()
	if len(was) != 1 || len(was[0].Impact) != 1 || was[0].Impact[0].After != 0.05 {
		t.Fatalf("at five times: %+v", was)
	}
	b.slower()
	d := b.drifts()
	if len(d) != 1 || len(d[0].Impact) != 1 || d[0].Impact[0].After < 0.075 || d[0].Impact[0].After != b.anomalies()[0].Value {
		t.Fatalf("at eight times: %+v", d)
	}
	if !d[0].Changed.Equal(was[0].Changed) {
		t.Errorf("the drift is said to have changed at %v, which was at %v", d[0].Changed, was[0].Changed)
	}
	last := b.engine.LastNews()
	b.answers(80, 85, 82, 80, 85, 81, 83)
	same(t, "latency that stays where it is", b.told(last))
	b.latency(30*time.Minute, 0.01)
	if d = b.drifts(); len(d[0].Impact) != 1 || d[0].Impact[0].After != 0.085 {
		t.Fatalf("latency is as it was: %+v", d)
	}
}

// attentive is a monitor that notes what it is told to attend to.
type attentive struct {
	*anomaly.Monitor
	to []string
}

func (m *attentive) Attend(resource penumbra.Address, at time.Time) {
	m.to = append(m.to, fmt.Sprint(resource, " ", at.Sub(day0)))
	m.Monitor.Attend(resource, at)
}

// The metrics of what has drifted are attended to from the event on, those of
// resources that have nothing to do with it and those of what is put right are not.
func TestMetricsOfADriftAreAttendedTo(t *testing.T) {
	t.Parallel()
	m := &attentive{Monitor: anomaly.NewMonitor(anomaly.Options{})}
	b := measured(t, func(c *engine.Config) {
		withMetrics(c)
		c.Monitor, c.Diagnosis = m, &rehearsed{}
	})
	for _, host := range []string{"alpha", "beta"} {
		b.measure(series("latency_seconds", host, penumbra.Point{Time: b.now, Value: 1}))
	}
	b.advance(time.Minute)
	edited := b.now
	b.take(penumbra.Record{Time: edited, Format: "json", ID: "e", Actor: "alice", Action: "edit", Targets: []string{"alpha"}, Settings: set("size", 7)})
	b.world["vm.a"] = set("name", "alpha", "size", 7)
	b.advance(time.Minute)
	b.look()
	want := []string{fmt.Sprint("shop/vm.a ", edited.Sub(day0))}
	if fmt.Sprint(m.to) != fmt.Sprint(want) {
		t.Fatalf("attended to %q, want %q", m.to, want)
	}
	b.world["vm.a"] = b.code["vm.a"]
	b.advance(time.Minute)
	b.look()
	if fmt.Sprint(m.to) != fmt.Sprint(want) {
		t.Fatalf("with the drift resolved attended to %q", m.to)
	}
}

// What becomes of a metric once the setting is back says whether it was the cause.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		stays time.Duration // of the anomaly, after the setting is back
		want  []string
	}{
		"the metric comes back with the setting": {0, []string{"size true"}},
		"the metric stays out":                   {time.Hour, []string{"size false"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, d := usual(t)
			b.world["vm.a"] = set("name", "alpha", "size", 7)
			b.look()
			b.latency(5*time.Minute, 1)
			b.look()
			if a := b.anomalies(); len(a) != 1 || a[0].Drift == "" || len(d.outcomes) != 0 {
				t.Fatalf("before it is put right: %+v, outcomes %q", a, d.outcomes)
			}
			b.world["vm.a"] = b.code["vm.a"]
			b.look()
			b.latency(x.stays, 1)
			b.latency(30*time.Minute, 0.01)
			if a := b.anomalies(); a[0].Active() {
				t.Fatalf("the anomaly goes on: %+v", a)
			}
			if fmt.Sprint(d.outcomes) != fmt.Sprint(x.want) {
				t.Errorf("outcomes %q, want %q", d.outcomes, x.want)
			}
		})
	}
}

// Single values in a timeline go the way of an input's: watched in the direction
// that they name, rolled up, given to who records, and not kept in the timeline.
func TestLiveValuesOfATimeline(t *testing.T) {
	t.Parallel()
	b := measured(t, withMetrics)
	stored, err := b.store.Sequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := b.engine.StartRecording(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.engine.EndRecording(context.WithoutCancel(t.Context()), id) })
	random := rand.New(rand.NewPCG(7, 7))
	var text strings.Builder
	const n = 120
	for i := range n {
		level := 100.0
		if i >= n-20 {
			level = 10
		}
		at := day0.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
		for _, worse := range []string{"up", "down"} {
			fmt.Fprintf(&text, `{"kind":"metric","time":%q,"resource":"shop/vm.a","source":"live","metrics":{"latency_%s":%g},"worse":{"latency_%s":%q}}`+"\n", at, worse, level+random.NormFloat64(), worse, worse)
		}
	}
	b.advance(n * time.Second)
	if r := b.ingest(text.String()); r.Lines != 2*n || r.Values != 2*n || r.Added != 0 || r.Repeated != 0 || r.Bad != 0 {
		t.Errorf("it counted %+v", r)
	}
	found := b.anomalies()
	if len(found) != 2 {
		t.Fatalf("%d anomalies, want one of each metric: %+v", len(found), found)
	}
	for _, a := range found {
		if a.Worse != (a.Metric == "latency_down") {
			t.Errorf("%s fell; worse is %v", a.Metric, a.Worse)
		}
	}
	after, err := b.store.Sequence(t.Context())
	if err != nil || after != stored+2 { // that the anomalies began
		t.Errorf("%d observations came into the timeline, want 2: %v", after-stored, err)
	}
	b.tend()
	if got := b.rollups("latency_up", time.Minute); len(got) != 2 || got[0].Count != 60 {
		t.Errorf("rolled up %+v", got)
	}
	page, err := b.engine.RecordedValues(t.Context(), id, 0)
	if err != nil || len(page.Values) != 2*n {
		t.Errorf("%d values were recorded, want %d: %v", len(page.Values), 2*n, err)
	}
	b.ingest(text.String())
	if again := b.anomalies(); len(again) != 2 {
		t.Errorf("taken in again they make %d anomalies", len(again))
	}
}

func TestSeriesAreRecorded(t *testing.T) {
	t.Parallel()
	b := measured(t, withMetrics)
	id, err := b.engine.StartRecording(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.engine.EndRecording(context.WithoutCancel(t.Context()), id) })
	requests := series("requests_total", "alpha", penumbra.Point{Time: day0, Value: 100}, penumbra.Point{Time: day0.Add(10 * time.Second), Value: 160})
	requests.Counter = true
	b.advance(time.Minute)
	b.measure(requests, series("load", "nobody", penumbra.Point{Time: day0, Value: 1}), series("load", "alpha", penumbra.Point{Time: day0, Value: math.NaN()}))
	page, err := b.engine.RecordedValues(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	// What the monitor saw: the rate of a counter, of a resource, by the name here.
	want := []penumbra.MetricValue{{Resource: "shop/vm.a", Metric: "requests_total", Worse: penumbra.Down, Time: day0.Add(10 * time.Second), Value: 6}}
	if d := cmp.Diff(want, page.Values); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	// What a timeline holds itself is not told twice.
	b.ingest(`{"kind":"metric","time":"2026-03-02T00:00:30Z","resource":"shop/vm.a","source":"http","metrics":{"load":1}}` + "\n")
	if page, err = b.engine.RecordedValues(t.Context(), id, page.Page); err != nil || len(page.Values) > 0 {
		t.Errorf("%+v, %v", page.Values, err)
	}
}

// meeting has an anomaly and a look at the same resource meet: the anomaly is about to be
// held against the drifts when the look judges, and what the look judged is stored last.
type meeting struct {
	engine.Store
	slog.Handler
	armed    atomic.Bool
	diagnose chan struct{}  // closed when the anomaly is about to be held against drifts
	judged   chan struct{}  // closed when the look has judged
	critical chan struct{}  // closed when the anomaly's doing is stored
	done     [3]atomic.Bool // each of these happens once
}

func (m *meeting) Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	if m.armed.Load() && !q.From.IsZero() {
		if m.done[0].CompareAndSwap(false, true) {
			close(m.diagnose)
			<-m.judged
		}
	}
	return m.Store.Anomalies(ctx, q)
}

func (m *meeting) SaveDrifts(ctx context.Context, drifts []penumbra.Drift) error {
	err := m.Store.SaveDrifts(ctx, drifts)
	if m.armed.Load() && slices.ContainsFunc(drifts, func(d penumbra.Drift) bool { return d.Critical }) {
		if m.done[1].CompareAndSwap(false, true) {
			close(m.critical)
		}
	}
	return err
}

func (m *meeting) Handle(ctx context.Context, r slog.Record) error {
	if m.armed.Load() && r.Message == "drift" {
		if m.done[2].CompareAndSwap(false, true) { // the look, between judging and storing
			close(m.judged)
			<-m.critical
		}
	}
	return m.Handler.Handle(ctx, r)
}

// An anomaly that makes a drift critical must not be lost to a state of the drift from
// before it that is stored after it.
func TestDriftIsStoredAsItIs(t *testing.T) {
	t.Parallel()
	m := &meeting{
		Handler: slog.NewTextHandler(io.Discard, nil), diagnose: make(chan struct{}), judged: make(chan struct{}), critical: make(chan struct{}),
	}
	b := measured(t, func(c *engine.Config) {
		withMetrics(c)
		m.Store = c.Store
		c.Diagnosis, c.Log, c.Store = &rehearsed{}, slog.New(m), m
	})
	b.latency(60*time.Minute, 0.01)
	b.world["vm.a"] = set("name", "alpha", "size", 7)
	b.advance(time.Second)
	b.look()
	m.armed.Store(true)
	slow := series("latency_seconds", "alpha")
	for i := range 30 {
		slow.Points = append(slow.Points, penumbra.Point{Time: b.now.Add(time.Duration(i+1) * time.Second), Value: 1})
	}
	b.advance(time.Minute)
	found := make(chan error, 1)
	go func() {
		found <- b.engine.Feed("log").Series(context.WithoutCancel(t.Context()), []penumbra.Series{slow})
	}()
	<-m.diagnose
	b.world["vm.a"] = set("name", "alpha", "size", 9)
	b.look()
	if err := <-found; err != nil {
		t.Fatal(err)
	}
	if d := b.drifts(); len(d) != 1 || !d[0].Critical || len(d[0].Impact) != 1 || d[0].Findings[0].Actual != penumbra.Number(9) {
		t.Fatalf("stored %+v", d)
	}
}
