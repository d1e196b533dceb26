package shadow

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// imagined is a copy of all that an answer about one setting rests on, from
// which causes are taken out: sums are linear in the moves that made them, so
// that a move's share is what is left of it by now. The model is not touched.
//
// For one move the result is the model that never saw it, up to rounding, but
// where the sums do not tell: whether another change anywhere else shared the
// move's moment (the dispersion counts moments); tallies and moves that had to
// make room; when a resource changed before its last change, if that setting's
// own moves do not say. What is not kept move by move, a folder's changes or
// those of a sweep beyond the last 32, is taken out of the sums that answer for
// it alone. TestLeftOutIsNeverSeen holds it to a replay.
type imagined struct {
	at       int64
	path     string
	template penumbra.Value
	actual   penumbra.Value
	found    bool // whether the resource or the model has the setting
	p        Pooled
	r        resource
	s        setting
	seen     *setting // s, nil if the model does not know it
	h        history
	c        class
	kind     group
	token    group
	folder   group
	sibling  *sibling
	full     bool // the class has remembered its last moves only
	swept    bool // all of which are of the wave
}

// imagine copies what is known of the setting at path, as of a time.
func (p *Pooled) imagine(shown *penumbra.Resource, path string, when time.Time) *imagined {
	at := when.Unix()
	x := &imagined{at: at, path: path, p: *p}
	x.p.listen = nil
	known := p.resources[shown.Address]
	if known != nil {
		x.r = *known
	} else {
		x.r = resource{kind: shown.Type, folder: p.folders[folder(shown.Address)], born: at, family: hashText(family(shown.Address)), address: shown.Address}
	}
	template, declared := shown.Template.Find(path)
	actual, there := shown.Actual.Find(path)
	x.template, x.actual, x.found = template.Value, actual.Value, declared || there
	if x.actual.IsNull() {
		x.actual = x.template
	}
	q := question{p: p, r: &x.r, at: at}
	c := p.classes[classKey{shown.Type, mask(path)}]
	if s := known.find(path); s != nil {
		x.s, c, x.found = *s, s.class, true
		x.seen = &x.s
		if s.history != nil {
			x.h = *s.history
			x.h.moves, x.h.left = slices.Clone(x.h.moves), slices.Clone(x.h.left)
			x.h.advance(at)
			if x.h.clock != nil {
				clock := *x.h.clock
				x.h.clock = &clock
			}
			x.s.history = &x.h
		}
	}
	x.copyPools(q.class(c, path))
	return x
}

func (x *imagined) copyPools(c *class) {
	x.c, x.kind, x.token = *c, *c.kind, *c.token
	if x.r.folder != nil {
		x.folder = *x.r.folder
	}
	x.full = len(c.recent) == maxRecent
	x.swept = x.full && x.at-c.recent[0].time <= waveSpan
	x.c.values, x.c.recent = slices.Clone(c.values), slices.Clone(c.recent)
	x.c.kind, x.c.token, x.r.folder, x.s.class = &x.kind, &x.token, &x.folder, &x.c
	x.c.view = classView{}
	for i := range x.c.values {
		x.c.values[i].advance(x.at)
	}
	x.p.all.memo = memo{}
	for _, g := range [...]*group{&x.c.group, &x.kind, &x.token, &x.folder} {
		g.memo = memo{}
		g.advance(x.at)
	}
	key := siblingKey{x.r.family, c.hash}
	if b := x.p.siblings[key]; b != nil {
		copied := *b
		x.sibling = &copied
		x.p.siblings = map[siblingKey]*sibling{key: x.sibling}
	}
}

func (x *imagined) outlook() outlook {
	q := question{p: &x.p, r: &x.r, at: x.at}
	return q.outlook(&x.c, x.seen, !x.template.IsNull() && x.template.Kind() != penumbra.UnknownKind)
}

