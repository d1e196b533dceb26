package backtest_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// parts are what the shipped prior is fitted on: the first half of the time of
// two estates, scored after a warm-up of a tenth.
var parts = []struct {
	name   string
	sample uint32
}{{"home-ops-a", 1}, {"estate-c", 3}}

// TestRefit prints the prior that PENUMBRA_REFIT=1 asks for: a coordinate
// search for the least log loss, relative to the base rate's, over the parts.
func TestRefit(t *testing.T) {
	if os.Getenv("PENUMBRA_REFIT") == "" {
		t.Skip("PENUMBRA_REFIT is not set")
	}
	var data [][]*penumbra.Observation
	for _, part := range parts {
		data = append(data, history(t, part.name))
	}
	loss := func(prior shadow.Prior) float64 {
		losses := make([]float64, 2*len(parts))
		var wait sync.WaitGroup
		for i, observations := range data {
			for k, horizon := range []int{month, month - 1} {
				wait.Go(func() {
					r := backtest.Run(slices.Values(observations), shadow.NewPooled(shadow.Options{Prior: &prior}), backtest.Options{
						From: at(observations, 0.1), To: at(observations, 0.5), Every: penumbra.Horizons[month], Horizon: horizon, Sample: parts[i].sample,
					})
					losses[2*i+k] = r.LogLoss / r.BaseLogLoss
				})
			}
		}
		wait.Wait()
		var sum float64
		for _, x := range losses {
			sum += x
		}
		return sum / float64(len(losses))
	}
	best := shadow.DefaultPrior()
	least := loss(best)
	t.Logf("at first %.4f", least)
	for _, step := range []float64{3, 1.6} {
		for k := range knobs(&best) {
			for _, factor := range []float64{step, 1 / step} {
				for {
					next := best
					*knobs(&next)[k].at *= factor
					x := loss(next)
					if x >= least-3e-4 {
						break
					}
					best, least = next, x
					t.Logf("%.4f with %s %.4g", least, knobs(&best)[k].name, *knobs(&best)[k].at)
				}
			}
		}
	}
	for i, observations := range data {
		r := backtest.Run(slices.Values(observations), shadow.NewPooled(shadow.Options{Prior: &best}), backtest.Options{
			From: at(observations, 0.1), To: at(observations, 0.5), Every: penumbra.Horizons[month], Horizon: month, Sample: parts[i].sample,
		})
		if err := r.WriteText(os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range knobs(&best) {
		fmt.Printf("%s: %.4g\n", k.name, *k.at)
	}
}

// knob is one hyper-parameter of change that the search may turn.
type knob struct {
	name string
	at   *float64
}

func knobs(p *shadow.Prior) []knob {
	return []knob{
		{"OwnWeight", &p.OwnWeight}, {"FleetWeight", &p.FleetWeight},
		{"OwnStrength", &p.OwnStrength}, {"ClassStrength", &p.ClassStrength},
		{"Wave", &p.Wave}, {"WaveDone", &p.WaveDone}, {"Burst", &p.Burst},
		{"TypeStrength", &p.TypeStrength}, {"TokenStrength", &p.TokenStrength},
		{"TokenShare", &p.TokenShare},
		{"ChangeRate", &p.ChangeRate},
	}
}
