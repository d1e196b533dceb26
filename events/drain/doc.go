// Package drain answers one question: which kind of line is this line of a log
// whose format nobody described?
//
// It is Drain (He, Zhu, Zheng and Lyu, Drain: An Online Log Parsing Approach with
// Fixed Depth Tree, ICWS 2017, section III): lines of one length that begin with
// the same words are held against the templates seen among them, and the nearest
// one takes the line if it is near enough. What differs becomes a parameter. So
// does a place in which many words were seen, all else being the same, which is
// ours: the paper's tree has a template for each name that a line begins with.
// Before that, numbers, addresses, identifiers, paths, quoted texts, lists and
// statements are masked, which the paper leaves to its user (III.B).
//
// Use it for free text only: a format that says what was done needs no guess.
//
// What it guarantees:
//
//   - Online: a line costs one pass over it and a comparison with the templates of
//     one leaf. Memory is bounded by [Options], whatever comes.
//   - An identifier stands for a template from its first line on, whatever becomes
//     a parameter later, and is the same after a restart from a checkpoint. It
//     ends where the template is merged into an older one or forgotten.
//   - The same lines in the same order give the same answers and the same
//     checkpoint. No clock, no I/O but the checkpoint's.
//
// A [Miner] is for one goroutine at a time. docs/events.md has figures.
package drain
