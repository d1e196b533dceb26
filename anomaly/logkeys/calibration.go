package logkeys

import (
	"slices"
	"sort"
)

// evidence is what a session's score is made of, in nats: the most surprising
// of its keys, and how improbable its counts are altogether. Neither falls while
// a session goes on.
type evidence struct {
	_       struct{} `cbor:",toarray"`
	Running float64
	Counts  float64
}

// calibration turns evidence into a p-value: the share of the last sessions
// learnt, each scored just before it was learnt, whose evidence was as strong
// (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005,
// chapter 2). The two kinds are joined by the smaller rank, and the rank is held
// against those of the sessions themselves (Westfall and Young's minimum p):
// kinds that say the same cost nothing.
type calibration struct {
	limit int
	last  []evidence // a ring once full
	next  int
	stale int // sessions learnt since the view was made
	view  view
}

// view is the calibration in a form that answers quickly.
type view struct {
	Running []float64 // sorted
	Counts  []float64 // sorted
	Ranks   []int     // of the sessions among the others, sorted
}

func (c *calibration) add(e evidence) {
	if len(c.last) < c.limit {
		c.last = append(c.last, e)
	} else {
		c.last[c.next] = e
		c.next = (c.next + 1) % c.limit
	}
	// One part in 32 more or less hardly moves a rank, and keeps learning cheap.
	if c.stale++; 32*c.stale > len(c.last) {
		c.refresh()
	}
}

func (c *calibration) refresh() {
	v := &c.view
	v.Running, v.Counts, v.Ranks = v.Running[:0], v.Counts[:0], v.Ranks[:0]
	for _, e := range c.last {
		v.Running = append(v.Running, e.Running)
		v.Counts = append(v.Counts, e.Counts)
	}
	slices.Sort(v.Running)
	slices.Sort(v.Counts)
	for _, e := range c.last {
		rank, _ := v.rank(e)
		v.Ranks = append(v.Ranks, rank-1) // less itself
	}
	slices.Sort(v.Ranks)
	c.stale = 0
}

// rank returns how many sessions have as much evidence of the kind of which the
// fewest have, and whether that kind is the counts.
func (v *view) rank(e evidence) (rank int, counts bool) {
	running := len(v.Running) - sort.SearchFloat64s(v.Running, e.Running)
	content := len(v.Counts) - sort.SearchFloat64s(v.Counts, e.Counts)
	return min(running, content), content < running
}

// p returns the conformal p-value, 1/(sessions+1) at least and 1 without any.
func (v *view) p(e evidence) (p float64, counts bool) {
	rank, counts := v.rank(e)
	return float64(sort.SearchInts(v.Ranks, rank+1)+1) / float64(len(v.Ranks)+1), counts
}
