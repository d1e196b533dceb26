package nab

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s: %.12g, want %.12g", what, got, want)
	}
}

// alarms returns the scores of n rows: 1 at the rows given, 0 elsewhere.
func alarms(n int, rows ...int) []float64 {
	out := make([]float64, n)
	for _, i := range rows {
		out[i] = 1
	}
	return out
}

func TestProbation(t *testing.T) {
	for rows, want := range map[int]int{100: 15, 4032: 604, 5000: 750, 22695: 750} {
		if got := Probation(rows); got != want {
			t.Errorf("of %d rows %d, want %d", rows, got, want)
		}
	}
}

// Worked out by hand: 100 rows, of which 15 are not scored, one window of ten rows,
// 50 to 59. σ(y) = 2/(1+e^5y) − 1.
func TestByHand(t *testing.T) {
	const first, last = 50, 59
	one := []Window{{first, last}}
	atStart := 1.0                                                     // σ(−10/10)/σ(−1)
	atFifth := (2/(1+math.Exp(-5*0.5)) - 1) / (2/(1+math.Exp(-5)) - 1) // row 55: −(59−55+1)/10 = −0.5
	atEnd := (2/(1+math.Exp(-5*0.1)) - 1) / (2/(1+math.Exp(-5)) - 1)   // row 59: −0.1
	justAfter := 0.11 * (2/(1+math.Exp(5.0/9)) - 1)                    // row 60: 1/9 of the window past it
	farAfter := -0.11                                                  // row 99: 40/9 > 3
	for name, c := range map[string]struct {
		rows       []int
		raw        float64
		found, bad int
	}{
		"none":                        {nil, -1, 0, 0},
		"at the start":                {[]int{50}, atStart, 1, 0},
		"in the middle":               {[]int{55}, atFifth, 1, 0},
		"at the end":                  {[]int{59}, atEnd, 1, 0},
		"only the first counts":       {[]int{55, 56, 59}, atFifth, 1, 0},
		"before":                      {[]int{20}, -1 - 0.11, 0, 1},
		"just after":                  {[]int{60}, -1 + justAfter, 0, 1},
		"far after":                   {[]int{99}, -1 + farAfter, 0, 1},
		"before, in and after":        {[]int{20, 55, 60}, -0.11 + atFifth + justAfter, 1, 2},
		"in the probation: no alarm":  {[]int{0, 14}, -1, 0, 0},
		"the first row after it: one": {[]int{15}, -1 - 0.11, 0, 1},
	} {
		r := Standard.At([]Series{{Name: name, Scores: alarms(100, c.rows...), Windows: one}}, 0.5)
		near(t, name, r.Raw, c.raw)
		near(t, name+", of 100", r.Score, 100*(c.raw+1)/2)
		if r.Found != c.found || r.False != c.bad || r.Windows != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Two windows: between them an alarm is judged by the one before.
func TestBetweenWindows(t *testing.T) {
	s := []Series{{Scores: alarms(100, 45), Windows: []Window{{30, 40}, {50, 60}}}}
	r := Standard.At(s, 0.5)
	near(t, "raw", r.Raw, -2+0.11*(2/(1+math.Exp(5*5.0/10))-1))
}

// A window within the probation is not scored, one that reaches out of it is.
func TestWindowInProbation(t *testing.T) {
	s := []Series{{Scores: alarms(100, 16), Windows: []Window{{2, 5}, {10, 19}}}}
	r := Standard.At(s, 0.5)
	if r.Windows != 1 || r.Found != 1 {
		t.Errorf("%+v", r)
	}
	near(t, "raw", r.Raw, (2/(1+math.Exp(-5*0.4))-1)/(2/(1+math.Exp(-5))-1))
}

func TestBest(t *testing.T) {
	// At 0.9 the first window alone is found; at 0.5 both, and one alarm is
	// false; at 0.1 ten more are.
	a := Series{Scores: alarms(100, 50), Windows: []Window{{50, 59}}}
	a.Scores[50] = 0.9
	b := Series{Scores: alarms(100), Windows: []Window{{50, 59}}}
	b.Scores[50], b.Scores[20] = 0.5, 0.5
	for i := range 10 {
		b.Scores[30+i] = 0.1
	}
	all := []Series{a, b}
	r := Standard.Best(all)
	near(t, "threshold", r.Threshold, 0.5)
	near(t, "raw", r.Raw, 2-0.11)
	near(t, "score", r.Score, 100*(2-0.11+2)/4)
	if r.Found != 2 || r.False != 1 {
		t.Errorf("%+v", r)
	}
	near(t, "at that threshold", Standard.At(all, r.Threshold).Raw, r.Raw)
	// The threshold for a is b's, 0.5, and for b it is a's, 0.9.
	left := Standard.LeaveOneOut(all)
	near(t, "left out", left.Raw, 0) // one found, one missed
}

func TestNullAndPerfect(t *testing.T) {
	windows := []Window{{50, 59}, {80, 85}}
	null := Standard.Best([]Series{{Scores: alarms(100), Windows: windows}})
	near(t, "null", null.Score, 0)
	perfect := Standard.Best([]Series{{Scores: alarms(100, 50, 80), Windows: windows}})
	near(t, "perfect", perfect.Score, 100)
}

// The best threshold is no worse than any other.
func TestBestIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []Series
		for range rapid.IntRange(1, 3).Draw(t, "series") {
			scores := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0, 0, 0.2, 0.5, 1}), 100, 100).Draw(t, "scores")
			first := rapid.IntRange(0, 90).Draw(t, "first")
			all = append(all, Series{Scores: scores, Windows: []Window{{first, first + 9}}})
		}
		best := Standard.Best(all)
		for _, x := range []float64{0, 0.1, 0.2, 0.5, 1, 2} {
			if r := Standard.At(all, x); r.Raw > best.Raw+1e-9 {
				t.Fatalf("at %g it is %g, the best is %+v", x, r.Raw, best)
			}
		}
	})
}