// ForecastWithout implements [Explainer].
func (p *Pooled) ForecastWithout(r *penumbra.Resource, path string, at time.Time, causes ...Cause) [len(penumbra.Horizons)]float64 {
	x := p.imagine(r, path, at)
	x.leaveOut(causes)
	o := x.outlook()
	var out [len(penumbra.Horizons)]float64
	for i, span := range penumbra.Horizons {
		out[i] = o.leaving(span)
		if i > 0 {
			out[i] = max(out[i], out[i-1])
		}
	}
	return out
}

// LookWithout returns what Visit would show of a setting if the causes had not
// been. It reports whether there is such a setting.
func (p *Pooled) LookWithout(r *penumbra.Resource, path string, at time.Time, causes ...Cause) (Look, bool) {
	x := p.imagine(r, path, at)
	if !x.found {
		return Look{}, false
	}
	x.leaveOut(causes)
	v := view{p: &x.p, r: &x.r, at: x.at, q: question{p: &x.p, r: &x.r, at: x.at}}
	v.shared(r.Address, at)
	l := Look{Resource: r.Address, Type: r.Type, Number: x.r.number, Path: path, Class: x.c.key.path, Actual: x.actual}
	v.look(&l, x.template, &x.c, x.seen)
	return l, true
}

// leaveOut takes the causes out: first what is remembered move by move, the
// latest first so that values go back the way they came, then the sums that
// stand for the rest.
func (x *imagined) leaveOut(causes []Cause) {
	var moves []moving
	for i := range causes {
		for _, m := range causes[i].moves {
			if !slices.Contains(moves, m) {
				moves = append(moves, m)
			}
		}
	}
	slices.SortStableFunc(moves, func(a, b moving) int { return int(min(1, max(-1, b.time-a.time))) })
	for _, m := range moves {
		x.omit(m)
	}
	if len(moves) > 0 {
		x.settle()
	}
	for i := range causes {
		x.leaveOutRest(&causes[i])
	}
}

func (x *imagined) leaveOutRest(cause *Cause) {
	if cause.Kind != 0 && cause.Kind != penumbra.OwnChange {
		x.p.all.advance(x.at) // what is subtracted below is as of now
	}
	switch cause.Kind {
	case penumbra.OwnChanges:
		x.leaveOutOwn()
	case penumbra.OwnDepartures, penumbra.DailyHabit:
		x.leaveOutDepartures()
	case penumbra.ResourceChanges:
		x.leaveOutResource()
	case penumbra.PeerWave:
		x.calm()
	case penumbra.FolderActivity:
		own, f := x.r.own.as(x.at), &x.folder
		f.surge, f.month, f.changes, f.swept = float64(own.week), float64(own.month), float64(own.year), own.at
		f.leaves, f.flight = 0, 0
	case penumbra.NewerValue:
		x.c.latest, x.c.before = arrived{}, arrived{}
	case penumbra.FleetRate:
		x.c.shipped = 0
		for _, g := range [...]*group{&x.c.group, &x.kind, &x.token} {
			g.exposure, g.changes, g.sweeps, g.leaves = 0, 0, 0, 0
		}
	}
}

// share is what is left of one, counted at t, in a sum as of at.
func share(at, t int64, halfLife float64) float64 { return decay(days(max(0, at-t)), halfLife) }

func less(sum *float64, by float64) { *sum = max(0, *sum-by) }

// discount takes one move at t out of the sums; alone reports that no other
// change was at its moment.
func (p *pool) discount(departure bool, t int64, alone bool) {
	if departure {
		less(&p.leaves, share(p.at, t, longLife))
		less(&p.flight, share(p.at, t, waveLife))
		return
	}
	less(&p.changes, share(p.at, t, longLife))
	less(&p.surge, share(p.at, t, waveLife))
	less(&p.month, share(p.at, t, monthLife))
	less(&p.day, share(p.at, t, dayLife))
	if alone {
		less(&p.sweeps, share(p.at, t, longLife))
	}
}

