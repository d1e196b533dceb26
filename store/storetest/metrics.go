package storetest

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// fullAnomaly is an anomaly with every field set.
func fullAnomaly() penumbra.Anomaly {
	return penumbra.Anomaly{
		ID: "a-1", Resource: "shop/t.a", Metric: "latency", Kind: penumbra.LevelShift,
		Onset: minute(1), Time: minute(2).Add(time.Nanosecond), Ended: minute(3),
		Value: 9.5, Expected: 1, Band: penumbra.Interval{Low: 0.5, High: 2}, PValue: 1e-9, Worse: true, Drift: "d-1",
		Suspects: []penumbra.Suspect{{Resource: "shop/t.b", Path: "size", Before: secret, After: penumbra.Unknown(), Time: minute(1),
			Actor: "alice", ActorKind: penumbra.User, Action: "edit", Source: "log", Probability: 0.75, Reason: "just before"}},
	}
}

var anomalyTests = map[string]func(*testing.T, *opened){
	"anomalies come back as they were": func(t *testing.T, s *opened) {
		filled(t, fullAnomaly())
		filled(t, fullAnomaly().Suspects[0])
		want := []penumbra.Anomaly{fullAnomaly(), {ID: "a-0", Value: math.Inf(1)}}
		ok(t, s.SaveAnomalies(bg, want))
		ok(t, s.SaveAnomalies(bg, nil))
		ok(t, s.SaveAnomalies(bg, want[:1]))
		s.twice(func() {
			got, err := s.Anomalies(bg, penumbra.AnomalyQuery{})
			ok(t, err)
			equal(t, "anomalies", want, got)
		})
	},
	"anomaly queries, the last noticed first": func(t *testing.T, s *opened) {
		var all []penumbra.Anomaly
		for i := range 6 {
			a := penumbra.Anomaly{ID: fmt.Sprint("a-", i), Time: minute(i), Resource: []penumbra.Address{"shop/t.a", "pay/t.a"}[i%2]}
			if i > 3 {
				a.Ended = minute(10)
			}
			all = append(all, a)
		}
		ok(t, s.SaveAnomalies(bg, all))
		all[0].Ended = minute(8)
		ok(t, s.SaveAnomalies(bg, all[:1]))
		s.twice(func() {
			for name, tt := range map[string]struct {
				query penumbra.AnomalyQuery
				want  []int
			}{
				"all":          {penumbra.AnomalyQuery{}, []int{5, 4, 3, 2, 1, 0}},
				"one":          {penumbra.AnomalyQuery{ID: "a-3"}, []int{3}},
				"none":         {penumbra.AnomalyQuery{ID: "a-9"}, nil},
				"resource":     {penumbra.AnomalyQuery{Resource: "pay/t.a"}, []int{5, 3, 1}},
				"stack":        {penumbra.AnomalyQuery{Stack: "shop"}, []int{4, 2, 0}},
				"active":       {penumbra.AnomalyQuery{Active: true}, []int{3, 2, 1}},
				"from":         {penumbra.AnomalyQuery{From: minute(4)}, []int{5, 4}},
				"limit":        {penumbra.AnomalyQuery{Limit: 2}, []int{5, 4}},
				"all together": {penumbra.AnomalyQuery{Resource: "pay/t.a", Stack: "pay", Active: true, From: minute(1), Limit: 1}, []int{3}},
			} {
				got, err := s.Anomalies(bg, tt.query)
				ok(t, err)
				var want []penumbra.Anomaly
				for _, i := range tt.want {
					want = append(want, all[i])
				}
				equal(t, name, want, got)
			}
		})
	},
}

func fullRollup() penumbra.Rollup {
	return penumbra.Rollup{Resource: "shop/t.a", Metric: "latency", Start: minute(1).Add(time.Nanosecond), Span: time.Minute,
		Count: 3, Sum: 6.25, Min: -1e300, Max: 5, Last: 0.1}
}

