package backtest_test

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/histories"
)

// history reads one of the public histories.
func history(t testing.TB, name string) []*penumbra.Observation { return histories.Read(t, name) }

// at returns the time at a share of the history's span.
func at(observations []*penumbra.Observation, share float64) time.Time {
	first, last := observations[0].Time, observations[len(observations)-1].Time
	return first.Add(time.Duration(share * float64(last.Sub(first))))
}
