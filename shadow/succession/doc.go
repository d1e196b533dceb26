// Package succession answers one question: which settings of a resource change
// next?
//
// Use it through Learn, which is told of every change in the order of time, such
// as by the Changes of [shadow.Options], and Next. Counts of different reach
// are kept: of the resource's own changes, of what followed a setting's change,
// of its copies in other environments, of its folder, and of the setting in the
// whole fleet within hours, days, months and years. Each narrower count backs
// off to the wider ones as in the interpolated estimates of Jelinek and Mercer,
// "Interpolated estimation of Markov source parameters from sparse data" (1980).
// How much each is worth is learnt online, question by question, by a
// conditional logit: no weight is a constant of an estate.
//
// What it guarantees:
//
//   - What one commit or one read brings is asked before any of it is counted.
//   - A change costs O(settings of the resource). Memory is bounded for each
//     resource, family, folder and class: at most 16 changed settings are
//     remembered, in 32 bytes each.
//   - Next changes nothing but to end a commit that is over. The probabilities of
//     all settings of a resource sum to 1.
//   - The same changes in the same order give the same answers.
//
// A setting that the resource does not have is never named: which will be added
// is not known here.
package succession
