package drift

import (
	"cmp"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Sort puts first what asks for attention first: critical drifts, then by
// verdict, then the newest.
func Sort(drifts []penumbra.Drift) {
	slices.SortStableFunc(drifts, func(a, b penumbra.Drift) int {
		return cmp.Or(
			cmp.Compare(rank(&b), rank(&a)),
			b.Opened.Compare(a.Opened),
			cmp.Compare(a.ID, b.ID),
		)
	})
}

func rank(d *penumbra.Drift) int {
	rank := int(d.Verdict)
	if d.Critical {
		rank += 1 << 8
	}
	return rank
}

// NewOrChanged returns, of what [Live] returned for a turn, the drifts that a
// person should hear of: those that are open and at that time opened or became
// worse. What is tolerated, acknowledged, or only lost a finding is not among
// them.
func NewOrChanged(saved []penumbra.Drift, at time.Time) []penumbra.Drift {
	var out []penumbra.Drift
	for _, d := range saved {
		if d.Status == penumbra.Open && d.Verdict != penumbra.Tolerated && d.Changed.Equal(at) {
			out = append(out, d)
		}
	}
	return out
}

// LeadTime returns how long before a setting left its template the shadow
// foresaw it; ok is false if it did not, or if nothing has left yet.
func LeadTime(d *penumbra.Drift) (lead time.Duration, ok bool) {
	if d.Foreseen.IsZero() || d.Cause.Time.IsZero() {
		return 0, false
	}
	return d.Cause.Time.Sub(d.Foreseen), true
}

// Coincides reports whether a drift is critical: a performance metric of the
// same resource left its band while the setting left, or within window after.
// A drift that is only impending has not changed anything yet.
func Coincides(d *penumbra.Drift, anomalies []penumbra.Anomaly, window time.Duration) bool {
	if d.Verdict == penumbra.Impending {
		return false
	}
	since, left := d.Cause.Time, d.Cause.Time
	if left.IsZero() {
		since, left = d.Opened, d.Opened
	}
	if d.Cause.Actor == "" && d.Cause.Action == "" && !d.Cause.After.IsZero() {
		since = d.Cause.After // no event says when between the snapshots it was
	}
	return slices.ContainsFunc(anomalies, func(a penumbra.Anomaly) bool {
		return a.Resource == d.Resource && !a.Time.Before(since) && !a.Time.After(left.Add(window))
	})
}
