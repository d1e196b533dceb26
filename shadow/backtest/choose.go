package backtest

import "fmt"

// Choice is the model that is the best one for this history, by evidence.
type Choice struct {
	// Model is the entrant with the least log loss at the longest horizon. Where
	// the interval of a difference, by resampling cuts, has 0 in it, the greater
	// PR-AUC decides in the same way, and then who was entered first: entrants
	// come with the simplest first.
	Model string `json:"model"`
	// Expert is the predictor of all, experts included, with the least log loss.
	Expert string `json:"expert"`
	// Known reports that the model's log loss is below that of the rate of the
	// estate so far; else nothing that was tried knows which settings change.
	Known    bool   `json:"known"`
	Sentence string `json:"sentence"`
}

// choose picks the best model and says why.
func (r *Report) choose(p *replay) {
	var models []Entrant
	for _, e := range p.entrants {
		if !e.Baseline {
			models = append(models, e)
		}
	}
	if len(r.Change) == 0 || len(models) == 0 {
		r.Choice.Sentence = "There is nothing to choose by: no question was asked."
		return
	}
	c := &r.Change[len(r.Change)-1]
	if c.Left == 0 {
		r.Choice = Choice{Model: models[0].Name, Sentence: fmt.Sprintf(
			"No setting left within %s of any cut, so nothing tells the models apart; %s is the simplest.", c.Horizon, models[0].Name)}
		return
	}
	best := models[0].Name
	reason := ""
	for _, e := range models[1:] {
		better, why := c.Better(e.Name, best)
		if better {
			best = e.Name
		}
		reason += why
	}
	r.Choice.Model = best
	for i := range c.Scores {
		s := &c.Scores[i]
		if s.LogLoss != nil && (r.Choice.Expert == "" || *s.LogLoss < *c.Score(r.Choice.Expert).LogLoss) {
			r.Choice.Expert = s.Name
		}
	}
	over := c.Comparison(best, naivePredictors[rateSoFar].name)
	r.Choice.Known = over.Log.ByCut.High < 0
	s := c.Score(best)
	r.Choice.Sentence = fmt.Sprintf("On this history %s is the model to use: log loss %.5f and PR-AUC %.3f within %s.%s", best, *s.LogLoss, s.PR, c.Horizon, reason)
	if !r.Choice.Known {
		r.Choice.Sentence += fmt.Sprintf(" It does not know more than how often settings change at all (log loss %.5f): take its forecasts for a guess.",
			*c.Score(over.Over).LogLoss)
	}
}

// Better reports whether a model beats one that was entered earlier, and why or
// why not: by the log loss, and where the interval of that has no difference in
// it, by PR-AUC in the same way.
func (c *Change) Better(name, earlier string) (bool, string) {
	x := c.Comparison(name, earlier)
	percent := func(ratio float64) float64 { return 100 * (1 - ratio) }
	switch {
	case x.Log.ByCut.High < 0:
		return true, fmt.Sprintf(" %s has %.1f %% less log loss than %s [%.1f, %.1f].",
			name, percent(x.Log.Ratio), earlier, percent(x.Log.RatioByCut.High), percent(x.Log.RatioByCut.Low))
	case x.Log.ByCut.Low > 0:
		return false, fmt.Sprintf(" %s has %.1f %% more log loss than %s [%.1f, %.1f].",
			name, -percent(x.Log.Ratio), earlier, -percent(x.Log.RatioByCut.Low), -percent(x.Log.RatioByCut.High))
	case x.PR.ByCut.Low > 0:
		return true, fmt.Sprintf(" The log losses of %s and %s are alike, its PR-AUC is %.2f times as high [%.2f, %.2f].",
			name, earlier, x.PR.Ratio, x.PR.RatioByCut.Low, x.PR.RatioByCut.High)
	case x.PR.ByCut.High < 0:
		return false, fmt.Sprintf(" The log losses of %s and %s are alike, its PR-AUC is %.2f times as high [%.2f, %.2f].",
			name, earlier, x.PR.Ratio, x.PR.RatioByCut.Low, x.PR.RatioByCut.High)
	default:
		return false, fmt.Sprintf(" The difference between %s and %s is no more than noise, and %s is the simpler.", name, earlier, earlier)
	}
}
