package backtest_test

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

// TestColdStart asks from the first day on an estate of which nothing was
// learnt: what does a mixture know that was trained on another one? PENUMBRA_FROM
// names that one.
func TestColdStart(t *testing.T) {
	from, on := history(t, cmp.Or(os.Getenv("PENUMBRA_FROM"), "home-ops-a")), history(t, "govuk-aws")
	elsewhere := mixture.New(mixture.Options{Seed: 1})
	for _, o := range from {
		elsewhere.Observe(o)
	}
	var knowledge bytes.Buffer
	if _, err := elsewhere.WriteKnowledge(&knowledge); err != nil {
		t.Fatal(err)
	}
	started, err := mixture.NewFrom(knowledge.Bytes(), mixture.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, share := range map[string]float64{"first tenth of the time": 0.1, "all of it": 1} {
		entrants := []backtest.Entrant{
			{Name: "pooled", Model: shadow.NewPooled(shadow.Options{})},
			{Name: "mixture", Model: mixture.New(mixture.Options{Seed: 1})},
			{Name: "trained elsewhere", Model: started},
		}
		report, err := backtest.Run(t.Context(), slices.Values(on), entrants, backtest.Options{
			Warmup: -1, To: at(on, share), Every: penumbra.Horizons[month], Horizons: []int{month}, Seed: 1, Bootstrap: 200, NoValues: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := report.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s\n%s", name, b.String())
		if started, err = mixture.NewFrom(knowledge.Bytes(), mixture.Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
	}
}
