package bayes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Tier is a variable's place in the order of causes: an arc never leads to an
// earlier tier.
type Tier uint8

// The tiers, causes first.
const (
	Pattern Tier = iota // how the resource is operated: hour, activity, time since a change
	Setting
	Metric
)

func (t Tier) String() string {
	switch t {
	case Pattern:
		return "pattern"
	case Setting:
		return "setting"
	case Metric:
		return "metric"
	}
	return fmt.Sprintf("Tier(%d)", t)
}

// Bounds of a network: sets of variables are 64-bit words, states are bytes.
const (
	MaxVariables = 64
	MaxStates    = 254
)

// Missing is the state of a variable that was not observed.
const Missing = 255

// Row is one case, or the evidence of a question: a state for each variable,
// [Missing] where there is none.
type Row []uint8

// Variable is one discrete quantity.
type Variable struct {
	Name   string
	Tier   Tier
	States []string
}

// Family is a variable's parents and how it depends on them.
type Family struct {
	// Parents are indices of variables, ascending.
	Parents []int
	// Table holds P(state | parents): the variable's own state runs fastest,
	// then the last parent's. Each group of states sums to 1.
	Table []float64
}

// Network is a Bayesian network over discrete variables. One that was learnt
// also holds, for each family, the counts that its table was computed from.
// Asking changes nothing; only [Network.Update] and [Network.Decay] do.
type Network struct {
	variables []Variable
	families  []family
	prior     float64 // the equivalent sample size of the Dirichlet prior
}

// family is a Family with what is computed from it once.
type family struct {
	parents []int
	table   []float64
	counts  []float64 // of data, without the prior; nil if the table is exact
}

// Define returns the network with the tables given, which are taken to be
// exact. It returns an error of kind Invalid that names the variable if the
// families do not fit.
func Define(variables []Variable, families []Family) (*Network, error) {
	if err := checkVariables(variables); err != nil {
		return nil, err
	}
	if len(families) != len(variables) {
		return nil, invalid("%d families for %d variables", len(families), len(variables))
	}
	n := &Network{variables: slices.Clone(variables), families: make([]family, len(families))}
	for i, f := range families {
		n.families[i] = family{parents: slices.Clone(f.Parents), table: slices.Clone(f.Table)}
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	return n, nil
}

func invalid(format string, args ...any) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: "Bayesian network: " + fmt.Sprintf(format, args...)}
}

func checkVariables(variables []Variable) error {
	if len(variables) == 0 || len(variables) > MaxVariables {
		return invalid("%d variables, 1 to %d are possible", len(variables), MaxVariables)
	}
	names := map[string]bool{}
	for _, v := range variables {
		if len(v.States) < 1 || len(v.States) > MaxStates {
			return invalid("%s has %d states, 1 to %d are possible", v.Name, len(v.States), MaxStates)
		}
		if names[v.Name] {
			return invalid("two variables are called %s", v.Name)
		}
		names[v.Name] = true
	}
	return nil
}

// check holds the families against the variables.
func (n *Network) check() error {
	for i, f := range n.families {
		name := n.variables[i].Name
		size := n.states(i)
		for k, p := range f.parents {
			if p < 0 || p >= len(n.variables) || p == i || k > 0 && p <= f.parents[k-1] {
				return invalid("the parents of %s are not ascending variables other than itself", name)
			}
			if size *= n.states(p); size > maxCells {
				return invalid("the table of %s is too large", name)
			}
		}
		if len(f.table) != size || f.counts != nil && len(f.counts) != size {
			return invalid("the table of %s has %d entries, it needs %d", name, len(f.table), size)
		}
		if slices.ContainsFunc(f.counts, func(x float64) bool { return !(x >= 0) || math.IsInf(x, 1) }) {
			return invalid("a count of %s is negative or not finite", name)
		}
		for k := 0; k < size; k += n.states(i) {
			var sum float64
			for _, p := range f.table[k : k+n.states(i)] {
				if !(p >= 0) {
					return invalid("a probability of %s is negative or not a number", name)
				}
				sum += p
			}
			if math.Abs(sum-1) > 1e-6 {
				return invalid("the probabilities of %s sum to %g", name, sum)
			}
		}
	}
	if n.order() == nil {
		return invalid("the arcs form a cycle")
	}
	return nil
}

