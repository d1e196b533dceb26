package penumbra_test

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestChange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		before, after float64
		worse         bool
		want          string
	}{
		{.012, 1.16, true, "97x worse"}, {1, 2.5, true, "2.5x worse"}, {1, 1.34, true, "34 % worse"}, {100, 40, true, "60 % worse"},
		{1e6, 1, true, "99 % worse"}, {100, 40, false, "60 % better"}, {0, 12, true, "worse, from 0 to 12"}, {5, 0, true, "worse, from 5 to 0"},
		{-2, 2, false, "better, from -2 to 2"}, {3, 3, true, "unchanged"}, {-1, -20, true, "20x worse"},
		{4e-6, 8, true, "worse, from 4e-06 to 8"},
	} {
		i := penumbra.Impact{Before: tc.before, After: tc.after, Worse: tc.worse}
		a := penumbra.Anomaly{Expected: tc.before, Value: tc.after, Worse: tc.worse}
		if got := i.Change(); got != tc.want || a.Change() != got {
			t.Errorf("%v to %v is %q and %q, want %q", tc.before, tc.after, got, a.Change(), tc.want)
		}
	}
	if got := (&penumbra.Anomaly{Kind: penumbra.Silence, Expected: 1}).Change(); got != "no values any more" {
		t.Errorf("silence is %q", got)
	}
}

func TestChance(t *testing.T) {
	t.Parallel()
	for p, want := range map[float64]string{0: "below 0.01 %", 1e-9: "below 0.01 %", .0004: "0.04 %", .002: "0.2 %", .3: "30 %", 1: "100 %"} {
		if got := penumbra.Chance(p); got != want {
			t.Errorf("%v is %q, want %q", p, got, want)
		}
	}
}
