package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// fullEntry is an entry of the audit log with every field set.
func fullEntry() penumbra.AuditEntry {
	return penumbra.AuditEntry{
		Sequence: 1, Time: minute(1), Principal: "user:alice", Name: "alice", Kind: penumbra.PersonPrincipal, Via: "password",
		Act: "proposal.approve", Target: penumbra.Target{Stack: "shop", Environment: "prod", Type: "vm", ID: "p-1"},
		Outcome: penumbra.AuditDone, Count: 2, Details: map[string]string{"hash": "9c56", "reason": "it's \"right\" <b>"},
		Hash: "sha256:1",
	}
}

// chained is entry n of a log whose hashes are their numbers.
func chained(n int64, e penumbra.AuditEntry) penumbra.AuditEntry {
	e.Sequence, e.Hash, e.Previous = n, fmt.Sprintf("sha256:%d", n), ""
	if n > 1 {
		e.Previous = fmt.Sprintf("sha256:%d", n-1)
	}
	return e
}

func appendAudit(s *opened, entries ...penumbra.AuditEntry) error {
	return s.AppendAudit(bg, func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
		var out []penumbra.AuditEntry
		for i, e := range entries {
			out = append(out, chained(head.Sequence+int64(i)+1, e))
		}
		return out, nil
	})
}

var auditTests = map[string]func(*testing.T, *opened){
	"entries of the audit log come back as they were": func(t *testing.T, s *opened) {
		full := fullEntry()
		full.Previous = "x" // set, for the next line
		filled(t, full)
		head, err := s.AuditHead(bg)
		ok(t, err)
		equal(t, "the head of an empty log", penumbra.AuditHead{}, head)
		bare := penumbra.AuditEntry{Time: minute(2), Act: "session.open", Outcome: penumbra.AuditRefused, Count: 1}
		ok(t, appendAudit(s, fullEntry(), bare))
		s.twice(func() {
			got, err := s.AuditEntries(bg, penumbra.AuditQuery{})
			ok(t, err)
			equal(t, "entries", []penumbra.AuditEntry{fullEntry(), chained(2, bare)}, got)
			head, err := s.AuditHead(bg)
			ok(t, err)
			equal(t, "head", penumbra.AuditHead{Sequence: 2, Hash: "sha256:2", Time: minute(2)}, head)
		})
	},
	"entries are appended all or none, and only behind the head": func(t *testing.T, s *opened) {
		e := fullEntry()
		ok(t, appendAudit(s, e))
		broken := errors.New("broken")
		err := s.AppendAudit(bg, func(penumbra.AuditHead) ([]penumbra.AuditEntry, error) { return nil, broken })
		if err == nil {
			t.Error("an error of the caller was lost")
		}
		for name, list := range map[string][]penumbra.AuditEntry{
			"a number that is taken":     {chained(1, e)},
			"a number that is too large": {chained(2, e), chained(4, e)},
			"another hash before":        {func() penumbra.AuditEntry { x := chained(2, e); x.Previous = "sha256:0"; return x }()},
		} {
			kind(t, name, s.AppendAudit(bg, func(penumbra.AuditHead) ([]penumbra.AuditEntry, error) { return list, nil }), penumbra.Invalid)
		}
		s.twice(func() {
			got, err := s.AuditEntries(bg, penumbra.AuditQuery{})
			ok(t, err)
			equal(t, "entries", []penumbra.AuditEntry{e}, got)
		})
	},
	"entries are found by what they say": func(t *testing.T, s *opened) {
		for i, e := range []penumbra.AuditEntry{
			{Principal: "user:alice", Name: "alice", Act: "drift.read", Target: penumbra.Target{Stack: "shop", ID: "d-1"}},
			{Principal: "user:bob", Name: "bob", Act: "drift.snooze", Outcome: penumbra.AuditRefused, Target: penumbra.Target{Stack: "pay", ID: "d-2"}},
			{Principal: "user:alice", Name: "alice", Act: "drifting", Target: penumbra.Target{Stack: "pay", ID: "d-2"}},
		} {
			e.Time = minute(i)
			ok(t, appendAudit(s, e))
		}
		for name, test := range map[string]struct {
			q    penumbra.AuditQuery
			want []int64
		}{
			"all":                 {penumbra.AuditQuery{}, []int64{1, 2, 3}},
			"a principal":         {penumbra.AuditQuery{Principal: "user:alice"}, []int64{1, 3}},
			"a name":              {penumbra.AuditQuery{Principal: "bob"}, []int64{2}},
			"an act":              {penumbra.AuditQuery{Act: "drift.read"}, []int64{1}},
			"acts that begin so":  {penumbra.AuditQuery{Act: "drift.*"}, []int64{1, 2}},
			"an outcome":          {penumbra.AuditQuery{Outcome: penumbra.AuditRefused}, []int64{2}},
			"a stack":             {penumbra.AuditQuery{Stack: "pay"}, []int64{2, 3}},
			"a target":            {penumbra.AuditQuery{ID: "d-1"}, []int64{1}},
			"from":                {penumbra.AuditQuery{From: minute(1)}, []int64{2, 3}},
			"to":                  {penumbra.AuditQuery{To: minute(1)}, []int64{1}},
			"to, within a second": {penumbra.AuditQuery{To: minute(1).Add(1)}, []int64{1, 2}},
			"after":               {penumbra.AuditQuery{After: 1, Limit: 1}, []int64{2}},
			"the latest":          {penumbra.AuditQuery{Latest: true, Limit: 2}, []int64{3, 2}},
			"before":              {penumbra.AuditQuery{Latest: true, Before: 3}, []int64{2, 1}},
		} {
			got, err := s.AuditEntries(bg, test.q)
			ok(t, err)
			var numbers []int64
			for _, e := range got {
				numbers = append(numbers, e.Sequence)
			}
			equal(t, name, test.want, numbers)
		}
	},
	"entries of many at once stand one behind the other": func(t *testing.T, s *opened) {
		const writers, each = 8, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					if err := appendAudit(s, penumbra.AuditEntry{Time: minute(1), Act: "drift.read"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got, err := s.AuditEntries(bg, penumbra.AuditQuery{})
		ok(t, err)
		if len(got) != writers*each {
			t.Fatalf("%d entries, want %d", len(got), writers*each)
		}
		for i, e := range got {
			equal(t, "entry", chained(int64(i+1), e), e)
		}
	},
}
