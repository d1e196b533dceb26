package backtest

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func halve(d time.Duration) float64 { return math.Exp2(-d.Hours() / 24 / 90) }

// Report is what a backtest found.
type Report struct {
	Questions int // settings asked about, over all cuts
	Changed   int
	Cuts      int
	Scores    [len(Predictors)]Score
	// LogLoss is the model's, BaseLogLoss that of always saying the base rate,
	// which nobody knows beforehand; in nats.
	LogLoss, BaseLogLoss float64
	Brier                float64
	// Gain is the mean over the cuts of the model's PR-AUC less the decayed own
	// count's, with a 95 % interval by resampling cuts.
	Gain, GainLow, GainHigh float64
	Reliability             []Bin
	Coverage                Coverage
}

// Score is how well a predictor ranks.
type Score struct {
	ROC, PR, Lift float64 // area under ROC and precision-recall; lift of the top 1 %
	// Within is the area under ROC of the pairs that share type and path: which
	// resource, not which setting.
	Within float64
}

// Bin compares what was said with what happened.
type Bin struct {
	Low, High     float64 // of the probability said
	Said, Changed float64 // means
	N             int
}

// Coverage counts how often the value was in the set, by confidence.
type Coverage struct {
	All, Changed        int
	AllIn, ChangedIn    [len(Confidences)]int
	Novel, ChangedNovel [len(Confidences)]int // sets with room for something new
	Values              [len(Confidences)]int // sum of the sets' sizes
}

func (c *Coverage) add(sets *[len(Confidences)]penumbra.Expectation, v penumbra.Value, changed bool) {
	c.All++
	if changed {
		c.Changed++
	}
	for i := range sets {
		e := &sets[i]
		in := e.Contains(v)
		c.Values[i] += len(e.Values)
		if in {
			c.AllIn[i]++
		}
		if e.Novel {
			c.Novel[i]++
		}
		if changed && in {
			c.ChangedIn[i]++
		}
		if changed && e.Novel {
			c.ChangedNovel[i]++
		}
	}
}

func (p *replay) report() *Report {
	r := &Report{Questions: len(p.rows), Cuts: int(p.cuts), Coverage: p.cover}
	for _, x := range p.rows {
		if x.changed {
			r.Changed++
		}
	}
	if r.Changed == 0 || r.Changed == r.Questions {
		return r
	}
	// The rows come from maps: a fixed order makes sums repeatable.
	slices.SortFunc(p.rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.cut, b.cut), cmp.Compare(a.scores[model], b.scores[model]), compareBool(a.changed, b.changed))
	})
	r.gain(p.rows)
	base := float64(r.Changed) / float64(r.Questions)
	for _, x := range p.rows {
		said := min(1-1e-6, max(1e-6, float64(x.scores[model])))
		y := 0.0
		if x.changed {
			y = 1
		}
		r.LogLoss -= (y*math.Log(said) + (1-y)*math.Log1p(-said)) / float64(r.Questions)
		r.Brier += (said - y) * (said - y) / float64(r.Questions)
	}
	r.BaseLogLoss = -base*math.Log(base) - (1-base)*math.Log1p(-base)
	r.reliability(p.rows)
	for k := range Predictors {
		r.Scores[k] = rank(p.rows, k)
		r.Scores[k].Within = within(p.rows, k)
	}
	return r
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// rank computes areas with ties shared: a group of equal scores counts as one
// step. PR is average precision.
func rank(rows []row, k int) Score {
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.scores[k], a.scores[k]) })
	var positives float64
	for _, x := range rows {
		if x.changed {
			positives++
		}
	}
	n := float64(len(rows))
	negatives := n - positives
	top := math.Max(1, n/100)
	var s Score
	var seen, hits, caught float64
	for i := 0; i < len(rows); {
		j, group := i, 0.0
		for ; j < len(rows) && rows[j].scores[k] == rows[i].scores[k]; j++ {
			if rows[j].changed {
				group++
			}
		}
		size := float64(j - i)
		misses := seen - hits
		s.ROC += group * (negatives - misses - (size-group)/2)
		if seen < top {
			caught += group * min(1, (top-seen)/size)
		}
		seen, hits = seen+size, hits+group
		s.PR += group / positives * hits / seen
		i = j
	}
	s.ROC /= positives * negatives
	s.Lift = caught / top / (positives / n)
	return s
}

