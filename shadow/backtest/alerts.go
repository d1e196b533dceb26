package backtest

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"
)

// Alerts is what alerting on the likeliest settings would have brought: at each
// cut as many as the budget of its time allows, the likeliest within the longest
// horizon first, one alert for a setting until it has left or the horizon is
// over.
type Alerts struct {
	Name    string  `json:"name"`
	PerWeek float64 `json:"per_week"` // the budget
	Alerts  int     `json:"alerts"`
	// Precision is the share of the alerts whose setting left within the horizon,
	// Recall the share of all times that a setting left with an alert open.
	Precision float64 `json:"precision"`
	Events    int     `json:"events"`
	Recall    float64 `json:"recall"`
	// LeadMedian and LeadTenth are days from the alert to the leaving, at the
	// median and the 10th percentile of those that came true.
	LeadMedian float64 `json:"lead_median_days"`
	LeadTenth  float64 `json:"lead_tenth_days"`
}

// ranked is a row that may be alerted on.
type ranked struct {
	level uint16
	tie   uint32 // which of equal ones comes first: by lot
	row   int32
}

func compareRanked(a, b ranked) int {
	return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.tie, b.tie), cmp.Compare(a.row, b.row))
}

// lowest is a heap with the least likely on top.
type lowest []ranked

func (h lowest) Len() int           { return len(h) }
func (h lowest) Less(i, j int) bool { return compareRanked(h[i], h[j]) < 0 }
func (h lowest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lowest) Push(x any)        { *h = append(*h, x.(ranked)) }
func (h *lowest) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// alerts alerts by what a predictor said; one below 0 alerts at random.
func (p *replay) alerts(q *questions, predictor int, name string) Alerts {
	out := Alerts{Name: name, PerWeek: p.options.Alerts}
	random := rand.New(rand.NewPCG(p.options.Seed, 7))
	closed := make([]int64, len(q.class)) // until when each setting's alert is open
	budget := 0.0
	hit, events := map[int32]bool{}, map[int32]bool{} // by change
	var leads []float64
	var top lowest
	for i := range q.cuts {
		c := &q.cuts[i]
		budget += p.options.Alerts * p.options.Every.Hours() / (7 * 24)
		top = top[:0]
		for row, s := range c.setting {
			if closed[s] > c.at {
				continue
			}
			x := ranked{tie: random.Uint32(), row: int32(row)}
			if predictor >= 0 {
				x.level = c.answers[predictor][q.horizon][row]
			}
			switch {
			case len(top) < int(budget):
				heap.Push(&top, x)
			case len(top) > 0 && compareRanked(x, top[0]) > 0:
				top[0] = x
				heap.Fix(&top, 0)
			}
		}
		budget -= float64(len(top))
		for _, x := range top {
			out.Alerts++
			until := c.at + q.seconds
			if first := c.left[x.row]; first >= 0 && p.world.when(first) <= until {
				until = p.world.when(first)
				hit[first] = true
				leads = append(leads, float64(until-c.at)/86400)
			}
			closed[c.setting[x.row]] = until
		}
	}
	for _, x := range q.positives {
		events[q.cuts[x.cut].left[x.row]] = true
	}
	out.Events = len(events)
	out.Precision = float64(len(leads)) / max(1, float64(out.Alerts))
	out.Recall = float64(len(hit)) / max(1, float64(len(events)))
	slices.Sort(leads)
	out.LeadMedian, out.LeadTenth = quantile(leads, 0.5), quantile(leads, 0.1)
	return out
}
