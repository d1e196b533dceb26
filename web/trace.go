package web

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// trace is a metric over time, drawn as an SVG of 1000 by 100 units that is
// stretched to the width there is. Its labels stand beside it as text.
type trace struct {
	Metric      string
	First, Last time.Time // of the axis
	Low, High   string    // of the axis
	Line        string    // the means, as a path with gaps where nothing came
	Range       string    // from the least to the greatest value, as a closed path
	Spans       []traceSpan
	Marks       []traceMark
	Band        *traceBand // in which the metric is as usual
	Label       string     // for who does not see it
}

// traceSpan is the time of an anomaly.
type traceSpan struct {
	X, Width float64
	Worse    bool
	Title    string
}

// traceMark is a change at a time.
type traceMark struct {
	X     float64
	Title string
}

type traceBand struct{ Y, Height float64 }

const (
	traceWidth, traceHeight = 1000.0, 100.0
	// tracePoints bounds what a page holds of one metric: more than a screen
	// shows.
	tracePoints = 400
)

// traceOf draws what is kept of one metric between two times, nil if that is
// nothing. The rollups are of one span and in the order of time; usual is the
// band of values that are as usual, nil if that is not known.
func traceOf(metric string, rollups []penumbra.Rollup, first, last time.Time, usual *penumbra.Interval) *trace {
	if len(rollups) == 0 || !last.After(first) {
		return nil
	}
	rollups = thinned(rollups, tracePoints)
	low, high := math.Inf(1), math.Inf(-1)
	for i := range rollups {
		low, high = min(low, rollups[i].Min), max(high, rollups[i].Max)
	}
	t := &trace{Metric: metric, First: first, Last: last}
	if usual != nil {
		low, high = min(low, usual.Low), max(high, usual.High)
	}
	t.draw(rollups, low, high, usual)
	t.Label = fmt.Sprintf("%s between %s and %s, last %s", metric, penumbra.Quantity(low), penumbra.Quantity(high), penumbra.Quantity(rollups[len(rollups)-1].Last))
	return t
}

func (t *trace) draw(rollups []penumbra.Rollup, low, high float64, usual *penumbra.Interval) {
	t.Low, t.High = penumbra.Quantity(low), penumbra.Quantity(high)
	y := func(v float64) float64 {
		if high == low {
			return traceHeight / 2
		}
		return 4 + (traceHeight-8)*(high-v)/(high-low)
	}
	if usual != nil {
		t.Band = &traceBand{y(usual.High), max(1, y(usual.Low)-y(usual.High))}
	}
	var line, upper strings.Builder
	var lower []string
	closeRange := func() {
		slices.Reverse(lower)
		if len(lower) > 0 {
			upper.WriteString(strings.Join(lower, "") + "Z")
		}
		lower = lower[:0]
	}
	for i := range rollups {
		r := &rollups[i]
		verb := "L"
		if i == 0 || r.Start.Sub(rollups[i-1].Start) > rollups[i-1].Span+2*r.Span {
			closeRange()
			verb = "M"
		}
		// A span's values stand in its middle.
		x := t.x(r.Start.Add(r.Span / 2))
		fmt.Fprintf(&line, "%s%.1f %.1fh0", verb, x, y(r.Mean()))
		fmt.Fprintf(&upper, "%s%.1f %.1f", verb, x, y(r.Max))
		lower = append(lower, fmt.Sprintf("L%.1f %.1f", x, y(r.Min)))
	}
	closeRange()
	t.Line, t.Range = line.String(), upper.String()
}

// x is where a time stands, within the axis.
func (t *trace) x(at time.Time) float64 {
	return traceWidth * min(1, max(0, float64(at.Sub(t.First))/float64(t.Last.Sub(t.First))))
}

// mark adds the anomalies of the metric.
func (t *trace) mark(anomalies []penumbra.Anomaly) {
	for i := range anomalies {
		a := &anomalies[i]
		end := a.Ended
		if a.Active() {
			end = t.Last
		}
		if a.Metric != t.Metric || end.Before(t.First) || a.Onset.After(t.Last) {
			continue
		}
		x := t.x(a.Onset)
		t.Spans = append(t.Spans, traceSpan{x, max(2, t.x(end)-x), a.Worse, string(a.Kind) + ", " + a.Change()})
	}
}

func (t *trace) markChange(at time.Time, title string) {
	if !at.Before(t.First) && !at.After(t.Last) {
		t.Marks = append(t.Marks, traceMark{t.x(at), title})
	}
}

// thinned joins neighbours within equal times until there are at most n. What
// lies on two sides of a gap stays apart.
func thinned(rollups []penumbra.Rollup, n int) []penumbra.Rollup {
	if len(rollups) <= n {
		return rollups
	}
	begin := rollups[0].Start
	end := &rollups[len(rollups)-1]
	width := max(1, (end.Start.Add(end.Span).Sub(begin)+time.Duration(n-1))/time.Duration(n))
	var out []penumbra.Rollup
	last := time.Duration(-1)
	for _, x := range rollups {
		if bucket := x.Start.Sub(begin) / width; bucket != last {
			out, last = append(out, x), bucket
			continue
		}
		r := &out[len(out)-1]
		r.Count, r.Sum, r.Last = r.Count+x.Count, r.Sum+x.Sum, x.Last
		r.Min, r.Max = min(r.Min, x.Min), max(r.Max, x.Max)
		r.Span = x.Start.Add(x.Span).Sub(r.Start)
	}
	return out
}
