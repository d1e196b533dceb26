package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// minute is the span of the metrics that are plotted, kept for two days.
	minute = time.Minute
	// traceAround is how much of a metric is shown before and after a change.
	traceAround = 45 * time.Minute
)

// anomalies returns the selected ones. A page does without where none can be
// had: it says what is, and not only how that performs.
func (s *site) anomalies(ctx context.Context, q penumbra.AnomalyQuery) []penumbra.Anomaly {
	found, err := s.service.Anomalies(ctx, q)
	if err != nil {
		return nil
	}
	return found
}

func (s *site) rollups(ctx context.Context, q penumbra.RollupQuery) []penumbra.Rollup {
	found, err := s.service.Rollups(ctx, q)
	if err != nil {
		return nil
	}
	return found
}

// anomalyView is an anomaly with its metric around it.
type anomalyView struct {
	penumbra.Anomaly
	Trace  *trace
	Unseen float64 // the probability that the cause is none of the suspects
}

// IsSilence reports whether there are no values to tell of.
func (v *anomalyView) IsSilence() bool { return v.Kind == penumbra.Silence }

func (s *site) anomalyView(ctx context.Context, a penumbra.Anomaly, now time.Time) *anomalyView {
	v := &anomalyView{Anomaly: a, Unseen: 1}
	for i := range a.Suspects {
		v.Unseen -= a.Suspects[i].Probability
	}
	first, last := a.Onset.Add(-traceAround), a.Time.Add(traceAround)
	if !a.Active() && a.Ended.After(a.Time) {
		last = a.Ended.Add(traceAround)
	}
	if last.After(now) && now.After(first) {
		last = now
	}
	span := minute
	if last.Sub(first) > 2*24*time.Hour || now.Sub(first) > 2*24*time.Hour {
		// Minutes are not kept as long as that.
		span, first, last = time.Hour, first.Add(-24*time.Hour), last.Add(24*time.Hour)
	}
	var usual *penumbra.Interval
	if a.Kind != penumbra.Silence {
		usual = &a.Band
	}
	v.Trace = traceOf(a.Metric, s.rollups(ctx, penumbra.RollupQuery{Resource: a.Resource, Metric: a.Metric, Span: span, From: first, To: last}), first, last, usual)
	if v.Trace == nil {
		return v
	}
	v.Trace.mark([]penumbra.Anomaly{a})
	for i := range a.Suspects {
		x := &a.Suspects[i]
		v.Trace.markChange(x.Time, suspectWords(x))
	}
	return v
}

// impactView is what a drift did to a metric.
type impactView struct {
	penumbra.Impact
	Anomaly *anomalyView // nil if it is no longer known
}

func (s *site) impacts(ctx context.Context, d *penumbra.Drift, now time.Time) []impactView {
	out := make([]impactView, 0, len(d.Impact))
	for _, x := range penumbra.GravestFirst(d.Impact) {
		v := impactView{Impact: x}
		if found := s.anomalies(ctx, penumbra.AnomalyQuery{ID: x.Anomaly}); x.Anomaly != "" && len(found) > 0 {
			v.Anomaly = s.anomalyView(ctx, found[0], now)
		}
		out = append(out, v)
	}
	return out
}

func (s *site) anomaly(w http.ResponseWriter, r *http.Request, sess session) error {
	id := r.URL.Query().Get("id")
	found, err := s.service.Anomalies(r.Context(), penumbra.AnomalyQuery{ID: id})
	if err != nil {
		return err
	}
	if id == "" || len(found) == 0 {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no anomaly " + id, Remedy: "see the list of those that go on"}
	}
	s.show(w, http.StatusOK, "anomaly.html", s.frame(r, found[0].Metric, sess, s.anomalyView(r.Context(), found[0], s.now())))
	return nil
}

// shownAnomalies bounds the anomalies that are looked through.
const shownAnomalies = 200

// anomalyList is the metrics that are not as usual, and those that were not.
type anomalyList struct {
	Active, Over []penumbra.Anomaly
	Watched      int // series
}

func (s *site) anomalyList(w http.ResponseWriter, r *http.Request, sess session) error {
	found, err := s.service.Anomalies(r.Context(), penumbra.AnomalyQuery{Limit: shownAnomalies})
	if err != nil {
		return err
	}
	status, err := s.service.Status(r.Context())
	if err != nil {
		return err
	}
	var list anomalyList
	for _, a := range worseFirst(found) {
		if a.Active() {
			list.Active = append(list.Active, a)
		} else {
			list.Over = append(list.Over, a)
		}
	}
	slices.SortStableFunc(list.Over, func(a, b penumbra.Anomaly) int { return b.Ended.Compare(a.Ended) })
	for _, x := range status.Inputs {
		list.Watched += x.Series
	}
	s.show(w, http.StatusOK, "anomalies.html", s.frame(r, "Metrics", sess, list))
	return nil
}

// suspectWords says what a suspect did.
func suspectWords(s *penumbra.Suspect) string {
	switch {
	case s.Path != "":
		return s.Path + " " + s.Before.String() + " → " + s.After.String()
	case s.Action != "":
		return s.Action
	default:
		return "an event"
	}
}
