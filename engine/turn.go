package engine

import (
	"context"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// turn takes what a read of a source that began at a time found through the
// stages.
func (e *Engine) turn(ctx context.Context, s *stack, src *source, ask request, read []penumbra.Observation, began time.Time) error {
	t := &turn{engine: e, stack: s, source: src, began: began, read: read, partial: !ask.all}
	return t.run(ctx)
}

// turn is one pass of the loop. Its steps run in their order, each on what the
// ones before it left.
type turn struct {
	engine *Engine
	stack  *stack
	source *source
	began  time.Time // when the read began
	at     time.Time
	read   []penumbra.Observation // what the source found
	// partial says that a resource that is not in read may be there all the same.
	partial bool

	news    []penumbra.Observation // what of it is not known yet
	looked  []penumbra.Address     // every resource that was read
	expect  map[penumbra.Address][]penumbra.Expectation
	changed []penumbra.Drift
}

func (t *turn) run(ctx context.Context) (err error) {
	ctx, end := t.engine.cfg.Begin(ctx, "turn", t.stack.Name, "source", t.source.Name)
	defer func() { end(err) }()
	defer t.engine.settled()()
	t.at = t.engine.clock.now()
	if t.began.IsZero() {
		t.began = t.at // nothing was read
	}
	steps := []func(context.Context) error{
		t.sift,   // keep what says something new
		t.take,   // make it durable, hold on to what was expected, fold and learn
		t.judge,  // expected against actual, and the life of each drift
		t.record, // keep the drifts
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sift stamps what was read and keeps what differs from what is known. What has
// not changed is only noted as looked at: 100,000 resources every 5 minutes
// would otherwise be 29 million rows a day that say nothing.
func (t *turn) sift(context.Context) error {
	e := t.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	stamp(t.read, t.at)
	present := make(map[penumbra.Address]bool, len(t.read)/2)
	t.read = append(t.read, t.forgotten()...)
	t.news = t.read[:0] // in its place: a read of a large stack is large
	for _, o := range t.read {
		if !present[o.Resource] {
			present[o.Resource] = true
			t.looked = append(t.looked, o.Resource)
		}
		if r := e.resources[o.Resource]; r == nil || t.isNews(r, &o) {
			t.news = append(t.news, o)
		}
	}
	if t.partial {
		return nil
	}
	for _, address := range e.catalogue.Of(t.stack.Name, nil) {
		if r := e.resources[address]; !present[address] && t.isGone(r) {
			t.news = append(t.news, penumbra.Observation{
				Kind: penumbra.EventKind, Time: t.at, Seen: t.at, Resource: address, Type: r.Type,
				Source: t.source.Name, Action: penumbra.ActionDelete, ActorKind: penumbra.System,
			})
			t.looked = append(t.looked, address)
		}
	}
	return nil
}

// forgotten returns an empty snapshot of each resource that the source has seen
// before, that the code still declares, and that this read found in the code
// only: it is gone from the state, and what was last seen of it is not what is
// there.
func (t *turn) forgotten() []penumbra.Observation {
	if t.partial {
		return nil
	}
	seen := make(map[penumbra.Address]bool, len(t.read)/2)
	for i := range t.read {
		if t.read[i].Kind == penumbra.SnapshotKind {
			seen[t.read[i].Resource] = true
		}
	}
	var out []penumbra.Observation
	for i := range t.read {
		o := &t.read[i]
		r := t.engine.resources[o.Resource]
		if o.Kind != penumbra.TemplateKind || seen[o.Resource] || r == nil || r.Deleted || len(r.Actual) == 0 ||
			!slices.Contains(r.claims, t.source.Name) || t.stack.claims(r, t.source) {
			continue
		}
		out = append(out, penumbra.Observation{
			Kind: penumbra.SnapshotKind, Time: t.at, Seen: t.at, Resource: o.Resource, Type: o.Type, Source: o.Source, Full: true,
		})
	}
	return out
}

// isGone reports whether a resource that the source did not find is no more: not
// while another source reads it.
func (t *turn) isGone(r *tracked) bool {
	if t.stack.claims(r, t.source) {
		r.claims = slices.DeleteFunc(r.claims, func(name string) bool { return name == t.source.Name })
		return false
	}
	return true
}

// stamp dates what one read found as of the time of the turn. An observation
// that a source dates before its newest ones, such as the state that was last
// applied, stays as long before.
func stamp(read []penumbra.Observation, at time.Time) {
	var newest time.Time
	for i := range read {
		newest = later(newest, read[i].Time)
	}
	for i := range read {
		age := min(newest.Sub(read[i].Time), day)
		if read[i].Time.IsZero() {
			age = 0
		}
		read[i].Time, read[i].Seen = at.Add(-age), at
	}
}

// day bounds how far back an earlier state within one read is dated.
const day = 24 * time.Hour

// isNews reports whether an observation of a known resource says something new,
// and notes on the resource that it was looked at.
func (t *turn) isNews(r *tracked, o *penumbra.Observation) bool {
	if r.Deleted {
		return true
	}
	switch o.Kind {
	case penumbra.TemplateKind:
		return r.code != codeDigest(o)
	case penumbra.SnapshotKind:
		if o.Time.Before(t.at) {
			return false // what was there earlier is known already
		}
		if r.SnapshotTime.After(t.began) && !t.knows(r, o) {
			return false
		}
		if o.NotChecked != "" || r.NotChecked != "" {
			return o.NotChecked != r.NotChecked
		}
		if t.at.Sub(r.stored) >= t.engine.cfg.Heartbeat || r.SnapshotTime.IsZero() || !shows(r.Actual, o) || !slices.Contains(r.claims, o.Source) {
			return true
		}
		r.looked(o)
		r.SnapshotTime = t.at
		return false
	default:
		return true
	}
}

// knows takes out of a snapshot what other sources have seen while its source was
// at it, for they know better, and reports whether anything is left. Only that is
// taken out: a source that is slower than another one is quick would otherwise
// never be heard.
func (t *turn) knows(r *tracked, o *penumbra.Observation) bool {
	var others []penumbra.Settings
	for _, x := range t.stack.sources {
		if x == t.source || !slices.Contains(r.claims, x.Name) {
			continue
		}
		i := slices.IndexFunc(r.looks, func(l look) bool { return l.source == x.Name })
		switch {
		case i < 0: // so far it was the only one
			others = append(others, r.Actual)
		case !r.looks[i].at.After(t.began):
		case r.looks[i].full:
			return false
		default:
			others = append(others, r.looks[i].settings)
		}
	}
	if len(others) == 0 {
		return true
	}
	if o.NotChecked != "" {
		return false
	}
	left := slices.Clone(o.Settings)
	if o.Full { // what it did not find and nobody else did is not there
		for _, x := range r.Actual {
			if _, found := o.Settings.Find(x.Path); !found {
				left = append(left, penumbra.Setting{Path: x.Path, Sensitive: x.Sensitive})
			}
		}
		o.Full = false
	}
	o.Settings = penumbra.NewSettings(slices.DeleteFunc(left, func(x penumbra.Setting) bool {
		return slices.ContainsFunc(others, func(seen penumbra.Settings) bool {
			_, known := seen.Find(x.Path)
			return known
		})
	})...)
	return len(o.Settings) > 0
}

// shows reports whether what is known to be there is what a snapshot found.
func shows(actual penumbra.Settings, o *penumbra.Observation) bool {
	if o.Full {
		return actual.Equal(o.Settings)
	}
	for _, s := range o.Settings {
		if known, ok := actual.Find(s.Path); known.Value != s.Value || !ok && !s.Value.IsNull() {
			return false
		}
	}
	return true
}

func codeDigest(o *penumbra.Observation) string {
	if len(o.Applied) == 0 {
		return o.Settings.Digest()
	}
	return o.Settings.Digest() + o.Applied.Digest()
}

// take makes the news durable, batch by batch, holds on to what the shadow
// expected of each resource before it saw them, folds them in and lets the
// shadow learn.
func (t *turn) take(ctx context.Context) error {
	e := t.engine
	t.expect = map[penumbra.Address][]penumbra.Expectation{}
	for batch := range slices.Chunk(t.news, inputs.BatchSize) {
		added, err := e.cfg.Store.Append(ctx, e.cfg.Order(batch))
		if err != nil {
			return err
		}
		e.mu.Lock()
		for i := range added {
			o := &added[i]
			if expected := e.take(o); expected != nil {
				t.expect[o.Resource] = expected
			}
		}
		e.mu.Unlock()
	}
	return nil
}

// take folds one new observation into its resource and the shadow, and returns
// what was expected of a snapshot before it was seen. e.mu is held.
func (e *Engine) take(o *penumbra.Observation) []penumbra.Expectation {
	r := e.resources[o.Resource]
	fresh := r == nil
	if fresh {
		r = &tracked{Resource: penumbra.Resource{Address: o.Resource, Type: o.Type}}
		e.resources[o.Resource] = r
	}
	if ordered(o) && o.Time.Before(r.last) {
		// Order decides what a history means, so what comes late cannot be folded
		// on top. It is stored; a rebuild puts it into its place.
		e.late, e.behind[o.Resource] = true, true
		return nil
	}
	r.note(o)
	var expected []penumbra.Expectation
	// Of a resource that nobody has seen before nothing is expected but what the
	// code says.
	if o.Kind == penumbra.SnapshotKind && o.NotChecked == "" && !r.SnapshotTime.IsZero() {
		expected = e.shadow.Expect(withPaths(&r.Resource, o.Settings), o.Time, e.cfg.Confidence)
		e.score(&r.Resource, o, expected)
	}
	before := r.Resource
	e.cfg.Fold(&r.Resource, o)
	e.shadow.Observe(o)
	e.limits.Observe(o)
	e.remark(&before, o, expected)
	e.happened(o)
	e.learnt(r, o)
	if e.cfg.Mapper != nil && o.Kind != penumbra.MetricKind && (o.Kind != penumbra.EventKind || r.Deleted) {
		e.cfg.Mapper.Know(&r.Resource)
		if fresh {
			e.Appeared()
		}
	}
	if fresh || o.Kind != penumbra.MetricKind {
		e.catalogue.Note(r.line())
	}
	return expected
}

// ordered reports whether an observation must be folded in its order: it says
// what is there or what the code declares. Log events are not: they come late as
// a rule, and only say who it was.
func ordered(o *penumbra.Observation) bool {
	return o.Kind == penumbra.TemplateKind || o.Kind == penumbra.SnapshotKind || o.IsCodeChange()
}

// withPaths returns the resource as it was before the snapshot, with the paths
// that appear in it for the first time: the shadow is asked about those too.
func withPaths(r *penumbra.Resource, seen penumbra.Settings) *penumbra.Resource {
	var fresh []penumbra.Setting
	for _, s := range seen {
		if _, known := r.Actual.Find(s.Path); !known && !r.Declared(s.Path) {
			fresh = append(fresh, penumbra.Setting{Path: s.Path, Sensitive: s.Sensitive})
		}
	}
	if len(fresh) == 0 {
		return r
	}
	before := *r
	before.Actual = penumbra.NewSettings(append(slices.Clone(before.Actual), fresh...)...)
	return &before
}

func (t *turn) judge(context.Context) error {
	e := t.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, address := range t.looked {
		t.changed = append(t.changed, e.judge(e.resources[address], t.expect[address], t.at)...)
	}
	return nil
}

// judge assesses one resource and takes its drifts on. expected is what the
// shadow held before it saw the news; nil asks it now. e.mu is held.
func (e *Engine) judge(r *tracked, expected []penumbra.Expectation, at time.Time) []penumbra.Drift {
	if r == nil {
		return nil
	}
	a, held := e.assess(r, expected, at)
	r.verdict = a.Verdict()
	r.noteExpected(held, a.Findings, at)
	e.catalogue.Note(r.line())
	revived := r.revive(at)
	if len(r.active) == 0 && r.verdict == penumbra.InSync {
		return revived
	}
	changed := e.cfg.Judge.Live(r.active, &r.Resource, a)
	r.active = merge(r.active, changed)
	return merged(revived, changed)
}

// assess gives the verdict on each setting, and what was expected of them. e.mu is
// held.
func (e *Engine) assess(r *tracked, expected []penumbra.Expectation, at time.Time) (penumbra.Assessment, []penumbra.Expectation) {
	if expected == nil {
		expected = e.shadow.Expect(&r.Resource, at, e.cfg.Confidence)
	}
	expected, forecast := e.limits.Apply(&r.Resource, expected, e.shadow.Forecast(&r.Resource, at), at)
	return e.cfg.Judge.Assess(&r.Resource, expected, forecast, at), expected
}

// merge puts changed drifts in the place of those with their identifiers and
// drops what is resolved.
func merge(active, changed []penumbra.Drift) []penumbra.Drift {
	for _, d := range changed {
		i := slices.IndexFunc(active, func(x penumbra.Drift) bool { return x.ID == d.ID })
		switch {
		case i >= 0:
			active[i] = d
		default:
			active = append(active, d)
		}
	}
	return slices.DeleteFunc(active, func(d penumbra.Drift) bool { return !d.Active() })
}

func (t *turn) record(ctx context.Context) error {
	return t.engine.publish(ctx, t.changed)
}

// publish keeps drifts that are new or changed, and holds them against the
// anomalies of late.
func (e *Engine) publish(ctx context.Context, changed []penumbra.Drift) error {
	e.announce(changed)
	e.attend(changed)
	if err := e.saveDrifts(ctx, changed); err != nil {
		return err
	}
	resources := map[penumbra.Address]bool{}
	for _, d := range changed {
		resources[d.Resource] = true
	}
	return e.diagnose(ctx, resources)
}

// saveDrifts stores drifts that have changed, as they are by now: between their change
// and this an anomaly or a person may have changed them again, and the older state
// must not be stored last.
func (e *Engine) saveDrifts(ctx context.Context, changed []penumbra.Drift) error {
	if len(changed) == 0 {
		return nil
	}
	e.saving.Lock()
	defer e.saving.Unlock()
	changed = e.asTheyAre(changed)
	if len(changed) == 0 {
		return nil
	}
	return e.cfg.Store.SaveDrifts(ctx, changed)
}

// asTheyAre returns the present states of drifts. One that was active and is so no more
// is left out: whoever resolved it stores it.
func (e *Engine) asTheyAre(drifts []penumbra.Drift) []penumbra.Drift {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := make([]penumbra.Drift, 0, len(drifts))
	for _, d := range drifts {
		r := e.resources[d.Resource]
		if r == nil {
			out = append(out, d)
			continue
		}
		i := slices.IndexFunc(r.active, func(x penumbra.Drift) bool { return x.ID == d.ID })
		switch {
		case i >= 0:
			out = append(out, r.active[i])
		case !d.Active():
			out = append(out, d)
		}
	}
	return out
}

// announce logs what is new or changed. Values stay out of the log.
func (e *Engine) announce(changed []penumbra.Drift) {
	for i := range changed {
		d := &changed[i]
		if d.Active() {
			e.log.Info("drift", "id", d.ID, "resource", d.Resource, "verdict", d.Verdict.String(), "settings", len(d.Findings), "actor", d.Cause.Actor)
		} else {
			e.log.Info("drift resolved", "id", d.ID, "resource", d.Resource, "resolution", string(d.Resolution))
		}
	}
}

// notChecked notes on every resource that was asked for and that only a source
// reads, or one that fails as well, that it could not be read.
func (e *Engine) notChecked(ctx context.Context, s *stack, src *source, ask request, cause error) error {
	reason := penumbra.Redact(cause.Error())
	var others []string
	for _, x := range s.sources {
		if x != src && !x.failing() {
			others = append(others, x.Name)
		}
	}
	e.mu.RLock()
	var read []penumbra.Observation
	for _, address := range e.catalogue.Of(s.Name, nil) {
		r := e.resources[address]
		if !ask.has(address) || !s.reads(src, r) ||
			slices.ContainsFunc(r.claims, func(name string) bool { return slices.Contains(others, name) }) {
			continue
		}
		read = append(read, penumbra.Observation{Kind: penumbra.SnapshotKind, Resource: address, Type: r.Type, Source: src.Name, NotChecked: reason})
	}
	e.mu.RUnlock()
	if len(read) == 0 {
		return nil
	}
	// That it says nothing of other resources does not mean that they are gone.
	t := &turn{engine: e, stack: s, source: src, read: read, partial: true}
	return t.run(ctx)
}
