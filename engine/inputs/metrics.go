package inputs

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// tendEvery is how often rollups are stored and silence is looked for.
	tendEvery = 10 * time.Second
	// targetsKept bounds the label sets that are remembered; a source that makes
	// up new ones for ever must not take the memory.
	targetsKept = 200_000
	// targetFresh is how long it is remembered that a series is nobody's: a
	// resource may come that it belongs to.
	targetFresh = time.Minute
)

// meters turn series into values of resources' metrics, and keep them in rolled
// up form.
type meters struct {
	mu      sync.Mutex
	targets map[string]*target
	series  map[string]int       // how many are watched of each input
	owners  map[metricKey]string // the series that each metric comes from
	rollups rollups
	known   int // how many resources have become known: nobody's series is asked for again with each
}

type metricKey struct {
	resource penumbra.Address
	metric   string
}

// target is what a series is the values of.
type target struct {
	metricKey
	worse penumbra.Direction
	rate  Rate // of a counter
	ok    bool
	asked time.Time // when it was found out
	known int       // and how many resources were known
}

func newMeters() *meters {
	return &meters{targets: map[string]*target{}, series: map[string]int{}, owners: map[metricKey]string{}, rollups: rollups{open: map[rollupKey]*openRollup{}, metered: map[penumbra.Address]bool{}}}
}

// Series takes values of metrics in. Those that no rule names, or that are of no
// resource, are counted and passed over.
func (f *Feed) Series(ctx context.Context, series []penumbra.Series) error {
	k := f.intake
	now := k.cfg.Now().UTC()
	var changed []penumbra.Anomaly
	var points, unnamed int64
	var newest time.Time
	for i := range series {
		s := &series[i]
		s.Input = f.input.Name
		t := k.targetOf(s, now)
		if !t.ok {
			unnamed += int64(len(s.Points))
			continue
		}
		for _, p := range s.Points {
			if p.Time.After(now.Add(wrongClock)) || !finite(p.Value) {
				unnamed++
				continue
			}
			newest = later(newest, p.Time)
			if t.rate != nil {
				rate, ok := t.rate.Observe(p)
				if !ok {
					continue
				}
				p = rate
			}
			found, err := k.sample(t.metricKey, t.worse, p)
			if err != nil {
				unnamed++
				continue
			}
			k.recordings.tap(t.metricKey, t.worse, p)
			points++
			changed = append(changed, found...)
		}
	}
	f.note(func(s *penumbra.InputStatus) {
		s.Points += points
		s.Unnamed += unnamed
		if !newest.IsZero() {
			s.Last, s.Lag = now, max(0, now.Sub(newest))
		}
		s.Error, s.Failures = "", 0
	})
	return k.cfg.Loop.Found(ctx, changed)
}

