package proposal

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Weights say how much each score counts in the ranking. Only their ratios matter.
type Weights struct {
	Likelihood, Risk, Complexity float64
}

// DefaultWeights are a judgement: what resolves the drift comes first, what disrupts
// next.
var DefaultWeights = Weights{Likelihood: 0.5, Risk: 0.35, Complexity: 0.15}

// Check returns an error of kind Invalid if a weight is negative or all are zero.
func (w Weights) Check() error {
	if !(w.Likelihood >= 0 && w.Risk >= 0 && w.Complexity >= 0 && w.Likelihood+w.Risk+w.Complexity > 0) {
		return &penumbra.Error{
			Kind: penumbra.Invalid, What: fmt.Sprintf("weights of %g, %g and %g", w.Likelihood, w.Risk, w.Complexity),
			Remedy: "give none that is negative and one that is not zero, such as likelihood=0.2,risk=0.7,complexity=0.1",
		}
	}
	return nil
}

// scaled returns the weights with the sum 1, the defaults for the zero value.
func (w Weights) scaled() Weights {
	sum := w.Likelihood + w.Risk + w.Complexity
	if !(sum > 0) {
		return DefaultWeights
	}
	return Weights{w.Likelihood / sum, w.Risk / sum, w.Complexity / sum}
}

// Merit is what proposals are ranked by, between 0 and 1.
func (w Weights) Merit(s penumbra.Scores) float64 {
	w = w.scaled()
	return w.Likelihood*s.Likelihood + w.Risk*(1-s.Risk) + w.Complexity*(1-s.Complexity)
}

// Rank orders proposals, the best first, numbers them and says of each why it is where
// it is. What destroys comes after all that does not; as its risk is always higher, that
// never puts a proposal above one that is better in all three scores. Of two with equal
// merit, as a weight of zero makes them, the one that is better in more scores is first.
func Rank(list []penumbra.Proposal, w Weights) {
	w = w.scaled()
	slices.SortStableFunc(list, func(a, b penumbra.Proposal) int {
		if x, y := disrupts(&a), disrupts(&b); x != y {
			if x {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(w.Merit(b.Scores), w.Merit(a.Scores)), cmp.Compare(DefaultWeights.Merit(b.Scores), DefaultWeights.Merit(a.Scores)))
	})
	for i := range list {
		list[i].Rank = i + 1
		list[i].RankReason = w.reason(list, i)
	}
}

// reason says how a proposal's merit comes about, and what puts it behind the one before
// it.
func (w Weights) reason(list []penumbra.Proposal, i int) string {
	s := list[i].Scores
	text := fmt.Sprintf("%.2f = %.2f × likelihood %.2f + %.2f × (1 − risk %.2f) + %.2f × (1 − complexity %.2f)",
		w.Merit(s), w.Likelihood, s.Likelihood, w.Risk, s.Risk, w.Complexity, s.Complexity)
	if i == 0 {
		return text
	}
	before := list[i-1].Scores
	if disrupts(&list[i]) && !disrupts(&list[i-1]) {
		return text + "; behind what takes nothing away"
	}
	losses := []loss{
		{"likelihood", w.Likelihood * (before.Likelihood - s.Likelihood)},
		{"risk", w.Risk * (s.Risk - before.Risk)},
		{"complexity", w.Complexity * (s.Complexity - before.Complexity)},
	}
	most := slices.MaxFunc(losses, func(a, b loss) int { return cmp.Compare(a.by, b.by) })
	if most.by <= 0 {
		return text
	}
	return text + fmt.Sprintf("; behind number %d for its %s (%.2f)", i, most.name, most.by)
}

// loss is by how much a proposal is behind another for one score.
type loss struct {
	name string
	by   float64
}

func disrupts(p *penumbra.Proposal) bool { return p.Applies() && len(p.Plan.Disrupts()) > 0 }
