// Package duration answers one question: how long do temporary states last, and
// which of them are stuck?
//
// A state begins when a setting takes a value, and is over when the setting goes
// back to the value it had before, or to one that others of its type had before
// they took that value. Going on to a third value ends it otherwise, and so does
// the end of the resource. From all of them is learnt, for each value of a
// setting of a type, how many go back and after how long: the cumulative
// incidence of going back with going on as the competing risk (Aalen and
// Johansen, Scandinavian Journal of Statistics 5 (1978), 141-150), in life tables
// over intervals of age that grow by the square root of 2, where states that are
// still open count as survived as long as they have (Kaplan and Meier, JASA 53
// (1958), 457-481). A value's hazards are pooled with its setting's, its type's
// and the estate's; how strongly is chosen by the predictive likelihood of what
// ended so far, which is empirical Bayes.
//
// Use it through Learn, which is told of every step of a value in the order of
// time, such as by Changes and Moves of [shadow.Options]; End; and Stuck.
//
// What it guarantees:
//
//   - Where fewer than [Options.Support] states have gone back, or going back is
//     not the rule, nothing is said.
//   - A step costs O(1). A setting that is in a state takes an entry, at most
//     [Options.Capacity] in all; a class takes life tables for itself and at most
//     four of its values.
//   - The same steps in the same order give the same answers.
package duration
