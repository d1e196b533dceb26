package bayes

import (
	"math"
	"math/bits"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

func tooDense() error {
	return &penumbra.Error{
		Kind: penumbra.Refused, What: "Bayesian network: the question needs a table of more than 4,194,304 entries",
		Remedy: "learn the network with fewer parents or fewer states",
	}
}

func impossible() error { return invalid("the evidence has probability 0") }

// Posterior returns P(target | given), one probability for each state: exact,
// by variable elimination in min-fill order (Koller and Friedman 2009, chapter
// 9; Kjaerulff 1990 for the order). It returns an error of kind Invalid if the
// evidence does not fit or has probability 0, and of kind Refused if the
// network is too dense for exact inference.
func (n *Network) Posterior(target int, given Row) ([]float64, error) {
	return n.Joint([]int{target}, given)
}

// Joint returns P(targets | given) as a table in which the last target's state
// runs fastest. Targets are different variables. Errors are those of
// [Network.Posterior].
func (n *Network) Joint(targets []int, given Row) ([]float64, error) {
	if err := n.checkRow(given); err != nil {
		return nil, err
	}
	var keep uint64
	for _, t := range targets {
		if t < 0 || t >= len(n.variables) || keep&bit(t) != 0 {
			return nil, invalid("targets are to be different variables")
		}
		keep |= bit(t)
	}
	f, err := n.eliminate(keep, given)
	if err != nil {
		return nil, err
	}
	if math.IsInf(f.log, -1) {
		return nil, impossible()
	}
	return n.arrange(f, targets, given), nil
}

// arrange spreads a factor over the targets in their order; one that the
// evidence names has all its mass at its state.
func (n *Network) arrange(f *factor, targets []int, given Row) []float64 {
	size := 1
	for _, t := range targets {
		size *= n.states(t)
	}
	out := make([]float64, size)
	var sum float64
	row := slices.Clone(given)
	for i := range out {
		rest, agrees := i, true
		for k := len(targets) - 1; k >= 0; k-- {
			t := targets[k]
			s := uint8(rest % n.states(t))
			rest /= n.states(t)
			agrees = agrees && (given[t] == Missing || given[t] == s)
			row[t] = s
		}
		if agrees {
			out[i] = f.values[f.at(row)]
			sum += out[i]
		}
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// LogProbability returns the natural logarithm of P(given), -Inf if it cannot
// be. Errors are those of [Network.Posterior], but for impossible evidence.
func (n *Network) LogProbability(given Row) (float64, error) {
	if err := n.checkRow(given); err != nil {
		return 0, err
	}
	f, err := n.eliminate(0, given)
	if err != nil {
		return 0, err
	}
	return f.log, nil
}

// relevant returns the factors that an answer over keep depends on. What is
// neither asked for, nor evidence, nor an ancestor of either sums to 1 (a
// barren node, Shachter 1986).
func (n *Network) relevant(keep uint64, given Row) []*factor {
	for i, s := range given {
		if s != Missing {
			keep |= bit(i)
		}
	}
	var out []*factor
	for i, above := 0, n.ancestors(keep); i < len(n.families); i++ {
		if above&bit(i) != 0 {
			out = append(out, n.familyFactor(i, given))
		}
	}
	return out
}

// eliminate sums everything out but keep. The result's scope is keep without
// what the evidence names.
func (n *Network) eliminate(keep uint64, given Row) (*factor, error) {
	factors := n.relevant(keep, given)
	result, _, err := n.reduceAll(factors, keep, false)
	return result, err
}

// eliminated is a variable that was maximised away, to be traced back.
type eliminated struct {
	variable int
	rest     *factor // its scope says what the state depends on
	states   []uint8
}

func (n *Network) reduceAll(factors []*factor, keep uint64, largest bool) (*factor, []eliminated, error) {
	var trace []eliminated
	for {
		v := minFill(factors, keep)
		if v < 0 {
			break
		}
		var joined *factor
		rest := factors[:0]
		for _, f := range factors {
			if f.set()&bit(v) == 0 {
				rest = append(rest, f)
				continue
			}
			if joined == nil {
				joined = f
			} else if joined = product(joined, f); joined == nil {
				return nil, nil, tooDense()
			}
		}
		reduced, states := joined.reduce(v, largest)
		factors = append(rest, reduced)
		if largest {
			trace = append(trace, eliminated{v, reduced, states})
		}
	}
	result := &factor{values: []float64{1}}
	for _, f := range factors {
		if result = product(result, f); result == nil {
			return nil, nil, tooDense()
		}
	}
	result.rescale()
	return result, trace, nil
}

// minFill returns the variable outside keep whose elimination joins the fewest
// pairs that are not joined yet; of equals the one with the fewest neighbours,
// then the first. It returns -1 if there is none left.
func minFill(factors []*factor, keep uint64) int {
	var neighbours [MaxVariables]uint64
	var all uint64
	for _, f := range factors {
		s := f.set()
		all |= s
		for _, v := range f.scope {
			neighbours[v] |= s
		}
	}
	best, bestFill, bestDegree := -1, 0, 0
	for left := all &^ keep; left != 0; left &= left - 1 {
		v := bits.TrailingZeros64(left)
		around := neighbours[v] &^ bit(v)
		fill := 0
		for x := around; x != 0; x &= x - 1 {
			u := bits.TrailingZeros64(x)
			fill += bits.OnesCount64(around &^ neighbours[u])
		}
		degree := bits.OnesCount64(around)
		if best < 0 || fill < bestFill || fill == bestFill && degree < bestDegree {
			best, bestFill, bestDegree = v, fill, degree
		}
	}
	return best
}

// Likeliest returns the most probable explanation: the states of all variables
// that together are likeliest given the evidence, and the logarithm of the
// probability of all of it. Errors are those of [Network.Posterior].
func (n *Network) Likeliest(given Row) (Row, float64, error) {
	if err := n.checkRow(given); err != nil {
		return nil, 0, err
	}
	factors := make([]*factor, len(n.families))
	for i := range factors {
		factors[i] = n.familyFactor(i, given)
	}
	result, trace, err := n.reduceAll(factors, 0, true)
	if err != nil {
		return nil, 0, err
	}
	if math.IsInf(result.log, -1) {
		return nil, 0, impossible()
	}
	row := slices.Clone(given)
	for _, e := range slices.Backward(trace) {
		row[e.variable] = e.states[e.rest.at(row)]
	}
	return row, result.log, nil
}
