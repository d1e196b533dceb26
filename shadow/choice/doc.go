// Package choice answers one question: given that a setting changes, to which
// value?
//
// Candidates come from origins: what peers changed to last, what peers who had
// the same value went to, the sibling environment's change, the next versions,
// the same edit that was made elsewhere, the neighbour in a list, and so on, see
// the constants in origin.go; "something new" is an alternative of its own. How
// often each origin was right is counted for each class (a type and a path with
// list indices masked), drawn to the setting's form and to the estate. A
// conditional logit (McFadden, "Conditional Logit Analysis of Qualitative Choice
// Behavior", 1974) on these rates and a few features makes probabilities of
// them; it starts as the odds of a candidate's best origin and learns by AdaGrad
// (Duchi, Hazan and Singer, JMLR 2011).
//
// Use [New] on the pooled model that observes the estate, and wire [Model.Learn]
// to its [shadow.Options.Changes]. What changes in one commit, observations of
// one time and source, is learnt together once the next one comes or somebody
// asks, so that the weights are not taught to rely on the rest of a commit.
//
// Prediction sets, [Model.ChooseSet] and [Model.Expect], are calibrated by
// package conformal. The package is for one goroutine at a time, keeps no clock
// and draws nothing at random.
//
// What it guarantees:
//
//   - A question costs O(candidates), of which there are at most 64; memory is
//     bounded for each class that ever changed, and for the estate.
//   - Values that were only departed to are candidates of Choose and ChooseSet,
//     never of Expect: a drift is never learnt.
//   - The same observations in the same order give the same answers.
package choice
