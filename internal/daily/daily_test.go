package daily_test

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/internal/daily"
)

func TestBegun(t *testing.T) {
	t.Parallel()
	noon := func(day int64) time.Time { return time.Unix(day*daily.Seconds+daily.Seconds/2, 0) }
	for _, c := range []struct{ next, day, first, last int64 }{
		{0, 100, 101, 100}, // the first observation
		{101, 100, 101, 100},
		{101, 103, 101, 103},
		{101, 9000, 8600, 9000}, // after a silence
	} {
		if first, last := daily.Begun(c.next, noon(c.day)); first != c.first || last != c.last {
			t.Errorf("next %d on day %d: %d to %d, want %d to %d", c.next, c.day, first, last, c.first, c.last)
		}
	}
}

func TestDiceDependOnSeedAndDay(t *testing.T) {
	t.Parallel()
	var sum float64
	same, other := daily.Dice{Seed: 1, Day: 2}, daily.Dice{Seed: 1, Day: 3}
	d := daily.Dice{Seed: 1, Day: 2}
	equal := 0
	for range 10_000 {
		x := d.Roll()
		if x < 0 || x >= 1 {
			t.Fatalf("rolled %v", x)
		}
		if x != same.Roll() {
			t.Fatal("the same seed and day differ")
		}
		if x == other.Roll() {
			equal++
		}
		sum += x
	}
	if mean := sum / 10_000; mean < 0.49 || mean > 0.51 || equal > 1 {
		t.Errorf("the mean is %v, %d equal those of another day", mean, equal)
	}
}
