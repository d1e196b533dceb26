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
//		                                 A in C       A not in C
//		A = T, or undeclared             in sync      unexpected
//		A ≠ T                            tolerated    drifted
//
//	  - A template value that is known only after an apply agrees with every A.
//	  - Tolerated needs more than a wide C: the shadow must report a habit of
//	    automation ([penumbra.Expectation.Habit]) and name A, or a person's rule
//	    must match. A shadow that knows little holds "something new" possible, and
//	    one that sees a wave pass through the fleet names the next value; neither
//	    excuses a setting that left its template.
//	  - Unexpected rests on the shadow alone, so it needs a shadow that knows
//	    something: below [Thresholds].Support effective days of data nothing is
//	    unexpected. Drifted rests on the code and needs no data.
//	  - Impending is a declared setting with A = T whose forecast passes the
//	    threshold of a horizon.
//	  - Pending is code that moved and was not applied: A is what was last
//	    applied. It comes before a rule, which speaks of the world and not of the
//	    code.
//	  - Not checked is a resource that was never read or could not be read now,
//	    and a setting where one side is a keyed hash and the other is not. It is
//	    never counted as in sync.
//	  - A resource that the code declares and that is not there is one finding
//	    with the empty path: pending if it never was as declared, else drifted.
//
// # A drift's life
//
// One drift holds the settings of one resource that left for one cause: the
// event that touched them, or the span between two snapshots. Findings of
// different weight are kept apart: tolerated ones are quiet drifts of their
// own, impending ones wait for the day they leave. What is pending, not
// checked, or tolerated by a person's rule is no drift.
//
// Time closes nothing. A finding ends when the actual value is the template's
// again or, if undeclared, one that was expected when it opened (returned);
// when the code moved (template changed); by a person's word (accepted); when
// automation made it a habit (habitual); when a forecast fell well below its
// threshold (receded); when the resource ended (gone). A drift ends with its
// last finding. A read that failed changes nothing.
//
// An acceptance lasts as a rule, with the value that was accepted and an
// expiry: the event [penumbra.ActionAccept] closes what is no longer called
// drifted, but does not by itself make a setting tolerated.
//
// # Times
//
// Opened is the first sight, even as a forecast, and never moves. Foreseen is
// set if that was a forecast. Cause.Time is when the setting left: the event's
// time, or that of the first snapshot that showed it. Their difference is
// [LeadTime]. Changed is the last time a finding was added, moved on to another
// value or became graver, or when the drift was resolved.
package drift
