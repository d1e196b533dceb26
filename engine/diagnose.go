package engine

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

const (
	// changesKept and changesFor bound what is remembered of changes: what moves a
	// metric a day later is no longer to be told from what does not.
	changesKept = 4096
	changesFor  = 24 * time.Hour
	// joinWindow is how long after an anomaly was noticed a drift may still be
	// joined with it.
	joinWindow = time.Hour
)

// remark remembers what a snapshot changed, compared with what was there before.
// e.mu is held.
func (e *Engine) remark(before *penumbra.Resource, o *penumbra.Observation, expected []penumbra.Expectation) {
	if e.cfg.Diagnosis == nil || o.Kind != penumbra.SnapshotKind || o.NotChecked != "" || before.SnapshotTime.IsZero() {
		return
	}
	change := func(path string, from, to penumbra.Value) {
		c := Change{
			Resource: o.Resource, Type: o.Type, Path: path, Before: from, After: to,
			Time: o.Time, Since: before.SnapshotTime, Declared: before.Declared(path),
		}
		if i, asked := slices.BinarySearchFunc(expected, path, byPath); asked {
			c.Unexpected = !expected[i].Contains(to)
			c.Surprise = surprise(&expected[i], to)
		}
		e.changed(c)
	}
	for _, x := range o.Settings {
		if was := before.Actual.Get(x.Path); was != x.Value {
			change(x.Path, was, x.Value)
		}
	}
	if o.Full {
		for _, x := range before.Actual {
			if _, there := o.Settings.Find(x.Path); !there {
				change(x.Path, x.Value, penumbra.Null())
			}
		}
	}
}

func byPath(x penumbra.Expectation, path string) int { return cmp.Compare(x.Path, path) }

// surprise is how little a value was to be expected, in nats.
func surprise(x *penumbra.Expectation, v penumbra.Value) float64 {
	p := x.NovelProbability
	for _, c := range x.Values {
		if c.Value.Agrees(v) {
			p = max(p, c.Probability)
		}
	}
	return -math.Log(max(p, 1e-6))
}

// happened remembers an event. e.mu is held.
func (e *Engine) happened(o *penumbra.Observation) {
	if e.cfg.Diagnosis == nil || o.Kind != penumbra.EventKind || penumbra.IsRemark(o.Action) || o.IsCommit() {
		return
	}
	c := Change{
		Resource: o.Resource, Type: o.Type, Time: o.Time,
		Actor: o.Actor, ActorKind: o.ActorKind, Action: o.Action, Source: o.Source,
	}
	if len(o.Settings) == 0 {
		e.changed(c)
	}
	for _, x := range o.Settings {
		c.Path, c.After = x.Path, x.Value
		e.changed(c)
	}
}

func (e *Engine) changed(c Change) {
	if !c.Since.IsZero() || c.Path == "" { // otherwise a look will tell of it too
		e.cfg.Diagnosis.Happened(&c)
	}
	e.changes = append(e.changes, c)
	if n := len(e.changes); n > changesKept {
		e.changes = slices.Delete(e.changes, 0, n-changesKept*3/4)
	}
}

// changesNear returns what may have moved a metric of a resource: changes of it
// and of what it is related to, each put down to the event that tells of it, and
// told of once though a log and a look both show it. e.mu is held.
func (e *Engine) changesNear(resource penumbra.Address, around time.Time) []Change {
	t := telling{engine: e, shown: map[changeKey][]Change{}, acts: map[touchKey]bool{}}
	var out []Change
	for _, c := range slices.Backward(e.changes) {
		if c.Time.Before(around.Add(-changesFor)) || e.cfg.Diagnosis.Related(c.Resource, resource) == 0 {
			continue
		}
		if told, ok := t.once(c); ok {
			if began := e.began(&told); !began.IsZero() {
				e.dateWithin(&told, began)
			}
			out = append(out, told)
		}
	}
	slices.Reverse(out)
	return out
}

