package storetest

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
)

var tallyTests = map[string]func(*testing.T, *opened){
	"what is stored is counted": func(t *testing.T, s *opened) {
		empty, err := s.Tally(bg)
		ok(t, err)
		if empty.Decisions != 0 || len(empty.Proposals)+len(empty.Runs)+len(empty.Notices) != 0 || !empty.Checkpoint.IsZero() || empty.Bytes <= 0 {
			t.Errorf("an empty store has %+v", empty)
		}
		ok(t, s.SaveProposals(bg, []penumbra.Proposal{{ID: "p-1", State: penumbra.Proposed}, {ID: "p-2", State: penumbra.Proposed}, {ID: "p-3", State: penumbra.Rejected}}))
		ok(t, s.SaveRun(bg, penumbra.Run{ID: "r-1", State: penumbra.Applying, Started: minute(1)}))
		ok(t, s.SaveRun(bg, penumbra.Run{ID: "r-2", State: penumbra.Halted, Started: minute(2)}))
		ok(t, s.Note(bg, penumbra.Decision{ID: "c-1", Drift: "d-1", Verb: penumbra.Snooze, Time: minute(1)}))
		ok(t, s.Tell(bg, nil, []penumbra.Notice{{ID: "m-1", Channel: "ops", State: penumbra.NoticeDead}, {ID: "m-2", Channel: "mail", State: penumbra.NoticeSent}, {ID: "m-3", Channel: "ops", State: penumbra.NoticeDead}}))
		ok(t, s.SaveCheckpoint(bg, penumbra.Checkpoint{Name: "shadow", Time: minute(3), Data: []byte("x")}))
		s.twice(func() {
			got, err := s.Tally(bg)
			ok(t, err)
			if got.Bytes <= 0 {
				t.Errorf("it takes %d bytes", got.Bytes)
			}
			got.Bytes = 0
			equal(t, "tally", penumbra.Tally{
				Proposals: map[penumbra.ProposalStatus]int{penumbra.Proposed: 2, penumbra.Rejected: 1},
				Runs:      map[penumbra.RunState]int{penumbra.Applying: 1, penumbra.Halted: 1}, Decisions: 1, Checkpoint: minute(3),
				Notices: []penumbra.NoticeCount{{Channel: "mail", State: penumbra.NoticeSent, Count: 1}, {Channel: "ops", State: penumbra.NoticeDead, Count: 2}},
			}, got)
		})
	},
}
