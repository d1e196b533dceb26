// Package explain answers one question: why is a setting forecast to leave as it
// is, or judged as it is, and how would one person tell another?
//
// A forecast is explained by leaving out: the model is asked again as if an event,
// an actor's changes or the peers' had not been, see [shadow.Explainer], and what
// the answer loses is their effect. No surrogate model stands between. A verdict is
// explained by what was expected, who touched the setting between which snapshots, and
// which peers went the same way.
//
// What it guarantees: each number in a sentence is an answer of the model; a cause
// that the model does not know of is never named, and where no event explains a
// drift it says so. Effects overlap and need not add up: leaving out one of two
// sufficient causes shows little. It shows what the model went by, which need not be
// what made a person act.
package explain
