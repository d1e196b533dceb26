package choice

import (
	"cmp"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/conformal"
)

// Expect returns, sorted by path, the prediction set of each setting that the
// resource's template or actual configuration has. That of a setting that no
// template declares is composed of its present value, which it keeps with
// probability 1-q, and of the values that it would change to, calibrated by what
// came of earlier ones, see [Model.Resolve]. q says how likely each setting
// changed since it was last looked at; where its ok is false, and for all if it
// is nil, the pooled model's rates do. Declared settings are answered for by the
// pooled model: their sets are what is legitimate.
func (m *Model) Expect(r *penumbra.Resource, at time.Time, confidence float64, q func(path string) (probability float64, ok bool)) []penumbra.Expectation {
	m.flush()
	return m.counts.ExpectBy(&composer{m: m, r: r, second: at.Unix(), moved: q}, r, at, confidence)
}

// composer answers for one resource.
type composer struct {
	m      *Model
	r      *penumbra.Resource
	second int64
	moved  func(path string) (probability float64, ok bool)
	scales map[conformal.Group]conformal.Scale
}

var _ shadow.Composer = (*composer)(nil)

// Moved returns how likely the setting changed since it was last looked at.
func (c *composer) Moved(path string) (float64, bool) {
	if c.moved == nil {
		return 0, false
	}
	return c.moved(path)
}

// Next returns the candidates but for those known by departures only.
func (c *composer) Next(path string, from penumbra.Value) ([]penumbra.Candidate, float64) {
	_, earlier, _ := c.m.counts.Before(c.r.Address, path, c.second)
	g, _ := c.m.answer(c.r, path, from, earlier, c.second, true)
	return g.known(), g.chances[0]
}

// Calibrate replaces the masses by those that the calibration makes of them.
func (c *composer) Calibrate(path string, from penumbra.Value, values []penumbra.Candidate, novel float64) float64 {
	g := lookGroup(c.r.Type, path, from)
	s, ok := c.scales[g]
	if !ok {
		if c.scales == nil {
			c.scales = map[conformal.Group]conformal.Scale{}
		}
		s = c.m.looks.Scale(g)
		c.scales[g] = s
	}
	return calibrate(&s, values, novel)
}

// calibrate replaces the masses, in the order of which they are summed, by the
// shares of outcomes that fell to them.
func calibrate(s *conformal.Scale, values []penumbra.Candidate, novel float64) float64 {
	rest, sum, below := novel, 0.0, 0.0
	next := func(mass float64) float64 {
		sum += mass
		top := s.Mass(min(1, sum))
		p := top - below
		below = top
		return max(0, p)
	}
	done := false
	for i := range values {
		if !done && novel > values[i].Probability {
			rest, done = next(novel), true
		}
		values[i].Probability = next(values[i].Probability)
	}
	if !done {
		rest = next(novel)
	}
	return rest
}

// lookGroup is the group whose looks are calibrated together: of one form.
func lookGroup(kind, path string, from penumbra.Value) conformal.Group {
	f := formOf(from).String()
	return conformal.Group{Name: f + " of " + kind, Parent: f}
}

// Said is what was said, before calibration, of an undeclared setting's value at
// a later time.
type Said struct {
	group  conformal.Group
	values []penumbra.Candidate
	novel  float64
}

// maxSaid bounds how many values are remembered; later ones count as new.
const maxSaid = 6

// Say returns what Expect would say of the setting at the time before
// calibration, with the probability that it changes until then, so that Resolve
// can be told later what came. ok is false where Expect composes nothing: the
// setting is declared, away, or not known.
func (m *Model) Say(r *penumbra.Resource, path string, at time.Time, moved float64) (said Said, ok bool) {
	from, ok := m.counts.Undeclared(r.Address, path)
	if !ok {
		return said, false
	}
	m.flush()
	c := composer{m: m, r: r, second: at.Unix()}
	next, novel := c.Next(path, from)
	said = Said{group: lookGroup(r.Type, path, from), novel: moved * novel}
	said.values = append(said.values, penumbra.Candidate{Value: from, Probability: 1 - moved})
	for _, v := range next {
		if len(said.values) == maxSaid || v.Value == from {
			said.novel += moved * v.Probability
			continue
		}
		said.values = append(said.values, penumbra.Candidate{Value: v.Value, Probability: moved * v.Probability})
	}
	slices.SortFunc(said.values, byProbability)
	return said, true
}

// Resolved is what came of what was said.
type Resolved struct {
	Said Said
	Came penumbra.Value
	// Weight is how much it counts, 1 if 0: its importance weight if settings were
	// sampled.
	Weight float64
}

// Resolve calibrates the sets of Expect by what came of what was said. Values
// that came in an excursion that is still open are no part of it: whoever asks
// leaves them out, so that a drift is never learnt.
func (m *Model) Resolve(batch []Resolved) {
	outcomes := make([]conformal.Outcome, 0, len(batch))
	for i := range batch {
		x := &batch[i]
		low, high := x.Said.interval(x.Came)
		outcomes = append(outcomes, conformal.Outcome{Group: x.Said.group, Low: low, High: high, Weight: x.Weight})
	}
	m.looks.Learn(outcomes)
}

// interval returns the mass before the value and with it, something new counted
// where it is among the values.
func (s *Said) interval(v penumbra.Value) (low, high float64) {
	i := slices.IndexFunc(s.values, func(c penumbra.Candidate) bool { return c.Value == v })
	own := s.novel
	if i >= 0 {
		own = s.values[i].Probability
		if s.novel > own {
			low += s.novel
		}
	}
	for k, c := range s.values {
		if i >= 0 && k < i || i < 0 && cmp.Compare(c.Probability, own) >= 0 {
			low += c.Probability
		}
	}
	return min(1, low), min(1, low+own)
}
