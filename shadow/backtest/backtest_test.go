package backtest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// estate makes a year of an estate of 60 services whose image changes weekly
// on average in a third of them and whose port nearly never does.
func estate(seed uint64) []*penumbra.Observation {
	random := rand.New(rand.NewPCG(seed, 1))
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var out []*penumbra.Observation
	add := func(at time.Time, i int, action string, s ...penumbra.Setting) {
		out = append(out, &penumbra.Observation{
			Kind: penumbra.EventKind, Time: at, Source: "git:0", Action: action, Type: "service",
			Resource: penumbra.Address(fmt.Sprintf("e/service.%d", i)), Settings: penumbra.NewSettings(s...),
		})
	}
	image := func(n int) penumbra.Setting {
		return penumbra.Setting{Path: "image", Value: penumbra.String(fmt.Sprint("v", n))}
	}
	for i := range 60 {
		add(begin, i, "create", image(0), penumbra.Setting{Path: "port", Value: penumbra.Number(80)},
			penumbra.Setting{Path: "team", Value: penumbra.String(fmt.Sprint("t", i%5))})
	}
	for d := range 365 {
		for i := range 60 {
			at := begin.Add(time.Duration(d)*24*time.Hour + time.Duration(i)*time.Minute)
			if i%3 == 0 && random.Float64() < 1.0/7 {
				add(at, i, "update", image(d))
			}
			if random.Float64() < 1.0/5000 {
				add(at, i, "update", penumbra.Setting{Path: "port", Value: penumbra.Number(float64(8000 + d))})
			}
		}
	}
	return out
}

func run(observations []*penumbra.Observation, from float64) *backtest.Report {
	return backtest.Run(slices.Values(observations), shadow.NewPooled(shadow.Options{}), backtest.Options{
		From: at(observations, from), To: at(observations, 1), Every: penumbra.Horizons[month], Horizon: month, Values: true,
	})
}

func TestKnownEstate(t *testing.T) {
	t.Parallel()
	r := run(estate(7), 0.3)
	model, naive := r.Scores[len(r.Scores)-1], r.Scores[0]
	if model.PR < 0.95 || model.PR < naive.PR || model.Within < naive.Within {
		t.Errorf("the model ranks %+v, days since the last change %+v", model, naive)
	}
	if r.LogLoss > 0.6*r.BaseLogLoss {
		t.Errorf("log loss %.3f, base rate %.3f", r.LogLoss, r.BaseLogLoss)
	}
	for i, c := range backtest.Confidences {
		if got := float64(r.Coverage.AllIn[i]) / float64(r.Coverage.All); got < c-0.01 {
			t.Errorf("the sets at %v cover %v", c, got)
		}
	}
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	var texts [2]strings.Builder
	for i := range texts {
		if err := run(estate(7), 0.3).WriteText(&texts[i]); err != nil {
			t.Fatal(err)
		}
	}
	if texts[0].String() != texts[1].String() {
		t.Errorf("two runs differ:\n%s\n%s", texts[0].String(), texts[1].String())
	}
}

// TestNothingLeaks changes what comes after the last cut's horizon: the
// answers stay.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	all := estate(7)
	options := backtest.Options{From: at(all, 0.2), To: at(all, 0.6), Every: penumbra.Horizons[month], Horizon: month, Values: true}
	part := all[:0:0]
	for _, o := range all {
		if !o.Time.After(options.To) {
			part = append(part, o)
		}
	}
	a := backtest.Run(slices.Values(all), shadow.NewPooled(shadow.Options{}), options)
	b := backtest.Run(slices.Values(part), shadow.NewPooled(shadow.Options{}), options)
	if a.LogLoss != b.LogLoss || a.Coverage != b.Coverage {
		t.Errorf("with the future %+v, without %+v", a.Coverage, b.Coverage)
	}
}
