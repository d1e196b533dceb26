package creep

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Limit is the bounds of the settings that it matches.
type Limit struct {
	// Match reports whether it is a setting's limit.
	Match func(address penumbra.Address, path string) bool
	// Min and Max are amounts: numbers, or texts such as "8MB". Null is no bound.
	Min, Max penumbra.Value
	Reason   string // why, in the user's words
}

// Watch follows the settings that have limits. It is used by one goroutine at a
// time. A nil *Watch watches nothing.
type Watch struct {
	limits    []bounds
	warn      func(string)
	resources map[penumbra.Address]*resource
	warned    map[string]bool
}

type bounds struct {
	Limit
	min, max       amount
	hasMin, hasMax bool
}

// touches is how many events a resource's steps are put down to.
const touches = 16

type resource struct {
	settings map[string]*setting
	events   []touch
}

type touch struct {
	time  time.Time
	actor string
	paths []string // none means that the log does not say
}

type setting struct {
	value amount
	known bool
	seen  time.Time // the last snapshot that showed it
	runs  [2]run    // towards the maximum, towards the minimum
}

// New returns a watch on limits, of which the last that matches a setting holds.
// warn, unless nil, is told once of each limit that the code overrules. It returns
// an error of kind Invalid that names the limit if one means nothing.
func New(limits []Limit, warn func(string)) (*Watch, error) {
	w := &Watch{warn: warn, resources: map[penumbra.Address]*resource{}, warned: map[string]bool{}}
	for i, l := range limits {
		b := bounds{Limit: l, hasMin: !l.Min.IsNull(), hasMax: !l.Max.IsNull()}
		invalid := func(what, remedy string) error {
			return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("limits[%d] %s", i, what), Remedy: remedy}
		}
		const amounts = "give a number, or one with a unit: 8MB, 512Mi, 500m, 30s, 5min, 80%"
		var ok bool
		if b.min, ok = parse(l.Min); b.hasMin && !ok {
			return nil, invalid(fmt.Sprintf("has min %s", l.Min), amounts)
		}
		if b.max, ok = parse(l.Max); b.hasMax && !ok {
			return nil, invalid(fmt.Sprintf("has max %s", l.Max), amounts)
		}
		switch {
		case !b.hasMin && !b.hasMax:
			return nil, invalid("has neither min nor max", "give at least one of them")
		case b.hasMin && b.hasMax && !b.min.compares(b.max):
			return nil, invalid(fmt.Sprintf("has min %s and max %s, which do not compare", l.Min, l.Max), "give both in units of one kind")
		case b.hasMin && b.hasMax && b.min.x > b.max.x:
			return nil, invalid(fmt.Sprintf("has min %s above max %s", l.Min, l.Max), "exchange them")
		}
		w.limits = append(w.limits, b)
	}
	return w, nil
}

// find returns the limit of a setting, nil if it has none.
func (w *Watch) find(address penumbra.Address, path string) *bounds {
	if w == nil {
		return nil
	}
	for i := len(w.limits) - 1; i >= 0; i-- {
		if w.limits[i].Match(address, path) {
			return &w.limits[i]
		}
	}
	return nil
}

// Observe takes an observation in, in the timeline's order. Templates and metrics
// say nothing of steps.
func (w *Watch) Observe(o *penumbra.Observation) {
	if w == nil || o.IsCommit() {
		return
	}
	switch o.Kind {
	case penumbra.SnapshotKind:
		if o.NotChecked == "" {
			w.snapshot(o)
		}
	case penumbra.EventKind:
		w.event(o)
	}
}

func (w *Watch) snapshot(o *penumbra.Observation) {
	r := w.resources[o.Resource]
	for i := range o.Settings {
		s := &o.Settings[i]
		b := w.find(o.Resource, s.Path)
		if b == nil {
			continue
		}
		if r == nil {
			r = &resource{settings: map[string]*setting{}}
			w.resources[o.Resource] = r
		}
		now := r.settings[s.Path]
		if now == nil {
			now = &setting{runs: [2]run{{sign: 1}, {sign: -1}}}
			r.settings[s.Path] = now
		}
		x, ok := parse(s.Value)
		if !ok {
			continue // what is no amount is no step, and the last amount stays the last
		}
		if now.known && x.compares(now.value) && x.x != now.value.x {
			made := step{time: o.Time, after: now.seen, seen: o.Time, from: now.value.x, to: x.x}
			r.attribute(&made, s.Path)
			for i := range now.runs {
				now.runs[i].move(made)
			}
		} else if now.known && !x.compares(now.value) {
			now.runs = [2]run{{sign: 1}, {sign: -1}}
		}
		now.value, now.known, now.seen = x, true, o.Time
	}
}

