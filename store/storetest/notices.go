package storetest

import (
	"fmt"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// fullNotice is a notice with every field set.
func fullNotice() penumbra.Notice {
	return penumbra.Notice{
		ID: "m-1", Channel: "ops", Key: "k-1", About: penumbra.AboutDrift, Verb: penumbra.NoticeResolved, Severity: penumbra.CriticalSeverity,
		Title: "t", Lines: []string{"a", "b"}, Facts: []penumbra.NoticeFact{{Name: "actor", Value: "alice"}},
		Stacks: []string{"shop"}, Environments: []string{"prod"}, Verdicts: []string{"drifted", "impending"},
		Resources: []penumbra.Address{"shop/t.a"}, Subjects: []string{"d-1"}, URL: "https://penumbra.example/drifts/d-1",
		Began: minute(1), Ended: minute(2), Created: minute(3), Folds: []string{"m-0"},
		State: penumbra.NoticeDead, Attempts: 3, Next: minute(4), Sent: minute(5), Error: "e", Thread: "1.2",
	}
}

var noticeTests = map[string]func(*testing.T, *opened){
	"notices come back as they were": func(t *testing.T, s *opened) {
		filled(t, fullNotice())
		want := []penumbra.Notice{{ID: "m-0"}, fullNotice()}
		ok(t, s.Tell(bg, nil, want))
		ok(t, s.Tell(bg, nil, nil))
		s.twice(func() {
			got, err := s.Notices(bg, penumbra.NoticeQuery{})
			ok(t, err)
			equal(t, "notices", want, got)
		})
	},
	"notice queries, the oldest first": func(t *testing.T, s *opened) {
		var all []penumbra.Notice
		states := []penumbra.NoticeState{penumbra.NoticeWaiting, penumbra.NoticeSent, penumbra.NoticeDead}
		for i := range 6 {
			all = append(all, penumbra.Notice{ID: fmt.Sprint("m-", i), Created: minute(9 - i), State: states[i%3],
				Channel: []string{"ops", "mail"}[i%2], Key: fmt.Sprint("k-", i%3)})
		}
		ok(t, s.Tell(bg, nil, all))
		all[0].State, all[0].Attempts = penumbra.NoticeSent, 1
		ok(t, s.Tell(bg, nil, all[:1]))
		s.twice(func() {
			for name, tt := range map[string]struct {
				query penumbra.NoticeQuery
				want  []int
			}{
				"all":        {penumbra.NoticeQuery{}, []int{5, 4, 3, 2, 1, 0}},
				"one":        {penumbra.NoticeQuery{ID: "m-3"}, []int{3}},
				"none":       {penumbra.NoticeQuery{ID: "m-9"}, nil},
				"channel":    {penumbra.NoticeQuery{Channel: "mail"}, []int{5, 3, 1}},
				"key":        {penumbra.NoticeQuery{Key: "k-0"}, []int{3, 0}},
				"states":     {penumbra.NoticeQuery{States: states[:2]}, []int{4, 3, 1, 0}},
				"the newest": {penumbra.NoticeQuery{Limit: 2}, []int{1, 0}},
			} {
				got, err := s.Notices(bg, tt.query)
				ok(t, err)
				var want []penumbra.Notice
				for _, i := range tt.want {
					want = append(want, all[i])
				}
				equal(t, name, want, got)
			}
		})
	},
	"what was told is kept by channel and subject until it is over": func(t *testing.T, s *opened) {
		full := penumbra.Told{Channel: "ops", Subject: "drift/d-1", Key: "k-1", Said: "x", About: penumbra.AboutDrift,
			Severity: penumbra.HighSeverity, Began: minute(1), Time: minute(2), Over: true}
		filled(t, full)
		full.Over = false
		other, mail := full, full
		other.Subject, mail.Channel = "drift/d-2", "mail"
		ok(t, s.Tell(bg, []penumbra.Told{other, full, mail}, nil))
		full.Said, full.Time = "y", minute(3)
		ok(t, s.Tell(bg, []penumbra.Told{full}, nil))
		s.twice(func() {
			got, err := s.Told(bg, "ops")
			ok(t, err)
			equal(t, "told", []penumbra.Told{full, other}, got)
		})
		full.Over = true
		ok(t, s.Tell(bg, []penumbra.Told{full}, nil))
		s.twice(func() {
			got, err := s.Told(bg, "ops")
			ok(t, err)
			equal(t, "told", []penumbra.Told{other}, got)
			got, err = s.Told(bg, "mail")
			ok(t, err)
			equal(t, "told by mail", []penumbra.Told{mail}, got)
		})
	},
	"only notices that are done with are deleted": func(t *testing.T, s *opened) {
		var all []penumbra.Notice
		for i, state := range []penumbra.NoticeState{penumbra.NoticeSent, penumbra.NoticeFolded, penumbra.NoticeDead, penumbra.NoticeHeld, penumbra.NoticeWaiting, penumbra.NoticeSent} {
			all = append(all, penumbra.Notice{ID: fmt.Sprint("m-", i), Created: minute(i), State: state})
		}
		ok(t, s.Tell(bg, nil, all))
		ok(t, s.PruneNotices(bg, minute(5)))
		s.twice(func() {
			got, err := s.Notices(bg, penumbra.NoticeQuery{})
			ok(t, err)
			equal(t, "notices", all[2:], got)
		})
	},
}