// sample takes one value of a metric in.
func (k *Intake) sample(key metricKey, worse penumbra.Direction, p penumbra.Point) ([]penumbra.Anomaly, error) {
	found, err := k.cfg.Monitor.Observe(key.resource, key.metric, worse, p)
	if err == nil {
		k.meters.rollups.add(key, p, k.cfg.Now())
	}
	return found, err
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Measure takes the metrics of an observation in, as values of their time.
func (k *Intake) Measure(o *penumbra.Observation) []penumbra.Anomaly {
	if k.cfg.Monitor == nil {
		return nil
	}
	var out []penumbra.Anomaly
	for _, m := range o.Metrics {
		if !finite(m.Value) {
			continue
		}
		worse := m.Worse
		if !m.Directed {
			if _, way, named := k.cfg.Namer.Name(&penumbra.Series{Metric: m.Name}); named {
				worse = way
			}
		}
		key, p := metricKey{o.Resource, m.Name}, penumbra.Point{Time: o.Time, Value: m.Value}
		found, err := k.sample(key, worse, p)
		if err != nil {
			continue
		}
		out = append(out, found...)
		if o.Source == penumbra.LiveSource { // any other is in the timeline itself
			k.recordings.tap(key, worse, p)
		}
	}
	return out
}

// targetOf finds out, or remembers, whose metric a series is.
func (k *Intake) targetOf(s *penumbra.Series, now time.Time) *target {
	m := k.meters
	key := seriesKey(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.targets[key]
	if t != nil && (t.ok || t.known == m.known && now.Sub(t.asked) < targetFresh) {
		return t
	}
	if t == nil && len(m.targets) >= targetsKept {
		return &target{}
	}
	t = &target{asked: now, known: m.known}
	m.targets[key] = t
	var named bool
	if t.metric, t.worse, named = k.cfg.Namer.Name(s); !named {
		return t
	}
	if t.resource, named = k.cfg.Mapper.Series(s.Input, s.Labels); !named {
		return t
	}
	// Two series of one metric would take turns in it. The first has it; a user's
	// rule can tell them apart by a label.
	if owner, taken := m.owners[t.metricKey]; taken && owner != key {
		return t
	}
	m.owners[t.metricKey] = key
	t.ok = true
	m.series[s.Input]++
	if s.Counter {
		t.rate = k.cfg.NewRate()
	}
	return t
}

// Appeared notes that a resource has become known, which a series may be of.
func (k *Intake) Appeared() {
	m := k.meters
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known++
}

func seriesKey(s *penumbra.Series) string {
	var b strings.Builder
	b.WriteString(s.Input)
	b.WriteByte(0)
	b.WriteString(s.Metric)
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		b.WriteByte(0)
		b.WriteString(name)
		b.WriteByte(0)
		b.WriteString(s.Labels[name])
	}
	return b.String()
}

func (m *meters) seriesOf(input string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.series[input]
}

// tend stores rollups and looks for metrics that have fallen silent, until ctx
// ends.
func (k *Intake) tend(ctx context.Context) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := k.Tend(ctx); err != nil && ctx.Err() == nil {
			k.cfg.Log.Error("metrics were not stored; they are tried again", "error", err)
		}
	}
}

// Tend stores what is rolled up and looks for metrics that have fallen silent.
func (k *Intake) Tend(ctx context.Context) error {
	if err := k.saveRollups(ctx, false); err != nil {
		return err
	}
	// A source that does not run makes all of its metrics silent, and says so
	// itself.
	for _, in := range k.inputs {
		if st := in.now(); st.Error != "" && st.Points > 0 {
			return nil
		}
	}
	return k.cfg.Loop.Found(ctx, k.cfg.Monitor.Tick(k.cfg.Now().UTC()))
}

// Hourly is the source of the means that Penumbra itself puts into the timeline.
const Hourly = "metrics"

// tellHours puts the means of hours that are over into the timeline, one
// observation for each resource and hour: what the models learn of metrics.
func (k *Intake) tellHours(ctx context.Context, closed []penumbra.Rollup) error {
	type hour struct {
		resource penumbra.Address
		start    time.Time
	}
	hours := map[hour][]penumbra.Metric{}
	for _, r := range closed {
		if r.Span == time.Hour {
			h := hour{r.Resource, r.Start}
			hours[h] = append(hours[h], penumbra.Metric{Name: r.Metric, Value: r.Mean()})
		}
	}
	var b Batch
	now := k.cfg.Now().UTC()
	for h, metrics := range hours {
		r, ok := k.cfg.Loop.Resource(h.resource)
		if !ok {
			continue
		}
		slices.SortFunc(metrics, func(a, b penumbra.Metric) int { return cmp.Compare(a.Name, b.Name) })
		b.Observations = append(b.Observations, penumbra.Observation{
			Kind: penumbra.MetricKind, Time: h.start.Add(time.Hour), Seen: now, Resource: h.resource, Type: r.Type,
			Source: Hourly, Metrics: metrics,
		})
	}
	return k.cfg.Loop.Enter(ctx, b)
}

// Metered returns the resources that have metrics and are chosen.
func (k *Intake) Metered(of func(penumbra.Address) bool) []penumbra.Address {
	m := &k.meters.rollups
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []penumbra.Address
	for r := range m.metered {
		if of(r) {
			out = append(out, r)
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