// within is the area under ROC over all pairs of one class.
func within(rows []row, k int) float64 {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.cut, b.cut))
	})
	var won, pairs float64
	for i := 0; i < len(rows); {
		j, positives := i, 0.0
		for ; j < len(rows) && rows[j].class == rows[i].class && rows[j].cut == rows[i].cut; j++ {
			if rows[j].changed {
				positives++
			}
		}
		if negatives := float64(j-i) - positives; positives > 0 && negatives > 0 {
			won += rank(rows[i:j], k).ROC * positives * negatives
			pairs += positives * negatives
		}
		i = j
	}
	return won / max(pairs, 1)
}

// gain resamples cuts, which the rows are sorted by.
func (r *Report) gain(rows []row) {
	var gains []float64
	for i := 0; i < len(rows); {
		j, positives := i, 0
		for ; j < len(rows) && rows[j].cut == rows[i].cut; j++ {
			if rows[j].changed {
				positives++
			}
		}
		if positives > 0 {
			part := slices.Clone(rows[i:j])
			gains = append(gains, rank(part, model).PR-rank(part, model-1).PR)
		}
		i = j
	}
	random := rand.New(rand.NewPCG(1, 2))
	means := make([]float64, 2000)
	for b := range means {
		for range gains {
			means[b] += gains[random.IntN(len(gains))] / float64(len(gains))
		}
	}
	slices.Sort(means)
	for _, g := range gains {
		r.Gain += g / float64(len(gains))
	}
	r.GainLow, r.GainHigh = means[len(means)/40], means[len(means)-len(means)/40-1]
}

func (r *Report) reliability(rows []row) {
	edges := []float64{0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 1}
	r.Reliability = make([]Bin, len(edges)-1)
	for _, x := range rows {
		said := float64(x.scores[model])
		i := 0
		for i < len(edges)-2 && said >= edges[i+1] {
			i++
		}
		b := &r.Reliability[i]
		b.Low, b.High = edges[i], edges[i+1]
		b.N++
		b.Said += said
		if x.changed {
			b.Changed++
		}
	}
	for i := range r.Reliability {
		b := &r.Reliability[i]
		b.Said /= max(1, float64(b.N))
		b.Changed /= max(1, float64(b.N))
	}
}

// WriteText writes the report as tables.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	n := max(1, float64(r.Questions))
	fmt.Fprintf(t, "%d questions at %d cuts, %d changed (base %.3f %%)\n", r.Questions, r.Cuts, r.Changed, 100*float64(r.Changed)/n)
	fmt.Fprintln(t, "predictor\tPR-AUC\tROC-AUC\tlift@1%\twithin class")
	for i, s := range r.Scores {
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.1f\t%.3f\n", Predictors[i], s.PR, s.ROC, s.Lift, s.Within)
	}
	fmt.Fprintf(t, "log loss %.5f, base rate %.5f; Brier %.5f; PR-AUC over decayed count, mean of cuts %+.3f [%+.3f, %+.3f]\n",
		r.LogLoss, r.BaseLogLoss, r.Brier, r.Gain, r.GainLow, r.GainHigh)
	fmt.Fprintln(t, "said\tmean\thappened\tn")
	for _, b := range r.Reliability {
		if b.N > 0 {
			fmt.Fprintf(t, "%g-%g\t%.4f\t%.4f\t%d\n", b.Low, b.High, b.Said, b.Changed, b.N)
		}
	}
	if c := r.Coverage; c.All > 0 {
		fmt.Fprintf(t, "%d sets, of them %d of settings that changed\n", c.All, c.Changed)
		fmt.Fprintln(t, "confidence\tcovered\tof changed\tnovel\tof changed\tmean size")
		for i, q := range Confidences {
			all, changed := float64(c.All), max(1, float64(c.Changed))
			fmt.Fprintf(t, "%.0f %%\t%.4f\t%.3f\t%.4f\t%.3f\t%.3f\n", 100*q, float64(c.AllIn[i])/all, float64(c.ChangedIn[i])/changed,
				float64(c.Novel[i])/all, float64(c.ChangedNovel[i])/changed, float64(c.Values[i])/all)
		}
	}
	return t.Flush()
}