func (n *Network) states(i int) int { return len(n.variables[i].States) }

// Variables returns the variables in their order.
func (n *Network) Variables() []Variable { return slices.Clone(n.variables) }

// Index returns the number of the variable with the name, -1 if there is none.
func (n *Network) Index(name string) int {
	return slices.IndexFunc(n.variables, func(v Variable) bool { return v.Name == name })
}

// State returns the number of the variable's state with the name, -1 if there
// is none.
func (n *Network) State(variable int, state string) int {
	return slices.Index(n.variables[variable].States, state)
}

// Family returns a variable's parents and its table.
func (n *Network) Family(variable int) Family {
	f := n.families[variable]
	return Family{Parents: slices.Clone(f.parents), Table: slices.Clone(f.table)}
}

// Unobserved returns a row in which every variable is missing.
func (n *Network) Unobserved() Row {
	row := make(Row, len(n.variables))
	for i := range row {
		row[i] = Missing
	}
	return row
}

// order returns the variables with parents before children, nil if there is a
// cycle. Of those that may come next the first comes, so it is one order only.
func (n *Network) order() []int {
	var done uint64
	out := make([]int, 0, len(n.families))
	for len(out) < len(n.families) {
		next := -1
		for i, f := range n.families {
			if done&bit(i) == 0 && setOf(f.parents)&^done == 0 {
				next = i
				break
			}
		}
		if next < 0 {
			return nil
		}
		done |= bit(next)
		out = append(out, next)
	}
	return out
}

func bit(i int) uint64 { return 1 << uint(i) }

func setOf(variables []int) uint64 {
	var s uint64
	for _, v := range variables {
		s |= bit(v)
	}
	return s
}

// ancestors returns the set with all that have a directed path into it.
func (n *Network) ancestors(of uint64) uint64 {
	for {
		grown := of
		for i, f := range n.families {
			if of&bit(i) != 0 {
				grown |= setOf(f.parents)
			}
		}
		if grown == of {
			return of
		}
		of = grown
	}
}

// descendants returns the set with all that it has a directed path to.
func (n *Network) descendants(of uint64) uint64 {
	for {
		grown := of
		for i, f := range n.families {
			if setOf(f.parents)&of != 0 {
				grown |= bit(i)
			}
		}
		if grown == of {
			return of
		}
		of = grown
	}
}

// config returns the position in the family's table of the row's states of the
// parents; ok is false if one of them is missing.
func (n *Network) config(child int, row Row) (at int, ok bool) {
	for _, p := range n.families[child].parents {
		if row[p] == Missing {
			return 0, false
		}
		at = at*n.states(p) + int(row[p])
	}
	return at * n.states(child), true
}

// Sample draws a case from the network.
func (n *Network) Sample(random *rand.Rand) Row {
	row := n.Unobserved()
	for _, i := range n.order() {
		at, _ := n.config(i, row)
		row[i] = uint8(drawIndex(n.families[i].table[at:at+n.states(i)], random))
	}
	return row
}

// drawIndex returns an index with its probability; they sum to 1.
func drawIndex(probabilities []float64, random *rand.Rand) int {
	u := random.Float64()
	last := 0
	for k, p := range probabilities {
		if p <= 0 {
			continue
		}
		if last = k; u < p {
			break
		}
		u -= p
	}
	return last
}

// checkRow returns an error of kind Invalid if the row does not fit.
func (n *Network) checkRow(row Row) error {
	if len(row) != len(n.variables) {
		return invalid("a row of %d states for %d variables", len(row), len(n.variables))
	}
	for i, s := range row {
		if s != Missing && int(s) >= n.states(i) {
			return invalid("%s has no state %d", n.variables[i].Name, s)
		}
	}
	return nil
}