// subtract takes so much activity, which was counted in the sums too, out of
// them. Each change was a moment of its own as often as the pool's are.
func (p *pool) subtract(a activity) {
	if p.changes > 0 {
		less(&p.sweeps, float64(a.year)*min(1, p.sweeps/p.changes))
	}
	less(&p.changes, float64(a.year))
	less(&p.surge, float64(a.week))
	less(&p.month, float64(a.month))
	p.day = min(p.day, p.surge)
}

// discount takes one change at t out. The last change before it is needed where
// t is the last.
func (a *activity) discount(t, before int64) {
	if a.n < 1.5 {
		*a = activity{}
		return
	}
	a.n--
	last := t == a.at && before != 0 && before < t
	for _, sum := range [...]struct {
		of   *float32
		life float64
	}{{&a.week, waveLife}, {&a.month, monthLife}, {&a.year, longLife}} {
		rest := max(0, float64(*sum.of)-share(a.at, t, sum.life))
		if last { // as of then; each change is worth one at most, so rounding cannot grow
			rest = min(float64(a.n), rest/share(t, before, sum.life))
		}
		*sum.of = float32(rest)
	}
	if last {
		a.at = before
	}
}

// omit takes one move out of all sums that it is in.
func (x *imagined) omit(m moving) {
	i := slices.Index(x.c.recent, m)
	if i >= 0 {
		x.c.recent = slices.Delete(x.c.recent, i, i+1)
	}
	own := m.resource == x.r.number && m.resource != 0
	mine := own && m.path == hashText(x.path)
	same := mine || i >= 0 // else it is of another class
	if own && !same {
		x.omitBeside(m)
		return
	}
	alone := !slices.ContainsFunc(x.c.recent, func(y moving) bool { return y.time == m.time && !y.departure })
	for _, q := range [...]*pool{&x.c.pool, &x.token.pool} {
		q.discount(m.departure, m.time, alone)
	}
	r := x.p.numberedAs(m.resource)
	alone = alone && !changedMore(r, m)
	for _, q := range [...]*pool{&x.kind.pool, &x.p.all.pool} {
		q.discount(m.departure, m.time, alone)
	}
	if own || r != nil && r.folder == x.p.folderOf(&x.r) {
		x.folder.discount(m.departure, m.time, alone)
	}
	x.omitValue(m)
	if m.departure {
		if mine {
			x.omitDeparture(m)
		} else if s := r.settingOf(m.path); s != nil && s.away() != nil && s.away().found == m.time {
			less(&x.c.away, 1)
		}
		return
	}
	if x.sibling != nil && (own || r != nil && r.family == x.r.family) {
		x.omitSibling(m)
	}
	x.omitTurn(m, mine)
	if own {
		x.omitOwn(m, mine)
	}
}

// omitTurn takes a change out of how many there were in the class, and out of
// how many there had been at the setting's own last change; without that one,
// at the one before it, as far as the class remembers.
func (x *imagined) omitTurn(m moving, mine bool) {
	if x.c.turns == 0 || x.seen == nil {
		return
	}
	x.c.turns--
	since := x.h.recent.at // of its own last change, with this one
	switch {
	case mine && m.time == since:
		before := x.s.since.unix()
		for _, y := range x.h.moves {
			if y != m && !y.departure && y.time <= m.time {
				before = max(before, y.time)
			}
		}
		passed := uint32(1)
		for _, y := range x.c.recent {
			if !y.departure && y.time > before && y.time < m.time {
				passed++
			}
		}
		x.s.mark -= min(x.s.mark, passed)
	case x.s.mark > 0 && m.time <= max(since, x.s.since.unix()):
		x.s.mark--
	}
}

