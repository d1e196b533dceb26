// Package departure answers one question: which settings are about to leave
// their template although nobody changes the code, and for what value?
//
// It starts from the departure hazard of the pooled model and learns what that
// does not know: whether a value names a minor version that somebody else
// moves on, how far it is behind its peers, whether sibling environments or
// peers with the same value have departed, and how often the setting itself
// did. Departures come in waves, and a wave's time says little of who is next.
// So the regressions learn only from contrasts among the settings that were at
// risk on the same day in the same class: the day's level is profiled out, as
// strata are in Cox's partial likelihood (Cox, "Regression models and life-
// tables", JRSS B 34 (1972), 187-220; Breslow and Day, "Statistical Methods in
// Cancer Research", 1980, chapter 7). What level is right is learnt apart, and
// slowly.
//
// Use it beside a [shadow.Pooled]: call [Model.Advance] before each observation
// is folded into it and [Model.Learn] from its listener, and ask [Model.Leave],
// [Model.Stays] and [Model.Next]. Nothing in it is about one technology: a
// setting enters once a setting of its class, its type and masked path, has
// been seen to depart; until then the answer is the pooled model's.
//
// What it guarantees: nothing is learnt from a question before its answer was
// there to be seen; a day costs O(settings of the classes that depart), and at
// most [Options].Members for each; the same observations in the same order give
// the same answers. A model is for one goroutine at a time.
package departure
