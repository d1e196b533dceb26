package bayes

import (
	"math"
	"math/bits"
	"slices"
)

// pattern is a partly directed graph: what data and tiers can tell of the
// arcs' directions.
type pattern struct {
	into       []uint64 // parents whose direction is settled
	undirected []uint64
}

func (g *pattern) adjacent(i int) uint64 {
	a := g.into[i] | g.undirected[i]
	for k, p := range g.into {
		if p&bit(i) != 0 {
			a |= bit(k)
		}
	}
	return a
}

func (g *pattern) orient(from, to int) {
	g.undirected[from] &^= bit(to)
	g.undirected[to] &^= bit(from)
	g.into[to] |= bit(from)
}

// essential returns the graph in which an arc is directed only if each network
// that says the same of independence, and keeps the tiers, directs it so:
// v-structures, arcs between tiers, and what follows from them by the rules of
// Meek 1995.
func (n *Network) essential() *pattern {
	g := &pattern{make([]uint64, len(n.families)), make([]uint64, len(n.families))}
	for c, f := range n.families {
		for _, p := range f.parents {
			g.undirected[c] |= bit(p)
			g.undirected[p] |= bit(c)
		}
	}
	skeleton := slices.Clone(g.undirected)
	for c, f := range n.families {
		parents := setOf(f.parents)
		for _, p := range f.parents {
			if n.variables[p].Tier != n.variables[c].Tier || parents&^skeleton[p]&^bit(p) != 0 {
				g.orient(p, c)
			}
		}
	}
	for g.meek() {
	}
	return g
}

// meek applies the rules once and reports whether one of them settled an arc.
func (g *pattern) meek() bool {
	for b := range g.undirected {
		for x := g.undirected[b]; x != 0; x &= x - 1 {
			if a := bits.TrailingZeros64(x); g.forced(a, b) {
				g.orient(a, b)
				return true
			}
		}
	}
	return false
}

// forced reports whether the undirected arc between a and b has to lead to b.
func (g *pattern) forced(a, b int) bool {
	besides := g.adjacent(b)
	if g.into[a]&^besides != 0 { // rule 1: c → a, c apart from b
		return true
	}
	for x := g.into[b]; x != 0; x &= x - 1 { // rule 2: a → c → b
		if g.into[bits.TrailingZeros64(x)]&bit(a) != 0 {
			return true
		}
	}
	through := g.undirected[a] & g.into[b]
	for x := through; x != 0; x &= x - 1 { // rule 3: a – c → b, a – d → b, c apart from d
		c := bits.TrailingZeros64(x)
		if through&^g.adjacent(c)&^bit(c) != 0 {
			return true
		}
	}
	for x := g.into[b]; x != 0; x &= x - 1 { // rule 4: a – d → c → b, d apart from b
		c := bits.TrailingZeros64(x)
		if g.adjacent(a)&bit(c) != 0 && g.into[c]&g.undirected[a]&^besides != 0 {
			return true
		}
	}
	return false
}

// maxSiblings bounds how many undirected arcs of a variable are tried both ways.
const maxSiblings = 8

// bounds returns the least and the largest probability of each of the target's
// states after setting x, over the sets of parents that x may have in a network
// that data cannot tell from this one (Maathuis, Kalisch and Bühlmann 2009,
// algorithm 3: local validity only, so the bounds may be wider than needed).
// Beyond maxSiblings of them nothing is bounded, nor where x never has the state
// with parents that occur: nil.
func (n *Network) bounds(target, x int, state uint8) (least, most []float64, err error) {
	g := n.essential()
	siblings := g.undirected[x]
	if bits.OnesCount64(siblings) > maxSiblings || target == x {
		return nil, nil, nil
	}
	for subset := siblings; ; subset = (subset - 1) & siblings {
		if g.valid(x, subset) {
			p, err := n.adjusted(target, x, state, g.into[x]|subset)
			if p == nil || err != nil {
				return nil, nil, err
			}
			if least == nil {
				least, most = slices.Clone(p), slices.Clone(p)
			}
			for k := range p {
				least[k], most[k] = min(least[k], p[k]), max(most[k], p[k])
			}
		}
		if subset == 0 {
			return least, most, nil
		}
	}
}

// valid reports whether directing the subset into x, and the other undirected
// arcs out of it, makes no new v-structure at x.
func (g *pattern) valid(x int, subset uint64) bool {
	parents := g.into[x] | subset
	for s := subset; s != 0; s &= s - 1 {
		v := bits.TrailingZeros64(s)
		if parents&^g.adjacent(v)&^bit(v) != 0 {
			return false
		}
	}
	return true
}

// adjusted returns the target's distribution after setting x if these are the
// parents of x: the adjustment formula (Pearl 2009, theorem 3.2.2), in which
// every network of the class has the same terms; nil if one of them is not
// defined.
func (n *Network) adjusted(target, x int, state uint8, parents uint64) ([]float64, error) {
	row := n.Unobserved()
	if parents&bit(target) != 0 {
		return n.Posterior(target, row)
	}
	var targets []int
	for s := parents; s != 0; s &= s - 1 {
		targets = append(targets, bits.TrailingZeros64(s))
	}
	shares, err := n.Joint(targets, row)
	if err != nil {
		return nil, err
	}
	out := make([]float64, n.states(target))
	row[x] = state
	for c, share := range shares {
		if share == 0 {
			continue
		}
		for rest, k := c, len(targets)-1; k >= 0; k-- {
			row[targets[k]] = uint8(rest % n.states(targets[k]))
			rest /= n.states(targets[k])
		}
		if log, err := n.LogProbability(row); err != nil || math.IsInf(log, -1) {
			return nil, err
		}
		p, err := n.Posterior(target, row)
		if err != nil {
			return nil, err
		}
		for k := range p {
			out[k] += share * p[k]
		}
	}
	return out, nil
}
