package backtest_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

const month = 4 // index of 30 days in penumbra.Horizons

// TestHistories judges the models on public histories, split by time, cut every
// 30 days: when settings change, by the mixture with three seeds (or
// PENUMBRA_SEEDS) beside its peers, and, with PENUMBRA_VALUES set, to what, by one. The warm-up is a fifth
// of the time, or PENUMBRA_WARMUP; on estate-c one resource in four is asked
// about, or in PENUMBRA_SAMPLE. All models start from nothing.
func TestHistories(t *testing.T) {
	for _, name := range []string{"home-ops-a", "govuk-aws", "estate-c"} {
		t.Run(name, func(t *testing.T) {
			observations := history(t, name)
			begun := time.Now()
			values := os.Getenv("PENUMBRA_VALUES") != ""
			entrants := []backtest.Entrant{{Name: "pooled", Model: shadow.NewPooled(shadow.Options{})}}
			seeds := uint64(1)
			if !values {
				entrants = append(entrants, backtest.Entrant{Name: "logistic", Model: backtest.NewPeer(), Baseline: true})
				seeds = uint64(number(t, "PENUMBRA_SEEDS", 3))
			}
			for seed := range seeds {
				entrants = append(entrants, backtest.Entrant{Name: fmt.Sprintf("mixture %d", seed+1), Model: mixture.New(mixture.Options{Seed: seed + 1})})
			}
			options := backtest.Options{Warmup: number(t, "PENUMBRA_WARMUP", 0.2), Every: penumbra.Horizons[month], Seed: 1, NoValues: !values}
			if name == "estate-c" {
				options.Sample = uint32(number(t, "PENUMBRA_SAMPLE", 4))
			}
			report, err := backtest.Run(t.Context(), slices.Values(observations), entrants, options)
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

// number reads a number from the environment.
func number(t *testing.T, variable string, without float64) float64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return without
	}
	var x float64
	if _, err := fmt.Sscan(text, &x); err != nil {
		t.Fatalf("%s is %q, not a number", variable, text)
	}
	return x
}
