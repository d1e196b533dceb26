package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestHeldIsBoundedAndKeepsWhatMoved holds that what is remembered of expectations
// has a point where something changed, none where nothing did, and an end.
func TestHeldIsBoundedAndKeepsWhatMoved(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	expect := func(path string, low, high float64) penumbra.Expectation {
		return penumbra.Expectation{Path: path, Interval: &penumbra.Interval{Low: low, High: high}}
	}
	r := &tracked{}
	constant := penumbra.Expectation{Path: "still", Values: []penumbra.Candidate{{Value: penumbra.String("a"), Probability: .99}}}
	for i := range 3 * heldPoints {
		at := start.Add(time.Duration(i) * time.Minute)
		r.noteExpected([]penumbra.Expectation{constant, expect("moves", float64(10*i), float64(10*i+5)), expect("stays", 0, 100+float64(i%2))}, nil, at)
	}
	if r.held["still"] != nil {
		t.Error("a setting that has one value is remembered")
	}
	if got := len(r.held["stays"]); got != 1 {
		t.Errorf("a range that hardly moves has %d points", got)
	}
	r.noteExpected([]penumbra.Expectation{constant}, []penumbra.Finding{{Path: "still"}}, start)
	if len(r.held["still"]) != 1 {
		t.Error("what was expected of a setting that left is forgotten")
	}
	delete(r.held, "still")
	moves := r.held["moves"]
	if len(moves) != heldPoints || !moves[len(moves)-1].Time.Equal(start.Add(time.Duration(3*heldPoints-1)*time.Minute)) {
		t.Errorf("%d points, the last of %v", len(moves), moves[len(moves)-1].Time)
	}
	r.noteExpected([]penumbra.Expectation{expect("moves", 1e6, 2e6)}, nil, start)
	if len(r.held["moves"]) != heldPoints || r.held["moves"][heldPoints-1].Time.Equal(start) {
		t.Error("what is older than the last point was added behind it")
	}
	for i := range 2 * heldPaths {
		r.noteExpected([]penumbra.Expectation{expect(fmt.Sprint("p", i), 0, 1)}, nil, start)
	}
	if len(r.held) != heldPaths {
		t.Errorf("%d paths are remembered", len(r.held))
	}
}

// TestASetThatLosesAValueIsAnotherPoint holds it for values.
func TestASetThatLosesAValueIsAnotherPoint(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	set := func(p ...float64) []penumbra.Expectation {
		x := penumbra.Expectation{Path: "size"}
		for i, p := range p {
			x.Values = append(x.Values, penumbra.Candidate{Value: penumbra.Number(float64(i)), Probability: p})
		}
		return []penumbra.Expectation{x}
	}
	r := &tracked{}
	for i, x := range [][]penumbra.Expectation{set(.6, .4), set(.62, .38), set(.8, .2), set(.99)} {
		r.noteExpected(x, nil, start.Add(time.Duration(i)*time.Hour))
	}
	if got := len(r.held["size"]); got != 3 {
		t.Errorf("%d points, want 3: a small move is none, a large one and a lost value are", got)
	}
}
