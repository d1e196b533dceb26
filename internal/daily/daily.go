// Package daily is what models share that ask and learn once for each day of a
// timeline: which days have begun, and chances that depend on the day alone.
package daily

import "time"

// Seconds are those of a day.
const Seconds = 86400

// most bounds how many days are caught up with after a silence.
const most = 400

// Begun returns the first and the last day, in days since 1970, that have begun
// until t and were not taken: next is the day that is to come next, 0 before the
// first observation, whose own day is not taken. Where first is after last there
// is none.
func Begun(next int64, t time.Time) (first, last int64) {
	today := t.Unix() / Seconds
	switch {
	case next == 0:
		next = today + 1
	case today-next > most:
		next = today - most
	}
	return next, today
}

// Dice are pseudo-random numbers that depend on the seed and the day alone, so
// that a model read back goes on as it would have: SplitMix64 (Steele, Lea and
// Flood, OOPSLA 2014).
type Dice struct {
	Seed, Day uint64
	n         uint64
}

// Roll returns the next number, within [0, 1).
func (d *Dice) Roll() float64 {
	d.n++
	x := d.Seed*0x9e3779b97f4a7c15 ^ d.Day*0xbf58476d1ce4e5b9 ^ d.n*0x94d049bb133111eb
	for _, k := range [...]uint64{0xbf58476d1ce4e5b9, 0x94d049bb133111eb} {
		x = (x ^ x>>30) * k
	}
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
