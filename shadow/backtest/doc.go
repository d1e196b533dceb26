// Package backtest answers how good a shadow model is on a history that it has
// not seen: it replays a timeline, at each cut asks the model first and lets it
// learn afterwards, and scores it beside naive predictors in the same run.
//
// Two questions are scored. Change: at a cut, for each live setting, does its
// value change within the horizon? Value: is the value at the horizon's end in
// the prediction set of that cut? A resource or setting that ends within the
// horizon is counted as not changed, and left out of the second question.
//
// The result is deterministic. Nothing from after a cut reaches the answer at
// it: labels are filled in as the replay passes.
package backtest
