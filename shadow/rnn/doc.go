// Package rnn answers one question: what does the history of a resource, step
// by step, say about its next change beyond what rates and counts say?
//
// [Network] is one gated recurrent unit shared by all resources, with one small
// state for each (128 bytes by default), and a query network on top that is
// asked about a setting. It has three kinds of answer: the hazard of a change
// within each of the horizons of [penumbra.Horizons], a choice among
// alternatives (which value, which setting next), and the quantiles of the size
// of a numeric change. Each starts from the answer of another model, given as
// an offset, and learns only the residual: an untrained network says exactly
// what the offset says.
//
// Use [Tape] to record steps and questions as they come, [Train] to fit a
// network to it, [Network.Step] and [Network.Ask] to serve, and [Learner] to
// keep learning meanwhile. The package knows nothing of settings, values or
// time: who records the tape decides what the numbers and tokens mean. Tokens
// are hashed ([Token]), so there is no vocabulary that could be closed.
//
// What it guarantees:
//
//   - The same tapes, options and seeds give the same parameters, on any number
//     of cores of one kind of processor.
//   - Training never leaves a network worse on the validation tape than it came.
//   - Step, Ask, AskAll and Choose do not allocate, and cost the same however
//     long the history is.
//
// format.md beside this file describes the checkpoint. docs/model-mixture.md has what
// the network adds to the pooled model, measured.
package rnn
