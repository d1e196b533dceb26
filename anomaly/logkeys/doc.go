// Package logkeys answers one question: is this session of log keys, such as
// the events of one block, request or deployment, like those that were learnt?
//
// A log key is the kind of a log record: the template that is left when the
// parameters are taken out. A [Model] learns sessions held to be normal, one by
// one and in any number. A [Session] scores a running one key by key: a
// conformal p-value so far, the most surprising thing, and what was expected
// instead. Whoever alarms at p ≤ 0.01 gets about one false alarm in a hundred
// sessions as long as sessions stay as those that were learnt.
//
// Three kinds of evidence: a key that hardly follows the keys before it, or an
// end there (interpolated Kneser-Ney of variable order); a key, or keys
// altogether, more often than in any session learnt; and at the end how often
// each key came, given how often the others did, in whatever order.
//
// What it guarantees:
//
//   - The vocabulary is open: a key never seen has a probability of its own.
//   - Next costs O(depth), Learn O(depth) a key; memory is bounded by [Options].
//   - While a session runs its p-value never rises but by learning meanwhile.
//   - Nothing is learnt but by Learn: an anomaly is not, unless somebody says so.
//   - The same sessions in the same order give the same answers and the same
//     checkpoint. No clock, no I/O.
//
// A model and its sessions are for one goroutine at a time. Sessions are the
// caller's: drop one and it is gone, so that a time-out or a limit on how many
// are open (the least recently used first) is the caller's choice, and so is
// what ends a session. docs/model-logkeys.md has the formulas and figures.
package logkeys
