package backtest

import (
	"cmp"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// positive is a row of a setting that left within the horizon.
type positive struct {
	cut, row, commit, class int32
}

// questions are the rows of one horizon.
type questions struct {
	horizon   int   // index into the options' horizons
	seconds   int64 // how long it is
	cuts      []cut // those whose horizon ends within the data
	class     []int32
	positives []positive
	rows      int
	commits   int // how many there were in all, for tables by commit
}

func (p *replay) questions(horizon int) *questions {
	span := penumbra.Horizons[p.options.Horizons[horizon]]
	q := &questions{horizon: horizon, seconds: int64(span.Seconds()), class: p.world.class, commits: len(p.world.commits)}
	for _, c := range p.cuts {
		if c.at+q.seconds > p.options.To.Unix() {
			break
		}
		q.cuts = append(q.cuts, c)
		q.rows += len(c.setting)
	}
	for i := range q.cuts {
		c := &q.cuts[i]
		for row, first := range c.left {
			if first >= 0 && p.world.when(first) <= c.at+q.seconds {
				q.positives = append(q.positives, positive{int32(i), int32(row), p.world.changes[first].commit, q.class[c.setting[row]]})
			}
		}
	}
	return q
}

// level returns what a predictor said of a positive.
func (q *questions) level(predictor int, x positive) uint16 {
	return q.cuts[x.cut].answers[predictor][q.horizon][x.row]
}

// histogram counts the rows by level.
type histogram struct{ left, stayed [levels]float64 }

// count fills the histogram with what a predictor said.
func (q *questions) count(predictor int, h *histogram) {
	*h = histogram{}
	for i := range q.cuts {
		for _, level := range q.cuts[i].answers[predictor][q.horizon] {
			h.stayed[level]++
		}
	}
	for _, x := range q.positives {
		level := q.level(predictor, x)
		h.left[level]++
		h.stayed[level]--
	}
}

// ranking is how well the levels tell apart. Equal ones are one step.
type ranking struct{ roc, pr, lift float64 }

func (h *histogram) rank() ranking {
	var positives, negatives float64
	for i := range levels {
		positives += h.left[i]
		negatives += h.stayed[i]
	}
	return rank(h.left[:], h.stayed[:], positives, negatives)
}

// rank computes the areas under the curves of ROC and of precision and recall,
// the latter as average precision, and the lift of the top hundredth. The
// arguments are counts of those that left and stayed, by ascending level.
func rank(left, stayed []float64, positives, negatives float64) ranking {
	if positives == 0 || negatives == 0 {
		return ranking{}
	}
	n := positives + negatives
	top := max(1, n/100)
	var r ranking
	var seen, hits, caught float64
	for i := len(left) - 1; i >= 0; i-- {
		group, size := left[i], left[i]+stayed[i]
		if size == 0 {
			continue
		}
		misses := seen - hits
		r.roc += group * (negatives - misses - (size-group)/2)
		if seen < top {
			caught += group * min(1, (top-seen)/size)
		}
		seen, hits = seen+size, hits+group
		r.pr += group / positives * hits / seen
	}
	r.roc /= positives * negatives
	r.lift = caught / top / (positives / n)
	return r
}

// curve returns points of the curve of precision and recall, at most so many.
func (h *histogram) curve(points int) []Point {
	var positives float64
	for _, x := range h.left {
		positives += x
	}
	if positives == 0 {
		return nil
	}
	var out []Point
	var seen, hits float64
	for i := levels - 1; i >= 0; i-- {
		if h.left[i] == 0 {
			seen += h.stayed[i]
			continue
		}
		seen, hits = seen+h.left[i]+h.stayed[i], hits+h.left[i]
		p := Point{Recall: hits / positives, Precision: hits / seen}
		if len(out) == 0 || p.Recall-out[len(out)-1].Recall >= 1/float64(points) || hits == positives {
			out = append(out, p)
		}
	}
	return out
}

// loss returns the mean log loss in nats and the Brier score.
func (h *histogram) loss() (log, brier float64) {
	var n float64
	of := worths()
	for i := range levels {
		l, s, p := h.left[i], h.stayed[i], of.said[i]
		log += l*of.left[i] + s*of.stayed[i]
		brier += l*(1-p)*(1-p) + s*p*p
		n += l + s
	}
	return log / max(1, n), brier / max(1, n)
}

// edges are the bounds of the bins of a reliability table.
var edges = [...]float64{0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 1}

func (h *histogram) reliability() []Bin {
	out := make([]Bin, 0, len(edges)-1)
	i, said := 0, &worths().said
	for k := range len(edges) - 1 {
		b := Bin{Low: edges[k], High: edges[k+1]}
		var n, sum, left float64
		for ; i < levels && (said[i] < b.High || k == len(edges)-2); i++ {
			n += h.left[i] + h.stayed[i]
			sum += (h.left[i] + h.stayed[i]) * said[i]
			left += h.left[i]
		}
		if b.Questions = int(n); n > 0 {
			b.Said, b.Left = sum/n, left/n
			out = append(out, b)
		}
	}
	return out
}

// duels are, of each positive, how many negatives of its class it is said to be
// likelier than, half of the equal ones included, and how many there are.
type duels struct{ won, fought []float64 }

// share returns the area under ROC within classes.
func (d duels) share() (float64, bool) {
	var won, fought float64
	for i := range d.won {
		won += d.won[i]
		fought += d.fought[i]
	}
	return won / max(1, fought), fought > 0
}

// arena lets positives fight negatives of their class. Its memory is reused.
type arena struct {
	q          *questions
	start, end []int32 // of each class's levels
	level      []uint16
	between    []float64 // negatives above the level before and below this one
	equal      []float64
	over       []float64 // negatives of each class above all its levels
	index      []int32
}

func newArena(q *questions, classes int) *arena {
	return &arena{q: q, start: make([]int32, classes), end: make([]int32, classes), over: make([]float64, classes)}
}

// duels lets the positives fight the negatives of the same cut, or of all cuts.
func (a *arena) duels(predictor int, sameCut bool) duels {
	q := a.q
	d := duels{won: make([]float64, len(q.positives)), fought: make([]float64, len(q.positives))}
	if !sameCut {
		a.fight(predictor, 0, len(q.positives), q.cuts, &d)
		return d
	}
	for i := 0; i < len(q.positives); { // they are in the order of cuts
		j := i
		for j < len(q.positives) && q.positives[j].cut == q.positives[i].cut {
			j++
		}
		cut := q.positives[i].cut
		a.fight(predictor, i, j, q.cuts[cut:cut+1], &d)
		i = j
	}
	return d
}

func (a *arena) fight(predictor, from, to int, cuts []cut, d *duels) {
	q := a.q
	a.index = a.index[:0]
	for i := from; i < to; i++ {
		a.index = append(a.index, int32(i))
	}
	slices.SortFunc(a.index, func(x, y int32) int {
		p, r := q.positives[x], q.positives[y]
		return cmp.Or(cmp.Compare(p.class, r.class), cmp.Compare(q.level(predictor, p), q.level(predictor, r)), cmp.Compare(x, y))
	})
	a.enter(predictor)
	for i := range cuts {
		c := &cuts[i]
		levels := c.answers[predictor][q.horizon]
		for row, s := range c.setting {
			if class := q.class[s]; a.end[class] > a.start[class] {
				a.place(class, levels[row], 1)
			}
		}
	}
	for _, i := range a.index { // who left is no negative
		x := q.positives[i]
		a.place(x.class, q.level(predictor, x), -1)
	}
	a.count(predictor, d)
}

// enter builds the distinct levels of each class's positives.
func (a *arena) enter(predictor int) {
	a.level, a.between, a.equal = a.level[:0], a.between[:0], a.equal[:0]
	for k, i := range a.index {
		x := a.q.positives[i]
		level := a.q.level(predictor, x)
		fresh := k == 0 || a.q.positives[a.index[k-1]].class != x.class
		if fresh {
			a.start[x.class], a.over[x.class] = int32(len(a.level)), 0
		}
		if fresh || a.level[len(a.level)-1] != level {
			a.level, a.between, a.equal = append(a.level, level), append(a.between, 0), append(a.equal, 0)
		}
		a.end[x.class] = int32(len(a.level))
	}
}

func (a *arena) place(class int32, level uint16, n float64) {
	low, high := a.start[class], a.end[class]
	for low < high {
		middle := (low + high) / 2
		if a.level[middle] < level {
			low = middle + 1
		} else {
			high = middle
		}
	}
	switch {
	case low == a.end[class]:
		a.over[class] += n
	case a.level[low] == level:
		a.equal[low] += n
	default:
		a.between[low] += n
	}
}

// count sums up what each positive won, and empties the arena.
func (a *arena) count(predictor int, d *duels) {
	q := a.q
	for k := 0; k < len(a.index); {
		class := q.positives[a.index[k]].class
		all := a.over[class]
		for i := a.start[class]; i < a.end[class]; i++ {
			all += a.between[i] + a.equal[i]
		}
		below, i := 0.0, a.start[class]
		below += a.between[i]
		for ; k < len(a.index) && q.positives[a.index[k]].class == class; k++ {
			for level := q.level(predictor, q.positives[a.index[k]]); a.level[i] != level; {
				below += a.equal[i]
				i++
				below += a.between[i]
			}
			d.won[a.index[k]], d.fought[a.index[k]] = below+a.equal[i]/2, all
		}
		a.start[class], a.end[class] = 0, 0
	}
}
