// Package excitation is a self-exciting model of changes: each recent change
// nearby raises the rate of the next one, and the raise dies down.
//
// It is a discrete form of the mutually exciting point process of Hawkes,
// "Spectra of some self-exciting and mutually exciting point processes",
// Biometrika 58 (1971), 83-90. The expected number of events within an interval
// is the sum over [Sources] of a coefficient, which is never negative, times
// how much of that source there is. The coefficients are learnt online.
//
// Where a logistic regression multiplies, this model adds: a wave that passes
// through a setting's peers counts in full even if the setting itself has never
// changed. The model is deterministic and for one goroutine at a time.
package excitation
