package duration

import (
	"math"
	"time"
)

// bins is how many intervals of age there are: the first ends after two minutes,
// each is longer by the square root of 2, the last begins after 11 years.
const (
	bins  = 44
	first = 120 // seconds
)

// binOf returns the interval of an age in seconds.
func binOf(age int64) int {
	if age < first {
		return 0
	}
	return min(bins-1, 1+int(2*math.Log2(float64(age)/first)))
}

// begins returns the age at which an interval begins, in seconds.
func begins(bin int) float64 {
	if bin == 0 {
		return 0
	}
	return first * math.Exp2(float64(bin-1)/2)
}

// outcome is how a state ended.
type outcome uint8

const (
	returned outcome = iota // it went back
	moved                   // it went on to another value
	ended                   // its resource did, and nobody knows
	outcomes
)

// table is a life table: how many states ended in which interval of age, by
// how.
type table struct {
	Counts [outcomes][bins]float32 `cbor:"1,keyasint"`
	// Times is at how many different times states went back, Last the last of them
	// in Unix seconds: what one commit reverts is one decision.
	Times uint32        `cbor:"2,keyasint"`
	Last  int64         `cbor:"3,keyasint"`
	open  [bins]float32 // states that are still open, by their age at the model's time
}

func (t *table) count(how outcome, bin int, at int64) {
	t.Counts[how][bin]++
	if how == returned && (at != t.Last || t.Times == 0) {
		t.Times, t.Last = t.Times+1, at
	}
}

// gone is how many states went back.
func (t *table) gone() int {
	n := float32(0)
	for _, x := range t.Counts[returned] {
		n += x
	}
	return int(n)
}

// hazards are the probabilities of going back and of going on within an
// interval, of a state that has come to it.
type hazards [2][bins]float64

// fleeting is what is believed of an interval before anything is known.
var fleeting = func() (h hazards) {
	for b := range bins {
		h[returned][b], h[moved][b] = 0.02, 0.02
	}
	return h
}()

// update pools the table into the hazards of what it is part of, which are worth
// as many states as the strength says. Those that end unknown are at risk for
// half of their interval, which is the actuarial estimate.
func (h *hazards) update(t *table, strength float64, open bool) {
	risk := 0.0
	for b := bins - 1; b >= 0; b-- {
		left := float64(t.Counts[ended][b])
		if open {
			left += float64(t.open[b])
		}
		back, on := float64(t.Counts[returned][b]), float64(t.Counts[moved][b])
		risk += left + back + on
		n := risk - left/2 + strength
		h[returned][b] = (back + strength*h[returned][b]) / n
		h[moved][b] = (on + strength*h[moved][b]) / n
	}
}

// likelihood returns the logarithm of that of a state that ends in the interval
// so.
func (h *hazards) likelihood(bin int, how outcome) float64 {
	sum := 0.0
	for b := range bin {
		sum += math.Log(max(1e-12, 1-h[returned][b]-h[moved][b]))
	}
	return sum + math.Log(max(1e-12, h[how][bin]))
}

// incidence is the probability of having gone back by the end of each interval.
type incidence [bins]float64

func (h *hazards) incidence() *incidence {
	var out incidence
	stays, back := 1.0, 0.0
	for b := range bins {
		back += stays * h[returned][b]
		stays *= 1 - h[returned][b] - h[moved][b]
		out[b] = back
	}
	return &out
}

// all is the share that goes back in the end.
func (x *incidence) all() float64 { return x[bins-1] }

// by returns the probability of having gone back by an age in seconds. Within an
// interval the logarithm of age is taken to be spread evenly.
func (x *incidence) by(age float64) float64 {
	b := binOf(int64(age))
	before := 0.0
	if b > 0 {
		before = x[b-1]
	}
	low, high := begins(b), begins(b+1)
	part := age / high
	if b > 0 {
		part = math.Log(age/low) / math.Log(high/low)
	}
	return before + (x[b]-before)*min(1, max(0, part))
}

// quantile returns the age by which so large a share of those that go back has
// gone back.
func (x *incidence) quantile(share float64) time.Duration {
	want := share * x.all()
	before := 0.0
	for b := range bins {
		if x[b] < want || x[b] == before {
			before = x[b]
			continue
		}
		low, high := begins(b), begins(b+1)
		part := (want - before) / (x[b] - before)
		seconds := high * part
		if b > 0 {
			seconds = low * math.Pow(high/low, part)
		}
		return time.Duration(seconds * float64(time.Second)).Round(time.Second)
	}
	return time.Duration(begins(bins) * float64(time.Second))
}
