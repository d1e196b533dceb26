package access

import (
	"fmt"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func TestWhoGuessesWaitsTwiceAsLong(t *testing.T) {
	t.Parallel()
	l, now := newLimits(), time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	try := func(name, from string) *attempt {
		t.Helper()
		l.buckets = map[string]*bucket{} // they are another matter
		a, err := l.begin(name, from, now)
		if err != nil && penumbra.KindOf(err) != penumbra.Unavailable {
			t.Fatal(err)
		}
		return a
	}
	var waits []time.Duration
	for range 14 {
		waited := time.Duration(0)
		for try("alice", "192.0.2.1") == nil {
			waited += time.Second
			now = now.Add(time.Second)
		}
		waits = append(waits, waited)
	}
	if got := fmt.Sprint(waits); got != "[0s 0s 0s 0s 0s 1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s]" {
		t.Errorf("the waits are %s", got)
	}
	if try("alice", "192.0.2.2") == nil {
		t.Error("another address has to wait for alice's guesser")
	}
	for try("alice", "192.0.2.1") == nil {
		now = now.Add(mostWait)
	}
	now = now.Add(mostWait)
	a := try("alice", "192.0.2.1")
	if a == nil {
		t.Fatal("more than the longest wait")
	}
	a.succeeded()
	for range freeFailures + 1 {
		if try("alice", "192.0.2.1") == nil {
			t.Error("a success did not forget the failures")
		}
	}
}

// TestManyAtOnce holds that attempts at the same time count before they have failed.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	l, now := newLimits(), time.Now()
	taken := 0
	for range 1000 {
		if a, _ := l.begin("alice", "192.0.2.1", now); a != nil {
			taken++
		}
	}
	if taken != freeFailures+1 {
		t.Errorf("%d at once", taken)
	}
}

func TestManyAddressesAndManyNames(t *testing.T) {
	t.Parallel()
	l, now := newLimits(), time.Now()
	spread, sprayed := 0, 0
	for i := range 5000 {
		if a, _ := l.begin("alice", fmt.Sprint("from-", i), now); a != nil {
			spread++
		}
		if a, _ := l.begin(fmt.Sprint("name-", i), "192.0.2.1", now); a != nil {
			sprayed++
		}
	}
	if spread != nameBurst || sprayed != addressBurst {
		t.Errorf("%d for a name from many addresses, %d from an address for many names", spread, sprayed)
	}
	for i := range 20_000 {
		_, _ = l.begin(fmt.Sprint("n", i), fmt.Sprint("a", i), now)
	}
	if kept := len(l.pairs) + len(l.buckets); kept > mostKept+10 {
		t.Errorf("%d are kept", kept)
	}
}
