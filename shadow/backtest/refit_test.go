package backtest_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
					c := fit(t, observations, prior, horizon, parts[i].sample).Change[0]
					losses[2*i+k] = *c.Score("pooled").LogLoss / c.BaseLogLoss
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
	for _, step := range []float64{2} {
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
		if err := fit(t, observations, best, month, parts[i].sample).WriteText(os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range knobs(&best) {
		fmt.Printf("%s: %.4g\n", k.name, *k.at)
	}
}

// fit scores a prior on the first half of a history.
func fit(t *testing.T, observations []*penumbra.Observation, prior shadow.Prior, horizon int, sample uint32) *backtest.Report {
	r, err := backtest.Run(t.Context(), slices.Values(observations), []backtest.Entrant{{Name: "pooled", Model: shadow.NewPooled(shadow.Options{Prior: &prior})}}, backtest.Options{
		From: at(observations, 0.1), To: at(observations, 0.5), Every: penumbra.Horizons[month], Horizons: []int{horizon}, Sample: sample, NoValues: true, Bootstrap: -1,
	})
	if err != nil {
		t.Error(err)
	}
	return r
}

// knob is one hyper-parameter of change that the search may turn.
type knob struct {
	name string
	at   *float64
}

func knobs(p *shadow.Prior) []knob {
	return []knob{
		{"OwnWeight", &p.OwnWeight}, {"FleetWeight", &p.FleetWeight}, {"Floor", &p.Floor},
		{"OwnStrength", &p.OwnStrength}, {"ClassStrength", &p.ClassStrength},
		{"Wave", &p.Wave}, {"WaveDone", &p.WaveDone}, {"Burst", &p.Burst},
		{"TypeStrength", &p.TypeStrength}, {"TokenStrength", &p.TokenStrength},
		{"TokenShare", &p.TokenShare},
		{"ChangeRate", &p.ChangeRate},
	}
}

// TestRefitTokens prints tokens.go's table from the same parts: the geometric
// mean over the estates that have the evidence, 30,000 days of exposure and
// changes at ten different times, of a token's rate by its estate's.
func TestRefitTokens(t *testing.T) {
	if os.Getenv("PENUMBRA_REFIT") == "" {
		t.Skip("PENUMBRA_REFIT is not set")
	}
	factors := map[string][]float64{}
	for _, part := range parts {
		observations := history(t, part.name)
		for token, f := range tokenFactors(observations, at(observations, 0.5)) {
			factors[token] = append(factors[token], f)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(factors)) {
		log := 0.0
		for _, f := range factors[token] {
			log += math.Log(f) / float64(len(factors[token]))
		}
		fmt.Printf("\t%q: %.2g,\n", token, math.Exp(log))
	}
}

func tokenFactors(observations []*penumbra.Observation, until time.Time) map[string]float64 {
	type evidence struct {
		days, changes float64
		times         map[time.Time]bool
	}
	all, tokens := evidence{}, map[string]*evidence{}
	born := map[penumbra.Address]map[string]time.Time{}
	step := regexp.MustCompile(`\[[0-9]+\]|\.[0-9]+(\.|$)`)
	of := func(path string) *evidence {
		token := step.ReplaceAllString(path, "$1")
		token = token[strings.LastIndexByte(token, '.')+1:]
		if tokens[token] == nil {
			tokens[token] = &evidence{times: map[time.Time]bool{}}
		}
		return tokens[token]
	}
	end := func(path string, from, to time.Time) {
		d := to.Sub(from).Hours() / 24
		of(path).days += d
		all.days += d
	}
	for _, o := range observations {
		if o.Time.After(until) {
			break
		}
		r := born[o.Resource]
		if o.Action == penumbra.ActionDelete {
			for path, from := range r {
				end(path, from, o.Time)
			}
			delete(born, o.Resource)
			continue
		}
		if r == nil {
			r = map[string]time.Time{}
			born[o.Resource] = r
		}
		for _, x := range o.Settings {
			from, known := r[x.Path]
			switch {
			case known && x.Value.IsNull():
				end(x.Path, from, o.Time)
				delete(r, x.Path)
			case known && o.Action == "update":
				e := of(x.Path)
				e.changes++
				e.times[o.Time] = true
				all.changes++
			case !known && !x.Value.IsNull():
				r[x.Path] = o.Time
			}
		}
	}
	for _, r := range born {
		for path, from := range r {
			end(path, from, until)
		}
	}
	out := map[string]float64{}
	for token, e := range tokens {
		if e.days >= 30000 && len(e.times) >= 10 {
			out[token] = e.changes / e.days / (all.changes / all.days)
		}
	}
	return out
}
