package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// turn takes what one read of a stack found through the stages.
func (e *Engine) turn(ctx context.Context, s *stack, read []penumbra.Observation) error {
	defer e.settled()()
	t := &turn{engine: e, stack: s, at: e.clock.now(), read: read}
	return t.run(ctx)
}

// turn is one pass of the loop. Its steps run in their order, each on what the
// ones before it left.
type turn struct {
	engine *Engine
	stack  *stack
	at     time.Time
	read   []penumbra.Observation // what the source found

	news    []penumbra.Observation // what of it is not known yet
	looked  []penumbra.Address     // every resource that was read
	expect  map[penumbra.Address][]penumbra.Expectation
	changed []penumbra.Drift
}

func (t *turn) run(ctx context.Context) error {
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
	for address, r := range e.resources {
		if address.Stack() == t.stack.Name && !present[address] && !r.Deleted {
			t.news = append(t.news, penumbra.Observation{
				Kind: penumbra.EventKind, Time: t.at, Seen: t.at, Resource: address, Type: r.Type,
				Source: t.stack.Technology, Action: penumbra.ActionDelete, ActorKind: penumbra.System,
			})
			t.looked = append(t.looked, address)
		}
	}
	return nil
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
		if o.NotChecked != "" || r.NotChecked != "" {
			return o.NotChecked != r.NotChecked
		}
		if t.at.Sub(r.stored) >= t.engine.cfg.Heartbeat || r.SnapshotTime.IsZero() || !o.Full || !r.Actual.Equal(o.Settings) {
			return true
		}
		r.SnapshotTime = t.at
		return false
	default:
		return true
	}
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
	for batch := range slices.Chunk(t.news, batchSize) {
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
	if r == nil {
		r = &tracked{Resource: penumbra.Resource{Address: o.Resource, Type: o.Type}}
		e.resources[o.Resource] = r
	}
	if ordered(o) {
		if o.Time.Before(r.last) {
			// Order decides what a history means, so what comes late cannot be
			// folded on top. It is stored; a rebuild puts it into its place.
			e.late = true
			return nil
		}
		r.last = o.Time
	}
	var expected []penumbra.Expectation
	switch o.Kind {
	case penumbra.TemplateKind:
		r.code = codeDigest(o)
	case penumbra.SnapshotKind:
		r.stored = o.Time
		// Of a resource that nobody has seen before nothing is expected but
		// what the code says.
		if o.NotChecked == "" && !r.SnapshotTime.IsZero() {
			expected = e.shadow.Expect(withPaths(&r.Resource, o.Settings), o.Time, e.cfg.Confidence)
		}
	}
	e.cfg.Fold(&r.Resource, o)
	e.shadow.Observe(o)
	return expected
}

// ordered reports whether an observation must be folded in its order: it says
// what is there or what the code declares. Log events are not: they come late as
// a rule, and only say who it was.
func ordered(o *penumbra.Observation) bool {
	return o.Kind == penumbra.TemplateKind || o.Kind == penumbra.SnapshotKind ||
		o.Kind == penumbra.EventKind && strings.HasPrefix(o.Source, "git:")
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
	a := e.assess(r, expected, at)
	r.verdict = a.Verdict()
	if len(r.active) == 0 && r.verdict == penumbra.InSync {
		return nil
	}
	changed := e.cfg.Judge.Live(r.active, &r.Resource, a)
	r.active = merge(r.active, changed)
	return changed
}

// assess gives the verdict on each setting. e.mu is held.
func (e *Engine) assess(r *tracked, expected []penumbra.Expectation, at time.Time) penumbra.Assessment {
	if expected == nil {
		expected = e.shadow.Expect(&r.Resource, at, e.cfg.Confidence)
	}
	return e.cfg.Judge.Assess(&r.Resource, expected, e.shadow.Forecast(&r.Resource, at), at)
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
	t.engine.announce(t.changed)
	return t.engine.saveDrifts(ctx, t.changed)
}

func (e *Engine) saveDrifts(ctx context.Context, changed []penumbra.Drift) error {
	if len(changed) == 0 {
		return nil
	}
	return e.cfg.Store.SaveDrifts(ctx, changed)
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

// notChecked notes on every resource of a stack that it could not be read.
func (e *Engine) notChecked(ctx context.Context, s *stack, cause error) error {
	reason := penumbra.Redact(cause.Error())
	e.mu.RLock()
	var read []penumbra.Observation
	for address, r := range e.resources {
		if address.Stack() == s.Name && !r.Deleted {
			read = append(read, penumbra.Observation{Kind: penumbra.SnapshotKind, Resource: address, Type: r.Type, Source: s.Technology, NotChecked: reason})
		}
	}
	e.mu.RUnlock()
	if len(read) == 0 {
		return nil
	}
	return e.turn(ctx, s, read)
}
