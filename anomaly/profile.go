package anomaly

import (
	"math"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// The predictors of what a series is at: its level, its level at this
// time of the day, at this time of the week.
const (
	level = iota
	daily
	weekly
	predictors
)

// profile is what a series does over a cycle, in equal bins.
type profile struct {
	_     struct{} `cbor:",toarray"`
	Cycle time.Duration
	Width time.Duration
	Means []float32
	Sizes []float32 // mean sizes of the departures, in scales; nil if not kept
	Seen  []uint8   // cycles that a bin was learnt in

	Bin   int // the bin that is being filled, -1 for none
	Sum   float64
	Apart float64 // sum of sizes
	N     int32
}

// The newest cycle weighs at least so much.
const (
	dailyWeight  = 0.15
	weeklyWeight = 0.3
)

// widths are what a bin can be wide; all divide an hour or are one.
var widths = [...]time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}

// newProfile returns the profile of a cycle whose bins are as narrow as the
// interval of the values allows, but at least as wide as narrowest.
func newProfile(cycle, interval, narrowest time.Duration) *profile {
	width := widths[len(widths)-1]
	for _, w := range widths {
		if w >= narrowest && w >= interval*9/10 {
			width = w
			break
		}
	}
	n := int(cycle / width)
	return &profile{Cycle: cycle, Width: width, Means: make([]float32, n), Seen: make([]uint8, n), Bin: -1}
}

// monday is a Monday, so that a week's bins begin with one.
var monday = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

func (p *profile) bin(t int64) int {
	phase := (t - monday) % int64(p.Cycle)
	if phase < 0 {
		phase += int64(p.Cycle)
	}
	return int(phase / int64(p.Width))
}

// at returns the mean at a time of the cycle, false if it was not seen yet.
func (p *profile) at(t int64) (float64, bool) {
	b := p.bin(t)
	return float64(p.Means[b]), p.Seen[b] > 0
}

// rough returns how much larger departures are at a time of the cycle than they
// are usually. What is not seen often yet is drawn to 1.
func (p *profile) rough(t int64) float64 {
	b := p.bin(t)
	n := float64(p.Seen[b])
	return (n*float64(p.Sizes[b]) + settled) / (n + settled)
}

// learn adds a value, and the size of its departure in scales, to the bin of its
// time. A bin is changed once a cycle, when it is left. Once a bin was seen often
// enough, it moves as if the values had been limit away at most.
func (p *profile) learn(t int64, x, size, weight, limit float64) {
	if b := p.bin(t); b != p.Bin {
		if p.Bin >= 0 && p.N > 0 {
			p.close(weight, limit)
		}
		p.Bin, p.Sum, p.Apart, p.N = b, 0, 0, 0
	}
	p.Sum += x
	p.Apart += size
	p.N++
}

func (p *profile) close(weight, limit float64) {
	b, n := p.Bin, float64(p.N)
	w := max(weight, 1/float64(int(p.Seen[b])+1))
	step := p.Sum/n - float64(p.Means[b])
	if p.Seen[b] >= settled {
		step = bounded(step, limit)
	}
	p.Means[b] = float32(bounded(float64(p.Means[b])+w*step, math.MaxFloat32))
	if p.Sizes != nil {
		p.Sizes[b] = float32(bounded(float64(p.Sizes[b])+w*(p.Apart/n-float64(p.Sizes[b])), math.MaxFloat32))
	}
	p.Seen[b] = min(p.Seen[b], math.MaxUint8-1) + 1
}

// settled is in how many cycles a bin was seen that moves slowly.
const settled = 3

// predictor is one way to say what a series is at.
type predictor struct {
	_      struct{} `cbor:",toarray"`
	Level  float64  // of what is left over the profile
	Error  float64  // mean size of the departures, recent ones most
	Weight float64  // how many values stand behind Error, at most its memory
}
