package backtest

import (
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/departure"
)

// CorrectionReport is how well departures were foreseen.
type CorrectionReport struct {
	From     time.Time `json:"from"` // the first cut
	To       time.Time `json:"to"`   // the last
	Cuts     int       `json:"cuts"`
	Departed int       `json:"departures"` // in the whole history
	Unknown  int       `json:"corrections_unknown"`
	Repeated int       `json:"corrections_repeated"`
	// Estate is how many settings of all classes might have departed, on average
	// at a cut.
	Estate  float64         `json:"estate_settings"`
	Halves  []Foresight     `json:"foresight"` // of all cuts, of their first half and of their second
	Values  []NamedValue    `json:"values"`
	LogLoss float64         `json:"value_log_loss"`
	SetSize float64         `json:"value_set_size"`
	Weights []FeatureWeight `json:"weights"`
}

// Foresight is what was foreseen of the settings at risk, over some cuts.
type Foresight struct {
	Part       string             `json:"part"`
	Questions  int                `json:"questions"`
	Settings   int                `json:"settings"` // distinct
	Classes    int                `json:"classes"`
	Predictors []DepartPredictor  `json:"predictors"`
	Alerts     []DepartAlerts     `json:"alerts"`
	Base       map[string]float64 `json:"base_rates"` // by horizon
}

// DepartPredictor is how well one ranks.
type DepartPredictor struct {
	Name string `json:"name"`
	// AUC is the area under ROC of all questions together within 90 days, ByCut
	// its mean over the cuts that some setting departs after; the intervals are of
	// resampled commits.
	AUC           float64           `json:"auc_90d"`
	AUCInterval   penumbra.Interval `json:"auc_90d_interval"`
	ByCut         float64           `json:"auc_90d_by_cut"`
	ByCutInterval penumbra.Interval `json:"auc_90d_by_cut_interval"`
	AUC30         float64           `json:"auc_30d"`
	ByCut30       float64           `json:"auc_30d_by_cut"`
	LogLoss       float64           `json:"log_loss_90d,omitempty"` // where it says probabilities
	// Behind is how much larger the first predictor's ByCut is, of the same
	// resamples.
	Behind         float64           `json:"behind_by_cut"`
	BehindInterval penumbra.Interval `json:"behind_by_cut_interval"`
	resampled      []float64         // ByCut, by resample
}

// compare says how far the predictor is behind another.
func (x *DepartPredictor) compare(first *DepartPredictor) {
	var behind []float64
	for i := range x.resampled {
		behind = append(behind, first.resampled[i]-x.resampled[i])
	}
	x.Behind, x.BehindInterval = first.ByCut-x.ByCut, middle(behind)
}

// DepartAlerts is what alerting on the likeliest would have brought, by the
// rules of [Alerts].
type DepartAlerts struct {
	Alerts
	Horizon           string            `json:"horizon"`
	PrecisionInterval penumbra.Interval `json:"precision_interval"`
	RecallInterval    penumbra.Interval `json:"recall_interval"`
	// OverRandom are precision and recall by the mean of those of random alerts,
	// drawn twenty times.
	OverRandom       float64 `json:"precision_over_random"`
	RecallOverRandom float64 `json:"recall_over_random"`
}

// NamedValue is how often one named the value that was departed to.
type NamedValue struct {
	Name     string            `json:"name"`
	Share    float64           `json:"share"`
	Interval penumbra.Interval `json:"interval"`
	Second   float64           `json:"share_second_half"`
}

// FeatureWeight is what the model learnt of a feature, by horizon.
type FeatureWeight struct {
	Feature string                           `json:"feature"`
	Weights [len(departure.Horizons)]float64 `json:"weights"`
}

var spanNames = [spans]string{"7d", "30d", "90d"}

func (p *correcting) report() *CorrectionReport {
	r := &CorrectionReport{
		Cuts: len(p.cuts), Departed: len(p.seen.Departed), Unknown: p.seen.Unknown, Repeated: p.seen.Repeated,
		Estate: p.estate / float64(max(1, p.made)),
	}
	for i, name := range departure.FeatureNames {
		w := FeatureWeight{Feature: name}
		for k, all := range p.model.Weights() {
			w.Weights[k] = all[i]
		}
		r.Weights = append(r.Weights, w)
	}
	p.reportValues(r)
	if len(p.cuts) == 0 {
		return r
	}
	r.From, r.To = time.Unix(p.cuts[0], 0).UTC(), time.Unix(p.cuts[len(p.cuts)-1], 0).UTC()
	middle := p.cuts[len(p.cuts)/2]
	split := sort.Search(len(p.risks), func(i int) bool { return p.risks[i].at >= middle })
	r.Halves = []Foresight{p.foresight("all", p.risks), p.foresight("first half", p.risks[:split]), p.foresight("second half", p.risks[split:])}
	return r
}

