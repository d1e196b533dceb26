package backtest

import (
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Report is what a backtest found. As JSON its names are stable.
type Report struct {
	Protocol Protocol `json:"protocol"`
	// Change is by horizon, the shortest first.
	Change []Change `json:"change"`
	Alerts []Alerts `json:"alerts"`
	Sets   []Sets   `json:"sets,omitempty"`
	// Values are of all settings that changed, Resolved of those whose values are
	// known: neither is an unresolved expression, nor is it the place that a
	// module is taken from.
	Values   []Choices `json:"values,omitempty"`
	Resolved []Choices `json:"values_resolved,omitempty"`
	Next     []Next    `json:"next,omitempty"`
	Drift    []Drift   `json:"drift,omitempty"`
	Choice   Choice    `json:"choice"`
}

// Protocol is how was judged.
type Protocol struct {
	Models       []string      `json:"models"`
	From         time.Time     `json:"from"`
	To           time.Time     `json:"to"`
	Every        time.Duration `json:"every_ns"`
	Split        Split         `json:"split"`
	Sample       uint32        `json:"sample,omitempty"`
	Seed         uint64        `json:"seed"`
	Bootstrap    int           `json:"bootstrap"`
	Observations int           `json:"observations"`
	Resources    int           `json:"resources"` // at the end
	Settings     int           `json:"settings"`  // that ever were
}

// Change is how well was said which settings leave within one horizon.
type Change struct {
	Horizon   string `json:"horizon"`
	Cuts      int    `json:"cuts"`
	Questions int    `json:"questions"`
	Left      int    `json:"left"`    // settings that left, once for each cut
	Commits   int    `json:"commits"` // in which they did
	// Base is the share that left; BaseLogLoss and BaseBrier are those of saying
	// it of all, which nobody knows beforehand.
	Base        float64      `json:"base"`
	BaseLogLoss float64      `json:"base_log_loss"`
	BaseBrier   float64      `json:"base_brier"`
	Scores      []Score      `json:"scores"`
	Comparisons []Comparison `json:"comparisons,omitempty"`
}

// Score is how good one predictor is.
type Score struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "naive", "expert" or "model"
	// PR and ROC are areas under the curves, PR as average precision; Lift is
	// that of the likeliest hundredth.
	PR   float64 `json:"pr_auc"`
	ROC  float64 `json:"roc_auc"`
	Lift float64 `json:"lift_1pct"`
	// Within is the area under ROC of the pairs of one cut that share type and
	// masked path: which resource, not which setting. WithinAll also has the pairs
	// of different cuts: which resource, and when. Nil if there is no such pair.
	Within    *float64 `json:"within_class_auc,omitempty"`
	WithinAll *float64 `json:"within_class_all_cuts_auc,omitempty"`
	// LogLoss, Brier and Reliability are of those who say probabilities.
	LogLoss     *float64 `json:"log_loss,omitempty"`
	Brier       *float64 `json:"brier,omitempty"`
	Reliability []Bin    `json:"reliability,omitempty"`
	Curve       []Point  `json:"curve,omitempty"`
}

// Bin compares what was said with what happened.
type Bin struct {
	Low       float64 `json:"low"` // of the probability said
	High      float64 `json:"high"`
	Said      float64 `json:"said"` // mean
	Left      float64 `json:"left"` // share
	Questions int     `json:"questions"`
}

// Point is one of a curve of precision and recall.
type Point struct {
	Recall    float64 `json:"recall"`
	Precision float64 `json:"precision"`
}

// Comparison is a model against another predictor.
type Comparison struct {
	Model  string      `json:"model"`
	Over   string      `json:"over"`
	PR     Difference  `json:"pr_auc"`
	Log    *Difference `json:"log_loss,omitempty"` // below 0 is better
	Within *Difference `json:"within_class_auc,omitempty"`
}

// Difference is by how much a model's figure is above another's and how many
// times it is the other's, with 95 % intervals by resampling blocks of cuts a
// horizon long, and by resampling the commits in which settings left.
type Difference struct {
	Value         float64           `json:"value"`
	Ratio         float64           `json:"ratio"`
	ByCut         penumbra.Interval `json:"by_cut"`
	ByCommit      penumbra.Interval `json:"by_commit"`
	RatioByCut    penumbra.Interval `json:"ratio_by_cut"`
	RatioByCommit penumbra.Interval `json:"ratio_by_commit"`
}

// Sets is how often prediction sets of a model held the value a longest horizon
// later.
type Sets struct {
	Name    string     `json:"name"`
	All     []Coverage `json:"all"`
	Changed []Coverage `json:"changed"`
}

func (p *replay) report(ctx context.Context, seen, resources int) (*Report, error) {
	o := p.options
	r := &Report{Protocol: Protocol{
		From: o.From, To: o.To, Every: o.Every, Split: o.Split, Sample: o.Sample, Seed: o.Seed, Bootstrap: max(0, o.Bootstrap),
		Observations: seen, Resources: resources, Settings: len(p.world.class),
	}}
	for _, e := range p.entrants {
		r.Protocol.Models = append(r.Protocol.Models, e.Name)
	}
	work := float64(len(o.Horizons)*len(p.asker.predictors) + 1)
	done := 0.0
	for h := range o.Horizons {
		q := p.questions(h)
		if q.rows == 0 {
			continue
		}
		c, err := p.change(ctx, q, func() {
			done++
			o.Progress(replayShare + (1-replayShare)*done/work)
		})
		if err != nil {
			return nil, err
		}
		r.Change = append(r.Change, *c)
		if h == len(o.Horizons)-1 {
			r.alert(p, q)
		}
	}
	r.fill(p)
	r.choose(p)
	o.Progress(1)
	return r, nil
}

