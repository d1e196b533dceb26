package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// paged holds the pages of a list, each behind the last of the one before, against
// the whole list.
func paged[T any](t *testing.T, what string, whole func(limit int, last *T) ([]T, error)) {
	t.Helper()
	want, err := whole(0, nil)
	ok(t, err)
	if len(want) < 7 {
		t.Fatalf("%s: %d to page", what, len(want))
	}
	for _, limit := range []int{1, 2, 3, 100} {
		var got []T
		var last *T
		for range len(want) + 1 {
			page, err := whole(limit, last)
			ok(t, err)
			if len(page) > limit {
				t.Fatalf("%s: a page of %d has %d", what, limit, len(page))
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			last = &page[len(page)-1]
		}
		equal(t, fmt.Sprintf("%s by pages of %d", what, limit), want, got)
	}
}

// Several of one time are on each list: a page may end between them.
var pageTests = map[string]func(*testing.T, *opened){
	"pages of drifts": func(t *testing.T, s *opened) {
		var all []penumbra.Drift
		for i := range 16 {
			all = append(all, penumbra.Drift{ID: fmt.Sprint("d-", i), Resource: "shop/t.a", Changed: minute(i / 3), Status: []penumbra.DriftStatus{penumbra.Open, penumbra.Resolved}[i%2]})
		}
		ok(t, s.SaveDrifts(bg, all))
		s.twice(func() {
			paged(t, "resolved drifts", func(limit int, last *penumbra.Drift) ([]penumbra.Drift, error) {
				q := penumbra.DriftQuery{Resolved: true, Limit: limit}
				if last != nil {
					q.Before, q.BeforeID = last.Changed, last.ID
				}
				got, err := s.Drifts(bg, q)
				if slices.ContainsFunc(got, func(d penumbra.Drift) bool { return d.Active() }) {
					t.Error("an active drift among the resolved ones")
				}
				return got, err
			})
		})
	},
	"pages of runs": func(t *testing.T, s *opened) {
		for i := range 9 {
			ok(t, s.SaveRun(bg, penumbra.Run{ID: fmt.Sprint("r-", i), Stack: "shop", Started: minute(i / 3)}))
		}
		s.twice(func() {
			paged(t, "runs", func(limit int, last *penumbra.Run) ([]penumbra.Run, error) {
				q := penumbra.RunQuery{Limit: limit}
				if last != nil {
					q.Before, q.BeforeID = last.Started, last.ID
				}
				return s.Runs(bg, q)
			})
		})
	},
	"pages of decisions": func(t *testing.T, s *opened) {
		for i := range 9 {
			ok(t, s.Note(bg, penumbra.Decision{ID: fmt.Sprint("c-", 9-i), Drift: "d-1", Verb: penumbra.Snooze, By: "alice", Time: minute(i / 3)}))
		}
		s.twice(func() {
			paged(t, "decisions", func(limit int, last *penumbra.Decision) ([]penumbra.Decision, error) {
				q := penumbra.DecisionQuery{Drift: "d-1", Limit: limit}
				if last != nil {
					q.AfterID = last.ID
				}
				return s.Decisions(bg, q)
			})
		})
	},
	"pages of notices": func(t *testing.T, s *opened) {
		var all []penumbra.Notice
		for i := range 9 {
			all = append(all, penumbra.Notice{ID: fmt.Sprint("m-", i), Channel: "ops", State: penumbra.NoticeSent, Created: minute(i / 3)})
		}
		ok(t, s.Tell(bg, nil, all))
		s.twice(func() {
			paged(t, "notices", func(limit int, last *penumbra.Notice) ([]penumbra.Notice, error) {
				q := penumbra.NoticeQuery{Limit: limit}
				if last != nil {
					q.Before, q.BeforeID = last.Created, last.ID
				}
				got, err := s.Notices(bg, q)
				slices.Reverse(got) // pages go back in time
				return got, err
			})
		})
	},
	"pages of anomalies": func(t *testing.T, s *opened) {
		var all []penumbra.Anomaly
		for i := range 9 {
			all = append(all, penumbra.Anomaly{ID: fmt.Sprint("a-", i), Resource: "shop/t.a", Metric: "m", Time: minute(i / 3)})
		}
		ok(t, s.SaveAnomalies(bg, all))
		s.twice(func() {
			paged(t, "anomalies", func(limit int, last *penumbra.Anomaly) ([]penumbra.Anomaly, error) {
				q := penumbra.AnomalyQuery{Limit: limit}
				if last != nil {
					q.Before, q.BeforeID = last.Time, last.ID
				}
				return s.Anomalies(bg, q)
			})
		})
	},
}
