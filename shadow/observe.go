package shadow

import (
	"math"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Observe folds an observation in. Metrics are not this model's.
func (p *Pooled) Observe(o *penumbra.Observation) {
	p.current = o
	defer func() { p.current = nil }()
	switch o.Kind {
	case penumbra.TemplateKind:
		if r := p.inOrder(o); r != nil {
			p.observeTemplate(r, o)
		}
	case penumbra.SnapshotKind:
		if o.NotChecked != "" {
			return
		}
		if r := p.inOrder(o); r != nil {
			p.observeSnapshot(r, o)
		}
	case penumbra.EventKind:
		p.observeEvent(o)
	}
}

// inOrder returns the observation's resource, or nil and counts if the
// resource has later ones.
func (p *Pooled) inOrder(o *penumbra.Observation) *resource {
	t := o.Time.Unix()
	r := p.resources[o.Resource]
	if r == nil {
		p.serial++
		r = p.newResource(o)
		p.resources[o.Resource] = r
	}
	if t < r.last {
		p.late++
		return nil
	}
	r.last = t
	return r
}

// observeTemplate takes over what the code declares.
func (p *Pooled) observeTemplate(r *resource, o *penumbra.Observation) {
	t := o.Time.Unix()
	first := !r.template
	r.template, r.code = true, false
	var added []setting
	each(r.settings, o.Settings, func(s *setting, x *penumbra.Setting) {
		switch {
		case x == nil || x.Value.IsNull():
			if s != nil && !s.template.IsNull() {
				p.declare(r, s, penumbra.Null(), t)
				r.settling = true
			}
		case s == nil:
			n := p.newSetting(r, x.Path, t)
			n.template = n.class.shared(x.Value)
			n.pending = !first && r.snapshot != 0
			added = append(added, n)
			r.settling = r.settling || !first
		case s.template != x.Value:
			p.declare(r, s, s.class.shared(x.Value), t)
			r.settling = r.settling || !first
		}
	})
	r.insert(added)
	for _, x := range o.Applied {
		if s := r.find(x.Path); s != nil && s.declared() && s.away() == nil && !s.template.Agrees(x.Value) {
			s.pending = true
		}
	}
}

// declare moves a setting's template. An excursion ends if the template now
// is where the setting is; so it does if the setting is declared no more.
func (p *Pooled) declare(r *resource, s *setting, template penumbra.Value, t int64) {
	old := s.template
	s.template = template
	if s.history != nil {
		s.history.accepted = nil
	}
	if s.seen == 0 {
		// Nobody has looked at the world: the code is all there is.
		if !old.IsNull() && !template.IsNull() {
			p.changed(r, s, old, template, t)
		}
		return
	}
	agrees := !s.declared() || template.Agrees(s.actual)
	switch x := s.away(); {
	case x != nil && agrees:
		p.endExcursion(s)
		p.changed(r, s, x.from, x.value, t)
	case x == nil:
		s.pending = !agrees
	}
}

// observeSnapshot compares what is there with what was. What moved is decided
// on together, because an apply explains the undeclared settings that move
// with it.
func (p *Pooled) observeSnapshot(r *resource, o *penumbra.Observation) {
	t := o.Time.Unix()
	r.code = false
	var added []setting
	var moved []move
	consequence := r.settling || t <= r.settled
	applied := r.settling
	known := r.full
	each(r.settings, o.Settings, func(s *setting, x *penumbra.Setting) {
		var v penumbra.Value
		switch {
		case x != nil:
			v = x.Value
		case !o.Full:
			return
		}
		if s == nil {
			if v.IsNull() {
				return
			}
			n := p.newSetting(r, x.Path, t)
			n.actual = n.class.shared(v)
			if !known { // the first look; else it appeared, and that is a change
				n.seen = secondOf(t)
				n.class.bear(v, t)
			} else {
				n.actual, n.seen = penumbra.Null(), secondOf(r.snapshot)
				moved = append(moved, move{nil, len(added), v})
			}
			added = append(added, n)
			return
		}
		if s.seen != 0 && s.actual == v {
			s.seen = secondOf(t)
			if s.history != nil && s.history.habit != nil && s.history.open == nil {
				s.history.habit.stay(r.snapshot, t)
			}
			return
		}
		if s.declared() && s.template.Agrees(v) && !p.automatic(r, s, t) && s.seen != 0 {
			consequence, applied = true, true
		}
		moved = append(moved, move{s, 0, v})
	})
	for _, m := range moved {
		s := m.setting
		if s == nil {
			s = &added[m.added]
		}
		p.move(r, s, m.to, consequence, t)
	}
	r.insert(added)
	r.snapshot = t
	r.full = r.full || o.Full
	r.settling = false
	if applied {
		r.settled = t + settleTime
	}
}

// move is a setting that a snapshot found at another value.
type move struct {
	setting *setting // nil: the one of the added that has the index
	added   int
	to      penumbra.Value
}

// automatic reports whether the setting is away by automation, so that its
// return is automation's and no apply.
func (p *Pooled) automatic(r *resource, s *setting, t int64) bool {
	x := s.away()
	return x != nil && r.byAutomation(s, x, t)
}

// move takes a setting to the value that a snapshot found.
func (p *Pooled) move(r *resource, s *setting, v penumbra.Value, consequence bool, t int64) {
	before, firstSight := s.actual, s.seen == 0
	if s.declared() && s.template == v {
		v = s.template // share the text
	} else {
		v = s.class.shared(v)
	}
	lookedAt := s.seen.unix()
	defer func() { s.actual, s.seen = v, secondOf(t) }()
	switch {
	case s.away() != nil:
		p.moveAway(r, s, v, consequence, t)
	case s.declared():
		p.moveDeclared(r, s, v, firstSight, t)
	case firstSight:
		s.class.bear(v, t)
	case consequence || s.accepts(v) || !s.template.IsNull() || p.holds(r, s, v, t):
		p.changed(r, s, before, v, t)
	default:
		p.depart(r, s, v, lookedAt, t)
	}
}

// moveAway handles a move during an excursion.
func (p *Pooled) moveAway(r *resource, s *setting, v penumbra.Value, consequence bool, t int64) {
	x := s.away()
	back := s.template.Agrees(v)
	if !s.declared() {
		back = v == x.from || consequence
	}
	switch {
	case back:
		p.returned(r, s, v, t)
	case s.accepts(v):
		p.moved(s, x.value, v)
		p.endExcursion(s)
	default:
		p.moved(s, x.value, v)
		x.value = v
		if len(x.visits) < maxVisits {
			x.visits = append(x.visits, visit{v, t})
		}
	}
}

// moveDeclared handles a move of a setting that was where it should be, or
// that is seen for the first time.
func (p *Pooled) moveDeclared(r *resource, s *setting, v penumbra.Value, firstSight bool, t int64) {
	switch {
	case s.template.Agrees(v):
		if firstSight {
			s.class.bear(v, t)
		} else {
			p.changed(r, s, s.actual, v, t)
		}
		s.pending = false
	case s.accepts(v):
		p.changed(r, s, s.actual, v, t)
	case firstSight && s.pending:
	case firstSight:
		// It was away before anybody looked: a drift, and no departure to learn from.
		s.past().open = &excursion{from: s.template, value: v, visits: []visit{{v, t}}, start: t, found: t}
		s.class.away++
		p.version++
	default:
		s.pending = false
		p.depart(r, s, v, s.seen.unix(), t)
	}
}

// accepts reports whether a person accepted the value.
func (s *setting) accepts(v penumbra.Value) bool {
	return s.history != nil && slices.Contains(s.history.accepted, v)
}

// depart opens an excursion to v.
func (p *Pooled) depart(r *resource, s *setting, v penumbra.Value, after, t int64) {
	start := t
	who := r.toucher(s.path, after, t)
	if who.time != 0 {
		start = who.time
	}
	h := s.past()
	from := s.actual
	p.notify(s, from, v, true)
	h.open = &excursion{from: from, value: v, visits: []visit{{v, start}}, start: start, after: after, found: t}
	h.advance(t)
	h.leaves++
	h.flight++
	if len(h.left) == maxLeft {
		h.left = slices.Delete(h.left, 0, 1)
	}
	h.left = append(h.left, start)
	if h.clock == nil && len(h.left) > 1 {
		h.clock = &clock{}
		for _, at := range h.left {
			h.clock.strike(at)
		}
	} else if h.clock != nil {
		h.clock.strike(start)
	}
	c := s.class
	c.away++
	c.gone = c.gone.later(arrived{v, t})
	c.tally(v, t).flights++
	c.tally(from, t).escapes++
	p.remember(r, s, moving{time: t, from: hashText(from.Text()), to: hashText(v.Text()), actor: who.name, by: who.actor, departure: true})
	p.count(r, c, true, t)
}

// returned closes an excursion that came back to the template, to v.
func (p *Pooled) returned(r *resource, s *setting, v penumbra.Value, t int64) {
	x := s.away()
	p.moved(s, x.value, v)
	if r.byAutomation(s, x, t) {
		end := t
		if _, when := r.touched(s.path, s.seen.unix(), t); when != 0 {
			end = when
		}
		s.past().learn(s, x, end)
	}
	p.endExcursion(s)
	s.history.changed = t
	if !s.declared() && v != x.from { // an apply ended it elsewhere
		p.changed(r, s, x.from, v, t)
	}
}

func (p *Pooled) endExcursion(s *setting) {
	s.history.open = nil
	s.class.away--
	p.version++
}

// byAutomation reports whether an event by automation, and none by anybody
// else, touched the setting when the excursion began or, if nothing is known
// of its beginning, between the last look at it and its end.
func (r *resource) byAutomation(s *setting, x *excursion, end int64) bool {
	actor, when := r.touched(s.path, x.after, x.found)
	if when == 0 {
		actor, when = r.touched(s.path, s.seen.unix(), end)
	}
	return when != 0 && actor == penumbra.Automation
}

// changed learns a normal change.
func (p *Pooled) changed(r *resource, s *setting, from, to penumbra.Value, t int64) {
	h := s.past()
	c := s.class
	p.notify(s, from, to, false)
	p.attribute(c, h, to, t)
	h.advance(t)
	h.changes++
	h.surge++
	h.changed = t
	if !from.IsNull() {
		h.retire(from)
		c.release(from)
	}
	c.arrive(to, t)
	c.measure(from, to, t)
	who := p.changer(r, s, t)
	p.remember(r, s, moving{time: t, from: hashText(from.Text()), to: hashText(to.Text()), actor: who.name, by: who.actor})
	p.count(r, c, false, t)
	c.leave(from, t)
	p.sibling(r, c).move(to, t)
	c.turns++
	s.mark = c.turns
	h.count(t, p.current.ActorKind)
	r.own.count(t)
	r.burst = r.burst*decay(days(t-r.burstAt), waveLife) + 1
	r.burstAt = t
}

func (p *Pooled) newSetting(r *resource, path string, t int64) setting {
	s := setting{class: p.classOf(r.kind, path), path: p.intern(path), since: secondOf(t)}
	s.mark = s.class.turns
	p.join(r, s.class, 1, t)
	return s
}

// observeEvent remembers who touched what, or takes over a change of the code.
func (p *Pooled) observeEvent(o *penumbra.Observation) {
	if o.IsCommit() {
		return // nothing was done to the resource yet
	}
	r := p.resources[o.Resource]
	if o.IsCodeChange() && (r == nil || r.code) {
		p.observeCode(o)
		return
	}
	if r == nil {
		if r = p.inOrder(o); r == nil {
			return
		}
	}
	t := o.Time.Unix()
	if t < r.last {
		p.late++
	}
	r.touch(o, p.actor(o.Actor), t)
	switch o.Action {
	case penumbra.ActionDelete:
		if t >= r.last {
			p.remove(o.Resource, t)
		}
	case penumbra.ActionApply, penumbra.ActionRollback:
		r.settling = r.settling || t >= r.snapshot
	case penumbra.ActionAccept:
		for _, x := range o.Settings {
			if s := r.find(x.Path); s != nil {
				p.accept(r, s, x.Value, t)
			}
		}
	}
}

// touch remembers an event in the order of time.
func (r *resource) touch(o *penumbra.Observation, name uint32, t int64) {
	x := touch{time: t, actor: o.ActorKind, name: name}
	if o.Action == penumbra.ActionApply || o.Action == penumbra.ActionRollback {
		x.actor = penumbra.User // approved by one: no habit of automation
	}
	for _, s := range o.Settings {
		x.paths = append(x.paths, s.Path)
	}
	if len(r.touches) == maxTouches {
		r.touches = slices.Delete(r.touches, 0, 1)
	}
	i := len(r.touches)
	for i > 0 && r.touches[i-1].time > t {
		i--
	}
	r.touches = slices.Insert(r.touches, i, x)
}

// accept takes a person's word that the setting may have the value.
func (p *Pooled) accept(r *resource, s *setting, v penumbra.Value, t int64) {
	s.past().accept(v)
	x := s.away()
	if x == nil || x.value != v {
		return
	}
	p.endExcursion(s)
	p.changed(r, s, x.from, v, t)
}

// observeCode takes over a change of the code where nothing else is known of
// the resource: its value is what the code says. A setting that is removed
// ends; that is no change of its value.
func (p *Pooled) observeCode(o *penumbra.Observation) {
	t := o.Time.Unix()
	if o.Action == penumbra.ActionDelete {
		if r := p.resources[o.Resource]; r != nil && t >= r.last {
			p.remove(o.Resource, t)
		}
		return
	}
	fresh := p.resources[o.Resource] == nil
	r := p.inOrder(o)
	if r == nil {
		return
	}
	r.code = true
	var added []setting
	var gone bool
	each(r.settings, o.Settings, func(s *setting, x *penumbra.Setting) {
		switch {
		case x == nil && o.Action != "create":
		case s == nil:
			if x.Value.IsNull() {
				return
			}
			n := p.newSetting(r, x.Path, t)
			n.actual, n.seen = n.class.shared(x.Value), secondOf(t)
			if fresh {
				n.class.bear(x.Value, t)
			} else {
				p.moved(&n, penumbra.Null(), x.Value)
				n.class.arrive(x.Value, t)
			}
			added = append(added, n)
		case x == nil || x.Value.IsNull():
			p.moved(s, s.actual, penumbra.Null())
			s.class.release(s.actual)
			s.actual = penumbra.Null()
			gone = true
		case s.actual != x.Value:
			v := s.class.shared(x.Value)
			p.changed(r, s, s.actual, v, t)
			s.actual, s.seen = v, secondOf(t)
		}
	})
	if gone {
		r.settings = slices.DeleteFunc(r.settings, func(s setting) bool {
			if s.actual.IsNull() {
				p.join(r, s.class, -1, t)
				return true
			}
			return false
		})
	}
	r.insert(added)
}

// remove ends a resource.
func (p *Pooled) remove(address penumbra.Address, t int64) {
	r := p.resources[address]
	for i := range r.settings {
		s := &r.settings[i]
		p.join(r, s.class, -1, t)
		s.class.release(s.actual)
		if s.away() != nil {
			s.class.away--
		}
	}
	p.numbered[r.number-1] = nil
	delete(p.resources, address)
}

// each walks two lists sorted by path together; one of the arguments is nil
// where only the other list has the path.
func each(known []setting, found penumbra.Settings, f func(s *setting, x *penumbra.Setting)) {
	i, j := 0, 0
	for i < len(known) || j < len(found) {
		order := 0
		switch {
		case j == len(found):
			order = -1
		case i == len(known):
			order = 1
		default:
			order = strings.Compare(known[i].path, found[j].Path)
		}
		switch {
		case order < 0:
			f(&known[i], nil)
			i++
		case order > 0:
			f(nil, &found[j])
			j++
		default:
			f(&known[i], &found[j])
			i, j = i+1, j+1
		}
	}
}

// burstOf returns the resource's recent changes for each of its settings.
func (r *resource) burstOf(at int64) float64 {
	if r == nil || r.burst == 0 {
		return 0
	}
	return r.burst * math.Min(1, decay(days(at-r.burstAt), waveLife)) / float64(len(r.settings)+1)
}
