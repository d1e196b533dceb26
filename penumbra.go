// Package penumbra holds the nouns of Penumbra, a program that keeps a
// shadow, a probabilistic model of the expected configuration, of every
// resource that infrastructure as code manages.
//
// The nouns follow the data's way: a [Resource] has [Settings]; what is learnt
// of it arrives as [Observation] values; the shadow answers with an
// [Expectation] and a [Forecast] for each setting; holding those against what
// is really there gives an [Assessment]; what needs a person becomes a
// [Drift]; each drift has [Proposal] values; a [Decision] binds to one of them,
// and a [Run] carries it out.
//
// The package has no I/O and no globals, declares no service interfaces and
// imports the standard library only. Everything else imports it; a stage
// (timeline, shadow, drift, ...) imports nothing else of Penumbra.
package penumbra
