// Package drift answers one question: what of a resource is not as it should
// be? It holds what the code declares and what the shadow expected against
// what is really there ([Assess]), and carries each finding through its life
// ([Live]). [Judge] is both with the rules and thresholds of one installation.
//
// All of it is pure: root types in, root types out, the time given. The same
// call on the same state twice changes nothing.
//
// # Verdicts
//
// T is the template's value of a setting, A the actual one, C the prediction
// set that the shadow held before it saw A.
//
//	                        A in C       A not in C
//	A = T, or undeclared    in sync      unexpected
//	A ≠ T                   tolerated    drifted
//
// What the table leaves open:
//
//   - A template value that is known only after an apply agrees with every A.
//   - Tolerated needs C to name A, or a person's rule to match: that C also
//     holds "something new" possible excuses nothing. For a declared setting a
//     shadow must name only the template, habits of automation and values that a
//     person accepted; how likely a departure is belongs into the forecast.
//   - Unexpected rests on the shadow alone, so it needs a shadow that knows
//     something: below [Thresholds].Support effective days of data nothing is
//     unexpected. Drifted rests on the code and needs no data.
//   - Impending is a declared setting with A = T whose forecast passes the
//     threshold of a horizon. What a habit is about to do is not announced
//     ([penumbra.Forecast.Habit]): it would be tolerated.
//   - A limit ([penumbra.Expectation.Limit]) takes the template's place where the
//     code does not declare the setting. Within its bounds the setting is in sync
//     whoever moves it, or impending if the forecast says that it will pass one;
//     beyond them it is drifted, and the finding's template is the bound passed.
//     A value that is no amount is not checked. Nothing is unexpected.
//   - Pending is code that moved and was not applied: A is what was last
//     applied. It comes before a rule, which speaks of the world and not of the
//     code.
//   - Not checked is a resource that was never read or could not be read now,
//     and a setting where one side is a keyed hash and the other is not. It is
//     never counted as in sync.
//   - A resource that the code declares and that is not there is one finding
//     with the empty path: pending if it never was as declared, else drifted.
//
// # A drift's life
//
// One drift holds the settings of one resource that left for one cause: the
// event that touched them, or the span between two snapshots. Findings of
// different weight are kept apart: tolerated ones are quiet drifts of their
// own, impending ones wait for the day they leave. What is pending, not
// checked, or tolerated by a person's word is no drift.
//
// Time closes nothing. A finding ends when the actual value is the template's
// again or, if undeclared, one that was expected when it opened (returned);
// when the code moved (template changed); by a person's word (accepted); when
// automation made it a habit (habitual); when a forecast fell well below its
// threshold (receded); when the resource ended (gone). Of a setting with a
// limit: when it is within it again (returned), or the limit has moved, come or
// gone (template changed). A drift ends with its
// last finding. A read that failed changes nothing.
//
// An acceptance lasts as a rule with the value that was accepted and an expiry,
// or in the shadow, which then names the value. The event
// [penumbra.ActionAccept] by itself ends only a drift on an undeclared setting
// that is no longer unexpected; it never makes a setting tolerated.
//
// # Times
//
// Opened is the first sight, even as a forecast, and never moves. Foreseen is
// set if that was a forecast. Cause.Time is when the setting left: the event's
// time, or that of the first snapshot that showed it. Their difference is
// [LeadTime]. Changed is the last time a finding was added, moved on to another
// value or became graver, or when the drift was resolved.
package drift
