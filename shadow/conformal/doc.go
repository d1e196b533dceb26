// Package conformal answers one question: which level has to be asked of a
// model, so that what it answers holds as often as was wanted?
//
// A model's answer to a question about a setting is a set of values whose masses
// reach a level. What came of it has a score: the least level at which the set
// held it, see [Outcome]. A [Calibrator] keeps, for each group of settings, how
// scores are distributed of late, and answers with the quantile that belongs to
// the confidence asked for: split conformal prediction (Vovk, Gammerman and
// Shafer, "Algorithmic Learning in a Random World", 2005) with exponential
// forgetting. What is left of drift is taken out by adaptive conformal inference
// (Gibbs and Candès, "Adaptive Conformal Inference Under Distribution Shift",
// NeurIPS 2021), of which each group keeps one correction at each of [Knots].
//
// Use it where sets or intervals are shown with a confidence. It is for one
// goroutine at a time, keeps no clock and draws nothing at random.
//
// What it guarantees:
//
//   - A level rises with the confidence, and a mass with the level.
//   - Any confidence may be asked for; none has to be known beforehand.
//   - Memory and time are constant for each group and outcome.
//   - As long as a correction is within its bounds, the share of misses at a
//     knot comes to 1 minus the confidence, whatever the order of the outcomes;
//     how fast is a matter of [Options.Rate].
package conformal