// lots is how often random alerts are drawn.
const lots = 20

func (p *correcting) foresight(part string, risks []risk) Foresight {
	f := Foresight{Part: part, Questions: len(risks), Base: map[string]float64{}}
	settings, classes := map[settingAt]bool{}, map[string]bool{}
	for i := range risks {
		settings[risks[i].setting], classes[risks[i].class] = true, true
		for k := range spans {
			if risks[i].left(k) {
				f.Base[spanNames[k]] += 1 / float64(len(risks))
			}
		}
	}
	f.Settings, f.Classes = len(settings), len(classes)
	draws := p.draws()
	for who := range departers {
		f.Predictors = append(f.Predictors, p.rank(risks, who, draws))
		f.Predictors[who].compare(&f.Predictors[departs])
	}
	for _, span := range []int{month, season} {
		var precision, recall float64
		for i := range lots {
			lot := p.alerts(risks, byLot, span, uint64(i), nil)
			precision += lot.Precision / lots
			recall += lot.Recall / lots
		}
		for who := range departers {
			a := p.alerts(risks, who, span, lots, draws)
			a.OverRandom, a.RecallOverRandom = a.Precision/max(1e-9, precision), a.Recall/max(1e-9, recall)
			f.Alerts = append(f.Alerts, a)
		}
	}
	return f
}

// draws are how often each correction's commit is drawn, by resample.
func (p *correcting) draws() [][]float64 {
	number := map[string]int{}
	for _, d := range p.seen.Departed {
		if _, ok := number[d.Commit]; !ok {
			number[d.Commit] = len(number)
		}
	}
	random := rand.New(rand.NewPCG(p.options.Seed, 12))
	var out [][]float64
	for range max(0, p.options.Bootstrap) {
		w := weights(random, len(number))
		of := make([]float64, len(p.seen.Departed))
		for i, d := range p.seen.Departed {
			of[i] = w[number[d.Commit]]
		}
		out = append(out, of)
	}
	return out
}

// bout is one positive against the negatives: what share it is above.
type bout struct {
	departed int32
	cut      int64
	all, own float64 // against those of all cuts, and of its own
}

// rank computes the areas under ROC.
func (p *correcting) rank(risks []risk, who int, draws [][]float64) DepartPredictor {
	out := DepartPredictor{Name: departerNames[who]}
	long := bouts(risks, who, season)
	out.AUC, out.ByCut = area(long, nil)
	var all, byCut []float64
	for _, w := range draws {
		a, b := area(long, w)
		all, byCut = append(all, a), append(byCut, b)
	}
	out.resampled = slices.Clone(byCut) // before middle sorts them
	out.AUCInterval, out.ByCutInterval = middle(all), middle(byCut)
	out.AUC30, out.ByCut30 = area(bouts(risks, who, month), nil)
	if who == departs || who == pooledLeaves {
		for i := range risks {
			out.LogLoss += lossOf(float64(risks[i].said[who][season]), risks[i].left(season)) / float64(len(risks))
		}
	}
	return out
}

// bouts lets every setting that departs meet all that do not.
func bouts(risks []risk, who, span int) []bout {
	var stayed []float32
	begin := map[int64][]float32{}
	for i := range risks {
		if r := &risks[i]; !r.left(span) {
			stayed = append(stayed, r.said[who][span])
			begin[r.at] = append(begin[r.at], r.said[who][span])
		}
	}
	slices.Sort(stayed)
	for _, l := range begin {
		slices.Sort(l)
	}
	var out []bout
	for i := range risks {
		if r := &risks[i]; r.left(span) {
			out = append(out, bout{r.next, r.at, above(stayed, r.said[who][span]), above(begin[r.at], r.said[who][span])})
		}
	}
	return out
}

// above returns the share of sorted scores below x, half of the equal ones
// among them.
func above(sorted []float32, x float32) float64 {
	low := sort.Search(len(sorted), func(i int) bool { return sorted[i] >= x })
	high := sort.Search(len(sorted), func(i int) bool { return sorted[i] > x })
	return float64(low+high) / 2 / float64(max(1, len(sorted)))
}

// area returns the area under ROC of all and the mean of the cuts', with
// departures weighted.
func area(bouts []bout, weight []float64) (all, byCut float64) {
	var sum, cuts, cut, n float64
	for i := 0; i < len(bouts); {
		cut, n = 0, 0
		at := bouts[i].cut
		for ; i < len(bouts) && bouts[i].cut == at; i++ {
			w := 1.0
			if weight != nil {
				w = weight[bouts[i].departed]
			}
			all += w * bouts[i].all
			sum += w
			cut += w * bouts[i].own
			n += w
		}
		if n > 0 {
			byCut += cut / n
			cuts++
		}
	}
	return all / max(1e-9, sum), byCut / max(1, cuts)
}
