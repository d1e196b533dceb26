// Package backtest answers how good shadow models are on a history that they
// have not seen, and which of them is the best one for it. It replays a
// timeline into all of them at once: at each cut every model is asked first and
// learns afterwards (Dawid, "Prequential analysis", Encyclopedia of Statistical
// Sciences, 1997), beside naive predictors, over the same questions.
//
// What is asked:
//
//   - Change: at each cut, for each live setting, does it leave within 1, 7 and
//     30 days? To leave is what [penumbra.Forecast] means by it: of a setting of
//     which only the code is known, or that is not declared, to change its
//     value; of a declared one to go where its template is not. A setting that
//     is off its template already is not asked about. One that ends within the
//     horizon counts as not left.
//   - Sets: is the value a horizon later in the prediction set of today?
//   - Value: given that a setting changes, to what?
//   - Next: which setting of a resource changes next?
//   - Drift: the verdicts of a judge on what snapshots found, where there are
//     templates and snapshots.
//
// Everything that one commit or one read brought, observations of one time and
// one source, is asked before any of it is learnt. A cut whose horizon ends
// after the data is left out of that horizon: nothing is guessed about what
// nobody saw.
//
// [Run] does all of it in one process. [Replay] does a part of an estate, wherever
// that may be, and [Join] makes the report of all parts.
//
// The result is deterministic for a seed. Nothing from after a cut reaches an
// answer at it: whether a setting left is looked up when the replay is over.
// Answers are kept as 16 bits of log odds, see [Options], so that ten million
// questions to a dozen predictors take about 1 GB.
package backtest
