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

// horizon returns the index into [penumbra.Horizons] of the span that effects are
// measured on: a week, or if the setting will all but surely have left by then the
// first span by which it rather will than not.
func horizon(leave *[len(penumbra.Horizons)]float64) int {
	const week, sure = 3, 0.9
	if leave[week] < sure {
		return week
	}
	return slices.IndexFunc(leave[:], func(p float64) bool { return p >= 0.5 })
}

// Of explains the forecast of a setting, its verdict if there is a finding, and of
// a drift the verdict alone: it has left.
// A model that cannot be asked what it would say without something explains the
// verdict by the finding alone.
func Of(model any, q Question) penumbra.Explanation {
	e := penumbra.Explanation{Resource: q.Resource.Address, Path: q.Path, Time: q.Time, Influences: []penumbra.Influence{}}
	if q.Finding != nil {
		e.Verdict = q.Finding.Verdict
	}
	w := words{at: q.Time, hidden: sensitive(&q)}
	m, able := model.(shadow.Explainer)
	if x, other := model.(shadow.Explained); other {
		m, able = x.Explainer(), true
	}
	able = able && q.Path != ""
	foresees := able && !e.Verdict.IsDrift() && e.Verdict != penumbra.NotChecked
	if foresees {
		w = weigh(m, &q, &e, w)
	}
	var parts []string
	if q.Finding != nil && e.Verdict != penumbra.Impending {
		var evidence shadow.Evidence
		if able {
			evidence = m.Evidence(q.Resource, q.Path, q.Time, q.Finding.Actual)
		}
		parts = append(parts, w.verdict(&q, &evidence))
	}
	if foresees {
		parts = append(parts, w.forecast(&e))
	}
	e.Sentence = strings.Join(parts, " ")
	return e
}

// sensitive reports whether the setting's values are not to be told.
func sensitive(q *Question) bool {
	template, _ := q.Resource.Template.Find(q.Path)
	actual, _ := q.Resource.Actual.Find(q.Path)
	return template.Sensitive || actual.Sensitive || q.Finding != nil && q.Finding.Sensitive
}

// weigh asks the model what it would say without each cause, and without all.
func weigh(m shadow.Explainer, q *Question, e *penumbra.Explanation, w words) words {
	causes := m.Causes(q.Resource, q.Path, q.Time)
	w.leaves = slices.ContainsFunc(causes, func(c shadow.Cause) bool { return c.Leaves })
	e.Leave = m.ForecastWithout(q.Resource, q.Path, q.Time)
	if e.Horizon = horizon(&e.Leave); e.Verdict == penumbra.Impending {
		e.Horizon = q.Finding.Horizon
	}
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
