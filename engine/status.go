package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// historyLength bounds the observations that a resource's history is drawn from.
const historyLength = 5000

// Status returns what is watched and what was found.
func (e *Engine) Status(ctx context.Context) (penumbra.Status, error) {
	return e.StatusOf(ctx, penumbra.StatusQuery{})
}

// TypeOf returns a resource's type, "" if there is no such resource.
func (e *Engine) TypeOf(address penumbra.Address) string { return e.catalogue.TypeOf(address) }

// StatusOf returns what is watched, with the counts of what a query includes.
func (e *Engine) StatusOf(ctx context.Context, q penumbra.StatusQuery) (penumbra.Status, error) {
	st := penumbra.Status{
		Version: e.cfg.Version, Time: e.cfg.Now().UTC(),
		Verdicts: map[penumbra.Verdict]int{}, Drifts: map[penumbra.Verdict]int{},
	}
	var err error
	if st.Observations, st.Quarantined, err = e.cfg.Store.Counts(ctx); err != nil {
		return st, err
	}
	stacks := map[string]*penumbra.StackStatus{}
	for name, s := range e.stacks {
		stacks[name] = e.stackStatus(s)
	}
	if st.Inputs, err = e.Inputs(ctx); err != nil {
		return st, err
	}
	if e.cfg.Files != nil {
		st.Files = e.cfg.Files()
	}
	e.catalogue.Sum(q, &st, stacks)
	if e.cfg.Monitor == nil {
		st.Anomalies = 0 // what is stored of them nobody ends
	}
	for _, s := range stacks {
		st.Stacks = append(st.Stacks, *s)
	}
	slices.SortFunc(st.Stacks, func(a, b penumbra.StackStatus) int { return cmp.Compare(a.Name, b.Name) })
	return st, nil
}

// stackStatus returns the state of a stack's sources: one by one if there are
// several or its resources have periods of their own, and on top of that of the
// one that is worst off.
func (e *Engine) stackStatus(s *stack) *penumbra.StackStatus {
	st := &penumbra.StackStatus{Name: s.Name, Dir: s.Dir}
	for i, src := range s.sources {
		src.mu.Lock()
		x := src.status
		if src.agenda.kept {
			x.NextRead = e.shown(src.agenda.next())
			x.Cadence = src.agenda.status(e.shown)
		}
		src.mu.Unlock()
		st.Reading = st.Reading || x.Reading
		if i == 0 || x.Error != "" && st.Error == "" || x.Error == "" && st.Error == "" && x.LastRead.Before(st.LastRead) {
			st.LastRead, st.NextRead, st.Error, st.Took = x.LastRead, x.NextRead, x.Error, x.Took
		}
		if i > 0 {
			st.Source += ", "
		}
		st.Source += x.Name
		if len(s.sources) > 1 || len(x.Cadence) > 0 {
			st.Sources = append(st.Sources, x)
		}
	}
	return st
}

// shown returns a time of the machine's clock as one of the engine's, zero for
// the zero time.
func (e *Engine) shown(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return e.cfg.Now().Add(time.Until(t)).UTC()
}

// nextRead returns when a resource is read next, zero if nobody does.
func (e *Engine) nextRead(r *tracked) time.Time {
	s := e.stacks[r.Address.Stack()]
	if s == nil {
		return time.Time{}
	}
	var next time.Time
	for _, src := range s.sources {
		if !s.reads(src, r) {
			continue
		}
		src.planned(func(a *agenda) {
			if due := a.nextOf(r.Address); a.kept && (next.IsZero() || due.Before(next)) {
				next = due
			}
		})
	}
	return e.shown(next)
}

func noResource(address penumbra.Address) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no resource %q", address), Remedy: "addresses look like stack/type.name[key]; `penumbra status --resources` lists them"}
}

func noStack(name string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no stack %q", name), Remedy: "see `penumbra status` for the stacks there are"}
}

// Shadow returns one resource with its shadow, as of now, and its history.
func (e *Engine) Shadow(ctx context.Context, address penumbra.Address) (penumbra.ShadowView, error) {
	view, err := e.shadowNow(address)
	if err != nil {
		return view, err
	}
	view.History, err = e.history(ctx, address)
	return view, err
}