// began returns when what an event of Penumbra's own tells of began, zero if that took
// no time or is not known.
func (e *Engine) began(c *Change) time.Time {
	return e.took[touchKey{c.Resource, c.Time, c.Actor, c.Action, c.Source}]
}

// dateWithin dates what Penumbra did between began and its event by what the log of the
// resource says, which is more exact.
func (e *Engine) dateWithin(c *Change, began time.Time) {
	c.Since = began
	for _, x := range slices.Backward(e.changes) {
		if x.Since.IsZero() && x.Source != c.Source && x.Path == c.Path && x.Resource == c.Resource && !x.Time.Before(began) && !x.Time.After(c.Time) {
			c.Time, c.Since = x.Time, time.Time{}
			return
		}
	}
}

// telling goes back over changes and tells of each once.
type telling struct {
	engine *Engine
	shown  map[changeKey][]Change // what was told of
	acts   map[touchKey]bool      // events that name no setting and tell of one of these
}

type changeKey struct {
	resource penumbra.Address
	path     string
}

// once returns a change as it is to be told of; ok is false if a later one tells
// of it already.
func (t *telling) once(c Change) (told Change, ok bool) {
	key := changeKey{c.Resource, c.Path}
	switch {
	case !c.Since.IsZero(): // a look showed it
		t.shown[key] = append(t.shown[key], c)
		return t.engine.attributed(c, t.acts), true
	case c.Path == "":
		return c, !t.acts[touchKey{c.Resource, c.Time, c.Actor, c.Action, c.Source}]
	case slices.ContainsFunc(t.shown[key], func(later Change) bool { return tellsOf(&c, &later) }):
		return c, false
	default:
		// A log often tells of one change twice: when it was asked for and when it
		// was done. It tells of what Penumbra does while it does it.
		done := c
		done.Since = c.Time
		if began := t.engine.began(&c); !began.IsZero() {
			done.Since = began.Add(decisions.TakesEffect)
		}
		t.shown[key] = append(t.shown[key], done)
		return c, true
	}
}

// tellsOf reports whether an event is the one that a look shows the change of.
func tellsOf(event, look *Change) bool {
	return !event.Time.Before(look.Since.Add(-decisions.TakesEffect)) && !event.Time.After(look.Time)
}

// attributed returns a change that a look showed, dated by the latest event that
// tells of it.
func (e *Engine) attributed(look Change, acts map[touchKey]bool) Change {
	for _, c := range slices.Backward(e.changes) {
		if c.Since.IsZero() && c.Path == look.Path && c.Resource == look.Resource && tellsOf(&c, &look) {
			look.by(&penumbra.Touch{Time: c.Time, Actor: c.Actor, ActorKind: c.ActorKind, Action: c.Action, Source: c.Source})
			return look
		}
	}
	e.attribute(&look, acts)
	return look
}

// touchKey tells events of one resource apart.
type touchKey struct {
	resource              penumbra.Address
	time                  time.Time
	actor, action, source string
}

// attribute dates a change that a snapshot showed by the latest event on its
// setting since the look before, if there is one. If none names the setting, it is
// put down to those that name none, if they are one actor's: they are noted in
// acts, since what reports a change does not compete with it.
func (e *Engine) attribute(c *Change, acts map[touchKey]bool) {
	r := e.resources[c.Resource]
	if r == nil {
		return
	}
	var silent []*penumbra.Touch
	oneActor := true
	for i := range slices.Backward(r.Recent) {
		t := &r.Recent[i]
		if penumbra.IsRemark(t.Action) || t.Time.Before(c.Since.Add(-decisions.TakesEffect)) || t.Time.After(c.Time) {
			continue
		}
		if slices.Contains(t.Paths, c.Path) {
			c.by(t)
			return
		}
		if len(t.Paths) == 0 {
			silent = append(silent, t)
			oneActor = oneActor && t.Actor == silent[0].Actor
		}
	}
	if len(silent) == 0 || !oneActor {
		return
	}
	for _, t := range silent {
		acts[touchKey{c.Resource, t.Time, t.Actor, t.Action, t.Source}] = true
	}
	c.by(silent[0])
}

