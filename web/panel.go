package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// panel is a metric on the axis of a plot. A null is a gap.
type panel struct {
	Name  string     `json:"name"`
	Times []float64  `json:"times"`
	Mean  []*float64 `json:"mean"`
	Low   []*float64 `json:"low"`
	High  []*float64 `json:"high"`
	Spans []span     `json:"spans"` // of its anomalies
	// Summary is for who does not see it.
	Summary string `json:"summary"`
}

// span is the time of an anomaly.
type span struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Worse bool    `json:"worse"`
	Title string  `json:"title"`
}

// shownPanels bounds the metrics that are drawn of one resource.
const shownPanels = 8

// rollupSpans are the spans that metrics are kept in, the finest first, and the
// longest axis that each is drawn on.
var rollupSpans = [...]struct{ span, most time.Duration }{{minute, 2 * day}, {time.Hour, math.MaxInt64}}

const day = 24 * time.Hour

// panels lays out the metrics of a resource, those that are not as usual first,
// and returns how many more there are.
func (s *site) panels(ctx context.Context, address penumbra.Address, a axis) (panels []panel, more int) {
	var rollups []penumbra.Rollup
	for i, x := range rollupSpans {
		if a.now.Sub(a.from) > x.most && i+1 < len(rollupSpans) {
			continue
		}
		if rollups = s.rollups(ctx, penumbra.RollupQuery{Resource: address, Span: x.span, From: a.from}); len(rollups) > 0 {
			break
		}
	}
	if len(rollups) == 0 { // the hours may not be written yet
		rollups = s.rollups(ctx, penumbra.RollupQuery{Resource: address, Span: minute, From: a.from})
	}
	if len(rollups) == 0 {
		return nil, 0
	}
	anomalies := s.anomalies(ctx, penumbra.AnomalyQuery{Resource: address, Limit: 200})
	byMetric := map[string][]penumbra.Rollup{}
	for _, r := range rollups {
		byMetric[r.Metric] = append(byMetric[r.Metric], r)
	}
	for metric, of := range byMetric {
		panels = append(panels, panelOf(metric, of, anomalies, a))
	}
	slices.SortFunc(panels, func(x, y panel) int {
		return cmp.Or(cmp.Compare(min(1, len(y.Spans)), min(1, len(x.Spans))), cmp.Compare(x.Name, y.Name))
	})
	if more = len(panels) - shownPanels; more > 0 {
		return panels[:shownPanels], more
	}
	return panels, 0
}

// panelOf lays out one metric; its rollups are of one span and in the order of
// time.
func panelOf(metric string, rollups []penumbra.Rollup, anomalies []penumbra.Anomaly, a axis) panel {
	rollups = thinned(rollups, tracePoints)
	p := panel{Name: metric}
	least, most := math.Inf(1), math.Inf(-1)
	for i := range rollups {
		r := &rollups[i]
		if i > 0 {
			before := &rollups[i-1]
			if end := before.Start.Add(before.Span); r.Start.Sub(before.Start) > before.Span+2*r.Span {
				p.add(end, nil, nil, nil)
			}
		}
		mean, low, high := r.Mean(), r.Min, r.Max
		least, most = min(least, low), max(most, high)
		p.add(r.Start.Add(r.Span/2), &mean, &low, &high)
	}
	p.Summary = fmt.Sprintf("%s between %s and %s, last %s", metric, penumbra.Quantity(least), penumbra.Quantity(most), penumbra.Quantity(rollups[len(rollups)-1].Last))
	for i := range anomalies {
		x := &anomalies[i]
		end := x.Ended
		if x.Active() {
			end = a.now
		}
		if x.Metric != metric || end.Before(a.from) || x.Onset.After(a.now) {
			continue
		}
		title := string(x.Kind) + ", " + x.Change()
		p.Spans = append(p.Spans, span{unix(x.Onset), unix(end), x.Worse, title})
		p.Summary += "; " + title + " from " + x.Onset.UTC().Format(clockLayout)
	}
	return p
}

func (p *panel) add(t time.Time, mean, low, high *float64) {
	p.Times = append(p.Times, unix(t))
	p.Mean, p.Low, p.High = append(p.Mean, mean), append(p.Low, low), append(p.High, high)
}
