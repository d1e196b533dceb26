package shadow

import (
	"cmp"
	"math"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// The ways in which a change chooses its value, tried in this order.
const (
	fleetLast  = iota // the value that a peer changed to last
	ownEarlier        // a value that the setting had before
	fleetKnown        // another value known in the class
	novel             // one never seen in the class
	arrivals
)

// arrival counts changes by how they chose their value; they are halved when
// they come to maxArrivals, not by time, so that what changes rarely is not
// forgotten.
type arrival [arrivals]float64

const maxArrivals = 200

func (a *arrival) add(way int) {
	a[way]++
	if a.sum() > maxArrivals {
		for i := range a {
			a[i] /= 2
		}
	}
}

func (a *arrival) sum() float64 {
	var n float64
	for _, x := range a {
		n += x
	}
	return n
}

// tally is what a class keeps of one value.
type tally struct {
	value    penumbra.Value
	holders  float64 // members that have it
	arrivals float64 // normal changes to it, decayed with ownLife
	flights  float64 // departures to it, decayed with waveLife
	escapes  float64 // departures from it, decayed with waveLife
	left     float64 // normal changes away from it, decayed with waveLife
	lost     float64 // the same, decayed with ownLife
	at       int64
	since    int64   // when it was first seen to be normal, 0 if never
	births   float64 // members that began with it, decayed with bornLife
	born     int64   // when the last of them began
}

const maxTallies = 32

func (x *tally) advance(t int64) {
	if t <= x.at {
		return
	}
	d := days(t - x.at)
	x.arrivals *= decay(d, ownLife)
	x.flights *= decay(d, waveLife)
	x.escapes *= decay(d, waveLife)
	x.left *= decay(d, waveLife)
	x.lost *= decay(d, ownLife)
	x.births *= decay(d, bornLife)
	x.at = t
}

// keeps returns what is left by t of a count that is decayed with a half-life.
func (x *tally) keeps(t int64, halfLife float64) float64 {
	if t <= x.at {
		return 1
	}
	return decay(days(t-x.at), halfLife)
}

func (x *tally) weight() float64 { return x.holders + x.arrivals + x.flights + x.escapes }

// tally returns the class's count of v at t. Where there is no room, v takes
// the place of the least, a value only departed to or long gone first.
func (c *class) tally(v penumbra.Value, t int64) *tally {
	for i := range c.values {
		if c.values[i].value == v {
			c.values[i].advance(t)
			return &c.values[i]
		}
	}
	fresh := tally{value: v, at: t}
	if len(c.values) < maxTallies {
		c.values = append(c.values, fresh)
		return &c.values[len(c.values)-1]
	}
	least := 0
	for i := range c.values {
		c.values[i].advance(t)
		if c.values[i].weight() < c.values[least].weight() {
			least = i
		}
	}
	c.values[least] = fresh
	return &c.values[least]
}

// shared returns v with the text of an equal value that the class has, so that
// a thousand equal values take one text.
func (c *class) shared(v penumbra.Value) penumbra.Value {
	for i := range c.values {
		if c.values[i].value == v {
			return c.values[i].value
		}
	}
	return v
}

// hold counts one more member that has v.
func (c *class) hold(v penumbra.Value, t int64) *tally {
	x := c.tally(v, t)
	x.holders++
	if x.since == 0 {
		x.since = t
	}
	return x
}

// bear counts a new member that begins with v.
func (c *class) bear(v penumbra.Value, t int64) {
	x := c.hold(v, t)
	x.births++
	x.born = max(x.born, t)
}

func (c *class) release(v penumbra.Value) {
	for i := range c.values {
		if c.values[i].value == v {
			c.values[i].holders = max(0, c.values[i].holders-1)
		}
	}
}

// arrive counts a normal change to v.
func (c *class) arrive(v penumbra.Value, t int64) {
	c.hold(v, t).arrivals++
	if t > c.latest.time {
		c.before = c.latest
	}
	c.latest = c.latest.later(arrived{v, t})
}

// normal reports whether the class knows v by more than departures to it.
func (x *tally) normal() bool { return x.holders > 0 || x.arrivals > 0.01 }

// attribute learns how a change chose its value, among what was known before
// its moment: what a sweep over many settings brings is new in all of them.
func (p *Pooled) attribute(c *class, h *history, to penumbra.Value, t int64) {
	last := c.latest
	if t <= last.time {
		last = c.before
	}
	way := novel
	switch {
	case to == last.value && !to.IsNull():
		way = fleetLast
	case slices.Contains(h.earlier, to):
		way = ownEarlier
	case slices.ContainsFunc(c.values, func(x tally) bool { return x.value == to && x.normal() && x.since < t }):
		way = fleetKnown
	}
	c.arrival.add(way)
	p.arrival.add(way)
}

// ways returns the shares of the ways in which the class's changes choose
// their value: Dirichlet means, the class drawn to the estate, the estate to
// the shipped shares.
func (p *Pooled) ways(c *class) [arrivals]float64 {
	var out [arrivals]float64
	const estateStrength = 50
	k := p.prior.ArrivalStrength
	all, own := p.arrival.sum(), c.arrival.sum()
	for i := range out {
		estate := (p.arrival[i] + estateStrength*p.prior.Arrival[i]) / (all + estateStrength)
		out[i] = (c.arrival[i] + k*estate) / (own + k)
	}
	return out
}

// next appends the candidates for the value that the setting would have after
// a change away from current, each with its share of the mass, and returns the
// mass of a value never seen. What no candidate can take goes to it.
func (p *Pooled) next(out []penumbra.Candidate, c *class, h *history, current penumbra.Value, mass float64, t int64) ([]penumbra.Candidate, float64) {
	ways := p.ways(c)
	rest := mass
	give := func(v penumbra.Value, m float64) {
		if m <= 0 || v == current || v.IsNull() {
			return
		}
		rest -= m
		for i := range out {
			if out[i].Value == v {
				out[i].Probability += m
				return
			}
		}
		out = append(out, penumbra.Candidate{Value: v, Probability: m})
	}
	give(c.latest.value, mass*ways[fleetLast])
	if h != nil {
		n := float64(len(h.earlier))
		for i, v := range h.earlier { // the latest is the likeliest: weights fall linearly
			give(v, mass*ways[ownEarlier]*2*(n-float64(i))/(n*(n+1)))
		}
	}
	var room [maxTallies]float64
	counts, sum := room[:0], 0.0
	for i := range c.values {
		if x := &c.values[i]; x.normal() && x.value != current {
			n := x.holders
			if x.arrivals > 0 {
				n += x.arrivals * x.keeps(t, ownLife)
			}
			counts = append(counts, n)
			sum += n
		}
	}
	// Pitman and Yor: a known value has what its count has above the discount.
	d, k := p.prior.Discount, p.prior.Concentration
	for i := range c.values {
		if x := &c.values[i]; x.normal() && x.value != current {
			give(x.value, mass*ways[fleetKnown]*max(0, counts[0]-d)/(sum+k))
			counts = counts[1:]
		}
	}
	return out, max(0, rest)
}

// unseen returns the distribution of a setting's value that nobody has looked
// at: what its peers hold, and something new.
func (p *Pooled) unseen(c *class, t int64) ([]penumbra.Candidate, float64) {
	if c == nil {
		return nil, 1
	}
	var out []penumbra.Candidate
	var held float64
	for _, x := range c.values {
		held += x.holders
	}
	n := max(c.members, held)
	d, k := p.prior.Discount, p.prior.Concentration
	rest := 1.0
	for _, x := range c.values {
		if m := max(0, x.holders-d) / (n + k); m > 0 && !x.value.IsNull() {
			out = append(out, penumbra.Candidate{Value: x.value, Probability: m})
			rest -= m
		}
	}
	sortCandidates(out)
	return out, max(0, rest)
}

func sortCandidates(out []penumbra.Candidate) {
	slices.SortFunc(out, func(a, b penumbra.Candidate) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), compareValues(a.Value, b.Value))
	})
}

