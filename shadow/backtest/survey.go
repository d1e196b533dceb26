package backtest

import (
	"iter"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const day = 24 * time.Hour

// Survey is what a first pass over a history finds: all that [Options.Plan] asks
// of it.
type Survey struct {
	First, Last time.Time // of the observations, zero if there is none
	// Live are the scored settings at the end of each day that has an observation,
	// by days since 1970. They are not counted if the options say how far cuts are
	// apart.
	Live      map[int64]int
	Snapshots bool // there are some, so that verdicts can be scored
}

// SurveyOf goes over a history, or over all that is known of some of its
// resources, in the order of time.
func SurveyOf(observations iter.Seq[*penumbra.Observation], o *Options) *Survey {
	s := &Survey{Live: map[int64]int{}}
	w := newWorld(o)
	for x := range observations {
		if s.First.IsZero() {
			s.First = x.Time
		}
		s.Last = x.Time
		s.Snapshots = s.Snapshots || x.Kind == penumbra.SnapshotKind
		if o.Every == 0 {
			w.fold(x, 0)
			s.Live[x.Time.Unix()/86400] = w.live
		}
	}
	return s
}

// JoinSurveys returns the survey of an estate from those of parts that have no
// resource in common. It is what one pass over all of them would find.
func JoinSurveys(parts []*Survey) *Survey {
	whole := &Survey{Live: map[int64]int{}}
	var days []int64
	for _, x := range parts {
		if x.First.IsZero() {
			continue
		}
		if whole.First.IsZero() || x.First.Before(whole.First) {
			whole.First = x.First
		}
		if x.Last.After(whole.Last) {
			whole.Last = x.Last
		}
		whole.Snapshots = whole.Snapshots || x.Snapshots
		for d := range x.Live {
			days = append(days, d)
		}
	}
	slices.Sort(days)
	days = slices.Compact(days)
	for _, x := range parts {
		live := 0
		for _, d := range days {
			if n, ok := x.Live[d]; ok {
				live = n
			}
			whole.Live[d] += live
		}
	}
	return whole
}

// spacing returns the time between cuts that the number of questions allows.
func (s *Survey) spacing(from, to time.Time) time.Duration {
	for _, every := range []time.Duration{day, 7 * day} {
		questions, live := 0, 0
		next := from.Unix()
		for d := s.First.Unix() / 86400; d <= to.Unix()/86400; d++ {
			if n, ok := s.Live[d]; ok {
				live = n
			}
			for ; next/86400 == d; next += int64(every / time.Second) {
				questions += live
			}
		}
		if questions <= AutomaticQuestions {
			return every
		}
	}
	return 30 * day
}
