package backtest_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/succession"
)

// successor is the pooled model with one of what changes next.
type successor struct {
	*shadow.Pooled
	next *succession.Model
}

func newSuccessor() *successor {
	s := &successor{}
	s.Pooled = shadow.NewPooled(shadow.Options{Changes: func(c shadow.Change) { s.next.Learn(&c) }})
	s.next = succession.New(succession.Options{Known: s.Known})
	return s
}

func (s *successor) Observe(o *penumbra.Observation) {
	s.Pooled.Observe(o)
	if o.Kind == penumbra.EventKind && o.Action == penumbra.ActionDelete {
		s.next.End(o.Resource)
	}
}

func (s *successor) Next(r *penumbra.Resource, at time.Time, n int) []shadow.Ranked {
	return s.next.Next(r, at, n)
}

// TestNextHistories says how well is said what changes next on two public
// histories, from a fifth of the time on, from half of it, and in the last fifth.
// The model's constants were looked at on the first half.
func TestNextHistories(t *testing.T) {
	for _, name := range []string{"home-ops-a", "estate-c"} {
		observations := history(t, name)
		for _, from := range []float64{0.2, 0.5, 0.8} {
			r, err := backtest.Run(t.Context(), slices.Values(observations), []backtest.Entrant{{Name: "succession", Model: newSuccessor()}}, backtest.Options{
				From: at(observations, from), Every: 365 * 24 * time.Hour, Horizons: []int{2}, Seed: 1, Bootstrap: -1,
			})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, n := range r.Next {
				fmt.Fprintf(&b, "%-20s any %.3f %.3f %.3f, each %.3f %.3f %.3f", n.Name, n.Hit1, n.Hit5, n.Hit9, n.Each1, n.Each5, n.Each9)
				if n.LogLoss != nil {
					fmt.Fprintf(&b, ", log loss %.3f", *n.LogLoss)
				}
				b.WriteByte('\n')
			}
			t.Logf("%s from %v of the time, %d commits of resources, %d settings\n%s", name, from, r.Next[0].Asked, r.Next[0].Settings, b.String())
		}
	}
}

// TestInterpolated asks about resources whose own counts say nothing.
func TestInterpolated(t *testing.T) {
	t.Parallel()
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var told []*penumbra.Observation
	tell := func(hours, service int, action, path string) {
		told = append(told, &penumbra.Observation{
			Kind: penumbra.EventKind, Time: begin.Add(time.Duration(hours) * time.Hour), Source: "git:0", Action: action, Type: "service",
			Resource: penumbra.Address(fmt.Sprint("e/service.", service)), Settings: penumbra.NewSettings(penumbra.Setting{Path: path, Value: penumbra.Number(float64(hours))}),
		})
	}
	for i := range 200 {
		for _, path := range []string{"image", "port"} {
			tell(0, i, "update", path)
		}
	}
	for i := range 200 { // each changes once; one in four its port
		tell(i+1, i, "update", []string{"port", "image", "image", "image"}[i%4])
	}
	tell(1000, 0, "update", "port") // again
	r := judge(t, told, func(o *backtest.Options) {
		o.From, o.Every, o.Horizons = begin.Add(101*time.Hour), 10*time.Hour, []int{0}
	})
	scores := map[string]backtest.Next{}
	for _, n := range r.Next {
		scores[n.Name] = n
	}
	if n := scores["interpolated counts"]; n.Asked != 101 || math.Abs(n.Hit1-76.0/101) > 1e-9 || n.Hit5 != 1 {
		t.Errorf("interpolated: %+v, want the image of each, then the port of the one that has changed it", n)
	}
	if n := scores["own counts"]; math.Abs(n.Hit1-1.0/101) > 1e-9 {
		t.Errorf("own: %+v, want nothing known but in the last", n)
	}
}
