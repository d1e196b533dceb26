package bayes

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Effect is what an intervention does to a variable.
type Effect struct {
	// Distribution is P(target | do, given), one probability for each state.
	Distribution []float64
	// Low and High hold, for each state, its probability with the confidence
	// asked for: quantiles over draws of the parameters from their posterior.
	// They take the structure for granted.
	Low, High []float64
	// Without is P(target | given), nobody having intervened.
	Without []float64
	// Least and Most bound the distribution over the directions of arcs that
	// data cannot tell apart. They are nil if there is evidence, or more than
	// one variable is set.
	Least, Most []float64
	// Support is how many cases stand behind it: of each family on the way
	// from what is set to the target, the harmonic mean of its configurations'
	// counts (with the prior), weighted by how often they are passed; of these
	// families the least. +Inf where tables are exact.
	Support float64
	// Reaches reports whether any directed path leads to the target. If none
	// does, the intervention changes nothing.
	Reaches bool
}

// EffectOptions are the choices of [Network.Do]. The zero value is a good one.
type EffectOptions struct {
	Confidence float64 // of Low and High, 0.9 if 0
	Draws      int     // of the parameters, 200 if 0
	Seed       uint64
}

// Do returns what the target becomes if somebody sets the variables of set, all
// else being given: P(target | do(set), given) by graph surgery, the variables
// set having no causes any more (Pearl 2009, section 3.2.3). That differs from
// P(target | set, given) where something causes both.
//
// The answer is causal as far as the arcs are: a common cause that is no
// variable of the network is not seen. Errors are those of [Network.Posterior].
func (n *Network) Do(target int, set, given Row, opts EffectOptions) (Effect, error) {
	if err := n.checkRow(set); err != nil {
		return Effect{}, err
	}
	if opts.Confidence <= 0 || opts.Confidence >= 1 {
		opts.Confidence = 0.9
	}
	if opts.Draws <= 0 {
		opts.Draws = 200
	}
	cut := n.surgery(set)
	var e Effect
	var err error
	if e.Without, err = n.Posterior(target, given); err != nil {
		return Effect{}, err
	}
	if e.Distribution, err = cut.Posterior(target, given); err != nil {
		return Effect{}, err
	}
	var source uint64
	for i, s := range set {
		if s != Missing {
			source |= bit(i)
		}
	}
	e.Reaches = cut.descendants(source)&bit(target) != 0
	if e.Support, err = cut.support(target, source, given); err != nil {
		return Effect{}, err
	}
	if e.Low, e.High, err = cut.interval(target, given, opts); err != nil {
		return Effect{}, err
	}
	if bits.OnesCount64(source) == 1 && !slices.ContainsFunc(given, func(s uint8) bool { return s != Missing }) {
		x := bits.TrailingZeros64(source)
		e.Least, e.Most, err = n.bounds(target, x, set[x])
	}
	return e, err
}

// surgery returns the network with the variables set cut off from their causes.
func (n *Network) surgery(set Row) *Network {
	cut := &Network{variables: n.variables, families: slices.Clone(n.families), prior: n.prior}
	for i, s := range set {
		if s != Missing {
			table := make([]float64, n.states(i))
			table[s] = 1
			cut.families[i] = family{table: table}
		}
	}
	return cut
}

// support is that of [Effect], of a network after surgery on source.
func (n *Network) support(target int, source uint64, given Row) (float64, error) {
	way := n.descendants(source) & n.ancestors(bit(target)) &^ source
	if way == 0 {
		way = bit(target) &^ source
	}
	least := math.Inf(1)
	for ; way != 0; way &= way - 1 {
		i := bits.TrailingZeros64(way)
		f := &n.families[i]
		if f.counts == nil {
			continue
		}
		passed, err := n.Joint(f.parents, given)
		if err != nil {
			return 0, err
		}
		var inverse float64
		r := n.states(i)
		for k, p := range passed {
			count := n.prior / float64(len(passed))
			for _, c := range f.counts[k*r : (k+1)*r] {
				count += c
			}
			inverse += p / count
		}
		least = min(least, 1/inverse)
	}
	return least, nil
}