// settingOf returns the resource's setting whose path has the hash, nil if it has
// none or the resource is nil.
func (r *resource) settingOf(path uint32) *setting {
	if r == nil {
		return nil
	}
	for i := range r.settings {
		if hashText(r.settings[i].path) == path {
			return &r.settings[i]
		}
	}
	return nil
}

// changedMore reports whether the resource changed another setting at the move's
// moment, as far as its settings remember.
func changedMore(r *resource, m moving) bool {
	if r == nil {
		return false
	}
	for i := range r.settings {
		h := r.settings[i].history
		if h != nil && slices.ContainsFunc(h.moves, func(y moving) bool { return y.time == m.time && y.path != m.path && !y.departure }) {
			return true
		}
	}
	return false
}

// folderOf returns the group that the resource's folder is in the model itself.
func (p *Pooled) folderOf(r *resource) *group { return p.folders[folder(r.address)] }

// omitBeside takes a change of another setting of the resource out of what the
// setting shares with it; its class is not the setting's.
func (x *imagined) omitBeside(m moving) {
	for _, q := range [...]*pool{&x.kind.pool, &x.p.all.pool, &x.folder.pool} {
		q.discount(m.departure, m.time, !changedMore(&x.r, m))
	}
	if !m.departure {
		x.omitOwn(m, false)
	}
}

// omitValue takes a move out of what the class keeps of values. Whoever moved
// and is still there goes back to where it was; whoever moved on since did so
// from there.
func (x *imagined) omitValue(m moving) {
	next := slices.IndexFunc(x.c.recent, func(y moving) bool {
		return y.resource == m.resource && y.path == m.path && y.time >= m.time && !y.departure
	})
	for i := range x.c.values {
		v := &x.c.values[i]
		from, to := hashText(v.value.Text()) == m.from, hashText(v.value.Text()) == m.to
		switch {
		case m.departure && from:
			less(&v.escapes, share(v.at, m.time, waveLife))
		case m.departure && to:
			less(&v.flights, share(v.at, m.time, waveLife))
		case m.departure:
		case from:
			v.leave(m.time, -1)
			if next >= 0 {
				v.leave(x.c.recent[next].time, 1)
			} else {
				v.holders++
			}
		case to:
			less(&v.arrivals, share(v.at, m.time, ownLife))
			if next >= 0 {
				v.leave(x.c.recent[next].time, -1)
			} else {
				less(&v.holders, 1)
			}
		}
	}
	if next >= 0 && !m.departure {
		x.c.recent[next].from = m.from
	}
}

// leave counts so many normal changes away from the value at t.
func (v *tally) leave(t int64, n float64) {
	v.left = max(0, v.left+n*share(v.at, t, waveLife))
	v.lost = max(0, v.lost+n*share(v.at, t, ownLife))
}

// omitDeparture takes a departure out of the setting's own history.
func (x *imagined) omitDeparture(m moving) {
	h := &x.h
	less(&h.leaves, share(h.at, m.time, ownLife))
	less(&h.flight, share(h.at, m.time, waveLife))
	for i := len(h.left) - 1; i >= 0; i-- {
		if h.left[i] > m.time {
			continue
		}
		if h.clock != nil {
			x.unstrike(h.left[i])
		}
		h.left = slices.Delete(h.left, i, i+1)
		break
	}
	if h.open != nil && h.open.found == m.time {
		x.s.actual, h.open = h.open.from, nil
		less(&x.c.away, 1)
	}
	x.forgetMove(m)
}

func (x *imagined) unstrike(t int64) {
	k := x.h.clock
	at := &k.at[t%secondsPerDay/900]
	*at = max(0, *at-float32(decay(float64(max(0, k.day-t/secondsPerDay)), habitLife)))
}

func (x *imagined) forgetMove(m moving) {
	x.h.moves = slices.DeleteFunc(x.h.moves, func(y moving) bool { return y == m })
}