func compareValues(a, b penumbra.Value) int {
	return cmp.Or(cmp.Compare(a.Kind(), b.Kind()), cmp.Compare(a.Text(), b.Text()))
}

// cut keeps the fewest candidates, the likeliest first, that reach the
// confidence, counting something new as one of them. The candidates are
// sorted; exempt, the first so many always stay.
func cut(out []penumbra.Candidate, rest, confidence float64) (kept []penumbra.Candidate, holdsNovel bool) {
	var mass float64
	for i, x := range out {
		if mass >= confidence-1e-12 {
			return out[:i], holdsNovel
		}
		if !holdsNovel && rest > x.Probability {
			holdsNovel = true
			mass += rest
			if mass >= confidence-1e-12 {
				return out[:i], holdsNovel
			}
		}
		mass += x.Probability
	}
	return out, holdsNovel || mass < confidence-1e-12
}

// steps is a decayed histogram of the relative sizes of numeric changes.
// Bin i > 0 of up holds log(new/old) in [(i-1)w, iw); down likewise.
type steps struct {
	at       int64
	up, down [stepBins]float32
}

const (
	stepBins  = 24
	stepWidth = 0.15 // a factor of 1.16
	minSteps  = 8    // decayed changes before a range is claimed
)

// measure learns the size of a numeric change of a class.
func (c *class) measure(from, to penumbra.Value, t int64) {
	a, unit, ok := quantity(from)
	b, unitTo, okTo := quantity(to)
	if !ok || !okTo || unit != unitTo || a <= 0 || b <= 0 || a == b {
		return
	}
	if c.steps == nil {
		c.steps = &steps{at: t}
	}
	s := c.steps
	if t > s.at {
		f := float32(decay(days(t-s.at), longLife))
		for i := range s.up {
			s.up[i] *= f
			s.down[i] *= f
		}
		s.at = t
	}
	i := min(stepBins-1, int(math.Abs(math.Log(b/a))/stepWidth))
	if b > a {
		s.up[i]++
	} else {
		s.down[i]++
	}
}

// interval returns the range that holds the present number with the
// confidence if a change has the probability q; nil if too little is known.
func (s *steps) interval(v penumbra.Value, q, confidence float64) *penumbra.Interval {
	x, _, ok := quantity(v)
	if s == nil || !ok || x <= 0 {
		return nil
	}
	var up, down float64
	for i := range s.up {
		up += float64(s.up[i])
		down += float64(s.down[i])
	}
	if up+down < minSteps {
		return nil
	}
	tail := (1 - confidence) / 2
	return &penumbra.Interval{
		Low:  x * math.Exp(-reach(&s.down, q/(up+down), tail)),
		High: x * math.Exp(reach(&s.up, q/(up+down), tail)),
	}
}

// reach returns how far out a side's tail gets before it is as thin as asked;
// each counted change weighs scale.
func reach(side *[stepBins]float32, scale, tail float64) float64 {
	var mass float64
	for i := len(side) - 1; i >= 0; i-- {
		if mass += float64(side[i]) * scale; mass > tail {
			return float64(i+1) * stepWidth
		}
	}
	return 0
}
