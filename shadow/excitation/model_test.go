package excitation_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/excitation"
)

// TestFindsWhatExcites draws events that only siblings excite.
func TestFindsWhatExcites(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	m := excitation.New()
	last := excitation.Horizons - 1
	const sibling, peers = 1 + shadow.RecentSibling, 1 + shadow.RecentPeers
	for range 20000 {
		var x excitation.Input
		x[excitation.Background] = 0.05
		if random.Float64() < 0.3 {
			x[sibling] = 1
		}
		if random.Float64() < 0.3 {
			x[peers] = 1
		}
		m.Learn(last, &x, random.Float64() < 1-math.Exp(-0.02-0.8*x[sibling]), 1)
	}
	quiet, excited, wave := excitation.Input{0: 0.05}, excitation.Input{0: 0.05, sibling: 1}, excitation.Input{0: 0.05, peers: 1}
	if got := m.Expected(last, &excited); math.Abs(got-0.82) > 0.15 {
		t.Errorf("a sibling makes %.2f expected events, want 0.82", got)
	}
	if a, b := m.Expected(last, &wave), m.Expected(last, &quiet); a-b > 0.1 {
		t.Errorf("peers excite nothing, but %.3f are expected instead of %.3f", a, b)
	}
}
