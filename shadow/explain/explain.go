package explain

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Question is what is to be explained.
type Question struct {
	Resource *penumbra.Resource
	Path     string
	Time     time.Time
	// Finding is the verdict on the setting, nil if it is in sync, and Drift the
	// drift that the finding belongs to, nil if there is none.
	Finding *penumbra.Finding
	Drift   *penumbra.Drift
}

// horizon is the index into [penumbra.Horizons] of the span that effects are
// measured on, a week, unless a finding says otherwise.
const horizon = 3

// Of explains the forecast of a setting and, if there is a finding, its verdict.
// A model that cannot be asked what it would say without something explains the
// verdict by the finding alone.
func Of(model any, q Question) penumbra.Explanation {
	e := penumbra.Explanation{Resource: q.Resource.Address, Path: q.Path, Time: q.Time, Horizon: horizon, Influences: []penumbra.Influence{}}
	if q.Finding != nil {
		e.Verdict = q.Finding.Verdict
		if q.Finding.Verdict == penumbra.Impending {
			e.Horizon = q.Finding.Horizon
		}
	}
	w := words{at: q.Time}
	m, able := model.(shadow.Explainer)
	if able && q.Path != "" {
		w = weigh(m, &q, &e, w)
	}
	var parts []string
	if q.Finding != nil && q.Finding.Verdict != penumbra.Impending {
		var evidence shadow.Evidence
		if able && q.Path != "" {
			evidence = m.Evidence(q.Resource, q.Path, q.Time, q.Finding.Actual)
		}
		parts = append(parts, w.verdict(&q, &evidence))
	}
	if able && q.Path != "" && (q.Finding == nil || !q.Finding.Verdict.IsDrift()) {
		parts = append(parts, w.forecast(&e))
	}
	e.Sentence = strings.Join(parts, " ")
	return e
}

// weigh asks the model what it would say without each cause, and without all.
func weigh(m shadow.Explainer, q *Question, e *penumbra.Explanation, w words) words {
	causes := m.Causes(q.Resource, q.Path, q.Time)
	w.leaves = slices.ContainsFunc(causes, func(c shadow.Cause) bool { return c.Leaves })
	e.Leave = m.ForecastWithout(q.Resource, q.Path, q.Time)
	e.Without = m.ForecastWithout(q.Resource, q.Path, q.Time, causes...)
	for i := range causes {
		c := &causes[i]
		x := penumbra.Influence{Kind: c.Kind, Text: w.cause(c), Events: len(c.Moves)}
		if len(c.Moves) > 0 {
			x.First, x.Last = c.Moves[0].Time, c.Moves[len(c.Moves)-1].Time
		}
		for _, a := range actorsOf(c.Moves) {
			x.Actors = append(x.Actors, a.name)
		}
		x.Peers = peersOf(c.Moves, q.Resource.Address)
		x.Without = m.ForecastWithout(q.Resource, q.Path, q.Time, *c)
		x.Effect = logOdds(e.Leave[e.Horizon]) - logOdds(x.Without[e.Horizon])
		e.Influences = append(e.Influences, x)
	}
	slices.SortStableFunc(e.Influences, func(a, b penumbra.Influence) int {
		return cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect))
	})
	return w
}

func logOdds(p float64) float64 {
	p = min(1-1e-9, max(1e-9, p))
	return math.Log(p / (1 - p))
}

// actor is who made moves, and how many.
type actor struct {
	name string
	kind penumbra.ActorKind
	n    int
}

// actorsOf returns who made the moves, the most frequent first, then the latest.
func actorsOf(moves []shadow.Move) []actor {
	var out []actor
	for _, m := range slices.Backward(moves) {
		if m.Actor == "" {
			continue
		}
		i := slices.IndexFunc(out, func(a actor) bool { return a.name == m.Actor })
		if i < 0 {
			out, i = append(out, actor{name: m.Actor, kind: m.By}), len(out)
		}
		out[i].n++
	}
	slices.SortStableFunc(out, func(a, b actor) int { return cmp.Compare(b.n, a.n) })
	return out
}

// peersOf returns the other resources that moved, the latest first.
func peersOf(moves []shadow.Move, own penumbra.Address) []penumbra.Address {
	var out []penumbra.Address
	for _, m := range slices.Backward(moves) {
		if m.Resource != "" && m.Resource != own && !slices.Contains(out, m.Resource) {
			out = append(out, m.Resource)
		}
	}
	return out
}
