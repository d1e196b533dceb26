package backtest

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

const (
	// coarse is how many steps of levels a resampled curve has: quantiles of
	// those that left.
	coarse = 256
	// mostBlocks bounds how many blocks of cuts are resampled. Fewer and longer
	// ones are more cautious, never less.
	mostBlocks = 250
)

// resampler draws the same resamples for every predictor, so that differences
// are of pairs (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993;
// blocks of consecutive cuts by Künsch, Annals of Statistics 17 (1989),
// 1217-1241: horizons of neighbouring cuts overlap).
type resampler struct {
	q        *questions
	block    []int32     // of each cut
	blocks   int         //
	commit   []int32     // of each positive, numbered from 0
	byBlock  [][]float64 // weights, by resample
	byCommit [][]float64
}

func newResampler(q *questions, o *Options) *resampler {
	r := &resampler{q: q, block: make([]int32, len(q.cuts)), commit: make([]int32, len(q.positives))}
	length := int(math.Ceil(float64(q.seconds) / o.Every.Seconds()))
	length = max(1, length, (len(q.cuts)+mostBlocks-1)/mostBlocks)
	for i := range q.cuts {
		r.block[i] = int32(i / length)
		r.blocks = i/length + 1
	}
	number := map[int32]int32{}
	for i, x := range q.positives {
		n, ok := number[x.commit]
		if !ok {
			n = int32(len(number))
			number[x.commit] = n
		}
		r.commit[i] = n
	}
	random := rand.New(rand.NewPCG(o.Seed, uint64(q.horizon)))
	for range max(0, o.Bootstrap) {
		r.byBlock = append(r.byBlock, weights(random, r.blocks))
		r.byCommit = append(r.byCommit, weights(random, len(number)))
	}
	return r
}

// weights returns how often each of n is drawn in n draws.
func weights(random *rand.Rand, n int) []float64 {
	w := make([]float64, n)
	for range n {
		w[random.IntN(n)]++
	}
	return w
}

// measures are the figures that get intervals.
type measures struct{ pr, loss, within float64 }

// resampled are a predictor's measures of all rows and of each resample, all at
// coarse levels.
type resampled struct {
	whole             measures
	byBlock, byCommit []measures
}

// blockSums are what the rows of a block add up to.
type blockSums struct {
	left, stayed     [coarse]float64
	loss, rows       float64
	lossLeft, numPos float64
	won, fought      float64
}

// resample computes a predictor's measures of every resample.
func (r *resampler) resample(predictor int, h *histogram, within *duels) resampled {
	step := coarsen(h)
	sums, total := r.sum(predictor, within, step)
	out := resampled{whole: total.measures()}
	var acc blockSums
	for _, w := range r.byBlock {
		acc = blockSums{}
		for b, n := range w {
			if n > 0 {
				acc.add(&sums[b], n)
			}
		}
		out.byBlock = append(out.byBlock, acc.measures())
	}
	// The negatives stay: a commit is an occasion on which settings leave.
	rest := total
	rest.left = [coarse]float64{}
	rest.loss -= total.lossLeft
	rest.rows -= total.numPos
	rest.won, rest.fought = 0, 0
	steps, losses, of := make([]uint8, len(r.commit)), make([]float64, len(r.commit)), worths()
	for i, x := range r.q.positives {
		level := r.q.level(predictor, x)
		steps[i], losses[i] = step[level], of.left[level]
	}
	for _, w := range r.byCommit {
		acc = rest
		for i, c := range r.commit {
			if n := w[c]; n > 0 {
				acc.left[steps[i]] += n
				acc.loss += n * losses[i]
				acc.rows += n
				acc.won += n * within.won[i]
				acc.fought += n * within.fought[i]
			}
		}
		out.byCommit = append(out.byCommit, acc.measures())
	}
	return out
}

// sum adds the rows up by block and over all.
func (r *resampler) sum(predictor int, within *duels, step *[levels]uint8) ([]blockSums, blockSums) {
	sums, of := make([]blockSums, r.blocks), worths()
	for i := range r.q.cuts {
		s := &sums[r.block[i]]
		for _, level := range r.q.cuts[i].answers[predictor][r.q.horizon] {
			s.stayed[step[level]]++
			s.loss += of.stayed[level]
			s.rows++
		}
	}
	for i, x := range r.q.positives {
		s := &sums[r.block[x.cut]]
		level := r.q.level(predictor, x)
		s.stayed[step[level]]--
		s.left[step[level]]++
		s.loss += of.left[level] - of.stayed[level]
		s.lossLeft += of.left[level]
		s.numPos++
		s.won += within.won[i]
		s.fought += within.fought[i]
	}
	var total blockSums
	for b := range sums {
		total.add(&sums[b], 1)
	}
	return sums, total
}

// coarsen maps levels to steps of about as many that left each.
func coarsen(h *histogram) *[levels]uint8 {
	var positives float64
	for _, x := range h.left {
		positives += x
	}
	var out [levels]uint8
	var below float64
	for i := range levels {
		out[i] = uint8(min(coarse-1, below/max(1, positives)*coarse))
		below += h.left[i]
	}
	return &out
}

func (s *blockSums) add(t *blockSums, n float64) {
	for i := range coarse {
		s.left[i] += n * t.left[i]
		s.stayed[i] += n * t.stayed[i]
	}
	s.loss += n * t.loss
	s.rows += n * t.rows
	s.lossLeft += n * t.lossLeft
	s.numPos += n * t.numPos
	s.won += n * t.won
	s.fought += n * t.fought
}

func (s *blockSums) measures() measures {
	var positives, negatives float64
	for i := range coarse {
		positives += s.left[i]
		negatives += s.stayed[i]
	}
	return measures{
		pr:     rank(s.left[:], s.stayed[:], positives, negatives).pr,
		loss:   s.loss / max(1, s.rows),
		within: s.won / max(1, s.fought),
	}
}

// difference compares one measure of two predictors. The intervals are moved by
// what coarse levels change, which is little.
func difference(exact, over float64, a, b *resampled, of func(measures) float64) Difference {
	d := Difference{Value: exact - over}
	if over != 0 {
		d.Ratio = exact / over
	}
	d.ByCut, d.RatioByCut = spread(d, a.byBlock, b.byBlock, a.whole, b.whole, of)
	d.ByCommit, d.RatioByCommit = spread(d, a.byCommit, b.byCommit, a.whole, b.whole, of)
	return d
}

// spread returns the middle 95 % of the differences and of the ratios; without
// resamples just what they are.
func spread(d Difference, a, b []measures, wholeA, wholeB measures, of func(measures) float64) (difference, ratio penumbra.Interval) {
	if len(a) == 0 {
		return penumbra.Interval{Low: d.Value, High: d.Value}, penumbra.Interval{Low: d.Ratio, High: d.Ratio}
	}
	var differences, ratios []float64
	for i := range a {
		x, y := of(a[i]), of(b[i])
		differences = append(differences, x-y-(of(wholeA)-of(wholeB))+d.Value)
		if y != 0 && of(wholeA) != 0 {
			ratios = append(ratios, x/y*of(wholeB)/of(wholeA)*d.Ratio)
		}
	}
	return middle(differences), middle(ratios)
}

func middle(x []float64) penumbra.Interval {
	if len(x) == 0 {
		return penumbra.Interval{}
	}
	slices.Sort(x)
	cut := len(x) / 40
	return penumbra.Interval{Low: x[cut], High: x[len(x)-1-cut]}
}