// attribute puts a step down to the last event on its setting since the look
// before.
func (r *resource) attribute(s *step, path string) {
	for _, e := range slices.Backward(r.events) {
		if e.about(s, path) {
			s.time, s.actor = e.time, e.actor
			return
		}
	}
}

func (e *touch) about(s *step, path string) bool {
	return !e.time.Before(s.after) && !e.time.After(s.seen) && (len(e.paths) == 0 || slices.ContainsFunc(e.paths, func(p string) bool {
		return p == path || strings.HasPrefix(path, p+".")
	}))
}

// event remembers who touched a resource. Logs come late: steps that nobody was
// known to have made are put down to it too.
func (w *Watch) event(o *penumbra.Observation) {
	switch o.Action {
	case penumbra.ActionDelete:
		delete(w.resources, o.Resource)
		return
	case penumbra.ActionAccept, penumbra.ActionReject:
		return
	}
	r := w.resources[o.Resource]
	if r == nil {
		return // nothing of it has a limit, as far as a snapshot has shown
	}
	e := touch{time: o.Time, actor: o.Actor}
	for _, s := range o.Settings {
		e.paths = append(e.paths, s.Path)
	}
	if len(r.events) == touches {
		r.events = slices.Delete(r.events, 0, 1)
	}
	r.events = append(r.events, e)
	for path, s := range r.settings {
		for i := range s.runs {
			steps := s.runs[i].steps
			for j := range steps {
				if steps[j].actor == "" && e.about(&steps[j], path) && (j == 0 || !e.time.Before(steps[j-1].time)) {
					steps[j].time, steps[j].actor = e.time, e.actor
				}
			}
		}
	}
}

// Apply puts the limits of a resource's settings into what is expected of them,
// and the forecast of passing them in the place of the shadow's. Both lists are
// sorted by path and left as they are: what changes is a copy. A setting that the
// code declares keeps the code's exact value.
func (w *Watch) Apply(r *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, at time.Time) ([]penumbra.Expectation, []penumbra.Forecast) {
	if w == nil || len(w.limits) == 0 {
		return expect, forecast
	}
	copied := false
	for i := range r.Actual {
		path := r.Actual[i].Path
		b := w.find(r.Address, path)
		if b == nil {
			continue
		}
		if r.Declared(path) {
			w.overruled(r.Address, path)
			continue
		}
		if !copied {
			expect, forecast, copied = slices.Clone(expect), slices.Clone(forecast), true
		}
		limit, f := w.judge(r.Address, path, b, r.Actual[i].Value, at)
		j, found := slices.BinarySearchFunc(expect, path, func(e penumbra.Expectation, p string) int { return strings.Compare(e.Path, p) })
		if !found {
			expect = slices.Insert(expect, j, penumbra.Expectation{Path: path})
		}
		expect[j].Limit = limit
		j, found = slices.BinarySearchFunc(forecast, path, func(f penumbra.Forecast, p string) int { return strings.Compare(f.Path, p) })
		if !found {
			forecast = slices.Insert(forecast, j, f)
		}
		forecast[j] = f
	}
	return expect, forecast
}

func (w *Watch) overruled(address penumbra.Address, path string) {
	name := string(address) + "." + path
	if w.warn == nil || w.warned[name] {
		return
	}
	w.warned[name] = true
	w.warn("the limit of " + name + " is not used: the code declares its value")
}

// judge holds a value against its bounds, and says which of them lies ahead.
func (w *Watch) judge(address penumbra.Address, path string, b *bounds, v penumbra.Value, at time.Time) (*penumbra.Limit, penumbra.Forecast) {
	l := &penumbra.Limit{Min: b.Min, Max: b.Max, Reason: b.Reason, Bound: b.Max}
	if !b.hasMax {
		l.Bound = b.Min
	}
	f := penumbra.Forecast{Path: path}
	x, ok := parse(v)
	if !ok || b.hasMax && !x.compares(b.max) || b.hasMin && !x.compares(b.min) {
		l.Unread = true
		return l, f
	}
	switch {
	case b.hasMax && x.x > b.max.x:
		l.Bound, l.Passed = b.Max, true
		return l, f
	case b.hasMin && x.x < b.min.x:
		l.Bound, l.Passed = b.Min, true
		return l, f
	}
	r := w.resources[address]
	if r == nil || r.settings[path] == nil {
		return l, f
	}
	s := r.settings[path]
	if !s.known || s.value.x != x.x {
		return l, f // the caller knows of a later value: no step of it was seen here
	}
	if b.hasMax {
		f = s.runs[0].forecast(path, x, b.max, b.Max, at)
	}
	if b.hasMin {
		down := s.runs[1].forecast(path, x, b.min, b.Min, at)
		if last := len(f.Leave) - 1; !b.hasMax || down.Leave[last] > f.Leave[last] {
			f, l.Bound = down, b.Min
		}
	}
	return l, f
}
