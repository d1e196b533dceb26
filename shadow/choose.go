package shadow

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var _ Chooser = (*Pooled)(nil)

// Choose returns the candidates for the value that the setting would take if it
// changed, the likeliest first, by the shares of the ways in which changes
// choose; the rest is the probability of a value never seen.
func (p *Pooled) Choose(r *penumbra.Resource, path string, at time.Time) []penumbra.Candidate {
	out, _ := p.choose(r, path, at.Unix())
	return out
}

// ChooseSet returns the fewest of them that reach the confidence, counting
// something new as one.
func (p *Pooled) ChooseSet(r *penumbra.Resource, path string, at time.Time, confidence float64) penumbra.Expectation {
	t := at.Unix()
	values, rest := p.choose(r, path, t)
	e := penumbra.Expectation{Path: path, Confidence: confidence, NovelProbability: rest}
	e.Support = support(p.classes[classKey{r.Type, mask(path)}], t)
	e.Values, e.Novel = cut(values, rest, confidence)
	return e
}

func (p *Pooled) choose(r *penumbra.Resource, path string, t int64) (values []penumbra.Candidate, rest float64) {
	c := p.classes[classKey{r.Type, mask(path)}]
	if c == nil {
		return nil, 1
	}
	current := r.Actual.Get(path)
	var h *history
	if s := p.resources[r.Address].find(path); s != nil {
		current, h = s.actual, s.history
	}
	values, rest = p.next(nil, c, h, current, 1, t)
	sortCandidates(values)
	return values, rest
}

// Held is a value that settings of one class have, or were changed to by what
// is normal; none that was only departed to.
type Held struct {
	Value    penumbra.Value
	Holders  float64 // how many have it
	Arrivals float64 // changes to it, decayed with 90 days as of the last
	Since    int64   // Unix seconds at which it was first seen
}

// Holds appends what is held in a class, a type and a masked path; at most a
// dozen values are known, of those that most have or changed to.
func (p *Pooled) Holds(out []Held, kind, class string) []Held {
	c := p.classes[classKey{kind, class}]
	if c == nil {
		return out
	}
	for i := range c.values {
		if x := &c.values[i]; x.normal() && !x.value.IsNull() {
			out = append(out, Held{x.value, x.holders, x.arrivals, x.since})
		}
	}
	return out
}

// Before returns the value that a setting had before what happened in the
// second, and the normal ones before that, the latest first; null if it is not
// known. away reports that the value is that of an excursion.
func (p *Pooled) Before(address penumbra.Address, path string, second int64) (now penumbra.Value, earlier []penumbra.Value, away bool) {
	s := p.resources[address].find(path)
	if s == nil {
		return penumbra.Null(), nil, false
	}
	h := s.history
	switch {
	case h == nil:
		return s.actual, nil, false
	case h.open != nil && h.open.found == second:
		return h.open.from, slices.Clone(h.earlier), false
	case h.open == nil && h.changed == second && len(h.earlier) > 0:
		return h.earlier[0], slices.Clone(h.earlier[1:]), false
	}
	return s.actual, slices.Clone(h.earlier), h.open != nil
}

// Undeclared reports whether a setting is one that no template declares and that
// is where it was expected to be, and returns its value.
func (p *Pooled) Undeclared(address penumbra.Address, path string) (penumbra.Value, bool) {
	s := p.resources[address].find(path)
	if s == nil || s.seen == 0 || s.declared() || s.away() != nil {
		return penumbra.Null(), false
	}
	return s.actual, true
}

// Token returns the last step of a masked path that is a name, which tells the
// most of what a setting is.
func Token(masked string) string { return lastToken(masked) }
