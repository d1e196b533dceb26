package bayes

import (
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

var _ shadow.Model = (*Model)(nil)

// ModelOptions are the choices of a model. The zero value is a good one.
type ModelOptions struct {
	// Pooled are those of the model that it is built on.
	Pooled shadow.Options
	// Learning are those of each type's network. MaxParents is 3 if 0, Rounds 1
	// and Iterations 10, because a network is learnt again and again.
	Learning Options
	// Cases is how many of a type's latest cases are kept, 4096 if 0, 128 at
	// least: one half for those in which settings count, one for those with
	// metrics alone. A network is first learnt from 64, and again when a quarter
	// of them are new.
	Cases int
}

// Model is a shadow that joins two models. When a setting changes, whether it
// is away and what is never learnt is the pooled model's answer. Which value an
// undeclared setting has that nobody looked at yet, or moves to, is weighed with
// the network of its type, given the resource's other settings; the more cases
// stand behind that, the more.
//
// A case is an hour of a resource: the settings at its end, the means of the
// metrics in it, and the operational patterns. A setting counts for its own
// causes when it changes and once in thirty days, because the same machine seen
// a thousand times is one machine. While one is away from what is expected, the
// resource's settings count for their effects only, as if somebody had set them
// from outside: a drift teaches what it does to the metrics and never what is
// normal.
//
// An observation costs O(1) for each setting in it, but for the first of an
// hour, which closes the cases of the hour before, and one in so many cases that
// has the type's network learnt again, from a bounded number of them.
type Model struct {
	opts   ModelOptions
	pooled *shadow.Pooled
	state
}

// state is what a checkpoint holds besides the pooled model's.
type state struct {
	Resources map[penumbra.Address]*resource
	Kinds     map[string]*kind
	Hour      int64              // the present one since 1970
	Open      []penumbra.Address // the resources whose case of this hour is open
}

func newState() state {
	return state{Resources: map[penumbra.Address]*resource{}, Kinds: map[string]*kind{}}
}

// NewModel returns a model that has observed nothing.
func NewModel(opts ModelOptions) *Model {
	or := func(x *int, standard int) {
		if *x == 0 {
			*x = standard
		}
	}
	or(&opts.Cases, 4096)
	opts.Cases = max(opts.Cases, 2*firstCases)
	or(&opts.Learning.MaxParents, 3)
	or(&opts.Learning.Rounds, 1)
	or(&opts.Learning.Iterations, 10)
	return &Model{opts: opts, pooled: shadow.NewPooled(opts.Pooled), state: newState()}
}

// resource is what is kept of one resource.
type resource struct {
	Type     string
	Template stored
	Actual   stored
	Last     int64 // Unix seconds of the last template, snapshot or change of the code
	Full     bool  // a full snapshot was seen: what is absent is absent
	Looked   bool  // the actual values are known
	Code     bool  // from changes of the code only
	Hour     int64 // of the open case; 0 if there is none
	Metrics  []mean
	User     activity
	Robot    activity
	Changed  int64    // when a setting last changed, 0 if never
	Counted  int64    // when all settings last counted for their own causes, 0 if never
	Moved    []string // paths that changed since the last case
	Accepted []string
}

// mean adds up a metric within the hour.
type mean struct {
	Name  string
	Sum   float64
	Count float64
}

// activity counts recent events, each worth half as much after three hours.
type activity struct {
	At    int64
	Level float64
}

const activityLife = 3 * 3600

func (a activity) now(at int64) float64 {
	return a.Level * math.Exp2(-float64(max(0, at-a.At))/activityLife)
}

func (a *activity) strike(at int64) {
	a.Level = a.now(at) + 1
	a.At = max(a.At, at)
}

// Observe folds an observation in.
func (m *Model) Observe(o *penumbra.Observation) {
	t := o.Time.Unix()
	r := m.Resources[o.Resource]
	if r == nil {
		r = &resource{Type: o.Type}
		m.Resources[o.Resource] = r
	}
	m.turn(o.Resource, r, t)
	m.pooled.Observe(o)
	switch o.Kind {
	case penumbra.TemplateKind:
		if r.inOrder(t) {
			r.Template, r.Code = withoutNulls(o.Settings), false
		}
	case penumbra.SnapshotKind:
		if o.NotChecked == "" && r.inOrder(t) {
			r.look(o, t)
		}
	case penumbra.EventKind:
		m.observeEvent(r, o, t)
	case penumbra.MetricKind:
		if t/3600 == r.Hour {
			r.measure(o.Metrics)
		}
	}
}

// turn closes the cases of an hour that is over, in the order of addresses, and
// opens the resource's case of the present one. What is late opens none.
func (m *Model) turn(address penumbra.Address, r *resource, t int64) {
	hour := t / 3600
	if hour > m.Hour {
		slices.Sort(m.Open)
		for _, a := range m.Open {
			if x := m.Resources[a]; x != nil && x.Hour != 0 {
				m.closeCase(a, x)
				x.Hour, x.Metrics = 0, x.Metrics[:0]
			}
		}
		m.Hour, m.Open = hour, m.Open[:0]
	}
	if hour == m.Hour && r.Hour == 0 {
		r.Hour = hour
		m.Open = append(m.Open, address)
	}
}

func (r *resource) inOrder(t int64) bool {
	if t < r.Last {
		return false
	}
	r.Last = t
	return true
}

// look takes over what a snapshot found.
func (r *resource) look(o *penumbra.Observation, t int64) {
	found := withoutNulls(o.Settings)
	if !o.Full {
		found = stored(penumbra.Settings(r.Actual).Merge(o.Settings))
	}
	r.move(found, t)
	r.Full = r.Full || o.Full
	r.Code = false
}

func (r *resource) move(to stored, t int64) {
	if r.Looked {
		for _, x := range differing(r.Actual, to) {
			r.Changed = t
			if !slices.Contains(r.Moved, x) {
				r.Moved = append(r.Moved, x)
			}
		}
	}
	r.Actual, r.Looked = to, true
}

// differing returns the paths at which a and b, sorted by path, differ.
func differing(a, b stored) (out []string) {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case j == len(b) || i < len(a) && a[i].Path < b[j].Path:
			out = append(out, a[i].Path)
			i++
		case i == len(a) || b[j].Path < a[i].Path:
			out = append(out, b[j].Path)
			j++
		default:
			if a[i].Value != b[j].Value {
				out = append(out, a[i].Path)
			}
			i, j = i+1, j+1
		}
	}
	return out
}

