package proposal

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

const (
	// fewCases is how many hours must stand behind a prediction that is told.
	fewCases = 20
	// noteworthy is by how much the chance of a bad hour must move to be told.
	noteworthy = 0.02
)

// predictions returns what carrying the proposal out does to each metric of the
// resource, by the settings that it changes there: the network answers for one setting
// at a time, all others as they usually are. What hardly moves, and what too few hours
// were seen of, is left out.
func predictions(p *penumbra.Proposal, ev *Evidence) []penumbra.Prediction {
	if ev.Effects == nil || !p.Applies() {
		return nil
	}
	var out []penumbra.Prediction
	for _, c := range p.Plan.Changes {
		if c.Resource != ev.Drift.Resource || c.Action != penumbra.Update {
			continue
		}
		for _, x := range c.Changes {
			if !x.Unknown {
				out = append(out, moved(x.Path, ev.Effects(x.Path, x.Before), ev.Effects(x.Path, x.After))...)
			}
		}
	}
	return out
}

func moved(path string, before, after []penumbra.Effect) []penumbra.Prediction {
	var out []penumbra.Prediction
	for _, b := range before {
		i := slices.IndexFunc(after, func(a penumbra.Effect) bool { return a.Metric == b.Metric && a.Below == b.Below })
		if i < 0 || min(b.Cases, after[i].Cases) < fewCases || math.Abs(after[i].Chance-b.Chance) < noteworthy {
			continue
		}
		out = append(out, penumbra.Prediction{Path: path, Before: b, After: after[i]})
	}
	return out
}

// worsened is how much likelier the proposal makes a bad hour at most, as far as is
// known with 95 %: what Low promises, above what it is now.
func worsened(list []penumbra.Prediction) float64 {
	worst := 0.0
	for _, x := range list {
		worst = max(worst, x.After.Low-x.Before.Chance)
	}
	return worst
}

func predictionLines(list []penumbra.Prediction) []string {
	var out []string
	for _, x := range list {
		side := "above"
		if x.Before.Below {
			side = "below"
		}
		line := fmt.Sprintf("Predicted by %s: %s %s %.3g in %.0f %% of hours instead of %.0f %% (90 %% interval %.0f to %.0f %%, from %.0f hours)",
			x.Path, x.After.Metric, side, x.After.Threshold, 100*x.After.Chance, 100*x.Before.Chance, 100*x.After.Low, 100*x.After.High, x.After.Cases)
		if x.After.Most-x.After.Least > 0.1 {
			line += fmt.Sprintf("; if the data mistakes cause for effect, %.0f to %.0f %%", 100*x.After.Least, 100*x.After.Most)
		}
		out = append(out, line)
	}
	return out
}

// otherwise says what happens if nothing is done: what the drift did to the metrics so
// far, what the network expects of them, and whether it is likely to go by itself.
func otherwise(ev *Evidence) string {
	d := &ev.Drift
	var parts []string
	if d.Verdict == penumbra.Impending {
		parts = append(parts, forecast(d.Findings))
	} else {
		parts = append(parts, "It stays as it is until somebody changes it: a drift does not end by itself.")
		if d.Verdict == penumbra.Tolerated {
			parts = []string{"It goes on coming and going, as it does by habit."}
		}
	}
	for _, x := range penumbra.GravestFirst(d.Impact) {
		word := "better"
		if x.Worse {
			word = "worse"
		}
		parts = append(parts, fmt.Sprintf("%s went from %.4g to %.4g (%s; chance of coincidence %s).", x.Metric, x.Before, x.After, word, penumbra.Chance(x.Coincidence)))
		if len(parts) > listed {
			break
		}
	}
	if ev.Effects != nil && d.Verdict != penumbra.Impending {
		for _, f := range d.Findings {
			if f.Path == "" || f.Actual.IsNull() || f.Template.IsNull() {
				continue
			}
			for _, x := range moved(f.Path, ev.Effects(f.Path, f.Template), ev.Effects(f.Path, f.Actual)) {
				parts = append(parts, predictionLines([]penumbra.Prediction{x})[0]+".")
			}
		}
	}
	for _, f := range d.Findings {
		if f.Hazard != "" {
			parts = append(parts, f.Path+" is dangerous: "+f.Hazard+".")
		}
	}
	return penumbra.Redact(strings.Join(parts, " "))
}