// change scores all predictors at one horizon.
func (p *replay) change(ctx context.Context, q *questions, step func()) (*Change, error) {
	c := &Change{
		Horizon: penumbra.HorizonNames[p.options.Horizons[q.horizon]], Cuts: len(q.cuts), Questions: q.rows, Left: len(q.positives),
	}
	commits := map[int32]bool{}
	for _, x := range q.positives {
		commits[x.commit] = true
	}
	c.Commits = len(commits)
	c.Base = float64(c.Left) / float64(c.Questions)
	c.BaseLogLoss, c.BaseBrier = entropy(c.Base), c.Base*(1-c.Base)
	r := newResampler(q, p.options)
	a := newArena(q, len(p.world.classes))
	var h histogram
	drawn := make([]resampled, len(p.asker.predictors))
	for i := range p.asker.predictors {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q.count(i, &h)
		within := a.duels(i, true)
		c.Scores = append(c.Scores, p.score(q, i, a, &h, &within))
		drawn[i] = r.resample(i, &h, &within)
		step()
	}
	for i, x := range p.asker.predictors {
		if x.entrant < 0 || x.expert {
			continue
		}
		for k := range p.asker.predictors {
			if k != i {
				c.Comparisons = append(c.Comparisons, compare(&c.Scores[i], &c.Scores[k], &drawn[i], &drawn[k]))
			}
		}
	}
	return c, nil
}

func (p *replay) score(q *questions, i int, a *arena, h *histogram, within *duels) Score {
	x := p.asker.predictors[i]
	s := Score{Name: x.name, Kind: x.kind()}
	ranks := h.rank()
	s.PR, s.ROC, s.Lift = ranks.pr, ranks.roc, ranks.lift
	if share, ok := within.share(); ok {
		s.Within = &share
	}
	all := a.duels(i, false)
	if share, ok := all.share(); ok {
		s.WithinAll = &share
	}
	s.Curve = h.curve(100)
	if !x.ranks {
		log, brier := h.loss()
		s.LogLoss, s.Brier, s.Reliability = &log, &brier, h.reliability()
	}
	return s
}

func (x *predictor) kind() string {
	switch {
	case x.entrant < 0:
		return "naive"
	case x.expert:
		return "expert"
	default:
		return "model"
	}
}

func compare(m, over *Score, a, b *resampled) Comparison {
	c := Comparison{Model: m.Name, Over: over.Name}
	c.PR = difference(m.PR, over.PR, a, b, func(x measures) float64 { return x.pr })
	if m.LogLoss != nil && over.LogLoss != nil {
		d := difference(*m.LogLoss, *over.LogLoss, a, b, func(x measures) float64 { return x.loss })
		c.Log = &d
	}
	if m.Within != nil && over.Within != nil {
		d := difference(*m.Within, *over.Within, a, b, func(x measures) float64 { return x.within })
		c.Within = &d
	}
	return c
}

// entropy is the log loss of saying a share of all.
func entropy(p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	return p*logLoss(p) + (1-p)*logLoss(1-p)
}

func (r *Report) alert(p *replay, q *questions) {
	r.Alerts = append(r.Alerts, p.alerts(q, -1, "at random"))
	for i, x := range p.asker.predictors {
		if i != rateSoFar { // it says the same of all
			r.Alerts = append(r.Alerts, p.alerts(q, i, x.name))
		}
	}
}

// fill adds what the replay counted as it went.
func (r *Report) fill(p *replay) {
	if !p.options.NoValues {
		for i, e := range p.entrants {
			if p.sets.all[i][0].N > 0 && !e.Baseline {
				r.Sets = append(r.Sets, Sets{Name: e.Name, All: p.sets.all[i].coverage(), Changed: p.sets.changed[i].coverage()})
			}
		}
	}
	for _, v := range p.values {
		if v.all.N > 0 {
			r.Values = append(r.Values, v.all.report(v.name, v.chooser == nil))
		}
		if v.resolved.N > 0 {
			r.Resolved = append(r.Resolved, v.resolved.report(v.name, v.chooser == nil))
		}
	}
	for _, f := range p.follows {
		if f.Asked > 0 {
			r.Next = append(r.Next, f.report())
		}
	}
	for _, w := range p.verdicts {
		if j := w.judged(); len(j.Verdicts) > 0 || j.Alerts > 0 {
			r.Drift = append(r.Drift, j.report(w.name))
		}
	}
}

// Of returns the scores within a horizon of the name, nil if there is none.
func (r *Report) Of(horizon string) *Change {
	for i := range r.Change {
		if r.Change[i].Horizon == horizon {
			return &r.Change[i]
		}
	}
	return nil
}

// Score returns that of the predictor of the name, nil if there is none.
func (c *Change) Score(name string) *Score {
	for i := range c.Scores {
		if c.Scores[i].Name == name {
			return &c.Scores[i]
		}
	}
	return nil
}

// Comparison returns that of a model over another predictor, nil if there is
// none.
func (c *Change) Comparison(model, over string) *Comparison {
	for i := range c.Comparisons {
		if c.Comparisons[i].Model == model && c.Comparisons[i].Over == over {
			return &c.Comparisons[i]
		}
	}
	return nil
}
