// Package diagnosis answers one question: which change, if any, moved this metric,
// and could it as well be coincidence?
//
// [Rank] orders the changes and events around an anomaly by the probability that
// each is its cause. [Join] says which anomalies a drift is the cause of, by how much
// each metric moved, and with what chance the two have nothing to do with each other;
// [Critical] whether that makes the drift critical. [Rates] holds what is learnt: how
// often metrics leave their bands by themselves, and how often a change of a setting
// was the cause.
//
// Onsets of anomalies are a point process: a constant background, and for each change
// a share of effects spread over a lag. The probability that a change is the cause is
// its share of the intensity at the onset (Zhuang, Ogata and Vere-Jones, "Stochastic
// Declustering of Space-Time Earthquake Occurrences", JASA 97, 2002, pp. 369-380).
// docs/diagnosis.md has the formulas, the constants and what was measured.
//
// What it guarantees:
//
//   - The probabilities of the suspects and of something unseen sum to 1, in whatever
//     order the changes come.
//   - The further before its likeliest lag, or after the onset, a change was, the
//     less likely it is the cause, if no restart lies in between.
//   - An impending drift causes nothing; an improvement is never critical.
//   - The same input gives the same output. No clock, no I/O; rates are bounded.
package diagnosis
