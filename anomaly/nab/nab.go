package nab

import (
	"cmp"
	"math"
	"slices"
)

// Profile weighs what a detector does.
type Profile struct {
	TruePositive, FalsePositive, FalseNegative float64
}

// Standard is the benchmark's standard profile. Its weight of true negatives,
// 0.11, enters no score.
var Standard = Profile{TruePositive: 1, FalsePositive: 0.11, FalseNegative: 1}

// Window is a span of rows that an anomaly is in, both ends included.
type Window struct{ First, Last int }

// Series is one file with what a detector said of it.
type Series struct {
	Name    string
	Scores  []float64 // of each row, 0 to 1
	Windows []Window  // in order, apart
}

// Probation returns how many rows at the begin are not scored: 15 %, 750 at most.
func Probation(rows int) int {
	return int(math.Min(math.Floor(0.15*float64(rows)), 0.15*5000))
}

// sigmoid is the benchmark's scaled sigmoid: nearly 1 at −1, the begin of a
// window, 0 at its end, −1 far behind it.
func sigmoid(x float64) float64 {
	if x >= 3 {
		return -1
	}
	return 2/(1+math.Exp(5*x)) - 1
}

// row is one scored row: what an alarm there is worth.
type row struct {
	score  float64
	worth  float64
	window int // number over all series, -1 outside
}

// rows returns what an alarm in each row is worth, and how many windows have rows
// that are scored. Windows are numbered from base.
func (p Profile) rows(s *Series, base int) (out []row, windows int) {
	probation := Probation(len(s.Scores))
	next := 0
	for i, score := range s.Scores {
		for next < len(s.Windows) && s.Windows[next].Last < i {
			next++
		}
		if i < probation {
			continue
		}
		r := row{score: score, window: -1}
		switch {
		case next < len(s.Windows) && s.Windows[next].First <= i:
			w := s.Windows[next]
			position := -float64(w.Last-i+1) / float64(w.Last-w.First+1)
			r.worth = sigmoid(position) * p.TruePositive / sigmoid(-1)
			r.window = base + next
		case next == 0:
			r.worth = -p.FalsePositive
		default:
			w := s.Windows[next-1]
			position := float64(i-w.Last) / math.Max(1, float64(w.Last-w.First))
			r.worth = sigmoid(position) * p.FalsePositive
		}
		out = append(out, r)
	}
	seen := map[int]bool{}
	for _, r := range out {
		if r.window >= 0 {
			seen[r.window] = true
		}
	}
	return out, len(seen)
}

// Result is a detector's score.
type Result struct {
	Threshold float64 // rows with this score or more are alarms
	Raw       float64
	Score     float64 // 0 for a detector that never alarms, 100 for a perfect one
	Found     int     // windows with an alarm
	Windows   int
	False     int // alarms outside windows
}

// Best returns the result at the threshold that is best over all series, the way
// the benchmark chooses one.
func (p Profile) Best(all []Series) Result {
	rows, windows := p.gather(all)
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.score, a.score) })
	best := Result{Threshold: math.Inf(1), Raw: -p.FalseNegative * float64(windows), Windows: windows}
	now := best
	worth := map[int]float64{}
	for i, r := range rows {
		now.add(p, r, worth)
		if i+1 < len(rows) && rows[i+1].score == r.score {
			continue
		}
		if now.Raw > best.Raw {
			best = now
			best.Threshold = r.score
		}
	}
	best.normalise(p)
	return best
}

// At returns the result at a threshold.
func (p Profile) At(all []Series, threshold float64) Result {
	rows, windows := p.gather(all)
	out := Result{Threshold: threshold, Raw: -p.FalseNegative * float64(windows), Windows: windows}
	worth := map[int]float64{}
	for _, r := range rows {
		if r.score >= threshold {
			out.add(p, r, worth)
		}
	}
	out.normalise(p)
	return out
}

// LeaveOneOut returns the result of each series at the threshold that is best over
// all the others: what a threshold is worth where it was not chosen. Its Threshold
// is the mean of those.
func (p Profile) LeaveOneOut(all []Series) Result {
	var out Result
	for i := range all {
		others := slices.Concat(all[:i], all[i+1:])
		r := p.At(all[i:i+1], p.Best(others).Threshold)
		out.Raw += r.Raw
		out.Found += r.Found
		out.Windows += r.Windows
		out.False += r.False
		out.Threshold += r.Threshold / float64(len(all))
	}
	out.normalise(p)
	return out
}

func (p Profile) gather(all []Series) (rows []row, windows int) {
	base := 0
	for i := range all {
		r, n := p.rows(&all[i], base)
		rows = append(rows, r...)
		windows += n
		base += len(all[i].Windows)
	}
	return rows, windows
}

// add takes one more alarm in. Of a window only the alarm worth most counts.
func (r *Result) add(p Profile, x row, worth map[int]float64) {
	if x.window < 0 {
		r.Raw += x.worth
		r.False++
		return
	}
	old, found := worth[x.window]
	if !found {
		old = -p.FalseNegative
		r.Found++
	}
	if x.worth > old {
		r.Raw += x.worth - old
		worth[x.window] = x.worth
	} else if !found {
		worth[x.window] = old
	}
}

func (r *Result) normalise(p Profile) {
	null := -p.FalseNegative * float64(r.Windows)
	perfect := p.TruePositive * float64(r.Windows)
	if r.Windows > 0 {
		r.Score = 100 * (r.Raw - null) / (perfect - null)
	}
}
