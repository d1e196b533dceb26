package choice

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/histories"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// beside is a pooled model with the choice of values beside it. Each day it looks
// at what some resources are said to be in 30 days, and calibrates by what came.
type beside struct {
	*shadow.Pooled
	values  *Model
	now     time.Time
	day     int64
	draws   *rand.Rand
	waiting []waiting
}

type waiting struct {
	said     Said
	resource penumbra.Address
	path     string
	due      int64 // day
}

var _ shadow.Chooser = (*beside)(nil)

func newBeside(o Options) *beside {
	b := &beside{draws: rand.New(rand.NewPCG(1, 2))}
	b.Pooled = shadow.NewPooled(shadow.Options{Changes: func(c shadow.Change) { b.values.Learn(&c) }})
	b.values = New(b.Pooled, o)
	return b
}

const looksADay = 2 // resources

func (b *beside) Observe(o *penumbra.Observation) {
	for day := o.Time.Unix() / 86400; b.day < day; b.day++ {
		if b.day == 0 {
			b.day = day
		}
		b.look(b.day)
	}
	b.now = o.Time
	b.Pooled.Observe(o)
}

func (b *beside) look(day int64) {
	at := time.Unix(day*86400, 0)
	var batch []Resolved
	n := 0
	for n < len(b.waiting) && b.waiting[n].due <= day {
		w := &b.waiting[n]
		if v, ok := b.Pooled.Undeclared(w.resource, w.path); ok {
			batch = append(batch, Resolved{Said: w.said, Came: v})
		}
		n++
	}
	b.waiting = b.waiting[n:]
	b.values.Resolve(batch)
	for range looksADay {
		b.Pooled.Survey(b.draws.Float64(), at, func(l *shadow.Look) {
			r := penumbra.Resource{Address: l.Resource, Type: l.Type}
			if said, ok := b.values.Say(&r, l.Path, at.AddDate(0, 0, 30), 1-l.Survival[4]); ok {
				b.waiting = append(b.waiting, waiting{said, l.Resource, l.Path, day + 30})
			}
		})
	}
}

// Expect takes the probability of a change in 30 days, the only span that these
// tests ask for, from the pooled model.
func (b *beside) Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation {
	moved := map[string]float64{}
	for _, f := range b.Forecast(r, b.now) {
		moved[f.Path] = f.Leave[4]
	}
	return b.values.Expect(r, at, confidence, func(path string) (float64, bool) { p, ok := moved[path]; return p, ok })
}

func (b *beside) Choose(r *penumbra.Resource, path string, at time.Time) []penumbra.Candidate {
	return b.values.Choose(r, path, at)
}

func (b *beside) ChooseSet(r *penumbra.Resource, path string, at time.Time, confidence float64) penumbra.Expectation {
	return b.values.ChooseSet(r, path, at, confidence)
}

// history reads one of the public histories.
func history(t testing.TB, name string) []*penumbra.Observation { return histories.Read(t, name) }

// TestHistories chooses values on public histories, asked commit by commit from
// a fifth of the time on, or, with PENUMBRA_WARMUP=0.5, from half of it on. With
// PENUMBRA_ONE_BY_ONE=1 each observation is a commit of its own, as where
// resources are looked at one after the other while a change rolls out.
func TestHistories(t *testing.T) {
	for _, name := range []string{"govuk-aws", "home-ops-a", "estate-c"} {
		t.Run(name, func(t *testing.T) {
			observations := history(t, name)
			if os.Getenv("PENUMBRA_ONE_BY_ONE") != "" {
				for i, o := range observations {
					o.Source = fmt.Sprintf("%s#%d", o.Source, i)
				}
			}
			never := observations[len(observations)-1].Time.Sub(observations[0].Time)
			report := replay(t, observations, never, 1)
			var b strings.Builder
			for _, x := range slices.Concat(report.Values, report.Resolved) {
				fmt.Fprintf(&b, "%-34s %6d first %.3f known %.3f", x.Name, x.Changes, x.First, x.Known)
				if x.LogLoss != nil {
					fmt.Fprintf(&b, " loss %.3f", *x.LogLoss)
				}
				for _, c := range x.Sets {
					fmt.Fprintf(&b, " | %v: %.3f worst %.3f (%s, %d) size %.1f novel %.2f", c.Confidence, c.Covered, c.Worst.Covered, c.Worst.Name, c.Worst.Sets, c.Size, c.Novel)
				}
				b.WriteByte('\n')
			}
			t.Logf("%s\n%s", name, b.String())
		})
	}
}

// TestLooks holds what is expected of all settings in 30 days against what came,
// at cuts every 30 days; on the large estate of one resource in four.
func TestLooks(t *testing.T) {
	for name, sample := range map[string]uint32{"govuk-aws": 1, "home-ops-a": 1, "estate-c": 4} {
		t.Run(name, func(t *testing.T) {
			report := replay(t, history(t, name), 30*24*time.Hour, sample)
			var b strings.Builder
			for _, x := range report.Sets {
				for i, c := range x.All {
					fmt.Fprintf(&b, "%s at %v: covered %.4f smoothed %.4f worst %.3f size %.3f novel %.3f; of changed %.3f\n", x.Name, c.Confidence, c.Covered, c.Smoothed, c.Worst.Covered, c.Size, c.Novel, x.Changed[i].Covered)
				}
			}
			t.Logf("%s\n%s", name, b.String())
		})
	}
}

func replay(t *testing.T, observations []*penumbra.Observation, every time.Duration, sample uint32) *backtest.Report {
	t.Helper()
	warmup := 0.2
	if os.Getenv("PENUMBRA_WARMUP") == "0.5" {
		warmup = 0.5
	}
	entrants := []backtest.Entrant{{Name: "pooled", Model: shadow.NewPooled(shadow.Options{})}, {Name: "choice", Model: newBeside(Options{})}}
	report, err := backtest.Run(t.Context(), slices.Values(observations), entrants, backtest.Options{
		Warmup: warmup, Every: every, Bootstrap: -1, Sample: sample, Horizons: []int{4},
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}
