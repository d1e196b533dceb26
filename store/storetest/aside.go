package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// fullAside is a record kept aside with every field set.
func fullAside() penumbra.AsideRecord {
	return penumbra.AsideRecord{
		Sequence: 1, Action: "reload", Reason: "no rule maps it",
		Record: penumbra.Record{Time: minute(1).Add(time.Nanosecond), Format: "syslog", Input: "hosts", ID: "7",
			Actor: "alice", ActorKind: penumbra.User, Via: "sudo", Action: "RELOAD", Targets: []string{"db1", "unit"}, Type: "host",
			Settings: penumbra.Settings{{Path: "password", Value: secret, Sensitive: true}, {Path: "size", Value: penumbra.Unknown()}},
			ReadOnly: true, Failed: "denied", Message: "broken \xff bytes \x00 \u212a", Attributes: map[string]string{"a\xff": "\xfe"}},
	}
}

// aside returns the nth of many records.
func aside(n int) penumbra.AsideRecord {
	return penumbra.AsideRecord{Action: "a", Reason: "r", Record: penumbra.Record{Time: minute(n), Input: "i", Format: "f", ID: fmt.Sprint(n), Message: fmt.Sprint("m", n)}}
}

func keepAside(t *testing.T, s *opened, want int, records ...penumbra.AsideRecord) {
	t.Helper()
	added, err := s.KeepAside(bg, records)
	ok(t, err)
	equal(t, "added", want, added)
}

func numbers(t *testing.T, s *opened, after int64, limit int) []int64 {
	t.Helper()
	got, err := s.AsideRecords(bg, after, limit)
	ok(t, err)
	var out []int64
	for _, a := range got {
		out = append(out, a.Sequence)
	}
	return out
}

var asideTests = map[string]func(*testing.T, *opened){
	"records kept aside come back as they were, each once": func(t *testing.T, s *opened) {
		filled(t, fullAside())
		filled(t, fullAside().Record)
		again := fullAside()
		again.Reason, again.Record.Message = "another", "another"
		keepAside(t, s, 2, fullAside(), again, aside(2))
		keepAside(t, s, 0, again)
		keepAside(t, s, 0)
		s.twice(func() {
			got, err := s.AsideRecords(bg, 0, 10)
			ok(t, err)
			second := aside(2)
			second.Sequence = got[1].Sequence
			equal(t, "records", []penumbra.AsideRecord{fullAside(), second}, got)
		})
	},
	"sequence numbers of records are not given twice": func(t *testing.T, s *opened) {
		keepAside(t, s, 3, aside(1), aside(2), aside(3))
		all := numbers(t, s, 0, 10)
		equal(t, "limit", all[1:2], numbers(t, s, all[0], 1))
		ok(t, s.DropAside(bg, []int64{all[1], all[2], 999}))
		ok(t, s.DropAside(bg, nil))
		s.twice(func() { equal(t, "left", all[:1], numbers(t, s, 0, 10)) })
		keepAside(t, s, 1, aside(2))
		if got := numbers(t, s, all[2], 10); len(got) != 1 {
			t.Errorf("after the highest number dropped: %v, want one new record", got)
		}
	},
	"kinds of records, the most frequent first": func(t *testing.T, s *opened) {
		var all []penumbra.AsideRecord
		for i := range 1000 {
			a := aside(i)
			if i%10 == 3 {
				a.Record.Targets = []string{"x", fmt.Sprint(i)}
				a.Record.Message, a.Record.Action = "", "verb"
			}
			if i == 5 {
				a.Reason = "rare"
			}
			all = append(all, a)
		}
		keepAside(t, s, 1000, all...)
		want := []penumbra.UnmappedKind{
			{Input: "i", Format: "f", Action: "a", Reason: "r", Count: 899, First: minute(0), Last: minute(999), Example: "m999"},
			{Input: "i", Format: "f", Action: "a", Target: "x", Reason: "r", Count: 100, First: minute(3), Last: minute(993)},
			{Input: "i", Format: "f", Action: "a", Reason: "rare", Count: 1, First: minute(5), Last: minute(5), Example: "m5"},
		}
		s.twice(func() {
			got, err := s.AsideKinds(bg, 10)
			ok(t, err)
			equal(t, "kinds", penumbra.Unmapped{Records: 1000, Kinds: want}, got)
			got, err = s.AsideKinds(bg, 2)
			ok(t, err)
			equal(t, "two kinds", penumbra.Unmapped{Records: 1000, Kinds: want[:2]}, got)
		})
		ok(t, s.DropAside(bg, numbers(t, s, 0, 1000)))
		got, err := s.AsideKinds(bg, 10)
		ok(t, err)
		equal(t, "nothing left", penumbra.Unmapped{}, got)
	},
	"of an input's records the oldest go, by age and by number": func(t *testing.T, s *opened) {
		other := aside(0)
		other.Record.Input = "other"
		keepAside(t, s, 1, other)
		for _, n := range []int{5, 3, 1, 4, 2, 0} {
			keepAside(t, s, 1, aside(n))
		}
		trim := func(want, most int64, before time.Time) {
			t.Helper()
			got, err := s.TrimAside(bg, "i", most, before, minute(100))
			ok(t, err)
			equal(t, "dropped", want, got)
		}
		left := func(want ...int) {
			t.Helper()
			got, err := s.AsideRecords(bg, 0, 0)
			ok(t, err)
			var ids []string
			for _, a := range got {
				if a.Record.Input == "i" {
					ids = append(ids, a.Record.ID)
				}
			}
			equal(t, "left", fmt.Sprint(want), fmt.Sprint(ids))
		}
		trim(0, 0, time.Time{})
		trim(0, 6, minute(0))
		trim(1, 0, minute(1))
		left(5, 3, 1, 4, 2)
		trim(3, 2, minute(2))
		left(5, 4)
		ok(t, s.DropAside(bg, numbers(t, s, 1, 1))) // 5: it has a resource now
		left(4)
		keepAside(t, s, 2, aside(6), aside(7))
		keepAside(t, s, 0, aside(7))
		trim(1, 2, time.Time{})
		left(6, 7)
		s.twice(func() {
			got, err := s.AsideKinds(bg, 1)
			ok(t, err)
			equal(t, "kept", int64(3), got.Records)
			equal(t, "dropped", []penumbra.UnmappedDropped{{Input: "i", Count: 5, Last: minute(100)}}, got.Dropped)
		})
	},
	"a record that cannot be kept keeps out its batch": func(t *testing.T, s *opened) {
		for name, spoil := range map[string]func(*penumbra.Record){
			"no time":       func(r *penumbra.Record) { r.Time = time.Time{} },
			"far time":      func(r *penumbra.Record) { r.Time = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
			"says not what": func(r *penumbra.Record) { r.Message = "" },
		} {
			bad := aside(2)
			spoil(&bad.Record)
			_, err := s.KeepAside(bg, []penumbra.AsideRecord{aside(1), bad})
			kind(t, name, err, penumbra.Invalid)
		}
		equal(t, "kept", 0, len(numbers(t, s, 0, 10)))
	},
	"records of many at once": func(t *testing.T, s *opened) {
		var wait sync.WaitGroup
		var mu sync.Mutex
		var added int
		for range 4 {
			wait.Go(func() {
				for i := range 20 {
					n, err := s.KeepAside(bg, []penumbra.AsideRecord{aside(i)})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					added += n
					mu.Unlock()
					if _, err := s.AsideKinds(bg, 3); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		equal(t, "added", 20, added)
		equal(t, "kept", 20, len(numbers(t, s, 0, 100)))
	},
}