// omitOwn takes a change of the resource out of its activity, and of the
// setting's if it is its own.
func (x *imagined) omitOwn(m moving, mine bool) {
	last := x.changedBefore(m)
	x.r.own.discount(m.time, last)
	less(&x.r.burst, share(x.r.burstAt, m.time, waveLife))
	if m.time == x.r.burstAt && last != 0 && last < m.time {
		x.r.burst = min(float64(x.r.own.n), x.r.burst/share(m.time, last, waveLife))
		x.r.burstAt = last
	}
	if !mine {
		return
	}
	h := &x.h
	less(&h.changes, share(h.at, m.time, ownLife))
	less(&h.surge, share(h.at, m.time, waveLife))
	x.forgetMove(m)
	var before moving
	for _, y := range h.moves {
		if !y.departure && y.time <= m.time {
			before = y
		}
	}
	if m.time == h.recent.at {
		h.actor = before.by
		if v, ok := x.c.valueOf(m.from); ok && hashText(x.s.actual.Text()) == m.to {
			x.s.actual, x.actual = v, v
		}
	}
	h.recent.discount(m.time, before.time)
	if m.time == h.recent.first && len(h.moves) > 0 {
		h.recent.first = h.moves[0].time
	}
	h.changed = h.recent.at
}

// changedBefore returns when the resource changed last but for the move, and not
// after it, as far as its settings remember.
func (x *imagined) changedBefore(m moving) int64 {
	var last int64
	note := func(moves []moving) {
		for _, y := range moves {
			if y != m && !y.departure && y.time <= m.time {
				last = max(last, y.time)
			}
		}
	}
	note(x.h.moves)
	for i := range x.r.settings {
		if s := &x.r.settings[i]; s.history != nil && s.path != x.path {
			note(s.history.moves)
		}
	}
	return last
}

func (x *imagined) omitSibling(m moving) {
	b := x.sibling
	for _, sum := range [...]struct {
		of   *float32
		life float64
	}{{&b.week, waveLife}, {&b.month, monthLife}, {&b.year, longLife}} {
		*sum.of = float32(max(0, float64(*sum.of)-share(b.last, m.time, sum.life)))
	}
}

// settle finds out what came last, now that moves are gone.
func (x *imagined) settle() {
	var latest, before, gone arrived
	var sibling moving
	swept := int64(0)
	for _, m := range x.c.recent {
		v, ok := x.c.valueOf(m.to)
		switch {
		case m.departure && ok:
			gone = gone.later(arrived{v, m.time})
		case m.departure:
		default:
			swept = max(swept, m.time)
			if r := x.p.numberedAs(m.resource); r != nil && r.family == x.r.family && m.time >= sibling.time {
				sibling = m
			}
			if !ok {
				continue
			}
			if m.time > latest.time {
				before = latest
			}
			latest = latest.later(arrived{v, m.time})
		}
	}
	whole := !x.full // nothing had to make room, so there was nothing before
	if whole || latest.time != 0 {
		x.c.latest, x.c.swept = latest, swept
	}
	if whole || before.time != 0 {
		x.c.before = before
	}
	if whole || gone.time != 0 {
		x.c.gone = gone
	}
	for _, m := range x.h.moves {
		if !m.departure && m.time > sibling.time {
			sibling = m
		}
	}
	if x.sibling != nil && (whole || sibling.time != 0) {
		x.settleSibling(sibling)
	}
}

func (x *imagined) settleSibling(last moving) {
	b := x.sibling
	if last.time >= b.last {
		return
	}
	if last.time == 0 {
		delete(x.p.siblings, siblingKey{x.r.family, x.c.hash})
		x.sibling = nil
		return
	}
	for _, sum := range [...]struct {
		of   *float32
		life float64
	}{{&b.week, waveLife}, {&b.month, monthLife}, {&b.year, longLife}} {
		*sum.of = float32(min(maxRecent, float64(*sum.of)/share(b.last, last.time, sum.life)))
	}
	b.last, b.value = last.time, last.to
}

