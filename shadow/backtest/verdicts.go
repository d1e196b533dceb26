package backtest

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Verdicts is what verdicts on drift are given by.
type Verdicts struct {
	Judge Judge
	// Fold carries a resource over an observation, as the program does it.
	Fold func(*penumbra.Resource, *penumbra.Observation)
	// Confidence is that of the sets which the judge is given.
	Confidence float64
}

// Judge gives the verdict on each setting of a resource at a time: expect is
// what was expected before the last snapshot, forecast what lies ahead.
type Judge interface {
	Assess(r *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, at time.Time) penumbra.Assessment
}

// Drift is how good a model's verdicts are. A mismatch is a declared setting
// that a snapshot finds off its template, having been on it. By hindsight it was
// harmless if a person accepted the value, or if it went back to the template
// with an event by automation on it and no apply or rollback by Penumbra in
// between; all others were drifts.
type Drift struct {
	Name       string `json:"name"`
	Mismatches int    `json:"mismatches"`
	Drifts     int    `json:"drifts"`
	// Precision and Recall are of the verdicts drifted and unexpected, given when
	// the mismatch was found; TemplatePrecision is that of holding every mismatch
	// to be a drift, whose recall is 1.
	Precision         float64 `json:"precision"`
	Recall            float64 `json:"recall"`
	TemplatePrecision float64 `json:"template_precision"`
	// Tolerated is the share of the harmless ones held to be tolerated.
	Tolerated float64 `json:"tolerated"`
	// Foreseen is the share of the drifts that were impending before, LeadMedian
	// and LeadTenth how many days before, at the median and the 10th percentile.
	Foreseen   float64 `json:"foreseen"`
	LeadMedian float64 `json:"lead_median_days"`
	LeadTenth  float64 `json:"lead_tenth_days"`
	// Alerts is how often a setting became impending, FalseAlerts how often it did
	// not leave within the longest horizon, FalsePerDay the latter for a
	// resource and day.
	Alerts      int     `json:"alerts"`
	FalseAlerts int     `json:"false_alerts"`
	FalsePerDay float64 `json:"false_alerts_per_resource_day"`
}

// watched follows the verdicts with one model.
type watched struct {
	options   *Options
	name      string
	resources map[penumbra.Address]*tracked

	episodes     []episode
	alerts, idle int // idle are the false ones
	leads        []float64
	days         float64 // resources times days
	at           time.Time
	alive        int

	parts []judged // of parts of the estate that were replayed elsewhere
}

// tracked is a resource with what was said of its settings.
type tracked struct {
	penumbra.Resource
	alert map[string]time.Time // since when a setting is impending
	open  map[string]int       // its episode
}

// episode is one mismatch.
type episode struct {
	path     string
	verdict  penumbra.Verdict
	began    time.Time
	byRobot  bool // automation touched it
	applied  bool // Penumbra ended it
	accepted bool
	ended    bool
}

func (e *episode) harmless() bool { return e.accepted || e.ended && e.byRobot && !e.applied }

func newWatched(o *Options, entrants []Entrant) []*watched {
	out := make([]*watched, len(entrants))
	for i, e := range entrants {
		out[i] = &watched{options: o, name: e.Name, resources: map[penumbra.Address]*tracked{}}
	}
	return out
}

// observe gives the verdict on a snapshot and lets the model learn.
func (w *watched) observe(m Model, o *penumbra.Observation) {
	r := w.resources[o.Resource]
	if r == nil {
		r = &tracked{Resource: penumbra.Resource{Address: o.Resource, Type: o.Type}, alert: map[string]time.Time{}, open: map[string]int{}}
		w.resources[o.Resource] = r
	}
	scoring := !o.Time.Before(w.options.From) && w.options.scored(o.Resource)
	if !o.Time.Before(w.options.From) {
		if !w.at.IsZero() {
			w.days += float64(w.alive) * o.Time.Sub(w.at).Hours() / 24
		}
		w.at = o.Time
	}
	look := o.Kind == penumbra.SnapshotKind && o.NotChecked == ""
	first := r.SnapshotTime.IsZero()
	was := r.Resource
	var expected []penumbra.Expectation
	if look && !first {
		expected = m.Expect(withPaths(&r.Resource, o.Settings), o.Time, w.options.Verdicts.Confidence)
	}
	w.options.Verdicts.Fold(&r.Resource, o)
	m.Observe(o)
	w.event(r, o)
	if look && first && w.options.scored(o.Resource) {
		w.alive++
	}
	if r.Deleted && !was.Deleted && !first && w.options.scored(o.Resource) {
		w.alive--
		delete(w.resources, o.Resource)
		return
	}
	if !look || first || !scoring {
		return
	}
	a := w.options.Verdicts.Judge.Assess(&r.Resource, expected, m.Forecast(&r.Resource, o.Time), o.Time)
	w.judge(r, &was, &a)
}

// withPaths returns the resource as it was, with the paths that a snapshot
// found: a model answers for those it is shown.
func withPaths(r *penumbra.Resource, found penumbra.Settings) *penumbra.Resource {
	var added []penumbra.Setting
	for _, x := range found {
		if _, known := r.Actual.Find(x.Path); !known && !r.Declared(x.Path) {
			added = append(added, penumbra.Setting{Path: x.Path, Sensitive: x.Sensitive})
		}
	}
	if len(added) == 0 {
		return r
	}
	shown := *r
	shown.Actual = penumbra.NewSettings(append(slices.Clone(shown.Actual), added...)...)
	return &shown
}