func withoutNulls(s penumbra.Settings) stored {
	return stored(penumbra.Settings(nil).Merge(s))
}

func (m *Model) observeEvent(r *resource, o *penumbra.Observation, t int64) {
	if o.IsCommit() {
		return // nothing was done to the resource yet
	}
	fresh := !r.Looked && len(r.Template) == 0
	if o.IsCodeChange() && (fresh || r.Code) {
		if !r.inOrder(t) {
			return
		}
		r.Code = true
		switch o.Action {
		case "create":
			r.move(withoutNulls(o.Settings), t)
			r.Full = true
		case penumbra.ActionDelete:
			delete(m.Resources, o.Resource)
		default:
			r.move(stored(penumbra.Settings(r.Actual).Merge(o.Settings)), t)
		}
		return
	}
	switch o.ActorKind {
	case penumbra.User:
		r.User.strike(t)
	case penumbra.Automation, penumbra.System:
		r.Robot.strike(t)
	}
	switch o.Action {
	case penumbra.ActionDelete:
		if t >= r.Last {
			delete(m.Resources, o.Resource)
		}
	case penumbra.ActionAccept:
		for _, s := range o.Settings {
			if !slices.Contains(r.Accepted, s.Path) {
				r.Accepted = append(r.Accepted, s.Path)
			}
		}
	}
}

func (r *resource) measure(metrics []penumbra.Metric) {
	for _, x := range metrics {
		if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) {
			continue
		}
		i := slices.IndexFunc(r.Metrics, func(y mean) bool { return y.Name == x.Name })
		if i < 0 {
			if len(r.Metrics) == maxMetrics {
				continue
			}
			i = len(r.Metrics)
			r.Metrics = append(r.Metrics, mean{Name: x.Name})
		}
		r.Metrics[i].Sum += x.Value
		r.Metrics[i].Count++
	}
}

// The operational patterns, in the order of patternVariables.
const (
	hourBlock = iota
	weekday
	robots
	users
	sinceChange
	patterns
)

// patternVariables are the first variables of each type's network. Hours and
// days are UTC.
var patternVariables = [patterns]Variable{
	{"hour", Pattern, []string{"0-4", "4-8", "8-12", "12-16", "16-20", "20-24"}},
	{"day", Pattern, []string{"weekday", "weekend"}},
	{"automation", Pattern, []string{"none", "some", "much"}},
	{"people", Pattern, []string{"none", "some", "much"}},
	{"since change", Pattern, []string{"below 1 h", "below 1 d", "below 7 d", "below 30 d", "longer"}},
}

// patternsAt returns the states of the patterns.
func (r *resource) patternsAt(at int64) (out [patterns]uint8) {
	t := time.Unix(at, 0).UTC()
	out[hourBlock] = uint8(t.Hour() / 4)
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		out[weekday] = 1
	}
	out[sinceChange] = 4
	activityEdges := []float64{0.25, 3}
	out[robots] = level(activityEdges, r.Robot.now(at))
	out[users] = level(activityEdges, r.User.now(at))
	if r.Changed != 0 {
		out[sinceChange] = level([]float64{3600, 86400, 7 * 86400, 30 * 86400}, float64(at-r.Changed))
	}
	return out
}

// Forecast is the pooled model's: networks know what belongs together, not when
// it will part.
func (m *Model) Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast {
	return m.pooled.Forecast(r, at)
}
