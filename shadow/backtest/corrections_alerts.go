package backtest

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra/shadow/departure"
)

// raised is what came of alerts.
type raised struct {
	alerts int
	hits   []int32        // the departures that alerts came true by
	hit    map[int32]bool // the same
	events []int32        // all departures that some question was about
	leads  []float64      // days
}

// alerts alerts by what a predictor said.
func (p *correcting) alerts(risks []risk, who, span int, lot uint64, draws [][]float64) DepartAlerts {
	r := p.raise(risks, who, span, lot)
	out := DepartAlerts{Alerts: Alerts{Name: departerNames[who], PerWeek: p.options.Alerts, Alerts: r.alerts, Events: len(r.events)}, Horizon: spanNames[span]}
	out.Precision, out.Recall = r.score(func(int32) float64 { return 1 })
	var precisions, recalls []float64
	for _, w := range draws {
		a, b := r.score(func(d int32) float64 { return w[d] })
		precisions, recalls = append(precisions, a), append(recalls, b)
	}
	out.PrecisionInterval, out.RecallInterval = middle(precisions), middle(recalls)
	out.LeadMedian, out.LeadTenth = quantile(r.leads, 0.5), quantile(r.leads, 0.1)
	return out
}

// raise alerts on the likeliest within the budget of each cut, one alert for a
// setting until it has departed or the horizon is over. Equal ones come by lot.
func (p *correcting) raise(risks []risk, who, span int, lot uint64) *raised {
	type entry struct {
		said float32
		lot  uint32
		r    *risk
	}
	out := &raised{hit: map[int32]bool{}}
	seconds := int64(departure.Horizons[span] / time.Second)
	random := rand.New(rand.NewPCG(p.options.Seed, 13+lot))
	closed, events := map[settingAt]int64{}, map[int32]bool{}
	budget := 0.0
	for i := 0; i < len(risks); {
		var open []entry
		for at := risks[i].at; i < len(risks) && risks[i].at == at; i++ {
			r := &risks[i]
			if r.left(span) {
				events[r.next] = true
			}
			if closed[r.setting] > at {
				continue
			}
			x := entry{lot: random.Uint32(), r: r}
			if who != byLot {
				x.said = r.said[who][span]
			}
			open = append(open, x)
		}
		slices.SortFunc(open, func(a, b entry) int { return cmp.Or(cmp.Compare(b.said, a.said), cmp.Compare(a.lot, b.lot)) })
		budget += p.options.Alerts * p.options.Every.Hours() / (7 * 24)
		n := min(int(budget), len(open))
		budget -= float64(n)
		for _, x := range open[:n] {
			closed[x.r.setting] = out.alert(x.r, span, seconds)
		}
	}
	out.events = slices.Sorted(maps.Keys(events))
	return out
}

// alert raises one and returns until when it is open.
func (o *raised) alert(r *risk, span int, seconds int64) int64 {
	o.alerts++
	if !r.left(span) {
		return r.at + seconds
	}
	o.hit[r.next] = true
	o.hits = append(o.hits, r.next)
	o.leads = append(o.leads, float64(r.elapsed)/86400)
	return r.at + r.elapsed
}

// score returns precision and recall with departures weighted.
func (o *raised) score(weight func(departed int32) float64) (precision, recall float64) {
	var right, caught, all float64
	for _, d := range o.hits {
		right += weight(d)
	}
	for _, d := range o.events {
		all += weight(d)
		if o.hit[d] {
			caught += weight(d)
		}
	}
	missed := float64(o.alerts - len(o.hits))
	return right / max(1e-9, right+missed), caught / max(1e-9, all)
}
