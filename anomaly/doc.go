// Package anomaly answers one question: is this performance metric as usual, and
// if not, since when, how far out, and how likely is it while nothing is wrong?
//
// A [Monitor] takes in values one by one, as they come, and says which anomalies
// opened, got worse or ended with each. A [Rate] turns a counter into a rate
// first. Use it for metrics of resources at any interval from a second to an hour;
// a series needs no configuration and may start with nothing known.
//
// What a series is usually at is its level, its profile of the day or of the week,
// whichever has been nearest lately. Six statistics of how it departs from that
// each have a tail of their own, which has learnt what is usual for this series,
// and together one p-value that is calibrated on the series' own past. Beside them,
// means of a few values on a scale on which the noise is stable are held against
// such means in the past, and what is learnt lags a little behind: a change that
// builds up over several values is noticed and not learnt.
//
// What it guarantees:
//
//   - Causal: what it says of a value depends on earlier ones only.
//   - Constant memory for a series, a bound on the number of series.
//   - While nothing changes, a series has about as many false alarms a week as
//     [Options] allows, whatever its noise; docs/anomaly.md has what was measured.
//   - While an anomaly is open, level and tails learn nothing, scales only from
//     values within the band, profiles slowly and within bounds; a change that
//     lasts longer than Options.Adopt becomes the new usual.
//   - The same values in the same order give the same answers and checkpoint.
//     No clock, no I/O of its own.
package anomaly
