package engine

import (
	"cmp"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// scores are how well the shadow foretold, of what did not change and of what did.
type scores [2]penumbra.ModelScore

// score holds a snapshot's values against what was expected of them. e.mu is held.
func (e *Engine) score(before *penumbra.Resource, o *penumbra.Observation, expected []penumbra.Expectation) {
	for i := range o.Settings {
		x := &o.Settings[i]
		at, asked := slices.BinarySearchFunc(expected, x.Path, byPath)
		if !asked {
			continue
		}
		s := &e.scores[0]
		if before.Actual.Get(x.Path) != x.Value {
			s = &e.scores[1]
		}
		s.Predictions++
		if expected[at].Contains(x.Value) {
			s.Covered++
		}
		s.LogLoss += surprise(&expected[at], x.Value)
	}
}

// ModelScores returns how well the shadow has foretold the values of snapshots that
// said something new, since this process began.
func (e *Engine) ModelScores() []penumbra.ModelScore {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := e.scores
	out[1].Changed = true
	return out[:]
}

// DriftCounts counts active drifts by verdict and severity.
func (e *Engine) DriftCounts() []penumbra.DriftCount {
	e.mu.RLock()
	defer e.mu.RUnlock()
	counts := map[penumbra.DriftCount]int{}
	for _, r := range e.resources {
		for i := range r.active {
			counts[penumbra.DriftCount{Verdict: r.active[i].Verdict, Severity: r.active[i].Severity()}]++
		}
	}
	out := make([]penumbra.DriftCount, 0, len(counts))
	for c, n := range counts {
		c.Count = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b penumbra.DriftCount) int {
		return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Severity, b.Severity))
	})
	return out
}
