package choice

import (
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/conformal"
)

// A set names values before it has room for something new, whatever the
// probabilities are: "anything" covers everything and says nothing. So its score
// for a value that is known is the mass of the likelier known ones, at most the
// mass of all that are known; above that the set has room for something new.

// outcome returns the least level at which the set held what came about.
func outcome(g *gathering, q *question, chosen int) conformal.Outcome {
	known := 1 - g.chances[0]
	score := known
	if chosen > 0 {
		score = 0
		for i := 1; i < len(g.candidates); i++ {
			if i != chosen && (g.chances[i] > g.chances[chosen] || g.chances[i] == g.chances[chosen] && byProbability(g.candidate(i), g.candidate(chosen)) < 0) {
				score += g.chances[i]
			}
		}
		score = min(score, known)
	}
	return conformal.Outcome{Group: group(q), Low: score, High: score}
}

func (g *gathering) candidate(i int) penumbra.Candidate {
	return penumbra.Candidate{Value: g.candidates[i].value, Probability: g.chances[i]}
}

// group is the group whose sets are calibrated together.
func group(q *question) conformal.Group {
	return conformal.Group{Name: q.kind + " " + q.class, Parent: q.form.String()}
}

// ChooseSet returns the set that holds the next value with the confidence, given
// that the setting changes at the time: the fewest known values, and room for
// something new only where those do not reach it.
func (m *Model) ChooseSet(r *penumbra.Resource, path string, at time.Time, confidence float64) penumbra.Expectation {
	g, q := m.ask(r, path, at)
	level := m.sets.Level(group(q), confidence)
	e := penumbra.Expectation{Path: path, Confidence: confidence, NovelProbability: g.chances[0]}
	if q.known != nil {
		e.Support = float64(q.known.Rates.Asked[somethingNew])
	}
	values := g.known()
	mass := 0.0
	if 1-g.chances[0] < level || len(values) == 0 {
		e.Novel = true
		mass = g.chances[0]
	}
	for i, c := range values {
		if mass >= level {
			values = values[:i]
			break
		}
		mass += c.Probability
	}
	e.Values = values
	return e
}
