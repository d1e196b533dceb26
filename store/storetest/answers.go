package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var answerTests = map[string]func(*testing.T, *opened){
	"an answer is kept until it is forgotten": func(t *testing.T, s *opened) {
		a := penumbra.KeptAnswer{ID: []byte("who and key"), Digest: []byte("request"), Begun: minute(1)}
		begin := func(forget time.Time) *penumbra.KeptAnswer {
			t.Helper()
			there, err := s.BeginAnswer(bg, a, forget)
			ok(t, err)
			return there
		}
		if there := begin(minute(0)); there != nil {
			t.Fatalf("an unknown request is there: %+v", there)
		}
		s.twice(func() { equal(t, "a request under way", &a, begin(minute(0))) })
		ok(t, s.DropAnswer(bg, a.ID))
		ok(t, s.DropAnswer(bg, a.ID))
		if there := begin(minute(0)); there != nil {
			t.Fatalf("a request given up is there: %+v", there)
		}
		done := a
		done.Status, done.Type, done.Body = 200, "application/json", []byte(`{"id":"p-1"}`)
		ok(t, s.KeepAnswer(bg, done))
		s.twice(func() { equal(t, "an answer", &done, begin(minute(1))) })
		if there := begin(minute(1).Add(1)); there != nil {
			t.Errorf("what is to be forgotten is there: %+v", there)
		}
		ok(t, s.KeepAnswer(bg, penumbra.KeptAnswer{ID: a.ID, Status: 204}))
		if there := begin(minute(0)); there == nil || there.Status != 204 || len(there.Body) != 0 {
			t.Errorf("an answer without a body: %+v", there)
		}
	},
	"one of many claims a request": func(t *testing.T, s *opened) {
		var claimed atomic.Int32
		var working sync.WaitGroup
		for range 16 {
			working.Go(func() {
				there, err := s.BeginAnswer(bg, penumbra.KeptAnswer{ID: []byte("id"), Digest: []byte("d"), Begun: minute(1)}, minute(0))
				if err != nil {
					t.Error(err)
				}
				if there == nil {
					claimed.Add(1)
				}
			})
		}
		working.Wait()
		if claimed.Load() != 1 {
			t.Errorf("%d have claimed it", claimed.Load())
		}
	},
}
