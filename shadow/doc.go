// Package shadow answers one question: which configuration is each resource
// expected to have, and how likely is each setting to leave it?
//
// [Model] is the seam. [Pooled] is its first implementation: a gamma-Poisson
// model of how often settings change, pooled over the fleet, and a Dirichlet
// model of the values they change to. It needs no training before use; its
// hyper-parameters, [DefaultPrior], were fitted on histories of other estates.
//
// Use it through Observe, in the order of time, and ask Expect before the
// observation that it is compared with is folded in. A model is for one
// goroutine at a time, keeps no clock, does no I/O but its checkpoint, and is
// deterministic: the same observations in the same order give the same answers.
//
// What it guarantees:
//
//   - A drift is never learnt. While a setting is away from its template (an
//     undeclared one: from the values it was expected to have) nothing of that
//     excursion enters its prediction set, however long it lasts. An excursion
//     ends by return, by a template that moves to it, or by a person's word.
//   - A value off the template enters a prediction set only by a habit of
//     automation, at least three completed excursions, or a person's word.
//   - An observation costs O(1) for each setting in it.
//   - Observations older than the last of their resource change no value: they
//     are counted, see [Pooled.Late]. An event's actor is still remembered.
//     Whoever wants their values in full replays the timeline.
//
// What moved a forecast is found by asking as if something had not been, see
// [Explainer].
//
// For a declared setting an expectation is what is legitimate, so its set holds
// the template, habits and accepted values only and never "something new"; how
// likely it is to leave is the forecast's part. docs/model-pooled.md has the formulas,
// what was fitted on what, and measured figures. format.md beside this file
// describes the checkpoint.
package shadow
