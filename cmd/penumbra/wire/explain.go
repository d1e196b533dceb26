package wire

import (
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow/explain"
)

// explained is how the engine has its shadow explained.
func explained(s engine.Shadow, r *penumbra.Resource, path string, at time.Time, f *penumbra.Finding, d *penumbra.Drift) penumbra.Explanation {
	if f != nil && f.Expectation.Limit != nil {
		return limitExplained(r, at, f)
	}
	return explain.Of(s, explain.Question{Resource: r, Path: path, Time: at, Finding: f, Drift: d})
}

// limitExplained says why a setting with a limit is judged as it is: the limit and
// its own steps are all that counts.
func limitExplained(r *penumbra.Resource, at time.Time, f *penumbra.Finding) penumbra.Explanation {
	out := penumbra.Explanation{Resource: r.Address, Path: f.Path, Time: at, Verdict: f.Verdict, Influences: []penumbra.Influence{}}
	out.Sentence = f.Brief()
	foreseen := ". Foreseen as it was "
	if f.Verdict == penumbra.Impending {
		foreseen = ". It was "
	}
	if f.Forecast != nil {
		out.Leave, out.Without, out.Horizon = f.Forecast.Leave, f.Forecast.Leave, f.Horizon
		if f.Forecast.Reason != "" {
			out.Sentence += foreseen + f.Forecast.Reason
		}
	}
	if reason := f.Expectation.Limit.Reason; reason != "" {
		out.Sentence += " (" + reason + ")"
	}
	out.Sentence += "."
	return out
}
