package backtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

const month = 4 // index of 30 days in penumbra.Horizons

// TestHistories scores the shipped model on the parts of public histories that
// it was not fitted on: the second half of time of two, all but the warm-up of
// the third.
func TestHistories(t *testing.T) {
	for _, c := range []struct {
		name string
		from float64
	}{{"home-ops-a", 0.5}, {"govuk-aws", 0.2}, {"estate-c", 0.5}} {
		t.Run(c.name, func(t *testing.T) {
			observations := history(t, c.name)
			report := backtest.Run(slices.Values(observations), shadow.NewPooled(shadow.Options{}), backtest.Options{
				From: at(observations, c.from), To: at(observations, 1), Every: penumbra.Horizons[month], Horizon: month, Values: true,
			})
			var b strings.Builder
			if err := report.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s\n%s", c.name, b.String())
		})
	}
}
