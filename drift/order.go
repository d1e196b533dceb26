package drift

import (
	"cmp"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Sort puts first what asks for attention first: critical drifts, then those to
// dangerous values, then by verdict, then the newest.
func Sort(drifts []penumbra.Drift) {
	slices.SortStableFunc(drifts, func(a, b penumbra.Drift) int {
		return cmp.Or(
			penumbra.ComparePressing(&a, &b),
			cmp.Compare(b.Verdict, a.Verdict),
			b.Opened.Compare(a.Opened),
			cmp.Compare(a.ID, b.ID),
		)
	})
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
