package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// historyLength bounds the observations that a resource's history is drawn from.
const historyLength = 5000

// Status returns what is watched and what was found.
func (e *Engine) Status(ctx context.Context) (penumbra.Status, error) {
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
		s.mu.Lock()
		status := s.status
		s.mu.Unlock()
		stacks[name] = &status
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	st.Model, st.ModelVersion = e.model.family, e.model.active.Number
	for address, r := range e.resources {
		if r.Deleted {
			continue
		}
		name := address.Stack()
		s := stacks[name]
		if s == nil {
			s = &penumbra.StackStatus{Name: name, Source: "timeline"}
			stacks[name] = s
		}
		if s.Source == "timeline" && r.last.After(s.LastRead) {
			s.LastRead = r.last
		}
		s.Resources++
		s.Worst = max(s.Worst, r.verdict)
		st.Resources++
		st.Settings += max(len(r.Actual), len(r.Template))
		st.Verdicts[r.verdict]++
		for i := range r.active {
			st.Drifts[r.active[i].Verdict]++
		}
	}
	for _, s := range stacks {
		st.Stacks = append(st.Stacks, *s)
	}
	slices.SortFunc(st.Stacks, func(a, b penumbra.StackStatus) int { return cmp.Compare(a.Name, b.Name) })
	return st, nil
}

// Resources returns the resources of a stack, of all for "", the gravest
// verdict first, then by address.
func (e *Engine) Resources(_ context.Context, stack string) ([]penumbra.ResourceStatus, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := []penumbra.ResourceStatus{}
	for address, r := range e.resources {
		if r.Deleted || stack != "" && address.Stack() != stack {
			continue
		}
		out = append(out, penumbra.ResourceStatus{
			Address: address, Type: r.Type, Verdict: r.verdict, NotChecked: r.NotChecked,
			Settings: len(r.Actual), Declared: len(r.Template), Snapshot: r.SnapshotTime,
		})
	}
	if len(out) == 0 && stack != "" && e.stacks[stack] == nil {
		return nil, noStack(stack)
	}
	slices.SortFunc(out, func(a, b penumbra.ResourceStatus) int {
		return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), cmp.Compare(a.Address, b.Address))
	})
	return out, nil
}

func noResource(address penumbra.Address) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no resource %q", address), Remedy: "addresses look like stack/type.name[key]; `penumbra status --resources` lists them"}
}

func noStack(name string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no stack %q", name), Remedy: "see `penumbra status` for the stacks there are"}
}

// isKnown reports whether a stack is configured or has a resource.
func (e *Engine) isKnown(name string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.stacks[name] != nil {
		return true
	}
	for address := range e.resources {
		if address.Stack() == name {
			return true
		}
	}
	return false
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
	forecast := e.shadow.Forecast(&r.Resource, at)
	a := e.cfg.Judge.Assess(&r.Resource, expect, forecast, at)
	verdicts := make(map[string]penumbra.Verdict, len(a.Findings))
	for _, f := range a.Findings {
		verdicts[f.Path] = f.Verdict
	}
	forecasts := make(map[string]penumbra.Forecast, len(forecast))
	for _, f := range forecast {
		forecasts[f.Path] = f
	}
	view := penumbra.ShadowView{Resource: r.Resource, Time: at, Verdict: a.Verdict(), Drifts: slices.Clone(r.active)}
	for _, x := range expect {
		template, declared := r.Template.Find(x.Path)
		actual, _ := r.Actual.Find(x.Path)
		view.Settings = append(view.Settings, penumbra.SettingView{
			Path: x.Path, Verdict: verdicts[x.Path], Declared: declared,
			Sensitive: template.Sensitive || actual.Sensitive,
			Template:  template.Value, Actual: actual.Value,
			Expectation: x, Forecast: forecasts[x.Path],
		})
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

// Drifts returns the selected drifts.
func (e *Engine) Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	drifts, err := e.cfg.Store.Drifts(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.ID != "" && len(drifts) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no drift %q", q.ID), Remedy: "see `penumbra drift list`"}
	}
	if q.Stack != "" && len(drifts) == 0 && !e.isKnown(q.Stack) {
		return nil, noStack(q.Stack) // "no drift" would hide a misspelt name
	}
	slices.SortStableFunc(drifts, func(a, b penumbra.Drift) int {
		switch {
		case a.Active() != b.Active():
			return cmp.Compare(a.Status, b.Status)
		case a.Critical != b.Critical && a.Critical:
			return -1
		case a.Critical != b.Critical:
			return 1
		}
		return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), b.Changed.Compare(a.Changed))
	})
	return drifts, nil
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
	case s.Source == nil:
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("stack %q has no source to read", name), Remedy: "it is known from ingested timelines only: ingest newer ones"}
	}
	if err := s.budget.Wait(ctx); err != nil {
		return err
	}
	return e.read(ctx, s)
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

// settle replaces what is remembered of a drift after something outside a turn
// changed it.
func (e *Engine) settle(ctx context.Context, d penumbra.Drift) error {
	e.mu.Lock()
	if r := e.resources[d.Resource]; r != nil {
		r.active = merge(r.active, []penumbra.Drift{d})
	}
	e.mu.Unlock()
	return e.cfg.Store.SaveDrifts(ctx, []penumbra.Drift{d})
}

// rejudge assesses resources again with what is known, after rules changed.
func (e *Engine) rejudge(ctx context.Context, choose func(*tracked) bool) error {
	at := e.clock.now()
	var changed []penumbra.Drift
	e.mu.Lock()
	for _, r := range e.resources {
		if choose(r) && !r.Deleted && !r.SnapshotTime.IsZero() {
			changed = append(changed, e.judge(r, nil, later(at, r.last))...)
		}
	}
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