// event notes who touched the open mismatches.
func (w *watched) event(r *tracked, o *penumbra.Observation) {
	if o.Kind != penumbra.EventKind || o.IsCommit() {
		return
	}
	for path, i := range r.open {
		x, named := o.Settings.Find(path)
		e := &w.episodes[i]
		switch {
		case o.Action == penumbra.ActionApply || o.Action == penumbra.ActionRollback:
			e.applied = true
		case o.Action == penumbra.ActionAccept:
			e.accepted = e.accepted || named && x.Value.Agrees(r.Actual.Get(path))
		case o.ActorKind == penumbra.Automation:
			e.byRobot = e.byRobot || named || len(o.Settings) == 0
		}
	}
}

// judge takes an assessment in: mismatches that begin and end, alerts that come
// true or do not.
func (w *watched) judge(r *tracked, was *penumbra.Resource, a *penumbra.Assessment) {
	verdicts := map[string]penumbra.Verdict{}
	for _, f := range a.Findings {
		verdicts[f.Path] = f.Verdict
	}
	for _, x := range r.Template {
		declared, ok := declares(r.Template, x.Path)
		actual := r.Actual.Get(x.Path)
		if !ok || actual.IsNull() {
			continue
		}
		off := !declared.Agrees(actual)
		i, open := r.open[x.Path]
		switch {
		case open && !off:
			w.episodes[i].ended = true
			delete(r.open, x.Path)
		case !open && off && was.Template.Get(x.Path).Agrees(was.Actual.Get(x.Path)) && verdicts[x.Path] != penumbra.Pending:
			w.begin(r, x.Path, verdicts[x.Path], a.Time)
		}
		w.alarm(r, x.Path, verdicts[x.Path] == penumbra.Impending, a.Time)
	}
}

func (w *watched) begin(r *tracked, path string, v penumbra.Verdict, at time.Time) {
	r.open[path] = len(w.episodes)
	e := episode{path: path, verdict: v, began: at}
	for _, t := range r.Recent {
		if t.ActorKind == penumbra.Automation && t.Time.After(r.PriorSnapshot) && (len(t.Paths) == 0 || slices.Contains(t.Paths, path)) {
			e.byRobot = true
		}
	}
	w.episodes = append(w.episodes, e)
	if since, ok := r.alert[path]; ok {
		w.leads = append(w.leads, at.Sub(since).Hours()/24)
		delete(r.alert, path)
	} else {
		w.leads = append(w.leads, -1)
	}
}

// alarm follows an impending drift: it is false if nothing came within the
// longest horizon.
func (w *watched) alarm(r *tracked, path string, impending bool, at time.Time) {
	since, on := r.alert[path]
	if on && at.Sub(since) > w.options.longest() {
		w.idle++
		delete(r.alert, path)
		on = false
	}
	if impending && !on {
		w.alerts++
		r.alert[path] = at
	}
}

// judged is what the verdicts came to: of each mismatch the verdict, whether it
// was harmless, and how many days before it was impending, -1 if it was not.
type judged struct {
	Verdicts     []penumbra.Verdict
	Harmless     []bool
	Leads        []float64
	Alerts, Idle int
	Days         float64
}

// judged sums up what was watched here and elsewhere.
func (w *watched) judged() judged {
	j := judged{Leads: slices.Clone(w.leads), Alerts: w.alerts, Idle: w.idle, Days: w.days}
	for i := range w.episodes {
		j.Verdicts = append(j.Verdicts, w.episodes[i].verdict)
		j.Harmless = append(j.Harmless, w.episodes[i].harmless())
	}
	for _, x := range w.parts {
		j.Verdicts = append(j.Verdicts, x.Verdicts...)
		j.Harmless = append(j.Harmless, x.Harmless...)
		j.Leads = append(j.Leads, x.Leads...)
		j.Alerts += x.Alerts
		j.Idle += x.Idle
		j.Days += x.Days
	}
	return j
}

func (j *judged) report(name string) Drift {
	d := Drift{Name: name, Mismatches: len(j.Verdicts), Alerts: j.Alerts, FalseAlerts: j.Idle}
	var flagged, right, harmless, tolerated int
	var leads []float64
	for i, verdict := range j.Verdicts {
		said := verdict.IsDrift()
		if said {
			flagged++
		}
		if j.Harmless[i] {
			harmless++
			if verdict == penumbra.Tolerated {
				tolerated++
			}
			continue
		}
		d.Drifts++
		if said {
			right++
		}
		if j.Leads[i] >= 0 {
			leads = append(leads, j.Leads[i])
		}
	}
	share := func(a, b int) float64 { return float64(a) / max(1, float64(b)) }
	d.Precision, d.Recall = share(right, flagged), share(right, d.Drifts)
	d.TemplatePrecision, d.Tolerated = share(d.Drifts, d.Mismatches), share(tolerated, harmless)
	d.Foreseen = share(len(leads), d.Drifts)
	d.LeadMedian, d.LeadTenth = quantile(leads, 0.5), quantile(leads, 0.1)
	d.FalsePerDay = float64(d.FalseAlerts) / max(1, j.Days)
	return d
}

// quantile returns that of the values, which it sorts; 0 if there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}