// by puts a change down to an event.
func (c *Change) by(t *penumbra.Touch) {
	c.Time, c.Since = t.Time, time.Time{}
	c.Actor, c.ActorKind, c.Action, c.Source = t.Actor, t.ActorKind, t.Action, t.Source
}

// found takes anomalies that began, grew or ended through the loop: their
// suspects are ranked, drifts that they belong to are told of it, the resource is
// looked at, and the models learn of it.
func (e *Engine) found(ctx context.Context, changed []penumbra.Anomaly) error {
	if len(changed) == 0 {
		return nil
	}
	var b inputs.Batch
	wake := map[penumbra.Address]bool{}
	now := e.cfg.Now().UTC()
	for i := range changed {
		a := &changed[i]
		e.anomalous.Store(max(e.anomalous.Load(), a.Time.UnixNano()))
		known := e.recall(ctx, a)
		action := ""
		switch {
		case a.Active() && !known:
			action = penumbra.ActionAnomaly
			wake[a.Resource] = true
			e.mu.Lock()
			e.begun[a.ID] = true
			e.mu.Unlock()
			e.log.Info("anomaly", "id", a.ID, "resource", a.Resource, "metric", a.Metric, "worse", a.Worse, "p", a.PValue)
		case !a.Active():
			action = penumbra.ActionAnomalyEnd
			e.log.Info("anomaly over", "id", a.ID, "resource", a.Resource, "metric", a.Metric)
		}
		if r, ok := e.resource(a.Resource); ok && action != "" {
			b.Observations = append(b.Observations, penumbra.Observation{
				Kind: penumbra.EventKind, Time: a.Time, Seen: now, Resource: a.Resource, Type: r.Type, Source: "penumbra",
				ID: action + "/" + a.ID, ActorKind: penumbra.System, Action: action,
				Message: fmt.Sprintf("%s %s: %.4g where %.4g was expected", a.Metric, a.Kind, a.Value, a.Expected),
			})
		}
	}
	if err := e.cfg.Store.SaveAnomalies(ctx, changed); err != nil {
		return err
	}
	e.wake(wake)
	if err := e.enter(ctx, b); err != nil {
		return err
	}
	if err := e.learnOutcomes(ctx, changed); err != nil {
		return err
	}
	resources := map[penumbra.Address]bool{}
	for _, a := range changed {
		resources[a.Resource] = true
	}
	return e.diagnose(ctx, resources)
}

// near is how closely a resource is related to another, as [Diagnosis] has it, whose
// metrics it may move at once: the same host or module.
const near = 0.5

// attend has the metrics of what has drifted watched more closely.
func (e *Engine) attend(changed []penumbra.Drift) {
	for i := range changed {
		d := &changed[i]
		if !d.Active() || d.Verdict != penumbra.Drifted && d.Verdict != penumbra.Unexpected {
			continue
		}
		at := d.Cause.Time
		if at.IsZero() {
			at = d.Opened
		}
		e.attendTo(d.Resource, at)
	}
}

// attendTo has the metrics of a resource, and of what is near it, watched more
// closely from a time on.
func (e *Engine) attendTo(resource penumbra.Address, at time.Time) {
	if e.cfg.Monitor == nil || e.cfg.Diagnosis == nil {
		return
	}
	for _, r := range e.meteredNear(resource) {
		e.cfg.Monitor.Attend(r, at)
	}
}

// meteredNear returns the resources with metrics that are the resource, or near to it.
func (e *Engine) meteredNear(resource penumbra.Address) []penumbra.Address {
	return e.Metered(func(r penumbra.Address) bool { return e.cfg.Diagnosis.Related(resource, r) >= near })
}

// recovery is how long after a setting is back a metric that it moved may take to
// be back as well.
const recovery = 10 * time.Minute