// leaveOutOwn takes out what is left of the setting's own changes.
func (x *imagined) leaveOutOwn() {
	rest := x.h.recent.as(x.at)
	for _, q := range [...]*pool{&x.c.pool, &x.token.pool, &x.kind.pool, &x.p.all.pool, &x.folder.pool} {
		q.subtract(rest)
	}
	x.r.own = x.r.own.minus(rest, x.at, x.changedBeside())
	less(&x.r.burst, float64(rest.week)/max(1e-30, share(x.at, x.r.burstAt, waveLife)))
	if b := x.sibling; b != nil {
		b.week = outOf(b.week, rest.week, share(x.at, b.last, waveLife))
		b.month = outOf(b.month, rest.month, share(x.at, b.last, monthLife))
		b.year = outOf(b.year, rest.year, share(x.at, b.last, longLife))
	}
	x.h.recent, x.h.actor = activity{}, penumbra.UnknownActor
	x.h.changes, x.h.surge, x.h.changed = 0, 0, 0
}

// outOf takes a part out of a sum of which so much will be left when the part is
// counted.
func outOf(sum, part float32, left float64) float32 {
	return float32(max(0, float64(sum)-float64(part)/max(1e-300, left)))
}

// minus returns the activity without another that is part of it, both as of at;
// last is when what is left was last.
func (a activity) minus(b activity, at, last int64) activity {
	a = a.as(at)
	a.n -= b.n
	if a.n < 0.5 || last == 0 {
		return activity{}
	}
	until := func(sum float32, part float32, life float64) float32 {
		return float32(min(float64(a.n), max(0, float64(sum-part))/share(at, last, life)))
	}
	a.week, a.month, a.year = until(a.week, b.week, waveLife), until(a.month, b.month, monthLife), until(a.year, b.year, longLife)
	a.at = last
	return a
}

// changedBeside returns the last change of the resource's other settings.
func (x *imagined) changedBeside() int64 {
	var last int64
	for i := range x.r.settings {
		if s := &x.r.settings[i]; s.history != nil && s.path != x.path {
			last = max(last, s.history.recent.at)
		}
	}
	return last
}

// leaveOutResource takes out what is left of the changes of the resource's other
// settings.
func (x *imagined) leaveOutResource() {
	own := x.h.recent.as(x.at)
	rest := x.r.own.as(x.at)
	rest.week, rest.month, rest.year = max(0, rest.week-own.week), max(0, rest.month-own.month), max(0, rest.year-own.year)
	for _, q := range [...]*pool{&x.kind.pool, &x.p.all.pool, &x.folder.pool} {
		q.subtract(rest)
	}
	x.r.own = x.h.recent
	x.r.burst, x.r.burstAt = x.h.surge, x.h.at
}

// leaveOutDepartures takes out what is left of the setting's departures.
func (x *imagined) leaveOutDepartures() {
	h := &x.h
	for _, t := range h.left {
		for _, q := range [...]*pool{&x.c.pool, &x.token.pool, &x.kind.pool, &x.p.all.pool, &x.folder.pool} {
			less(&q.leaves, share(q.at, t, longLife))
			less(&q.flight, share(q.at, t, waveLife))
		}
	}
	h.left, h.clock, h.leaves, h.flight = nil, nil, 0, 0
}

// calm takes out what is left of a wave of which more moves passed than are
// remembered: then all recent change of the class but its own is the wave's.
func (x *imagined) calm() {
	if !x.swept {
		return
	}
	own := x.h.recent.as(x.at)
	week, month := max(0, float32(x.c.surge)-own.week), max(0, float32(x.c.month)-own.month)
	rest := activity{week: week, month: month, year: week}
	for _, q := range [...]*pool{&x.c.pool, &x.token.pool, &x.kind.pool, &x.p.all.pool} {
		q.subtract(rest)
	}
	x.c.flight = x.h.flight
}