// interval draws the parameters that the answer depends on from their Dirichlet
// posteriors and returns the quantiles of the answers.
func (n *Network) interval(target int, given Row, opts EffectOptions) (low, high []float64, err error) {
	keep := bit(target)
	for i, s := range given {
		if s != Missing {
			keep |= bit(i)
		}
	}
	above := n.ancestors(keep)
	source := rand.NewPCG(opts.Seed, 0x646f)
	drawn := &Network{variables: n.variables, families: slices.Clone(n.families)}
	answers := make([][]float64, n.states(target))
	for range opts.Draws {
		for x := above; x != 0; x &= x - 1 {
			i := bits.TrailingZeros64(x)
			if f := n.families[i]; f.counts != nil {
				f.table = dirichlets(f.counts, n.states(i), n.prior/float64(len(f.counts)), source)
				drawn.families[i] = f
			}
		}
		p, err := drawn.Posterior(target, given)
		if err != nil {
			return nil, nil, err
		}
		for k, x := range p {
			answers[k] = append(answers[k], x)
		}
	}
	for _, xs := range answers {
		slices.Sort(xs)
		tail := (1 - opts.Confidence) / 2
		low = append(low, quantile(xs, tail))
		high = append(high, quantile(xs, 1-tail))
	}
	return low, high, nil
}

// dirichlets draws a table, each group of r states from the Dirichlet posterior
// of its counts: gamma variates divided by their sum.
func dirichlets(counts []float64, r int, cell float64, source rand.Source) []float64 {
	table := make([]float64, len(counts))
	for k := 0; k < len(counts); k += r {
		var sum float64
		for s := k; s < k+r; s++ {
			table[s] = distuv.Gamma{Alpha: counts[s] + cell, Beta: 1, Src: source}.Rand()
			sum += table[s]
		}
		if sum == 0 { // all shapes so small that every variate was rounded to 0
			table[k+rand.New(source).IntN(r)], sum = 1, 1
		}
		for s := k; s < k+r; s++ {
			table[s] /= sum
		}
	}
	return table
}

// quantile interpolates between the sorted values.
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// Influence is how much a variable moves another one.
type Influence struct {
	Variable int
	// Swing is how far P(state) moves between the values that the variable may
	// be set to; Raises and Lowers are the values at its ends.
	Swing          float64
	Raises, Lowers uint8
	// Flow is the causal information flow in nats: the mean divergence of the
	// target's distribution after setting the variable, at random as it is
	// distributed, from its mean (Ay and Polani 2008).
	Flow float64
}

// Influences ranks the variables that have a directed path to the target by how
// far setting them moves P(target = state), the widest swing first; with state
// [Missing] by their flow. What is given stays as it is. A value that hardly
// anybody has (less than one case in a thousand) is left out of the swing,
// because its table is the prior's. Errors are those of [Network.Posterior].
func (n *Network) Influences(target int, state uint8, given Row) ([]Influence, error) {
	if err := n.checkRow(given); err != nil {
		return nil, err
	}
	var out []Influence
	for above := n.ancestors(bit(target)) &^ bit(target); above != 0; above &= above - 1 {
		i := bits.TrailingZeros64(above)
		if given[i] != Missing {
			continue
		}
		x, err := n.influence(i, target, state, given)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Influence) int {
		x, y := a.Swing, b.Swing
		if state == Missing {
			x, y = a.Flow, b.Flow
		}
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out, nil
}

// rarely is the share below which a value is not compared with the others.
const rarely = 1e-3

func (n *Network) influence(i, target int, state uint8, given Row) (Influence, error) {
	x := Influence{Variable: i}
	shares, err := n.Posterior(i, given)
	if err != nil {
		return x, err
	}
	mean := make([]float64, n.states(target))
	after := make([][]float64, len(shares))
	set := n.Unobserved()
	least, most := 2.0, -1.0
	for s, share := range shares {
		if share < rarely {
			continue
		}
		set[i] = uint8(s)
		if after[s], err = n.surgery(set).Posterior(target, given); err != nil {
			return x, err
		}
		for k, p := range after[s] {
			mean[k] += share * p
		}
		if state == Missing {
			continue
		}
		p := after[s][state]
		if p > most {
			most, x.Raises = p, uint8(s)
		}
		if p < least {
			least, x.Lowers = p, uint8(s)
		}
	}
	x.Swing = max(0, most-least)
	for s, p := range after {
		for k := range p {
			if p[k] > 0 {
				x.Flow += shares[s] * p[k] * math.Log(p[k]/mean[k])
			}
		}
	}
	return x, nil
}