// learnOutcomes tells the diagnosis, of anomalies that ended, whether what they
// were put down to was the cause: the metric came back with the setting, or it
// stayed out although the setting was back.
func (e *Engine) learnOutcomes(ctx context.Context, changed []penumbra.Anomaly) error {
	for i := range changed {
		a := &changed[i]
		if e.cfg.Diagnosis == nil || a.Active() || a.Drift == "" {
			continue
		}
		drifts, err := e.cfg.Store.Drifts(ctx, penumbra.DriftQuery{ID: a.Drift})
		if err != nil {
			return err
		}
		for j := range drifts {
			e.learnOutcome(a, &drifts[j])
		}
	}
	return nil
}

func (e *Engine) learnOutcome(a *penumbra.Anomaly, d *penumbra.Drift) {
	if d.Resolution != penumbra.Returned || d.ResolvedAt.After(a.Ended.Add(recovery)) {
		return // the metric came back by itself, or nothing was put right
	}
	wasCause := a.Ended.Sub(d.ResolvedAt) <= recovery
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range a.Suspects {
		s := &a.Suspects[i]
		if _, part := d.Finding(s.Path); part && s.Resource == d.Resource && !s.Time.After(a.Time) {
			e.cfg.Diagnosis.Outcome(a, s, wasCause)
		}
	}
}

// recall carries over what is known of an anomaly that the monitor tells of again,
// and reports whether it was told of before.
func (e *Engine) recall(ctx context.Context, a *penumbra.Anomaly) bool {
	stored, err := e.cfg.Store.Anomalies(ctx, penumbra.AnomalyQuery{ID: a.ID})
	if err != nil || len(stored) == 0 {
		return false
	}
	a.Suspects, a.Drift = stored[0].Suspects, stored[0].Drift
	return true
}

// diagnose ranks the suspects of the resources' anomalies of late and joins them
// with the drifts that they belong to.
func (e *Engine) diagnose(ctx context.Context, resources map[penumbra.Address]bool) error {
	now := e.cfg.Now().UTC()
	if e.cfg.Diagnosis == nil || len(resources) == 0 || now.UnixNano()-e.anomalous.Load() > int64(joinWindow+changesFor) {
		return nil
	}
	recent, err := e.cfg.Store.Anomalies(ctx, penumbra.AnomalyQuery{From: now.Add(-joinWindow - changesFor)})
	if err != nil {
		return err
	}
	recent = slices.DeleteFunc(recent, func(a penumbra.Anomaly) bool {
		return !a.Active() && now.Sub(a.Time) > joinWindow || !e.isNear(resources, a.Resource)
	})
	if len(recent) == 0 {
		return nil
	}
	drifts, anomalies := e.join(resources, recent)
	// Anomalies first: whoever sees that a drift is critical asks for the suspects.
	if len(anomalies) > 0 {
		if err := e.cfg.Store.SaveAnomalies(ctx, anomalies); err != nil {
			return err
		}
	}
	e.announce(drifts)
	return e.saveDrifts(ctx, drifts)
}

func (e *Engine) isNear(resources map[penumbra.Address]bool, a penumbra.Address) bool {
	if resources[a] {
		return true
	}
	for r := range resources {
		if e.cfg.Diagnosis.Related(r, a) > 0 {
			return true
		}
	}
	return false
}

