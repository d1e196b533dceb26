package logkeys

import (
	"cmp"
	"math/bits"
	"slices"
)

// bucketBits is the room for a bucket beside the key's number in a symbol.
const bucketBits = 6

// maxCount is the largest count that has a bucket.
const maxCount = 1<<31 - 1

// bucket is exact up to seven and has two for each doubling above, 63 at most.
func bucket(count uint32) uint32 {
	if count < 8 {
		return count
	}
	e := uint32(bits.Len32(count)) - 1
	return 8 + 2*(e-3) + count>>(e-1)&1
}

// least returns the smallest count of the bucket.
func least(bucket uint32) int {
	if bucket < 8 {
		return int(bucket)
	}
	e := (bucket-8)/2 + 3
	return 1<<e + int((bucket-8)%2)<<(e-1)
}

// tallies are how often each key came in a session, sorted by the key's number.
type tallies []tally

type tally struct {
	key   uint32
	count uint32
}

// add counts the key and returns its count.
func (ts *tallies) add(key uint32) uint32 {
	i, ok := slices.BinarySearchFunc(*ts, key, func(t tally, k uint32) int { return cmp.Compare(t.key, k) })
	if !ok {
		*ts = slices.Insert(*ts, i, tally{key: key})
	}
	if t := &(*ts)[i]; t.count < maxCount {
		t.count++
	}
	return (*ts)[i].count
}

// inOrder returns the tallies by the key's number, and that of what was never
// learnt last: nothing is known of what follows it.
func (ts tallies) inOrder() tallies {
	if len(ts) > 0 && ts[0].key == novel {
		return append(slices.Clone(ts[1:]), ts[0])
	}
	return slices.Clip(ts)
}

// symbol is a key together with how often it came. What was never learnt is one
// symbol, however often it came, and so is the end.
func (t tally) symbol() uint32 {
	if t.key == novel || t.key == end {
		return t.key
	}
	return t.key<<bucketBits | bucket(t.count)
}

// histogram counts sessions by the bucket of a count in them.
type histogram []uint64

func (h *histogram) add(count uint32) {
	b := int(bucket(count))
	for len(*h) <= b {
		*h = append(*h, 0)
	}
	(*h)[b]++
}

// reach returns the probability that a session's count is in this one's bucket
// or above, of so many sessions, half of one added on either side.
func (h histogram) reach(count uint32, sessions uint64) float64 {
	var n uint64
	for b := int(bucket(count)); b < len(h); b++ {
		n += h[b]
	}
	return (float64(n) + 0.5) / (float64(sessions) + 1)
}
