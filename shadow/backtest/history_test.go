package backtest_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

const month = 4 // index of 30 days in penumbra.Horizons

// TestHistories runs the whole protocol on public histories, split by time with
// a warm-up of a fifth, cut every 30 days. The pooled model's prior was fitted
// on the first half of two of them: PENUMBRA_WARMUP=0.5 leaves that out.
func TestHistories(t *testing.T) {
	warmup := 0.2
	if os.Getenv("PENUMBRA_WARMUP") == "0.5" {
		warmup = 0.5
	}
	for _, name := range []string{"home-ops-a", "govuk-aws", "estate-c"} {
		t.Run(name, func(t *testing.T) {
			observations := history(t, name)
			begun := time.Now()
			report, err := backtest.Run(t.Context(), slices.Values(observations), []backtest.Entrant{{Name: "pooled", Model: shadow.NewPooled(shadow.Options{})}}, backtest.Options{
				Warmup: warmup, Every: penumbra.Horizons[month], Seed: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := report.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s in %v\n%s", name, time.Since(begun).Round(time.Second), b.String())
		})
	}
}
