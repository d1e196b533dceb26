package shadow

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"pgregory.net/rapid"
)

// The median is the one that halving the whole span finds, though what is known of the
// horizons is not reckoned again.
func TestMedianIsThatOfHalvingTheWholeSpan(t *testing.T) {
	t.Parallel()
	halved := func(o *outlook) time.Duration {
		low, high := time.Duration(0), penumbra.Horizons[len(penumbra.Horizons)-1]
		for high-low > time.Minute {
			if mid := (low + high) / 2; o.leaving(mid) < 0.5 {
				low = mid
			} else {
				high = mid
			}
		}
		return high.Truncate(time.Minute)
	}
	rapid.Check(t, func(t *rapid.T) {
		process := func(name string) hazard {
			z := hazard{shape: rapid.Float64Range(0, 500).Draw(t, name+" shape"), days: rapid.Float64Range(0.5, 500).Draw(t, name+" days")}
			if rapid.Bool().Draw(t, name+" has a wave") {
				z.wave = rapid.Float64Range(0, 30).Draw(t, name+" wave")
			}
			return z
		}
		o := outlook{leaves: rapid.Bool().Draw(t, "leaves"), changes: rapid.Bool().Draw(t, "changes")}
		if o.leaves {
			o.leave = process("leave")
		}
		if o.changes {
			o.change = process("change")
		}
		var leave [len(penumbra.Horizons)]float64
		for i, span := range penumbra.Horizons {
			leave[i] = o.leaving(span)
			if by := o.leavingBy(span, horizonEbb[i]); by != leave[i] {
				t.Fatalf("by %s it leaves with %v, and with %v where the ebb is known", span, leave[i], by)
			}
		}
		if leave[len(leave)-1] < 0.5 {
			t.Skip("it does not leave")
		}
		if got, want := o.median(&leave), halved(&o); got != want {
			t.Fatalf("%s, by halving %s", got, want)
		}
	})
}