var rollupTests = map[string]func(*testing.T, *opened){
	"rollups come back as they were, the newer in place of the older": func(t *testing.T, s *opened) {
		filled(t, fullRollup())
		first, last, other := fullRollup(), fullRollup(), fullRollup()
		last.Count, last.Sum = 4, 7
		other.Span = time.Hour
		ok(t, s.SaveRollups(bg, []penumbra.Rollup{other, first}))
		ok(t, s.SaveRollups(bg, []penumbra.Rollup{first, last}))
		ok(t, s.SaveRollups(bg, nil))
		s.append(simple("shop/t.b", minute(0), "x"), simple("shop/t.a", minute(0), "x"))
		s.twice(func() {
			got, err := s.Rollups(bg, penumbra.RollupQuery{})
			ok(t, err)
			equal(t, "rollups", []penumbra.Rollup{last, other}, got)
			equal(t, "observations beside them", 2, len(s.read(penumbra.ObservationQuery{})))
		})
	},
	"rollup queries, the oldest first, and pruning": func(t *testing.T, s *opened) {
		var all []penumbra.Rollup
		for i := range 200 {
			all = append(all, penumbra.Rollup{Start: minute(i), Resource: []penumbra.Address{"shop/t.a", "pay/t.a"}[i%2],
				Metric: []string{"latency", "errors", "load"}[i%3], Span: []time.Duration{time.Minute, time.Hour}[i/2%2], Count: int64(i)})
		}
		ok(t, s.SaveRollups(bg, all))
		check := func(name string, q penumbra.RollupQuery, keep func(i int) bool) {
			t.Helper()
			var want []penumbra.Rollup
			for i, r := range all {
				if keep(i) {
					want = append(want, r)
				}
			}
			got, err := s.Rollups(bg, q)
			ok(t, err)
			equal(t, name, want, got)
		}
		s.twice(func() {
			check("all", penumbra.RollupQuery{}, func(int) bool { return true })
			check("none", penumbra.RollupQuery{Metric: "no"}, func(int) bool { return false })
			check("resource", penumbra.RollupQuery{Resource: "pay/t.a"}, func(i int) bool { return i%2 == 1 })
			check("metric", penumbra.RollupQuery{Metric: "errors"}, func(i int) bool { return i%3 == 1 })
			check("span", penumbra.RollupQuery{Span: time.Hour}, func(i int) bool { return i/2%2 == 1 })
			check("times", penumbra.RollupQuery{From: minute(5), To: minute(9)}, func(i int) bool { return i >= 5 && i < 9 })
			check("all together", penumbra.RollupQuery{Resource: "pay/t.a", Metric: "errors", Span: time.Minute, From: minute(10), To: minute(90)},
				func(i int) bool { return i%2 == 1 && i%3 == 1 && i/2%2 == 0 && i >= 10 && i < 90 })
		})
		ok(t, s.PruneRollups(bg, time.Hour, minute(100)))
		s.twice(func() {
			check("pruned", penumbra.RollupQuery{}, func(i int) bool { return i/2%2 == 0 || i >= 100 })
		})
	},
	"a rollup that cannot be kept keeps out its batch": func(t *testing.T, s *opened) {
		for name, spoil := range map[string]func(*penumbra.Rollup){
			"no resource": func(r *penumbra.Rollup) { r.Resource = "" },
			"no metric":   func(r *penumbra.Rollup) { r.Metric = "" },
			"no span":     func(r *penumbra.Rollup) { r.Span = 0 },
			"no start":    func(r *penumbra.Rollup) { r.Start = time.Time{} },
			"NaN":         func(r *penumbra.Rollup) { r.Sum = math.NaN() },
			"infinite":    func(r *penumbra.Rollup) { r.Max = math.Inf(1) },
		} {
			bad := fullRollup()
			spoil(&bad)
			kind(t, name, s.SaveRollups(bg, []penumbra.Rollup{fullRollup(), bad}), penumbra.Invalid)
		}
		got, err := s.Rollups(bg, penumbra.RollupQuery{})
		ok(t, err)
		equal(t, "rollups", 0, len(got))
	},
	"rollups of many at once": func(t *testing.T, s *opened) {
		var wait sync.WaitGroup
		for w := range 4 {
			wait.Go(func() {
				for i := range 20 {
					r := fullRollup()
					r.Metric, r.Start = fmt.Sprint(i%3), minute(i*4+w)
					if err := s.SaveRollups(bg, []penumbra.Rollup{r}); err != nil {
						t.Error(err)
					}
					if _, err := s.Rollups(bg, penumbra.RollupQuery{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		got, err := s.Rollups(bg, penumbra.RollupQuery{})
		ok(t, err)
		equal(t, "rollups", 80, len(got))
	},
}
