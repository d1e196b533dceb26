// Package logistic is logistic regression that learns as it goes: the
// probability of an event within an interval, given that it has not happened
// before, from the features of a question, on top of an offset.
//
// Each example is one step of an extended Kalman filter on the weights, the
// dynamic logistic regression of McCormick, Raftery, Madigan and Burd,
// "Dynamic Logistic Regression and Dynamic Model Averaging for Binary
// Classification", Biometrics 68 (2012), 23-30: there is no learning rate, what
// is known of a weight says how far an example moves it, and forgetting lets
// the weights follow a world that changes. An example costs O(features²).
//
// A regression without examples answers with the offset. It is deterministic
// and for one goroutine at a time.
package logistic
