package shadow

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Expect returns, sorted by path, the prediction set of each setting that the
// resource's template or actual configuration has. Of the actual configuration
// it reads no value, so that what was not observed yet is not peeked at; only
// an apply that it shows explains the undeclared settings that moved with it.
func (p *Pooled) Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation {
	return p.ExpectBy(nil, r, at, confidence)
}

// Composer says what an undeclared setting may have become, in place of the
// pooled model's own rates and shares.
type Composer interface {
	// Moved returns the probability that the setting changed since it was last
	// looked at. ok is false where the pooled model's own is to be taken.
	Moved(path string) (probability float64, ok bool)
	// Next returns the candidates for the value that it would have changed to from
	// the given one, the likeliest first, and the probability of one that nobody
	// knows; all of them sum to 1. None may be known by departures only.
	Next(path string, from penumbra.Value) (values []penumbra.Candidate, novel float64)
	// Calibrate replaces the masses of values, the likeliest first, and of
	// something new, which sum to 1, by calibrated ones.
	Calibrate(path string, from penumbra.Value, values []penumbra.Candidate, novel float64) float64
}

// ExpectBy is Expect with what an undeclared setting may have become said by a
// composer, or, if it is nil, by the pooled model itself. What is never learnt is
// kept out all the same: while an excursion is open the set is composed from the
// value that it left, has nothing that it visited and no room for something new.
func (p *Pooled) ExpectBy(by Composer, r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation {
	t := at.Unix()
	known := p.resources[r.Address]
	n := count(r)
	out := make([]penumbra.Expectation, 0, n)
	q := question{p: p, r: known, at: t, confidence: confidence, settling: known.expectsApply(r, t), by: by}
	q.room = make([]penumbra.Candidate, 0, n)
	walk(r, known, func(path string, template penumbra.Value, s *setting) {
		var c *class
		if s != nil {
			c = s.class
		} else {
			c = p.classes[classKey{r.Type, mask(path)}]
		}
		out = append(out, q.expect(path, template, c, s))
	})
	return out
}

// count returns how many different paths template and actual have, at most.
func count(r *penumbra.Resource) int {
	n := 0
	walk(r, nil, func(string, penumbra.Value, *setting) { n++ })
	return n
}

// walk visits the paths of template and actual in order, with what the model
// has of each, nil if nothing.
func walk(r *penumbra.Resource, known *resource, f func(path string, template penumbra.Value, s *setting)) {
	i, j, k := 0, 0, 0
	for i < len(r.Template) || j < len(r.Actual) {
		var path string
		var template penumbra.Value
		switch {
		case j == len(r.Actual) || i < len(r.Template) && r.Template[i].Path <= r.Actual[j].Path:
			path, template = r.Template[i].Path, r.Template[i].Value
			if j < len(r.Actual) && r.Actual[j].Path == path {
				j++
			}
			i++
		default:
			path = r.Actual[j].Path
			j++
		}
		var s *setting
		if known != nil {
			for k < len(known.settings) && known.settings[k].path < path {
				k++
			}
			if k < len(known.settings) && known.settings[k].path == path {
				s = &known.settings[k]
			}
		}
		f(path, template, s)
	}
}

// expectsApply reports whether undeclared settings may move as a consequence:
// the code moved since the last look, was not applied yet or not long ago, or
// is in what the resource shows.
func (r *resource) expectsApply(shown *penumbra.Resource, at int64) bool {
	if r == nil {
		return false
	}
	if r.settling || at <= r.settled {
		return true
	}
	later := shown.SnapshotTime.Unix() > r.snapshot
	for i := range r.settings {
		s := &r.settings[i]
		if s.pending {
			return true
		}
		if later && s.away() != nil && s.declared() {
			// The return of a habit is automation's and no apply.
			v := shown.Actual.Get(s.path)
			if s.template.Agrees(v) && !r.byAutomation(s, s.away(), shown.SnapshotTime.Unix()) {
				return true
			}
		}
	}
	return false
}

// question is what is asked of one resource at one time.
type question struct {
	p          *Pooled
	r          *resource
	at         int64
	confidence float64
	settling   bool
	by         Composer             // nil: the model itself
	room       []penumbra.Candidate // where single candidates are put, to allocate once
}

// single returns a set of one value.
func (q *question) single(v penumbra.Value, probability float64) []penumbra.Candidate {
	if len(q.room) == cap(q.room) {
		return []penumbra.Candidate{{Value: v, Probability: probability}}
	}
	q.room = append(q.room, penumbra.Candidate{Value: v, Probability: probability})
	return q.room[len(q.room)-1 : len(q.room) : len(q.room)]
}

// expect answers for one setting. Class and setting may be nil.
func (q *question) expect(path string, template penumbra.Value, c *class, s *setting) penumbra.Expectation {
	e := penumbra.Expectation{Path: path, Confidence: q.confidence, Support: support(c, q.at)}
	switch {
	case !template.IsNull() && template.Kind() != penumbra.UnknownKind:
		q.expectDeclared(&e, template, s)
	case s != nil && s.seen != 0:
		q.expectUndeclared(&e, c, s)
	case template.Kind() == penumbra.UnknownKind: // known only after the apply: anything
		e.Values, e.Novel, e.NovelProbability = q.single(template, 1), true, 0
	case q.r != nil && q.r.full && !q.settling:
		// A full look did not have it: it is expected to be absent.
		z := q.p.rates(q.class(c, path), q.at).change
		absent := 1 / (1 + z*days(max(0, q.at-q.r.snapshot)))
		e.Values, e.NovelProbability = q.single(penumbra.Null(), absent), 1-absent
		e.Novel = absent < q.confidence
	default:
		values, rest := q.p.unseen(c, q.at)
		e.Values, e.Novel = cut(values, rest, q.confidence)
		e.Novel = e.Novel || q.settling
		e.NovelProbability = rest
	}
	return e
}

// class returns c, or an empty one that belongs to nothing yet.
func (q *question) class(c *class, path string) *class {
	if c != nil {
		return c
	}
	masked := mask(path)
	token := lastToken(masked)
	c = &class{key: classKey{q.r.kind, masked}, hash: hashText(q.r.kind, masked), kind: q.p.types[q.r.kind], token: q.p.tokens[token], shipped: q.p.prior.TokenFactors[token]}
	if c.kind == nil {
		c.kind = &group{}
	}
	if c.token == nil {
		c.token = &group{}
	}
	return c
}

// support is the decayed number of days that the setting's class was watched.
func support(c *class, at int64) float64 {
	if c == nil {
		return 0
	}
	days := days(max(0, at-c.at))
	return c.exposure*decay(days, longLife) + c.members*decayedDays(days, longLife)
}

// expectDeclared is what is legitimate: the template, habits, accepted values.
func (q *question) expectDeclared(e *penumbra.Expectation, template penumbra.Value, s *setting) {
	if s == nil || s.history == nil {
		e.Values = q.single(template, 1)
		return
	}
	h := s.history
	q.expectHabit(e, template, h)
	if len(e.Values) == 0 {
		e.Values = q.single(template, 1)
	}
	if template == s.template {
		addAccepted(e, h.accepted, s.actual)
	}
}

// addAccepted adds accepted values to the set, which always stay. The present
// value, if it is one of them, has most of the mass.
func addAccepted(e *penumbra.Expectation, accepted []penumbra.Value, present penumbra.Value) {
	const other = 0.05 // of the mass, for all that the present value is not
	for _, v := range accepted {
		if slices.ContainsFunc(e.Values, func(c penumbra.Candidate) bool { return c.Value == v }) {
			continue
		}
		share := other / float64(len(accepted))
		if v == present {
			share = 1 - other
		}
		e.Values = slices.Clone(e.Values)
		for i := range e.Values {
			e.Values[i].Probability *= 1 - share
		}
		e.NovelProbability *= 1 - share
		e.Values = append(e.Values, penumbra.Candidate{Value: v, Probability: share})
	}
	sortCandidates(e.Values)
}

// expectHabit sets what a habit of automation makes of the set, if there is
// one. The history may be nil; home is where the setting belongs.
func (q *question) expectHabit(e *penumbra.Expectation, home penumbra.Value, h *history) {
	if h == nil || !h.habit.established() {
		return
	}
	b := h.habit
	values := b.candidates(nil, home, q.at)
	sortCandidates(values)
	e.Values, _ = cut(values, 0, q.confidence)
	e.Interval = b.interval(q.confidence)
	e.Habit = e.Interval != nil || slices.ContainsFunc(e.Values, func(c penumbra.Candidate) bool { return c.Value != home })
}

// expectUndeclared is what the setting will have become since it was last
// seen. While an excursion is open the answer is that of the day it began,
// without the excursion's values and without room for something new.
func (q *question) expectUndeclared(e *penumbra.Expectation, c *class, s *setting) {
	current, at, since := s.actual, q.at, s.seen.unix()
	x := s.away()
	if x != nil {
		current, at, since = x.from, x.found, x.after
	}
	q.expectHabit(e, current, s.history)
	if e.Habit {
		return
	}
	moved := q.moved(c, s, at, since)
	if q.by != nil {
		q.compose(e, s, current, moved)
		return
	}
	if moved < 1-q.confidence && !q.settling && (s.history == nil || len(s.history.accepted) == 0) {
		e.Values = q.single(current, 1-moved)
		e.NovelProbability = moved * q.p.ways(c)[novel]
		return
	}
	values := make([]penumbra.Candidate, 1, maxTallies+maxEarlier)
	values[0] = penumbra.Candidate{Value: current, Probability: 1 - moved}
	values, rest := q.p.next(values, c, s.history, current, moved, at)
	q.conclude(e, s, values, rest, current, moved)
}

// conclude makes the set of an undeclared setting from what it may be and how
// likely that is something new: nothing of an open excursion stays in it.
func (q *question) conclude(e *penumbra.Expectation, s *setting, values []penumbra.Candidate, rest float64, current penumbra.Value, moved float64) {
	x := s.away()
	if x != nil {
		values = slices.DeleteFunc(values, func(v penumbra.Candidate) bool { return x.visited(v.Value) })
	}
	sortCandidates(values)
	e.NovelProbability = rest
	e.Values, e.Novel = cut(values, rest, q.confidence)
	if s.history != nil {
		addAccepted(e, s.history.accepted, current)
	}
	if x != nil {
		e.Novel = false
		return
	}
	e.Novel = e.Novel || q.settling
	e.Interval = s.class.steps.interval(current, moved, q.confidence)
}

// moved returns the probability that the setting changed between two times.
func (q *question) moved(c *class, s *setting, at, since int64) float64 {
	if q.by != nil && s.away() == nil {
		if moved, ok := q.by.Moved(s.path); ok {
			return min(1, max(0, moved))
		}
		if q.r.code { // what the code did not change, it left as it was
			since = max(since, q.p.all.at)
		}
	}
	z := q.p.changeHazard(c, q.r, s, at)
	return 1 - z.survival(days(max(0, at-since)))
}

// compose sets what the composer makes of the present value and of the next.
func (q *question) compose(e *penumbra.Expectation, s *setting, current penumbra.Value, moved float64) {
	if s.away() == nil && !q.settling && moved < 0.5 && (s.history == nil || len(s.history.accepted) == 0) {
		// Mostly it stays, and nobody has to know where it would go.
		stays := q.single(current, 1-moved)
		rest := q.by.Calibrate(s.path, current, stays, moved)
		if stays[0].Probability >= q.confidence {
			e.Values, e.NovelProbability = stays, rest*q.p.ways(s.class)[novel]
			return
		}
	}
	next, unknown := q.by.Next(s.path, current)
	values := make([]penumbra.Candidate, 1, len(next)+1)
	values[0] = penumbra.Candidate{Value: current, Probability: 1 - moved}
	for _, v := range next {
		if v.Value != current {
			values = append(values, penumbra.Candidate{Value: v.Value, Probability: moved * v.Probability})
		}
	}
	sortCandidates(values)
	rest := q.by.Calibrate(s.path, current, values, moved*unknown)
	q.conclude(e, s, values, rest, current, moved)
}

func (x *excursion) visited(v penumbra.Value) bool {
	return v == x.value || slices.ContainsFunc(x.visits, func(y visit) bool { return y.value == v })
}

// holds reports whether v is in the setting's own prediction set at the
// model's reference confidence.
func (p *Pooled) holds(r *resource, s *setting, v penumbra.Value, at int64) bool {
	q := question{p: p, r: r, at: at, confidence: p.reference}
	e := penumbra.Expectation{Path: s.path}
	q.expectUndeclared(&e, s.class, s)
	return e.Contains(v)
}
