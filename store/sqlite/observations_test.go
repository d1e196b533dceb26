package sqlite

import (
	"fmt"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestAppendAsTheTablesFillUp has a batch fill up what the writer remembers while rows
// of the batch wait to be inserted with others.
func TestAppendAsTheTablesFillUp(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	s.known.resources = map[penumbra.Address]int64{}
	for i := range maxKnown - 2 {
		s.known.resources[penumbra.Address(fmt.Sprintf("old/vm.x[%d]", i))] = -1
	}
	batch := make([]penumbra.Observation, 0, 6)
	for n := range cap(batch) { // three resources, each of them twice
		o := observed(n%3, 1)
		o.Time = start.Add(time.Duration(n) * time.Second)
		batch = append(batch, o)
	}
	for _, observations := range [][]penumbra.Observation{batch, {observed(3, 1)}} {
		added, err := s.Append(t.Context(), observations)
		if err != nil || len(added) != len(observations) {
			t.Fatalf("%d of %d observations were stored, %v", len(added), len(observations), err)
		}
	}
	if n := len(s.known.resources); n >= maxKnown {
		t.Errorf("%d resources are remembered, more than %d", n, maxKnown)
	}
}
