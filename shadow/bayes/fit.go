package bayes

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Fit learns the parameters of a given structure, parents[i] being the parents
// of variable i. Each group of a family's table is the mean of a Dirichlet
// posterior whose prior spreads an equivalent sample size evenly over the table
// (BDeu). What is missing is filled in by expectation-maximisation with exact
// inference (Lauritzen 1995), at most Iterations times. It returns an error of
// kind Invalid if data or structure do not fit and of kind Refused if the
// network is too dense for exact inference.
func Fit(d *Data, parents [][]int, opts Options) (*Network, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if len(parents) != len(d.Variables) {
		return nil, invalid("parents of %d variables for %d variables", len(parents), len(d.Variables))
	}
	structure := make([]uint64, len(parents))
	for i, ps := range parents {
		for _, p := range ps {
			if p < 0 || p >= len(d.Variables) || p == i {
				return nil, invalid("%s has a parent that is none of the others", d.Variables[i].Name)
			}
		}
		structure[i] = setOf(ps)
	}
	return fit(tabulate(d), structure, opts.withDefaults())
}

func fit(t *table, structure []uint64, opts Options) (*Network, error) {
	n := &Network{variables: slices.Clone(t.variables), families: make([]family, len(structure)), prior: opts.Prior}
	for i, parents := range structure {
		f := &n.families[i]
		for x := parents; x != 0; x &= x - 1 {
			f.parents = append(f.parents, bits.TrailingZeros64(x))
		}
		if f.counts, _, _ = t.count(i, parents, nil); f.counts == nil {
			return nil, invalid("the table of %s is too large", n.variables[i].Name)
		}
		f.table = make([]float64, len(f.counts))
		n.renew(i)
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	if t.incomplete {
		return n, n.maximise(t, opts.Iterations)
	}
	return n, nil
}

// renew computes a family's table from its counts and the prior.
func (n *Network) renew(i int) {
	f := &n.families[i]
	r := n.states(i)
	cell := n.prior / float64(len(f.counts))
	for k := 0; k < len(f.counts); k += r {
		var sum float64
		for _, c := range f.counts[k : k+r] {
			sum += c + cell
		}
		for s := k; s < k+r; s++ {
			f.table[s] = (f.counts[s] + cell) / sum
		}
	}
}

// converged is the largest change of a probability at which
// expectation-maximisation ends.
const converged = 1e-4

// maximise runs expectation-maximisation from the present tables.
func (n *Network) maximise(t *table, iterations int) error {
	known := make([][]float64, len(n.families)) // counts of the rows that miss nothing
	var open []int
	row := n.Unobserved()
	for i := range known {
		known[i] = make([]float64, len(n.families[i].counts))
	}
	for r, w := range t.weights {
		if t.row(r, row); slices.Contains(row, Missing) {
			open = append(open, r)
		} else if err := n.expect(row, t.fixed[r], w, known); err != nil {
			return err
		}
	}
	for range iterations {
		counts := make([][]float64, len(known))
		for i := range known {
			counts[i] = slices.Clone(known[i])
		}
		for _, r := range open {
			t.row(r, row)
			if err := n.expect(row, t.fixed[r], t.weights[r], counts); err != nil {
				return err
			}
		}
		var most float64
		for i := range n.families {
			f := &n.families[i]
			before := slices.Clone(f.table)
			f.counts = counts[i]
			n.renew(i)
			for k := range before {
				most = max(most, math.Abs(before[k]-f.table[k]))
			}
		}
		if most < converged {
			break
		}
	}
	return nil
}

// group is a set of missing variables that hang together given the rest of a
// row, and the factors over them.
type group struct {
	scope   uint64
	factors []*factor
}

// maxJoint is up to how many entries a group's joint table is made at once.
const maxJoint = 4096

// groups returns those of the row's missing variables that its evidence says
// something of, and the set of the variables whose families it informs: what
// was observed and was above it, but for what was set from outside.
func (n *Network) groups(row Row, fixed uint64) (out []group, informed uint64) {
	var observed uint64
	for i, s := range row {
		if s != Missing {
			observed |= bit(i)
		}
	}
	informed = observed
	for again := true; again; {
		again = false
		for x := informed &^ fixed; x != 0; x &= x - 1 {
			if grown := informed | setOf(n.families[bits.TrailingZeros64(x)].parents); grown != informed {
				informed, again = grown, true
			}
		}
	}
	for x := informed &^ fixed; x != 0; x &= x - 1 {
		i := bits.TrailingZeros64(x)
		open := (setOf(n.families[i].parents) | bit(i)) &^ observed
		if open == 0 {
			continue
		}
		g := group{open, []*factor{n.familyFactor(i, row)}}
		kept := out[:0]
		for _, other := range out {
			if other.scope&g.scope != 0 {
				g.scope |= other.scope
				g.factors = append(g.factors, other.factors...)
			} else {
				kept = append(kept, other)
			}
		}
		out = append(kept, g)
	}
	return out, informed &^ fixed
}

// joint returns the group's whole table, nil if it is too large.
func (g *group) joint(n *Network) *factor {
	size := 1
	for x := g.scope; x != 0; x &= x - 1 {
		if size *= n.states(bits.TrailingZeros64(x)); size > maxJoint {
			return nil
		}
	}
	out := g.factors[0]
	for _, f := range g.factors[1:] {
		out = product(out, f)
	}
	return out
}

// over returns the group's factor over some of its variables.
func (g *group) over(n *Network, joint *factor, keep uint64) (*factor, error) {
	factors := slices.Clone(g.factors)
	if joint != nil {
		factors = []*factor{joint}
	}
	f, _, err := n.reduceAll(factors, keep, false)
	return f, err
}

// expect adds what the row says to the counts: weight for each family that it
// has all of, spread by the posterior where it has not.
func (n *Network) expect(row Row, fixed uint64, weight float64, counts [][]float64) error {
	groups, informed := n.groups(row, fixed)
	joints := make([]*factor, len(groups))
	for k := range groups {
		joints[k] = groups[k].joint(n)
	}
	filled := slices.Clone(row)
	for x := informed; x != 0; x &= x - 1 {
		i := bits.TrailingZeros64(x)
		members := setOf(n.families[i].parents) | bit(i)
		k := slices.IndexFunc(groups, func(g group) bool { return g.scope&members != 0 })
		if k < 0 {
			at, _ := n.config(i, row)
			counts[i][at+int(row[i])] += weight
			continue
		}
		f, err := groups[k].over(n, joints[k], members&groups[k].scope)
		if err != nil {
			return err
		}
		if !normalise(f.values) {
			return impossible()
		}
		for c, p := range f.values {
			f.decode(c, filled)
			at, _ := n.config(i, filled)
			counts[i][at+int(filled[i])] += weight * p
		}
		for _, v := range f.scope {
			filled[v] = Missing
		}
	}
	return nil
}

// complete draws what is missing in the table from the network, given the rest:
// for each case anew, so a row that stands for many gets many draws.
func (t *table) complete(n *Network, random *rand.Rand) (*table, error) {
	full := newTable(t.variables)
	row, order := n.Unobserved(), n.order()
	for r, w := range t.weights {
		if t.row(r, row); !slices.Contains(row, Missing) {
			full.add(row, t.fixed[r], w)
			continue
		}
		groups, _ := n.groups(row, t.fixed[r])
		joints := make([]*factor, len(groups))
		for k := range groups {
			if joints[k] = groups[k].joint(n); joints[k] != nil && !normalise(joints[k].values) {
				return nil, impossible()
			}
		}
		copies := max(1, math.Round(w))
		for range int(copies) {
			t.row(r, row)
			if err := n.fill(row, groups, joints, order, random); err != nil {
				return nil, err
			}
			full.add(row, t.fixed[r], w/copies)
		}
	}
	return full, nil
}

// normalise makes the values sum to 1; it returns false if all are 0.
func normalise(values []float64) bool {
	var sum float64
	for _, x := range values {
		sum += x
	}
	if sum == 0 {
		return false
	}
	for i := range values {
		values[i] /= sum
	}
	return true
}

// fill draws the row's missing states from their posterior: a group that has a
// joint table at once, another's variables one after the other, and what the
// evidence says nothing of from its parents.
func (n *Network) fill(row Row, groups []group, joints []*factor, order []int, random *rand.Rand) error {
	for k, g := range groups {
		if joints[k] != nil {
			joints[k].decode(drawIndex(joints[k].values, random), row)
			continue
		}
		for x := g.scope; x != 0; x &= x - 1 {
			v := bits.TrailingZeros64(x)
			f, err := g.over(n, nil, bit(v))
			if err != nil {
				return err
			}
			if !normalise(f.values) {
				return impossible()
			}
			row[v] = uint8(drawIndex(f.values, random))
			g.factors = restrict(g.factors, v, row[v])
		}
	}
	for _, i := range order {
		if row[i] == Missing {
			at, _ := n.config(i, row)
			row[i] = uint8(drawIndex(n.families[i].table[at:at+n.states(i)], random))
		}
	}
	return nil
}

// restrict puts the state of v into the factors.
func restrict(factors []*factor, v int, state uint8) []*factor {
	out := make([]*factor, len(factors))
	for k, f := range factors {
		out[k] = f
		at := slices.Index(f.scope, v)
		if at < 0 {
			continue
		}
		only := &factor{scope: []int{v}, card: []int{f.card[at]}, values: make([]float64, f.card[at])}
		only.values[state] = 1
		out[k], _ = product(f, only).reduce(v, false)
	}
	return out
}

// Update learns one case: its weight is added to the counts of each family it
// has all of, and spread by the posterior where states are missing. fixed are
// the variables that were set from outside, see [Data]. It returns an error of
// kind Invalid if the row does not fit or the network was not learnt.
func (n *Network) Update(row Row, fixed uint64, weight float64) error {
	if err := n.checkRow(row); err != nil {
		return err
	}
	if n.prior <= 0 || !(weight >= 0) || math.IsInf(weight, 1) {
		return invalid("only a network that was learnt takes further cases, with a finite weight")
	}
	counts := make([][]float64, len(n.families))
	for i := range counts {
		counts[i] = slices.Clone(n.families[i].counts)
	}
	if err := n.expect(row, fixed, weight, counts); err != nil {
		return err
	}
	for i := range n.families {
		n.families[i].counts = counts[i]
		n.renew(i)
	}
	return nil
}

// Decay multiplies all counts by the factor, between 0 and 1, so that what was
// learnt long ago weighs less. The prior stays.
func (n *Network) Decay(factor float64) {
	if n.prior <= 0 || !(factor >= 0 && factor <= 1) {
		return
	}
	for i := range n.families {
		for k := range n.families[i].counts {
			n.families[i].counts[k] *= factor
		}
		n.renew(i)
	}
}
