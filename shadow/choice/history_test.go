package choice_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/choice"
)

// beside is a pooled model with the choice of values beside it.
type beside struct {
	*shadow.Pooled
	values *choice.Model
}

var _ shadow.Chooser = (*beside)(nil)

func newBeside(o choice.Options) *beside {
	b := &beside{}
	b.Pooled = shadow.NewPooled(shadow.Options{Changes: func(c shadow.Change) { b.values.Learn(&c) }})
	b.values = choice.New(b.Pooled, o)
	return b
}

func (b *beside) Choose(r *penumbra.Resource, path string, at time.Time) []penumbra.Candidate {
	return b.values.Choose(r, path, at)
}

func (b *beside) ChooseSet(r *penumbra.Resource, path string, at time.Time, confidence float64) penumbra.Expectation {
	return b.values.ChooseSet(r, path, at, confidence)
}

// history reads one of the public histories in the folder that PENUMBRA_DATA
// names.
func history(t testing.TB, name string) []*penumbra.Observation {
	t.Helper()
	folder := os.Getenv("PENUMBRA_DATA")
	if folder == "" {
		t.Skip("PENUMBRA_DATA does not name the folder of the histories")
	}
	f, err := os.Open(filepath.Join(folder, name+".timeline.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []*penumbra.Observation
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var x struct {
			Time                           time.Time
			Resource, Type, Source, Action string
			Actor                          string
			ActorKind                      penumbra.ActorKind `json:"actor_kind"`
			Settings                       map[string]penumbra.Value
		}
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		settings := make([]penumbra.Setting, 0, len(x.Settings))
		for path, v := range x.Settings {
			settings = append(settings, penumbra.Setting{Path: path, Value: v})
		}
		out = append(out, &penumbra.Observation{
			Kind: penumbra.EventKind, Time: x.Time, Resource: penumbra.Address(x.Resource), Type: x.Type, Source: x.Source,
			Action: x.Action, Actor: x.Actor, ActorKind: x.ActorKind, Settings: penumbra.NewSettings(settings...),
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(out, func(a, b *penumbra.Observation) int { return a.Time.Compare(b.Time) })
	return out
}

// TestHistories chooses values on public histories, asked commit by commit from
// a fifth of the time on, or, with PENUMBRA_WARMUP=0.5, from half of it on.
func TestHistories(t *testing.T) {
	warmup := 0.2
	if os.Getenv("PENUMBRA_WARMUP") == "0.5" {
		warmup = 0.5
	}
	for _, name := range []string{"govuk-aws", "home-ops-a", "estate-c"} {
		t.Run(name, func(t *testing.T) {
			observations := history(t, name)
			begun := time.Now()
			m := newBeside(choice.Options{})
			entrants := []backtest.Entrant{{Name: "pooled", Model: shadow.NewPooled(shadow.Options{})}, {Name: "choice", Model: m}}
			report, err := backtest.Run(t.Context(), slices.Values(observations), entrants, backtest.Options{
				Warmup: warmup, Every: 365 * 24 * time.Hour, Bootstrap: -1, Sample: 1, Horizons: []int{4},
			})
			if err != nil {
				t.Fatal(err)
			}
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
			t.Logf("%s in %v\n%s", name, time.Since(begun).Round(time.Second), b.String())
		})
	}
}

// TestSources prints how often each source was right.
func TestSources(t *testing.T) {
	for _, name := range []string{"govuk-aws", "home-ops-a", "estate-c"} {
		t.Run(name, func(t *testing.T) {
			m := newBeside(choice.Options{})
			for _, o := range history(t, name) {
				m.Observe(o)
			}
			for s, rate := range m.values.Sources() {
				t.Logf("%s %.3f", s, rate)
			}
		})
	}
}