func (e *Engine) shadowNow(address penumbra.Address) (penumbra.ShadowView, error) {
	at := e.clock.now()
	e.mu.Lock() // the shadow is one goroutine's at a time
	defer e.mu.Unlock()
	r := e.resources[address]
	if r == nil {
		return penumbra.ShadowView{}, noResource(address)
	}
	if at.Sub(r.last) < 0 {
		at = r.last
	}
	expect := e.shadow.Expect(&r.Resource, at, e.cfg.Confidence)
	expect, forecast := e.limits.Apply(&r.Resource, expect, e.shadow.Forecast(&r.Resource, at), at)
	a := e.cfg.Judge.Assess(&r.Resource, expect, forecast, at)
	verdicts := make(map[string]penumbra.Verdict, len(a.Findings))
	for _, f := range a.Findings {
		verdicts[f.Path] = f.Verdict
	}
	forecasts := make(map[string]penumbra.Forecast, len(forecast))
	for _, f := range forecast {
		forecasts[f.Path] = f
	}
	view := penumbra.ShadowView{Resource: r.Resource, Time: at, Verdict: a.Verdict(), NextRead: e.nextRead(r), Drifts: slices.Clone(r.active)}
	if x, ok := e.closer[address]; ok {
		view.Closer = &x
	}
	for _, x := range expect {
		template, declared := r.Template.Find(x.Path)
		actual, _ := r.Actual.Find(x.Path)
		s := penumbra.SettingView{
			Path: x.Path, Verdict: verdicts[x.Path], Declared: declared,
			Sensitive: template.Sensitive || actual.Sensitive,
			Template:  template.Value, Actual: actual.Value,
			Expectation: x, Forecast: forecasts[x.Path],
		}
		if s.Verdict == penumbra.Pending {
			s.Moved = r.Mover(x.Path)
		}
		view.Settings = append(view.Settings, s)
	}
	return view, nil
}

// history returns how the resource's settings changed.
func (e *Engine) history(ctx context.Context, address penumbra.Address) ([]penumbra.HistoryPoint, error) {
	var points []penumbra.HistoryPoint
	var template, actual penumbra.Settings
	for o, err := range e.cfg.Store.Observations(ctx, penumbra.ObservationQuery{Resource: address, Latest: historyLength}) {
		if err != nil {
			return nil, err
		}
		switch {
		case o.Kind == penumbra.TemplateKind:
			points = append(points, changes(template, o.Settings, &o)...)
			template = o.Settings
		case o.Kind == penumbra.SnapshotKind && o.NotChecked == "":
			now := o.Settings
			if !o.Full {
				now = actual.Merge(o.Settings)
			}
			points = append(points, changes(actual, now, &o)...)
			actual = now
		case o.Kind == penumbra.EventKind:
			points = append(points, eventPoints(&o)...)
		}
	}
	return points, nil
}

// changes returns a point for each setting that differs.
func changes(before, after penumbra.Settings, o *penumbra.Observation) []penumbra.HistoryPoint {
	var points []penumbra.HistoryPoint
	point := func(path string, v penumbra.Value) {
		points = append(points, penumbra.HistoryPoint{Time: o.Time, Kind: o.Kind, Path: path, Value: v})
	}
	for _, s := range after {
		if before.Get(s.Path) != s.Value {
			point(s.Path, s.Value)
		}
	}
	for _, s := range before {
		if _, there := after.Find(s.Path); !there {
			point(s.Path, penumbra.Null())
		}
	}
	return points
}

func eventPoints(o *penumbra.Observation) []penumbra.HistoryPoint {
	point := penumbra.HistoryPoint{Time: o.Time, Kind: o.Kind, Actor: o.Actor, ActorKind: o.ActorKind, Action: o.Action}
	if len(o.Settings) == 0 {
		return []penumbra.HistoryPoint{point}
	}
	var points []penumbra.HistoryPoint
	for _, s := range o.Settings {
		point.Path, point.Value = s.Path, s.Value
		points = append(points, point)
	}
	return points
}

func (e *Engine) drift(ctx context.Context, id string) (penumbra.Drift, error) {
	drifts, err := e.Drifts(ctx, penumbra.DriftQuery{ID: id})
	if err != nil {
		return penumbra.Drift{}, err
	}
	return drifts[0], nil
}

// Trigger reads a stack now, within its budget, and returns when that is done.
func (e *Engine) Trigger(ctx context.Context, name string) error {
	s := e.stacks[name]
	switch {
	case s == nil:
		return noStack(name)
	case !s.live():
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("stack %q has no source to read", name), Remedy: "it is known from ingested timelines only: ingest newer ones"}
	}
	var failed error
	for _, src := range s.sources {
		if err := src.budget.Wait(ctx); err != nil {
			return err
		}
		failed = errors.Join(failed, e.read(ctx, s, src, request{all: true}))
	}
	return failed
}

// resource returns a copy of what is known of a resource.
func (e *Engine) resource(address penumbra.Address) (penumbra.Resource, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	r := e.resources[address]
	if r == nil {
		return penumbra.Resource{}, false
	}
	return r.Resource, true
}

// rejudge assesses resources again with what is known, after rules changed.
func (e *Engine) rejudge(ctx context.Context, choose func(*tracked) bool) error {
	at := e.clock.now()
	var chosen []penumbra.Address
	e.mu.Lock()
	for address, r := range e.resources {
		if choose(r) {
			chosen = append(chosen, address)
		}
	}
	changed := e.judgeAll(chosen, func(r *tracked) time.Time { return later(at, r.last) })
	e.mu.Unlock()
	e.announce(changed)
	return e.saveDrifts(ctx, changed)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
