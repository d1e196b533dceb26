// Package notify answers: who is to be told of what, through which channel, when,
// and has it arrived? It holds what the store knows (drifts, anomalies, runs,
// approvals, freezes) and what the engine says of its sources against what has been
// told, writes a notice for each cause that is new, changed or over, and carries
// notices through their channels.
//
// # Guarantees
//
// What was told is stored in one transaction with the notices that tell it, so that
// neither a restart nor a kill between two steps repeats or loses one. A notice is
// sent at least once, with an identifier that is the same each time. What can't be
// delivered is kept as dead, to be sent again by hand. News is only a hint to look:
// whoever missed it looks at the whole again.
//
// Nothing is told twice unless it changed. Drifts of one cause are one notice. The
// gravest goes first. A value that was sealed stays sealed, and every text passes
// [penumbra.Redact].
package notify