// join returns the drifts and the anomalies that it has changed.
func (e *Engine) join(resources map[penumbra.Address]bool, recent []penumbra.Anomaly) ([]penumbra.Drift, []penumbra.Anomaly) {
	e.mu.Lock()
	defer e.mu.Unlock()
	// The drift's page and the anomaly's must say the same, so suspects come first.
	ranked := slices.Clone(recent)
	for i := range ranked {
		ranked[i].Suspects = e.cfg.Diagnosis.Rank(&recent[i], e.changesNear(recent[i].Resource, recent[i].Time))
	}
	var drifts []penumbra.Drift
	best := map[string]penumbra.Impact{} // by anomaly
	of := map[string]string{}            // anomaly → drift
	for address, r := range e.resources {
		if len(r.active) == 0 || !e.isNear(resources, address) {
			continue
		}
		var joined []penumbra.Drift
		for _, d := range r.active {
			impacts := e.cfg.Diagnosis.Join(&d, &r.Resource, ranked)
			for _, x := range impacts {
				if was, ok := best[x.Anomaly]; !ok || x.Coincidence < was.Coincidence {
					best[x.Anomaly], of[x.Anomaly] = x, d.ID
				}
			}
			impacts = withEarlier(d.Impact, impacts, recent)
			critical := e.cfg.Diagnosis.Critical(impacts)
			if slices.Equal(impacts, d.Impact) && critical == d.Critical {
				continue
			}
			if critical && !d.Critical {
				d.Changed = e.clock.now() // it became graver
				d.Wake()
			}
			d.Impact, d.Critical = impacts, critical
			joined = append(joined, d)
		}
		r.active = merge(r.active, joined)
		drifts = append(drifts, joined...)
	}
	var anomalies []penumbra.Anomaly
	for i, a := range recent {
		suspects := ranked[i].Suspects
		drift := a.Drift
		if id := of[a.ID]; id != "" {
			drift = id
		}
		if e.begun[a.ID] {
			delete(e.begun, a.ID)
			told := a
			told.Suspects = suspects
			e.cfg.Diagnosis.Began(&told)
		}
		if drift != a.Drift || !slices.Equal(suspects, a.Suspects) {
			a.Suspects, a.Drift = suspects, drift
			anomalies = append(anomalies, a)
		}
	}
	return drifts, anomalies
}

// withEarlier returns the impacts of now, with those found before of anomalies
// that are too old to be looked at again.
func withEarlier(before, now []penumbra.Impact, looked []penumbra.Anomaly) []penumbra.Impact {
	out := slices.Clone(now)
	for _, x := range before {
		if !slices.ContainsFunc(looked, func(a penumbra.Anomaly) bool { return a.ID == x.Anomaly }) {
			out = append(out, x)
		}
	}
	return out
}

// Anomalies returns the selected anomalies, those that go on first, then the last
// noticed.
func (e *Engine) Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	anomalies, err := e.cfg.Store.Anomalies(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.ID != "" && len(anomalies) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no anomaly %q", q.ID), Remedy: "see `penumbra anomalies`"}
	}
	slices.SortStableFunc(anomalies, func(a, b penumbra.Anomaly) int {
		switch {
		case a.Active() == b.Active():
			return b.Time.Compare(a.Time)
		case a.Active():
			return -1
		default:
			return 1
		}
	})
	return anomalies, nil
}

// recallAnomalies notes when the last anomaly was, after a restart.
func (e *Engine) recallAnomalies(ctx context.Context) error {
	last, err := e.cfg.Store.Anomalies(ctx, penumbra.AnomalyQuery{Limit: 1})
	for _, a := range last {
		e.anomalous.Store(a.Time.UnixNano())
	}
	return err
}

// learnt lets the network beside the shadow see an observation of a resource
// that has metrics: of any other it could learn nothing. e.mu is held.
func (e *Engine) learnt(r *tracked, o *penumbra.Observation) {
	if e.cfg.Network == nil {
		return
	}
	if o.Kind == penumbra.MetricKind && !r.metered {
		r.metered = true
		base := penumbra.Observation{Time: o.Time, Seen: o.Seen, Resource: r.Address, Type: r.Type, Source: o.Source}
		if len(r.Template) > 0 {
			code := base
			code.Kind, code.Settings = penumbra.TemplateKind, r.Template
			e.cfg.Network.Observe(&code)
		}
		if !r.SnapshotTime.IsZero() {
			world := base
			world.Kind, world.Settings, world.Full = penumbra.SnapshotKind, r.Actual, true
			e.cfg.Network.Observe(&world)
		}
	}
	if r.metered {
		e.cfg.Network.Observe(o)
	}
}
