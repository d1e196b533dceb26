package diagnosis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// CriticalCoincidence is the chance of coincidence below which a drop in
	// performance makes a drift critical.
	CriticalCoincidence = 0.1
	// belongs is the chance of coincidence up to which an anomaly is said to belong
	// to a drift at all.
	belongs = 0.5
	// apart is how far apart a log's records of one change may be, and how long it may
	// take to show.
	apart = 10 * time.Second
	// maxImpacts bounds what is said of one drift.
	maxImpacts = 32
)

// Join returns what the drift did: the anomalies that more likely than not belong to
// it, each with the metric's change and the chance that it is coincidence, the surest
// first. r is the drift's resource, nil if it is not known: restarts among its recent
// events are when settings take effect, and other events are other causes. Suspects of
// an anomaly, if it has any, are taken as [Rank] gave them. Several drifts may share
// an anomaly. An impending drift did nothing yet. k may be nil.
func Join(d *penumbra.Drift, r *penumbra.Resource, anomalies []penumbra.Anomaly, rates Rates, k Knowledge) []penumbra.Impact {
	if d.Verdict == penumbra.Impending {
		return nil
	}
	own := changesOf(d)
	if len(own) == 0 {
		return nil
	}
	other := otherChanges(d, r)
	var out []penumbra.Impact
	for i := range anomalies {
		a := &anomalies[i]
		mine, explained := shareOf(d, own, other, a, rates, k)
		if 1-mine > belongs {
			continue
		}
		at := a.Onset
		if at.IsZero() {
			at = a.Time
		}
		out = append(out, penumbra.Impact{
			Anomaly: a.ID, Metric: a.Metric, Time: at,
			Before: a.Expected, After: a.Value, Worse: a.Worse, Coincidence: 1 - mine, Explained: explained,
		})
	}
	slices.SortFunc(out, func(x, y penumbra.Impact) int {
		return cmp.Or(cmp.Compare(x.Coincidence, y.Coincidence), x.Time.Compare(y.Time),
			cmp.Compare(x.Metric, y.Metric), cmp.Compare(x.Anomaly, y.Anomaly))
	})
	return out[:min(len(out), maxImpacts)]
}

// Critical reports whether one of the impacts is a drop in performance that is the
// drift's doing: the chance of coincidence is below [CriticalCoincidence]; or the drop is
// the doing of one of several changes, with no more than that chance of none, and more
// likely of this one than of all others together. Without the second rule a change that
// breaks a server among many that do not would come behind all that are surer of less.
func Critical(impacts []penumbra.Impact) bool {
	return slices.ContainsFunc(impacts, func(i penumbra.Impact) bool {
		return i.Worse && (i.Coincidence < CriticalCoincidence || i.Coincidence < belongs && 1-i.Explained < CriticalCoincidence)
	})
}

// shareOf returns the probability that the anomaly is the drift's doing, and that it is
// that of any change that was seen.
func shareOf(d *penumbra.Drift, own, other []Change, a *penumbra.Anomaly, rates Rates, k Knowledge) (mine, explained float64) {
	others := 0.0
	for i := range a.Suspects {
		if isOf(d, &a.Suspects[i]) {
			mine += a.Suspects[i].Probability
		} else {
			others += a.Suspects[i].Probability
		}
	}
	if mine > 0 {
		return min(1, mine), min(1, mine+others)
	}
	w := newWeigher(a, rates, k)
	around := slices.Concat(own, other)
	weight, shares, none := 0.0, 0.0, 1.0
	for i := range own {
		share := w.share(&own[i])
		weight += w.weigh(&own[i], around)
		shares += share
		none *= 1 - share
	}
	if weight == 0 {
		return 0, others
	}
	weight *= (1 - none) / shares // settings changed at once move the metric once
	rest := w.background
	if len(a.Suspects) > 0 {
		rest /= max(1e-9, 1-others)
	} else {
		for i := range other {
			rest += w.weigh(&other[i], around)
		}
	}
	sum := rest + weight
	return weight / sum, 1 - w.background/sum
}

// isOf reports whether a suspect is one of the drift's changes, or the event that the
// drift is put down to.
func isOf(d *penumbra.Drift, s *penumbra.Suspect) bool {
	if s.Resource != d.Resource {
		return false
	}
	since, at := when(d)
	if s.Path == "" {
		return told(d) && s.Action == d.Cause.Action && s.Time.Equal(at)
	}
	if _, found := d.Finding(s.Path); !found {
		return false
	}
	if since.IsZero() {
		since = d.Cause.After // the snapshot that showed it may have been taken for the change
	}
	if since.IsZero() || at.Before(since) {
		since = at // a look is dated by its end, and may have missed what happened while it went on
	}
	since = since.Add(-apart)
	until := at
	if d.Opened.After(until) {
		until = d.Opened
	}
	return !s.Time.Before(since) && !s.Time.After(until)
}

// told reports whether an event tells of the drift's cause.
func told(d *penumbra.Drift) bool { return d.Cause.Actor != "" || d.Cause.Action != "" }

// when returns the time of the drift's cause, and if no event tells of it, the look
// before.
func when(d *penumbra.Drift) (since, at time.Time) {
	at = d.Cause.Time
	if at.IsZero() {
		at = d.Opened
	}
	if !told(d) && d.Cause.After.Before(at) {
		since = d.Cause.After
	}
	return since, at
}

// changesOf returns the drift as changes: a setting that left for each finding.
func changesOf(d *penumbra.Drift) []Change {
	since, at := when(d)
	var out []Change
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Verdict != penumbra.Drifted && f.Verdict != penumbra.Unexpected && f.Verdict != penumbra.Tolerated {
			continue
		}
		c := Change{
			Resource: d.Resource, Type: d.Type, Path: f.Path, Before: f.Template, After: f.Actual,
			Time: at, Since: since, Actor: d.Cause.Actor, ActorKind: d.Cause.ActorKind,
			Action: d.Cause.Action, Source: d.Cause.Source,
			Declared: f.Declared, Surprise: surpriseOf(f),
		}
		c.Unexpected = f.Expectation.Support > 0 && !f.Expectation.Contains(f.Actual)
		out = append(out, c)
	}
	return out
}

// surpriseOf returns -ln of the probability that the shadow gave the actual value, 0 if
// it did not say.
func surpriseOf(f *penumbra.Finding) float64 {
	for _, c := range f.Expectation.Values {
		if c.Value == f.Actual && c.Probability > 0 && c.Probability <= 1 {
			return -math.Log(c.Probability)
		}
	}
	return 0
}

// otherChanges returns the resource's recent events that are not the drift's.
func otherChanges(d *penumbra.Drift, r *penumbra.Resource) []Change {
	if r == nil {
		return nil
	}
	var out []Change
	for i := range r.Recent {
		t := &r.Recent[i]
		c := Change{
			Resource: d.Resource, Type: d.Type, Time: t.Time, Actor: t.Actor, ActorKind: t.ActorKind,
			Action: t.Action, Source: t.Source,
		}
		if told(d) && t.Action == d.Cause.Action && t.Time.Equal(d.Cause.Time) {
			continue
		}
		if len(t.Paths) == 0 {
			out = append(out, c)
		}
		for _, path := range t.Paths {
			if _, own := d.Finding(path); !own {
				c.Path = path
				out = append(out, c)
			}
		}
	}
	return out
}
